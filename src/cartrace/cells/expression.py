"""Genes that differ between two sides of the same subjects: DESeq2 on pseudobulks, paired by subject."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.problems import plain

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.cells.pseudobulk import Chosen
    from cartrace.cells.settings import Expression
    from cartrace.cells.stored import Genes

NUMBERS = {
    "log2FoldChange": "log2_fold_change",
    "lfcSE": "se",
    "pvalue": "p",
    "padj": "q",
    "baseMean": "mean",
}


def compare(counts: NDArray[np.int64], *, alpha: float) -> pd.DataFrame:
    """Compare the two sides of each subject, gene by gene.

    The model is DESeq2's negative binomial (Love 2014, Genome Biol 15:550) with the design ``~ subject + side``,
    by pydeseq2: size factors by median of ratios, shrunken dispersions, Wald test, Cook's outliers left out,
    independent filtering for ``alpha``.

    Parameters
    ----------
    counts
        (2 x subjects, genes): first and second side of each subject in turn.

    Returns
    -------
    DataFrame
        log2_fold_change (first over second), se, p, q (Benjamini-Hochberg) and mean; one row for each gene.
    """
    import pandas as pd
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    names = [f"p{i}" for i in range(len(counts))]
    # Made-up names: what a subject is called must not become part of a formula.
    design = pd.DataFrame(
        {
            "subject": [f"s{i // 2}" for i in range(len(counts))],
            "side": ["second" if i % 2 else "first" for i in range(len(counts))],
        },
        index=names,
    )
    frame = pd.DataFrame(counts, index=names, columns=[f"g{i}" for i in range(counts.shape[1])])
    one_core = DefaultInference(n_cpus=1)
    with warnings.catch_warnings():
        # Few residual degrees of freedom, and dispersions that don't follow their mean: what DESeq2 does
        # then (no trend, the mean instead) is what it says.
        warnings.simplefilter("ignore", UserWarning)
        # pydeseq2 takes logarithms of rows without counts, and sets them aside itself.
        warnings.simplefilter("ignore", RuntimeWarning)
        # What anndata and pydeseq2 ask of pandas is theirs to change.
        for kind in (FutureWarning, DeprecationWarning):
            warnings.simplefilter("ignore", kind)
        fitted = DeseqDataSet(
            counts=frame, metadata=design, design="~subject + side", inference=one_core, quiet=True
        )
        fitted.deseq2()
        tested = DeseqStats(
            fitted, contrast=["side", "first", "second"], alpha=alpha, inference=one_core, quiet=True
        )
        tested.summary()
    found: pd.DataFrame = tested.results_df
    return found.rename(columns=NUMBERS)[list(NUMBERS.values())].reset_index(drop=True)


def allowed_genes(
    choice: Chosen, genes: Genes, measured: NDArray[np.bool_], libraries: Sequence[str], settings: Expression
) -> NDArray[np.bool_]:
    """Return (genes,) which genes a contrast may look at.

    Genes that every library of the contrast measured; where CAR+ cells are compared with CAR- ones without the
    CAR and without genes that share sequence with it, which differ by construction.
    """
    among = np.isin(np.asarray(libraries, dtype=object), list(choice.libraries))
    allowed = measured[:, among].all(axis=1) & np.isin(genes.types, ["Gene Expression", ""])
    # A CAR is told apart by its own rules; as a feature of another kind it is no gene.
    allowed |= genes.cars & measured[:, among].all(axis=1)
    if choice.contrast.of_cars:
        allowed &= ~genes.cars & ~np.isin(genes.symbols, list(settings.left_out))
    return allowed


def expression_rows(
    choice: Chosen,
    sums: NDArray[np.int64] | None,
    genes: Genes,
    allowed: NDArray[np.bool_],
    settings: Expression,
) -> list[dict[str, Any]]:
    """Return the rows of EXPRESSION of one contrast; one row with the reason where it is refused.

    Parameters
    ----------
    sums
        Of :func:`cartrace.cells.pseudobulk.sum_counts`; None: not summed, since subjects are too few.
    """
    name, n = choice.contrast.name, len(choice.subjects)
    base = {"contrast": name, "n_subjects": n}

    def refused(reason: str) -> list[dict[str, Any]]:
        return [base | {"gene": "", "status": "not_estimable", "reason": reason}]

    if sums is None or n < settings.min_pairs:
        return refused(
            f"{n} {'subject' if n == 1 else 'subjects'} with both sides, fewer than {settings.min_pairs}"
        )
    enough = allowed & (sums.sum(axis=0) >= settings.min_counts)
    if not enough.any():
        return refused("no gene that all its libraries measured has enough counts")
    if not (sums[:, enough] > 0).all(axis=0).any():
        return refused("no gene has counts in every pseudobulk, so that their depth can't be compared")
    found = compare(sums[:, enough], alpha=settings.alpha)
    made: list[dict[str, Any]] = []
    numbers: list[Any] = found.to_dict("records")
    for position, row in zip(np.flatnonzero(enough).tolist(), numbers, strict=True):
        reason = None
        if np.isnan(row["p"]):
            reason = "one subject alone makes the difference (Cook's distance)"
        elif np.isnan(row["q"]):
            reason = "mean too low to count among the tests (independent filtering)"
        made.append(
            base
            | {"gene": plain(str(genes.ids[position])), "symbol": plain(str(genes.symbols[position]))}
            | row
            | {"status": "not_estimable" if np.isnan(row["p"]) else "estimated", "reason": reason}
        )
    return made


def contrast_findings(rows: Sequence[dict[str, Any]], alpha: float) -> Iterator[dict[str, object]]:
    """Tell of each contrast how many genes differ, or why it is refused."""
    by_contrast: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_contrast.setdefault(row["contrast"], []).append(row)
    for name, mine in by_contrast.items():
        n = mine[0]["n_subjects"]
        if mine[0]["gene"] == "":
            yield {
                "check": "contrast_refused",
                "verdict": "note",
                "value": name,
                "limit_source": "cells.expression",
                "message": f"{name}: {mine[0]['reason']}",
            }
            continue
        differ = sum(1 for row in mine if row["q"] <= alpha)
        yield {
            "check": "contrast_tested",
            "verdict": "pass",
            "value": name,
            "message": f"{name}: {differ} of {len(mine)} genes differ at a false-discovery rate of {alpha:g}, in {n} subjects",
        }
