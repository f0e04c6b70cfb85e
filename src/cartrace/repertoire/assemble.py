"""All subjects together: shares of clones and sites as results for measurements, metrics, clones that subjects share."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartrace.cells.shares import counted_share
from cartrace.intake.results import RESULTS
from cartrace.repertoire.metrics import (
    T_ASSAYS,
    Tables,
    compute_metrics,
    largest,
    product_of,
    site_assay,
)
from cartrace.repertoire.sharing import shared_clones
from cartrace.repertoire.vocabulary import B_ASSAY, B_MEASURES
from cartrace.tables import QC, concat, records, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Config

Row = Mapping[str, Any]

B_ANALYTES = {
    "naive": "naive_bcr_fraction",
    "mutated": "mutated_bcr_fraction",
    "old_clones": "old_b_clone_fraction",
} | {measure: f"{measure}_b_fraction" for measure in B_MEASURES[3:]}
"""Measure of B_RETURN -> analyte."""
FEW, MISSING, DOUBT = "few_cells", "library_without_clones", "b_share_in_doubt"
"""Flags of results, and the checks that tell them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from."""

    libraries: Mapping[str, str]
    """library_id -> SHA-256 of its contigs."""
    site_sets: Mapping[str, tuple[str, str, str]]
    """site_set_id -> sample, cell type, SHA-256."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Sources:
        """Read what the plan says, as JSON objects that add up.

        Raises
        ------
        ValueError
            For a text that is not of the plan's form.
        """
        libraries: dict[str, str] = {}
        sets: dict[str, tuple[str, str, str]] = {}
        try:
            for told in map(json.loads, texts):
                if not told or not told.keys() <= {"libraries", "site_sets"}:
                    raise KeyError(*told)
                libraries |= {str(k): str(h) for k, h in told.get("libraries", {}).items()}
                sets |= {
                    str(k): (str(s), str(c), str(h)) for k, (s, c, h) in told.get("site_sets", {}).items()
                }
            return cls(libraries, sets)
        except (AttributeError, KeyError, TypeError, ValueError):
            allowed = '{"libraries": {id: sha256}, "site_sets": {id: [sample, cell type, sha256]}}'
            raise ValueError(f"--sources: allowed is {allowed}") from None

    def of_libraries(self, joined: str) -> dict[str, object]:
        """Return the source of a result that rests on libraries, joined by ';'.

        Raises
        ------
        ValueError
            For a library that the plan does not name.
        """
        names = joined.split(";")
        unknown = [name for name in names if name not in self.libraries]
        if unknown:
            raise ValueError(
                f"--sources: no library {', '.join(unknown)}; allowed: every library that was tracked"
            )
        return _source(names, [self.libraries[name] for name in names])

    def of_sites(self, sample: str, cell_type: str) -> dict[str, object]:
        """Return the source of a result that rests on the sites of one sample and cell type.

        Raises
        ------
        ValueError
            When the plan names none.
        """
        names = [name for name, (s, c, _) in self.site_sets.items() if (s, c) == (sample, cell_type)]
        if not names:
            raise ValueError(
                f"--sources: no sites of {cell_type} in sample {sample}; allowed: every set that was tracked"
            )
        return _source(names, [self.site_sets[name][2] for name in names])


def _source(names: Sequence[str], digests: Sequence[str]) -> dict[str, object]:
    joined = digests[0] if len(digests) == 1 else hashlib.sha256(";".join(digests).encode()).hexdigest()
    return {
        "source_file": ";".join(names),
        "source_row": 1,
        "source_sha256": joined,
        "n_replicates": len(names),
    }


@dataclass(frozen=True, slots=True)
class Assembled:
    """What all subjects give together, in their contracts."""

    results: pd.DataFrame
    metrics: pd.DataFrame
    sharing: pd.DataFrame
    qc: pd.DataFrame


def assemble_repertoire(
    tables: Tables, cells: pd.DataFrame, findings: Sequence[pd.DataFrame], sources: Sources, settings: Config
) -> Assembled:
    """Put the clones and sites of all subjects into results, metrics and findings.

    Parameters
    ----------
    tables
        All subjects.
    cells
        Their cells with a clone (the contract CLONE_CELLS).
    findings
        QC of the jobs of libraries, site sets and subjects.
    sources
        Where the numbers come from.
    settings
        Sections ``repertoire``, ``kinetics.persistence.landmarks`` and ``cells.composition`` are used.

    Raises
    ------
    ValueError
        When ``sources`` lacks a library or site set.
    """
    sharing, shared = shared_clones(cells, settings.repertoire.sharing)
    doubted = doubted_libraries(sharing, shared)
    results = rows(results_of(tables, sources, settings, doubted), RESULTS)
    metrics = compute_metrics(tables, settings.repertoire, settings.kinetics.persistence.landmarks)
    qc = concat([*findings, rows([*shared, *reasons_of(tables)], QC)], QC)
    return Assembled(results, metrics, sharing, _whose(qc, tables, cells, sources))


def doubted_libraries(sharing: pd.DataFrame, shared: Iterable[Row]) -> dict[str, set[str]]:
    """Return library -> checks of :func:`cartrace.repertoire.sharing.shared_clones` that put its numbers in doubt."""
    doubted: dict[str, set[str]] = defaultdict(set)
    for finding in shared:
        if finding["check"] == "sample_swap":
            doubted[str(finding["source_file"])].add("sample_swap")
    # Without a barcode in common a library only shares the clones with one into which they hopped.
    hopped = sharing[(sharing["taken_for"] == "index_hopping") & (sharing["shared_barcodes"] > 0)]
    for row in records(hopped):
        for library in (row["library_a"], row["library_b"]):
            doubted[library].add("index_hopping")
    return dict(doubted)


def results_of(
    tables: Tables, sources: Sources, settings: Config, doubted: Mapping[str, set[str]]
) -> Iterator[dict[str, object]]:
    """Yield one row of RESULTS for each share that can be told.

    Below detection and quantification is what cells.composition says, as for the shares of cells. A share that rests
    on a library of ``doubted`` is flagged.
    """
    yield from _t_cell_results(tables, sources, settings, doubted)
    yield from _b_cell_results(tables, sources, settings, doubted)
    yield from _site_results(tables, sources, settings)


def _result(
    sample: Row,
    counted: tuple[float, float],
    settings: Config,
    source: Row,
    *,
    analyte: str,
    assay: str,
    flags: Iterable[str],
) -> dict[str, object]:
    k, n = (round(x) for x in counted)
    share = counted_share(k, max(n, k), settings.cells.composition, settings.repertoire.tracking.confidence)
    percent = share.scaled(100)
    quantified = percent.detection == "quantified"
    lower, upper = percent.bounds
    flagged = ";".join(sorted(set(flags) - {""}))
    return {
        "sample_id": sample["sample_id"],
        "matrix": sample["matrix"],
        "analyte": analyte,
        "assay": assay,
        "value": percent.value if quantified else None,
        "unit": "%",
        "detection": percent.detection,
        "censoring": "none" if quantified else "left",
        "lower": lower,
        "upper": min(upper, 100.0),
        "lod": percent.lod,
        "lloq": percent.lloq,
        "status": "flagged" if flagged else "accepted",
        "flags": flagged or None,
        "source_column": analyte,
        **source,
    }


def _doubts(libraries: str, doubted: Mapping[str, set[str]]) -> set[str]:
    return {check for name in libraries.split(";") for check in doubted.get(name, ())}


def _t_cell_results(
    tables: Tables, sources: Sources, settings: Config, doubted: Mapping[str, set[str]]
) -> Iterator[dict[str, object]]:
    tops = largest(tables.samples, ("subject_id", "population", "sample_id"), "cells", "clonotype")
    kept = _persistence(tables)
    for row in records(tables.totals):
        key = row["subject_id"], row["population"], row["sample_id"]
        if row["population"] not in T_ASSAYS or row["verdict"] == "rejected":
            continue
        source = sources.of_libraries(row["libraries"])
        flags = _doubts(row["libraries"], doubted) | {MISSING if row["verdict"] == "flagged" else ""}
        shares = {"largest_t_clone_fraction": (tops[key]["cells"], row["cells"])}
        product = kept.get(key)
        if product is not None and not product["reason"]:
            shares["product_clone_fraction"] = (product["cells"], product["total"])
        for analyte, counted in shares.items():
            assay = T_ASSAYS[row["population"]]
            yield _result(row, counted, settings, source, analyte=analyte, assay=assay, flags=flags)


def _persistence(tables: Tables) -> dict[tuple[str, str, str], Row]:
    """Return by subject, population and sample the row beside the product of its own infusion."""
    products: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in records(tables.totals):
        products[row["subject_id"], row["population"], row["infusion"]].append(row)
    own = {key: product_of(of) for key, of in products.items()}
    kept: dict[tuple[str, str, str], Row] = {}
    for row in records(tables.persistence):
        product = own.get((row["subject_id"], row["population"], row["infusion"]))
        if product is not None and product["sample_id"] == row["product_sample"]:
            kept[row["subject_id"], row["population"], row["sample_id"]] = row
    return kept


def _b_cell_results(
    tables: Tables, sources: Sources, settings: Config, doubted: Mapping[str, set[str]]
) -> Iterator[dict[str, object]]:
    pooled = {
        (r["subject_id"], r["sample_id"]): r["libraries"]
        for r in records(tables.totals)
        if r["population"] == "b_cells"
    }
    for row in records(tables.b_return):
        if row["verdict"] == "rejected":
            continue
        libraries = pooled[row["subject_id"], row["sample_id"]]
        flags = _doubts(libraries, doubted) | {DOUBT if row["verdict"] == "flagged" else ""}
        source, counted = sources.of_libraries(libraries), (row["cells"], row["total"])
        analyte = B_ANALYTES[row["measure"]]
        yield _result(row, counted, settings, source, analyte=analyte, assay=B_ASSAY, flags=flags)


def _site_results(tables: Tables, sources: Sources, settings: Config) -> Iterator[dict[str, object]]:
    tops = largest(tables.sites, ("subject_id", "cell_type", "sample_id"), "abundance", "site")
    for (_, cell_type, sample), row in sorted(tops.items()):
        counted = row["abundance"], row["total"]
        if round(max(counted)) < 1:
            continue
        flag = FEW if row["total"] < settings.repertoire.sites.min_abundance else ""
        source, assay = sources.of_sites(sample, cell_type), site_assay(cell_type)
        yield _result(
            row, counted, settings, source, analyte="largest_site_fraction", assay=assay, flags=[flag]
        )


def reasons_of(tables: Tables) -> Iterator[dict[str, object]]:
    """Tell what has no result and what is in doubt: one finding for each sample and reason."""
    told: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    products = _persistence(tables)
    for row in records(tables.totals):
        # No CAR+ T cells from before the infusion are as it should be.
        if row["population"] not in T_ASSAYS or (row["population"] == "car_t_cells" and row["day"] < 0):
            continue
        check = {"rejected": "clones_not_estimable", "flagged": MISSING}.get(row["verdict"], "")
        if check:
            told[row["subject_id"], row["sample_id"], check, row["reason"]].append(row["population"])
        of_product = products.get((row["subject_id"], row["population"], row["sample_id"]))
        if row["verdict"] != "rejected" and of_product is not None and of_product["reason"]:
            key = row["subject_id"], row["sample_id"], "clones_not_estimable", of_product["reason"]
            told[key].append(f"product clones in {row['population']}")
    for row in records(tables.b_return):
        check = {"rejected": "b_share_not_estimable", "flagged": DOUBT}.get(row["verdict"], "")
        if check:
            told[row["subject_id"], row["sample_id"], check, row["reason"]].append(row["measure"])
    for (subject, sample, check, reason), of in told.items():
        yield {
            "check": check,
            "verdict": "note",
            "subject_id": subject,
            "sample_id": sample,
            "source_column": ", ".join(of),
            "message": f"{', '.join(of)}: {reason}",
        }


def _whose(qc: pd.DataFrame, tables: Tables, cells: pd.DataFrame, sources: Sources) -> pd.DataFrame:
    """Fill in sample and subject of findings about a library or a site set, so that they are shown with the subject."""
    samples: dict[str, str] = {name: sample for name, (sample, _, _) in sources.site_sets.items()}
    subjects: dict[str, str] = {}
    for frame in (tables.totals, tables.sites):
        pairs = frame[["sample_id", "subject_id"]].drop_duplicates()
        subjects |= dict(zip(pairs["sample_id"], pairs["subject_id"], strict=True))
    for row in records(tables.totals[["libraries", "sample_id"]].drop_duplicates()):
        samples |= dict.fromkeys(row["libraries"].split(";"), row["sample_id"])
    of_cells = cells[["library", "sample_id"]].drop_duplicates()
    samples |= dict(zip(of_cells["library"], of_cells["sample_id"], strict=True))
    source = qc["source_file"].str.split(";").str[0]
    qc["sample_id"] = qc["sample_id"].fillna(source.map(samples).astype("string"))
    qc["subject_id"] = qc["subject_id"].fillna(qc["sample_id"].map(subjects).astype("string"))
    return qc
