"""Ways to spoil a file: each function takes its path and leaves something bad there."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path], None]
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    + (bytes(range(256)) * 4)
)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def png(path: Path) -> None:
    path.write_bytes(PNG)


def web_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>\n")


def text_under_its_name(path: Path) -> None:
    path.write_text("patient,day,value\n1,2,3\n")


def workbook_under_its_name(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")


def utf16(path: Path) -> None:
    path.write_bytes(path.read_text("utf-8-sig").encode("utf-16"))


def latin1(path: Path) -> None:
    """Put one letter as a program of another decade writes it into the second line."""
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first + b"\n\xe9" + rest)


def zero_bytes(path: Path) -> None:
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first + b"\n\x00\x00" + rest)


def cut(share: float) -> Spoil:
    """Keep the first part of the file, as a copy that was broken off does."""

    def spoil(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return spoil


def cut_header(path: Path) -> None:
    """Break the file off in the middle of its first line."""
    header = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(header[:5])


def header_twice(path: Path) -> None:
    """Put the first column a second time behind the last."""
    lines = path.read_text("utf-8-sig").splitlines()
    mark = "\t" if "\t" in lines[0] else ";" if ";" in lines[0] else ","
    path.write_text("\n".join(f"{line}{mark}{line.split(mark)[0]}" for line in lines) + "\n")


def cell(row: int, column: str, value: str) -> Spoil:
    """Put a value into a cell; the row as a spreadsheet counts, the header being row 1."""

    def spoil(path: Path) -> None:
        lines = path.read_text("utf-8-sig").splitlines()
        mark = "\t" if "\t" in lines[0] else ";" if ";" in lines[0] else ","
        cells = lines[row - 1].split(mark)
        cells[lines[0].split(mark).index(column)] = value
        lines[row - 1] = mark.join(cells)
        path.write_text("\n".join(lines) + "\n")

    return spoil


def replaced(old: str, new: str) -> Spoil:
    """Put other text in the place of the first that reads ``old``."""

    def spoil(path: Path) -> None:
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


def written(text: str) -> Spoil:
    def spoil(path: Path) -> None:
        path.write_text(text)

    return spoil


def added(text: str) -> Spoil:
    def spoil(path: Path) -> None:
        with path.open("a") as file:
            file.write(text)

    return spoil


def wide(path: Path) -> None:
    """Put a header of a million columns above the table."""
    lines = path.read_text("utf-8-sig").splitlines()
    mark = "\t" if "\t" in lines[0] else ";" if ";" in lines[0] else ","
    lines[0] += mark + mark.join(f"c{i}" for i in range(1_000_000))
    path.write_text("\n".join(lines) + "\n")


def long_cell(path: Path) -> None:
    """Put ten million letters into the first cell of the second row."""
    first, _, rest = path.read_text("utf-8-sig").partition("\n")
    path.write_text(f"{first}\n{'x' * 10_000_000}{rest}")


def missing(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_out(path: Path) -> None:
    """Put a link to a file outside the trial in its place."""
    outside = path.absolute().parents[len(path.parts)] / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


_BLOCK = 1 << 20


def gzip_bomb(megabytes: int) -> Spoil:
    """Write a small gzip file that unpacks to so many megabytes of ``A``, without a line's end."""

    def spoil(path: Path) -> None:
        packed = gzip.compress(b"A" * _BLOCK, 9)
        path.write_bytes(packed * megabytes)

    return spoil


def zip_bomb(member: str, megabytes: int) -> Spoil:
    """Put a member of so many megabytes of blanks into the workbook, in a few kilobytes."""

    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in members.items():
                with archive.open(name, "w", force_zip64=True) as file:
                    if name == member:
                        for _ in range(megabytes):
                            file.write(b" " * _BLOCK)
                    file.write(content)

    return spoil


def lying_zip(member: str, megabytes: int) -> Spoil:
    """Write such a bomb whose list of contents says that the member has a hundred bytes."""

    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in members.items():
                archive.writestr(name, b" " * (megabytes * _BLOCK) + content if name == member else content)
            size = archive.getinfo(member).file_size.to_bytes(4, "little")
        path.write_bytes(stream.getvalue().replace(size, (100).to_bytes(4, "little")))

    return spoil


def packed_wrongly(path: Path) -> None:
    """Pack it by gzip and cut the end off."""
    path.write_bytes(gzip.compress(path.read_bytes())[:-12])
