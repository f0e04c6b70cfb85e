"""Compare the results of two runs by what they say, not by their bytes."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

NOT_COMPARED = ("results/runs/", "results/intake/manifest.json", "results/intake/inbox.json")
"""Run records tell of their run; the others are caches of file times."""
NO_TOLERANCE = ["doublet_score"]
"""Columns that are compared only where nothing may differ: the calls that rest on them are."""


def differences(first: Path, second: Path, *, tolerance: float = 0.0) -> list[str]:
    """Return what differs between the results of two trial folders; nothing when they say the same.

    Parameters
    ----------
    first, second
        Trial folders.
    tolerance
        Largest relative difference of two numbers that count as equal, in tables (there also of
        numbers in texts, such as a matrix in JSON) and matrices. Texts (TSV, HTML, JSON) are compared byte by
        byte only when it is 0, since they print the same numbers.
    """
    names = [_files(folder) for folder in (first, second)]
    told = [f"{name}: only in {first}" for name in sorted(names[0] - names[1])]
    told += [f"{name}: only in {second}" for name in sorted(names[1] - names[0])]
    for name in sorted(names[0] & names[1]):
        one, other = first / name, second / name
        if one.read_bytes() == other.read_bytes():
            continue
        compare = _COMPARE.get(Path(name).suffix, _texts)
        told += [f"{name}: {what}" for what in compare(one, other, tolerance)]
    return told


def _files(folder: Path) -> set[str]:
    names = (p.relative_to(folder).as_posix() for p in (folder / "results").rglob("*") if p.is_file())
    return {name for name in names if not name.startswith(NOT_COMPARED)}


def _parquet(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    yield from _frames(pd.read_parquet(first), pd.read_parquet(second), tolerance)


def _frames(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> Iterator[str]:
    numbers: tuple[list[float], list[float]] = ([], [])
    if tolerance:
        first, second = (_comparable(f, n) for f, n in zip((first, second), numbers, strict=True))
    try:
        pd.testing.assert_frame_equal(
            first, second, check_exact=not tolerance, rtol=tolerance, atol=tolerance
        )
        np.testing.assert_allclose(*numbers, rtol=tolerance)
    except AssertionError as error:
        yield " ".join(str(error).split())[:400]


_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?", re.IGNORECASE)


def _comparable(frame: pd.DataFrame, numbers: list[float]) -> pd.DataFrame:
    """Move the decimal numbers of texts to ``numbers``, and leave out what has no tolerance (docs/architecture.md).

    That is the piecewise model: where its likelihood is nearly flat, the search for the maximum ends
    elsewhere with other versions of the libraries. The scores behind the calls of doublets. And the bootstrap
    limits of diversity: versions of numpy draw other numbers from one seed.
    """
    if "metric" in frame:
        frame = frame[~frame["metric"].str.startswith("stein_")].reset_index(drop=True)

    def moved(found: re.Match[str]) -> str:
        numbers.append(float(found[0]))
        return "#"

    drawn = ["lower", "upper"] if "rarefied" in frame else []
    frame = frame.drop(columns=[*NO_TOLERANCE, *drawn], errors="ignore")
    return frame.map(lambda cell: _NUMBER.sub(moved, cell) if isinstance(cell, str) else cell)


def _duckdb(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    import duckdb

    with (
        duckdb.connect(str(first), read_only=True) as one,
        duckdb.connect(str(second), read_only=True) as other,
    ):
        tables = [sorted(row[0] for row in c.execute("show tables").fetchall()) for c in (one, other)]
        if tables[0] != tables[1]:
            yield f"tables {tables[0]} and {tables[1]}"
            return
        for table in tables[0]:
            frames = (c.execute(f'select * from "{table}"').df() for c in (one, other))
            for what in _frames(*frames, tolerance):
                yield f"{table}: {what}"


def _hdf5(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    import h5py

    def content(path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        with h5py.File(path) as file:
            # Links that stand for one object are visited once each.
            file.visititems(
                lambda name, item: found.update({name: item[()] if hasattr(item, "dtype") else ""})
            )
        return found

    one, other = content(first), content(second)
    yield from (f"{name}: only in one of them" for name in sorted(one.keys() ^ other.keys()))
    for name in sorted(one.keys() & other.keys()):
        a, b = np.asarray(one[name]), np.asarray(other[name])
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            yield f"{name}: {a.shape} {a.dtype} and {b.shape} {b.dtype}"
        elif tolerance and name.rpartition("/")[2] in NO_TOLERANCE:
            continue
        elif a.dtype.kind == "f":
            if not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
                yield f"{name}: differs by up to {np.nanmax(np.abs(a - b)):g}"
        elif not np.array_equal(a, b):
            yield f"{name}: other values"


def _gzipped(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    if not tolerance and gzip.decompress(first.read_bytes()) != gzip.decompress(second.read_bytes()):
        yield "other text"


def _texts(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    if not tolerance:
        yield "other bytes"


_COMPARE: dict[str, Callable[[Path, Path, float], Iterator[str]]] = {
    ".parquet": _parquet,
    ".duckdb": _duckdb,
    ".h5ad": _hdf5,
    ".h5mu": _hdf5,
    ".gz": _gzipped,
}
