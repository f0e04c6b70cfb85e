"""Files of contigs as blocks of text: which format, which columns, where each record stands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from cartrace.cells.guarded import MOST_LINES
from cartrace.problems import InputError, Problem, raise_if_any

Form = Literal["empty", "10x csv", "10x json", "AIRR tsv"]
Opener = Callable[[], IO[bytes]]

HEAD = 1 << 16
_BLOCK = 1 << 24
_RECORDS = 20_000
_MOST_LINE = 1 << 23
"""Letters of a line; one of AIRR has some 5,000."""
_MOST_CONTIG = 1 << 23
"""Letters of one contig in json; a real one has some 10,000."""

TENX = {
    "cell": "barcode",
    "contig": "contig_id",
    "is_cell": "is_cell",
    "high_confidence": "high_confidence",
    "productive": "productive",
    "full_length": "full_length",
    "locus": "chain",
    "v_gene": "v_gene",
    "d_gene": "d_gene",
    "j_gene": "j_gene",
    "c_gene": "c_gene",
    "cdr3_nt": "cdr3_nt",
    "cdr3_aa": "cdr3",
    "umis": "umis",
    "reads": "reads",
}
_TENX_NEEDED = ("barcode", "chain", "productive", "cdr3_nt")
AIRR = {
    "cell": "cell_id",
    "contig": "sequence_id",
    "is_cell": "is_cell",
    "high_confidence": "high_confidence",
    "productive": "productive",
    "full_length": "complete_vdj",
    "locus": "locus",
    "v_gene": "v_call",
    "d_gene": "d_call",
    "j_gene": "j_call",
    "c_gene": "c_call",
    "cdr3_nt": "junction",
    "cdr3_aa": "junction_aa",
    # AIRR 1.4.1 put umi_count in the place of duplicate_count; files have either.
    "umis": "umi_count",
    "duplicates": "duplicate_count",
    "reads": "consensus_count",
    "mutated": "mu_freq",
    "identity": "v_identity",
    "aligned": "v_sequence_alignment",
    "germline": "v_germline_alignment",
}
_AIRR_NEEDED = ("cell_id", "sequence_id", "productive", "v_call", "j_call", "junction")
_REGIONS = {"L-REGION+V-REGION": "v_gene", "D-REGION": "d_gene", "J-REGION": "j_gene", "C-REGION": "c_gene"}
JSON = {
    "cell": "barcode",
    "contig": "contig_name",
    "is_cell": "is_cell",
    "high_confidence": "high_confidence",
    "productive": "productive",
    "full_length": "full_length",
    "cdr3_nt": "cdr3_seq",
    "cdr3_aa": "cdr3",
    "umis": "umi_count",
    "reads": "read_count",
}
GENES = ("v_gene", "d_gene", "j_gene", "c_gene")


@dataclass(frozen=True, slots=True)
class Block:
    """Text of the columns that the file has, (records,) each, by our names; and the records that fell apart."""

    columns: dict[str, pa.Array]
    records: npt.NDArray[np.int64]
    broken: dict[int, tuple[str, str, str | None]] = field(default_factory=dict)


class NotPlainError(Exception):
    """The file must be read line by line."""


def place_of(name: str, form: Form, record: int) -> tuple[str, int | None]:
    """Return file and row of a record, as errors tell them: a json has no rows."""
    return (f"{name}, contig {record}", None) if form == "10x json" else (name, record)


def read_header(head: bytes, name: str) -> tuple[Form, list[str | None], tuple[str, ...]]:
    """Return the format, our name of each column of the file, and what the schema misses."""
    line, ended, _ = head.partition(b"\n")
    if not ended and len(head) >= HEAD:
        raise InputError([Problem(name, f"a first line of more than {HEAD} letters", "the names of columns")])
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise InputError([Problem(name, "text that is not UTF-8", "a text file in UTF-8")]) from None
    tabs = "\t" in text
    try:
        titles = [t.strip().lower() for t in next(csv.reader([text], delimiter="\t" if tabs else ","), [])]
    except csv.Error:
        titles = [text.lower()]
    known, needed = (AIRR, _AIRR_NEEDED) if tabs else (TENX, _TENX_NEEDED)
    other = "';'" if ";" in text else "a tab" if tabs else "a comma"
    if (";" in text and len(titles) < 3) or (tabs and "barcode" in titles and "cell_id" not in titles):
        raise InputError(
            [Problem(name, f"columns separated by {other}", "commas (Cell Ranger), tabs (AIRR)", 1)]
        )
    if not tabs and "sequence_id" in titles:
        raise InputError([Problem(name, f"AIRR columns separated by {other}", "tabs", 1)])
    what = "a rearrangement table of AIRR with cells" if tabs else "contig annotations of Cell Ranger"
    problems = [Problem(name, f"no column '{c}'", what, 1) for c in needed if c not in titles]
    problems += [
        Problem(name, f"column '{c}' twice", "each column once", 1)
        for c in known.values()
        if titles.count(c) > 1
    ]
    raise_if_any(problems)
    own = {c: ours for ours, c in known.items()}
    lacking = tuple(c for c in _required() if c not in titles) if tabs else ()
    return ("AIRR tsv" if tabs else "10x csv"), [own.get(t) for t in titles], lacking


@cache
def _required() -> tuple[str, ...]:
    from airr.schema import RearrangementSchema  # type: ignore[import-untyped]

    return tuple(RearrangementSchema.required)


def _delimiter(form: Form) -> str:
    return "\t" if form == "AIRR tsv" else ","


def fast_blocks(opened: Opener, form: Form, columns: Sequence[str | None]) -> Iterator[Block]:
    """Give the blocks of a sound table; the first fault of its form ends it with NotPlainError."""
    numbered = [f"{i}" for i in range(len(columns))]
    kept = {n: ours for n, ours in zip(numbered, columns, strict=True) if ours}
    with opened() as stream:
        try:
            reader = pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK, column_names=numbered, skip_rows=1
                ),
                # An empty line is told as one, so that the numbers of rows are right.
                parse_options=pyarrow.csv.ParseOptions(delimiter=_delimiter(form), ignore_empty_lines=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=list(kept), column_types=dict.fromkeys(kept, pa.string())
                ),
            )
            with closing(reader):
                first = 2
                for batch in reader:
                    yield Block(
                        {ours: batch.column(n) for n, ours in kept.items()},
                        np.arange(first, first + len(batch)),
                    )
                    first += len(batch)
                    if first > MOST_LINES:
                        raise NotPlainError
        except pa.ArrowInvalid as error:
            # Also of a header without rows, which is no fault.
            raise NotPlainError from error


def slow_blocks(opened: Opener, form: Form, columns: Sequence[str | None], name: str) -> Iterator[Block]:
    """Give the blocks of a table line by line; rows count rows as a spreadsheet does, empty ones too."""
    kept = [(i, ours) for i, ours in enumerate(columns) if ours]
    with opened() as stream:
        rows = csv.reader(
            _short_lines(io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")),
            delimiter=_delimiter(form),
            strict=True,
        )
        numbered = enumerate(_told(rows), 1)
        try:
            next(numbered, None)
            while block := list(islice(numbered, _RECORDS)):
                if block[-1][0] > MOST_LINES:
                    raise InputError(
                        [Problem(name, "more lines than such a file has", f"at most {MOST_LINES}")]
                    )
                good = [(n, f) for n, f in block if f and len(f) == len(columns)]
                yield Block(
                    {ours: pa.array([f[i] for _, f in good], pa.string()) for i, ours in kept},
                    np.array([n for n, _ in good], np.int64),
                    {
                        n: _broken(f, form, len(columns))
                        for n, f in block
                        if f != [] and len(f or ()) != len(columns)
                    },
                )
        except UnicodeDecodeError:
            raise InputError([Problem(name, "text that is not UTF-8", "a text file in UTF-8")]) from None


def _short_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Give the lines; one that would fill the memory ends them as a fault of the table."""
    while line := text.readline(_MOST_LINE):
        if len(line) == _MOST_LINE:
            raise csv.Error
        yield line


def _told(rows: Iterator[list[str]]) -> Iterator[list[str] | None]:
    """Give the rows, and None for the first that can't be taken apart; what follows it can't either."""
    try:
        yield from rows
    except csv.Error:
        yield None


def _broken(fields: list[str] | None, form: Form, columns: int) -> tuple[str, str, None]:
    if fields is None:
        return (
            f"a line that is no {form.split()[1]}",
            f"fields of at most {csv.field_size_limit()} letters, and quotes that end",
            None,
        )
    return f"{len(fields)} columns", f"{columns}, as in the header; a field with a comma needs quotes", None


def json_blocks(opened: Opener, name: str) -> Iterator[Block]:
    """Give the blocks of all_contig_annotations.json; raises InputError where it is damaged."""
    # Of each contig only its row is kept: the whole of 20,000 would take a gigabyte.
    contigs = map(_json_row, _json_contigs(opened, name))
    first = 1
    while rows := list(islice(contigs, _RECORDS)):
        keys = [*JSON, *GENES, "locus"]
        yield Block(
            {k: pa.array([r.get(k, "") for r in rows], pa.string()) for k in keys},
            np.arange(first, first + len(rows)),
        )
        first += len(rows)


def _json_row(contig: dict[str, Any]) -> dict[str, str]:
    """Return one contig as texts, to be checked like those of a table."""
    row = {ours: _text(contig.get(theirs)) for ours, theirs in JSON.items()}
    annotations = contig.get("annotations")
    loci = set()
    for annotation in annotations if isinstance(annotations, list) else ():
        feature = annotation.get("feature") if isinstance(annotation, dict) else None
        if not isinstance(feature, dict):
            continue
        ours = _REGIONS.get(_text(feature.get("region_type")))
        if ours and ours not in row:
            row[ours] = _text(feature.get("gene_name"))
            loci.add(_text(feature.get("chain")))
    row["locus"] = loci.pop() if len(loci) == 1 else ""
    return row


def _text(value: object) -> str:
    """Return a value of json as a table would have it."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    # Half a surrogate pair is valid in json and in no file.
    return text.encode("utf-8", "replace").decode()


def _json_contigs(opened: Opener, name: str) -> Iterator[dict[str, Any]]:
    """Give the members of a list of json one by one, without holding the list."""

    def refuse(text: str) -> None:
        raise ValueError(text)

    decoder = json.JSONDecoder(parse_constant=refuse)
    number = 0

    def problem(found: str, allowed: str) -> InputError:
        return InputError([Problem(f"{name}, contig {number + 1}", found, allowed)])

    with opened() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        try:
            buffer = text.read(HEAD).lstrip()
            if buffer[:1] != "[":
                raise InputError([Problem(name, "json that is no list", "all_contig_annotations.json")])
            buffer, separator = buffer[1:], ""
            while True:
                buffer = buffer.lstrip()
                while not buffer and (more := text.read(HEAD)):
                    buffer = more.lstrip()
                if not buffer:
                    raise problem("the end of the file", "the whole file")
                if buffer[0] == "]":
                    if (buffer[1:] + text.read(HEAD)).strip():
                        raise problem("text after the list", "one list of contigs")
                    return
                if separator:
                    if buffer[0] != separator:
                        raise problem("json that is damaged", "contigs separated by commas")
                    buffer, separator = buffer[1:], ""
                    continue
                contig, buffer = _decoded(decoder, buffer, text, problem)
                if not isinstance(contig, dict):
                    raise problem("no contig", "a contig with its names and values")
                yield contig
                number += 1
                separator = ","
                if number > MOST_LINES:
                    raise InputError(
                        [Problem(name, "more contigs than such a file has", f"at most {MOST_LINES}")]
                    )
        except UnicodeDecodeError:
            raise InputError([Problem(name, "text that is not UTF-8", "a text file in UTF-8")]) from None


def _decoded(
    decoder: json.JSONDecoder,
    buffer: str,
    text: io.TextIOWrapper,
    problem: Callable[[str, str], InputError],
) -> tuple[object, str]:
    """Decode one value from the front of ``buffer``, filled from ``text`` as needed; return it and the rest."""
    size = HEAD
    while True:
        try:
            value, end = decoder.raw_decode(buffer)
            return value, buffer[end:]
        except RecursionError:
            raise problem("lists in lists without end", "a contig of Cell Ranger") from None
        except json.JSONDecodeError:
            # Either it goes on after what was read, or it is no json. Each time twice as much is read.
            more = text.read(size) if len(buffer) < _MOST_CONTIG else ""
            if not more:
                raise problem("json that is damaged or cut off", "the whole file") from None
            buffer, size = buffer + more, size * 2
        except ValueError:
            raise problem("a number that is none", "numbers") from None
