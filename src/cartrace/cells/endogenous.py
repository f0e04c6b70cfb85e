"""Endogenous transcripts that reads of a CAR could come from instead: the shipped ones, or the user's whole reference."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from cartrace.problems import InputError, Problem, plain

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = "cells/endogenous.fasta"
"""In resources/."""
LONGEST_TRANSCRIPT = 500_000
"""Longer records (TTN has 0.1 million bases) are chromosomes, not transcripts."""

_GENE = (
    re.compile(r"\bgene=([^\s\];]+)"),  # ours, NCBI cds_from_genomic, gffread
    re.compile(r"\bgene_symbol:(\S+)"),  # Ensembl
    re.compile(r"^[^|\s]+\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|([^|]+)\|"),  # GENCODE
    re.compile(r"\(([A-Za-z0-9.-]+)\),"),  # RefSeq
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """One endogenous transcript."""

    name: str
    gene: str
    sequence: str


def gene_of(header: str) -> str:
    """Return the gene that a FASTA header names: ours, RefSeq's, Ensembl's or GENCODE's way; else its first word.

    >>> gene_of("NM_001561.6 Homo sapiens TNF receptor superfamily member 9 (TNFRSF9), mRNA")
    'TNFRSF9'
    """
    for pattern in _GENE:
        if match := pattern.search(header):
            return plain(match[1], 60)
    return plain((header.split() or ["unnamed"])[0], 60)


def read_transcripts(path: Path) -> Iterator[Transcript]:
    """Read a FASTA (or .gz) record by record: the whole transcriptome never is in memory.

    Raises
    ------
    InputError
        When the file can't be read, holds something else, or a record is longer than any transcript.
    """
    with open_text(path) as lines:
        yield from parse_transcripts(lines, str(path))


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file or .gz, and tell as InputError what can't be read, also while it is read."""
    import gzip
    import zlib

    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            yield lines
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise  # The disk of what is written meanwhile is full: not the fault of this file.
        raise InputError(
            [Problem(str(path), "no file that can be read whole", "a text file, or .gz")]
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            [Problem(str(path), "bytes that are no text", "a text file in UTF-8, or .gz")]
        ) from None


def parse_transcripts(lines: Iterable[str], file: str) -> Iterator[Transcript]:
    """Split the lines of a FASTA into transcripts."""
    header: str | None = None
    pieces: list[str] = []
    size = 0
    seen = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith(">"):
            if header is not None and pieces:
                yield _transcript(header, pieces)
            header, pieces, size, seen = stripped[1:], [], 0, True
        elif stripped and header is None:
            raise InputError(
                [Problem(file, "letters before the first header", "FASTA: a line '>name' first")]
            )
        elif stripped:
            size += len(stripped)
            if size > LONGEST_TRANSCRIPT:
                found = f"a record of more than {LONGEST_TRANSCRIPT} bases: {plain(header or '', 60)!r}"
                raise InputError([Problem(file, found, "transcripts, not a genome")])
            pieces.append(stripped)
    if header is not None and pieces:
        yield _transcript(header, pieces)
    if not seen:
        raise InputError([Problem(file, "no FASTA record", "a FASTA of transcripts")])


def _transcript(header: str, pieces: list[str]) -> Transcript:
    name = plain(re.split(r"[|\s]", header, maxsplit=1)[0] or "unnamed", 80)
    return Transcript(name, gene_of(header), "".join(pieces).upper().replace("U", "T"))
