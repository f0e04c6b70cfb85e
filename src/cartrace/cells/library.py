"""One library as a whole: its cells, what floats between them, its verdict, and what was odd."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.cells.ambient_share import AmbientShare, ambient_share
from cartrace.cells.contigs import match_barcodes
from cartrace.cells.quality import judge_cells, library_faults, limits_of, mito_percent, percent_of
from cartrace.cells.tables import AMBIENT, CELLS, LIBRARIES
from cartrace.cells.vendor_metrics import compare
from cartrace.problems import InputError, Problem, plain
from cartrace.tables import QC, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.contigs import CellChains, Contigs
    from cartrace.cells.matrices import CountMatrix, Features
    from cartrace.cells.quality import Judged, Limits
    from cartrace.cells.settings import Cells, Quality
    from cartrace.cells.streaming import Empties, Roles, Sums
    from cartrace.cells.vendor_metrics import VendorMetrics

Y_GENES = ("RPS4Y1", "DDX3Y", "UTY", "EIF1AY", "KDM5D", "USP9Y", "ZFY", "TXLNGY", "NLGN4Y")
"""Genes of the Y chromosome outside its ends (GENCODE); RPS4Y1 and DDX3Y are in every T cell of a man."""
B_CELL_UMIS = 3
"""UMIs of MS4A1, CD79A and CD19 of a cell that is most likely a B cell; for a note on contigs alone."""


@dataclass(frozen=True, slots=True)
class LibraryPlan:
    """What the plan says of a library; paths are empty where there is no file."""

    library_id: str
    chemistry: str
    sort: str
    counts: str
    raw_counts: str
    metrics: str
    tcr_contigs: str
    bcr_contigs: str
    car_features: tuple[str, ...]
    tag_features: tuple[str, ...]
    sha256: str

    @classmethod
    def from_json(cls, text: str) -> LibraryPlan:
        """Read what the workflow wrote."""
        try:
            raw = json.loads(text)
            values: dict[str, Any] = {f.name: raw.get(f.name) or "" for f in fields(cls)}
            for name in ("car_features", "tag_features"):
                values[name] = tuple(str(v) for v in values[name])
            if not all(isinstance(v, str) for k, v in values.items() if not k.endswith("_features")):
                raise TypeError
        except (ValueError, TypeError, AttributeError):
            raise InputError(
                [Problem("--plan", "no plan of a library", "JSON as the workflow writes it")]
            ) from None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a library.

    Attributes
    ----------
    matrix, roles, sums
        The cells; names of features; sums.
    missing
        CAR and tag features that the matrix lacks -> the nearest feature.
    empties
        Empty droplets; None without a raw matrix.
    raw_strange
        Why the raw matrix was not used; empty otherwise.
    called_here
        Barcodes of an unfiltered matrix from which cells were called here; None when the program called them.
    vendor
        Its metrics.
    t_contigs, b_contigs
        Chains; None without a file.
    """

    matrix: CountMatrix
    roles: Roles
    sums: Sums
    missing: Mapping[str, str]
    empties: Empties | None
    raw_strange: str
    called_here: int | None
    vendor: VendorMetrics | None
    t_contigs: Contigs | None
    b_contigs: Contigs | None


@dataclass(frozen=True, slots=True)
class LibraryTables:
    """Tables of one library, each in its contract."""

    cells: pd.DataFrame
    ambient: pd.DataFrame
    libraries: pd.DataFrame
    qc: pd.DataFrame


def describe_library(
    plan: LibraryPlan, read: Read, soup_columns: Mapping[str, NDArray[np.bool_]], settings: Cells
) -> LibraryTables:
    """Judge the cells and the library, and write down what was read.

    Parameters
    ----------
    plan
        What the plan says.
    read
        What was read.
    soup_columns
        Set of genes that one lineage expresses -> its features, (features,) each, as ``read.sums.sets``.
    settings
        Limits.
    """
    quality, findings = settings.quality, _Findings(plan.library_id)
    limits = limits_of(read.sums, quality)
    judged = judge_cells(read.sums, limits)
    ambient = _ambient(read, soup_columns, settings, judged)
    chains = {
        receptor: _chains(contigs, receptor, read, quality, findings)
        for receptor, contigs in (("T", read.t_contigs), ("B", read.b_contigs))
    }
    _tell_features(plan, read, findings)
    _tell_reading(read, findings)
    _tell_vendor(read, findings)
    _tell_cells(judged, limits, findings)
    _tell_ambient(ambient, findings)
    percent = None if ambient.value is None else 100 * ambient.value
    faults = library_faults(read.sums, judged, percent, quality)
    for fault in faults:
        findings.add(
            fault.check,
            "fail" if fault.rejects else "warn",
            fault.message,
            value=fault.value,
            limit=fault.limit,
            limit_source=f"cells.quality.{fault.setting}" if fault.setting else None,
        )
    rejected = [f.message for f in faults if f.rejects]
    return LibraryTables(
        cells=_cells_table(plan.library_id, read, judged, chains),
        ambient=_ambient_table(plan.library_id, read),
        libraries=rows([_library_row(plan, read, judged, ambient) | findings.verdict(rejected)], LIBRARIES),
        qc=rows(findings.records, QC),
    )


class _Findings:
    """Rows of qc of one library; what warns becomes a flag."""

    def __init__(self, library: str) -> None:
        self._library = library
        self.records: list[dict[str, object]] = []

    def add(self, check: str, verdict: str, message: str, **more: object) -> None:
        self.records.append(
            {
                "check": check,
                "verdict": verdict,
                "source_file": self._library,
                "message": plain(message, 500),
                **more,
            }
        )

    def verdict(self, rejected: list[str]) -> dict[str, object]:
        if rejected:
            return {"verdict": "rejected", "flags": "failed_library", "reason": "; ".join(rejected)}
        warned = [r for r in self.records if r["verdict"] == "warn"]
        return {
            "verdict": "flagged" if warned else "accepted",
            "flags": ";".join(dict.fromkeys(str(r["check"]) for r in warned)) or None,
            "reason": "; ".join(str(r["message"]) for r in warned) or None,
        }


def _ambient(
    read: Read, soup_columns: Mapping[str, NDArray[np.bool_]], settings: Cells, judged: Judged
) -> AmbientShare:
    """Estimate the ambient share in the cells that keep the limits."""
    empties = read.empties
    if empties is None or not empties.droplets:
        return AmbientShare(None, None, None, {}, "there are no empty droplets to tell what floats in them")
    if not judged.passed.any():
        return AmbientShare(None, None, None, {}, "no cell keeps the limits")
    soup = empties.feature_umis * read.roles.genes
    return ambient_share(
        {name: counts[judged.passed] for name, counts in read.sums.sets.items()},
        read.sums.umis[judged.passed],
        {name: float(soup[mask].sum() / soup.sum()) for name, mask in soup_columns.items()},
        least_cells=settings.quality.ambient_cells,
        level=settings.confidence,
    )


# Tables -------------------------------------------------------------------------------------------


def _cells_table(
    library: str, read: Read, judged: Judged, chains: Mapping[str, list[CellChains | None] | None]
) -> pd.DataFrame:
    sums, roles = read.sums, read.roles
    columns: dict[str, Any] = {
        "library": library,
        "cell": read.matrix.barcodes.astype(str),
        "umis": sums.umis,
        "genes": sums.genes,
        "mito_percent": mito_percent(sums) if roles.has_mito else np.nan,
        "ribo_percent": percent_of(sums.ribo, sums.umis) if roles.has_ribo else np.nan,
        "haemoglobin_percent": percent_of(sums.haemoglobin, sums.umis) if roles.has_haemoglobin else np.nan,
        "car_umis": sums.car if roles.cars.any() else None,
        "car_tag_umis": sums.tag if roles.tags.any() else None,
        "passed": judged.passed,
        "quality_flags": judged.flags(),
    }
    for receptor, loci in (
        ("T", {"tra": ["TRA"], "trb": ["TRB"]}),
        ("B", {"igh": ["IGH"], "igl": ["IGK", "IGL"]}),
    ):
        own = chains[receptor]
        for column, names in loci.items():
            columns[column] = None if own is None else [0 if c is None else c.count(*names) for c in own]
    t, b = chains["T"], chains["B"]
    columns["t_clone"] = None if t is None else [None if c is None else c.t_clone for c in t]
    columns["isotype"] = None if b is None else [None if c is None else c.isotype for c in b]
    return pd.DataFrame(columns, index=range(len(judged.passed)))[CELLS.names]


def _ambient_table(library: str, read: Read) -> pd.DataFrame:
    """List what the empty droplets hold; the CAR and its tags also when they hold none."""
    if read.empties is None or not read.empties.droplets:
        return rows([], AMBIENT)
    umis, features, roles = read.empties.feature_umis, read.matrix.features, read.roles
    total = np.ones(len(umis))
    kind_of = np.where(roles.genes | roles.cars, "", features.types)
    for kind in np.unique(kind_of):
        # The CAR counts over the genes' UMIs, as it does in a cell.
        mask = roles.genes if kind == "" else kind_of == kind
        total[kind_of == kind] = max(int(umis[mask].sum()), 1)
    listed = (umis > 0) | roles.cars | roles.tags
    return pd.DataFrame(
        {
            "library": library,
            "feature": features.ids[listed],
            "umis": umis[listed],
            "share": np.minimum(umis / total, 1.0)[listed],
        }
    )


def _library_row(plan: LibraryPlan, read: Read, judged: Judged, ambient: AmbientShare) -> dict[str, object]:
    sums, roles, features = read.sums, read.roles, read.matrix.features
    has_cells = len(sums.umis) > 0

    def percent(share: float | None) -> float | None:
        return None if share is None else 100 * share

    row: dict[str, object] = {
        "library": plan.library_id,
        "chemistry": plan.chemistry,
        "sort": plan.sort,
        "source": read.matrix.source,
        "barcodes": len(sums.umis),
        "cells_passed": int(judged.passed.sum()),
        "median_umis": float(np.median(sums.umis)) if has_cells else None,
        "median_genes": float(np.median(sums.genes)) if has_cells else None,
        "median_mito_percent": float(np.median(mito_percent(sums))) if has_cells and roles.has_mito else None,
        "total_genes": int((sums.feature_cells[roles.genes] > 0).sum()),
        "car_features": ";".join(features.ids[roles.cars].tolist()) or None,
        "car_umis": int(sums.car.sum()) if roles.cars.any() else None,
        "xist_umis": _umis_of(features, sums, ("XIST",)),
        "y_umis": _umis_of(features, sums, Y_GENES),
        "ambient_percent": percent(ambient.value),
        "ambient_lower": percent(ambient.lower),
        "ambient_upper": percent(ambient.upper),
        "source_sha256": plan.sha256,
    }
    if read.empties is not None:
        row |= {
            "empty_droplets": read.empties.droplets,
            "empty_umis": int(read.empties.feature_umis[roles.genes].sum()),
            "empty_car_umis": int(read.empties.feature_umis[roles.cars].sum()) if roles.cars.any() else None,
        }
    return row


def _umis_of(features: Features, sums: Sums, symbols: tuple[str, ...]) -> int | None:
    named = np.isin(features.symbols, symbols)
    return int(sums.feature_umis[named].sum()) if named.any() else None


def _chains(
    contigs: Contigs | None, receptor: str, read: Read, quality: Quality, findings: _Findings
) -> list[CellChains | None] | None:
    """Return the chains of each cell, or None when there is no file or it is not of this library."""
    if contigs is None:
        return None
    check, what = f"{receptor.lower()}cr_contigs", f"{receptor}-cell contigs"
    if contigs.contigs == 0:
        text = f"the file of {what} is empty: no chain of any cell is known"
        b_cells = read.sums.sets.get("b_cells")
        if receptor == "B" and b_cells is not None:
            n = int((b_cells >= B_CELL_UMIS).sum())
            findings.add(
                check,
                "note" if n < quality.b_cells_without_contigs else "warn",
                f"{text}; {n} cells have UMIs of B-cell genes",
                value=str(n),
                limit=f"fewer than {quality.b_cells_without_contigs}",
                limit_source="cells.quality.b_cells_without_contigs",
            )
        else:
            findings.add(check, "warn", text)
        return None
    if contigs.receptor_missing(receptor):
        findings.add(check, "warn", f"the file of {what} has none: another receptor's file; it is left out")
        return None
    cells, least = read.matrix.barcodes.astype(str).tolist(), quality.contigs_in_cells_percent
    matched = match_barcodes(contigs.cells, cells)
    share = 100 * len(matched) / len(contigs.cells) if contigs.cells else 100.0
    if share < least:
        findings.add(
            check,
            "warn",
            f"{len(matched)} of {len(contigs.cells)} barcodes with {what} are in the matrix: the file belongs to another "
            "library, and is left out",
            value=f"{share:.3g} %",
            limit=f"at least {least:g} %",
            limit_source="cells.quality.contigs_in_cells_percent",
        )
        return None
    of = {cell: contigs.cells[barcode] for barcode, cell in matched.items()}
    findings.add(
        check,
        "note",
        f"{len(of)} cells have {what}; {len(contigs.cells) - len(of)} barcodes are not in the matrix",
    )
    return [of.get(cell) for cell in cells]


# Findings -----------------------------------------------------------------------------------------


def _tell_features(plan: LibraryPlan, read: Read, findings: _Findings) -> None:
    for name, near in read.missing.items():
        car = name in plan.car_features
        check = "car_features" if car else "tag_features"
        lost = "no CAR is counted in it" if car and not read.roles.cars.any() else "it is not counted"
        # One construct of several may be in the matrix; without any the library tells nothing of the CAR.
        findings.add(
            check,
            "warn",
            f"the matrix has no feature '{name}': {lost}; the reference that reads were counted on lacks it, or it has "
            "another name (car_features or tag_features of the libraries sheet)",
            value=plain(name),
            suggestion=near or None,
        )
    if read.roles.cars.any():
        names = ", ".join(read.matrix.features.ids[read.roles.cars].tolist())
        findings.add(
            "car_features",
            "pass",
            f"{int(read.sums.car.sum())} UMIs of {names} in {int((read.sums.car > 0).sum())} of"
            f" {len(read.sums.car)} barcodes, before any limit of quality",
        )
    if not read.roles.has_mito:
        findings.add(
            "mitochondrial_genes",
            "warn",
            "no feature is named MT-...: mitochondrial shares are not known, and dying cells are not recognised by them",
        )


def _tell_reading(read: Read, findings: _Findings) -> None:
    if read.called_here is not None:
        findings.add(
            "cells_called",
            "note",
            f"the matrix is unfiltered: {len(read.sums.umis)} of its {read.called_here} barcodes were called cells here, "
            "by their UMIs (a tenth of the 99th percentile)",
        )
    if read.raw_strange:
        findings.add("raw_counts", "warn", f"{read.raw_strange}: empty droplets are not known")
    elif read.empties is not None and not read.empties.droplets:
        findings.add(
            "raw_counts",
            "warn",
            "no barcode of the raw matrix is an empty droplet: it is the filtered matrix again",
        )
    elif read.empties is not None:
        findings.add(
            "raw_counts",
            "pass",
            f"{read.empties.droplets} empty droplets of 1 to {read.empties.limit} UMIs, with"
            f" {int(read.empties.feature_umis[read.roles.genes].sum())} UMIs",
        )


def _tell_vendor(read: Read, findings: _Findings) -> None:
    if read.vendor is None:
        return
    sums = read.sums
    own: dict[str, float] = {
        "cells": len(sums.umis),
        "total_genes": int((sums.feature_cells[read.roles.codes <= 4] > 0).sum()),
    }
    if len(sums.umis):
        own |= {
            "median_umis": float(np.median(sums.vendor_umis)),
            "median_genes": float(np.median(sums.vendor_genes)),
        }
    for found in compare(read.vendor, own):
        what = found.metric.replace("_", " ")
        findings.add(
            f"vendor_{found.metric}",
            "pass" if found.agrees else "warn",
            f"{what}: {found.own:g}, as the vendor's metrics say"
            if found.agrees
            else f"{what}: {found.own:g} in the matrix, {found.vendor:g} in the vendor's metrics: one of the two files "
            "belongs to another library or run",
            value=f"{found.own:g}",
            limit=f"{found.vendor:g}",
            limit_source="metrics of the vendor",
        )


def _tell_cells(judged: Judged, limits: Limits, findings: _Findings) -> None:
    def span(low: float, high: float) -> str:
        return f"{low:.0f} or more" if np.isinf(high) else f"{low:.0f} to {high:.0f}"

    broken = ", ".join(f"{int(c.sum())} {n}" for n, c in judged.broken.items() if c.any()) or "none"
    findings.add(
        "cell_quality",
        "note",
        f"{int(judged.passed.sum())} of {len(judged.passed)} barcodes keep the limits; broken: {broken}",
        limit=f"UMIs {span(*limits.umis)}; genes {span(*limits.genes)}; mitochondrial at most {limits.mito_percent:.3g} %; "
        f"complexity at least {limits.complexity:g}",
        limit_source="cells.quality" + (", and this library's own medians" if limits.robust else ""),
    )


def _tell_ambient(ambient: AmbientShare, findings: _Findings) -> None:
    if ambient.value is None or ambient.lower is None or ambient.upper is None:
        findings.add("ambient_share", "note", f"the ambient share is not estimable, because {ambient.reason}")
        return
    sets = ", ".join(f"{k.replace('_', ' ')} {100 * v:.2g} %" for k, v in ambient.sets.items())
    findings.add(
        "ambient_share",
        "pass",
        f"{100 * ambient.value:.2g} % of a cell's UMIs are ambient ({100 * ambient.lower:.2g} to"
        f" {100 * ambient.upper:.2g} %), by {sets}",
        value=f"{100 * ambient.value:.3g} %",
    )
