"""How the laboratories of the simulated trial write their results.

Each function of :data:`WRITERS` takes all results and lays out the files of one
laboratory; a later assay adds a function, its results and its mapping. Cells look
as laboratories write them: `<50`, `BLQ`, `Undetermined`, thousands commas typed as
text, trailing blanks, decimal commas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cartrace.simulate.courses import (
    COPIES_PER_UG_TO_PER_CELL,
    COUNT_LLOQ,
    COUNT_LOD,
    FLOW_LLOQ,
    FLOW_LOD,
    PCR_LLOQ,
    PCR_LOD,
)

if TYPE_CHECKING:
    import numpy as np

Cell = str | int | float | None
Place = tuple[str, int, str, str, str, str]
"""subject_id, infusion, matrix, visit, analyte, unit: where a result is in a file."""

PER_1000_CELLS = COPIES_PER_UG_TO_PER_CELL * 1000
NOT_RUN = "n.d."


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample: whose, from what, and when. ``day`` counts from its infusion."""

    subject_id: str
    infusion: int
    matrix: str
    visit: str
    nominal_day: int
    day: int
    study_day: int


@dataclass(frozen=True, slots=True)
class Result:
    """One result: the true value, the measured one (with noise), and the cell for it.

    ``first_cell`` is what the first run left when it failed and was repeated;
    ``start`` is the first dilution of the series of a titre.
    """

    draw: Draw
    analyte: str
    assay: str
    unit: str
    true_value: float
    measured: float
    cell: Cell
    first_cell: Cell = None
    start: int | None = None

    @property
    def place(self) -> Place:
        """Key of the result in a file."""
        d = self.draw
        return (d.subject_id, d.infusion, d.matrix, d.visit, self.analyte, self.unit)


@dataclass(slots=True)
class LabTable:
    """One laboratory file: rows of cells under a header, with titles above it.

    ``places`` gives the (row, column) index of each result in ``rows``.
    """

    file_id: str
    path: str
    mapping: str
    header: tuple[tuple[str, ...], ...]
    rows: list[list[Cell]] = field(default_factory=list)
    titles: tuple[str, ...] = ()
    sheet: str = ""
    delimiter: str = "\t"
    subjects: tuple[str, ...] = ()
    places: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def row_number(self, index: int) -> int:
        """Return the row as a spreadsheet shows it (from 1, titles and header counted)."""
        return len(self.titles) + len(self.header) + index + 1

    def column_name(self, index: int) -> str:
        """Return the header of a column, several rows joined as the reader joins them."""
        filled: list[str] = []
        for level, names in enumerate(self.header):
            name = names[index]
            if level < len(self.header) - 1:
                # Merged cells: the upper rows hold their text once, at the left.
                name = next((n for n in names[index::-1] if n), "")
            if name:
                filled.append(name)
        return " / ".join(filled)


def qpcr_cells(rng: np.random.Generator, copies: float) -> tuple[Cell, Cell]:
    """Return the cells of one qPCR result in copies/ug and copies/1000 cells."""
    kind, style = rng.random(2)
    if copies < PCR_LOD:
        word = "Undetermined" if kind < 0.6 else "BLD"
        return (f"<{PCR_LOD:g}" if kind < 0.3 else word), word
    if copies < PCR_LLOQ:
        blank = " " if style < 0.2 else ""
        return ("BLQ" if kind < 0.3 else f"<{PCR_LLOQ:g}") + blank, "BLQ" + blank
    whole = round(copies)
    per_cell = round(copies * PER_1000_CELLS, 3)
    if whole >= 1000 and style < 0.08:
        return f"{whole:,}", per_cell
    return (f"{whole} " if style > 0.96 else whole), per_cell


def flow_cells(fraction: float, t_cells: float) -> tuple[Cell, Cell, Cell]:
    """Return the cells for CAR+ %, T cells/uL and CAR+ cells/uL, with decimal commas.

    The count is what the laboratory computes from the two printed numbers.
    """
    count_text: Cell
    if fraction < FLOW_LOD:
        return "n.n.", f"{t_cells:.0f}", "n.n."
    if fraction < FLOW_LLOQ:
        return f"<{FLOW_LLOQ:g}".replace(".", ","), f"{t_cells:.0f}", f"<{COUNT_LLOQ:g}"
    count = round(fraction, 2) / 100 * round(t_cells)
    if count < COUNT_LOD:
        count_text = "n.n."
    elif count < COUNT_LLOQ:
        count_text = f"<{COUNT_LLOQ:g}"
    else:
        count_text = f"{count:.2f}".replace(".", ",")
    return f"{fraction:.2f}".replace(".", ","), f"{t_cells:.0f}", count_text


QPCR_MAPPING: dict[str, Any] = {
    "sheet": "qPCR",
    "skip_rows": 2,
    "header_rows": 2,
    "thousands": ",",
    "subject": "Sample / Subject",
    "matrix": {"column": "Sample / Specimen", "values": {"PB": "blood"}},
    "day": {"column": "Sample / Study day"},
    "visit": {"column": "Sample / Visit"},
    "values": [
        {
            "column": "CAR transgene / copies/ug DNA",
            "analyte": "transgene",
            "assay": "qpcr",
            "unit": "copies/ug",
            "lod": PCR_LOD,
            "lloq": PCR_LLOQ,
        },
        {
            "column": "CAR transgene / copies/1000 cells",
            "analyte": "transgene",
            "assay": "qpcr",
            "unit": "copies/1000 cells",
            "lod": round(PCR_LOD * PER_1000_CELLS, 3),
            "lloq": round(PCR_LLOQ * PER_1000_CELLS, 3),
        },
    ],
    "text": {"Undetermined": "BLD", NOT_RUN: "not_done"},
    "ratios": [
        {"analyte": "transgene", "numerator": "copies/1000 cells", "denominator": "copies/ug"},
    ],
}
FLOW_MAPPING: dict[str, Any] = {
    "delimiter": ";",
    "decimal": ",",
    "subject": "Patient",
    "matrix": {"column": "Material", "values": {"EDTA blood": "blood"}},
    "date": {"column": "Drawn", "format": "%d.%m.%Y"},
    "visit": {"column": "Visit"},
    "long": {
        "analyte": {"column": "Test"},
        "value": {"column": "Result"},
        "unit": {"column": "Unit"},
        "tests": {
            "CAR+ of CD3+": {
                "analyte": "car_t_fraction",
                "assay": "flow",
                "unit": "%",
                "lod": FLOW_LOD,
                "lloq": FLOW_LLOQ,
            },
            "CD3+ T cells": {"analyte": "t_cells", "assay": "flow", "unit": "cells/uL"},
            "CAR+ T cells": {
                "analyte": "car_t_cells",
                "assay": "flow",
                "unit": "cells/uL",
                "lod": COUNT_LOD,
                "lloq": COUNT_LLOQ,
            },
        },
    },
    "text": {"n.n.": "BLD"},
}
CSF_MAPPING: dict[str, Any] = {
    "subject": "patient",
    "matrix": "csf",
    "date": {"column": "collected"},
    "values": [
        {
            "column": "CAR copies/ug",
            "analyte": "transgene",
            "assay": "qpcr",
            "unit": "copies/ug",
            "lod": PCR_LOD,
            "lloq": PCR_LLOQ,
        }
    ],
    "text": {"Undetermined": "BLD"},
}
MAPPINGS: dict[str, dict[str, Any]] = {
    "qpcr": QPCR_MAPPING,
    "flow": FLOW_MAPPING,
    "csf_qpcr": CSF_MAPPING,
}

QPCR_HEADER = (
    ("Sample", "", "", "", "CAR transgene", "", "Remark"),
    ("Subject", "Visit", "Study day", "Specimen", "copies/ug DNA", "copies/1000 cells", ""),
)
FLOW_TESTS = {
    "car_t_fraction": ("CAR+ of CD3+", "%"),
    "t_cells": ("CD3+ T cells", "cells/µL"),
    "car_t_cells": ("CAR+ T cells", "cells/µL"),
}


def lay_out_qpcr(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """One workbook a batch of subjects, and one with the repeats of failed runs."""
    del first_infusion  # this laboratory writes study days
    by_subject = results_by_subject(r for r in results if r.assay == "qpcr" and r.draw.matrix == "blood")
    tables = []
    for number, subjects in enumerate(batches, 1):
        listed = tuple(s for s in subjects if s in by_subject)
        table = _qpcr_table(f"pcr_batch_{number:02d}", listed)
        for subject in listed:
            for pair in _pairs(by_subject[subject]):
                add_qpcr_row(table, pair, failed=pair[0].first_cell is not None)
        if listed:
            tables.append(table)
    repeats = _qpcr_table("pcr_repeats", ())
    for subjects in batches:
        for subject in subjects:
            for pair in _pairs(by_subject.get(subject, [])):
                if pair[0].first_cell is not None:
                    add_qpcr_row(repeats, pair, remark="repeat run")
    return [*tables, repeats] if repeats.rows else tables


def _qpcr_table(file_id: str, subjects: tuple[str, ...]) -> LabTable:
    return LabTable(
        file_id=file_id,
        path=f"pcr/{file_id}.xlsx",
        mapping="qpcr",
        header=QPCR_HEADER,
        titles=("Molecular laboratory: CAR transgene by qPCR", "LLOQ 50 copies/ug DNA, LOD 10 copies/ug DNA"),
        sheet="qPCR",
        subjects=subjects,
    )


def add_qpcr_row(
    table: LabTable, pair: Sequence[Result], *, failed: bool = False, remark: str | None = None
) -> None:
    """Append one sample: both units of one result."""
    draw = pair[0].draw
    cells = [r.first_cell if failed else r.cell for r in pair]
    if failed:
        remark = "run failed, repeat ordered"
    table.rows.append([draw.subject_id, draw.visit, draw.study_day, "PB", *cells, remark])
    if not failed:
        for column, result in enumerate(pair, 4):
            table.places[result.place] = (len(table.rows) - 1, column)


def lay_out_flow(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """CAR-T and T cells: one long file a batch."""
    return long_flow_tables("flow", "Test", FLOW_TESTS, results, batches, first_infusion=first_infusion)


def long_flow_tables(
    name: str,
    test_column: str,
    tests: Mapping[str, tuple[str, str]],
    results: Sequence[Result],
    batches: Sequence[Sequence[str]],
    *,
    first_infusion: Mapping[str, date],
) -> list[LabTable]:
    """One long semicolon file a batch, with decimal commas and dates of the draw.

    ``tests`` gives for each analyte the laboratory's name and unit; ``name`` is
    the beginning of the file's name and its mapping.
    """
    by_subject = results_by_subject(r for r in results if r.analyte in tests)
    tables = []
    for number, subjects in enumerate(batches, 1):
        table = LabTable(
            file_id=f"{name}_batch_{number:02d}",
            path=f"flow/{name}_batch_{number:02d}.csv",
            mapping=name,
            header=(("Patient", "Drawn", "Visit", "Material", test_column, "Result", "Unit"),),
            delimiter=";",
            subjects=tuple(subjects),
        )
        for subject in subjects:
            for result in by_subject.get(subject, []):
                drawn = first_infusion[subject] + timedelta(days=result.draw.study_day)
                test, unit = tests[result.analyte]
                table.places[result.place] = (len(table.rows), 5)
                table.rows.append(
                    [
                        subject,
                        drawn.strftime("%d.%m.%Y"),
                        result.draw.visit,
                        "EDTA blood",
                        test,
                        result.cell,
                        unit,
                    ]
                )
        tables.append(table)
    return tables


def lay_out_csf(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """One small tab-separated file with ISO dates."""
    table = LabTable(
        file_id="csf_qpcr",
        path="csf/csf_qpcr.tsv",
        mapping="csf_qpcr",
        header=(("patient", "collected", "CAR copies/ug"),),
        delimiter="\t",
    )
    by_subject = results_by_subject(r for r in results if r.assay == "qpcr" and r.draw.matrix == "csf")
    for subject in (s for batch in batches for s in batch):
        for result in by_subject.get(subject, []):
            collected = first_infusion[subject] + timedelta(days=result.draw.study_day)
            table.places[result.place] = (len(table.rows), 2)
            table.rows.append([subject, collected.isoformat(), result.cell])
    table.subjects = tuple(s for batch in batches for s in batch if s in by_subject)
    return [table] if table.rows else []


Writer = Callable[[Sequence[Result], Sequence[Sequence[str]], Mapping[str, date]], list[LabTable]]
WRITERS: tuple[Writer, ...] = (lay_out_qpcr, lay_out_flow, lay_out_csf)


def results_by_subject(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each subject, in their order."""
    out: dict[str, list[Result]] = {}
    for result in results:
        out.setdefault(result.draw.subject_id, []).append(result)
    return out


def _pairs(results: Sequence[Result]) -> list[Sequence[Result]]:
    """Both units of each qPCR result; they follow each other."""
    return [results[i : i + 2] for i in range(0, len(results), 2)]
