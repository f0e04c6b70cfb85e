"""What the pages of clones, returning B cells and integration sites show.

A subject may have a hundred thousand clones: only the largest ones and those that changed travel inside
the page, with the counts of all others. Nothing is estimated here; every number is one of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.repertoire import tables as repertoire
from cartrace.repertoire.diversity import INDEX_NOTES
from cartrace.repertoire.vocabulary import B_MEASURES, BLOOD, INDICES, PAIRINGS, POPULATIONS
from cartrace.report.clones_words import (
    ALARM,
    CAPTION,
    CHANGE,
    MEASURE,
    PAIRING,
    POPULATION,
    SHARING,
    of_unit,
)
from cartrace.report.families import matrix_label
from cartrace.report.packing import Columns, Texts, columns, numbers
from cartrace.tables import empty

if TYPE_CHECKING:
    from cartrace.repertoire.settings import Repertoire

MOST_CLONES = 40
"""Clones of one population of one subject that the page names."""
MOST_SITES = 20
"""Integration sites near a gene of concern, of one cell type of one subject, that the page names beside the largest."""
MOST_PAIRS = 300
"""Pairs of libraries with clones in common that the page lists."""
_DIGITS = 5
"""Significant digits; the page shows three."""
_WHOSE = ["subject_id", "population"]
_SAMPLE = ["sample_id", "subject_id", "infusion", "day", "study_day", "matrix"]


@dataclass(frozen=True, slots=True)
class CloneTables:
    """The tables of the repertoire stage; each keeps the contract of ``cartrace.repertoire.tables`` and may be empty."""

    clones: pd.DataFrame = field(default_factory=partial(empty, repertoire.CLONES))
    clone_samples: pd.DataFrame = field(default_factory=partial(empty, repertoire.CLONE_SAMPLES))
    clone_totals: pd.DataFrame = field(default_factory=partial(empty, repertoire.CLONE_TOTALS))
    clone_changes: pd.DataFrame = field(default_factory=partial(empty, repertoire.CLONE_CHANGES))
    clone_persistence: pd.DataFrame = field(default_factory=partial(empty, repertoire.CLONE_PERSISTENCE))
    diversity: pd.DataFrame = field(default_factory=partial(empty, repertoire.DIVERSITY))
    overlap: pd.DataFrame = field(default_factory=partial(empty, repertoire.OVERLAP))
    b_return: pd.DataFrame = field(default_factory=partial(empty, repertoire.B_RETURN))
    clone_sharing: pd.DataFrame = field(default_factory=partial(empty, repertoire.SHARED))
    site_samples: pd.DataFrame = field(default_factory=partial(empty, repertoire.SITE_SAMPLES))
    site_alarms: pd.DataFrame = field(default_factory=partial(empty, repertoire.SITE_ALARM))
    receptors: pd.DataFrame = field(default_factory=partial(empty, repertoire.CELL_RECEPTORS))

    @property
    def has_clones(self) -> bool:
        """Whether any library has receptors."""
        return bool(len(self.clone_totals) or len(self.receptors) or len(self.b_return))

    @property
    def has_sites(self) -> bool:
        """Whether any integration site was read."""
        return bool(len(self.site_samples))

    @property
    def listed(self) -> bool:
        """Whether there is anything to show."""
        return self.has_clones or self.has_sites


def payload(
    tables: CloneTables, number_of: Mapping[str, int], settings: Repertoire, texts: Texts
) -> dict[str, Any] | None:
    """Bring clones and sites into the compact form that the page's script reads.

    Parameters
    ----------
    tables
        Tables of the repertoire stage.
    number_of
        Subject to its number on the page.
    settings
        Section ``repertoire`` of the configuration.
    texts
        Where every text goes.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; samples, subjects (``s``), populations (``pop``) and named clones
        (``n``) by number. None without clones and sites.
    """
    if not tables.listed:
        return None
    samples = _samples(tables)
    pack = _packer(samples["sample_id"].tolist(), number_of, texts)
    named = _named(tables, settings.tracking.shown_clones)
    bins, bin_names = _bins(tables.clone_totals)
    return {
        "samples": pack(
            samples.assign(
                product=(samples["matrix"] == "infusion_product").astype(int),
                matrix=samples["matrix"].map(matrix_label).astype("string"),
            ),
            keep=("sample_id", *_TIMES),
        ),
        "populations": [POPULATION[p] for p in POPULATIONS],
        "population_names": list(POPULATIONS),
        "totals": {**pack(tables.clone_totals.drop(columns="bins")), "bins": bins},
        "bin_names": bin_names,
        "named": pack(_described(named, tables.clones)),
        "seen": pack(_of_named(tables.clone_samples, named).drop(columns="total")),
        "changes": pack(_of_named(tables.clone_changes, named)),
        "pairs": pack(_tested(tables.clone_changes)),
        "persistence": pack(tables.clone_persistence),
        # A cell type of sites is no population of clones: its name stays.
        "diversity": pack(_in_order(tables.diversity), keep=("population",)),
        "overlap": pack(tables.overlap),
        "b_return": pack(
            tables.b_return.assign(measure=tables.b_return["measure"].map(list(B_MEASURES).index).astype(int))
        ),
        "sharing": pack(_sharing(tables.clone_sharing)),
        "compared": len(set(tables.clone_totals["subject_id"])) > 1,
        "receptors": columns(_receptors(tables.receptors), texts),
        "sites": pack(_sites(tables.site_samples, settings.tracking.shown_clones)),
        "site_totals": pack(_site_totals(tables.site_samples)),
        "alarms": pack(tables.site_alarms),
        "overview": _overview(tables, pack),
        "shown": settings.tracking.shown_clones,
        "confidence": settings.tracking.confidence,
        "min_cells": settings.diversity.min_cells,
        "fdr": settings.tracking.fdr,
        "expanded_cells": settings.tracking.expanded_cells,
        "genes_of_concern": settings.sites.genes_of_concern is not None,
        "indices": {unit: [_note(name, unit) for name in INDICES] for unit in ("clonotype", "site")},
        "index_names": list(INDICES),
        "captions": {
            unit: {name: of_unit(text, unit) for name, text in CAPTION.items()}
            for unit in ("clonotype", "site")
        },
        "measures": [MEASURE[name] for name in B_MEASURES],
        "measure_names": list(B_MEASURES),
        "pairings": PAIRING,
        "taken_for": SHARING,
        "alarm_words": ALARM,
        "change_words": CHANGE,
    }


_TIMES = ("infusion", "day", "study_day", "matrix")
"""What the number of a sample tells."""


@dataclass(frozen=True, slots=True)
class _Pack:
    """Give a table as columns, with numbers in place of samples, subjects and populations."""

    numbered: Mapping[str, tuple[str, Mapping[str, int]]]
    """Column -> its short name, and the number of each of its words."""
    texts: Texts

    def __call__(self, frame: pd.DataFrame, keep: tuple[str, ...] = ()) -> Columns:
        """Pack a table; the columns ``keep`` stay as they are."""
        present = [column for column in frame.columns if column not in keep]
        short = {
            name: [index.get(str(word), -1) for word in frame[column]]
            for column, (name, index) in self.numbered.items()
            if column in present
        }
        told = [column for column in present if column in self.numbered or column in _TIMES]
        return {**short, **columns(frame, self.texts, told, digits=_DIGITS)}


def _packer(sample_ids: list[str], number_of: Mapping[str, int], texts: Texts) -> _Pack:
    at = {name: k for k, name in enumerate(sample_ids)}
    return _Pack(
        {
            "subject_id": ("s", number_of),
            "subject_a": ("s_a", number_of),
            "subject_b": ("s_b", number_of),
            "population": ("pop", {p: k for k, p in enumerate(POPULATIONS)}),
            "sample_id": ("k", at),
            "from_sample": ("a", at),
            "to_sample": ("b", at),
            "product_sample": ("product", at),
            "sample_a": ("a", at),
            "sample_b": ("b", at),
        },
        texts,
    )


def _note(index: str, unit: str) -> list[str]:
    """Give name, unit and meaning of an index."""
    note = INDEX_NOTES[index]
    return [of_unit(text, unit) for text in (note.name, note.unit, f"{note.definition} {note.depth}")]


def _samples(tables: CloneTables) -> pd.DataFrame:
    """Every sample once: by subject and infusion, the product first, then by time."""
    frames = [
        frame[_SAMPLE]
        for frame in (
            tables.clone_totals,
            tables.clone_persistence,
            tables.diversity,
            tables.b_return,
            tables.site_samples,
            tables.site_alarms,
        )
    ]
    found = pd.concat(frames).drop_duplicates("sample_id")
    found = found.assign(later=found["matrix"] != "infusion_product")
    order = ["subject_id", "infusion", "later", "day", "matrix", "sample_id"]
    return found.sort_values(order, ignore_index=True).drop(columns="later")


def _named(tables: CloneTables, shown: int) -> pd.DataFrame:
    """Choose the clones that the page names: numbered rows of subject, population, clonotype, shown, traced.

    ``shown`` are the largest ones, by the greatest lower limit of the share in any sample, so that one cell of a
    small sample is no large clone; ``traced`` those of the product, by the same in later samples. After them come
    clones that changed, the surest first.
    """
    whose = [*_WHOSE, "clonotype"]
    samples = tables.clone_samples
    products = samples["matrix"] == "infusion_product"
    made = samples.loc[products, [*whose, "sample_id"]].drop_duplicates(whose)
    later = samples[~products].merge(made[whose], on=whose, how="inner")
    first = pd.concat(
        [
            _largest(samples, shown).assign(shown=1, traced=0),
            _largest(later, shown).assign(shown=0, traced=1),
        ]
    )
    first = first.groupby(whose, as_index=False, sort=False).agg(
        shown=("shown", "max"), traced=("traced", "max")
    )
    changed = tables.clone_changes[tables.clone_changes["change"] != "unchanged"]
    changed = changed.sort_values([*_WHOSE, "q", "p", "clonotype"])[whose].assign(shown=0, traced=0)
    both = pd.concat([first, changed]).drop_duplicates(whose)
    both = both.sort_values(_WHOSE, kind="stable").groupby(_WHOSE).head(max(MOST_CLONES, 2 * shown))
    return both.reset_index(drop=True).assign(n=range(len(both)))


def _largest(samples: pd.DataFrame, shown: int) -> pd.DataFrame:
    """Return the first clones of each population of each subject by the greatest lower limit of their share."""
    whose = [*_WHOSE, "clonotype"]
    ranked = samples.groupby(whose, as_index=False).agg(sure=("lower", "max"), cells=("cells", "sum"))
    ranked = ranked.assign(sure=ranked["sure"].fillna(-1.0)).sort_values(
        [*_WHOSE, "sure", "cells", "clonotype"], ascending=[True, True, False, False, True]
    )
    return ranked.groupby(_WHOSE).head(shown)[whose]


def _described(named: pd.DataFrame, clones: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of each named clone."""
    keyed = named.assign(receptor=named["population"].map({"b_cells": "B"}).fillna("T"))
    keys = ["subject_id", "receptor", "clonotype"]
    told = ["v_gene", "j_gene", "cdr3_aa", "alpha_cdr3_aa", "car_positive", "car_negative"]
    both = keyed.merge(clones[[*keys, *told]], on=keys, how="left").sort_values("n", ignore_index=True)
    # The name stays a column: nothing else here tells it.
    return both.drop(columns=["n", "receptor"])


def _of_named(frame: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of named clones, with their numbers in place of their names."""
    found = frame.merge(named.drop(columns=["shown", "traced"]), on=[*_WHOSE, "clonotype"], how="inner")
    return found.sort_values("n", kind="stable", ignore_index=True).drop(columns="clonotype")


def _tested(changes: pd.DataFrame) -> pd.DataFrame:
    """Count what each pair of samples tells of all its clones."""
    pairs = [*_WHOSE, "from_sample", "to_sample"]
    flagged = changes.assign(
        expanded=changes["change"] == "expanded", contracted=changes["change"] == "contracted"
    )
    return flagged.groupby(pairs, as_index=False, sort=False).agg(
        tested=("change", "size"), expanded=("expanded", "sum"), contracted=("contracted", "sum")
    )


def _bins(totals: pd.DataFrame) -> tuple[list[list[float | int | None]], list[str]]:
    """Read shares by size of clone (``1:62.5;2-4:20``): for each sample in the order of the names of the bins."""
    read = [
        dict(part.split(":", 1) for part in str(text).split(";")) if pd.notna(text) else {}
        for text in totals["bins"]
    ]
    names = sorted({name for parts in read for name in parts}, key=_first_size)
    return [numbers([parts.get(name) for name in names], _DIGITS) for parts in read], names


def _first_size(name: str) -> int:
    digits = name.replace("+", "-").split("-")[0]
    return int(digits) if digits.isdigit() else 0


def _in_order(diversity: pd.DataFrame) -> pd.DataFrame:
    place = {name: k for k, name in enumerate(INDICES)}
    return diversity.assign(index=diversity["index"].map(place).astype(int))


def _sharing(sharing: pd.DataFrame) -> pd.DataFrame:
    """Pairs of libraries with a clone in common: findings first, then the smallest p."""
    found = sharing[(sharing["shared"] > 0) | (sharing["taken_for"] != "as_expected")]
    found = found.assign(usual=found["taken_for"] == "as_expected")
    found = found.sort_values(["usual", "p", "library_a", "library_b"], na_position="last")
    return found.head(MOST_PAIRS).drop(columns="usual")


def _receptors(receptors: pd.DataFrame) -> pd.DataFrame:
    """Count the barcodes of each library by receptor and pairing; ``ambiguous`` ones are of both receptors."""
    counted = pd.crosstab([receptors["library"], receptors["receptor"]], receptors["pairing"])
    counted = counted.reindex(columns=list(PAIRINGS), fill_value=0)
    return counted.assign(barcodes=counted.sum(axis=1)).reset_index().rename_axis(columns=None)


_SITE_KEYS = ["subject_id", "cell_type", "site"]


def _sites(sites: pd.DataFrame, shown: int) -> pd.DataFrame:
    """Keep the largest sites of each subject and each of its cell types, and those near a gene of concern.

    ``place`` counts the sites of one cell type of one subject from 0, the largest by the greatest lower limit of its
    share first; ``overall`` those of all its cell types.
    """
    near = sites.assign(near=sites["of_concern"].fillna(False).astype(bool))
    ranked = _placed(near, _SITE_KEYS).rename(columns={"rank": "place"})
    overall = _placed(near, ["subject_id", "site"]).rename(columns={"rank": "overall"})
    ranked = ranked.merge(overall[["subject_id", "site", "overall"]], on=["subject_id", "site"])
    first = ranked[(ranked["place"] < shown) | (ranked["overall"] < shown)]
    listed = ranked[ranked["near"]].groupby(["subject_id", "cell_type"]).head(MOST_SITES)
    kept = pd.concat([first, listed]).drop_duplicates(_SITE_KEYS)
    found = sites.merge(kept[[*_SITE_KEYS, "place", "overall"]], on=_SITE_KEYS, how="inner")
    found = found.sort_values(["subject_id", "cell_type", "place"], kind="stable", ignore_index=True)
    return found.drop(columns=["chromosome", "position", "strand"])


def _placed(sites: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rank the sites, of which the last of ``keys`` is the name, within the other keys."""
    ranked = sites.groupby(keys, as_index=False).agg(
        sure=("lower", "max"), most=("percent", "max"), near=("near", "max")
    )
    ranked = ranked.fillna({"sure": -1.0, "most": -1.0})
    ranked = ranked.sort_values(["sure", "most", "site"], ascending=[False, False, True])
    ranked = ranked.sort_values(keys[:-1], kind="stable", ignore_index=True)
    return ranked.assign(rank=ranked.groupby(keys[:-1]).cumcount())


def _site_totals(sites: pd.DataFrame) -> pd.DataFrame:
    """Count the sites of each sample and cell type; their cells are the same in every row."""
    keys = ["subject_id", "cell_type", "sample_id"]
    return sites.groupby(keys, as_index=False).agg(sites=("site", "size"), total=("total", "first"))


_SHARE = ["percent", "lower", "upper"]


def _in_blood(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(blood=frame["matrix"].isin(BLOOD))


def _last(frame: pd.DataFrame, keys: list[str], by: list[str]) -> pd.DataFrame:
    """Return for each of ``keys`` the last row in the order of ``by``."""
    return frame.sort_values(by, kind="stable").groupby(keys).tail(1)


def _overview(tables: CloneTables, pack: _Pack) -> dict[str, Columns]:
    """Choose the rows of the overview of all subjects: of each table the one that tells how things stand last."""
    totals, kept = tables.clone_totals, tables.clone_persistence
    # Of several products that with most cells, as in the metrics; of several compartments blood.
    products = totals[totals["matrix"] == "infusion_product"]
    products = _last(products, _WHOSE, ["infusion", "cells"])
    chosen = products[[*_WHOSE, "sample_id"]].rename(columns={"sample_id": "product_sample"})
    found = kept.merge(chosen, on=[*_WHOSE, "product_sample"], how="inner")
    found = found.assign(marked=found["landmark"].notna(), told=found["reason"].isna())
    found = _last(found, _WHOSE, ["marked", "told", "study_day"])
    later = totals[(totals["matrix"] != "infusion_product") & (totals["verdict"] != "rejected")]
    last = _last(_in_blood(later), _WHOSE, ["blood", "study_day"])
    seen = tables.clone_samples.merge(last[[*_WHOSE, "sample_id"]], on=[*_WHOSE, "sample_id"], how="inner")
    largest = seen.sort_values(["cells", "clonotype"], ascending=[False, True]).drop_duplicates(_WHOSE)
    old = tables.b_return[tables.b_return["measure"] == "old_clones"]
    old = _last(_in_blood(old[old["verdict"] != "rejected"]), ["subject_id"], ["blood", "study_day"])
    sites = _in_blood(tables.site_samples[tables.site_samples["matrix"] != "infusion_product"])
    ends = _last(sites, ["subject_id"], ["blood", "study_day"])[["subject_id", "blood", "study_day"]]
    top = sites.merge(ends, on=["subject_id", "blood", "study_day"], how="inner")
    top = top.sort_values(["percent", "site"], ascending=[False, True]).drop_duplicates("subject_id")
    return {
        "products": pack(products[[*_WHOSE, "sample_id", "clones", "cells"]]),
        "found": pack(
            found[
                [
                    *_WHOSE,
                    "sample_id",
                    "landmark",
                    "product_clones",
                    "found",
                    "expected_if_unchanged",
                    "reason",
                ]
            ]
        ),
        "last": pack(last[[*_WHOSE, "sample_id", "expanded", "cells", "clones"]]),
        "largest": pack(largest[[*_WHOSE, "sample_id", "clonotype", "cells", "total", *_SHARE]]),
        "old": pack(old[["subject_id", "sample_id", "cells", "total", *_SHARE, "verdict"]]),
        "site": pack(top[["subject_id", "sample_id", "cell_type", "site", "gene", *_SHARE]]),
    }
