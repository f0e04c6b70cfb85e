"""Which cells and which libraries are good enough; the CAR has no part in it.

Limits of a cell are fixed ones and robust ones: median and median absolute deviation of the library's own
cells. Robust limits are taken from barcodes that keep the fixed limits, so that debris does not set them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.settings import Quality
    from cartrace.cells.streaming import Sums

NORMAL = 1.4826
"""Median absolute deviation of a normal distribution times this is its standard deviation."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cell of one library may have; infinite where there is no limit.

    Attributes
    ----------
    umis, genes
        Fewest and most.
    mito_percent
        Most mitochondrial UMIs, %.
    complexity
        Least log10(genes) / log10(UMIs).
    robust
        Whether the library had enough cells for limits of its own.
    """

    umis: tuple[float, float]
    genes: tuple[float, float]
    mito_percent: float
    complexity: float
    robust: bool


def mito_percent(sums: Sums) -> NDArray[np.float64]:
    """Return mitochondrial UMIs in percent of all, (cells,); 0 where a barcode has none."""
    return percent_of(sums.mito, sums.umis)


def percent_of(part: NDArray[np.int64], umis: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``part`` in percent of the UMIs of genes, (cells,)."""
    percent: NDArray[np.float64] = 100.0 * part / np.maximum(umis, 1)
    return percent


def complexity(sums: Sums) -> NDArray[np.float64]:
    """Return log10(genes) / log10(UMIs), (cells,); 1 where each UMI is another gene, as in one UMI."""
    umis = np.log(np.maximum(sums.umis, 2))
    ratio: NDArray[np.float64] = np.where(sums.umis < 2, 1.0, np.log(np.maximum(sums.genes, 1)) / umis)
    return ratio


def limits_of(sums: Sums, settings: Quality) -> Limits:
    """Take the limits of one library from its own cells.

    With m the median and d 1.4826 times the median absolute deviation, log UMIs and log genes may lie in
    m ± ``mads`` d, and the mitochondrial share up to m + ``mito_mads`` d, within the fixed limits.
    """
    most = settings.max_umis or np.inf
    mito = mito_percent(sums)
    base = (sums.umis >= settings.min_umis) & (sums.umis <= most) & (sums.genes >= settings.min_genes)
    # Dying cells, which have few UMIs, do not set the limits of the others.
    living = base & (mito <= settings.max_mito_percent)
    if living.sum() < settings.min_cells_for_mads:
        return Limits(
            (settings.min_umis, most),
            (settings.min_genes, np.inf),
            settings.max_mito_percent,
            settings.min_complexity,
            robust=False,
        )
    umis, genes = (_around(np.log(x[living]), settings.mads) for x in (sums.umis, sums.genes))
    upper_mito = _around(mito[living], settings.mito_mads)[1]
    return Limits(
        (max(settings.min_umis, np.exp(umis[0])), min(most, np.exp(umis[1]))),
        (max(settings.min_genes, np.exp(genes[0])), float(np.exp(genes[1]))),
        float(np.clip(upper_mito, settings.mito_percent_allowed, settings.max_mito_percent))
        if settings.mito_percent_allowed < settings.max_mito_percent
        else settings.max_mito_percent,
        settings.min_complexity,
        robust=True,
    )


def _around(values: NDArray[np.float64], mads: float) -> tuple[float, float]:
    """Return median ± ``mads`` deviations; open when half of the values are the same."""
    middle = float(np.median(values))
    deviation = NORMAL * float(np.median(np.abs(values - middle)))
    if deviation == 0:
        return -np.inf, np.inf
    return middle - mads * deviation, middle + mads * deviation


@dataclass(frozen=True, slots=True)
class Judged:
    """Which cells keep the limits.

    Attributes
    ----------
    passed
        (cells,).
    broken
        Name of a limit -> cells that break it, (cells,) each.
    """

    passed: NDArray[np.bool_]
    broken: dict[str, NDArray[np.bool_]]

    def flags(self) -> list[str | None]:
        """Return the limits that each cell breaks, joined by ';', None where it keeps them all."""
        flags: list[str | None] = [None] * len(self.passed)
        for name, cells in self.broken.items():
            for i in np.flatnonzero(cells).tolist():
                before = flags[i]
                flags[i] = f"{before};{name}" if before else name
        return flags


def judge_cells(sums: Sums, limits: Limits) -> Judged:
    """Compare every cell with the limits of its library."""
    broken = {
        "few_umis": sums.umis < limits.umis[0],
        "many_umis": sums.umis > limits.umis[1],
        "few_genes": sums.genes < limits.genes[0],
        "many_genes": sums.genes > limits.genes[1],
        "mitochondrial": mito_percent(sums) > limits.mito_percent,
        "low_complexity": complexity(sums) < limits.complexity,
    }
    return Judged(~np.logical_or.reduce(list(broken.values())), broken)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a library as a whole."""

    check: str
    rejects: bool
    value: str
    limit: str
    setting: str
    message: str


def library_faults(
    sums: Sums, judged: Judged, ambient_percent: float | None, settings: Quality
) -> list[Fault]:
    """Say whether a library has failed, or is poor; empty when all is well."""
    barcodes, passed = len(judged.passed), int(judged.passed.sum())
    median = float(np.median(sums.umis)) if barcodes else 0.0
    share = 100.0 * passed / barcodes if barcodes else 0.0
    if barcodes == 0:
        return [
            Fault(
                "failed_library", True, "0", "1 or more", "", "the matrix has no barcodes: no cell was found"
            )
        ]
    faults = []
    if median < settings.failed_median_umis:
        faults.append(
            Fault(
                "failed_library",
                True,
                f"{median:g}",
                f"at least {settings.failed_median_umis:g}",
                "failed_median_umis",
                f"the library has failed: its {barcodes} barcodes have a median of {median:g} UMIs",
            )
        )
    if passed == 0 or share < settings.failed_passed_percent:
        faults.append(
            Fault(
                "failed_library",
                True,
                f"{share:.3g} %",
                f"at least {settings.failed_passed_percent:g} %",
                "failed_passed_percent",
                f"the library has failed: {passed} of {barcodes} barcodes keep the limits of a cell",
            )
        )
    elif share < settings.flagged_passed_percent:
        faults.append(
            Fault(
                "few_passed",
                False,
                f"{share:.3g} %",
                f"at least {settings.flagged_passed_percent:g} %",
                "flagged_passed_percent",
                f"{passed} of {barcodes} barcodes keep the limits of a cell",
            )
        )
    if 0 < passed < settings.flagged_cells:
        faults.append(
            Fault(
                "few_cells",
                False,
                str(passed),
                f"at least {settings.flagged_cells}",
                "flagged_cells",
                f"{passed} cells keep the limits: shares of them are known roughly",
            )
        )
    if ambient_percent is not None and ambient_percent > settings.flagged_ambient_percent:
        faults.append(
            Fault(
                "ambient",
                False,
                f"{ambient_percent:.3g} %",
                f"at most {settings.flagged_ambient_percent:g} %",
                "flagged_ambient_percent",
                f"{ambient_percent:.3g} % of a cell's UMIs are ambient RNA",
            )
        )
    return faults


def call_cells(umis: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """Say which barcodes of an unfiltered matrix are cells, by their UMIs alone.

    For a guess x of the number of cells, a cell has a tenth of the 99th percentile of the x largest barcodes
    or more; the guess counts at which as many cells come out: the least (found(x) - x)^2 / x.

    Source: Cell Ranger, gene expression algorithms, "Calling cell barcodes" (OrdMag; since version 7 without an
    expected number) [recalled].

    Parameters
    ----------
    umis
        UMIs of every barcode, (barcodes,).
    least
        Fewest UMIs of a cell.
    """
    order = np.sort(umis[umis >= least])[::-1]
    if not len(order):
        return np.zeros(len(umis), bool)
    # Cell Ranger takes guesses from 2 to 45,000.
    guesses = np.unique(np.geomspace(2, 45_000, 400).round().astype(int))
    cutoffs = np.maximum(least, order[np.minimum((guesses * 0.01).astype(int), len(order) - 1)] / 10)
    found = np.searchsorted(-order, -cutoffs, "right")
    best = int(np.argmin((found - guesses) ** 2 / guesses))
    called: NDArray[np.bool_] = umis >= cutoffs[best]
    return called
