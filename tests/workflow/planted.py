"""Names, birth dates and dates in every place where a laboratory's files have them.

:func:`plant` writes them into a simulated trial without changing what a reader makes of it,
but for texts that may hold a date and are told. :func:`texts` and :func:`traces` look for them.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np

from cartrace.problems import holds_date

SEEN, BORN = date(2031, 5, 17), date(1953, 8, 29)
"""Days that no trial has."""
NAMES = ("Quackenbush", "Zebulon")


def forms(day: date) -> list[str]:
    """One day as files write it; the last one is the serial number of a spreadsheet."""
    written = (
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%Y%m%d",
        "%d %B %Y",
        "%d-%b-%Y",
        "%d%b%Y",
        "%Y-%m-%dT08:30:00Z",
    )
    return [day.strftime(form) for form in written] + [str((day - date(1899, 12, 30)).days)]


NAME = " ".join(reversed(NAMES))
DATES = " ".join(forms(SEEN))
NOTE = f"Dr {NAME} born {' '.join(forms(BORN))} seen {DATES}"
_FORMS = sorted((form for day in (SEEN, BORN) for form in forms(day)), key=len, reverse=True)
PLANTED = re.compile(
    "|".join([*NAMES, *(rf"(?<![\d.]){re.escape(form)}(?!\d)" for form in _FORMS)]), re.IGNORECASE
)


def plant(trial: Path) -> None:
    """Write the note into the files of a trial folder, in every kind of place."""
    for pattern, change in CHANGES:
        found = sorted(trial.glob(pattern))
        assert found, f"no {pattern} to plant in"
        for path in found:
            change(path)


def _columns(delimiter: str, **more: str) -> Callable[[Path], None]:
    """Add columns that no mapping names; ``more`` replaces the first cell of a column that is allowed."""

    def change(path: Path) -> None:
        text = path.read_text("utf-8")
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        header, *lines = csv.reader(io.StringIO(text.removeprefix(mark)), delimiter=delimiter)
        for column, value in more.items():
            if column in header and lines:
                lines[-1][header.index(column)] += value
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*header, "Comment", "Operator", f"seen {SEEN:%d.%m.%Y} by {NAME}"])
        writer.writerows([*line, NOTE, NAME, DATES] for line in lines)
        path.write_text(mark + out.getvalue(), "utf-8")

    return change


def _replaced(*pairs: tuple[str, str]) -> Callable[[Path], None]:
    """Put text behind what each pattern finds (its first group stays); each has to be there."""

    def change(path: Path) -> None:
        raw = path.read_bytes()
        encoding = "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
        text = raw.decode(encoding)
        for pattern, new in pairs:
            text, n = re.subn(pattern, rf"\g<1>{new}", text)
            assert n, f"{path.name}: nothing like {pattern}"
        path.write_bytes(text.encode(encoding))

    return change


def _workbook(path: Path) -> None:
    """Document properties, a hidden sheet, a comment on a cell, and a cell beside the table's title."""
    import openpyxl
    from openpyxl.comments import Comment

    book = openpyxl.load_workbook(path)
    properties = book.properties
    properties.creator = properties.lastModifiedBy = NAME
    properties.title = properties.description = properties.keywords = NOTE
    hidden = book.create_sheet(f"{NAMES[0]} {SEEN:%Y-%m-%d}")
    hidden.append([NOTE, SEEN])
    hidden.sheet_state = "hidden"
    sheet = book.worksheets[0]
    sheet["A1"].comment = Comment(NOTE, NAME)
    if "Remark" in [cell.value for cell in sheet[3]]:
        column = [cell.value for cell in sheet[3]].index("Remark") + 1
        sheet.cell(5, column).value = NOTE
        sheet["A1"].value = f"{sheet['A1'].value} {NOTE}"
    elif sheet.title == "OD":
        sheet["A2"].value = f"Read by {NOTE}"
    book.save(path)


def _fcs(path: Path) -> None:
    """Add keywords at the end of TEXT and move the data behind them."""
    from cartrace.simulate.fcs_file import DELIMITER, OFFSET_WIDTH

    raw = path.read_bytes()
    first, last, begin, end = (int(raw[at : at + 8]) for at in range(10, 42, 8))
    words = {
        "EXPERIMENT NAME": NOTE,
        "PATIENT NAME": NAME,
        "$INST": NOTE,
        "$SRC": NAME,
        "$COM": NOTE,
        "GUID": DATES,
    }
    words |= {
        "$LAST_MODIFIED": f"{SEEN:%d-%b-%Y} 08:30:00",
        "$LAST_MODIFIER": NAME,
        "TUBE NAME": NOTE,
        "DOB": DATES,
    }
    here = raw[first:last].decode().split(DELIMITER)[1::2]
    more = "".join(f"{k}{DELIMITER}{v}{DELIMITER}" for k, v in words.items() if k not in here).encode()
    text = raw[first : last + 1] + more
    for key, offset in (("$BEGINDATA", begin), ("$ENDDATA", end)):
        place = f"{DELIMITER}{key}{DELIMITER}"
        old, new = (f"{place}{n:0{OFFSET_WIDTH}d}".encode() for n in (offset, offset + len(more)))
        assert old in text
        text = text.replace(old, new)
    for key, value in (("$DATE", f"{SEEN:%d-%b-%Y}".upper()), ("$OP", NAME), ("$FIL", NOTE)):
        place = re.escape(f"{DELIMITER}{key}{DELIMITER}".encode()) + rb"[^\f]+"
        assert re.search(place, text), f"{path.name}: no {key}"
        given = re.search(place, text)
        assert given
        length = len(given[0]) - len(key) - 2
        text = text.replace(given[0], f"{DELIMITER}{key}{DELIMITER}{value[:length]:<{length}}".encode())
    offsets = (first, last + len(more), begin + len(more), end + len(more))
    path.write_bytes(
        raw[:10] + "".join(f"{n:8d}" for n in offsets).encode() + raw[42:first] + text + raw[begin:]
    )


def _bam(path: Path) -> None:
    """Read groups and comments of the header."""
    import pysam

    other = path.with_suffix(".planted")
    with pysam.AlignmentFile(str(path), "rb") as source:
        header = source.header.to_dict()
        group = {"ID": "1", "SM": NAME, "DS": NOTE, "DT": f"{SEEN}T08:30:00Z"}
        header |= {
            "RG": [group],
            "CO": [NOTE],
            "PG": [{"ID": "count", "CL": f"/home/{NAMES[0]}/{SEEN}/count"}],
        }
        with pysam.AlignmentFile(str(other), "wb", header=header) as target:
            for read in source:
                target.write(read)
    other.replace(path)
    pysam.index(str(path))


def _attributes(path: Path) -> None:
    """Attributes of a matrix file."""
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["library_ids"] = NOTE
        file.attrs["original_gem_groups"] = f"{NAME} {SEEN}"
        file["matrix"].attrs["comment"] = NOTE


def _sites(path: Path) -> None:
    """A specimen that no sheet names, and columns that nobody asked for."""
    header, *lines = path.read_text().splitlines()
    columns = header.split("\t")
    cells = lines[-1].split("\t")
    cells[columns.index("specimen")] = f"{NAME} {SEEN}"
    cells[columns.index("patient")] = NOTE
    lines.append("\t".join(cells))
    rows = [f"{header}\tcomment", *(f"{line}\t{NOTE}" for line in lines)]
    path.write_text("\n".join(rows) + "\n")


def _prefixed(text: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(text + path.read_text("utf-8"), "utf-8")

    return change


CHANGES: list[tuple[str, Callable[[Path], None]]] = [
    ("config.yaml", _replaced((r"(?m)^(  description: ).*$", f"'{' '.join(forms(SEEN)[:-1])}'"))),
    ("data/haematology/blood_counts.csv", _columns(";")),
    ("data/flow/*.csv", _columns(";", Visit=f" {SEEN:%d.%m.%Y}", Population=f" {SEEN}")),
    ("data/chemistry/*.tsv", _columns("\t", visit=f" {SEEN:%d %B %Y}")),
    ("data/clinic/*.csv", _columns(",", EDSS=f" ({SEEN:%d.%m.%Y})")),
    ("data/**/*.xlsx", _workbook),
    (
        "data/plates/qpcr*.txt",
        _replaced(
            (r"(\* Experiment Comment = )[^\r\n]*", f"{NOTE}"),
            (r"(\* Experiment (?:File )?Name = )[^\r\n]*", f"{NAMES[0]} {SEEN:%d%b%Y}"),
            (r"(\* User Name = )[^\r\n]*", f"{NAME}"),
            (r"(?m)^(1\tA1\tSTD 1\t[^\r\n]*\tFAM\t[^\r\n]*\t)(?=\r?$)", NOTE),
            (r"(\* Instrument (?:Name|Serial Number) = )[^\r\n]*", f"{NOTE}"),
            (r"(\* Date Created = )[^\r\n]*", f"{SEEN} 08:30:00 AM UTC"),
        ),
    ),
    (
        "data/immunoassays/*elisa*.txt",
        _replaced((r"(run by )[^\r\n]*", f"{NOTE}"), (r"(Original Filename: )[^\r\n]*", f"{NOTE}")),
    ),
    ("data/flow_fcs/*.fcs", _fcs),
    ("data/cells/*/metrics_summary.csv", _columns(",")),
    ("data/cells/*/*_contig_annotations.csv", _columns(",", raw_clonotype_id=f"_{SEEN}")),
    ("data/cells/*/*.bam", _bam),
    ("data/cells/*/*.h5", _attributes),
    ("data/integration_sites/*.tsv", _sites),
    ("constructs/*.fasta", _replaced((r"(?m)^(>.*)$", f" {NOTE}"))),
    ("constructs/*.gtf", _replaced((r"(?m)^(.*;)$", f' note "{NOTE}";'))),
    ("constructs/*.gtf", _prefixed(f"##date {SEEN}\n#{NOTE}\n")),
    ("mappings/*.yaml", _prefixed(f"# {NOTE}\n")),
]


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Give the texts of a file, whatever its format, each with the place in it."""
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix == ".duckdb":
        yield from _database(path)
    elif path.suffix in {".h5", ".h5ad", ".h5mu"}:
        yield from _hdf(path)
    else:
        raw = path.read_bytes()
        yield "", (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")


def _parquet(path: Path) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    yield "schema", f"{table.schema.to_string(show_field_metadata=True)} {table.schema.metadata}"
    # Numbers are no dates: a position of a genome may read as one.
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = str(column.type)
        if not kind.startswith(("int", "uint", "float", "double", "bool")):
            yield name, "\n".join(map(str, set(map(str, column.to_pylist()))))


def _database(path: Path) -> Iterator[tuple[str, str]]:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as base:
        for (name,) in base.execute("select table_name from information_schema.tables").fetchall():
            columns = base.execute(f"describe {name}").fetchall()
            yield f"{name}: schema", str(columns)
            for column, kind, *_ in columns:
                assert "DATE" not in kind, f"{name}.{column} holds dates"
                if kind == "VARCHAR":
                    found = base.execute(f'select distinct "{column}" from "{name}"').fetchall()
                    yield f"{name}.{column}", "\n".join(str(value) for (value,) in found)


def _hdf(path: Path) -> Iterator[tuple[str, str]]:
    import h5py

    found: list[tuple[str, str]] = []

    def look(name: str, item: object) -> None:
        assert isinstance(item, h5py.Group | h5py.Dataset)
        found.append((name, f"{name} {[(k, str(v)) for k, v in item.attrs.items()]}"))
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "OS":
            cells = item[()] if item.shape == () else item[:].ravel().tolist()
            cells = [cells] if isinstance(cells, bytes | str) else cells
            found.append((name, "\n".join(c.decode() if isinstance(c, bytes) else str(c) for c in cells)))

    with h5py.File(path, "r") as file:
        look("/", file)
        file.visititems(look)
    yield from found


def traces(text: str) -> set[str]:
    """Return what of the planted is in a text, and its lines that hold a calendar date."""
    text = re.sub(r"\b[0-9a-f]{32,64}\b", "", text)  # a hash may hold any short number
    found = {match[0] for match in PLANTED.finditer(text)}
    lines = text.splitlines() if holds_date(text) else ()
    return found | {f"a date: {line[:200]}" for line in lines if holds_date(line)}


def written_when(path: Path) -> str | None:
    """Say where the format of a file tells when it was written; None: nowhere."""
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        # Bytes 4 to 7 are the time, bit 3 of the flags a file's name.
        return "the head of gzip" if any(raw[4:8]) or raw[3] & 8 else None
    if raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            dated = [i.filename for i in archive.infolist() if i.date_time[0] != 1980]
        return f"the time of {dated[0]}" if dated else None
    if path.suffix in {".h5", ".h5ad", ".h5mu"}:
        return _timed(path)
    # Seconds, or a thousandth, millionth, billionth of one, since 1970 as a number of eight bytes.
    now = path.stat().st_mtime
    for unit, times in {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.items():
        for offset in range(8):
            numbers = np.frombuffer(raw[offset : offset + (len(raw) - offset) // 8 * 8], "<u8")
            if ((numbers > (now - 600) * times) & (numbers < (now + 60) * times)).any():
                return f"a time in {unit}"
    return None


def _timed(path: Path) -> str | None:
    import h5py

    def look(name: str, item: object) -> str | None:
        assert isinstance(item, h5py.Group | h5py.Dataset)
        return f"the time of {name}" if h5py.h5g.get_objinfo(item.id).mtime else None

    with h5py.File(path, "r") as file:
        told: str | None = file.visititems(look)
    return told
