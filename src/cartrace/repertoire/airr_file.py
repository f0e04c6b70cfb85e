"""The chains of one subject as a rearrangement table of the AIRR Community: what every other tool reads.

Columns and their meaning: https://docs.airr-community.org/en/latest/datarep/rearrangements.html. What cartrace does
not know (the whole sequence, its alignment) stays empty, which the schema allows.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path

import pandas as pd

from cartrace.files import replacing
from cartrace.tables import defuse

FIELDS = (
    "sequence_id",
    "sequence",
    "rev_comp",
    "productive",
    "v_call",
    "d_call",
    "j_call",
    "sequence_alignment",
    "germline_alignment",
    "junction",
    "junction_aa",
    "v_cigar",
    "d_cigar",
    "j_cigar",
    "c_call",
    "locus",
    "cell_id",
    "clone_id",
    "duplicate_count",
    "consensus_count",
    "subject_id",
    "sample_id",
    "library_id",
    "mu_freq",
)
"""Columns of the file: first what the schema requires; subject_id, sample_id, library_id and mu_freq (as shazam
names it) are no part of it."""
_DIRECT = {
    "v_call": "v_gene",
    "d_call": "d_gene",
    "j_call": "j_gene",
    "c_call": "c_gene",
    "locus": "locus",
    "junction": "cdr3_nt",
    "junction_aa": "cdr3_aa",
    "duplicate_count": "umis",
    "consensus_count": "reads",
    "mu_freq": "mutation_frequency",
    "library_id": "library",
}


def rearrangements(chains: pd.DataFrame, clone_cells: pd.DataFrame, samples: dict[str, str]) -> pd.DataFrame:
    """Return the rows of the file.

    Parameters
    ----------
    chains
        Contract CHAINS, of all libraries of the subject.
    clone_cells
        Contract CLONE_CELLS, of the subject: it names the clones. T chains have the clone of the cell's T receptor,
        B chains that of its B receptor; chains of cells without a clone have none.
    samples
        library -> sample_id.

    Returns
    -------
    pandas.DataFrame
        Columns FIELDS; cell_id is library:barcode and sequence_id library:contig, each once in the trial.
    """
    library = chains["library"].astype("string")
    table = pd.DataFrame({ours: chains[theirs] for ours, theirs in _DIRECT.items()})
    table["sequence_id"] = library + ":" + chains["contig"]
    table["cell_id"] = library + ":" + chains["cell"]
    table["productive"] = "T"
    table["sample_id"] = library.map(samples)
    table["subject_id"] = clone_cells["subject_id"].iloc[0] if len(clone_cells) else None
    keys = ["library", "cell", "receptor"]
    clones = clone_cells.set_index(keys)["clonotype"]
    receptor = chains["locus"].str[:2].map({"TR": "T", "IG": "B"})
    wanted = pd.MultiIndex.from_arrays([chains["library"], chains["cell"], receptor], names=keys)
    table["clone_id"] = clones.reindex(wanted).to_numpy()
    return table.reindex(columns=list(FIELDS))


def write_airr(table: pd.DataFrame, path: Path) -> None:
    """Write rows of :func:`rearrangements` packed by gzip, whole or not at all; the same rows give the same bytes.

    No cell can be run by a spreadsheet, or begins a new line or column.
    """
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            changed = {c: s for c in safe[name].dropna().unique() if (s := _safe(c)) != c}
            if changed:
                safe[name] = safe[name].replace(changed)
    with (
        replacing(path) as temporary,
        temporary.open("wb") as raw,
        # Neither name nor time of the file in the header.
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        safe.to_csv(text, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)


_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\"]+")


def _safe(cell: str) -> str:
    return _CONTROL.sub(" ", str(defuse(cell)))
