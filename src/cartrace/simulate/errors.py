"""Laboratory errors, planted where they disturb little, each one recorded.

Twelve mistakes that laboratories make. Each sits in a subject of its own choice,
at a visit that the metrics hardly rest on, and is written down with its file, row
and column, what the cell should have said, which check has to find it, and which
metrics it disturbs. Subjects that do not exist (a trial of 5) get no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import pandas as pd

from cartrace.simulate.courses import WINDOWS
from cartrace.simulate.laboratory import Cell, LabTable, Place, Result, add_qpcr_row

if TYPE_CHECKING:
    import numpy as np

Where = tuple[LabTable, int, int]

OUTSIDE_WINDOW = (11, "D120")
"""Subject (from 0) and visit that happens 19 days late; its window is 10."""

PROTECTED: dict[int, tuple[str, ...]] = {
    0: ("D21", "D42"),
    2: ("D21",),
    3: ("D120", "D150"),
    7: ("D21",),
    8: ("D21", "D42", "D60", "D120", "D150"),
    11: ("D60", "D90", "D120"),
}
"""Visits that are never missed, by place among twelve: errors are planted there, or a
special case (the infused immunoglobulin, the second episode) needs them."""

CHECKS = {
    "unit_off_by_ten": "unit_ratio",
    "digits_transposed": "unit_ratio",
    "visits_swapped": "fits_neighbour_visit",
    "subject_written_otherwise": "subject_written_two_ways",
    "duplicate_disagrees": "duplicates_disagree",
    "visit_outside_window": "visit_window",
    "wrong_specimen": "specimen",
    "impossible_value": "impossible_value",
    "text_in_number_cell": "cell",
    "igg_in_mg_dl": "impossible_value",
    "letter_in_titre": "cell",
    "decimal_point": "cell",
}
"""Which check of the intake has to find each kind of error."""


DECLINE = ("auc_last", "auc_inf", "mrt", "half_life", "contraction_half_life", "stein")
"""What a wrong value after the maximum moves, beside the areas that reach it."""


@dataclass(frozen=True, slots=True)
class PlantedError:
    """One planted error; ``row`` is the row as a spreadsheet shows it.

    ``disturbs`` names the metrics of that subject that the error moves, joined by
    ';' ("nothing" when there are none). ``also`` lists further cells of the same
    error as file:row:column.
    """

    kind: str
    check: str
    file_id: str
    path: str
    row: int
    column: str
    subject_id: str
    visit: str
    study_day: int
    analyte: str
    unit: str
    written: str
    right: str
    disturbs: str
    also: str = ""


def no_errors() -> pd.DataFrame:
    """Return the frame of planted errors without a row."""
    return pd.DataFrame({f.name: pd.Series(dtype=object) for f in fields(PlantedError)})


def plant(
    rng: np.random.Generator,
    tables: Sequence[LabTable],
    places: Mapping[Place, Where],
    results: Sequence[Result],
) -> pd.DataFrame:
    """Write the errors into the rows of ``tables`` and return their list.

    Raises
    ------
    RuntimeError
        When no cell suits an error of a subject that exists.
    """
    context = _Context(
        rng=rng,
        tables={t.file_id: t for t in tables},
        places=places,
        results={r.place: r for r in results},
    )
    planted: list[PlantedError] = []
    for index, error in PLANS:
        subject_id = f"NMO-{index + 1:03d}"
        if (subject_id, 1, "blood", "D0 predose", "transgene", "copies/ug") in places:
            planted.append(error(context, subject_id))
    return pd.DataFrame([asdict(e) for e in planted]) if planted else no_errors()


@dataclass(frozen=True, slots=True)
class _Context:
    rng: np.random.Generator
    tables: Mapping[str, LabTable]
    places: Mapping[Place, Where]
    results: Mapping[Place, Result]

    def numbers(self, subject_id: str, visits: Sequence[str]) -> list[tuple[Place, int]]:
        """Return the plain whole numbers in copies/ug at ``visits``, with their places.

        Raises
        ------
        RuntimeError
            When there is none.
        """
        found: list[tuple[Place, int]] = []
        for visit in visits:
            place = _blood(subject_id, visit)
            cell = self.results[place].cell if place in self.places else None
            if isinstance(cell, int):
                found.append((place, cell))
        if not found:
            raise RuntimeError(f"no plain number for {subject_id} at any of {', '.join(visits)}")
        return found

    def moved(self, place: Place) -> str:
        """Return the metrics that a wrong value at ``place``, on the decline, moves."""
        day = self.results[place].draw.study_day
        days = [
            r.draw.study_day for p, r in self.results.items() if p[:3] == place[:3] and p[4:] == place[4:]
        ]
        before = max((d for d in days if d < day), default=day)
        areas = [f"auc_{start}_{end}" for start, end in WINDOWS if end > before]
        return ";".join([*areas, *DECLINE])

    def record(self, kind: str, place: Place, written: Cell, right: Cell, disturbs: str) -> PlantedError:
        table, row, column = self.places[place]
        return PlantedError(
            kind=kind,
            check=CHECKS[kind],
            file_id=table.file_id,
            path=table.path,
            row=table.row_number(row),
            column=table.column_name(column),
            subject_id=place[0],
            visit=place[3],
            study_day=self.results[place].draw.study_day,
            analyte=place[4],
            unit=place[5],
            written=str(written),
            right=str(right),
            disturbs=disturbs,
        )

    def overwrite(self, kind: str, place: Place, cell: Cell, disturbs: str) -> PlantedError:
        table, row, column = self.places[place]
        right = table.rows[row][column]
        table.rows[row][column] = cell
        return self.record(kind, place, cell, right, disturbs)


def _blood(subject_id: str, visit: str, analyte: str = "transgene", unit: str = "copies/ug") -> Place:
    return (subject_id, 1, "blood", visit, analyte, unit)


def _unit_off_by_ten(context: _Context, subject_id: str) -> PlantedError:
    place, number = context.numbers(subject_id, ("D42", "D28", "D21", "D14", "D10"))[0]
    return context.overwrite("unit_off_by_ten", place, 10 * number, context.moved(place))


def _digits_transposed(context: _Context, subject_id: str) -> PlantedError:
    for place, number in context.numbers(subject_id, ("D21", "D14", "D28", "D10", "D7")):
        swapped = transpose_digits(number)
        if swapped is not None:
            return context.overwrite("digits_transposed", place, swapped, context.moved(place))
    raise RuntimeError(f"no digits to transpose for {subject_id}")


def transpose_digits(number: int, least: float = 0.05) -> int | None:
    """Swap the two neighbouring digits that change ``number`` least, but by ``least`` at least.

    None when no swap does that and keeps the number of digits.
    """
    text = str(number)
    candidates = []
    for i in range(len(text) - 1):
        swapped = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        if swapped[0] != "0" and abs(int(swapped) / number - 1) >= least:
            candidates.append(int(swapped))
    return min(candidates, key=lambda n: abs(n / number - 1), default=None)


def _visits_swapped(context: _Context, subject_id: str) -> PlantedError:
    early, late = _blood(subject_id, "D4"), _blood(subject_id, "D7")
    table, row_early, column = context.places[early]
    _, row_late, _ = context.places[late]
    right = table.rows[row_late][column]
    also = []
    for c in (column, column + 1):
        cells = table.rows[row_early][c], table.rows[row_late][c]
        table.rows[row_late][c], table.rows[row_early][c] = cells
        also += [
            f"{table.file_id}:{table.row_number(r)}:{table.column_name(c)}"
            for r in (row_early, row_late)
            if (r, c) != (row_late, column)
        ]
    record = context.record(
        "visits_swapped",
        late,
        table.rows[row_late][column],
        right,
        "auc_0_7;auc_0_14;doubling_time;tfirst;stein",
    )
    return replace(record, also=";".join(also))


def _duplicate_disagrees(context: _Context, subject_id: str) -> PlantedError:
    place, _ = context.numbers(subject_id, ("D28", "D21", "D14", "D10"))[0]
    first = context.results[place]
    second = context.results[(*place[:5], "copies/1000 cells")]
    pair = [
        replace(first, cell=round(first.measured * 2.2)),
        replace(second, cell=round(second.measured * 2.2, 3)),
    ]
    repeats = context.tables["pcr_repeats"] if "pcr_repeats" in context.tables else context.places[place][0]
    add_extra_row(repeats, pair, remark="repeat run")
    record = context.record(
        "duplicate_disagrees",
        place,
        pair[0].cell,
        first.cell,
        context.moved(place),
    )
    table, row, column = context.places[place]
    return replace(
        record,
        file_id=repeats.file_id,
        path=repeats.path,
        row=repeats.row_number(len(repeats.rows) - 1),
        also=f"{table.file_id}:{table.row_number(row)}:{table.column_name(column)}",
    )


def _wrong_specimen(context: _Context, subject_id: str) -> PlantedError:
    place, _ = context.numbers(subject_id, ("D28", "D21", "D14", "D10"))[0]
    table = context.places[place][0]
    first, second = context.results[place], context.results[(*place[:5], "copies/1000 cells")]
    more = float(context.rng.uniform(1.5, 3))
    pair = [
        replace(first, cell=round(first.measured * more)),
        replace(second, cell=round(second.measured * more, 3)),
    ]
    add_extra_row(table, pair, specimen="BM")
    record = context.record("wrong_specimen", place, "BM", "not in a table of blood", "nothing")
    return replace(record, row=table.row_number(len(table.rows) - 1), column=table.column_name(3))


def add_extra_row(
    table: LabTable, pair: Sequence[Result], *, specimen: str = "PB", remark: str | None = None
) -> None:
    """Append a row that is nobody's place: the places of the true results stay as they are."""
    kept = dict(table.places)
    add_qpcr_row(table, pair, remark=remark)
    table.rows[-1][3] = specimen
    table.places.clear()
    table.places.update(kept)


def _impossible_value(context: _Context, subject_id: str) -> PlantedError:
    for visit in ("D14", "D10", "D21"):
        place = _blood(subject_id, visit, "car_t_fraction", "%")
        cell = context.results[place].cell if place in context.places else None
        if isinstance(cell, str) and cell[0].isdigit() and float(cell.replace(",", ".")) > 10.5:
            slipped = f"{float(cell.replace(',', '.')) * 10:.1f}".replace(".", ",")
            return context.overwrite("impossible_value", place, slipped, "flow car_t_fraction: all")
    place = _blood(subject_id, "D10", "car_t_fraction", "%")
    return context.overwrite("impossible_value", place, "130,0", "flow car_t_fraction: all")


def _igg_in_mg_dl(context: _Context, subject_id: str) -> PlantedError:
    place = (subject_id, 1, "serum", "D28", "igg", "g/L")
    in_mg_dl = f"{100 * context.results[place].measured:.0f}"
    return context.overwrite("igg_in_mg_dl", place, in_mg_dl, "serum igg: one point missing")


def _letter_in_titre(context: _Context, subject_id: str) -> PlantedError:
    place = (subject_id, 1, "serum", "D14", "aqp4_igg", "titre")
    # The last zero is the letter O, as in 1:4O.
    cell = f"{str(context.results[place].cell)[:-1]}O"
    return context.overwrite("letter_in_titre", place, cell, "serum aqp4_igg: one point missing")


def _decimal_point(context: _Context, subject_id: str) -> PlantedError:
    for visit in ("D14", "D21", "D10", "D7"):
        place = _blood(subject_id, visit, "b_cells", "cells/uL")
        cell = context.results[place].cell if place in context.places else None
        if isinstance(cell, str) and "," in cell and cell[0].isdigit():
            return context.overwrite(
                "decimal_point", place, cell.replace(",", "."), "flow b_cells: one point missing"
            )
    raise RuntimeError(f"no number with a decimal comma for {subject_id}")


def _text_in_number_cell(context: _Context, subject_id: str) -> PlantedError:
    place = _blood(subject_id, "D60")
    return context.overwrite("text_in_number_cell", place, "see letter", "one point missing")


def _visit_outside_window(context: _Context, subject_id: str) -> PlantedError:
    place = _blood(subject_id, OUTSIDE_WINDOW[1])
    table, row, _ = context.places[place]
    right = f"{OUTSIDE_WINDOW[1][1:]}, 10 days around it"
    record = context.record("visit_outside_window", place, table.rows[row][2], right, "nothing")
    return replace(record, column=table.column_name(2))


def _subject_written_otherwise(context: _Context, subject_id: str) -> PlantedError:
    place = _blood(subject_id, "D90")
    table, row, _ = context.places[place]
    # A spreadsheet that took the number for a number loses the zeros.
    short = f"NMO-{int(subject_id.removeprefix('NMO-'))}"
    table.rows[row][0] = short
    record = context.record("subject_written_otherwise", place, short, subject_id, "one point missing")
    return replace(record, column=table.column_name(0))


PLANS: tuple[tuple[int, Callable[[_Context, str], PlantedError]], ...] = (
    (0, _unit_off_by_ten),
    (2, _digits_transposed),
    (2, _impossible_value),
    (5, _visits_swapped),
    (5, _igg_in_mg_dl),
    (7, _wrong_specimen),
    (7, _letter_in_titre),
    (8, _duplicate_disagrees),
    (8, _decimal_point),
    (11, _visit_outside_window),
    (11, _text_in_number_cell),
    (11, _subject_written_otherwise),
)
"""Subject (from 0) and error."""
