"""The program that types a library: a made library with known types, doublets, and a model."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.loading import load_module
from tests.unit.cells.hand_types import PANELS, cells_of, symbols

from cartrace.cells.h5ad import LibraryWriter
from cartrace.cells.matrices import Features
from cartrace.cells.tables import CELLS, LIBRARIES, TYPES
from cartrace.tables import QC, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cells" / "type_cells.py"
KINDS = [["lineages.t", "types.t.cd8_t"]] * 60 + [["lineages.b"]] * 40 + [["lineages.monocyte"]] * 30
LINEAGES = np.repeat(["t", "b", "monocyte"], [60, 40, 30])


def program() -> ModuleType:
    return load_module(SCRIPT)


def write_library(folder: Path, counts: sparse.csr_array, car: np.ndarray, **columns: Any) -> dict[str, Path]:
    """Write h5ad, cells and libraries as read_library does; the CAR is the last feature, named like a marker."""
    n = counts.shape[0]
    barcodes = [f"{i:04d}-1" for i in range(n)]
    names = np.array([*symbols(), "CD8A"])
    features = Features(
        np.array([*(f"ID{i}" for i in range(len(names) - 1)), "CAR1"]),
        names,
        np.array(["Gene Expression"] * len(names)),
    )
    with_car = sparse.csr_array(sparse.hstack([counts, sparse.csr_array(car[:, None])], format="csr"))
    with LibraryWriter(
        folder / "L1.h5ad",
        barcodes=np.array(barcodes, dtype=bytes),
        features=features,
        cars=np.arange(len(names)) == len(names) - 1,
    ) as writer:
        for _ in writer.through([(0, with_car.astype(np.int32))]):
            pass
        writer.describe({"library": "L1", "chemistry": "5p"})
    cells = pd.DataFrame(
        {
            "library": "L1",
            "cell": barcodes,
            "umis": np.asarray(counts.sum(axis=1)).ravel(),
            "genes": np.diff(counts.indptr),
            "mito_percent": 1.0,
            "ribo_percent": 1.0,
            "haemoglobin_percent": 0.0,
            "passed": True,
            **columns,
        }
    )
    library = {
        "library": "L1",
        "chemistry": "5p",
        "sort": "none",
        "source": "cellranger",
        "barcodes": n,
        "cells_passed": n,
        "car_features": "CAR1",
        "verdict": "accepted",
        "source_sha256": "0" * 64,
    }
    write_table(rows(cells.to_dict("records"), CELLS), folder / "cells.parquet", CELLS)
    write_table(rows([library], LIBRARIES), folder / "libraries.parquet", LIBRARIES)
    return {
        "h5ad": folder / "L1.h5ad",
        "cells": folder / "cells.parquet",
        "libraries": folder / "libraries.parquet",
    }


def run(folder: Path, paths: dict[str, Path], *more: str, library: str = "L1") -> int:
    arguments = ["--library", library, "--panels", str(PANELS)]
    for name, path in {**paths, "types": folder / "types.parquet", "qc": folder / "qc.parquet"}.items():
        arguments += [f"--{name}", str(path)]
    return int(program().main([*arguments, *more]))


@pytest.fixture(scope="module")
def counts() -> sparse.csr_array:
    return cells_of(KINDS, umis=3000)


def test_a_library_is_typed(
    tmp_path: Path, counts: sparse.csr_array, capsys: pytest.CaptureFixture[str]
) -> None:
    n = counts.shape[0]
    trb, igh = (LINEAGES == "t").astype(float), (LINEAGES == "b").astype(float)
    igh[0] = 1  # a T cell with a heavy chain: two cells
    passed = np.arange(n) != 1
    paths = write_library(tmp_path, counts, np.zeros(n), tra=trb, trb=trb, igh=igh, igl=igh, passed=passed)
    assert run(tmp_path, paths) == 0
    types, qc = read_table(tmp_path / "types.parquet", TYPES), read_table(tmp_path / "qc.parquet", QC)
    assert (types["lineage"].to_numpy() == LINEAGES).mean() > 0.97
    assert types.loc[0, "doublet"]
    assert "receptors" in types.loc[0, "doublet_evidence"]
    assert not types.loc[0, "counts"]
    assert not types.loc[1, "counts"]
    assert types["counts"].sum() > 0.9 * n
    assert types.loc[types["lineage"] != "t", "state"].isna().all()
    assert "cd4_cd8" in set(qc["check"])
    said = capsys.readouterr().out
    assert said.startswith("L1: ")
    assert str(tmp_path) not in said + " ".join(qc["message"])


def test_the_car_and_its_counts_change_no_type(tmp_path: Path, counts: sparse.csr_array) -> None:
    tables = []
    for name, car in (("with", np.arange(counts.shape[0]) % 7 * 20), ("without", np.zeros(counts.shape[0]))):
        folder = tmp_path / name
        folder.mkdir()
        assert run(folder, write_library(folder, counts, car, car_umis=car)) == 0
        tables.append(read_table(folder / "types.parquet", TYPES))
    pd.testing.assert_frame_equal(*tables)


def test_two_cells_of_two_lineages_are_told(tmp_path: Path, counts: sparse.csr_array) -> None:
    pairs = sparse.csr_array(counts[:10] + counts[60:70])
    both = sparse.csr_array(sparse.vstack([counts, pairs], format="csr"))
    assert run(tmp_path, write_library(tmp_path, both, np.zeros(both.shape[0]))) == 0
    types = read_table(tmp_path / "types.parquet", TYPES)
    assert types["doublet"].iloc[-10:].sum() >= 7
    assert types["doublet_evidence"].iloc[-10:].str.contains("lineages").sum() >= 7
    assert types["doublet"].iloc[:-10].mean() < 0.03
    assert types["doublet_score"].between(0, 1).all()


def test_a_sorted_library_of_something_else_is_a_finding(tmp_path: Path, counts: sparse.csr_array) -> None:
    paths = write_library(tmp_path, counts, np.zeros(counts.shape[0]))
    table = read_table(paths["libraries"], LIBRARIES)
    table["sort"] = "t_cells"
    write_table(table, paths["libraries"], LIBRARIES)
    assert run(tmp_path, paths) == 0
    qc = read_table(tmp_path / "qc.parquet", QC).set_index("check")
    assert qc.loc["sorted", "verdict"] == "warn"
    assert "46 % of the cells with a lineage are T cells" in qc.loc["sorted", "message"]


def test_genes_of_a_mouse_are_told(tmp_path: Path, counts: sparse.csr_array) -> None:
    from tests.unit.cells import hand_types

    names = [s.title() for s in hand_types.symbols()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "symbols", lambda: names)
        paths = write_library(tmp_path, counts, np.zeros(counts.shape[0]))
    assert run(tmp_path, paths) == 0
    qc = read_table(tmp_path / "qc.parquet", QC).set_index("check")
    assert qc.loc["markers", "verdict"] == "fail"
    assert (read_table(tmp_path / "types.parquet", TYPES)["lineage"] == "unassigned").all()


def test_tables_of_another_library_are_refused(
    tmp_path: Path, counts: sparse.csr_array, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_library(tmp_path, counts, np.zeros(counts.shape[0]))
    assert run(tmp_path, paths, library="L2") == 2
    assert "another library" in capsys.readouterr().err
    cells = read_table(paths["cells"], CELLS)
    write_table(cells.iloc[::-1], paths["cells"], CELLS)
    assert run(tmp_path, paths) == 2
    assert "not the 130 of the matrix" in capsys.readouterr().err
    assert not (tmp_path / "types.parquet").exists()


def test_a_model_of_the_user_is_applied_or_told(
    tmp_path: Path, counts: sparse.csr_array, capsys: pytest.CaptureFixture[str]
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    dense = counts.toarray()[:, : len(symbols())]
    values = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
    scaler = StandardScaler().fit(values)
    scaler.scale_[scaler.scale_ == 0] = 1
    model = LogisticRegression(max_iter=200).fit(scaler.transform(values), LINEAGES)
    model.features = np.array(symbols(), dtype=object)
    path, labels = tmp_path / "model.pkl", tmp_path / "labels.yaml"
    path.write_bytes(pickle.dumps({"Model": model, "Scaler_": scaler, "description": {}}))
    # The model calls what are monocytes NK cells: contradiction, so no lineage.
    labels.write_text("t: treg\nb: naive_b\nmonocyte: nk\n")
    paths = write_library(tmp_path, counts, np.zeros(counts.shape[0]))
    more = ["--model", str(path), "--labels", str(labels)]
    assert run(tmp_path, paths, *more) == 0
    types = read_table(tmp_path / "types.parquet", TYPES)
    qc = read_table(tmp_path / "qc.parquet", QC).set_index("check")
    assert (types.loc[LINEAGES == "b", "cell_type"] == "naive_b").mean() > 0.95
    assert (types.loc[LINEAGES == "t", "state"] == "treg").mean() > 0.9
    assert (types.loc[LINEAGES == "monocyte", "lineage"] == "unassigned").mean() > 0.9
    assert qc.loc["model_agreement", "verdict"] == "warn"
    labels.write_text("t: treg\n")
    assert run(tmp_path, paths, *more) == 2
    assert "nothing for the model's label" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tmp_path, paths, "--model", str(path))


def test_settings_of_the_configuration_are_used(tmp_path: Path, counts: sparse.csr_array) -> None:
    paths = write_library(tmp_path, counts, np.zeros(counts.shape[0]))
    settings = json.dumps({"cells": {"types": {"min_umis": 1_000_000}}})
    assert run(tmp_path, paths, "--settings", settings) == 0
    qc = read_table(tmp_path / "qc.parquet", QC).set_index("check")
    assert "100 % of the cells that count have no lineage" in qc.loc["unassigned", "message"]
