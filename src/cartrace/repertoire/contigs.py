"""Contigs of receptors from every file that laboratories have: one reader, one table, the line named for each fault.

Read are ``filtered_`` and ``all_contig_annotations`` of Cell Ranger (csv and json), and the rearrangement table
of the AIRR Community (tsv) as TRUST4, dandelion, scirpy and cartrace write it; packed by gzip or not, known by
their content. AIRR: https://docs.airr-community.org/en/latest/datarep/rearrangements.html.

A sound file is read by pyarrow in blocks. Only where something is wrong is it read again, line by line, by the csv
module, which knows where it is; both go through the same checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cartrace.cells.guarded import open_bytes
from cartrace.problems import InputError, Problem, holds_date, plain, raise_if_any
from cartrace.repertoire.contig_blocks import (
    AIRR,
    GENES,
    HEAD,
    JSON,
    TENX,
    Block,
    Form,
    NotPlainError,
    Opener,
    fast_blocks,
    json_blocks,
    place_of,
    read_header,
    slow_blocks,
)
from cartrace.repertoire.vocabulary import LOCI

Bools = npt.NDArray[np.bool_]

MOST_BYTES = 1 << 32
"""Bytes that a file of contigs may unpack to: it is read in blocks, and the json of a full run has gigabytes."""
MOST_TOLD = 5
"""Faulty records that are told one by one."""
_MOST_COUNT = 999_999_999
_USUAL = {
    "cell": "^[ACGT]{8,90}(-[0-9])?$",
    "cdr3_nt": "^[ACGT]{3,999}$",
    "cdr3_aa": "^C[A-Z*]{1,332}$",
}
"""Texts that are right as they stand, by the million; only the others are looked at one by one."""
_TITLES: dict[Form, dict[str, str]] = {
    "10x csv": TENX,
    "AIRR tsv": AIRR,
    "10x json": JSON | {g: g for g in GENES},
}
_FLAGS = ("is_cell", "high_confidence", "productive", "full_length")
_NOTHING = frozenset({"", "none", "null", "na", "n/a", "nan"})

_SCHEMA = pa.schema(
    [
        ("record", pa.int64()),
        *((c, pa.string()) for c in ("cell", "contig")),
        *((c, pa.bool_()) for c in _FLAGS),
        *((c, pa.string()) for c in ("locus", *GENES, "cdr3_nt", "cdr3_aa")),
        *((c, pa.int64()) for c in ("umis", "reads")),
        *((c, pa.float64()) for c in ("mutated", "identity", "mismatched")),
    ]
)


@dataclass(frozen=True, slots=True)
class ContigTable:
    """Every contig of one file.

    Attributes
    ----------
    name
        What errors call the file.
    form
        Its format.
    frame
        One row a contig, (contigs,): record (row of the file, the header is 1; of json the number of the contig),
        cell, contig, is_cell, high_confidence, productive, full_length, locus (empty where the file has none of
        the seven), v_gene, d_gene, j_gene, c_gene (the first of several, without the allele), cdr3_nt, cdr3_aa,
        umis, reads, mutation_frequency (0 to 1). Empty is what the file does not tell.
    has
        Columns of ``frame`` that the file tells.
    lacking
        Columns that the AIRR schema requires and the file does not have.
    """

    name: str
    form: Form
    frame: pd.DataFrame
    has: frozenset[str]
    lacking: tuple[str, ...] = ()


@dataclass(slots=True)
class _Faults:
    """Faulty records: the first few as problems, all as a number; one problem a record."""

    name: str
    form: Form
    told: list[Problem] = field(default_factory=list)
    faulty: int = 0

    def add(self, found: Mapping[int, tuple[str, str, str | None]]) -> None:
        """Take the faults of one block: record -> what was found, what is allowed, column."""
        for record in sorted(found)[: MOST_TOLD - len(self.told)]:
            name, row = place_of(self.name, self.form, record)
            text, allowed, column = found[record]
            self.told.append(Problem(name, text, allowed, row, column))
        self.faulty += len(found)

    def problems(self) -> list[Problem]:
        """Return the problems, the number of those left out as the last one."""
        more = self.faulty - len(self.told)
        what = "contigs" if self.form == "10x json" else "lines"
        return [*self.told, *([Problem(self.name, f"{more} more {what} like these", "none")] if more else [])]


def read_contigs(path: Path, name: str) -> ContigTable:
    """Read a file of contigs, whatever its format.

    Raises
    ------
    InputError
        With every line that has another number of columns than the header, or a value that makes no sense in it
        (the first five one by one); and for a file that is damaged, no text, of no known format, or without the
        columns that nothing works without.
    """
    return contigs_of(lambda: open_bytes(path, name, MOST_BYTES), name)


def contigs_of(opened: Opener, name: str) -> ContigTable:
    """Read contigs of what ``opened`` opens, each time from its beginning; raises as :func:`read_contigs` does."""
    with opened() as stream:
        head = stream.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        return ContigTable(name, "empty", _frame(_SCHEMA.empty_table(), name), frozenset())
    if head.lstrip()[:1] in (b"[", b"{"):
        return _gathered(json_blocks(opened, name), name, "10x json", [*JSON, *GENES, "locus"])
    form, columns, lacking = read_header(head, name)
    try:
        return _gathered(fast_blocks(opened, form, columns), name, form, columns, lacking)
    except (NotPlainError, InputError):
        # Which line it was, and whether there is another fault, the slow way tells.
        return _gathered(slow_blocks(opened, form, columns, name), name, form, columns, lacking)


def faults_of(table: ContigTable, counted: Bools) -> list[Problem]:
    """Return what clones can't rest on although each line makes sense.

    Columns without which there is no clone; contigs that count and occur twice; CDR3 of contigs that count, whose nucleotides
    do not translate to their amino acids (not one of the 38,000 in the real files of the tests).

    Parameters
    ----------
    table
        Contigs.
    counted
        Which of them count, (contigs,).
    """
    if table.frame.empty:
        return []
    names = _TITLES[table.form]
    problems = [
        Problem(table.name, f"no column '{names[c]}'", "the columns of the program that wrote it", 1)
        for c in ("contig", "v_gene", "j_gene")
        if c not in table.has
    ]
    if problems:
        return problems
    frame = table.frame
    records = frame["record"].to_numpy()
    found: dict[int, tuple[str, str, str | None]] = {}
    own = frame["contig"][counted]
    if not own.is_unique:
        for i in np.flatnonzero(counted)[own.duplicated().to_numpy(bool)]:
            contig = plain(frame["contig"].iloc[i], 60)
            found[int(records[i])] = f"the contig '{contig}' again", "each contig once", names["contig"]
    told = counted & (frame["cdr3_nt"].notna() & frame["cdr3_aa"].notna()).to_numpy(bool)
    at = np.flatnonzero(told)
    for i in at[_contradict(*(frame[c].iloc[at].tolist() for c in ("cdr3_nt", "cdr3_aa")))]:
        nt, aa = (plain(frame[c].iloc[i], 100) for c in ("cdr3_nt", "cdr3_aa"))
        found.setdefault(
            int(records[i]), (f"'{aa}', which '{nt}' does not code for", "one CDR3", names["cdr3_aa"])
        )
    faults = _Faults(table.name, table.form)
    faults.add(found)
    return faults.problems()


_BASES = "TCAG"
_CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
_CODONS = {
    a + b + c: _CODE[16 * i + 4 * j + k]
    for i, a in enumerate(_BASES)
    for j, b in enumerate(_BASES)
    for k, c in enumerate(_BASES)
}
"""The standard genetic code (NCBI table 1)."""


def translate(nucleotides: str) -> str:
    """Return the amino acids of whole codons; X for one with N.

    >>> translate("TGTGCNAGC")
    'CXS'
    """
    return "".join(_CODONS.get(nucleotides[i : i + 3], "X") for i in range(0, len(nucleotides) - 2, 3))


def _contradict(nucleotides: Sequence[str], acids: Sequence[str]) -> Bools:
    """Say which nucleotides do not code for their amino acids, (sequences,)."""
    lengths = np.array([len(t) for t in nucleotides], np.int64)
    wrong: Bools = lengths != 3 * np.array([len(t) for t in acids], np.int64)
    for length in np.unique(lengths[~wrong]):
        at = np.flatnonzero(~wrong & (lengths == length))
        bases, told = (_letters([texts[int(i)] for i in at]) for texts in (nucleotides, acids))
        codons = _BASE_AT[bases].reshape(len(at), -1, 3) @ np.array([25, 5, 1])
        own = _CODON_AT[codons]
        # Programs write a codon that they can't tell in several ways.
        wrong[at] = ~((own == told) | (own == ord("X")) | np.isin(told, list(b"X_?"))).all(axis=1)
    return wrong


def _letters(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return texts of one length as (texts, letters)."""
    return np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(len(texts), -1)


_BASE_AT = np.full(256, 4, np.int64)
_BASE_AT[list(b"TCAG")] = range(4)
_CODON_AT = np.array([ord(translate(a + b + c)) for a in "TCAGN" for b in "TCAGN" for c in "TCAGN"], np.uint8)


# From text to values ------------------------------------------------------------------------------


def _gathered(
    blocks: Iterable[Block],
    name: str,
    form: Form,
    columns: Iterable[str | None],
    lacking: tuple[str, ...] = (),
) -> ContigTable:
    """Check all blocks and join them; raises InputError with the faults of all."""
    faults = _Faults(name, form)
    tables = [_SCHEMA.empty_table()]
    for block in blocks:
        table, found = _checked(block, form)
        faults.add(found | block.broken)
        tables.append(table)
    table = pa.concat_tables(tables)
    problems = faults.problems()
    if not problems and len(table) and table["cell"].null_count == len(table):
        problems.append(
            Problem(
                name, "no cell_id in any row", "a table of cells (TRUST4: _barcode_airr.tsv)", None, "cell_id"
            )
        )
    raise_if_any(problems)
    frame = _frame(table, name)
    told = {c for c in columns if c}
    told |= {"umis"} if "duplicates" in told else set()
    told |= {"mutation_frequency"} if told & {"mutated", "identity", "germline"} else set()
    if form == "10x json":
        told = {c for c in told & set(frame.columns) if frame[c].notna().any()}
    return ContigTable(name, form, frame, frozenset(told & set(frame.columns)), lacking)


def _frame(table: pa.Table, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = table.drop_columns(["mutated", "identity", "mismatched"]).to_pandas(
        types_mapper={
            pa.string(): pd.StringDtype("pyarrow"),
            pa.bool_(): pd.BooleanDtype(),
            pa.int64(): pd.Int64Dtype(),
        }.get
    )
    frame["record"] = frame["record"].astype("int64")
    frame["mutation_frequency"] = _mutation_frequency(table, name)
    return frame


def _mutation_frequency(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Return the mutation frequency, (contigs,), from the best column: told, 1 - identity, alignment; NaN if unknown."""
    mutated, identity, mismatched = (
        table[c].to_numpy().astype(np.float64) for c in ("mutated", "identity", "mismatched")
    )
    # No V gene has an identity of 0: what is written so was not aligned.
    identity[identity == 0] = np.nan
    percent = bool((identity > 1).any())
    if percent and (identity <= 1).any():
        row = int(table["record"].to_numpy()[np.flatnonzero(identity <= 1)[0]])
        raise InputError(
            [
                Problem(
                    name,
                    "identities of 0 to 1 and of 0 to 100",
                    "one of the two in one file",
                    row,
                    "v_identity",
                )
            ]
        )
    frequency = 1 - identity / (100 if percent else 1)
    frequency = np.where(np.isnan(mutated), frequency, mutated)
    return np.asarray(np.where(np.isnan(frequency), mismatched, frequency), np.float64)


class _FaultError(Exception):
    """A value that makes no sense; says what is allowed."""


def _checked(block: Block, form: Form) -> tuple[pa.Table, dict[int, tuple[str, str, str | None]]]:
    """Turn the texts of a block into values; return them with the faults by record."""
    titles = _TITLES[form]
    n = len(block.records)
    found: dict[int, tuple[str, str, str | None]] = {}
    out: dict[str, pa.Array] = {"record": pa.array(block.records, pa.int64())}

    def each(column: str, convert: Callable[[str], object], kind: pa.DataType) -> pa.Array:
        """Convert each different text once; remember the rows of those that make no sense."""
        if column not in block.columns:
            return pa.nulls(n, kind)
        texts = block.columns[column]
        usual = None
        if column in _USUAL:
            usual = pc.match_substring_regex(texts, _USUAL[column])
            texts = pc.if_else(usual, pa.scalar(None, pa.string()), texts)
        encoded = texts.dictionary_encode()
        values: list[object] = []
        wrong: dict[int, str] = {}
        for i, text in enumerate(encoded.dictionary.to_pylist()):
            try:
                values.append(convert(text.strip()))
            except _FaultError as fault:
                values.append(None)
                wrong[i] = str(fault)
        if wrong:
            codes = encoded.indices.fill_null(-1).to_numpy()
            for at in np.flatnonzero(np.isin(codes, list(wrong))):
                text = encoded.dictionary[int(codes[at])].as_py()
                told = (f"'{plain(text, 40)}'" if text.strip() else "nothing", wrong[int(codes[at])])
                found.setdefault(int(block.records[at]), (*told, titles.get(column, column)))
        converted = pa.array(values, kind).take(encoded.indices)
        return converted if usual is None else pc.if_else(usual, block.columns[column], converted)

    out["cell"] = each("cell", _cell if form != "AIRR tsv" else _cell_or_none, pa.string())
    if form == "AIRR tsv" and 0 < out["cell"].null_count < n:
        for at in np.flatnonzero(out["cell"].is_null().to_numpy(zero_copy_only=False)):
            found.setdefault(int(block.records[at]), ("nothing", "a cell", "cell_id"))
    out["contig"] = _contig_names(block, n)
    for flag in _FLAGS:
        out[flag] = each(flag, _airr_flag if form == "AIRR tsv" else _flag, pa.bool_())
    for gene in GENES:
        out[gene] = each(gene, _gene, pa.string())
    out["cdr3_nt"] = each("cdr3_nt", _nucleotides, pa.string())
    out["cdr3_aa"] = each("cdr3_aa", _acids, pa.string())
    out["locus"] = each("locus", _locus, pa.string())
    if form == "AIRR tsv":
        out["locus"] = pc.coalesce(out["locus"], _locus_of_genes(out))
    out["umis"] = pc.coalesce(each("umis", _count, pa.int64()), each("duplicates", _count, pa.int64()))
    out["reads"] = each("reads", _count, pa.int64())
    out["mutated"] = each("mutated", _share, pa.float64())
    out["identity"] = each("identity", _identity, pa.float64())
    out["mismatched"] = _mismatched(block, n)
    return pa.Table.from_arrays([out[c] for c in _SCHEMA.names], schema=_SCHEMA), found


def _cell(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,100}", text):
        raise _FaultError("a barcode, as AAACCTGAGAAACCAT-1")
    # Letters and a few digits are no date; a name before them can hold one.
    if len(re.findall(r"\d", text)) > 3 and holds_date(text):
        raise _FaultError("a barcode without a date")
    return text


def _cell_or_none(text: str) -> str | None:
    return None if text.lower() in _NOTHING else _cell(text)


def _flag(text: str) -> bool | None:
    try:
        return {"true": True, "false": False, "none": None, "": None, "null": None}[text.lower()]
    except KeyError:
        raise _FaultError("true, false or None") from None


def _airr_flag(text: str) -> bool | None:
    from airr.schema import RearrangementSchema, ValidationError  # type: ignore[import-untyped]

    try:
        value: bool | None = RearrangementSchema.to_bool(
            "" if text.lower() in _NOTHING else text, validate=True
        )
    except ValidationError:
        raise _FaultError("T or F") from None
    return value


def _gene(text: str) -> str | None:
    """Return the first gene of a call, without allele and species: 'Homsap IGHV3-23*01 F, or ...' is IGHV3-23."""
    gene = text.partition(",")[0].partition("*")[0].strip()
    if gene.lower() in _NOTHING or gene == ".":
        return None
    if " " in gene:
        gene = gene.split()[-1]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9/()._-]{0,39}", gene):
        raise _FaultError("the name of a gene")
    # IGHV3-30-22 is a gene, although it reads as a date.
    if holds_date(gene) and not re.fullmatch(r"(?:IG|TR)[A-Z]+\d{0,3}[A-Z]?(?:-\d{1,3}[A-Z]?){0,3}", gene):
        raise _FaultError("the name of a gene without a date")
    # Cell Ranger 2 and 3 wrote TRAV14DV4 for what IMGT and later versions call TRAV14/DV4.
    return re.sub(r"^(TRAV[0-9-]+)DV", r"\1/DV", gene)


def _nucleotides(text: str) -> str | None:
    if text.lower() in _NOTHING:
        return None
    if not re.fullmatch(r"[ACGTNacgtn]{1,999}", text):
        raise _FaultError("nucleotides (A, C, G, T)")
    return text.upper()


def _acids(text: str) -> str | None:
    # NA is asparagine and alanine as well, but no CDR3.
    if text.lower() in _NOTHING:
        return None
    if not re.fullmatch(r"[A-Za-z*_?#.]{1,333}", text):
        raise _FaultError("amino acids")
    return text.upper()


def _locus(text: str) -> str | None:
    return text if text in LOCI else None


def _count(text: str) -> int | None:
    if text.lower() in _NOTHING - {"nan"}:
        return None
    # pandas writes whole numbers of a column with gaps as 3.0.
    if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", text):
        raise _FaultError(f"a whole number, 0 to {_MOST_COUNT}")
    return int(text.partition(".")[0])


def _number(text: str, most: float, allowed: str) -> float | None:
    if text.lower() in _NOTHING:
        return None
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{0,20})?([eE]-?[0-9]{1,2})?", text) or float(text) > most:
        raise _FaultError(allowed)
    return float(text)


def _share(text: str) -> float | None:
    return _number(text, 1, "a share of 0 to 1")


def _identity(text: str) -> float | None:
    return _number(text, 100, "an identity, 0 to 1 or 0 to 100")


def _contig_names(block: Block, n: int) -> pa.Array:
    """Return the names of contigs; one that is no plain word, or holds a date, becomes 'unnamed_' and its record."""
    if "contig" not in block.columns:
        return pa.nulls(n, pa.string())
    names = pc.utf8_trim_whitespace(block.columns["contig"])
    # Beside the bases of its barcode little is left of a name, and that is the same in many.
    left = pc.replace_substring_regex(names, "[ACGT]{6,}", "").dictionary_encode()
    dated = [holds_date(t) for t in left.dictionary.to_pylist()]
    odd = pc.or_(
        pc.invert(pc.match_substring_regex(names, "^[!-~]{1,200}$")),
        pa.array(dated, pa.bool_()).take(left.indices),
    )
    if not pc.any(odd).as_py():
        return names
    return pc.if_else(odd, pa.array([f"unnamed_{r}" for r in block.records], pa.string()), names)


def _locus_of_genes(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return the locus that all genes of a contig agree in; TRAV29/DV5 and its like say nothing of it."""
    said = []
    for column in GENES:
        encoded = columns[column].dictionary_encode()
        loci = [g[:3] if g[:3] in LOCI and "/DV" not in g else None for g in encoded.dictionary.to_pylist()]
        said.append(pa.array(loci, pa.string()).take(encoded.indices))
    locus = pc.coalesce(*said)
    same = [pc.fill_null(pc.equal(s, locus), fill_value=True) for s in said]
    agreed = pc.and_(pc.and_(same[0], same[1]), pc.and_(same[2], same[3]))
    return pc.if_else(agreed, locus, pa.scalar(None, pa.string()))


def _mismatched(block: Block, n: int) -> pa.Array:
    """Return the share of aligned bases of the V gene that differ from the germline, where nothing else tells it."""
    if {"mutated", "identity"} & set(block.columns) or not {"aligned", "germline"} <= set(block.columns):
        return pa.nulls(n, pa.float64())
    pairs = zip(block.columns["aligned"].to_pylist(), block.columns["germline"].to_pylist(), strict=True)
    return pa.array([_differing(a, g) for a, g in pairs], pa.float64())


_IS_BASE = np.isin(np.arange(256), list(b"ACGT"))


def _differing(aligned: str, germline: str) -> float | None:
    own, other = (np.frombuffer(t.upper().encode(), np.uint8) for t in (aligned, germline))
    if len(own) != len(other):
        return None
    both = _IS_BASE[own] & _IS_BASE[other]
    return float((own != other)[both].mean()) if both.any() else None
