"""The checked sheets as tables on the study clock, without calendar dates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cartrace.tables import INFUSIONS, SAMPLES, SUBJECTS, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Config
    from cartrace.intake.sheets import Sheets


@dataclass(frozen=True, slots=True)
class SheetTables:
    """The sheets as tables: SUBJECTS, INFUSIONS, SAMPLES."""

    subjects: pd.DataFrame
    infusions: pd.DataFrame
    samples: pd.DataFrame


def sheet_tables(sheets: Sheets, config: Config, subjects_in_tables: Iterable[str] = ()) -> SheetTables:
    """Turn the sheets into tables without calendar dates.

    Parameters
    ----------
    sheets
        The checked sheets.
    config
        With ``single_infusion``, subjects without an infusion row get one on day 0.
    subjects_in_tables
        Subjects found in the laboratory tables; used with ``single_infusion``.
    """
    single = config.single_infusion
    subjects: list[dict[str, Any]] = [asdict(s) for s in sheets.subjects]
    if single is not None and config.sheets.subjects is None:
        known = {i.subject_id for i in sheets.infusions}
        found = sorted(set(subjects_in_tables) | known)
        subjects = [{"subject_id": s} for s in found]
    products = {p.product: p for p in sheets.products}
    infusions: list[dict[str, Any]] = []
    for i in sheets.infusions:
        product = products.get(i.product)
        infusions.append(
            asdict(i)
            | {
                "target": product.target if product else (single.target or None if single else None),
                "construct": product.construct if product else None,
                "vector": product.vector if product else (single.vector if single else "unknown"),
            }
        )
    if single is not None:
        treated = {i.subject_id for i in sheets.infusions}
        infusions += [
            {
                "subject_id": s["subject_id"],
                "infusion": 1,
                "study_day": 0.0,
                "product": single.product,
                "target": single.target or None,
                "vector": single.vector,
            }
            for s in subjects
            if s["subject_id"] not in treated
        ]
    return SheetTables(
        rows(subjects, SUBJECTS),
        rows(infusions, INFUSIONS),
        rows([asdict(s) for s in sheets.samples], SAMPLES),
    )
