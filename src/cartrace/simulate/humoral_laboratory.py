"""How the laboratories write B cells, immunoglobulins, soluble BCMA and antibodies.

Four laboratories: a flow panel of B-lineage cells (long, semicolons, decimal commas,
dates), immunoglobulins (wide, ISO dates), ELISA (long, study days) and the titres of
a cell-based assay (a workbook with the visits as columns, `1:320` and `<1:10`). The
last one knows visits only, so its serum is drawn on the nominal day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cartrace.simulate.humoral import UNITS, Humoral
from cartrace.simulate.laboratory import (
    Draw,
    LabTable,
    Result,
    Writer,
    long_flow_tables,
    results_by_subject,
)

if TYPE_CHECKING:
    import numpy as np

CELL_VISITS_LEFT_OUT = ("D0 predose", "D1")
"""Visits without the B-cell panel."""
SERUM_VISITS = ("Pre-LD", "D14", "D28", "D42", "D60", "D90", "D120", "D150", "D180", "D270", "D365")

LIMITS: dict[str, tuple[float, float]] = {
    "b_cells": (0.3, 1.0),
    "naive_b_cells": (0.3, 1.0),
    "memory_b_cells": (0.3, 1.0),
    "plasmablasts": (0.02, 0.05),
    "plasma_cells": (0.02, 0.05),
    "igg": (0.3, 0.3),
    "iga": (0.05, 0.05),
    "igm": (0.05, 0.05),
    "soluble_bcma": (0.2, 0.5),
    "anti_srp": (5.0, 5.0),
}
"""LOD and LLOQ in the unit of :data:`UNITS`; equal where the laboratory knows one limit."""

CV: dict[str, float] = {
    "b_cells": 0.10,
    "naive_b_cells": 0.12,
    "memory_b_cells": 0.12,
    "plasmablasts": 0.20,
    "plasma_cells": 0.20,
    "igg": 0.04,
    "iga": 0.04,
    "igm": 0.04,
    "soluble_bcma": 0.10,
    "anti_srp": 0.10,
}
"""Coefficients of variation; rare cells count worse."""

TITRE_SD = 0.2
"""Standard deviation of a titration in doublings."""
WELLS = 9
"""Wells of a two-fold series: 1:10 to 1:2560, or 1:20 to 1:5120."""
START, NEW_START = 10, 20
NEW_START_FROM = 90
"""Nominal day from which the laboratory begins at 1:20 for one subject."""

FLOW_TESTS = {
    "b_cells": "CD19+ B cells",
    "naive_b_cells": "naive B (CD27- IgD+)",
    "memory_b_cells": "memory B (CD27+)",
    "plasmablasts": "plasmablasts (CD27++ CD38++)",
    "plasma_cells": "plasma cells (CD138+)",
}
IMMUNOGLOBULINS = {"igg": "IgG [g/L]", "iga": "IgA [g/L]", "igm": "IgM [g/L]"}
ELISA_TESTS = {"soluble_bcma": "sBCMA", "anti_srp": "anti-SRP IgG"}
SEROLOGY_FIRST = 3
"""Columns before the visits in the table of titres."""


def _limits(analyte: str) -> dict[str, float]:
    lod, lloq = LIMITS[analyte]
    return {"lloq": lloq} if lod == lloq else {"lod": lod, "lloq": lloq}


def _test(analyte: str, assay: str) -> dict[str, Any]:
    return {"analyte": analyte, "assay": assay, "unit": UNITS[analyte], **_limits(analyte)}


B_CELL_MAPPING: dict[str, Any] = {
    "delimiter": ";",
    "decimal": ",",
    "subject": "Patient",
    "matrix": {"column": "Material", "values": {"EDTA blood": "blood"}},
    "date": {"column": "Drawn", "format": "%d.%m.%Y"},
    "visit": {"column": "Visit"},
    "long": {
        "analyte": {"column": "Population"},
        "value": {"column": "Result"},
        "unit": {"column": "Unit"},
        "tests": {name: _test(analyte, "flow") for analyte, name in FLOW_TESTS.items()},
    },
    "text": {"n.n.": "BLD"},
}
IMMUNOGLOBULIN_MAPPING: dict[str, Any] = {
    "subject": "patient",
    "matrix": "serum",
    "date": {"column": "collected"},
    "visit": {"column": "visit"},
    "values": [
        {"column": name, **_test(analyte, "nephelometry")} for analyte, name in IMMUNOGLOBULINS.items()
    ],
}
ELISA_MAPPING: dict[str, Any] = {
    "subject": "Subject",
    "matrix": "serum",
    "day": {"column": "Study day"},
    "visit": {"column": "Visit"},
    "long": {
        "analyte": {"column": "Test"},
        "value": {"column": "Result"},
        "unit": {"column": "Unit"},
        "tests": {name: _test(analyte, "elisa") for analyte, name in ELISA_TESTS.items()},
    },
}
SEROLOGY_MAPPING: dict[str, Any] = {
    "sheet": "AQP4-IgG",
    "skip_rows": 2,
    "subject": "Patient",
    "matrix": "serum",
    "infusion": {"column": "Infusion"},
    "values": [
        {
            "pattern": r"^(?P<visit>Pre-LD|D\d+)$",
            "analyte": "aqp4_igg",
            "assay": "cba",
            "unit": "titre",
            "start": {"column": "Series begins at"},
        }
    ],
}
MAPPINGS: dict[str, dict[str, Any]] = {
    "b_cells": B_CELL_MAPPING,
    "immunoglobulins": IMMUNOGLOBULIN_MAPPING,
    "elisa": ELISA_MAPPING,
    "serology": SEROLOGY_MAPPING,
}


def start_of(humoral: Humoral, draw: Draw) -> int:
    """Return the first dilution of the series that a serum was tested in."""
    changed = humoral.decline == "start_changed" and draw.nominal_day >= NEW_START_FROM
    return NEW_START if changed else START


def humoral_results(
    rng: np.random.Generator,
    humoral: Humoral,
    draws: Sequence[Draw],
    infusion_days: Sequence[int],
    *,
    left_out: Iterable[str] = (),
) -> list[Result]:
    """Measure the true courses at the blood draws of one subject.

    Parameters
    ----------
    rng
        The stream of :func:`cartrace.simulate.humoral.draw_humoral`.
    humoral
        True courses.
    draws
        Blood draws.
    infusion_days
        Study days of the infusions.
    left_out
        Visits without the B-cell panel and without serum.
    """
    out: list[Result] = []
    visits_left_out = set(left_out)
    for draw in draws:
        # The noise is drawn for every visit, so that a missing one changes no other.
        noise = dict(zip(UNITS, rng.standard_normal(len(UNITS)).tolist(), strict=True))
        serum = replace(draw, matrix="serum")
        nominal = replace(
            serum, day=draw.nominal_day, study_day=infusion_days[draw.infusion - 1] + draw.nominal_day
        )
        for analyte in humoral.courses:
            cells = analyte in FLOW_TESTS
            if draw.visit in visits_left_out or (
                draw.visit in CELL_VISITS_LEFT_OUT if cells else draw.visit not in SERUM_VISITS
            ):
                continue
            at = draw if cells else nominal if analyte == "aqp4_igg" else serum
            true = float(humoral.courses[analyte](float(at.study_day)))
            out.append(_result(at, analyte, true, noise[analyte], humoral))
    return out


def _result(draw: Draw, analyte: str, true: float, z: float, humoral: Humoral) -> Result:
    if analyte == "aqp4_igg":
        start = start_of(humoral, draw)
        cell, measured = titre_cell(true * 2.0 ** (TITRE_SD * z), start)
        return Result(draw, analyte, "cba", "titre", true, measured, cell, start=start)
    measured = true * math.exp(math.sqrt(math.log1p(CV[analyte] ** 2)) * z)
    assay = "flow" if analyte in FLOW_TESTS else "nephelometry" if analyte in IMMUNOGLOBULINS else "elisa"
    comma = analyte in FLOW_TESTS
    return Result(
        draw, analyte, assay, UNITS[analyte], true, measured, number_cell(analyte, measured, comma=comma)
    )


def number_cell(analyte: str, value: float, *, comma: bool = False) -> str:
    """Return the cell for a number: three digits or so, `<` below the LLOQ, `n.n.` below the LOD."""
    lod, lloq = LIMITS[analyte]
    if value < lloq:
        text = "n.n." if value < lod < lloq else f"<{lloq:g}"
    elif analyte in IMMUNOGLOBULINS or value < 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    # n.n. is no number.
    return text.replace(".", ",") if comma and text != "n.n." else text


def titre_cell(titre: float, start: int) -> tuple[str, float]:
    """Return the cell of a titration, and the end point: the last dilution that is positive.

    Where the first well is negative, or the last one positive, the titre itself is returned.
    """
    if titre < start:
        return f"<1:{start}", titre
    last = start * 2 ** (WELLS - 1)
    if titre >= last:
        return f">1:{last}", titre
    end = start * 2 ** math.floor(math.log2(titre / start))
    return f"1:{end}", float(end)


def lay_out_b_cells(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """B-lineage cells: one long file a batch."""
    tests = {analyte: (name, "cells/µL") for analyte, name in FLOW_TESTS.items()}
    return long_flow_tables("b_cells", "Population", tests, results, batches, first_infusion=first_infusion)


def lay_out_immunoglobulins(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """One wide tab-separated file of the whole trial, with ISO dates."""
    columns = {analyte: n for n, analyte in enumerate(IMMUNOGLOBULINS, 3)}
    table = LabTable(
        file_id="immunoglobulins",
        path="chemistry/immunoglobulins.tsv",
        mapping="immunoglobulins",
        header=(("patient", "collected", "visit", *IMMUNOGLOBULINS.values()),),
        delimiter="\t",
    )
    by_subject = results_by_subject(r for r in results if r.analyte in columns)
    rows: dict[tuple[str, int], int] = {}
    for subject in (s for batch in batches for s in batch):
        for r in by_subject.get(subject, []):
            key = (subject, r.draw.study_day)
            if key not in rows:
                rows[key] = len(table.rows)
                collected = first_infusion[subject] + timedelta(days=r.draw.study_day)
                table.rows.append([subject, collected.isoformat(), r.draw.visit, *([None] * len(columns))])
            table.rows[rows[key]][columns[r.analyte]] = r.cell
            table.places[r.place] = (rows[key], columns[r.analyte])
    return [table] if table.rows else []


def lay_out_elisa(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """One long comma file of the whole trial, with study days."""
    del first_infusion  # this laboratory writes study days
    table = LabTable(
        file_id="elisa",
        path="elisa/elisa.csv",
        mapping="elisa",
        header=(("Subject", "Visit", "Study day", "Test", "Result", "Unit"),),
        delimiter=",",
    )
    by_subject = results_by_subject(r for r in results if r.analyte in ELISA_TESTS)
    for subject in (s for batch in batches for s in batch):
        for r in by_subject.get(subject, []):
            table.places[r.place] = (len(table.rows), 4)
            table.rows.append(
                [subject, r.draw.visit, r.draw.study_day, ELISA_TESTS[r.analyte], r.cell, r.unit]
            )
    return [table] if table.rows else []


def lay_out_serology(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """One workbook with the visits as columns: a row for each subject, infusion and series."""
    del first_infusion  # this laboratory knows visits only
    columns = {visit: n for n, visit in enumerate(SERUM_VISITS, SEROLOGY_FIRST)}
    table = LabTable(
        file_id="serology",
        path="serology/aqp4_titres.xlsx",
        mapping="serology",
        header=(("Patient", "Infusion", "Series begins at", *SERUM_VISITS),),
        titles=(
            "Neuroimmunology: AQP4-IgG, cell-based assay",
            "End-point titre, two-fold dilutions, 9 wells",
        ),
        sheet="AQP4-IgG",
    )
    by_subject = results_by_subject(r for r in results if r.analyte == "aqp4_igg")
    rows: dict[tuple[str, int, int], int] = {}
    for subject in (s for batch in batches for s in batch):
        for r in by_subject.get(subject, []):
            key = (subject, r.draw.infusion, r.start or START)
            if key not in rows:
                rows[key] = len(table.rows)
                table.rows.append([subject, r.draw.infusion, f"1:{key[2]}", *([None] * len(columns))])
            table.rows[rows[key]][columns[r.draw.visit]] = r.cell
            table.places[r.place] = (rows[key], columns[r.draw.visit])
    return [table] if table.rows else []


WRITERS: tuple[Writer, ...] = (lay_out_b_cells, lay_out_immunoglobulins, lay_out_elisa, lay_out_serology)
