"""The program that joins all cells into one h5ad."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import h5py
import pytest
from tests.loading import load_module
from tests.unit.cells.hand_h5ad import write_library
from tests.unit.cells.hand_libraries import library, sample

from cartrace.cells.tables import CARS, CELLS, EMBEDDING, LIBRARIES, OBS, TYPES
from cartrace.tables import SAMPLES, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/cells/assemble_cells.py"


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    for name in ("L1", "L2"):
        made = library(name, {("cd4_t", "naive", "positive"): 2})
        write_library(tmp_path / f"library/{name}.h5ad", [[1, 2], [0, 3]], ["gA", f"g{name}"])
        told = [
            {"library": name, "cell": cell, "umis": 3, "genes": 2, "passed": True} for cell in ("C0", "C1")
        ]
        write_table(rows(told, CELLS), f"library/{name}.cells.parquet", CELLS)
        for part, table in (("types", TYPES), ("cars", CARS), ("libraries", LIBRARIES)):
            write_table(getattr(made, part), f"library/{name}.{part}.parquet", table)
    write_table(rows([sample()], SAMPLES), "samples.parquet", SAMPLES)
    shown = [{"library": "L1", "cell": "C1", "x": 1.0, "y": 2.0}]
    write_table(rows(shown, EMBEDDING), "embedding.parquet", EMBEDDING)
    return tmp_path


def run(*arguments: str) -> int:
    usual = (
        "--folder",
        "library",
        "--samples",
        "samples.parquet",
        "--h5ad",
        "cells.h5ad",
        "--obs",
        "obs.parquet",
    )
    return int(program().main([*usual, *arguments]))


def test_all_cells_come_out_with_what_is_known_of_them(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--sample-ids", "S1", "S1", "--embedding", "embedding.parquet")
    assert run("--libraries", "L1", "L2", *more) == 0
    obs = read_table("obs.parquet", OBS)
    assert obs[["library", "cell"]].to_numpy().tolist() == [
        ["L1", "C0"],
        ["L1", "C1"],
        ["L2", "C0"],
        ["L2", "C1"],
    ]
    assert "2 libraries: 4 cells in and out" in capsys.readouterr().out
    with h5py.File("cells.h5ad") as file:
        assert file["X"].attrs["shape"].tolist() == [4, 3]
        assert file["obsm/X_umap"][1].tolist() == [1, 2]
        # The encodings that every browser reads.
        assert file["obs/_index"].attrs["encoding-type"] == "string-array"
        assert file["obs/cell_type/categories"].attrs["encoding-type"] == "string-array"
        assert file["var/symbol"].attrs["encoding-type"] == "string-array"


def test_a_cell_too_many_is_told_and_nothing_is_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types = read_table("library/L2.types.parquet", TYPES)
    write_table(types.iloc[:1], "library/L2.types.parquet", TYPES)
    assert run("--libraries", "L1", "L2", "--sample-ids", "S1", "S1") == 2
    assert "L2: 2 cells in the matrix, and 1 others in types" in capsys.readouterr().err
    assert not (trial / "cells.h5ad").exists()
    assert run("--libraries", "L1", "--sample-ids", "S7") == 2
    assert "no sample S7" in capsys.readouterr().err
