"""What the methods say of single-cell libraries: quality, types, CAR calls, composition, expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cartrace.report.cells_words import COUNTED_BY, LINEAGE, UNKNOWN_COUNTER

if TYPE_CHECKING:
    from cartrace.cells.settings import Cells
    from cartrace.report.libraries import CellTables


def sections(settings: Cells, tables: CellTables) -> list[tuple[str, str]]:
    """Describe what was done with the libraries, as (heading, text) pairs; nothing without a library.

    Parameters
    ----------
    settings
        Section ``cells`` of the configuration that ran.
    tables
        Its tables: only what they hold is told.
    """
    if not tables.listed:
        return []
    parts = [
        ("Single-cell libraries: from counts to cells", _quality(settings, tables)),
        ("Single-cell libraries: types and states", _types(settings, tables)),
        ("Single-cell libraries: CAR calls", _cars(settings, tables)),
        ("Single-cell libraries: composition", _composition(settings, tables)),
    ]
    if not tables.expression.empty:
        parts.append(("Single-cell libraries: differential expression", _expression(settings, tables)))
    return parts


def _quality(settings: Cells, tables: CellTables) -> str:
    q = settings.quality
    libraries = tables.libraries
    n = len(libraries)
    ends = " and ".join(
        {"5p": "5′", "3p": "3′"}[c] for c in ("5p", "3p") if (libraries["chemistry"] == c).any()
    )
    programs = [COUNTED_BY.get(str(p), UNKNOWN_COUNTER) for p in libraries["source"].unique()]
    rejected = int((libraries["verdict"] == "rejected").sum())
    most = f" and at most {q.max_umis:,}" if q.max_umis is not None else ""
    text = (
        f"{n} {'library' if n == 1 else 'libraries'} of droplets ({ends}) were counted by {_list(programs)}. A barcode "
        f"counts as a cell with at least {q.min_umis:,}{most} UMIs, {q.min_genes:,} genes and a complexity (log genes over log UMIs) of "
        f"{q.min_complexity:g}; from {q.min_cells_for_mads} barcodes on also within {q.mads:g} scaled median absolute deviations of the "
        f"library's own median of log UMIs and of log genes, and no more than {q.mito_mads:g} above that of mitochondrial UMIs "
        f"(the limit lies between {q.mito_percent_allowed:g} and {q.max_mito_percent:g} %). No limit looks at the CAR. A library has failed when its barcodes have a "
        f"median below {q.failed_median_umis:g} UMIs, or when less than {q.failed_passed_percent:g} % of them are cells; nothing of it "
        f"counts ({rejected} of {n}). "
    )
    if libraries["ambient_percent"].notna().any():
        text += (
            "The ambient share of UMIs follows from genes that one lineage alone expresses: their level in all other cells over "
            "their share in empty droplets (after Young and Behjati 2020). "
        )
    return text + (
        "Doublets were found by simulated doublets among exact nearest neighbours, with a prior of "
        f"{100 * settings.doublets.rate_per_cell * 1000:.2g} % per 1,000 barcodes (Wolock 2019, changed), by too many or contradicting "
        "receptor chains, and by markers of two lineages; they count nowhere."
    )


def _types(settings: Cells, tables: CellTables) -> str:
    t = settings.types
    receptors = [
        f"{name}-cell" for name, chain in (("T", "trb"), ("B", "igh")) if tables.obs[chain].notna().any()
    ]
    evidence = f", by {' and '.join(receptors)} receptor contigs" if receptors else ""
    model = (
        f" A CellTypist model named types where it was sure ({t.min_confidence:g}) and the panels named the same lineage or none."
        if t.celltypist_model
        else ""
    )
    return (
        f"Lineages and types were told by likelihood ratios of marker genes against ambient background (negative binomial){evidence}, and by the types of the "
        f"{t.neighbours} nearest cells as prior; the panels are those of {'the trial' if t.panels else 'cartrace'}. Below a probability of "
        f"{t.min_confidence:g} a lineage or type stays unassigned, below {t.min_state_confidence:g} the state of a T cell. CD4 and CD8, "
        "which most cells lack by dropout, rest on both genes, on genes that go with them, and on a regression that was learned from the "
        f"library's clear cells.{model} Phases of the cell cycle follow Tirosh 2016. Neither the CAR's counts nor CAR calls had a say."
    )


def _cars(settings: Cells, tables: CellTables) -> str:
    c, fractions = settings.car_calls, tables.fractions
    evidence = set(fractions["evidence"])
    text = ""
    if "molecules" in evidence:
        r = settings.car_reads
        text += (
            "Where the reads were at hand, those in the CAR and in genes that share domains with it were aligned again (minimap2) to all "
            f"registered constructs and endogenous transcripts; a read proves the CAR when {100 * r.min_identity:g} % of its bases fit and the best "
            f"endogenous transcript has {r.min_difference} mismatches more, or when it joins two domains. UMIs that differ by one base "
            f"are one molecule; the same molecule in several cells stayed with the one that has {100 * r.chimera_majority:g} % of its reads, or with none. "
        )
    if "counts" in evidence:
        text += f"{'Elsewhere' if 'molecules' in evidence else 'In all libraries'} the counts of the CAR feature were taken. "
    if not evidence - {"none"}:
        return "No library counts the CAR: no CAR+ share is estimated."
    cannot = _list([LINEAGE.get(name, name) for name in c.cannot_carry])
    text += (
        "CAR molecules in T cells were modelled as a mixture: CAR- cells with ambient and misassigned molecules, and CAR+ cells whose "
        "expression follows a generalised gamma distribution with a dim mode, each by the cell's depth. The ambient rate was estimated together "
        f"with it, from empty droplets and from cells that cannot carry the CAR ({cannot}), where a library has them. The CAR+ share of T cells is the model's, "
        "so that it is corrected for dropout and ambient RNA; it is not the number of cells called positive. Its "
        f"{100 * settings.confidence:g} % interval comes from draws of the posterior. A library with no more T cells above the ambient threshold than "
        f"{100 * c.detection_probability:g} % of blanks would have is below detection. A cell is positive or negative where the expected share of "
        f"wrong calls stays below {100 * c.false_discovery_rate:g} % (positive) and {100 * c.missed_rate:g} % (negative); all others are undetermined. "
    )
    calibrated = set(";".join(fractions["calibrated_by"].dropna()).split(";"))
    if "pre_infusion" in calibrated:
        text += "Libraries from before the infusion told how many molecules are misassigned. "
    if "flow" in calibrated:
        text += "Shares by flow cytometry, where the libraries sheet gives one, entered as a second observation of the share. "
    if tables.obs["tag_positive"].notna().any():
        text += f"The CAR's surface tag could change the odds of a call {c.tag_limit:g} times at most. "
    if tables.obs["borrowed"].any():
        text += f"T cells of a clone of {c.min_clone_cells} or more lent each other evidence for calls, never for the share. "
    return text.strip()


def _composition(settings: Cells, tables: CellTables) -> str:
    rules = settings.composition
    text = (
        "Shares are of cells that keep the limits and are no doublets, with exact intervals (Clopper and Pearson) at "
        f"{100 * settings.confidence:g} %. A parent of fewer than {rules.min_parent_cells} cells has no shares; fewer than "
        f"{rules.min_cells_lloq} cells of a population are below quantification, none is below detection and never the number 0. "
        "Libraries of one sample and sort were pooled. A sorted library tells shares within what was sorted only. Parts of CAR+ T "
        "cells are those of the cells called positive. "
    )
    if tables.composition["cells_per_ul"].notna().any():
        lymphocytes = _list([LINEAGE.get(n, n.replace("_", " ") + "s") for n in rules.lymphocytes])
        text += f"Cells/µL are the blood's lymphocyte count times the share of lymphocytes ({lymphocytes}). "
    if not tables.embedding.empty:
        aligned = ", aligned by Harmony" if settings.embedding.harmonise else ""
        text += f"Pictures of cells (UMAP of {settings.embedding.components} principal components{aligned}) are for looking at; no number rests on them."
    return text.strip()


def _expression(settings: Cells, tables: CellTables) -> str:
    e = settings.expression
    refused = int(tables.expression.loc[tables.expression["status"] != "estimated", "contrast"].nunique())
    told = (
        f" Contrasts that were refused: {refused} of {tables.expression['contrast'].nunique()}."
        if refused
        else ""
    )
    return (
        "Counts of the cells of one subject were added up on each side of a contrast, and DESeq2 (pydeseq2) compared the sides "
        f"paired by subject: subjects are the replicates, never cells. The peak is day {e.peak_days[0]:g} to {e.peak_days[1]:g}, late is day "
        f"{e.late_days[0]:g} to {e.late_days[1]:g}, B cells after reconstitution are of day {e.after_days[0]:g} to {e.after_days[1]:g}. A contrast needs "
        f"{e.min_pairs} subjects with {e.min_cells} cells on each side; otherwise it is refused. Where CAR+ and CAR- cells are compared, the CAR and genes that share its "
        f"sequence ({_list(e.left_out)}) were left out.{told}"
    )


def _list(items: Sequence[str]) -> str:
    """Join as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
