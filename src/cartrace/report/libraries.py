"""What the pages of single-cell libraries and of cells show.

The tables of cells are counted here, so that no page carries a row for each cell; the picture
of all cells travels as whole numbers, at most :data:`MOST_POINTS` of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells import tables as cells
from cartrace.cells.vocabulary import CALLS, CELL_TYPES, LINEAGES, T_STATES
from cartrace.report.cells_words import (
    CHEMISTRY,
    CONTRAST,
    COUNTED_BY,
    DOUBTS,
    FLAGS,
    GROUPS,
    LINEAGE,
    MATRIX_SORT,
    PARENT,
    STATE,
    TYPE,
    UNKNOWN_COUNTER,
)
from cartrace.report.families import matrix_label
from cartrace.report.packing import Columns, Texts, columns, numbers
from cartrace.report.plate_words import in_words
from cartrace.tables import empty

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.cells.settings import Cells, Quality

MOST_POINTS = 3000
"""Cells of the picture; more of them make the page heavy and the picture no clearer."""
MOST_GENES = 1000
"""Genes of one contrast in the picture: all with q below 0.1 first, then every so many-th."""
LISTED_GENES = 100
_GRID = 10_000
_MOST_MOLECULES = 20
"""The last bar of a histogram of CAR molecules holds all cells with so many or more."""


@dataclass(frozen=True, slots=True)
class CellTables:
    """The tables of the cells stage; each keeps the contract of ``cartrace.cells.tables`` and may be empty."""

    libraries: pd.DataFrame = field(default_factory=partial(empty, cells.LIBRARIES))
    composition: pd.DataFrame = field(default_factory=partial(empty, cells.COMPOSITION))
    fractions: pd.DataFrame = field(default_factory=partial(empty, cells.CAR_FRACTIONS))
    car_reads: pd.DataFrame = field(default_factory=partial(empty, cells.CAR_READS))
    coverage: pd.DataFrame = field(default_factory=partial(empty, cells.COVERAGE))
    variants: pd.DataFrame = field(default_factory=partial(empty, cells.VARIANTS))
    regions: pd.DataFrame = field(default_factory=partial(empty, cells.REGIONS))
    domains: pd.DataFrame = field(default_factory=partial(empty, cells.DOMAINS))
    embedding: pd.DataFrame = field(default_factory=partial(empty, cells.EMBEDDING))
    obs: pd.DataFrame = field(default_factory=partial(empty, cells.OBS))
    expression: pd.DataFrame = field(default_factory=partial(empty, cells.EXPRESSION))

    @property
    def listed(self) -> list[str]:
        """library_id of every library, in the order of the sheet."""
        return [str(name) for name in self.libraries["library"]]


def payload(
    tables: CellTables, number_of: Mapping[str, int], settings: Cells, texts: Texts
) -> dict[str, Any] | None:
    """Bring the libraries into the compact form that the page's script reads.

    Parameters
    ----------
    tables
        Tables of the cells stage.
    number_of
        Subject to its number on the page.
    settings
        Section ``cells`` of the configuration: limits, level of the intervals, and the seed that chooses the cells
        of the picture where there are too many.
    texts
        Where every text goes.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None without any library.
    """
    if not tables.listed:
        return None
    frame = _libraries(tables, number_of, settings)
    return {
        "libraries": columns(frame, texts, ("source_sha256",)),
        "parts": _parts(tables, texts),
        "constructs": {name: _construct(name, tables, texts) for name in _construct_names(tables)},
        "composition": _composition(tables.composition, number_of, texts),
        "picture": _picture(tables, number_of, settings.seed),
        "contrasts": _contrasts(tables.expression, texts),
        "lineages": [LINEAGE[name] for name in LINEAGES],
        "types": [TYPE[name] for name in CELL_TYPES],
        "lineage_names": list(LINEAGES),
        "type_names": list(CELL_TYPES),
        "state_names": list(T_STATES),
        "states": [STATE[name] for name in T_STATES],
        "groups": GROUPS,
        "parents": PARENT,
        "calls": list(CALLS),
        "confidence": settings.confidence,
        "limits": _limits(settings.quality),
    }


def _limits(quality: Quality) -> dict[str, str]:
    """Limits of a library, by what they judge."""
    return {
        "cells": f"{quality.flagged_cells:,} or more, and {quality.flagged_passed_percent:g} % of the barcodes; failed below "
        f"{quality.failed_passed_percent:g} %",
        "umis": f"failed below a median of {quality.failed_median_umis:g} UMIs",
        "ambient": f"at most {quality.flagged_ambient_percent:g} %",
    }


def _libraries(tables: CellTables, number_of: Mapping[str, int], settings: Cells) -> pd.DataFrame:
    """One row for each library: what it is, its quality, its share of CAR+ T cells."""
    import pandas as pd

    whose = tables.composition.assign(library=tables.composition["library"].str.split(";"))
    whose = whose.explode("library")
    found = whose["flags"].fillna("").groupby(whose["library"]).agg(";".join)
    whose = whose.drop_duplicates("library").set_index("library")
    names = tables.libraries["library"]
    placed = whose.reindex(names)[["sample_id", "subject_id", "infusion", "day", "study_day", "matrix"]]
    placed = placed.reset_index(drop=True)
    shares = tables.fractions.set_index("library").reindex(names).reset_index(drop=True)
    shares = shares.add_prefix("car_")
    obs = tables.obs
    doublets = obs[obs["passed"].astype(bool)].groupby("library")["doublet"].mean() * 100
    frame = pd.concat([tables.libraries.reset_index(drop=True), placed, shares], axis=1)
    doubts = [
        ";".join(d for d in DOUBTS if d in flags.split(";")) for flags in found.reindex(names).fillna("")
    ]
    flags = frame["flags"].fillna("").str.cat(doubts, sep=";").str.strip(";")
    return frame.assign(
        # What only all libraries together tell is in doubt here too.
        verdict=frame["verdict"].mask((frame["verdict"] == "accepted") & (flags != ""), "flagged"),
        s=[number_of.get(str(s), -1) for s in placed["subject_id"]],
        doublet_percent=doublets.reindex(names).to_numpy(dtype=float),
        doubts=pd.Series([in_words(d, DOUBTS) or None for d in doubts], dtype="string"),
        broken=_broken(tables.libraries, settings.quality),
        says=flags.map(partial(in_words, words=FLAGS)).replace("", None).astype("string"),
        source=frame["source"].map(lambda name: COUNTED_BY.get(str(name), UNKNOWN_COUNTER)).astype("string"),
        car_says=frame["car_flags"].map(partial(in_words, words=FLAGS), na_action="ignore").astype("string"),
        chemistry=frame["chemistry"].map(CHEMISTRY).astype("string"),
        sorted=frame["sort"].map(MATRIX_SORT).astype("string"),
        matrix=placed["matrix"].map(matrix_label, na_action="ignore").astype("string"),
    )


def _broken(libraries: pd.DataFrame, quality: Quality) -> pd.Series[Any]:
    """Name the limits of :func:`_limits` that each library breaks."""
    import pandas as pd

    passed, ambient = libraries["cells_passed"], libraries["ambient_percent"]
    broken = {
        "cells": (passed < quality.flagged_cells)
        | (100 * passed < quality.flagged_passed_percent * libraries["barcodes"]),
        "umis": libraries["median_umis"] < quality.failed_median_umis,
        "ambient": ambient > quality.flagged_ambient_percent,
    }
    listed = [";".join(k for k, rows in broken.items() if rows.iloc[i]) for i in range(len(libraries))]
    return pd.Series(listed, dtype="string").replace("", None)


def _parts(tables: CellTables, texts: Texts) -> list[dict[str, Any]]:
    """Count the cells of each library, and give what its reads say."""
    counted = tables.obs.loc[
        tables.obs["counts"].astype(bool), ["library", "lineage", "cell_type", "state", "call", "molecules"]
    ]
    cells_of = {str(name): rows for name, rows in counted.groupby("library")}
    return [_part(name, cells_of.get(name, counted[:0]), tables, texts) for name in tables.listed]


def _part(name: str, counted: pd.DataFrame, tables: CellTables, texts: Texts) -> dict[str, Any]:
    """Count the cells of one library that count, and give what its reads say."""
    t = counted[counted["lineage"] == "t"]
    reads = {
        key: columns(frame[frame["library"] == name], texts, ("library",), digits=4)
        for key, frame in (
            ("reads", tables.car_reads),
            ("coverage", tables.coverage),
            ("variants", tables.variants),
        )
    }
    return {
        "types": _counts(counted["cell_type"], CELL_TYPES),
        "states": _counts(t["state"], T_STATES),
        "car_states": _counts(t.loc[t["call"] == "positive", "state"], T_STATES),
        "molecules": {
            "t": _histogram(t["molecules"]),
            "other": _histogram(counted.loc[counted["lineage"] != "t", "molecules"]),
        },
        **reads,
    }


def _counts(series: pd.Series[Any], names: Mapping[str, str] | tuple[str, ...]) -> list[int]:
    return [int(n) for n in series.value_counts().reindex(list(names), fill_value=0)]


def _histogram(molecules: pd.Series[Any]) -> list[int]:
    """Cells with 0, 1, 2, … CAR molecules; the last number holds all with more."""
    known = molecules.dropna().to_numpy(dtype=int)
    if not len(known):
        return []
    counts = np.bincount(np.minimum(known, _MOST_MOLECULES))
    return [int(n) for n in counts]


def _construct_names(tables: CellTables) -> list[str]:
    return [str(n) for n in tables.domains["construct"].unique()]


def _construct(name: str, tables: CellTables, texts: Texts) -> dict[str, Any]:
    domains = tables.domains[tables.domains["construct"] == name]
    regions = tables.regions[tables.regions["construct"] == name]
    return {
        "length": int(max(part["end"].max() for part in (domains, regions) if len(part))),
        "domains": columns(domains, texts, ("construct", "protein")),
        "regions": columns(
            regions.assign(chemistry=regions["chemistry"].map(CHEMISTRY).astype("string")),
            texts,
            ("construct",),
            digits=4,
        ),
    }


def _composition(composition: pd.DataFrame, number_of: Mapping[str, int], texts: Texts) -> Columns:
    """Shares by sample. A row without a number is kept for its reason."""
    frame = composition.assign(
        s=[number_of.get(str(s), -1) for s in composition["subject_id"]],
        matrix=composition["matrix"].map(matrix_label).astype("string"),
        sorted=composition["sort"].map({**MATRIX_SORT, "none": ""}).astype("string"),
        says=composition["flags"].map(partial(in_words, words=FLAGS), na_action="ignore").astype("string"),
    )
    leave = ("subject_id", "analyte", "count_analyte", "study_day", "lod", "lloq", "sort", "flags")
    return columns(frame, texts, leave, digits=4)


def _picture(tables: CellTables, number_of: Mapping[str, int], seed: int) -> dict[str, Any] | None:
    """Return the cells of the picture on a grid of whole numbers, with type, call, library and subject as numbers."""
    if tables.embedding.empty:
        return None
    cells_of = tables.obs[["library", "cell", "cell_type", "state", "call", "subject_id"]]
    frame = tables.embedding.merge(cells_of, on=["library", "cell"], how="inner", validate="one_to_one")
    if len(frame) > MOST_POINTS:
        frame = frame.sample(MOST_POINTS, random_state=seed)
    frame = frame.sort_index()

    def grid(values: pd.Series[Any]) -> list[int]:
        low, high = float(values.min()), float(values.max())
        return [round(_GRID * (v - low) / ((high - low) or 1.0)) for v in values]

    def place(values: pd.Series[Any], names: list[str]) -> list[int]:
        at = {name: i for i, name in enumerate(names)}
        return [at.get(str(v), -1) for v in values]

    return {
        "x": grid(frame["x"]),
        "y": grid(frame["y"]),
        "type": place(frame["cell_type"], list(CELL_TYPES)),
        "state": place(frame["state"], list(T_STATES)),
        "call": place(frame["call"], list(CALLS)),
        "library": place(frame["library"], tables.listed),
        "s": [number_of.get(str(s), -1) for s in frame["subject_id"]],
        "of": int(tables.obs["passed"].sum()),
    }


def _contrasts(expression: pd.DataFrame, texts: Texts) -> list[dict[str, Any]]:
    """Each contrast: why it is refused, or its genes as columns and as points of a picture."""
    out = []
    for name, rows in expression.groupby("contrast", sort=False):
        tested = rows[rows["status"] == "estimated"]
        refused = rows.loc[rows["status"] != "estimated", "reason"].dropna()
        first = tested.sort_values(["q", "p", "gene"], kind="stable", na_position="last")
        known = first[first["p"].notna()]
        top, rest = known[: MOST_GENES // 2], known[MOST_GENES // 2 :]
        every = max(1, -(-len(rest) // (MOST_GENES // 2)))
        shown = tested.loc[[*top.index, *rest.index[::every]]]
        smallest = tested.loc[tested["p"] > 0, "p"].min() if (tested["p"] > 0).any() else 1.0
        out.append(
            {
                "name": texts.place(CONTRAST.get(str(name), str(name).replace("_", " "))),
                "n": int(rows["n_subjects"].max()),
                "genes": len(tested),
                "found": int((tested["q"] < 0.05).sum()),
                "refused": texts.place(str(refused.iloc[0])) if tested.empty and len(refused) else -1,
                "x": numbers(shown["log2_fold_change"], 3),
                "y": numbers(-np.log10(shown["p"].clip(lower=smallest).astype(float)), 3),
                "q": numbers(shown["q"], 2),
                "symbol": texts.column(shown["symbol"].fillna(shown["gene"])),
                "top": columns(first[:LISTED_GENES], texts, ("contrast", "status", "reason"), digits=4),
            }
        )
    return out
