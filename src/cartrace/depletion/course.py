"""All depletion metrics and episodes of all courses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cartrace.depletion.definition import Definition, define
from cartrace.depletion.masking import mask
from cartrace.depletion.metrics import Course, find_depletion, results
from cartrace.depletion.series import build_series
from cartrace.kinetics.rows import assemble
from cartrace.tables import EPISODES, METRICS, conform

if TYPE_CHECKING:
    import pandas as pd

    from cartrace import config
    from cartrace.depletion.episodes import Episodes
    from cartrace.depletion.series import Series


class Depletion(NamedTuple):
    """The two tables, each in its contract."""

    metrics: pd.DataFrame
    episodes: pd.DataFrame


def compute_depletion(
    measurements: pd.DataFrame,
    infusions: pd.DataFrame | None,
    events: pd.DataFrame | None,
    settings: config.Depletion,
) -> Depletion:
    """Compute depth, length and end of depletion of every course.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``; analytes of
        ``cartrace.analytes.DEPLETION`` enter.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None: it gives the
        day of lymphodepletion, and the next infusion, at which a course ends.
    events
        Table in the contract of ``cartrace.tables.EVENTS``, or None: immunoglobulin
        doses mask IgG (``cartrace.depletion.masking``).
    settings
        Section ``depletion`` of the configuration.

    Returns
    -------
    Depletion
        ``metrics`` in the contract of ``cartrace.tables.METRICS``, one row for each
        course and metric, in the order of the course key; ``episodes`` in that of
        ``cartrace.tables.EPISODES``.
    """
    series = build_series(mask(measurements, events, settings), infusions)
    definition = define(series, settings)
    found = find_depletion(series, definition, settings)
    rows = results(Course(series, definition, found, settings))
    return Depletion(
        conform(assemble(series, rows), METRICS),
        conform(_episodes_table(series, definition, found), EPISODES),
    )


def _episodes_table(series: Series, definition: Definition, found: Episodes) -> pd.DataFrame:
    time = series.time[found.course]
    inside = series.used[found.course]
    inside &= (time >= found.start_upper[:, None]) & (time <= found.end_lower[:, None])
    before = np.searchsorted(found.course, found.course)
    return series.keys.iloc[found.course].assign(
        episode=np.arange(len(found)) - before + 1,
        start_lower=found.start_lower,
        start_upper=found.start_upper,
        end_lower=found.end_lower,
        end_upper=found.end_upper,
        status=np.where(np.isnan(found.end_upper), "open", "closed"),
        n_points=inside.sum(axis=1),
        definition=definition.text[found.course],
    )
