"""The program for one library: matrices, contigs and metrics written here, with numbers that are known."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.loading import load_module
from tests.unit.cells.hand_matrix import names, write_10x, write_bustools, write_text
from tests.unit.cells.test_contigs import HEADER, line

from cartrace.cells.tables import AMBIENT, CELLS, LIBRARIES
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cells" / "read_library.py"
N, GENES = 120, 400
CAR, TAG = 398, 399
SYMBOLS = ["MT-CO1", "RPL3", "HBB", "LYZ", "XIST", "DDX3Y", *names(392), "CAR1", "FITC"]
TYPES = ["Gene Expression"] * 399 + ["Antibody Capture"]
OUTPUTS = ("h5ad", "cells", "ambient", "libraries", "qc")


def counts(depth: int = 4) -> np.ndarray:
    """120 cells of some 1,560 UMIs, of which 60 have the CAR; the last cell is dying."""
    rng = np.random.default_rng(4)
    table = rng.poisson(depth, (N, GENES))
    table[:, 0] = 30
    table[:, 1:6] = [10, 0, 0, 0, 8]
    table[-1, 0] = 2000
    table[:, CAR] = np.arange(N) % 2 * 3
    table[:, TAG] = 20
    return table


def write(folder: Path, table: np.ndarray, name: str, cells: list[str] | None = None) -> Path:
    return write_10x(
        folder / name,
        table,
        cells=cells or [f"{c}-1" for c in names(len(table), "C")],
        ids=[f"ID{i}" for i in range(GENES)],
        genes=SYMBOLS,
        types=TYPES,
    )


def program() -> ModuleType:
    return load_module(SCRIPT)


def run(folder: Path, plan: dict[str, Any], *more: str, settings: str = "{}") -> int:
    full = {
        "library_id": "L1",
        "chemistry": "5p",
        "sort": "none",
        "car_features": ["CAR1"],
        "tag_features": ["FITC"],
        "sha256": "abc",
        **{k: str(v) if isinstance(v, Path) else v for k, v in plan.items()},
    }
    arguments = ["--library", "L1", "--plan", json.dumps(full), "--settings", settings, *more]
    for name in OUTPUTS:
        arguments += [f"--{name}", str(folder / "out" / name)]
    return int(program().main(arguments))


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    contracts = {"cells": CELLS, "ambient": AMBIENT, "libraries": LIBRARIES, "qc": QC}
    return {name: read_table(folder / "out" / name, contract) for name, contract in contracts.items()}


def verdicts(qc: pd.DataFrame) -> dict[str, str]:
    return dict(zip(qc["check"], qc["verdict"], strict=True))


def test_a_library_with_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = counts()
    empty = np.random.default_rng(5).poisson(0.05, (300, GENES))
    empty[:, CAR] = np.arange(300) == 0
    barcodes = [f"{c}-1" for c in [*names(N, "C"), *names(300, "E")]]
    genes = np.delete(table, TAG, axis=1)
    write_text(
        tmp_path / "m.csv",
        [
            "Estimated Number of Cells,Median UMI Counts per Cell,Total Genes Detected",
            f"{N},{np.median(genes.sum(axis=1)):.0f},{(genes.sum(axis=0) > 0).sum() + 1}",
        ],
    )
    write_text(tmp_path / "t.csv", [HEADER, line("C0-1", "TRB", "TGTGCC"), line("E1-1", "TRB", "TGT")])
    plan = {
        "counts": write(tmp_path, table, "filtered.h5"),
        "raw_counts": write(tmp_path, np.concatenate([table, empty]), "raw_feature_bc_matrix.h5", barcodes),
        "metrics": tmp_path / "m.csv",
        "tcr_contigs": tmp_path / "t.csv",
    }
    assert run(tmp_path, plan) == 0
    assert "119 of 120 barcodes are cells of good quality" in capsys.readouterr().out
    found = tables(tmp_path)
    cells = found["cells"]
    assert cells["umis"].tolist() == np.delete(table, [CAR, TAG], axis=1).sum(axis=1).tolist()
    assert cells["car_umis"].tolist() == table[:, CAR].tolist()
    assert cells["car_tag_umis"].tolist() == [20] * N
    assert cells["mito_percent"].iloc[0] == pytest.approx(100 * 30 / cells["umis"].iloc[0])
    assert cells["quality_flags"].iloc[-1] == "many_umis;mitochondrial"
    assert cells["trb"].tolist() == [1] + [0] * (N - 1)
    assert cells["t_clone"].dropna().tolist() == ["TRB:TGTGCC"]
    assert cells["igh"].isna().all()

    row = found["libraries"].iloc[0]
    assert (row["source"], row["barcodes"], row["cells_passed"], row["verdict"]) == (
        "cellranger",
        N,
        119,
        "flagged",
    )
    assert row["flags"] == "vendor_total_genes"
    assert (row["car_features"], row["car_umis"]) == ("ID398", 180)
    assert (row["xist_umis"], row["y_umis"]) == (0, 8 * N)
    assert row["empty_umis"] == empty[:, :CAR].sum()
    assert row["empty_car_umis"] == 1
    shares = found["ambient"].set_index("feature")["share"]
    assert shares["ID398"] == pytest.approx(1 / empty[:, :CAR].sum())
    assert shares.drop(["ID398", "ID399"]).sum() == pytest.approx(1)
    assert verdicts(found["qc"]) == {
        "tcr_contigs": "note",
        "car_features": "pass",
        "raw_counts": "pass",
        "vendor_cells": "pass",
        "vendor_median_umis": "pass",
        "vendor_total_genes": "warn",
        "cell_quality": "note",
        "ambient_share": "pass",
    }
    with h5py.File(tmp_path / "out" / "h5ad") as file:
        assert file["X"].attrs["shape"].tolist() == [N, GENES]
        assert file["X/data"][:].sum() == table.sum()
        assert np.flatnonzero(file["var/car"][:]).tolist() == [CAR]


def test_taking_the_car_out_changes_no_verdict_of_a_cell(tmp_path: Path) -> None:
    table = counts()
    laden = table.copy()
    laden[:, CAR] = 5000
    for folder, one in (("a", table), ("b", laden)):
        (tmp_path / folder).mkdir()
        assert run(tmp_path / folder, {"counts": write(tmp_path / folder, one, "f.h5")}) == 0
    columns = ["umis", "genes", "mito_percent", "passed", "quality_flags"]
    one, other = (tables(tmp_path / folder)["cells"][columns] for folder in ("a", "b"))
    pd.testing.assert_frame_equal(one, other)


def test_a_missing_car_is_a_finding_with_the_nearest_name(tmp_path: Path) -> None:
    assert run(tmp_path, {"counts": write(tmp_path, counts(), "f.h5"), "car_features": ["CAR"]}) == 0
    found = tables(tmp_path)
    assert found["cells"]["car_umis"].isna().all()
    row = found["qc"].set_index("check").loc["car_features"]
    assert (row["verdict"], row["suggestion"]) == ("warn", "CAR1")
    assert found["libraries"].iloc[0]["flags"] == "car_features"


def test_the_date_in_the_name_of_a_missing_tag_is_not_told(tmp_path: Path) -> None:
    assert run(tmp_path, {"counts": write(tmp_path, counts(), "f.h5"), "tag_features": ["t 2024-03-01"]}) == 0
    assert tables(tmp_path)["qc"].set_index("check").loc["tag_features", "value"] == "t <date>"


def test_a_failed_channel_is_rejected_and_has_all_its_tables(tmp_path: Path) -> None:
    table = np.zeros((N, GENES), int)
    table[:, 10] = 2
    path = write(tmp_path, table, "f.h5")
    (tmp_path / "t.csv").write_text(f"{HEADER}\n")
    assert run(tmp_path, {"counts": path, "raw_counts": path, "tcr_contigs": tmp_path / "t.csv"}) == 0
    found = tables(tmp_path)
    row = found["libraries"].iloc[0]
    assert row["verdict"] == "rejected"
    assert "its 120 barcodes have a median of 2 UMIs" in row["reason"]
    assert len(found["cells"]) == N
    assert not found["cells"]["passed"].any()
    assert found["cells"]["trb"].isna().all()
    assert found["ambient"].empty
    assert verdicts(found["qc"])["raw_counts"] == "warn"


@pytest.mark.parametrize(
    ("b_cells", "verdict", "flags"), [(0, "note", None), (4, "note", None), (5, "warn", "bcr_contigs")]
)
def test_no_b_cell_contigs_are_a_flag_where_there_are_b_cells(
    tmp_path: Path, b_cells: int, verdict: str, flags: str | None
) -> None:
    table = counts()
    table[:, 10] = 0
    table[:b_cells, 10] = 5
    path = write_10x(
        tmp_path / "f.h5",
        table,
        cells=[f"{c}-1" for c in names(N, "C")],
        ids=[f"ID{i}" for i in range(GENES)],
        genes=[*SYMBOLS[:10], "CD79A", *SYMBOLS[11:]],
        types=TYPES,
    )
    (tmp_path / "b.csv").write_text(f"{HEADER}\n")
    assert run(tmp_path, {"counts": path, "bcr_contigs": tmp_path / "b.csv"}) == 0
    found = tables(tmp_path)
    assert verdicts(found["qc"])["bcr_contigs"] == verdict
    assert found["libraries"].fillna({"flags": ""}).iloc[0]["flags"] == (flags or "")
    assert found["cells"]["igh"].isna().all()


def test_a_raw_matrix_or_contigs_of_another_library_are_left_out(tmp_path: Path) -> None:
    table = counts()
    write_text(tmp_path / "t.csv", [HEADER, *(line(f"X{i}-1", "TRB", "TGT") for i in range(30))])
    plan = {
        "counts": write(tmp_path, table, "f.h5"),
        "raw_counts": write(tmp_path, table, "raw.h5", [f"Z{i}" for i in range(N)]),
        "tcr_contigs": tmp_path / "t.csv",
    }
    assert run(tmp_path, plan) == 0
    found = tables(tmp_path)
    assert found["libraries"].iloc[0]["flags"] == "tcr_contigs;raw_counts"
    assert pd.isna(found["libraries"].iloc[0]["empty_droplets"])
    assert found["cells"]["trb"].isna().all()


def test_cells_are_called_in_an_unfiltered_matrix(tmp_path: Path) -> None:
    empty = np.random.default_rng(5).poisson(0.05, (300, GENES))
    table = np.concatenate([empty, counts()])
    path = write(tmp_path, table, "raw_feature_bc_matrix.h5")
    assert run(tmp_path, {"counts": path}) == 0
    found = tables(tmp_path)
    assert found["cells"]["cell"].tolist() == [f"C{i}-1" for i in range(300, 420)]
    assert found["libraries"].iloc[0]["empty_droplets"] == (empty[:, :CAR].sum(axis=1) > 0).sum()
    assert verdicts(found["qc"])["cells_called"] == "note"
    with h5py.File(tmp_path / "out" / "h5ad") as file:
        assert file["X/data"][:].sum() == counts().sum()


def test_the_folder_of_counts_from_reads_takes_the_place_of_the_vendor_files(tmp_path: Path) -> None:
    write_bustools(tmp_path / "counted" / "counts_filtered")
    write_bustools(tmp_path / "counted" / "counts_unfiltered")
    assert run(tmp_path, {"car_features": ["CAR"]}, "--counted", str(tmp_path / "counted")) == 0
    row = tables(tmp_path)["libraries"].iloc[0]
    assert (row["source"], row["barcodes"], row["car_umis"]) == ("kallisto", 3, 2)


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"counts": "nowhere.h5"}, "nowhere.h5: found no file"),
        ({"library_id": "L2"}, "the library 'L2'"),
        ({"metrics": "nowhere.csv"}, "nowhere.csv: found no file"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    tmp_path: Path, plan: dict[str, Any], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, {"counts": write(tmp_path, counts(), "f.h5"), **plan}) == 2
    assert found in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_faults_of_all_files_of_a_library_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text("a,b\n" + "x" * 200_000)
    files = {
        "counts": "n.h5",
        "raw_counts": "r.h5",
        "metrics": str(tmp_path / "m.csv"),
        "bcr_contigs": "b.csv",
    }
    assert run(tmp_path, files) == 2
    told = capsys.readouterr().err
    assert "4 problems" in told
    assert "a line that is no csv" in told


def test_a_plan_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [p for name in OUTPUTS for p in (f"--{name}", str(tmp_path / name))]
    assert program().main(["--library", "L1", "--plan", "[1]", *outputs]) == 2
    assert "no plan of a library" in capsys.readouterr().err
