"""Integration sites of one subject over its samples: one name for a site, shares, cell types, genes of concern."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.flow.counts import share_interval
from cartrace.repertoire.diversity import diversity_table, whole
from cartrace.repertoire.findings import finding
from cartrace.repertoire.gene_list import symbols_of
from cartrace.repertoire.overlap import overlap_table
from cartrace.repertoire.samples import Sample
from cartrace.repertoire.sites import site_name
from cartrace.repertoire.tables import DIVERSITY, SITE_SAMPLES
from cartrace.tables import concat, records, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.repertoire.settings import Repertoire

_SHOWN = 3
_NEEDED = ["site_set", "chromosome", "strand", "position", "abundance", "gene", "gene_distance"]


@dataclass(frozen=True, slots=True)
class PlannedSites:
    """One site set and the sample and cells that it is of."""

    site_set: str
    cell_type: str
    sample: Sample


@dataclass(slots=True)
class SiteCells:
    """One site in one sample and cell type."""

    chromosome: str
    position: int
    strand: str
    abundance: float = 0.0
    gene: str | None = None
    distance: int | None = None

    @property
    def name(self) -> str:
        """Return its name."""
        return site_name(self.chromosome, self.strand, self.position)


Key = tuple[str, str]
"""Cell type and sample_id."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """The sites of one subject, a site under the same name in all samples."""

    subject_id: str
    plan: tuple[PlannedSites, ...]
    """In time."""
    counts: Mapping[Key, Mapping[str, SiteCells]]
    """(cell type, sample) -> site -> what it is there; also samples without any site."""

    @property
    def samples(self) -> dict[str, Sample]:
        """Return sample_id -> sample."""
        return {s.sample.sample_id: s.sample for s in self.plan}


def planned(plan: Iterable[Mapping[str, Any]]) -> tuple[PlannedSites, ...]:
    """Make the site sets of a plan, in the order of their samples.

    Raises
    ------
    ValueError
        For a record that lacks a key or has an unknown one.
    """
    facts = {f.name for f in fields(Sample)}
    try:
        sets = [
            PlannedSites(
                sample=Sample(**{k: v for k, v in record.items() if k in facts}),
                **{k: v for k, v in record.items() if k not in {*facts, "subject_id"}},
            )
            for record in plan
        ]
    except TypeError as error:
        raise ValueError(f"--plan: {error}") from None
    return tuple(sorted(sets, key=lambda s: (s.sample.order, s.cell_type, s.site_set)))


def track(
    subject_id: str, plan: Sequence[PlannedSites], sites: Mapping[str, pd.DataFrame], same_site: int
) -> Tracked:
    """Join the sites of all sets, and add them up by cell type and sample.

    Sites of one orientation that follow each other within ``same_site`` bases are one. It is named after its position in
    the earliest sample (then that of the highest abundance, then the lowest), so that later samples don't rename it.

    Parameters
    ----------
    plan
        In the order of :func:`planned`.
    sites
        site_set -> SITES.
    """
    counts: dict[Key, dict[str, SiteCells]] = {(s.cell_type, s.sample.sample_id): {} for s in plan}
    by_place: dict[tuple[str, str], list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
    orders = {s.site_set: i for i, s in enumerate(plan)}
    for item in plan:
        for row in records(sites[item.site_set][_NEEDED]):
            by_place[row["chromosome"], row["strand"]].append((row["position"], orders[item.site_set], row))
    ranks = {s.site_set: s.sample.order[:2] for s in plan}
    for (chromosome, strand), found in sorted(by_place.items()):
        found.sort(key=lambda f: f[:2])
        for cluster in _clusters(found, same_site):
            # Of rows that are equally early: the highest abundance, as the sum over the sets of that moment.
            earliest = min(ranks[row["site_set"]] for _, _, row in cluster)
            weight: dict[int, float] = defaultdict(float)
            for position, _, row in cluster:
                if ranks[row["site_set"]] == earliest:
                    weight[position] += row["abundance"]
            position = min(weight, key=lambda p: (-weight[p], p))
            gene, distance = _gene_of(cluster, position)
            for _, order, row in cluster:
                item = plan[order]
                there = counts[item.cell_type, item.sample.sample_id]
                site = SiteCells(chromosome, position, strand, 0.0, gene, distance)
                there.setdefault(site.name, site).abundance += row["abundance"]
    return Tracked(subject_id, tuple(plan), counts)


def site_samples(
    tracked: Tracked,
    *,
    genes: Collection[str] | None,
    gene_distance: int,
    confidence: float,
) -> pd.DataFrame:
    """Return SITE_SAMPLES.

    Shares have exact intervals on whole cells: abundances are rounded, a half up, to one at least.

    Parameters
    ----------
    genes
        Genes of concern in capitals; None: no list.
    gene_distance
        Bases within which a site lies near one.
    """
    samples = tracked.samples
    types = _cell_types(tracked)
    out = []
    for (cell_type, sample_id), sites in tracked.counts.items():
        if not sites:
            continue
        abundance = np.array([s.abundance for s in sites.values()])
        cells = whole(abundance)
        low, high = share_interval(cells, cells.sum(), confidence)
        total = float(abundance.sum())
        sample = samples[sample_id]
        for (name, site), lower, upper in zip(sites.items(), low.tolist(), high.tolist(), strict=True):
            out.append(
                {
                    "subject_id": tracked.subject_id,
                    "cell_type": cell_type,
                    **sample.columns(),
                    "site": name,
                    "chromosome": site.chromosome,
                    "position": site.position,
                    "strand": site.strand,
                    "abundance": site.abundance,
                    "total": total,
                    "percent": 100 * site.abundance / total,
                    "lower": 100 * lower,
                    "upper": 100 * upper,
                    "gene": site.gene,
                    "gene_distance": site.distance,
                    "of_concern": of_concern(site.gene, site.distance, genes, gene_distance),
                    "cell_types": ";".join(sorted(types[_day(sample)][name])),
                }
            )
    return rows(out, SITE_SAMPLES)


def of_concern(
    gene: str | None, distance: int | None, genes: Collection[str] | None, gene_distance: int
) -> bool | None:
    """Say whether a site lies near a gene of concern; None where that isn't known."""
    if genes is None or gene is None:
        return None
    if not any(s.upper() in genes for s in symbols_of(gene)):
        return False
    return None if distance is None else distance <= gene_distance


def site_diversity(tracked: Tracked, settings: Repertoire) -> pd.DataFrame:
    """Return DIVERSITY of the sites, by cell type."""
    samples = {name: sample.columns() for name, sample in tracked.samples.items()}
    return concat(
        (
            diversity_table(
                {
                    sample: _abundances(sites)
                    for (c, sample), sites in tracked.counts.items()
                    if c == cell_type
                },
                samples,
                subject_id=tracked.subject_id,
                unit="site",
                population=cell_type,
                settings=settings.diversity,
                seed=settings.seed,
                confidence=settings.tracking.confidence,
            )
            for cell_type in dict.fromkeys(s.cell_type for s in tracked.plan)
        ),
        DIVERSITY,
    )


def site_overlap(tracked: Tracked, settings: Repertoire) -> pd.DataFrame:
    """Return OVERLAP of the sites: of samples, and of cell types."""
    return overlap_table(
        {key: {name: s.abundance for name, s in sites.items()} for key, sites in tracked.counts.items()},
        subject_id=tracked.subject_id,
        unit="site",
        min_cells=settings.tracking.min_sample_cells,
    )


def findings(tracked: Tracked, found: pd.DataFrame, genes: Collection[str] | None) -> list[dict[str, object]]:
    """Return rows of qc: pooled sets, sites in several cell types, genes of concern that no table can tell."""
    out = []
    note = partial(finding, verdict="note", subject_id=tracked.subject_id)
    pooled: dict[Key, list[str]] = defaultdict(list)
    for item in tracked.plan:
        pooled[item.sample.sample_id, item.cell_type].append(item.site_set)
    for (sample, cell_type), sets in pooled.items():
        if len(sets) > 1:
            message = f"{', '.join(sets)} are of one sample and cell type ({cell_type}): their abundances are added up"
            out.append(note("pooled_site_sets", message=message, value=len(sets), sample_id=sample))
    days: dict[tuple[float, str], dict[str, float]] = defaultdict(dict)
    for row in records(found[found["cell_types"].str.contains(";", regex=False, na=False)]):
        day = days[row["study_day"], row["matrix"]]
        day[row["site"]] = max(day.get(row["site"], 0.0), row["percent"])
    for (study_day, matrix), sites in days.items():
        most = sorted(sites, key=lambda s: (-sites[s], s))[:_SHOWN]
        message = (
            f"{len(sites)} sites stand in several cell types of study day {study_day:g} ({matrix}): cells of one origin, or "
            f"mixed samples. The largest: {', '.join(most)}"
        )
        out.append(note("sites_shared_by_cell_types", message=message, value=len(sites)))
    if genes is not None and len(found):
        unknown = int(found["of_concern"].isna().sum())
        if unknown:
            message = f"of {unknown} of {len(found)} sites the gene or its distance is not told: nearness to genes of concern is not known"
            out.append(note("genes_of_concern_not_known", message=message, value=unknown))
    return out


def _clusters(
    found: Sequence[tuple[int, int, dict[str, Any]]], same_site: int
) -> Iterable[list[tuple[int, int, dict[str, Any]]]]:
    """Yield what follows each other within ``same_site`` bases; ``found`` is sorted by position."""
    cluster = [found[0]]
    for before, item in pairwise(found):
        if item[0] - before[0] > same_site:
            yield cluster
            cluster = []
        cluster.append(item)
    yield cluster


def _gene_of(
    cluster: Iterable[tuple[int, int, dict[str, Any]]], position: int
) -> tuple[str | None, int | None]:
    """Return the gene that is told of the position, else of the nearest one with a gene."""
    told = [(abs(p - position), order, row) for p, order, row in cluster if row["gene"] is not None]
    if not told:
        return None, None
    row = min(told, key=lambda t: t[:2])[2]
    return row["gene"], row["gene_distance"]


def _cell_types(tracked: Tracked) -> dict[tuple[float, str], dict[str, set[str]]]:
    """Return for each day and compartment: site -> cell types."""
    types: dict[tuple[float, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    samples = tracked.samples
    for (cell_type, sample_id), sites in tracked.counts.items():
        for name in sites:
            types[_day(samples[sample_id])][name].add(cell_type)
    return types


def _day(sample: Sample) -> tuple[float, str]:
    return sample.study_day, sample.matrix


def _abundances(sites: Mapping[str, SiteCells]) -> list[float]:
    return [s.abundance for s in sites.values()]
