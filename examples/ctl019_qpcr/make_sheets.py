"""Derive the sheets of the CTL019 example from its table.

The table has no infusion dates, but its visit labels tell them: a sample called
"post" was taken right after an infusion. Doses within two days are the parts of
one split infusion. Run it in this folder, with the data in data/:

    python make_sheets.py

and use config_infusions.yaml instead of config.yaml. The sheets hold patient ids,
so they stay out of the repository.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

SPLIT_DOSE_DAYS = 2


def infusion_days(samples: Iterable[tuple[str, float]]) -> list[int]:
    """Return the study days of the infusions of one patient.

    Parameters
    ----------
    samples
        Visit label and study day of each sample.
    """
    posts = sorted(math.floor(day) for label, day in samples if re.search(r"\bpost\b", label))
    days = [0]
    last = 0
    for day in posts:
        if day - last > SPLIT_DOSE_DAYS:
            days.append(day)
        last = day
    return days


def main(argv: Sequence[str] | None = None) -> int:
    """Write subjects, products and infusions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parent, help="trial folder")
    folder: Path = parser.parse_args(argv).folder
    with (folder / "data" / "vcn_long.tsv").open(encoding="utf-8", newline="") as handle:
        table = list(csv.DictReader(handle, delimiter="\t"))
    with (folder / "data" / "patients.tsv").open(encoding="utf-8", newline="") as handle:
        patients = list(csv.DictReader(handle, delimiter="\t"))
    samples: dict[str, list[tuple[str, float]]] = {}
    for row in table:
        samples.setdefault(row["patient"], []).append((row["visit_label"], float(row["day"])))
    sheets = folder / "sheets"
    _write(
        sheets / "subjects.tsv",
        ["subject_id", "cohort", "age"],
        [[p["Patient_ID"], p["Disease"], p["Age_at_CAR_Tcell_Infusion"]] for p in patients],
    )
    _write(sheets / "products.tsv", ["product", "target", "vector"], [["CTL019", "CD19", "lentiviral"]])
    _write(
        sheets / "infusions.tsv",
        ["subject_id", "infusion", "product", "day"],
        [
            [patient, str(n), "CTL019", str(day)]
            for patient, of_patient in samples.items()
            for n, day in enumerate(infusion_days(of_patient), 1)
        ],
    )
    return 0


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, delimiter="\t", lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    raise SystemExit(main())
