"""What proves that two runs gave the same must see when they did not."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import h5py
import pandas as pd
import pytest
from tests.same_results import differences


@pytest.fixture
def trials(tmp_path: Path) -> tuple[Path, Path]:
    """Two trial folders with the same results, in each kind of file."""
    first, second = tmp_path / "first", tmp_path / "second"
    folder = first / "results"
    (folder / "runs").mkdir(parents=True)
    frame = pd.DataFrame({"analyte": ["CAR", "CD19"], "value": [1.5, None]})
    frame.to_parquet(folder / "table.parquet")
    frame.to_csv(folder / "table.tsv", sep="\t")
    (folder / "rows.tsv.gz").write_bytes(gzip.compress(b"a\n", mtime=0))
    with h5py.File(folder / "cells.h5ad", "w") as file:
        file["X"] = [1.0, 2.0]
        file["obs/cell"] = [b"A", b"B"]
    with duckdb.connect(str(folder / "all.duckdb")) as base:
        base.execute("create table metrics as select 1.5 as value")
    shutil.copytree(first, second)
    return first, second


def test_the_same_results_differ_in_nothing(trials: tuple[Path, Path]) -> None:
    first, second = trials
    # Other bytes, the same rows.
    pd.read_parquet(second / "results/table.parquet").to_parquet(
        second / "results/table.parquet", compression="gzip"
    )
    (second / "results/rows.tsv.gz").write_bytes(gzip.compress(b"a\n", mtime=1))
    (second / "results/runs/1.json").write_text("{}")
    assert (first / "results/table.parquet").read_bytes() != (second / "results/table.parquet").read_bytes()
    assert differences(first, second) == []


def _parquet(folder: Path) -> None:
    frame = pd.read_parquet(folder / "table.parquet")
    frame.loc[0, "value"] = 1.5 + 2e-16 * 2
    frame.to_parquet(folder / "table.parquet")


def _order(folder: Path) -> None:
    pd.read_parquet(folder / "table.parquet").iloc[::-1].to_parquet(folder / "table.parquet")


def _matrix(folder: Path) -> None:
    with h5py.File(folder / "cells.h5ad", "a") as file:
        file["X"][0] = 1.0000001


def _names(folder: Path) -> None:
    with h5py.File(folder / "cells.h5ad", "a") as file:
        file["obs/cell"][0] = b"C"


def _base(folder: Path) -> None:
    with duckdb.connect(str(folder / "all.duckdb")) as base:
        base.execute("update metrics set value = 1.6")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_parquet, "table.parquet"),
        (_order, "table.parquet"),
        (_matrix, "cells.h5ad: X"),
        (_names, "cells.h5ad: obs/cell"),
        (_base, "all.duckdb: metrics"),
        (lambda folder: (folder / "table.tsv").write_text("x"), "table.tsv"),
        (lambda folder: (folder / "rows.tsv.gz").write_bytes(gzip.compress(b"b\n")), "rows.tsv.gz"),
        (lambda folder: (folder / "table.tsv").unlink(), "table.tsv: only in"),
        (lambda folder: (folder / "more.tsv").write_text(""), "more.tsv: only in"),
    ],
)
def test_a_change_is_told(trials: tuple[Path, Path], change: Callable[[Path], object], named: str) -> None:
    change(trials[1] / "results")
    told = differences(*trials)
    assert len(told) == 1
    assert named in told[0]


def test_numbers_within_the_tolerance_are_equal(trials: tuple[Path, Path]) -> None:
    _parquet(trials[1] / "results")
    _matrix(trials[1] / "results")
    assert differences(*trials, tolerance=1e-6) == []
    assert len(differences(*trials, tolerance=1e-9)) == 1


def test_with_a_tolerance_numbers_in_texts_have_one_and_the_piecewise_model_is_left_out(
    trials: tuple[Path, Path],
) -> None:
    tables = [
        pd.DataFrame(
            {
                "metric": ["cmax", "stein_cmax"],
                "value": [2.0, value],
                "covariance": [f"[[{number!r}, 0.5]]", None],
            }
        )
        for value, number in ((1.0, 1 / 3), (3.0, 1 / 3 + 1e-15), (3.0, 1 / 3 + 1e-6))
    ]
    first, second = trials
    for folder, table in zip(trials, tables, strict=False):
        table.to_parquet(folder / "results/table.parquet")
    assert differences(first, second, tolerance=0.0) != []
    assert differences(first, second, tolerance=1e-9) == []
    tables[2].to_parquet(second / "results/table.parquet")
    assert [told.partition(":")[0] for told in differences(first, second, tolerance=1e-9)] == [
        "results/table.parquet"
    ]
