"""Rows of TYPES and qc from what was typed in one library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.cells.doublets import combine_doublet_evidence, doublet_scores, two_lineages, two_receptors
from cartrace.cells.tables import TYPES
from cartrace.cells.typing import Facts, overruled
from cartrace.problems import InputError, Problem, plain
from cartrace.tables import QC, conform, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cartrace.cells.settings import Cells, Types
    from cartrace.cells.typing import Surveyed, Typed

_SORTED = {
    "t_cells": (("t",), "T cells"),
    "car_positive": (("t",), "T cells"),
    "b_cells": (("b", "plasma"), "B and plasma cells"),
}
"""What a library holds after its sort."""


@dataclass(frozen=True)
class DoubletCalls:
    """Which cells are two: probability, verdict, and why, each (cells,)."""

    score: NDArray[np.float64]
    doublet: NDArray[np.bool_]
    evidence: NDArray[np.object_]


@dataclass(frozen=True)
class Agreement:
    """Cells with a lineage from panels and from a trained model, and those whose lineages differ."""

    both: int
    against: int


def facts_of(cells: pd.DataFrame, library: Mapping[str, Any], barcodes: NDArray[Any], file: str) -> Facts:
    """Return what is known of the cells, in the order of the matrix.

    Raises
    ------
    InputError
        When the table of cells is not of this matrix.
    """
    names = np.array([b.decode() if isinstance(b, bytes) else str(b) for b in barcodes], dtype=object)
    listed = cells["cell"].to_numpy(dtype=object)
    if len(names) != len(listed) or not (names == listed).all():
        found = f"{len(listed)} cells that are not the {len(names)} of the matrix"
        raise InputError([Problem(file, found, "the table of cells of this library", column="cell")])
    ambient = library.get("ambient_percent")
    return Facts(
        passed=cells["passed"].to_numpy(dtype=bool),
        t_receptor=_any(cells, "tra", "trb"),
        b_receptor=_any(cells, "igh", "igl"),
        isotype=cells["isotype"].fillna("").to_numpy(dtype=str),
        ambient=None if pd.isna(ambient) else float(ambient) / 100,
    )


def _any(cells: pd.DataFrame, *columns: str) -> NDArray[np.bool_]:
    return np.any([cells[c].fillna(0).to_numpy(dtype=float) > 0 for c in columns], axis=0)


def call_doublets(kept: Surveyed, typed: Typed, cells: pd.DataFrame, settings: Cells) -> DoubletCalls:
    """Say which cells are two, by neighbours, receptors and lineages.

    Neighbours are looked for among the cells that keep the limits of quality; the others have the share
    that is to be expected.
    """
    learnable = np.flatnonzero(kept.learnable)
    scores = doublet_scores(
        kept.variable[learnable],
        kept.counts.totals[learnable],
        rng=np.random.default_rng(settings.seed),
        settings=settings.doublets,
        barcodes=len(cells),
    )
    score = np.full(len(cells), scores.expected_share)
    score[learnable] = scores.score
    neighbours = np.zeros(len(cells), dtype=bool)
    neighbours[learnable] = scores.doublet
    chains = {c: cells[c].to_numpy(dtype=float, na_value=np.nan) for c in ("tra", "trb", "igh")}
    found = combine_doublet_evidence(
        neighbours,
        two_receptors(chains, settings.doublets.max_heavy_chains),
        two_lineages(typed.lineage_scores, typed.lineage_names, settings.doublets.lineage_score)
        & (score >= settings.doublets.lineage_lift * scores.expected_share)
        & kept.learnable,
    )
    return DoubletCalls(score, found.doublet, found.evidence)


def types_table(cells: pd.DataFrame, typed: Typed, doublets: DoubletCalls) -> pd.DataFrame:
    """Return the rows of TYPES; a cell counts when it keeps the limits of quality and is no doublet."""
    passed = cells["passed"].to_numpy(dtype=bool)
    frame = pd.DataFrame(
        {
            "library": cells["library"].to_numpy(),
            "cell": cells["cell"].to_numpy(),
            "lineage": typed.lineage,
            "cell_type": typed.cell_type,
            "confidence": typed.confidence,
            "state": typed.state,
            "state_confidence": typed.state_confidence,
            "phase": typed.phase,
            "cycling": typed.cycling,
            "doublet_score": doublets.score,
            "doublet": doublets.doublet,
            "doublet_evidence": doublets.evidence,
            "counts": passed & ~doublets.doublet,
        }
    )
    return conform(frame, TYPES)


def with_model(
    typed: Typed,
    predicted: tuple[NDArray[np.int64], NDArray[np.float64]],
    classes: NDArray[np.str_],
    meaning: Mapping[str, str],
    settings: Types,
) -> tuple[Typed, Agreement]:
    """Let a trained model name types where it and the panels do not contradict each other.

    Parameters
    ----------
    predicted
        (cells,) index of the class, and its probability.
    classes
        (classes,) labels of the model; ``meaning`` turns them into cell types.
    """
    best, sure = predicted
    words = np.array([meaning[str(c)] for c in classes], dtype=object)
    joined, against, both = overruled(typed, words[best], sure, settings)
    return joined, Agreement(int(both.sum()), int(against.sum()))


def findings(
    table: pd.DataFrame,
    typed: Typed,
    library: Mapping[str, Any],
    settings: Types,
    agreement: Agreement | None = None,
) -> pd.DataFrame:
    """Return what is odd about the types of a library, as rows of qc."""
    name = str(library["library"])
    found: list[dict[str, Any]] = []

    def add(check: str, verdict: str, message: str, **more: str) -> None:
        found.append(
            {"check": check, "verdict": verdict, "source_file": name, "message": f"{name}: {message}", **more}
        )

    _markers(typed, settings, add)
    counting = table[table["counts"].astype(bool)]
    if len(counting):
        _shares(counting, library, settings, add)
    split = typed.split
    if split is not None:
        seeds = f"{split.cd4_seeds} clear CD4 and {split.cd8_seeds} clear CD8 cells"
        if math.isnan(split.accuracy):
            add(
                "cd4_cd8",
                "note",
                f"CD4 and CD8 rest on the markers alone: {seeds} are too few to learn from",
                value=f"{min(split.cd4_seeds, split.cd8_seeds)} cells",
                limit=f"at least {settings.split_seeds} of each",
            )
        else:
            accuracy = f"{100 * split.accuracy:.0f} %"
            add(
                "cd4_cd8",
                "note",
                f"CD4 and CD8 were learned from {seeds}; co-expressed genes alone get {accuracy} of them right",
                value=accuracy,
            )
    if agreement is not None and agreement.both:
        same = 100 * (1 - agreement.against / agreement.both)
        add(
            "model_agreement",
            "warn" if same < settings.min_agreement_percent else "note",
            f"panels and model name the same lineage in {same:.0f} % of the {agreement.both} cells in which both are "
            "sure; the others are unassigned",
            value=f"{same:.0f} %",
            limit=f"at least {settings.min_agreement_percent:g} %",
            limit_source="cells.types.min_agreement_percent",
        )
    return rows(found, QC)


def _markers(typed: Typed, settings: Types, add: Any) -> None:
    if typed.genes_percent < settings.min_genes_percent:
        add(
            "markers",
            "fail",
            f"the matrix has {typed.genes_percent:.0f} % of the panels' genes, so that no cell gets a type; are its genes "
            "human, with symbols or Ensembl ids?",
            value=f"{typed.genes_percent:.0f} %",
            limit=f"at least {settings.min_genes_percent:g} %",
            limit_source="cells.types.min_genes_percent",
        )
        return
    for place, group in typed.markers.items():
        missing = [c for c, n in group.items() if n < settings.min_markers]
        if missing:
            whole = "" if place == "lineages" else "; types of this group stay open where they need it"
            add(
                "markers",
                "note",
                f"too few markers in the matrix to look for {', '.join(map(plain, missing))}{whole}",
                value=", ".join(f"{plain(c)}: {group[c]}" for c in missing),
                limit=f"at least {settings.min_markers} markers of a class",
                limit_source="cells.types.min_markers",
            )


def _shares(counting: pd.DataFrame, library: Mapping[str, Any], settings: Types, add: Any) -> None:
    lineage = counting["lineage"]
    open_ = 100 * float((lineage == "unassigned").mean())
    if open_ > settings.max_unassigned_percent:
        add(
            "unassigned",
            "warn",
            f"{open_:.0f} % of the cells that count have no lineage: shallow, broken, or of a kind that no panel knows",
            value=f"{open_:.0f} %",
            limit=f"at most {settings.max_unassigned_percent:g} %",
            limit_source="cells.types.max_unassigned_percent",
        )
    wanted, words = _SORTED.get(str(library["sort"]), ((), ""))
    named = lineage[lineage != "unassigned"]
    if wanted and len(named):
        share = 100 * float(named.isin(wanted).mean())
        if share < settings.min_sorted_percent:
            add(
                "sorted",
                "warn",
                f"sorted as {library['sort']}, but {share:.0f} % of the cells with a lineage are {words}",
                value=f"{share:.0f} %",
                limit=f"at least {settings.min_sorted_percent:g} %",
                limit_source="cells.types.min_sorted_percent",
            )
