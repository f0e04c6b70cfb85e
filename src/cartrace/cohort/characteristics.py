"""Table 1: who the subjects are, and what they received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cartrace.cohort.groups import cohorts
from cartrace.tables import CHARACTERISTICS, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Cohort

NOT_GIVEN = "not given"
"""Level of the subjects whose cell is empty, so that the shares of a variable add up to 100 %."""
NO_INFUSION = "no infusion"

Row = dict[str, object]


def describe_subjects(subjects: pd.DataFrame, infusions: pd.DataFrame, settings: Cohort) -> pd.DataFrame:
    """Describe all subjects, and each cohort, by numbers and shares.

    Percentages are shares of all subjects of the cohort, those without a value
    included. Categories stand as the sheets write them. The dose is that of the
    first infusion; a subject counts once for every product it received.

    Parameters
    ----------
    subjects
        The subjects table (``cartrace.tables.SUBJECTS``).
    infusions
        The infusions table (``cartrace.tables.INFUSIONS``).
    settings
        Section ``cohort`` of the configuration.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.CHARACTERISTICS``: for 'all' and each
        cohort the same variables in the same order.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    """
    first = infusions.sort_values("infusion", kind="stable").drop_duplicates("subject_id")
    units = sorted(first.loc[first["dose"].notna(), "dose_unit"].fillna("").unique())
    described: list[Row] = []
    for cohort, members in cohorts(subjects, by_cohort=settings.by_cohort):
        received = infusions[infusions["subject_id"].isin(members)]
        of_cohort = subjects[subjects["subject_id"].isin(members)]
        if of_cohort.empty:
            continue
        table = [
            {"variable": "Subjects", "level": "", "n": len(of_cohort)},
            *_shares("Sex", of_cohort["sex"].fillna(NOT_GIVEN), len(of_cohort)),
            _number("Age", of_cohort["age"], "years"),
            _number("Weight", of_cohort["weight_kg"], "kg"),
            *_shares("Product", _products(of_cohort, received), len(of_cohort)),
            _number("Infusions per subject", received.groupby("subject_id").size().astype(float), ""),
            *_doses(first[first["subject_id"].isin(members)], units),
            _number("Follow-up", of_cohort["follow_up_study_day"], "day"),
        ]
        described += [{"cohort": cohort, "n_total": len(of_cohort), **row} for row in table]
    return rows(described, CHARACTERISTICS)


def _number(variable: str, values: pd.Series[float], unit: str) -> Row:
    known = values.dropna()
    row: Row = {"variable": variable, "level": "", "n": len(known), "unit": unit or None}
    if len(known):
        row |= {"median": known.median(), "minimum": known.min(), "maximum": known.max()}
    return row


def _shares(variable: str, levels: Iterable[str], n_total: int) -> Iterator[Row]:
    counts = Counter(levels)
    # What is missing comes last.
    for level in sorted(counts, key=lambda x: (x in {NOT_GIVEN, NO_INFUSION}, x)):
        n = counts[level]
        yield {"variable": variable, "level": level, "n": n, "percent": 100 * n / n_total}


def _products(subjects: pd.DataFrame, infusions: pd.DataFrame) -> list[str]:
    """Give one element for each product of each subject, and one for each without any."""
    received = infusions[["subject_id", "product"]].drop_duplicates()["product"]
    none = ~subjects["subject_id"].isin(infusions["subject_id"])
    return [*received, *[NO_INFUSION] * int(none.sum())]


def _doses(first: pd.DataFrame, units: list[str]) -> Iterator[Row]:
    # Doses of two units are two variables: they share no median.
    for unit in units or [""]:
        name = f"First dose, {unit or 'no unit given'}" if len(units) > 1 else "First dose"
        yield _number(name, first.loc[first["dose_unit"].fillna("") == unit, "dose"], unit)
