"""Integration sites as laboratories tabulate them: one row for a site of a specimen, with the cells that carry it.

The columns are the configuration's; the defaults fit tables of INSPIIRED.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.cells.guarded import open_bytes
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, plain, raise_if_any
from cartrace.repertoire.findings import finding

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.repertoire.settings import Sites

ASSEMBLIES = {
    "hg18": "NCBI36",
    "hg19": "GRCh37",
    "hg38": "GRCh38",
    "hs1": "T2T-CHM13",
    "chm13": "T2T-CHM13",
    "mm10": "GRCm38",
    "mm39": "GRCm39",
}
"""Names of genome assemblies at UCSC, and at the consortia that make them."""
GENOME_COLUMNS = ("refgenome", "genome", "assembly")
"""Columns that tell the assembly, where a table has one."""
_SITE_COLUMN = "posid"
"""INSPIIRED's name of the site, which must agree with its parts."""
_NUMBERED = re.compile(r"(?:chr)?(\d{1,2}|X|Y|M|MT)", re.IGNORECASE)
_CONTIG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._*|-]{0,59}")
_POSITION = re.compile(r"(\d{1,10})(?:\.0+)?")
_DISTANCE = re.compile(r"[+-]?\d{1,10}(?:\.0+)?")
_MOST_POSITION = 2**31 - 1
"""What a BAM file can hold."""
_AUTOSOMES = 22
_NONE = {"", "na", "nan", "none", "null", "false", "."}
_LEAST = 0.5
"""Abundance that still rounds to a cell."""
_MOST = 1e12
_MOST_TOLD = 20
_LONGEST_GENES = 200


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One row of a table of sites, checked."""

    row: int
    chromosome: str
    position: int
    strand: str
    abundance: float
    gene: str | None
    distance: int | None


def chromosome_name(text: str) -> str:
    """Return a chromosome as UCSC names it, other sequences as they are.

    >>> chromosome_name("X"), chromosome_name("chrMT"), chromosome_name("GL000220.1")
    ('chrX', 'chrM', 'GL000220.1')
    """
    found = _NUMBERED.fullmatch(text)
    if not found:
        return text
    name = found[1].upper().lstrip("0")
    return "chrM" if name == "MT" else f"chr{name}"


def site_name(chromosome: str, strand: str, position: int) -> str:
    """Return the name of a site, as chr1+1099346."""
    return f"{chromosome}{strand}{position}"


@lru_cache(1000)
def assembly_of(text: str) -> str:
    """Return the consortium's name of a genome assembly, without its patch.

    >>> assembly_of("hg38"), assembly_of("GRCh38.p14")
    ('GRCh38', 'GRCh38')
    """
    name = re.sub(r"\.p\d+$", "", text.strip())
    known = {v.casefold(): v for v in ASSEMBLIES.values()} | ASSEMBLIES
    return known.get(name.casefold(), name)


def open_table(path: Path, name: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Open a table of sites: csv with commas or semicolons, or tsv, packed or not.

    Returns
    -------
    tuple
        The header, and the other rows, each with its number as a spreadsheet counts; empty rows are left out.

    Raises
    ------
    InputError
        When it has no header, isn't text in UTF-8, or (while rows are read) isn't a table.
    """
    rows = _records(path, name)
    header = next(rows, (1, []))[1]
    if not any(cell.strip() for cell in header):
        raise InputError([Problem(name, "no header", "a table with the names of its columns")])
    return [cell.strip() for cell in header], rows


def read_sites(
    header: Sequence[str],
    rows: Iterable[tuple[int, list[str]]],
    specimen: str,
    settings: Sites,
    file: str,
) -> list[SiteRow]:
    """Check the rows of one specimen.

    Parameters
    ----------
    header, rows
        As :func:`open_table` gives them.
    specimen
        Whose sites; empty: the table is of one specimen.

    Raises
    ------
    InputError
        With every column that is missing, and every row of the specimen that can't be used.
    """
    at, problems = _columns(header, specimen, settings, file)
    raise_if_any(problems)
    kept: list[SiteRow] = []
    first: dict[tuple[str, int, str], int] = {}
    specimens: dict[str, None] = {}
    faults = seen = 0
    for number, cells in rows:
        seen += 1
        if len(cells) != len(header):
            found = [Problem(file, f"{len(cells)} fields", f"{len(header)}, as in the header", number)]
        else:
            if "specimen" in at:
                own = cells[at["specimen"]].strip()
                specimens.setdefault(own)
                if specimen and own != specimen:
                    continue
            row, found = _checked(cells, at, number, settings, file)
            if row is not None:
                place = (row.chromosome, row.position, row.strand)
                if place in first:
                    name = plain(site_name(row.chromosome, row.strand, row.position))
                    allowed = (
                        f"each site once in a specimen, its replicates joined; it is in row {first[place]}"
                    )
                    found.append(Problem(file, f"{name} again", allowed, number))
                first.setdefault(place, number)
                kept.append(row)
        faults += len(found)
        problems += found[: max(0, _MOST_TOLD - len(problems))]
    problems += _of_specimens(specimens, specimen, settings, file, bool(seen))
    if faults > _MOST_TOLD:
        problems.append(Problem(file, f"{faults - _MOST_TOLD} more problems of rows", "see above"))
    raise_if_any(problems)
    return kept


def sites_frame(site_set: str, found: Iterable[SiteRow]) -> pd.DataFrame:
    """Return SITES, sorted by chromosome, position and strand."""
    from cartrace.repertoire.tables import SITES
    from cartrace.tables import rows

    ordered = sorted(found, key=lambda r: (r.chromosome, r.position, r.strand))
    return rows(
        (
            {
                "site_set": site_set,
                "site": site_name(r.chromosome, r.strand, r.position),
                "chromosome": r.chromosome,
                "position": r.position,
                "strand": r.strand,
                "abundance": r.abundance,
                "gene": r.gene,
                "gene_distance": r.distance,
            }
            for r in ordered
        ),
        SITES,
    )


def findings(
    header: Sequence[str], found: Sequence[SiteRow], settings: Sites, file: str
) -> list[dict[str, object]]:
    """Return rows of qc: how many sites, and what the table doesn't tell."""
    tell = partial(finding, source_file=file)
    total = sum(r.abundance for r in found)
    message = f"{len(found)} integration sites with an abundance of {total:g}"
    out = [tell("site_table", "note" if found else "warn", message, value=len(found))]
    if not any(c in header for c in GENOME_COLUMNS):
        message = f"the table does not name its genome assembly; {settings.genome} is taken for it"
        out.append(tell("genome_not_told", "note", message, value=""))
    missing = [c for c in (settings.columns.gene, settings.columns.within) if c and c not in header]
    if found and len(missing) == len([c for c in (settings.columns.gene, settings.columns.within) if c]):
        message = "no column tells genes; sites near genes of concern are not known"
        verdict = "warn" if settings.genes_of_concern else "note"
        out.append(tell("genes_not_told", verdict, message, value=""))
    return out


def _records(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    with open_bytes(path, name) as stream:
        head = stream.peek(1 << 16)[: 1 << 16].split(b"\n", 1)[0]
        delimiter = "\t" if b"\t" in head else ";" if head.count(b";") > head.count(b",") else ","
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            # A quoted field may go over lines; row numbers count rows, as a spreadsheet does.
            for number, row in enumerate(reader, 1):
                if number == 1 or any(row):
                    yield number, row
        except csv.Error:
            raise InputError(
                [Problem(name, "a line that is no table", "fields separated alike", reader.line_num)]
            ) from None
        except UnicodeDecodeError:
            raise InputError([Problem(name, "text that is not UTF-8", "a text file in UTF-8")]) from None


def _columns(
    header: Sequence[str], specimen: str, settings: Sites, file: str
) -> tuple[dict[str, int], list[Problem]]:
    """Find the columns: what they tell -> their place."""
    columns = settings.columns
    named = {
        "chromosome": columns.chromosome,
        "position": columns.position,
        "strand": columns.strand,
        "abundance": columns.abundance,
        "specimen": columns.specimen,
        "gene": columns.gene,
        "distance": columns.distance,
        "within": columns.within,
        "site": _SITE_COLUMN,
        **{f"genome {c}": c for c in GENOME_COLUMNS},
    }
    needed = {"chromosome", "position", "strand", "abundance"} | ({"specimen"} if specimen else set())
    at, problems = {}, []
    if specimen and columns.specimen is None:
        allowed = "none, since no column tells specimens (repertoire.sites.columns.specimen)"
        problems.append(Problem(file, f"a specimen, {plain(repr(specimen))}", allowed))
    for what, column in named.items():
        if column is None:
            continue
        if header.count(column) > 1:
            problems.append(Problem(file, f"'{column}' twice", "each column once", 1))
        elif column in header:
            at[what] = header.index(column)
        elif what in needed:
            hint = did_you_mean(column, [plain(h, 60) for h in header])
            allowed = f"the column of the {what} (repertoire.sites.columns.{what})"
            problems.append(Problem(file, f"no column '{column}'", allowed, 1, None, hint))
    return at, problems


def _checked(
    cells: Sequence[str], at: Mapping[str, int], number: int, settings: Sites, file: str
) -> tuple[SiteRow | None, list[Problem]]:
    """Check one row; it is None where it has a problem."""
    problems: list[Problem] = []
    names = settings.columns

    def text(what: str) -> str:
        return cells[at[what]].strip() if what in at else ""

    def tell(what: str, column: str | None, allowed: str, hint: str = "") -> None:
        problems.append(Problem(file, plain(repr(text(what)), 60), allowed, number, column, hint))

    for what in (w for w in at if w.startswith("genome ")):
        if text(what).casefold() not in _NONE and assembly_of(text(what)) != assembly_of(settings.genome):
            tell(what, what.split()[1], f"{settings.genome} (repertoire.sites.genome)")
    chromosome = chromosome_name(text("chromosome"))
    bare = text("chromosome").isdecimal() and not 1 <= int(text("chromosome")) <= _AUTOSOMES
    if not _CONTIG.fullmatch(chromosome) or bare or holds_date(chromosome):
        tell("chromosome", names.chromosome, "a chromosome, as chr1 or X")
    found = _POSITION.fullmatch(text("position"))
    position = int(found[1]) if found else 0
    if not 1 <= position <= _MOST_POSITION:
        tell("position", names.position, "a whole number from 1")
    strand = text("strand")
    if strand not in {"+", "-"}:
        tell("strand", names.strand, "+ or -", {"−": "-", "–": "-", "1": "+", "-1": "-"}.get(strand, ""))
    try:
        abundance = float(text("abundance").replace("_", "?"))
    except ValueError:
        abundance = math.nan
    if not _LEAST <= abundance <= _MOST:
        tell("abundance", names.abundance, "cells by sonic lengths or UMIs, 1 or more; no share")
    distance = text("distance")
    if distance.casefold() not in _NONE and not _DISTANCE.fullmatch(distance):
        tell("distance", names.distance, "bases, a whole number, or nothing")
    posid = text("site")
    if not problems and posid.casefold() not in _NONE:
        name = site_name(chromosome, strand, position)
        if name not in {posid, f"chr{posid}"}:
            tell("site", _SITE_COLUMN, f"{plain(name)}, as the other columns have it")
    if problems:
        return None, problems
    gene, bases = _gene(text("gene"), distance, text("within"), settings.gene_distance)
    return SiteRow(number, chromosome, position, strand, abundance, gene, bases), []


def _gene(nearest: str, distance: str, within: str, limit: int) -> tuple[str | None, int | None]:
    """Return the gene of a site and the bases to it; one that it lies in comes first, with those that are near."""
    bases = None if distance.casefold() in _NONE else abs(int(float(distance)))
    nearest = "" if nearest.casefold() in _NONE else nearest
    if within.casefold() in _NONE:
        return (plain(nearest, _LONGEST_GENES) or None), (bases if nearest else None)
    others = [g for g in nearest.split(",") if g and g not in within.split(",")]
    near = others if bases is not None and bases <= limit else []
    return plain(",".join([within, *near]), _LONGEST_GENES), 0


def _of_specimens(
    specimens: Collection[str], specimen: str, settings: Sites, file: str, any_row: bool
) -> list[Problem]:
    """Tell a specimen that the table doesn't have, or that none was named where it has several."""
    told = [plain(s, 40) for s in specimens]
    column = settings.columns.specimen
    if specimen and any_row and specimen not in specimens:
        hint = did_you_mean(specimen, told)
        listed = ", ".join(told[:_MOST_TOLD])
        allowed = f"a specimen of the table ({listed}); one without any site has no rows, and needs a file of its own"
        return [Problem(file, f"no specimen {plain(repr(specimen))}", allowed, None, column, hint)]
    if not specimen and len(told) > 1:
        allowed = f"one of them in the integration_sites sheet: {', '.join(told[:_MOST_TOLD])}"
        return [Problem(file, f"{len(told)} specimens", allowed, None, column)]
    return []
