"""All antibody metrics of all courses, and the changes of the starting dilution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartrace.analytes import ANTIBODY
from cartrace.antibody.metrics import results
from cartrace.antibody.titres import TITRE, read_courses
from cartrace.kinetics.rows import assemble
from cartrace.tables import COURSE_KEY, METRICS, QC, conform, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Antibody


def compute_antibody(
    measurements: pd.DataFrame, infusions: pd.DataFrame | None, settings: Antibody
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute every antibody metric of every course.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None; gives the
        first day of lymphodepletion.
    settings
        Section ``antibody`` of the configuration.

    Returns
    -------
    metrics, qc
        In the contracts of ``cartrace.tables.METRICS`` (one row for each course and
        metric, computable or not) and ``cartrace.tables.QC``.
    """
    readings = read_courses(measurements, infusions, settings)
    metrics = conform(assemble(readings, results(readings, settings)), METRICS)
    return metrics, find_changed_limits(measurements)


def find_changed_limits(measurements: pd.DataFrame) -> pd.DataFrame:
    """Report each result whose starting dilution, or lower limit, differs from the one before it.

    ``starting_dilution_changed`` for titres, ``lloq_changed`` for other units. The
    order is by study day over all infusions of a subject; results without a known
    limit are passed over. A negative result says less after a higher starting
    dilution, and does not confirm one at a lower.
    """
    use = measurements["analyte"].isin(ANTIBODY) & (measurements["status"] != "rejected")
    table = measurements[use & measurements["lloq"].notna()]
    course = [*(name for name in COURSE_KEY if name != "infusion"), "unit"]
    table = table.sort_values([*course, "study_day", "source_file", "source_row", "source_column"])
    before = table.groupby(course, sort=False)[["lloq", "study_day"]].shift(1)
    changed = before["lloq"].notna() & ~np.isclose(before["lloq"].fillna(0.0), table["lloq"], rtol=1e-9)
    return rows(
        [
            _finding({str(k): v for k, v in row.items()}, float(old), float(day))
            for row, old, day in zip(
                table[changed].to_dict("records"),
                before.loc[changed, "lloq"],
                before.loc[changed, "study_day"],
                strict=True,
            )
        ],
        QC,
    )


def _finding(row: dict[str, object], old: float, day: float) -> dict[str, object]:
    titre = row["unit"] == TITRE
    name = "starting dilution" if titre else "lower limit of quantification"
    form = "1:{:g}" if titre else f"{{:g}} {row['unit']}"
    now, then = form.format(row["lloq"]), form.format(old)
    return {
        "check": "starting_dilution_changed" if titre else "lloq_changed",
        "verdict": "warn",
        **{
            key: row[key]
            for key in ("source_file", "source_row", "source_column", "subject_id", "sample_id", "analyte")
        },
        "value": now,
        "limit": then,
        "limit_source": f"the result before it, study day {day:g}",
        "message": f"The {name} is {now} on study day {row['study_day']:g} and was {then} on study day {day:g}; "
        "negative results across the change do not confirm each other.",
    }
