"""Diversity of the clones, or integration sites, of a sample: as it was seen, and at equal depth.

Most indices grow with the number of cells that were looked at, so two samples are compared at equal depth only.
What is expected there is exact for richness, Shannon, Simpson and the Hill numbers (Hurlbert 1971, Ecology 52:577;
Chao 2014, Ecol Monogr 84:45), and the mean of random subsamples for the others.

Intervals are those of Chao 2014 (appendix G): samples are drawn from the clones that were seen, their shares
reduced, and as many unseen ones as Chao1 lets expect. Drawing from the seen clones alone would never find a new
one: richness would come out too low in every draw. The limits are the index -+ z times the spread of the draws:
where the same index of another sample of this depth would lie in the mean. They say nothing on cells that no
sample of this depth shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from cartrace.repertoire.tables import DIVERSITY
from cartrace.repertoire.vocabulary import INDICES
from cartrace.tables import rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.repertoire.settings import Diversity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT = ("richness", "shannon", "simpson", "hill_0", "hill_1", "hill_2")
"""Indices whose expectation at a smaller depth has a formula."""
LEAST_CELL = 0.5
"""Abundance below which a site is no cell, and the table perhaps one of shares."""
NO_CELLS = "abundances this small or large are no numbers of cells"
MOST_CELLS = 10_000_000
"""Cells above which nothing is drawn: no sequencing run holds so many, and drawing takes memory for each."""
MOST_EXACT = 2.0**53
"""Beyond it, numbers are no longer whole."""
TAIL = 12.0
"""Standard deviations of the hypergeometric distribution beyond which its terms are left out (below 1e-30)."""


@dataclass(frozen=True, slots=True)
class IndexNote:
    """What an index is, and what its reader must know."""

    name: str
    unit: str
    definition: str
    depth: str


INDEX_NOTES: Mapping[str, IndexNote] = {
    "richness": IndexNote(
        "Richness", "clones", "Clones seen.", "Grows with depth: compare at equal depth only."
    ),
    "chao1": IndexNote(
        "Chao1",
        "clones",
        "Least number of clones, seen and unseen: richness + f1 (f1 - 1) / (2 (f2 + 1)), with f1 clones of one cell and "
        "f2 of two (bias-corrected; Chao 1984, Scand J Stat 11:265; vegan's S.chao1).",
        "A lower bound that still grows with depth; rests on whole cells.",
    ),
    "shannon": IndexNote(
        "Shannon", "nat", "-sum p ln p over the shares p of the clones.", "Grows with depth, slower."
    ),
    "pielou": IndexNote(
        "Evenness (Pielou)",
        "",
        "Shannon / ln(richness), 0 to 1; none of a single clone.",
        "Depends on depth through the richness.",
    ),
    "gini": IndexNote(
        "Gini",
        "",
        "sum (2 i - n - 1) x_i / (n sum x), the n clones sorted from the smallest; 0 when all are equal (R: reldist, ineq).",
        "Depends on depth: near 0 where nearly all clones are of one cell.",
    ),
    "simpson": IndexNote(
        "Simpson", "", "1 - sum p^2: two cells, drawn with replacement, are of two clones.", "Hardly."
    ),
    "hill_0": IndexNote("Hill number 0", "clones", "Richness.", "As richness."),
    "hill_1": IndexNote(
        "Hill number 1", "clones", "exp(Shannon): clones of equal size that give it.", "Grows with depth."
    ),
    "hill_2": IndexNote(
        "Hill number 2",
        "clones",
        "1 / sum p^2 (inverse Simpson): clones of equal size that give it.",
        "Hardly, unless nearly all clones are of one cell.",
    ),
    "d50": IndexNote(
        "D50",
        "%",
        "UC50 as share of the clones, % (after patent WO2012097374A1, which stops at half of the cells where UC50 "
        "asks for more).",
        "Depends on depth through the richness.",
    ),
    "uc50": IndexNote(
        "UC50",
        "clones",
        "Fewest clones, the largest first, that hold more than half of the cells (Nobles 2020, J Clin Invest 130:673).",
        "Grows with depth.",
    ),
    "largest": IndexNote("Largest clone", "%", "Share of the cells in it.", "Hardly."),
}
_LIMITS = {"pielou": (0, 1), "gini": (0, 1), "simpson": (0, 1), "shannon": (0, np.inf)}
_PERCENT = (0, 100)
_AT_LEAST_ONE = (1, np.inf)


def indices_of(abundances: ArrayLike) -> dict[str, float]:
    """Return every index of the clones of one sample.

    Parameters
    ----------
    abundances
        Cells of each clone, or abundance of each site, in any order, (clones,); zeros are left out. Fractions are
        taken as they are, and rounded (a half up, to one at least) for Chao1.

    Returns
    -------
    dict
        Index -> value; ``pielou`` is nan for a single clone.

    Raises
    ------
    ValueError
        For no clone, and for abundances that are negative, no numbers or beyond any count.
    """
    sizes, clones = np.unique(_clean(abundances), return_counts=True)
    return _indices(sizes, clones)


def _clean(abundances: ArrayLike) -> Floats:
    found = np.asarray(abundances, dtype=np.float64).ravel()
    if not np.isfinite(found).all() or (found < 0).any() or found.sum() > MOST_EXACT:
        raise ValueError("abundances are numbers from 0 on, below 2^53 together")
    if not (found > 0).any():
        raise ValueError("an index needs a clone")
    return found[found > 0]


def whole(abundances: ArrayLike) -> Ints:
    """Return abundances as whole cells, a half rounded up, to one at least; zeros stay away."""
    return np.maximum(np.floor(_clean(abundances) + 0.5), 1).astype(np.int64)


def _indices(sizes: ArrayLike, clones: ArrayLike) -> dict[str, float]:
    """Return the indices of ``clones`` clones of each of the increasing ``sizes``."""
    x, f = np.asarray(sizes, dtype=np.float64), np.asarray(clones, dtype=np.float64)
    total, n = float(x @ f), float(f.sum())
    p = x / total
    shannon = max(float(-(f * p) @ np.log(p)), 0.0)
    concentration = float(f @ p**2)
    smaller = np.cumsum(f) - f
    rounded = np.maximum(np.floor(x + 0.5), 1)
    single, double = float(f[rounded == 1].sum()), float(f[rounded == 2].sum())
    uc50 = _uc50(x[::-1], f[::-1], total)
    return {
        "richness": n,
        "chao1": n + single * (single - 1) / (2 * (double + 1)),
        "shannon": shannon,
        "pielou": min(shannon / np.log(n), 1.0) if n > 1 else np.nan,
        "gini": max(float((x * f) @ (2 * smaller + f - n)) / (n * total), 0.0),
        "simpson": max(1 - concentration, 0.0),
        "hill_0": n,
        "hill_1": float(np.exp(shannon)),
        "hill_2": 1 / concentration,
        "d50": 100 * uc50 / n,
        "uc50": uc50,
        "largest": 100 * float(p[-1]),
    }


def _uc50(x: Floats, f: Floats, total: float) -> float:
    """Return the fewest clones that hold more than half; ``x`` decreases."""
    held = np.cumsum(x * f)
    at = min(int(np.searchsorted(held, total / 2, side="right")), len(x) - 1)
    missing = total / 2 - (held[at] - x[at] * f[at])
    return float(f[:at].sum() + min(np.floor(missing / x[at]) + 1, f[at]))


def rarefied(counts: ArrayLike, depth: int) -> dict[str, float]:
    """Return the indices of :data:`EXACT` that are expected of ``depth`` cells drawn without replacement.

    Of the Hill numbers 1 and 2 the expected Shannon and Simpson indices are taken (Chao 2014, equations 4 to 6).

    Parameters
    ----------
    counts
        Cells of each clone, whole numbers, (clones,).
    depth
        Cells drawn, 1 to all.

    Raises
    ------
    ValueError
        For a depth that is 0 or above the cells that there are.
    """
    sizes, clones = np.unique(whole(counts), return_counts=True)
    return _from_terms(_terms(sizes, int(sizes @ clones), depth), clones)


def _terms(sizes: Ints, cells: int, depth: int) -> Floats:
    """Return what a clone of each size gives at a depth: seen at all, -q ln q, q^2 of its share q; (3, sizes)."""
    if not 1 <= depth <= cells:
        raise ValueError(f"{cells} cells can't be rarefied to {depth}")
    x = sizes.astype(np.float64)
    if depth == cells:
        q = x / cells
        return np.stack([np.ones_like(x), -q * np.log(q), q**2])
    rest = cells - x
    with np.errstate(invalid="ignore"):
        missed = gammaln(rest + 1) - gammaln(rest - depth + 1) + gammaln(cells - depth + 1)
        missed = np.where(rest >= depth, np.exp(missed - gammaln(cells + 1)), 0.0)
    pairs = x * (x - 1) * (depth - 1) / max(cells - 1, 1)
    square = (pairs + x) / cells / depth
    return np.stack([1 - missed, [_entropy_of(int(s), cells, depth) for s in sizes], square])


def _entropy_of(size: int, cells: int, depth: int) -> float:
    """Return the expected -q ln q, where q * depth is hypergeometric."""
    mean = depth * size / cells
    spread = TAIL * (1 + np.sqrt(mean * (1 - size / cells)))
    low = max(1, depth - (cells - size), int(mean - spread))
    k = np.arange(low, min(size, depth, int(mean + spread) + 1) + 1, dtype=np.float64)
    log_p = (
        gammaln(size + 1)
        - gammaln(k + 1)
        - gammaln(size - k + 1)
        + gammaln(cells - size + 1)
        - gammaln(depth - k + 1)
        - gammaln(cells - size - depth + k + 1)
        + gammaln(depth + 1)
        + gammaln(cells - depth + 1)
        - gammaln(cells + 1)
    )
    return float(-(np.exp(log_p) * k / depth) @ np.log(k / depth))


def _from_terms(terms: Floats, clones: NDArray[Any]) -> dict[str, float]:
    richness, shannon, concentration = (float(t) for t in terms @ clones.astype(np.float64))
    # At equal depth, rounding is all that can push an index over its bound.
    shannon = max(shannon, 0.0)
    return {
        "richness": richness,
        "shannon": shannon,
        "simpson": max(1 - concentration, 0.0),
        "hill_0": richness,
        "hill_1": float(np.exp(shannon)),
        "hill_2": 1 / concentration,
    }


@dataclass(frozen=True, slots=True)
class Assemblage:
    """Clones of which a sample may be drawn, those of one share together.

    Attributes
    ----------
    shares
        Share of each group of clones together, (groups,); they add up to 1. The last is that of the unseen clones.
    clones
        Clones in each group, (groups,).
    """

    shares: Floats
    clones: Ints


def assemblage_of(counts: ArrayLike) -> Assemblage:
    """Return the seen and unseen clones behind a sample: Chao 2014, appendix G.

    Parameters
    ----------
    counts
        Cells of each clone, whole numbers, (clones,).
    """
    sizes, clones = np.unique(whole(counts), return_counts=True)
    n = float(sizes @ clones)
    f1, f2 = float(clones[sizes == 1].sum()), float(clones[sizes == 2].sum())
    unseen = (n - 1) / n * (f1**2 / (2 * f2) if f2 else f1 * (f1 - 1) / 2)
    missing = f1 / n * n * unseen / (n * unseen + f1) if f1 else 0.0
    p = sizes / n
    absent = np.exp(n * np.log1p(-np.minimum(p, 1 - 1e-16)))
    reduced = p * (1 - missing / float(clones @ (p * absent)) * absent) if missing else p
    shares = np.append(clones * np.maximum(reduced, 0), missing)
    return Assemblage(shares / shares.sum(), np.append(clones, int(np.ceil(unseen))).astype(np.int64))


def draw(assemblage: Assemblage, cells: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw cells; return the sizes of the clones that were met, and how many clones have each."""
    by_group = rng.multinomial(cells, assemblage.shares)
    group = np.repeat(np.arange(len(by_group)), by_group)
    member = rng.integers(assemblage.clones[group])
    first = np.cumsum(assemblage.clones) - assemblage.clones
    _, met = np.unique(first[group] + member, return_counts=True)
    sizes, clones = np.unique(met, return_counts=True)
    return sizes.astype(np.int64), clones.astype(np.int64)


def _spread(draws: list[dict[str, float]]) -> dict[str, float]:
    """Return the standard deviation of each index; nan where no draw has one."""
    found = {}
    for index in draws[0]:
        values = np.array([d[index] for d in draws])
        values = values[np.isfinite(values)]
        found[index] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """Indices of one sample at one depth, and the spread of their draws (nan: none can be told)."""

    depth: int
    values: Mapping[str, float]
    spreads: Mapping[str, float]


def measure(
    abundances: ArrayLike, *, depth: int | None, settings: Diversity, seed: int
) -> tuple[Measured, Measured | None]:
    """Return the indices of a sample as seen, and at a depth (None: only as seen).

    What is drawn at random depends on the seed and on the abundances, not on their order.

    Raises
    ------
    ValueError
        As :func:`indices_of`, and for a depth that the sample does not have.
    """
    counts = np.sort(whole(abundances))
    cells = int(counts.sum())
    rng = np.random.default_rng([seed, crc32(counts.tobytes())])
    assemblage = assemblage_of(counts)
    # Nothing can be said of the spread of a single clone: every draw is the same.
    varied = len(counts) > 1
    drawn = [draw(assemblage, cells, rng) for _ in range(settings.bootstraps)] if varied else []
    spreads = _spread([_indices(*d) for d in drawn]) if varied else dict.fromkeys(INDICES, np.nan)
    seen = Measured(cells, indices_of(abundances), spreads)
    if depth is None:
        return seen, None
    if depth == cells:
        return seen, Measured(depth, indices_of(counts), spreads)
    values = _subsampled(counts, depth, settings.bootstraps, rng) | rarefied(counts, depth)
    if varied:
        all_sizes = np.unique(np.concatenate([sizes for sizes, _ in drawn]))
        terms = _terms(all_sizes, cells, depth)
        exact = [_from_terms(terms[:, np.searchsorted(all_sizes, s)], f) for s, f in drawn]
        # For the others: samples of this depth, which spread more than the mean of all subsamples of one sample.
        others = [_indices(*draw(assemblage, depth, rng)) for _ in range(settings.bootstraps)]
        spreads = _spread(others) | _spread(exact)
    return seen, Measured(depth, values, spreads)


def _subsampled(counts: Ints, depth: int, draws: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the mean of each index over random subsamples; pielou over those of several clones."""
    labels = np.repeat(np.arange(len(counts)), counts)
    found = []
    for _ in range(draws):
        met = np.bincount(rng.choice(labels, depth, replace=False, shuffle=False))
        found.append(_indices(*np.unique(met[met > 0], return_counts=True)))
    means = {}
    for index in INDICES:
        values = np.array([f[index] for f in found])
        values = values[np.isfinite(values)]
        means[index] = float(values.mean()) if len(values) else np.nan
    return means


def diversity_table(
    counts_by_sample: Mapping[str, ArrayLike],
    samples: Mapping[str, Mapping[str, Any]],
    *,
    subject_id: str,
    unit: str,
    population: str,
    settings: Diversity,
    seed: int,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return the rows of DIVERSITY of one population, or cell type, of one subject.

    Every sample has each index twice: as seen, and at the depth that all samples share. What can't be told is a
    row with a reason.

    Parameters
    ----------
    counts_by_sample
        sample_id -> cells of each clone, or abundance of each site, (clones,); a sample without any may be there.
    samples
        sample_id -> ``infusion``, ``day``, ``study_day``, ``matrix``; more is ignored.
    unit, population
        See DIVERSITY.
    confidence
        Level of the intervals.

    Raises
    ------
    ValueError
        For abundances that are negative or no numbers.
    """
    order = sorted(counts_by_sample, key=lambda s: (samples[s]["study_day"], s))
    kept = {s: np.asarray(counts_by_sample[s], dtype=np.float64).ravel() for s in order}
    cells = {s: _cells(v) for s, v in kept.items()}
    depth = settings.rarefied_to or min((c for c in cells.values() if c >= settings.min_cells), default=None)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    found: list[dict[str, object]] = []
    for sample in order:
        fact = samples[sample]
        facts = {
            "subject_id": subject_id,
            "unit": unit,
            "population": population,
            "sample_id": sample,
            **{name: fact[name] for name in ("infusion", "day", "study_day", "matrix")},
        }
        seen, equal, why = _measured(kept[sample], cells[sample], depth, settings, seed)
        for measured, is_rarefied, reason in ((seen, False, "no cells"), (equal, True, why)):
            told = _index_rows(measured, unit, z, reason, cells[sample])
            found += [{**facts, "rarefied": is_rarefied, **row} for row in told]
    return rows(found, DIVERSITY)


def _cells(abundances: Floats) -> int:
    if not (abundances > 0).any():
        return 0
    met = _clean(abundances)
    return int(met.sum()) if met.sum() > MOST_CELLS else int(whole(met).sum())


def _measured(
    abundances: Floats, cells: int, depth: int | None, settings: Diversity, seed: int
) -> tuple[Measured | None, Measured | None, str]:
    """Return the indices as seen, those at equal depth, and why there are none."""
    if not cells:
        return None, None, "no cells"
    met = abundances[abundances > 0]
    if met.min() < LEAST_CELL or cells > MOST_CELLS:
        # Without cells to count there is neither a clone of one cell nor a draw.
        values = {**indices_of(met), "chao1": np.nan}
        return Measured(cells, values, dict.fromkeys(INDICES, np.nan)), None, NO_CELLS
    if depth is None or cells < settings.min_cells:
        why = f"{cells} cells; {settings.min_cells} are needed"
    elif cells < depth:
        why = f"{cells} cells; rarefied to {depth}"
    else:
        return *measure(met, depth=depth, settings=settings, seed=seed), ""
    return measure(met, depth=None, settings=settings, seed=seed)[0], None, why


def _index_rows(
    measured: Measured | None, unit: str, z: float, reason: str, cells: int
) -> Iterator[dict[str, object]]:
    noun = "clone" if unit == "clonotype" else "site"
    for index in INDICES:
        row: dict[str, object] = {"index": index, "depth": measured.depth if measured else cells}
        value = measured.values[index] if measured else np.nan
        if measured is None:
            row["reason"] = reason
        elif np.isnan(value):
            row["reason"] = f"one {noun} has no evenness" if index == "pielou" else NO_CELLS
        else:
            least, most = _LIMITS.get(index, _PERCENT if index in ("d50", "largest") else _AT_LEAST_ONE)
            spread = measured.spreads[index]
            row["value"] = value
            if np.isfinite(spread):
                row["lower"] = min(max(value - z * spread, least), value)
                row["upper"] = max(min(value + z * spread, most), value)
        yield row
