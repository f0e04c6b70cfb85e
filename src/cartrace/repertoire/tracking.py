"""Clones by population and sample: how many cells, which share, how far the sample could see.

Libraries of one sample and population are pooled: their cells are draws from one specimen. Cells sorted by
lineage and by CAR stand in different populations, so that no share mixes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.flow.counts import share_interval
from cartrace.repertoire.clone_cells import library_finding
from cartrace.repertoire.findings import finding
from cartrace.repertoire.tables import CLONE_SAMPLES, CLONE_TOTALS, CLONES
from cartrace.repertoire.vocabulary import POPULATIONS
from cartrace.tables import conform, empty, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.repertoire.samples import PlannedLibrary, Sample
    from cartrace.repertoire.settings import Tracking

_SEEN_WITH = 0.95
"""Probability with which a clone at the LOD is seen."""
_T_SORTS, _B_SORTS = ("none", "t_cells"), ("none", "b_cells")
_TELLING = {"T": {"TRB": 0, "TRD": 1}, "B": {"IGH": 0}}
"""Receptor -> loci whose chain names the clone, with their order: a gamma-delta T cell has no beta chain."""
_PARTNERS = {"T": {"TRA": 0, "TRG": 1}, "B": {"IGK": 0, "IGL": 0}}
"""Receptor -> loci of the other chain; of two in the same place the one of more UMIs stands."""
_NAMES = {"t_cells": "T cell", "car_t_cells": "CAR+ T cell", "b_cells": "B cell"}


@dataclass(frozen=True, slots=True)
class Pool:
    """One population of one sample."""

    libraries: tuple[str, ...]
    clones: pd.Series[int]
    """Clone -> cells."""
    states: Mapping[str, str]
    """Clone -> its cells by state."""
    without: tuple[str, ...] = ()
    """Libraries that gave no cell."""
    reason: str = ""
    """Why there is no cell."""

    @property
    def total(self) -> int:
        """Cells with a clone."""
        return int(self.clones.sum())

    def too_few(self, least: int) -> str:
        """Say why no share is told; empty when it is."""
        if self.reason or self.total >= least:
            return self.reason
        return f"{self.total} cells with a clone, fewer than {least}"


Counts = Mapping[str, Mapping[str, Pool]]
"""Population -> sample_id -> pool, of every sample in which the population was looked for."""


def count_clones(
    cells: pd.DataFrame, libraries: Sequence[PlannedLibrary], samples: Sequence[Sample]
) -> Counts:
    """Count the clones of each population in each sample.

    Parameters
    ----------
    cells
        Contract CLONE_CELLS of one subject.
    libraries
        Its libraries, with the receptors that were sequenced.
    samples
        Its samples in time.
    """
    counted = cells[cells["counts"].astype(bool)]
    sort = counted["library"].map({lib.library_id: lib.sort for lib in libraries}).astype(object)
    t = (counted["receptor"] == "T") & sort.isin(_T_SORTS)
    sorted_car = (counted["receptor"] == "T") & (sort == "car_positive")
    of_population = {
        "t_cells": counted[t],
        "car_t_cells": counted[(t & (counted["car"] == "positive").fillna(False)) | sorted_car],
        "b_cells": counted[(counted["receptor"] == "B") & sort.isin(_B_SORTS)],
    }
    # T cells of which something is said, to tell 'none is CAR+' from 'nobody called them'.
    called = set(counted.loc[counted["car"].notna() & (counted["car"] != "not_assessed"), "library"])
    with_t = set(counted.loc[t, "library"])
    counts: dict[str, dict[str, Pool]] = {}
    for population in POPULATIONS:
        pools = counts[population] = {}
        parts = dict(iter(of_population[population].groupby("sample_id", sort=False)))
        for sample in samples:
            pooled = [
                lib.library_id
                for lib in libraries
                if lib.sample.sample_id == sample.sample_id and _looks_for(lib, population)
            ]
            if not pooled:
                continue
            part = parts.get(sample.sample_id, cells[:0])
            uncalled = population == "car_t_cells" and bool(with_t & set(pooled)) and not called & set(pooled)
            pools[sample.sample_id] = _pool(part, pooled, population, uncalled=uncalled)
    return counts


def _looks_for(library: PlannedLibrary, population: str) -> bool:
    """Say whether a library can hold cells of a population, and would have shown them."""
    if population == "b_cells":
        return bool(library.bcr) and library.sort in _B_SORTS
    if population == "t_cells":
        return bool(library.tcr) and library.sort in _T_SORTS
    return bool(library.tcr) and (
        library.sort == "car_positive" or (library.sort in _T_SORTS and library.cells)
    )


def _pool(cells: pd.DataFrame, pooled: Sequence[str], population: str, *, uncalled: bool) -> Pool:
    reason = ""
    if cells.empty:
        reason = (
            "the CAR was not called in its T cells"
            if uncalled
            else f"no {_NAMES[population]} that counts has a clone"
        )
    there = set(cells["library"])
    return Pool(
        tuple(pooled),
        cells.groupby("clonotype").size(),
        _states(cells),
        tuple(name for name in pooled if name not in there),
        reason,
    )


def _states(cells: pd.DataFrame) -> dict[str, str]:
    """Return clone -> ``cytotoxic:4;naive:1``, the most frequent state first."""
    known = cells[cells["state"].notna()]
    if known.empty:
        return {}
    by_state = known.groupby(["clonotype", "state"]).size().reset_index(name="n")
    by_state = by_state.sort_values(["clonotype", "n", "state"], ascending=[True, False, True])
    texts: dict[str, list[str]] = {}
    for clone, state, n in by_state.itertuples(index=False):
        texts.setdefault(clone, []).append(f"{state}:{n}")
    return {clone: ";".join(listed) for clone, listed in texts.items()}


def plan_findings(subject: str, libraries: Sequence[PlannedLibrary]) -> list[dict[str, Any]]:
    """Return records of QC on what the libraries of a subject can't tell."""
    found = []
    if not any(lib.sample.is_product and lib.tcr for lib in libraries) and any(lib.tcr for lib in libraries):
        message = f"{subject}: no T-cell receptors of an infusion product, so nothing is told of its clones"
        found.append(finding("clone_product", "note", message))
    found += [
        library_finding(lib, "clone_sort", "note", "other cells were sorted; its clones are in no population")
        for lib in libraries
        if lib.sort == "other"
    ]
    return found


def clone_samples(
    subject: str, counts: Counts, samples: Sequence[Sample], settings: Tracking
) -> pd.DataFrame:
    """Return CLONE_SAMPLES: the cells of each clone where it was seen; shares where the sample has enough cells."""
    import pandas as pd

    frames = []
    for population, sample, pool in _in_order(counts, samples):
        if not pool.total:
            continue
        cells = pool.clones.to_numpy()
        frame = pd.DataFrame(
            {
                "subject_id": subject,
                "population": population,
                "clonotype": pool.clones.index,
                **sample.columns(),
                "cells": cells,
                "total": pool.total,
                "states": [pool.states.get(clone) for clone in pool.clones.index],
            }
        )
        if not pool.too_few(settings.min_sample_cells):
            low, high = share_interval(cells, pool.total, settings.confidence)
            shares = {"percent": cells / pool.total, "lower": low, "upper": high}
            frame = frame.assign(**{name: 100 * share for name, share in shares.items()})
        frames.append(conform(frame, CLONE_SAMPLES))
    return pd.concat(frames, ignore_index=True) if frames else empty(CLONE_SAMPLES)


def clone_totals(subject: str, counts: Counts, samples: Sequence[Sample], settings: Tracking) -> pd.DataFrame:
    """Return CLONE_TOTALS: one row for each population and sample in which it was looked for."""
    records = []
    for population, sample, pool in _in_order(counts, samples):
        n = pool.total
        reason = pool.too_few(settings.min_sample_cells)
        verdict = "rejected" if reason else "accepted"
        if not reason and pool.without:
            verdict, reason = "flagged", f"no cell from {', '.join(pool.without)}"
        records.append(
            {
                "subject_id": subject,
                "population": population,
                **sample.columns(),
                "visit": sample.visit,
                "libraries": ";".join(pool.libraries),
                "cells": n,
                "clones": len(pool.clones),
                "expanded": int((pool.clones >= settings.expanded_cells).sum()),
                "bins": None if verdict == "rejected" else _bins(pool.clones, settings.size_bins),
                "lod": 100 * (1 - (1 - _SEEN_WITH) ** (1 / n)) if n else None,
                "verdict": verdict,
                "reason": reason or None,
            }
        )
    return rows(records, CLONE_TOTALS)


def _bins(clones: pd.Series[int], firsts: Sequence[int]) -> str:
    """Return the share of the cells in clones by size."""
    edges = [1, *firsts]
    sizes = clones.to_numpy()
    cells = np.bincount(np.searchsorted(edges, sizes, side="right") - 1, weights=sizes, minlength=len(edges))
    names = [f"{a}" if b - a == 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)] + [f"{edges[-1]}+"]
    return ";".join(f"{name}:{100 * n / sizes.sum():.4g}" for name, n in zip(names, cells, strict=True))


def clones_table(
    subject: str, cells: pd.DataFrame, chains: pd.DataFrame, samples: Sequence[Sample]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return CLONES, one row for each clone with a cell that counts, and records of QC.

    Genes and sequences are those of most of its cells. A clone with cells called CAR+ and others called CAR-
    stays one clone: its size in the product tells nothing about which of its cells were transduced.

    Parameters
    ----------
    cells
        Contract CLONE_CELLS.
    chains
        Contract CHAINS of the same cells.
    """
    counted = cells[cells["counts"].astype(bool)]
    if counted.empty:
        return empty(CLONES), []
    by_id = {s.sample_id: s for s in samples}
    key = ["receptor", "clonotype"]
    car = counted["car"].astype(object)
    facts = counted.assign(
        day=counted["sample_id"].map({i: s.study_day for i, s in by_id.items()}),
        product=counted["sample_id"].map({i: s.is_product for i, s in by_id.items()}),
        positive=(car == "positive").astype(int),
        negative=(car == "negative").astype(int),
    )
    table = facts.groupby(key, sort=True).agg(
        cells=("cell", "size"),
        samples=("sample_id", "nunique"),
        in_product=("product", "any"),
        car_positive=("positive", "sum"),
        car_negative=("negative", "sum"),
        paired_clonotypes=("paired_clonotype", "nunique"),
        first_study_day=("day", "min"),
        last_study_day=("day", "max"),
    )
    first = chains[chains["rank"] == 1]
    genes = ["v_gene", "j_gene", "cdr3_nt", "cdr3_aa"]
    table = table.join(_most_frequent(counted, first, _TELLING, genes))
    other = _most_frequent(counted, first, _PARTNERS, ["cdr3_aa"])
    table = table.join(other.rename(columns={"cdr3_aa": "alpha_cdr3_aa"})).reset_index()
    for gene in ("v_gene", "j_gene"):
        table[gene] = table[gene].astype("string").str.partition("*")[0]
    both = (table["car_positive"] > 0) & (table["car_negative"] > 0)
    known = (table["car_positive"] > 0) | (table["car_negative"] > 0)
    for column, told in (
        ("car_positive", known),
        ("car_negative", known),
        ("paired_clonotypes", table["receptor"] == "T"),
    ):
        table[column] = table[column].astype("Int64").where(told)
    found = []
    if both.any():
        found.append(
            finding(
                "clone_car",
                "note",
                f"{subject}: {int(both.sum())} of {int(known.sum())} clones with a CAR call hold cells called CAR+ and cells "
                "called CAR-; they are not split",
                subject_id=subject,
            )
        )
    return conform(table.assign(subject_id=subject), CLONES), found


def _most_frequent(
    cells: pd.DataFrame, chains: pd.DataFrame, loci: Mapping[str, Mapping[str, int]], columns: Sequence[str]
) -> pd.DataFrame:
    """Return by receptor and clone what most of its cells have; of equally many the first by name."""
    import pandas as pd

    key = ["receptor", "clonotype"]
    parts = []
    for receptor, of in loci.items():
        chosen = chains[chains["locus"].isin(of)]
        chosen = chosen.assign(place=chosen["locus"].map(of).astype(int), umis=-chosen["umis"])
        chosen = chosen.sort_values(["place", "umis"], kind="stable").drop_duplicates(["library", "cell"])
        own = cells.loc[cells["receptor"] == receptor, ["library", "cell", *key]]
        parts.append(own.merge(chosen[["library", "cell", *columns]], on=["library", "cell"]))
    sizes = pd.concat(parts).groupby([*key, *columns], dropna=False).size().reset_index(name="n")
    sizes = sizes.sort_values("n", ascending=False, kind="stable")
    return sizes.drop_duplicates(key).set_index(key)[list(columns)]


def _in_order(counts: Counts, samples: Sequence[Sample]) -> list[tuple[str, Sample, Pool]]:
    return [
        (population, sample, pools[sample.sample_id])
        for population, pools in counts.items()
        for sample in samples
        if sample.sample_id in pools
    ]
