"""How blood counts and scores of the simulated trial are measured and written.

The hospital's laboratory (wide, 1e9/L and g/L) counts nearly daily to day 28 and then
at visits, and again every four days while a count is low. From day 42 on two subjects
go to a local practice that reports cells/uL. Scores are one table of the clinic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cartrace.simulate.bedside import UNITS, Bedside
from cartrace.simulate.laboratory import Cell, Draw, LabTable, Result, Writer, results_by_subject

if TYPE_CHECKING:
    import numpy as np

CV = {"neutrophils": 0.05, "platelets": 0.04, "haemoglobin": 0.01, "lymphocytes": 0.06}
"""Coefficients of variation of a cell counter. House values."""
LOWEST = {"neutrophils": 0.1, "lymphocytes": 0.1}
"""1e9/L below which the hospital's laboratory writes `<0.1`."""
LOWER_LIMITS = {"neutrophils": 1.8, "platelets": 125.0, "haemoglobin": 11.5, "lymphocytes": 1.1}
"""Lower limits of normal of the made-up laboratory, in :data:`cartrace.simulate.bedside.UNITS`."""

HOSPITAL_DAYS = (0, *range(1, 15), 16, 18, 20, 22, 24, 26, 28)
LOCAL = (3, 8)
"""Subjects (among twelve) who go to a local practice from LOCAL_FROM on."""
LOCAL_FROM = 42
REPEAT_EVERY, REPEATS = 4, 5
REPEAT_BELOW = {"neutrophils": 1.5, "platelets": 75.0}
"""Counts (1e9/L) that are repeated every four days after day 28."""

SITE, PRACTICE, CLINIC = "cell_counter", "cell_counter", "examination"
COUNT_COLUMNS = {
    "neutrophils": "Neutrophils [10^9/L]",
    "platelets": "Platelets [10^9/L]",
    "haemoglobin": "Hb [g/L]",
    "lymphocytes": "Lymphocytes [10^9/L]",
}
PRACTICE_TESTS = {
    "neutrophils": ("ANC", "cells/µL"),
    "platelets": ("PLT", "cells/µL"),
    "haemoglobin": ("HGB", "g/dL"),
    "lymphocytes": ("ALC", "cells/µL"),
}
SCORE_COLUMNS = {"edss": "EDSS", "mmt8": "MMT-8"}

COUNT_MAPPING: dict[str, Any] = {
    "delimiter": ";",
    "decimal": ",",
    "subject": "Patient",
    "matrix": "blood",
    "date": {"column": "Drawn", "format": "%d.%m.%Y"},
    "values": [
        {
            "column": column,
            "analyte": analyte,
            "assay": SITE,
            "unit": "g/L" if analyte == "haemoglobin" else "1e9/L",
            **({"lloq": LOWEST[analyte]} if analyte in LOWEST else {}),
        }
        for analyte, column in COUNT_COLUMNS.items()
    ],
}
PRACTICE_MAPPING: dict[str, Any] = {
    "subject": "patient",
    "matrix": "blood",
    "date": {"column": "date"},
    "long": {
        "analyte": {"column": "test"},
        "value": {"column": "result"},
        "unit": {"column": "unit"},
        "tests": {
            name: {
                "analyte": analyte,
                "assay": PRACTICE,
                "unit": "g/dL" if analyte == "haemoglobin" else "cells/uL",
            }
            for analyte, (name, _) in PRACTICE_TESTS.items()
        },
    },
}
SCORE_MAPPING: dict[str, Any] = {
    "subject": "Subject",
    "matrix": "other",
    "day": {"column": "Study day"},
    "visit": {"column": "Visit"},
    "values": [
        {"column": column, "analyte": analyte, "assay": CLINIC, "unit": "points"}
        for analyte, column in SCORE_COLUMNS.items()
    ],
}
MAPPINGS: dict[str, dict[str, Any]] = {
    "blood_counts": COUNT_MAPPING,
    "blood_counts_practice": PRACTICE_MAPPING,
    "scores": SCORE_MAPPING,
}


def bedside_results(
    rng: np.random.Generator,
    bedside: Bedside,
    draws: Sequence[Draw],
    infusion_days: Sequence[int],
    *,
    place: int,
    missing: tuple[int, int] | None = None,
) -> list[Result]:
    """Measure the blood counts and scores of one subject.

    Parameters
    ----------
    rng
        The stream of :func:`cartrace.simulate.bedside.draw_bedside`.
    bedside
        The truth.
    draws
        The blood draws of the visits.
    infusion_days
        Study days of the infusions.
    place
        Place among twelve subjects, from 0.
    missing
        First and last day after the first infusion without any count.
    """
    out: list[Result] = []
    for number, start in enumerate(infusion_days, 1):
        visits = [d for d in draws if d.infusion == number]
        last = max(d.day for d in visits)
        early = [d.day for d in visits if d.day < 0]
        planned = [*early, *(d for d in HOSPITAL_DAYS if d <= last)]
        planned += [d.day for d in visits if d.day > HOSPITAL_DAYS[-1]]
        repeats = 0
        while planned:
            day = planned.pop(0)
            # The noise is drawn for every count, so that a missing one changes no other.
            noise = dict(zip(UNITS, rng.standard_normal(len(UNITS)).tolist(), strict=True))
            counts = {
                name: float(bedside.counts[number - 1][name](day))
                * math.exp(math.sqrt(math.log1p(CV[name] ** 2)) * noise[name])
                for name in UNITS
            }
            low = any(counts[name] < limit for name, limit in REPEAT_BELOW.items())
            repeats = repeats + 1 if low and day >= HOSPITAL_DAYS[-1] else 0
            following = planned[0] if planned else last
            if 0 < repeats <= REPEATS and day + REPEAT_EVERY < following:
                planned.insert(0, day + REPEAT_EVERY)
            if missing is not None and number == 1 and missing[0] <= day <= missing[1]:
                continue
            at = Draw(visits[0].subject_id, number, "blood", f"count {day}", day, day, start + day)
            local = place in LOCAL and day >= LOCAL_FROM
            for name, value in counts.items():
                true = float(bedside.counts[number - 1][name](day))
                out.append(_count(at, name, true, value, local=local))
    for draw in draws:
        for analyte in SCORE_COLUMNS:
            score = bedside.scores.get((draw.infusion, analyte, draw.visit))
            if score is not None:
                at = Draw(
                    draw.subject_id,
                    draw.infusion,
                    "other",
                    draw.visit,
                    draw.nominal_day,
                    draw.day,
                    draw.study_day,
                )
                cell = f"{score:.1f}" if analyte == "edss" else f"{score:.0f}"
                out.append(Result(at, analyte, CLINIC, "points", score, score, cell))
    return out


def _count(draw: Draw, analyte: str, true: float, measured: float, *, local: bool) -> Result:
    unit = UNITS[analyte]
    if local and unit == "1e9/L":
        # The practice rounds as its device does: neutrophils to ten cells, platelets to a thousand.
        step = 1000 if analyte == "platelets" else 10
        return Result(
            draw,
            analyte,
            PRACTICE,
            "cells/uL",
            true * 1000,
            measured * 1000,
            f"{round(measured * 1000 / step) * step}",
        )
    if local:
        return Result(draw, analyte, PRACTICE, unit, true, measured, f"{measured:.1f}")
    if analyte == "haemoglobin":
        return Result(draw, analyte, SITE, "g/L", true * 10, measured * 10, f"{measured * 10:.0f}")
    if analyte == "platelets":
        return Result(draw, analyte, SITE, unit, true, measured, f"{measured:.0f}")
    cell: Cell = (
        f"<{LOWEST[analyte]:g}" if round(measured, 2) < LOWEST[analyte] else f"{measured:.2f}"
    ).replace(".", ",")
    return Result(draw, analyte, SITE, unit, true, measured, cell)


def printed(result: Result) -> float:
    """Return the count that a cell says, in the unit of :data:`cartrace.simulate.bedside.UNITS`.

    A count below the lowest one that is written is half of it.
    """
    text = str(result.cell).replace(",", ".")
    value = float(text.removeprefix("<")) * (0.5 if text.startswith("<") else 1.0)
    scale = {("g/L", "g/dL"): 0.1, ("cells/uL", "1e9/L"): 0.001}
    return value * scale.get((result.unit, UNITS[result.analyte]), 1.0)


def _wide(
    table: LabTable, results: Iterable[Result], columns: Mapping[str, int], lead: Mapping[int, list[Cell]]
) -> None:
    """Lay out the results of one subject in rows by day; ``lead`` gives the first cells of each day."""
    rows: dict[int, int] = {}
    for r in results:
        day = r.draw.study_day
        if day not in rows:
            rows[day] = len(table.rows)
            table.rows.append([*lead[day], *([None] * len(columns))])
        table.rows[rows[day]][columns[r.analyte]] = r.cell
        table.places[r.place] = (rows[day], columns[r.analyte])


def lay_out_counts(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """Blood counts of the hospital: one wide file of the whole trial."""
    table = LabTable(
        file_id="blood_counts",
        path="haematology/blood_counts.csv",
        mapping="blood_counts",
        header=(("Patient", "Drawn", *COUNT_COLUMNS.values()),),
        delimiter=";",
    )
    columns = {analyte: n for n, analyte in enumerate(COUNT_COLUMNS, 2)}
    by_subject = results_by_subject(r for r in results if r.analyte in UNITS and not _is_local(r))
    for subject in (s for batch in batches for s in batch):
        of_subject = by_subject.get(subject, [])
        lead: dict[int, list[Cell]] = {
            day: [subject, (first_infusion[subject] + timedelta(days=day)).strftime("%d.%m.%Y")]
            for day in {r.draw.study_day for r in of_subject}
        }
        _wide(table, of_subject, columns, lead)
    return [table] if table.rows else []


def _is_local(result: Result) -> bool:
    subject = int(result.draw.subject_id.rsplit("-", 1)[1]) - 1
    return subject % 12 in LOCAL and result.draw.day >= LOCAL_FROM


def lay_out_practice(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """Blood counts of the local practice: one long file, in cells/uL."""
    table = LabTable(
        file_id="blood_counts_practice",
        path="haematology/local_practice.csv",
        mapping="blood_counts_practice",
        header=(("patient", "date", "test", "result", "unit"),),
        delimiter=",",
    )
    by_subject = results_by_subject(r for r in results if r.analyte in UNITS and _is_local(r))
    for subject in (s for batch in batches for s in batch):
        for r in by_subject.get(subject, []):
            name, unit = PRACTICE_TESTS[r.analyte]
            table.places[r.place] = (len(table.rows), 3)
            drawn = (first_infusion[subject] + timedelta(days=r.draw.study_day)).isoformat()
            table.rows.append([subject, drawn, name, r.cell, unit])
    return [table] if table.rows else []


def lay_out_scores(
    results: Sequence[Result], batches: Sequence[Sequence[str]], first_infusion: Mapping[str, date]
) -> list[LabTable]:
    """Scores of the disease: one wide file with study days."""
    del first_infusion  # the clinic writes study days
    table = LabTable(
        file_id="scores",
        path="clinic/scores.csv",
        mapping="scores",
        header=(("Subject", "Visit", "Study day", *SCORE_COLUMNS.values()),),
        delimiter=",",
    )
    columns = {analyte: n for n, analyte in enumerate(SCORE_COLUMNS, 3)}
    by_subject = results_by_subject(r for r in results if r.analyte in SCORE_COLUMNS)
    for subject in (s for batch in batches for s in batch):
        of_subject = by_subject.get(subject, [])
        lead: dict[int, list[Cell]] = {
            r.draw.study_day: [subject, r.draw.visit, r.draw.study_day] for r in of_subject
        }
        _wide(table, of_subject, columns, lead)
    return [table] if table.rows else []


WRITERS: tuple[Writer, ...] = (lay_out_counts, lay_out_practice, lay_out_scores)
