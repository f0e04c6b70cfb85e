"""All subjects, and each cohort of the subjects sheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
"""Name of the whole."""


def cohorts(subjects: pd.DataFrame, *, by_cohort: bool) -> Iterator[tuple[str, set[str]]]:
    """Give each cohort's name and members: 'all' first, then the cohorts by name.

    A subject without cohort counts among 'all' only.

    Parameters
    ----------
    subjects
        The subjects table (``cartrace.tables.SUBJECTS``).
    by_cohort
        False gives 'all' alone.

    Raises
    ------
    ValueError
        When a cohort is called 'all'.
    """
    yield ALL, set(subjects["subject_id"])
    if not by_cohort:
        return
    named = subjects.dropna(subset=["cohort"])
    if (named["cohort"] == ALL).any():
        raise ValueError("a cohort of the subjects sheet is called 'all'; give it another name")
    for cohort, members in named.groupby("cohort", sort=True)["subject_id"]:
        yield str(cohort), set(members)
