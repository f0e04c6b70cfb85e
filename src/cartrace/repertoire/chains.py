"""Chains of cells: which contigs count, what is one chain, which comes first, and whether they are those of one cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.problems import plain
from cartrace.repertoire.findings import finding
from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS
from cartrace.repertoire.vocabulary import B_LOCI, LOCI, T_LOCI, VDJ_LOCI
from cartrace.tables import conform, empty

if TYPE_CHECKING:
    from cartrace.repertoire.contigs import ContigTable
    from cartrace.repertoire.settings import Contigs

Bools = npt.NDArray[np.bool_]
LOCI_OF: dict[str, tuple[str, ...]] = {"T": T_LOCI, "B": B_LOCI}
"""Receptor -> loci that its file is read for."""
_CARRIED = ("d_gene", "c_gene", "mutation_frequency")
"""What one of two contigs of a chain can lack and the other tell."""
_SAME = ("locus", "v_gene", "j_gene", "cdr3_nt", "cdr3_aa")
_TWO = 2
"""Chains of one kind that one cell can have."""


def counted(table: ContigTable, receptor: str, settings: Contigs) -> Bools:
    """Say which contigs count, (contigs,): in a cell, confident, productive, with a CDR3, of the receptor, enough UMIs.

    What the file does not tell excludes nothing, but for productive: a contig must be called so.
    """
    frame = table.frame
    kept = frame["productive"].fillna(value=False) & frame["locus"].isin(LOCI_OF[receptor])
    kept &= frame["cdr3_nt"].notna() | frame["cdr3_aa"].notna()
    for flag in ("is_cell", "high_confidence"):
        if flag in table.has:
            kept &= frame[flag].fillna(value=False)
    if settings.full_length:
        kept &= frame["full_length"].fillna(value=True)
    if "umis" in table.has:
        kept &= frame["umis"].fillna(1) >= settings.min_umis
    return kept.to_numpy(bool)


def chains_of(tables: Mapping[str, ContigTable], library: str, settings: Contigs) -> pd.DataFrame:
    """Return the chains of the cells of one library.

    Contigs of one cell with the same locus, V gene, J gene and CDR3 are one chain: their UMIs and reads are added,
    and it has the name of the one with most. Chains of a locus are ranked by UMIs, then reads, then sequence, the
    last in the alphabet first, as scirpy's ``index_chains`` ranks them.

    Parameters
    ----------
    tables
        Receptor (T or B) -> contigs of its file. A file is read for the loci of its receptor only.
    library
        library_id.
    settings
        Which contigs count.

    Returns
    -------
    pandas.DataFrame
        Contract CHAINS; by cell, locus and rank.
    """
    parts: list[pd.DataFrame] = []
    for receptor, table in sorted(tables.items(), reverse=True):
        part = table.frame[counted(table, receptor, settings)]
        names = part["contig"]
        if parts:
            # Cell Ranger numbers the contigs of either receptor from 1.
            clash = names.isin(parts[0]["contig"])
            names = names.where(~clash, "bcr_" + names)
        parts.append(part.assign(contig=names))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if frame.empty:
        return empty(CHAINS)
    frame["umis"] = frame["umis"].fillna(1)
    frame = _ranked(_merged(frame))
    frame.insert(0, "library", library)
    return conform(frame[[c for c in CHAINS.names if c in frame]], CHAINS)


def receptors_of(chains: pd.DataFrame) -> pd.DataFrame:
    """Return what receptor each barcode has.

    The words are those of scirpy's ``chain_qc``: VJ chains are TRA, TRG, IGK, IGL; VDJ chains are TRB, TRD, IGH.
    More than two of either is multichain. Otherwise ambiguous is what fits no cell: T and B chains together, alpha
    or beta with gamma or delta, or IGK with IGL and no IGH. The others go by how many of each there are.

    Parameters
    ----------
    chains
        Contract CHAINS.

    Returns
    -------
    pandas.DataFrame
        Contract CELL_RECEPTORS; by cell.
    """
    if chains.empty:
        return empty(CELL_RECEPTORS)
    codes, cells = pd.factorize(chains["cell"], sort=True)
    at = {locus: i for i, locus in enumerate(LOCI)}
    loci = chains["locus"].map(at).to_numpy(np.int64)
    counts = np.bincount(codes * len(LOCI) + loci, minlength=len(cells) * len(LOCI)).reshape(-1, len(LOCI))
    number = {locus: counts[:, i] for locus, i in at.items()}

    def of(*loci: str) -> npt.NDArray[np.int64]:
        return np.sum([number[locus] for locus in loci], axis=0)

    vdj = of(*VDJ_LOCI)
    vj = counts.sum(axis=1) - vdj
    t, b = of(*T_LOCI) > 0, of(*B_LOCI) > 0
    both_light = (number["IGK"] > 0) & (number["IGL"] > 0) & (number["IGH"] == 0)
    strange = (t & b) | ((of("TRA", "TRB") > 0) & (of("TRG", "TRD") > 0)) | both_light
    pairing = np.select(
        [(vj > _TWO) | (vdj > _TWO), strange, vj == 0, vdj == 0, (vj == 1) & (vdj == 1), vdj == 1, vj == 1],
        ["multichain", "ambiguous", "orphan_vdj", "orphan_vj", "single_pair", "extra_vj", "extra_vdj"],
        "two_full_chains",
    )
    return conform(
        pd.DataFrame(
            {
                "library": chains["library"].iloc[0],
                "cell": cells,
                "receptor": np.select([t & b, t], ["both", "T"], "B"),
                "pairing": pairing,
                **{locus.lower(): n for locus, n in number.items()},
                "counts": ~np.isin(pairing, ["multichain", "ambiguous"]),
            }
        ),
        CELL_RECEPTORS,
    )


def findings_of(
    tables: Mapping[str, ContigTable],
    library: str,
    settings: Contigs,
    receptors: pd.DataFrame,
    chains: pd.DataFrame,
) -> list[dict[str, Any]]:
    """Return what is odd in the files and cells of one library, as records of QC."""
    found: list[dict[str, Any]] = []

    def add(check: str, verdict: str, message: str, **more: object) -> None:
        found.append(finding(check, verdict, plain(message, 500), source_file=library, **more))

    for receptor, table in sorted(tables.items(), reverse=True):
        own = receptors[receptors["receptor"].isin([receptor, "both"])]
        _tell_file(table, receptor, settings, len(own), add)
    _tell_cells(receptors, settings, add)
    for receptor, locus in (("T", "TRB"), ("B", "IGH")):
        heavy = chains[chains["locus"] == locus]
        if not len(heavy) or (receptor in tables and "c_gene" not in tables[receptor].has):
            continue
        share = float(heavy["c_gene"].isna().mean())
        if 100 * share > settings.no_c_gene_percent:
            add(
                "constant_genes",
                "warn" if receptor == "B" else "note",
                f"{_percent(share)} of the {locus} chains have no constant gene"
                + ("; their isotype is not known" if receptor == "B" else ""),
                value=_percent(share),
                limit=f"at most {settings.no_c_gene_percent:g} %",
                limit_source="repertoire.contigs.no_c_gene_percent",
            )
    return found


# Chains -------------------------------------------------------------------------------------------


def _ordered(frame: pd.DataFrame, first: Sequence[npt.NDArray[np.integer[Any]]]) -> npt.NDArray[np.intp]:
    """Return the order of rows by ``first``, then UMIs, reads and sequence, each from above, then the name."""
    keys = [*first, *(-frame[c].fillna(0).to_numpy(np.int64) for c in ("umis", "reads"))]
    order = np.lexsort(keys[::-1])
    # To sort texts takes long, and few rows are equal up to here.
    equal = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
    tied = np.flatnonzero(np.r_[equal, False] | np.r_[False, equal])
    some = frame.iloc[order[tied]]
    names = pd.factorize(some["contig"], sort=True)[0]
    # Nothing sorts before any sequence, so it comes last from above.
    texts = [-pd.factorize(some[c], sort=True)[0] for c in ("cdr3_nt", "cdr3_aa")]
    within = np.lexsort([names, *texts[::-1], *(key[order[tied]] for key in keys[::-1])])
    order[tied] = order[tied][within]
    return order


def _merged(frame: pd.DataFrame) -> pd.DataFrame:
    """Make one row of the contigs of each chain of each cell."""
    same = frame.duplicated(["cell", *_SAME], keep=False).to_numpy(bool)
    if not same.any():
        return frame
    several = frame[same].reset_index(drop=True)
    several = several.iloc[_ordered(several, [])]
    groups = several.groupby(["cell", *_SAME], sort=False, dropna=False)
    one = several.drop_duplicates(["cell", *_SAME]).reset_index(drop=True)
    sums = groups[["umis", "reads"]].sum(min_count=1).reset_index(drop=True)
    told = groups[list(_CARRIED)].first().reset_index(drop=True)
    one[["umis", "reads"]], one[list(_CARRIED)] = sums, told
    return pd.concat([frame[~same], one], ignore_index=True)


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Order chains by cell, locus and rank, and number them."""
    cells = pd.factorize(frame["cell"], sort=True)[0]
    loci = frame["locus"].map({locus: i for i, locus in enumerate(LOCI)}).to_numpy(np.int64)
    order = _ordered(frame, [cells, loci])
    frame = frame.iloc[order].reset_index(drop=True)
    group = cells[order] * len(LOCI) + loci[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])
    frame["rank"] = np.arange(len(group)) - np.repeat(starts, sizes) + 1
    return frame


# Findings -----------------------------------------------------------------------------------------


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _tell_file(
    table: ContigTable, receptor: str, settings: Contigs, cells: int, add: Callable[..., None]
) -> None:
    check, what = f"{receptor.lower()}cr_contigs", f"{receptor}-cell contigs"
    frame = table.frame
    if frame.empty:
        add(check, "warn", f"the file of {what} is empty: no chain of any cell is known")
        return
    if not frame["locus"].isin(LOCI_OF[receptor]).any():
        add(check, "warn", f"the file of {what} has none: another receptor's file, or another locus")
        return
    n = int(counted(table, receptor, settings).sum())
    message = f"{n} of {len(frame)} contigs count, in {cells} cells ({table.form})"
    add(check, "note" if n else "warn", message, value=str(n))
    other = int((frame["locus"].isin(LOCI) & ~frame["locus"].isin(LOCI_OF[receptor])).sum())
    if other:
        add(
            check, "note", f"{other} contigs of the other receptor are left out: they count from its own file"
        )
    if table.lacking:
        add(
            "airr_schema",
            "note",
            f"the file lacks {len(table.lacking)} columns that AIRR requires: {', '.join(table.lacking)}; "
            "clones do not rest on them",
        )
    if "umis" not in table.has:
        more = f"; min_umis ({settings.min_umis}) can't be asked" if settings.min_umis > 1 else ""
        add(
            "contig_umis",
            "warn" if more else "note",
            f"the file tells no UMIs: chains are ranked by their reads{more}",
            limit_source="repertoire.contigs.min_umis",
        )
    if settings.full_length and "full_length" not in table.has:
        add(
            "contig_full_length",
            "warn",
            "the file does not tell which contigs are full length: all count",
            limit_source="repertoire.contigs.full_length",
        )
    if "c_gene" not in table.has and receptor == "B":
        add("constant_genes", "warn", "the file tells no constant genes: isotypes are not known")


def _tell_cells(receptors: pd.DataFrame, settings: Contigs, add: Callable[..., None]) -> None:
    if receptors.empty:
        return
    pairing = receptors["pairing"]
    for word, limit, why in (
        ("multichain", settings.multichain_percent, "more than two chains of a kind: two cells in one drop"),
        (
            "ambiguous",
            settings.ambiguous_percent,
            "chains of T and B cells, or of both kinds of T cells, in one barcode",
        ),
    ):
        n = int((pairing == word).sum())
        share = n / len(receptors)
        if n:
            add(
                f"{word}_cells",
                "warn" if 100 * share > limit else "note",
                f"{n} of {len(receptors)} barcodes ({_percent(share)}) are {word} ({why}); they are of no clone",
                value=_percent(share),
                limit=f"at most {limit:g} %",
                limit_source=f"repertoire.contigs.{word}_percent",
            )
    orphans = pairing.isin(["orphan_vj", "orphan_vdj"])
    if orphans.any():
        light, total = int((pairing == "orphan_vj").sum()), int(orphans.sum())
        add(
            "orphan_chains",
            "note",
            f"{total} of {len(receptors)} cells ({_percent(total / len(receptors))}) have chains of one kind only; "
            f"{light} of them lack the one that tells a clone",
            value=_percent(total / len(receptors)),
        )
