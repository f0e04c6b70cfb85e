"""Integration sites that someone must look at: dominant, growing, near a gene of concern.

Every alarm rests on the lower limit of what was measured: few cells raise none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import optimize, special

from cartrace.repertoire.diversity import whole
from cartrace.repertoire.findings import finding
from cartrace.repertoire.tables import SITE_ALARM
from cartrace.tables import records, rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from cartrace.flow.counts import Floats
    from cartrace.repertoire.settings import Sites
    from cartrace.repertoire.site_clonality import Tracked

MONTH = 30.4
"""Days."""
MIN_SAMPLES = 3
"""Samples after the infusion that a slope needs: through two, any line goes."""
_CHECKS = {
    "dominant": "dominant_site",
    "growing": "growing_site",
    "gene_of_concern": "site_near_gene_of_concern",
}


class Growth(NamedTuple):
    """Growth of a site's share, as log10 a month."""

    slope: float
    """Infinite for a site that only the last sample has."""
    lower: float


def growth_of(
    cells: ArrayLike, totals: ArrayLike, months: ArrayLike, confidence: float = 0.95
) -> Growth | None:
    """Return how fast the share of a site grows; None when it was never seen or time does not pass.

    The cells of the site in each sample are Poisson counts of total * share, whose logarithm is linear in time. Given their
    sum they are multinomial, and the slope alone is left (McCullagh and Nelder 1989, Generalized Linear Models, 6.4). So
    samples without the site count as they should, and the limit is that of the likelihood ratio, finite also where the
    slope is not. Where the counts scatter by more than chance, the ratio is divided by Pearson's dispersion.

    Parameters
    ----------
    cells, totals
        Cells of the site and of all sites, whole numbers, (samples,).
    months
        Time, (samples,).
    confidence
        Level of the two-sided interval whose lower limit is given.
    """
    k, n, t = (np.asarray(a, dtype=np.float64) for a in (cells, totals, months))
    t = t - t.max()
    met = float(k.sum())
    if met == 0 or np.ptp(t) == 0:
        return None
    log_n = np.log(n)

    def log_likelihood(slope: float) -> float:
        return float(slope * (k @ t) - met * _log_sum(log_n + slope * t))

    def expected(slope: float) -> Floats:
        x = log_n + slope * t
        return np.asarray(met * np.exp(x - _log_sum(x)))

    def score(slope: float) -> float:
        return float((k - expected(slope)) @ t)

    late, early = bool((k[t < t.max()] == 0).all()), bool((k[t > t.min()] == 0).all())
    if early:
        return Growth(-np.inf, -np.inf)
    if late:
        slope, dispersion = np.inf, 1.0
        best = -met * _log_sum(log_n[t == 0])
    else:
        slope = _root(score)
        fitted = expected(slope)
        dispersion = max(1.0, float(((k - fitted) ** 2 / fitted).sum()) / max(len(k) - 2, 1))
        best = log_likelihood(slope)
    drop = dispersion * float(special.chdtri(1, 1 - confidence)) / 2

    # Falls from where the slope lies far too low to where it fits well enough, and the limit lies between.
    lower = _root(lambda low: best - log_likelihood(low) - drop, slope)
    return Growth(slope / np.log(10), lower / np.log(10))


def _log_sum(x: Floats) -> float:
    most = float(x.max())
    return most + float(np.log(np.exp(x - most).sum()))


def _root(falling: Callable[[float], float], top: float = np.inf) -> float:
    """Return where a function that falls up to ``top`` is 0."""
    low, high = -1.0, min(top, 1.0)
    while falling(high) > 0:
        high = min(2 * high, top)
    low = min(low, high - 1.0)
    while falling(low) < 0:
        low *= 2
    return float(optimize.brentq(falling, low, high))


def site_alarms(tracked: Tracked, found: pd.DataFrame, settings: Sites, confidence: float) -> pd.DataFrame:
    """Return SITE_ALARM.

    A site is dominant where the lower limit of its share reaches the configured one. It grows where the lower limit of
    its share in the last sample reaches ``growth_percent``, and that of its growth, over the samples since one infusion
    in one compartment, reaches ``growth_per_month``. Near a gene of concern it is told where the lower limit of its
    share reaches ``growth_percent``, or where it grows. Samples below ``min_abundance`` cells say nothing.

    Parameters
    ----------
    found
        SITE_SAMPLES of the subject.
    """
    least = min(settings.dominant_percent, settings.growth_percent)
    enough = records(found[(found["total"] >= settings.min_abundance) & (found["lower"] >= least)])
    growing = _growing(tracked, enough, settings, confidence)
    out = []
    for row in enough:
        share = f"{row['percent']:.3g} % of {row['total']:g} cells ({row['cell_type']}; lower limit {row['lower']:.3g} %)"
        where = f"{row['site']} ({row['gene']})" if row["gene"] else row["site"]
        growth = growing.get((row["cell_type"], row["sample_id"], row["site"]))
        common = {c: row[c] for c in SITE_ALARM.names if c in row}
        if row["lower"] >= settings.dominant_percent:
            message = f"{where} is dominant: {share}"
            out.append(
                {**common, "alarm": "dominant", "limit": settings.dominant_percent, "message": message}
            )
        rate = ""
        if growth is not None:
            common |= {
                "slope": growth.slope if np.isfinite(growth.slope) else None,
                "slope_lower": growth.lower,
            }
            rate = f"its share grows by a factor of {10**growth.lower:.2g} a month or more"
            limit = float(np.log10(settings.growth_per_month))
            message = f"{where}: {rate}, to {share}"
            out.append({**common, "alarm": "growing", "limit": limit, "message": message})
        if row["of_concern"] and (row["lower"] >= settings.growth_percent or growth is not None):
            near = f"{row['gene_distance']} bases from" if row["gene_distance"] else "in"
            message = f"{row['site']} lies {near} {row['gene']}, a gene of concern: {share}{f'; {rate}' if rate else ''}"
            out.append(
                {
                    **common,
                    "alarm": "gene_of_concern",
                    "limit": settings.growth_percent,
                    "message": message,
                }
            )
    return rows(({**row, "subject_id": tracked.subject_id} for row in out), SITE_ALARM)


def findings(tracked: Tracked, alarms: pd.DataFrame, settings: Sites) -> list[dict[str, object]]:
    """Return rows of qc: one for each alarm, and what had too few cells or samples to raise one."""
    tell = partial(finding, subject_id=tracked.subject_id)
    out = [
        tell(
            _CHECKS[a["alarm"]],
            "warn",
            a["message"],
            value=f"{a['percent']:.4g}",
            sample_id=a["sample_id"],
            limit=f"{a['limit']:.4g}",
            limit_source="repertoire.sites of the configuration",
        )
        for a in records(alarms)
    ]
    for (cell_type, sample_id), sites in tracked.counts.items():
        total = sum(s.abundance for s in sites.values())
        if total < settings.min_abundance:
            message = f"{total:g} cells with a site ({cell_type}): too few for an alarm"
            limit = f"at least {settings.min_abundance}"
            out.append(
                tell("site_cells", "note", message, value=f"{total:g}", sample_id=sample_id, limit=limit)
            )
    for (cell_type, matrix, infusion), course in _courses(tracked, settings).items():
        if len(course) < MIN_SAMPLES:
            message = (
                f"{len(course)} samples with enough cells since infusion {infusion} ({cell_type}, {matrix}): whether a site "
                "grows is not estimable"
            )
            limit = f"at least {MIN_SAMPLES}"
            out.append(tell("site_growth", "note", message, value=len(course), limit=limit))
    return out


def _courses(tracked: Tracked, settings: Sites) -> dict[tuple[str, str, int], list[str]]:
    """Return (cell type, compartment, infusion) -> its samples after the infusion with enough cells, in time."""
    courses: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    samples, counts = tracked.samples, tracked.counts
    for cell_type, sample_id in sorted(counts, key=lambda key: (key[0], samples[key[1]].order)):
        sample = samples[sample_id]
        if sample.is_product or sample.pre_infusion:
            continue
        course = courses[cell_type, sample.matrix, sample.infusion]
        if sum(s.abundance for s in counts[cell_type, sample_id].values()) >= settings.min_abundance:
            course.append(sample_id)
    return courses


def _growing(
    tracked: Tracked,
    found: Sequence[dict[str, Any]],
    settings: Sites,
    confidence: float,
) -> dict[tuple[str, str, str], Growth]:
    """Return (cell type, last sample, site) -> growth, of sites that grow."""
    large = defaultdict(list)
    for row in found:
        if row["lower"] >= settings.growth_percent:
            large[row["cell_type"], row["sample_id"]].append(row["site"])
    growing = {}
    samples, counts = tracked.samples, tracked.counts
    for (cell_type, _, _), course in _courses(tracked, settings).items():
        if len(course) < MIN_SAMPLES:
            continue
        cells = [_whole(counts[cell_type, sample_id]) for sample_id in course]
        totals = [sum(c.values()) for c in cells]
        months = [samples[sample_id].study_day / MONTH for sample_id in course]
        for site in large[cell_type, course[-1]]:
            growth = growth_of([c.get(site, 0) for c in cells], totals, months, confidence)
            if growth is not None and growth.lower >= np.log10(settings.growth_per_month):
                growing[cell_type, course[-1], site] = growth
    return growing


def _whole(sites: Any) -> dict[str, int]:
    """Return the whole cells of each site."""
    return dict(zip(sites, whole([s.abundance for s in sites.values()]).tolist(), strict=True))
