"""All libraries together: composition, results for measurements, and what speaks against a library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cartrace.cells.cohort_checks import about, exchanged_libraries, sex_contradicts, wrong_construct
from cartrace.cells.composition import (
    composition,
    contradictions,
    counted_library,
    pools_of,
    reasons_of,
    results_of,
)
from cartrace.cells.tables import CAR_FRACTIONS, CAR_READS, COMPOSITION, LIBRARIES
from cartrace.intake.results import RESULTS
from cartrace.intake.sheets import Sample
from cartrace.intake.tube_controls import before_infusion
from cartrace.tables import QC, concat, records, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.cells.settings import Cells
    from cartrace.intake.libraries import Library


@dataclass(frozen=True, slots=True)
class LibraryTables:
    """What the jobs of one library made of it."""

    library_id: str
    libraries: pd.DataFrame
    types: pd.DataFrame
    cars: pd.DataFrame
    fractions: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Assembled:
    """All libraries: results for measurements, and the evidence behind them."""

    results: pd.DataFrame
    libraries: pd.DataFrame
    composition: pd.DataFrame
    fractions: pd.DataFrame
    qc: pd.DataFrame


def assemble_libraries(
    libraries: Iterable[LibraryTables],
    sheet: Mapping[str, Library],
    settings: Cells,
    *,
    samples: pd.DataFrame,
    subjects: pd.DataFrame,
    car_reads: pd.DataFrame,
    findings: Sequence[pd.DataFrame],
    post_infusion_visits: str,
) -> Assembled:
    """Count all libraries and put their shares into results.

    Parameters
    ----------
    libraries
        In the order of the sheet; each is counted and let go, so that a generator keeps memory small.
    sheet
        library_id -> row of the libraries sheet.
    settings
        Section ``cells`` of the configuration.
    samples, subjects
        The contracts SAMPLES and SUBJECTS.
    car_reads
        The contract CAR_READS of all libraries with reads.
    findings
        QC of the libraries' own jobs.
    post_infusion_visits
        Regular expression: a sample of study day 0 whose visit matches was taken after the infusion.

    Returns
    -------
    Assembled
        Tables that keep their contracts. A share that can't be told has no row in ``results``, and a reason
        in ``composition`` and ``qc``.
    """
    known = {str(s["sample_id"]): s for s in records(samples)}
    rules = settings.composition
    counted, made, fractions = [], [], []
    for tables in libraries:
        row = sheet[tables.library_id]
        counted.append(
            counted_library(
                records(tables.libraries)[0],
                tables.types,
                tables.cars,
                (records(tables.fractions) or [{}])[0],
                lymphocytes_per_ul=row.lymphocytes_per_ul,
                white_cells_per_ul=row.white_cells_per_ul,
                settings=rules,
            )
        )
        made.append(tables.libraries)
        fractions.append(tables.fractions)
    of_library = {c.library_id: known[sheet[c.library_id].sample_id] for c in counted}
    library_table = concat(made, LIBRARIES)
    fraction_table = concat(fractions, CAR_FRACTIONS)
    early = before_infusion([Sample(**s) for s in known.values()], post_infusion_visits)
    sexes = {str(s["subject_id"]): s["sex"] for s in records(subjects)}
    told = [
        *sex_contradicts(records(library_table), of_library, sexes, rules),
        *exchanged_libraries({f["library"]: f for f in records(fraction_table)}, of_library, early),
    ]
    flags = about(told)
    for name in wrong_construct(records(concat([car_reads], CAR_READS)), settings.car_reads):
        flags[name].add("wrong_construct")
    # A matrix without the CAR is no fault of numbers that rest on reads.
    healed = {f["library"]: {"car_features"} for f in records(fraction_table) if f["evidence"] == "molecules"}
    counted = [
        replace(c, flags=(c.flags - healed.get(c.library_id, set())) | flags.get(c.library_id, set()))
        for c in counted
    ]
    pools = pools_of(counted, of_library, rules, settings.confidence)
    lines = composition(pools)
    told += contradictions(pools, lines)
    told += reasons_of(lines)
    results = rows(results_of(lines), RESULTS)
    qc = concat([*findings, rows(told, QC)], QC)
    return Assembled(
        results,
        library_table,
        rows([line.row() for line in lines], COMPOSITION),
        fraction_table,
        _whose(qc, of_library),
    )


def _whose(qc: pd.DataFrame, samples: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Fill in sample and subject of findings about a library, so that they are shown with the subject."""
    # Of libraries that were pooled the first one tells.
    library = qc["source_file"].str.split(";").str[0]
    for column in ("sample_id", "subject_id"):
        of_library = {name: sample[column] for name, sample in samples.items()}
        qc[column] = qc[column].fillna(library.map(of_library).astype("string"))
    return qc
