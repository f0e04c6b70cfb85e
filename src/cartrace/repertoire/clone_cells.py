"""Cells with a clone: what the contigs say, beside what the cells stage says of the same barcode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cartrace.cells.contigs import match_barcodes
from cartrace.repertoire.findings import finding
from cartrace.repertoire.tables import CHAINS, CLONE_CELLS
from cartrace.tables import concat, conform

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.repertoire.samples import PlannedLibrary

LINEAGES_OF = {"T": ("t",), "B": ("b", "plasma")}
"""Receptor -> lineages whose cells count with it."""
_MOST = 0.5
"""Share of the cells with a receptor from which another lineage is no accident but a mistake."""


@dataclass(frozen=True, slots=True)
class LibraryTables:
    """What is known of one library: contracts CHAINS, CELL_RECEPTORS, TYPES and CARS."""

    library: PlannedLibrary
    chains: pd.DataFrame
    receptors: pd.DataFrame
    types: pd.DataFrame | None = None
    cars: pd.DataFrame | None = None


def aligned(tables: LibraryTables) -> tuple[LibraryTables, list[dict[str, Any]]]:
    """Name the cells of the contigs as the count matrix does; records of QC tell of those that are not in it."""
    if tables.types is None:
        return tables, []
    barcodes = tables.receptors["cell"].tolist()
    names = match_barcodes(barcodes, tables.types["cell"].tolist())
    found = _unmatched(tables.library, len(barcodes), len(names))
    if not any(ours != theirs for ours, theirs in names.items()):
        return tables, found
    chains, receptors = (
        frame.assign(cell=[names.get(cell, cell) for cell in frame["cell"]])
        for frame in (tables.chains, tables.receptors)
    )
    return replace(tables, chains=chains, receptors=receptors), found


def _unmatched(library: PlannedLibrary, of: int, matched: int) -> list[dict[str, Any]]:
    if matched == of:
        return []
    share = f"{100 * (of - matched) / of:.0f} %"
    message = (
        f"{of - matched} of {of} barcodes with a receptor ({share}) are not in the count matrix; they do not count"
        if matched
        else f"none of the {of} barcodes with a receptor is in the count matrix: are the files of two libraries?"
    )
    return [library_finding(library, "receptor_barcodes", "note" if matched else "fail", message, share)]


def countable_chains(tables: Iterable[LibraryTables]) -> pd.DataFrame:
    """Return the chains (CHAINS) of all cells that can be of a clone: what clonotypes are made of."""
    return concat((one.chains[_flag_of(one.chains["cell"], one.receptors)] for one in tables), CHAINS)


def _flag_of(cells: pd.Series[str], table: pd.DataFrame) -> pd.Series[bool]:
    """Return ``counts`` of a table of cells for each of ``cells``; False for one that is not in it."""
    # Series.isin of texts takes ten times as long.
    return cells.map(table.set_index("cell")["counts"]).astype("boolean").fillna(False).astype(bool)


def clone_cells(
    subject: str,
    tables: Sequence[LibraryTables],
    t_clones: pd.DataFrame,
    b_clones: pd.DataFrame,
    *,
    t_chains: str,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the cells with a clone of one subject (CLONE_CELLS), and what was odd (records of QC).

    A cell of a library with a count matrix counts when the cells stage counts it and its lineage is that of
    its receptor. Where CAR+ cells were sorted, every T cell is positive: its transcript may be missed.

    Parameters
    ----------
    tables
        Aligned libraries of the subject.
    t_clones
        Columns library, cell, beta_clonotype, paired_clonotype.
    b_clones
        Columns library, cell, clonotype.
    t_chains
        Which T clone is tracked: ``trb`` or ``paired``.
    """
    tracked = "beta_clonotype" if t_chains == "trb" else "paired_clonotype"
    t_clones = t_clones.assign(receptor="T", clonotype=t_clones[tracked])
    b_clones = b_clones.assign(receptor="B", beta_clonotype=None, paired_clonotype=None)
    frames, found = [], []
    for one in tables:
        parts = [part[part["library"] == one.library.library_id] for part in (t_clones, b_clones)]
        for part in parts:
            frame, odd = _of_library(subject, one, part[part["clonotype"].notna()])
            frames.append(frame)
            found += odd
    return concat(frames, CLONE_CELLS), found


def _of_library(
    subject: str, one: LibraryTables, clones: pd.DataFrame
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Describe the cells with one kind of receptor."""
    library = one.library
    if clones.empty:
        return conform(clones.reindex(columns=CLONE_CELLS.names), CLONE_CELLS), []
    receptor = clones["receptor"].iloc[0]
    frame = clones.assign(subject_id=subject, sample_id=library.sample.sample_id, counts=True)
    found: list[dict[str, Any]] = []
    if receptor == "B":
        heavy = one.chains[(one.chains["locus"] == "IGH") & (one.chains["rank"] == 1)].set_index("cell")
        frame["isotype"] = frame["cell"].map(heavy["c_gene"])
        frame["mutation_frequency"] = frame["cell"].map(heavy["mutation_frequency"])
    if one.types is not None:
        types = one.types.set_index("cell")
        for column in ("cell_type", "lineage", "state"):
            frame[column] = frame["cell"].map(types[column])
        passed = _flag_of(frame["cell"], one.types)
        fits = frame["lineage"].isin(LINEAGES_OF[receptor])
        frame["counts"] = passed & fits
        found = _other_lineages(library, receptor, frame.loc[passed, "lineage"], fits[passed])
    if one.cars is not None:
        frame["car"] = frame["cell"].map(one.cars.set_index("cell")["call"])
    if library.sort == "car_positive" and receptor == "T":
        frame["car"] = "positive"
    return conform(frame, CLONE_CELLS), found


def _other_lineages(
    library: PlannedLibrary, receptor: str, lineages: pd.Series[Any], fits: pd.Series[bool]
) -> list[dict[str, Any]]:
    other = lineages[~fits]
    if other.empty:
        return []
    share = len(other) / len(lineages)
    listed = ", ".join(f"{n} {lineage}" for lineage, n in other.value_counts().sort_index().items())
    return [
        library_finding(
            library,
            "receptor_lineage",
            "warn" if share > _MOST else "note",
            f"{len(other)} of {len(lineages)} cells with a {receptor}-cell receptor ({100 * share:.0f} %) are typed as other "
            f"cells ({listed}); they do not count",
            f"{100 * share:.0f} %",
        )
    ]


def library_finding(
    library: PlannedLibrary, check: str, verdict: str, message: str, value: str | None = None
) -> dict[str, object]:
    """Return one record of QC of a library; its name comes first."""
    return finding(
        check,
        verdict,
        f"{library.library_id}: {message}",
        value=value,
        source_file=library.library_id,
        sample_id=library.sample.sample_id,
    )
