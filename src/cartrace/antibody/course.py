"""All antibody metrics of all courses, and what is odd about their starting dilutions and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartrace.analytes import ANTIBODY
from cartrace.antibody.metrics import results
from cartrace.antibody.titres import SAME_STEP, TITRE, configured_steps, measured_steps, read_courses
from cartrace.kinetics.rows import assemble
from cartrace.tables import COURSE_KEY, METRICS, QC, concat, conform, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Antibody

_PLACE = ("source_file", "source_row", "source_column", "subject_id", "sample_id", "analyte")


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
    findings = [find_changed_limits(measurements), find_other_steps(measurements, settings)]
    return metrics, concat(findings, QC)


def find_other_steps(measurements: pd.DataFrame, settings: Antibody) -> pd.DataFrame:
    """Report each file whose titres rise by another dilution step than the configuration says.

    ``titre_step_differs``: the intervals of the file count, so that no number is wrong; but titres of
    files that don't tell their step are still read by the configured one. One finding for each file,
    antibody and step, at its first row.
    """
    use = measurements["analyte"].isin(ANTIBODY) & (measurements["status"] != "rejected")
    table = measurements[use].rename(columns={"unit": "course_unit"})
    table = table.assign(
        measured=measured_steps(measurements[use]).round(6), configured=configured_steps(table, settings)
    )
    other = (table["measured"] / table["configured"] - 1).abs() > SAME_STEP
    table = table[other].sort_values(["source_file", "source_row", "source_column"])
    findings = []
    for _, group in table.groupby(["source_file", "analyte", "assay", "measured"], sort=True):
        first = {str(k): v for k, v in group.iloc[0].items()}
        says = f"{first['configured']:g}-fold" if first["configured"] > 1 else "plain numbers"
        n = "1 titre" if len(group) == 1 else f"{len(group)} titres"
        findings.append(
            {
                "check": "titre_step_differs",
                "verdict": "warn",
                **{key: first[key] for key in _PLACE},
                "value": f"{first['measured']:g}-fold",
                "limit": says,
                "limit_source": "antibody.titre_step, antibody.rules",
                "message": f"{n} of {first['analyte']} ({first['assay']}) in {first['source_file']} come from "
                f"{first['measured']:g}-fold dilutions; the configuration says {says}. Their own intervals were used.",
                "suggestion": f"antibody.rules: analyte {first['analyte']}, titre_step {first['measured']:g}, "
                "if the file is right",
            }
        )
    return rows(findings, QC)


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
        **{key: row[key] for key in _PLACE},
        "value": now,
        "limit": then,
        "limit_source": f"the result before it, study day {day:g}",
        "message": f"The {name} is {now} on study day {row['study_day']:g} and was {then} on study day {day:g}; "
        "negative results across the change do not confirm each other.",
    }
