"""Derive the sheets of the myeloma example from the clinical sheet of its workbook.

Run it in this folder, with the workbook in data/:

    python make_sheets.py

and use config_clinical.yaml instead of config.yaml. Responses get the nominal day
of their column, or the last day of contact when that was earlier. The cytokine
release syndrome has a grade but no day, and stands at day 0 with a label that says
so. Lymphodepletion begins on day -5, as the labels of both products have it, since
the workbook is silent; so the leukapheresis is the baseline, and not day 0, when
the cells were already gone. The sheets hold patients, so they stay out of the
repository.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESPONSES = {"30 day response": 30, "3 month response": 90, "6 month response": 180, "12 month response": 365}
LYMPHODEPLETION_DAY = -5
PRODUCTS = ("Ide-cel", "Cilta-cel")
EVENTS = ("subject_id", "day", "kind", "label", "grade")


def events_of(patient: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return the events of one patient, in the order of :data:`EVENTS`.

    Parameters
    ----------
    patient
        Row of the clinical sheet: responses, ``progression`` and ``death`` (0 or
        1), ``pfs`` and ``os`` in days from the infusion, ``crs_grade``.
    """
    subject, last = str(patient["patient_id"]), int(patient["os"])
    events: list[tuple[int, str, str, str]] = []
    if int(patient["crs_grade"]) > 0:
        events.append((0, "adverse_event", "CRS (onset not stated)", str(int(patient["crs_grade"]))))
    for column, day in RESPONSES.items():
        if patient[column]:
            events.append((min(day, last), "response", str(patient[column]), ""))
    if int(patient["progression"]) == 1:
        events.append((int(patient["pfs"]), "progression", "", ""))
    if int(patient["death"]) == 1:
        events.append((last, "death", "", ""))
    # Two responses after the last contact would fall on one day; one that says the same stands once.
    return [(subject, str(day), *rest) for day, *rest in dict.fromkeys(events)]  # type: ignore[misc]


def main(argv: Sequence[str] | None = None) -> int:
    """Write subjects, products, infusions and events."""
    import openpyxl

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parent, help="trial folder")
    folder: Path = parser.parse_args(argv).folder
    book = openpyxl.load_workbook(folder / "data" / "longitudinal.xlsx", read_only=True, data_only=True)
    try:
        header, *lines = book["clin_data"].iter_rows(values_only=True)
    finally:
        book.close()
    patients = [dict(zip(map(str, header), line, strict=True)) for line in lines if line[0]]
    sheets = folder / "sheets"
    _write(
        sheets / "subjects.tsv",
        ("subject_id", "cohort", "sex", "age", "follow_up_day"),
        [
            (p["patient_id"], p["Product"], {"w": "female", "m": "male"}[p["sex"]], p["age_cart"], p["os"])
            for p in patients
        ],
    )
    _write(
        sheets / "products.tsv",
        ("product", "target", "vector"),
        [(product, "BCMA", "lentiviral") for product in PRODUCTS],
    )
    _write(
        sheets / "infusions.tsv",
        ("subject_id", "infusion", "product", "day", "lymphodepletion_day"),
        [(p["patient_id"], 1, p["Product"], 0, LYMPHODEPLETION_DAY) for p in patients],
    )
    _write(sheets / "events.tsv", EVENTS, [event for p in patients for event in events_of(p)])
    return 0


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, delimiter="\t", lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    raise SystemExit(main())
