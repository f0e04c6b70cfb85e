"""Which T cells of a library carry the CAR, and how many of them: rows of CARS, CAR_FRACTIONS and qc."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.cells.ambient import Counted, empty_droplets
from cartrace.cells.borrowing import Borrowed, borrow
from cartrace.cells.car_fraction import FractionEstimate, Interval, estimate_fraction
from cartrace.cells.car_model import histogram_of
from cartrace.cells.surface_tag import TagEvidence, tag_evidence
from cartrace.cells.tables import CAR_FRACTIONS, CARS
from cartrace.problems import plain
from cartrace.tables import QC, conform, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.car_cells import CarCells
    from cartrace.cells.posterior import Floats
    from cartrace.cells.settings import Cells

EVEN = 0.5
"""No cell is called against its own posterior."""
ROUNDING = 1e-12
MOST_BEFORE = 3
"""Molecules from which a T cell from before any infusion looks like a CAR-T cell."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the library beside its cells."""

    library: str
    rejected: str = ""
    """Why the library does not count at all; empty: it does."""
    sort: str = "none"
    pre_infusion: bool = False
    flow_fraction: float | None = None
    """CAR+ fraction of its T cells by flow cytometry, 0 to 1."""
    empty_droplets: int = 0
    empty_umis: int = 0
    empty_car_umis: int = 0
    ambient_share: float | None = None
    """Estimated share of a cell's UMIs that floated, 0 to 1."""


@dataclass(frozen=True, slots=True)
class CalledLibrary:
    """The tables of one library."""

    cars: pd.DataFrame
    fractions: pd.DataFrame
    qc: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Posteriors from which a cell is positive, and up to which it is negative."""

    positive: float
    negative: float


def context_of(
    library: Mapping[str, Any],
    *,
    pre_infusion: bool = False,
    flow_percent: float | None = None,
    foreign: bool = False,
) -> Context:
    """Read what a row of LIBRARIES says.

    Parameters
    ----------
    library
        Row of the contract LIBRARIES.
    flow_percent
        CAR+ of T cells by flow cytometry, %.
    foreign
        Whether its CAR reads are mostly of constructs that the product does not carry
        (:func:`cartrace.cells.cohort_checks.wrong_construct`): then no share of the product's CAR is told.
    """

    def number(name: str) -> float:
        value = library[name]
        return 0.0 if pd.isna(value) else float(value)

    reason = library["reason"]
    share = library["ambient_percent"]
    rejected = ""
    if library["verdict"] == "rejected":
        rejected = ("" if pd.isna(reason) else str(reason)) or "the library failed its checks"
    elif foreign:
        rejected = "its CAR reads are mostly of a construct that the subject's product does not carry"
    return Context(
        library=str(library["library"]),
        rejected=rejected,
        sort=str(library["sort"]),
        pre_infusion=pre_infusion,
        flow_fraction=None if flow_percent is None else flow_percent / 100,
        empty_droplets=int(number("empty_droplets")),
        empty_umis=int(number("empty_umis")),
        empty_car_umis=int(number("empty_car_umis")),
        ambient_share=None if pd.isna(share) else float(share) / 100,
    )


def call_library(
    cells: CarCells, context: Context, before: Sequence[CarCells], settings: Cells
) -> CalledLibrary:
    """Estimate the CAR+ fraction of the T cells of one library, and call each of them.

    Parameters
    ----------
    cells
        Cells of the library.
    context
        What else is known of it.
    before
        Cells of the subject's libraries from before any infusion.
    settings
        The section ``cells`` of the configuration.
    """
    rules = settings.car_calls
    rng = np.random.default_rng(settings.seed)
    others = cells.others(rules.cannot_carry)
    t_cells = cells.t_cells & cells.counted
    findings = _Findings(context.library)
    row: dict[str, Any] = {
        "library": context.library,
        "evidence": cells.evidence,
        "t_cells": int(t_cells.sum()),
        "other_cells": int(others.sum()),
        "ambient_source": "none",
    }
    if cells.evidence != "none":
        row["other_positive"] = int((cells.molecules[others] > 0).sum())
        if t_cells.any():
            row["naive_percent"] = 100 * float((cells.molecules[t_cells] > 0).mean())
    if reason := _why_not(cells, context, t_cells, rules.min_t_cells):
        findings.add("car_fraction", "fail", reason)
        row |= {"positive": 0, "negative": 0, "undetermined": 0} | findings.verdict(reason)
        return CalledLibrary(_uncalled(cells, context), rows([row], CAR_FRACTIONS), findings.table())

    median = float(np.median(cells.umis[t_cells]))
    used = t_cells | others | cells.t_cells
    histogram, of_row = histogram_of(
        cells.molecules[used], cells.umis[used] / median, t_cells[used], others[used]
    )
    empties = empty_droplets(
        car_molecules=_molecules_of_empties(cells, context),
        umis=context.empty_umis,
        droplets=context.empty_droplets,
        median_umis=median,
        ambient_share=context.ambient_share,
        spread_known=rules.empty_droplets_spread,
        spread_unknown=rules.empty_droplets_spread_unknown,
    )
    earlier = _before(before, median, rules.before_spread, findings)

    def estimate(flow_fraction: float | None) -> FractionEstimate:
        return estimate_fraction(
            histogram,
            empties=empties,
            before=earlier,
            evidence=cells.evidence,
            flow_fraction=flow_fraction,
            settings=rules,
            confidence=settings.confidence,
            rng=rng,
        )

    own = estimate(None)
    found = own if context.flow_fraction is None else estimate(context.flow_fraction)
    row |= _fraction_columns(found, own, earlier is not None, context)
    row["ambient_source"] = _ambient_source(int(others.sum()) >= rules.min_other_cells, empties is not None)

    by_molecules = np.full(len(cells.cell), np.nan)
    by_molecules[used] = found.model.posterior_of_rows(found.points).mean(axis=0)[of_row]
    by_molecules[~cells.t_cells] = np.nan
    tag = _tag(cells, by_molecules, t_cells=t_cells, others=others, settings=settings, findings=findings)
    alone = by_molecules if tag is None else _joined(by_molecules, tag.log_odds)
    clones = Borrowed(alone, np.zeros(len(alone), bool), math.nan)
    if found.detection.detected:
        clones = borrow(alone, found.fraction.value, cells.clone, t_cells, min_cells=rules.min_clone_cells)
    cutoffs = cutoffs_of(clones.posterior[t_cells], rules.false_discovery_rate, rules.missed_rate)
    call, call_alone = called(clones.posterior, cutoffs), called(alone, cutoffs)
    if clones.lent.any():
        changed = int((call != call_alone)[t_cells].sum())
        findings.add(
            "borrowed_from_clones",
            "note",
            f"clones of {rules.min_clone_cells} T cells or more decided {changed} calls; the fraction does not use them",
            value=str(changed),
        )
    for name in ("positive", "negative", "undetermined"):
        row[name] = int((call[t_cells] == name).sum())
    _report(found, own, cells, context, others=others, row=row, findings=findings, settings=settings)
    row |= findings.verdict()
    false_rate = found.false_rate.value
    cars = pd.DataFrame(
        {
            "library": context.library,
            "cell": cells.cell,
            "call": call,
            "posterior": clones.posterior,
            "molecules": cells.molecules,
            "ambient_expected": false_rate * cells.umis / median,
            "evidence": cells.evidence,
            "tag_positive": _tag_positive(tag, found.fraction.value, len(call)),
            "borrowed": call != call_alone,
            "own_posterior": alone,
        }
    )
    return CalledLibrary(conform(cars, CARS), rows([row], CAR_FRACTIONS), findings.table())


def cutoffs_of(posterior: Floats, false_discovery_rate: float, missed_rate: float) -> Cutoffs:
    """Return the cutoffs that call the most cells within the expected error rates.

    Positive cells are those of the highest posteriors whose mean chance of being CAR- keeps the false
    discovery rate; negative ones those of the lowest whose mean chance of being CAR+ keeps the missed
    rate (Newton et al. 2004, Biostatistics 5:155). Cells of equal posterior stay together.

    Parameters
    ----------
    posterior
        (cells,) of the T cells that count.
    """
    ordered = np.sort(posterior)
    n = np.arange(1, len(ordered) + 1)
    missed = np.cumsum(ordered) / n
    false = np.cumsum(1 - ordered[::-1]) / n

    def last(values: Floats, error: Floats, limit: float) -> float | None:
        # Of cells of equal posterior only the last one tells the error of them all.
        whole = np.append(values[1:] != values[:-1], True) & (error <= limit + ROUNDING)
        return float(values[np.flatnonzero(whole)[-1]]) if whole.any() else None

    positive = last(ordered[::-1], false, false_discovery_rate)
    negative = last(ordered, missed, missed_rate)
    return Cutoffs(
        math.inf if positive is None else max(EVEN, positive),
        -math.inf if negative is None else min(EVEN, negative),
    )


def called(posterior: Floats, cutoffs: Cutoffs) -> NDArray[np.object_]:
    """Return the call of each posterior; nan is not_assessed."""
    with np.errstate(invalid="ignore"):
        found = np.select(
            [np.isnan(posterior), posterior >= cutoffs.positive, posterior <= cutoffs.negative],
            ["not_assessed", "positive", "negative"],
            "undetermined",
        )
    return found.astype(object)


@dataclass
class _Findings:
    """Findings of one library: what warns becomes a flag."""

    library: str
    records: list[dict[str, object]] = field(default_factory=list)

    def add(self, check: str, verdict: str, message: str, **more: object) -> None:
        message = plain(message, 500)
        self.records.append(
            {"check": check, "verdict": verdict, "source_file": self.library, "message": message, **more}
        )

    def verdict(self, rejected: str = "") -> dict[str, object]:
        warned = [r for r in self.records if r["verdict"] == "warn"]
        if rejected:
            return {"verdict": "rejected", "flags": "car_fraction", "reason": rejected}
        return {
            "verdict": "flagged" if warned else "accepted",
            "flags": ";".join(str(r["check"]) for r in warned) or None,
            "reason": "; ".join(str(r["message"]) for r in warned) or None,
        }

    def table(self) -> pd.DataFrame:
        return rows(self.records, QC)


def _why_not(cells: CarCells, context: Context, t_cells: NDArray[np.bool_], fewest: int) -> str:
    """Say why no fraction can be estimated; empty: it can."""
    if context.rejected:
        return f"not estimable, because the library is rejected: {context.rejected}"
    if cells.evidence == "none":
        return (
            "not estimable, because the count matrix has no CAR feature and there are no molecules from reads"
        )
    if int(t_cells.sum()) < fewest:
        return f"not estimable, because {int(t_cells.sum())} T cells count, fewer than {fewest}"
    if context.sort == "car_positive" and not cells.molecules.any():
        return (
            "not estimable, because no cell of a library sorted for the CAR has a CAR molecule: "
            "the reference lacks the part of the construct that is read"
        )
    return ""


def _uncalled(cells: CarCells, context: Context) -> pd.DataFrame:
    known = cells.evidence != "none"
    return conform(
        pd.DataFrame(
            {
                "library": context.library,
                "cell": cells.cell,
                "call": "not_assessed",
                "posterior": np.nan,
                "molecules": pd.array(cells.molecules if known else [None] * len(cells.cell), dtype="Int64"),
                "ambient_expected": np.nan,
                "evidence": cells.evidence,
                "tag_positive": pd.array([None] * len(cells.cell), dtype="boolean"),
                "borrowed": False,
                "own_posterior": np.nan,
            }
        ),
        CARS,
    )


def _molecules_of_empties(cells: CarCells, context: Context) -> float:
    """Return the CAR molecules in empty droplets, in the kind that the evidence counts.

    With molecules from reads, the feature's UMIs in the empty droplets are scaled by the ratio of both in
    cells; without the feature, molecules in all barcodes that are no cells count.
    """
    if cells.evidence == "counts":
        return float(context.empty_car_umis)
    if math.isnan(cells.feature_ratio):
        return float(cells.molecules_outside)
    return context.empty_car_umis * cells.feature_ratio


def _before(before: Sequence[CarCells], median: float, spread: float, findings: _Findings) -> Counted | None:
    """Return what T cells from before any infusion show as CAR, although it can't be."""
    told = [b for b in before if b.evidence != "none"]
    molecules, umis, cells, strange = 0, 0, 0, 0
    for library in told:
        chosen = library.t_cells & library.counted
        found = library.molecules[chosen]
        molecules += int(np.minimum(found, MOST_BEFORE).sum())
        strange += int((found >= MOST_BEFORE).sum())
        umis += int(library.umis[chosen].sum())
        cells += len(found)
    if umis == 0:
        return None
    findings.add(
        "pre_infusion",
        "warn" if strange else "note",
        f"{molecules} CAR molecules in {cells} T cells from before any infusion count as misassigned"
        + (f"; {strange} of these cells have {MOST_BEFORE} or more: swapped samples?" if strange else ""),
        value=str(molecules),
    )
    return Counted(molecules, umis / median, spread)


def _fraction_columns(
    found: FractionEstimate, own: FractionEstimate, with_before: bool, context: Context
) -> dict[str, Any]:
    """Return the columns of CAR_FRACTIONS that the estimate fills."""
    detection = found.detection
    fraction = found.fraction
    state = "quantified"
    if not detection.detected:
        state = "BLD"
    elif fraction.value < detection.lod:
        state = "BLQ"
    flow = context.flow_fraction is not None
    return {
        "fraction": 100 * fraction.value if state == "quantified" else math.nan,
        "lower": 0.0 if state == "BLD" else 100 * fraction.lower,
        "upper": 100 * fraction.upper,
        "lod": 100 * detection.lod,
        "detection": state,
        "mean_molecules": found.mean.value,
        "dispersion": found.dispersion,
        "ambient_rate": found.false_rate.value,
        "ambient_lower": found.false_rate.lower,
        "ambient_upper": found.false_rate.upper,
        "threshold": detection.threshold,
        "above_threshold": detection.cells,
        "blank_expected": detection.expected,
        "blank_limit": detection.decision,
        "uncalibrated_fraction": 100 * own.fraction.value if flow else math.nan,
        "calibrated_by": ";".join([*(["flow"] if flow else []), *(["pre_infusion"] if with_before else [])])
        or None,
    }


def _ambient_source(others: bool, empties: bool) -> str:
    return {(True, True): "both", (True, False): "other_cells", (False, True): "empty_droplets"}.get(
        (others, empties), "none"
    )


def _tag(
    cells: CarCells,
    posterior: Floats,
    *,
    t_cells: NDArray[np.bool_],
    others: NDArray[np.bool_],
    settings: Cells,
    findings: _Findings,
) -> TagEvidence | None:
    """Return what the surface tag adds; None: nothing."""
    if cells.tag is None:
        return None
    rules = settings.car_calls
    found = tag_evidence(
        cells.tag,
        posterior,
        t_cells,
        others,
        min_others=rules.min_other_cells,
        limit=rules.tag_limit,
        min_separation=rules.min_tag_separation,
    )
    findings.add(
        "surface_tag",
        "note",
        f"the surface tag parts CAR+ from CAR- T cells by {found.separation:.1f} standard deviations"
        + ("" if found.used else ": too little, it does not count"),
        value=f"{found.separation:.2g}",
        limit=f"at least {rules.min_tag_separation:g}",
        limit_source="cells.car_calls.min_tag_separation",
    )
    return found if found.used else None


def _joined(posterior: Floats, log_odds: Floats) -> Floats:
    inside = np.clip(posterior, 1e-12, 1 - 1e-12)
    found: Floats = 1 / (1 + (1 - inside) / inside * np.exp(-log_odds))
    return found


def _tag_positive(tag: TagEvidence | None, fraction: float, n: int) -> Any:
    if tag is None:
        return pd.array([None] * n, dtype="boolean")
    return pd.array(_joined(np.full(n, fraction), tag.log_odds) > EVEN, dtype="boolean")


def _report(
    found: FractionEstimate,
    own: FractionEstimate,
    cells: CarCells,
    context: Context,
    *,
    others: NDArray[np.bool_],
    row: Mapping[str, Any],
    findings: _Findings,
    settings: Cells,
) -> None:
    """Add findings on what the fraction rests on."""
    rules = settings.car_calls
    detection = found.detection
    findings.add(
        "car_detection",
        "pass" if detection.detected else "note",
        f"{detection.cells} of {row['t_cells']} T cells have {detection.threshold} CAR molecules or more; ambient predicts"
        f" {detection.expected:.3g}, and at most {detection.decision} in a library without CAR",
        value=str(detection.cells),
        limit=f"more than {detection.decision}",
        limit_source="cells.car_calls.detection_probability",
    )
    if context.pre_infusion and detection.detected:
        findings.add(
            "car_before_infusion", "warn", "CAR+ T cells are detected in a library from before any infusion"
        )
    if not cells.molecules.any():
        findings.add(
            "no_car_molecule",
            # Before an infusion none is expected.
            "note" if context.pre_infusion else "warn",
            "no cell has a CAR molecule: none is there, or the reference lacks the part of the construct that is read;"
            " the upper limit believes the former",
        )
    elif found.prior_decides:
        findings.add(
            "mean_from_prior",
            "warn",
            f"too few CAR+ cells tell their mean; {rules.mean_molecules:g} CAR molecules are believed of a cell"
            f" (cells.car_calls.mean_molecules), and the interval allows for {found.mean.lower:.2g} to {found.mean.upper:.2g}",
        )
    if row["ambient_source"] == "none":
        findings.add(
            "ambient_not_seen",
            "warn",
            f"no raw matrix, and {row['other_cells']} cells that cannot carry the CAR, fewer than {rules.min_other_cells}:"
            " the ambient rate is believed (cells.car_calls.ambient_share), with a wide spread",
        )
    if not found.settled:
        findings.add(
            "fit_not_settled",
            "warn",
            f"the limits rest on {found.draws.effective:.0f} independent draws; cells.car_calls.draws can be raised",
        )
    if context.flow_fraction is not None:
        _compare_with_flow(own.fraction, context.flow_fraction, findings)
    if not cells.molecules.any():
        return
    for lineage in sorted({str(x) for x in cells.lineage[cells.counted & ~cells.t_cells]}):
        of = cells.counted & (cells.lineage == lineage)
        positive = int((cells.molecules[of] > 0).sum())
        if positive:
            kind = "cannot carry the CAR" if others[of].any() else "may carry it"
            findings.add(
                "car_in_other_cells",
                "note",
                f"{positive} of {int(of.sum())} cells of the lineage {lineage}, which {kind}, have a CAR molecule: ambient,"
                " hidden doublets or transduced cells",
                value=str(positive),
            )


def _compare_with_flow(own: Interval, flow: float, findings: _Findings) -> None:
    agrees = own.lower <= flow <= own.upper
    findings.add(
        "flow_fraction",
        "note" if agrees else "warn",
        f"flow cytometry says {100 * flow:.3g} % CAR+ of T cells; transcripts alone say {100 * own.value:.3g} %"
        f" ({100 * own.lower:.3g} to {100 * own.upper:.3g} %)",
        value=f"{100 * own.value:.3g}",
        limit=f"{100 * flow:.3g}",
    )
