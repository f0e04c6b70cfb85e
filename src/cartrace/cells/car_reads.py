"""CAR molecules of a library from its reads, and what the reads say of the construct.

Reads stream by in batches and leave two small tables behind: where they hit which construct, and where they differ
from it, by cell and UMI. From these come molecules by cell, the coverage of the construct, its variants, and what
is odd. Every barcode counts, also those of empty droplets: which are cells is decided later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from cartrace.cells.bam import FIRST_FLAG, TURNED_FLAG, UNMAPPED_FLAG
from cartrace.cells.car_read_findings import ConstructReads, Findings
from cartrace.cells.matching import (
    AMBIGUOUS,
    ENDOGENOUS,
    JUNCTION,
    UNIQUE,
    CarTarget,
    Matcher,
)
from cartrace.cells.molecules import (
    HIT_KEY,
    NO_TARGET,
    Ints,
    add_up,
    chimeras,
    find_parents,
    read_umi,
    resolve,
    with_parents,
)
from cartrace.cells.refinement import (
    DIFFERENCE_KEY,
    Variant,
    add_up_differences,
    effect,
    find_variants,
    molecule_depth,
)
from cartrace.cells.tables import CAR_READS, COVERAGE, MOLECULES, VARIANTS
from cartrace.problems import InputError, Problem, plain
from cartrace.tables import QC, conform, rows

if TYPE_CHECKING:
    from cartrace.cells.bam import CarRead, Tally, Targets
    from cartrace.cells.settings import CarReads

PROVING = (UNIQUE, JUNCTION)
_BARCODE = re.compile(r"[ACGTN]+(-\d{1,3})?")
_ADD_UP_AT = 1_000_000
"""Rows after which what was collected is added up."""


class CodingTarget(CarTarget, Protocol):
    """A construct whose coding sequence is known."""

    @property
    def coding(self) -> tuple[int, int] | None: ...  # noqa: D102


@dataclass(slots=True)
class Evidence:
    """What the reads left behind."""

    hits: pd.DataFrame
    """cell (number), umi (code), target, kind, start, end, reads."""
    differences: pd.DataFrame
    """cell, umi, target, position, reference, observed, reads."""
    cells: tuple[str, ...] = ()
    """Barcodes by number."""
    sense: dict[int, int] = field(default_factory=dict)
    """Construct -> specific reads in the direction of the chemistry."""
    antisense: dict[int, int] = field(default_factory=dict)
    no_umi: int = 0
    """Reads whose UMI is none."""
    partial: int = 0
    """Reads that fit a construct in part only, and no endogenous transcript."""


@dataclass(frozen=True, slots=True)
class CarMolecules:
    """All tables of one library."""

    molecules: pd.DataFrame
    coverage: pd.DataFrame
    variants: pd.DataFrame
    car_reads: pd.DataFrame
    qc: pd.DataFrame


def collect(reads: Iterable[CarRead], matcher: Matcher, chemistry: str) -> Evidence:
    """Match all reads, keeping only where they hit.

    Parameters
    ----------
    reads
        One after the other.
    matcher
        Constructs and endogenous transcripts.
    chemistry
        5p: read 2 runs against the transcript; 3p: along it. Specific reads in the other direction don't count.
    """
    forward = 1 if chemistry == "3p" else -1
    cells: dict[str, int] = {}
    umis: dict[str, int | None] = {}
    hits: list[tuple[int, ...]] = []
    changes: list[tuple[object, ...]] = []
    evidence = Evidence(add_up([]), add_up_differences([]))
    for read in reads:
        cell, umi, sequence, flag, outside, _ = read
        match = matcher.match(sequence)
        kind = match.kind
        mapped_outside = outside and not flag & UNMAPPED_FLAG
        if match.cars or match.partial:
            # What the genome says of a read matters only where a construct has something like it.
            if mapped_outside:
                kind = matcher.classify(match, genome_mismatches=read.mismatches)
            elif kind in PROVING and (places := read.places) > 1:
                kind = matcher.classify(match, places=places)
        elif mapped_outside:
            kind = ENDOGENOUS
        if kind is None:
            evidence.partial += match.partial
            continue
        if umi not in umis:
            umis[umi] = read_umi(umi)
        code = umis[umi]
        if code is None:
            evidence.no_umi += 1
            continue
        number = cells.setdefault(cell, len(cells))
        if not match.cars:
            hits.append((number, code, NO_TARGET, ENDOGENOUS, -1, -1))
            continue
        expected = -forward if bool(flag & TURNED_FLAG) != (flag & FIRST_FLAG == FIRST_FLAG) else forward
        for fit in match.cars:
            right = fit.strand == expected
            if kind in PROVING:
                counts = evidence.sense if right else evidence.antisense
                counts[fit.target] = counts.get(fit.target, 0) + 1
            if not right:
                continue
            hits.append((number, code, fit.target, kind, fit.start, fit.end))
            if fit.differences:
                changes += [(number, code, fit.target, *d) for d in fit.differences]
        if len(hits) > _ADD_UP_AT:
            _add(evidence, hits, changes)
            umis.clear()
    _add(evidence, hits, changes)
    evidence.cells = tuple(cells)
    return evidence


def count_car_molecules(
    evidence: Evidence,
    constructs: Sequence[CodingTarget],
    settings: CarReads,
    *,
    library: str,
    chemistry: str,
    product: Sequence[str],
    targets: Targets,
    tally: Tally,
    from_index: bool,
    file: str,
) -> CarMolecules:
    """Turn what the reads left behind into tables.

    Parameters
    ----------
    evidence
        From :func:`collect`.
    constructs
        In the order in which the matcher has them.
    settings
        Limits.
    library, chemistry
        What the tables are about.
    product
        Names of the constructs that the subject's product carries.
    targets, tally
        What of the file was read.
    from_index
        Whether the index was there.
    file
        Name of the BAM file, for errors.

    Raises
    ------
    InputError
        When reads were found, and none has a cell or none a UMI.
    """
    if tally.fetched and tally.no_cell == tally.fetched:
        found = f"no tag CB in any of {tally.fetched} reads"
        raise InputError([Problem(file, found, "a BAM file of Cell Ranger, or of STARsolo with CB and UB")])
    if tally.fetched and tally.no_cell + tally.no_umi == tally.fetched:
        found = f"neither tag UB nor UR in any of {tally.fetched} reads"
        raise InputError([Problem(file, found, "a BAM file of Cell Ranger, or of STARsolo with CB and UB")])
    names = [c.name for c in constructs]
    parents = find_parents(evidence.hits)
    hits = add_up([with_parents(evidence.hits, parents)])
    molecules = resolve(
        hits, [i for i, n in enumerate(names) if n in set(product)], min_reads=settings.min_reads
    )
    chimeric = chimeras(molecules, hits, settings.chimera_majority)
    molecules = molecules.assign(chimeric=chimeric, number=np.arange(len(molecules)))
    key = ["cell", "umi", "target"]
    placed = hits.merge(molecules[[*key, "number", "chimeric"]].rename(columns={"chimeric": "out"}), on=key)
    kind = molecules["kind"].to_numpy()[placed["number"].to_numpy()]
    placed = placed.assign(proves=np.isin(kind, PROVING) & ~placed["out"], ambiguous=kind == AMBIGUOUS)
    differences = with_parents(evidence.differences, parents).merge(
        molecules.loc[molecules["kind"].isin(PROVING) & ~molecules["chimeric"], [*key, "number"]], on=key
    )
    coverage: list[dict[str, object]] = []
    variants: dict[str, list[tuple[Variant, str]]] = {}
    summaries = []
    for i, construct in enumerate(constructs):
        own = placed[placed["target"] == i]
        proving, ambiguous = own[own["proves"]], own[own["ambiguous"]]
        depth, unsure = (_depth(t, len(construct.sequence)) for t in (proving, ambiguous))
        coverage += _bins(library, construct.name, depth, unsure, settings.coverage_bin)
        differing = find_variants(
            differences[differences["target"] == i],
            proving,
            depth,
            min_molecules=settings.variant_min_molecules,
            min_share=settings.variant_min_share,
        )
        variants[construct.name] = [
            (v, effect(construct.sequence, construct.coding, v.position, v.reference, v.observed))
            for v in differing
        ]
        distance = _distance(proving, len(construct.sequence), chemistry)
        summaries.append(_summary(molecules, evidence, i, construct.name, product=product, distance=distance))
    findings = Findings(library, chemistry, settings)
    findings.of_file(
        targets, tally, from_index=from_index, no_umi=tally.no_umi + evidence.no_umi, partial=evidence.partial
    )
    findings.of_constructs(summaries)
    findings.of_variants(variants)
    return CarMolecules(
        _by_cell(molecules, names, evidence.cells, library),
        rows(coverage, COVERAGE),
        rows(
            (
                {
                    "library": library,
                    "construct": name,
                    "position": v.position + 1,
                    "reference": v.reference or "-",
                    "observed": v.observed or "-",
                    "molecules": v.molecules,
                    "depth": v.depth,
                    "effect": what,
                }
                for name, listed in variants.items()
                for v, what in listed
            ),
            VARIANTS,
        ),
        rows(
            (
                {
                    "library": library,
                    "construct": s.construct,
                    "reads_fetched": tally.fetched,
                    "reads_used": s.reads,
                    "molecules": s.molecules,
                    "cells": s.cells,
                    "chimeric_molecules": s.chimeric,
                    "sense_percent": s.sense_percent,
                    "support": s.support,
                    "in_product": s.in_product,
                    "from_index": from_index,
                }
                for s in summaries
            ),
            CAR_READS,
        ),
        rows(findings.rows, QC),
    )


def _add(evidence: Evidence, hits: list[tuple[int, ...]], changes: list[tuple[object, ...]]) -> None:
    """Add what was collected to the evidence, and begin anew."""
    fresh = pd.DataFrame(np.array(hits, dtype=np.int64).reshape(-1, len(HIT_KEY)), columns=list(HIT_KEY))
    evidence.hits = add_up([evidence.hits, fresh.assign(reads=1)])
    seen = pd.DataFrame(changes, columns=list(DIFFERENCE_KEY))
    evidence.differences = add_up_differences([evidence.differences, seen.assign(reads=1)])
    hits.clear()
    changes.clear()


def _by_cell(
    molecules: pd.DataFrame, names: Sequence[str], cells: Sequence[str], library: str
) -> pd.DataFrame:
    """Count molecules by cell and construct."""
    keeps = ~molecules["chimeric"]
    table = molecules.assign(
        unique=keeps & (molecules["kind"] == UNIQUE),
        junction=keeps & (molecules["kind"] == JUNCTION),
        ambiguous=keeps & (molecules["kind"] == AMBIGUOUS),
        endogenous=molecules["kind"] == ENDOGENOUS,
        reads=molecules["reads"].where(keeps & molecules["kind"].isin(PROVING), 0),
    )
    columns = ["unique", "junction", "ambiguous", "endogenous", "chimeric", "reads"]
    counted = table.groupby(["cell", "target"])[columns].sum().reset_index()
    barcodes = (cells[i] for i in counted["cell"])
    out = pd.DataFrame(
        {
            "library": library,
            "cell": np.array([c if _BARCODE.fullmatch(c) else plain(c) for c in barcodes], dtype=object),
            "construct": np.array(names, dtype=object)[counted["target"].to_numpy("int64")],
            **{c: counted[c].to_numpy("int64") for c in columns},
        }
    )
    # Hostile barcodes may look the same once they are made plain.
    return conform(out.groupby(["library", "cell", "construct"]).sum().reset_index(), MOLECULES)


def _depth(placed: pd.DataFrame, length: int) -> Ints:
    number, start, end = (placed[c].to_numpy("int64") for c in ("number", "start", "end"))
    return molecule_depth(number, start, end, length)


def _bins(library: str, construct: str, depth: Ints, unsure: Ints, width: int) -> list[dict[str, object]]:
    return [
        {
            "library": library,
            "construct": construct,
            "start": start + 1,
            "end": min(start + width, len(depth)),
            "unique": float(depth[start : start + width].mean()),
            "ambiguous": float(unsure[start : start + width].mean()),
        }
        for start in range(0, len(depth), width)
    ]


def _distance(placed: pd.DataFrame, length: int, chemistry: str) -> float | None:
    """Return the median distance of reads from the end that the chemistry reads, in bases; None without reads."""
    if placed.empty:
        return None
    middle = (placed["start"] + placed["end"]).to_numpy("int64") / 2
    return float(np.median(middle if chemistry == "5p" else length - middle))


def _summary(
    molecules: pd.DataFrame,
    evidence: Evidence,
    number: int,
    name: str,
    *,
    product: Sequence[str],
    distance: float | None,
) -> ConstructReads:
    proving = molecules[molecules["kind"].isin(PROVING)]
    kept = proving[~proving["chimeric"]]
    own = kept[kept["target"] == number]
    exclusive = kept[kept["exclusive"]]
    support = float((exclusive["target"] == number).mean()) if len(exclusive) else None
    return ConstructReads(
        construct=name,
        in_product=name in set(product),
        reads=int(own["reads"].sum()),
        molecules=len(own),
        cells=int(own["cell"].nunique()),
        chimeric=int((proving["chimeric"] & (proving["target"] == number)).sum()),
        sense=evidence.sense.get(number, 0),
        antisense=evidence.antisense.get(number, 0),
        support=support,
        distance=distance,
    )
