"""The checked sheets as tables on the study clock, without calendar dates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cartrace.intake.observations import on_clock
from cartrace.intake.sheets import look_alike, quote
from cartrace.problems import Problem, did_you_mean
from cartrace.safety.tables import OBSERVATIONS
from cartrace.tables import EVENTS, INFUSIONS, SAMPLES, SUBJECTS, empty, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Config
    from cartrace.intake.sheets import Event, Sheets


@dataclass(frozen=True, slots=True)
class SheetTables:
    """The sheets as tables: SUBJECTS, INFUSIONS, SAMPLES, EVENTS, and OBSERVATIONS of the safety stage."""

    subjects: pd.DataFrame
    infusions: pd.DataFrame
    samples: pd.DataFrame
    events: pd.DataFrame = field(default_factory=lambda: empty(EVENTS))
    observations: pd.DataFrame = field(default_factory=lambda: empty(OBSERVATIONS))


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
    plans: dict[str, list[tuple[int, float, float | None]]] = {}
    for row in sorted(infusions, key=lambda r: (r["subject_id"], r["infusion"])):
        plan = plans.setdefault(row["subject_id"], [])
        plan.append((row["infusion"], row["study_day"], row.get("lymphodepletion_day")))
    return SheetTables(
        rows(subjects, SUBJECTS),
        rows(infusions, INFUSIONS),
        rows([asdict(s) for s in sheets.samples], SAMPLES),
        rows([asdict(e) for e in _in_order(sheets.events)], EVENTS),
        rows(on_clock(sheets.observations, plans), OBSERVATIONS),
    )


def strangers(tables: SheetTables, events_sheet: str) -> list[Problem]:
    """Name the subjects of the events sheet that have no infusion.

    Without a subjects sheet they can be known only once the laboratory's tables
    are read; :func:`cartrace.intake.sheets.read_sheets` tells them otherwise.
    """
    return unknown_subjects(set(tables.events["subject_id"]), tables, events_sheet)


def unknown_subjects(subjects: Iterable[str], tables: SheetTables, sheet: str) -> list[Problem]:
    """Name those ``subjects`` of a sheet that have no infusion, each once, in order."""
    known = sorted(tables.infusions["subject_id"])
    alike = {look_alike(s): s for s in known}
    return [
        Problem(
            sheet,
            f"subject {quote(s)}",
            "a subject of the laboratory's tables",
            column="subject_id",
            suggestion=alike.get(look_alike(s)) or did_you_mean(s, known),
        )
        for s in sorted(set(subjects) - set(known))
    ]


def _in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda e: (e.subject_id, e.study_day, e.kind, e.label or ""))
