"""Count matrices: one table of counts in every format, and the faults that files have."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix, csr_matrix, vstack
from tests.unit.cells.hand_matrix import (
    CELLS,
    COUNTS,
    GENES,
    IDS,
    mtx_lines,
    names,
    write_10x,
    write_bustools,
    write_folder,
    write_text,
)

from cartrace.cells import guarded, matrices
from cartrace.cells.matrices import CountMatrix, find_features, open_matrix
from cartrace.problems import InputError

PANDAS_OPTION = "ignore:The 'future.infer_string' option is deprecated:DeprecationWarning"
"""anndata 0.13 asks pandas 3 for an option that is going."""


def whole(matrix: CountMatrix, entries: int = 4_000_000) -> np.ndarray:
    """All blocks together; each says at which cell it begins."""
    done, parts = 0, []
    for first, block in matrix.blocks(entries):
        assert first == done
        assert block.dtype == np.int32
        assert block.has_canonical_format
        done += block.shape[0]
        parts.append(block)
    assert done == matrix.shape[0]
    return vstack(parts).toarray()


def write_h5ad(path: Path, x: Any, **more: Any) -> Path:
    import anndata

    ad = anndata.AnnData(x)
    ad.obs_names, ad.var_names = CELLS, GENES
    ad.var["gene_ids"] = IDS
    for key, value in more.items():
        ad.layers[key] = value
    ad.write_h5ad(path)
    return path


def test_every_format_of_one_table_gives_the_same_counts(tmp_path: Path) -> None:
    starsolo = tmp_path / "Solo.out"
    write_folder(starsolo / "Gene" / "filtered", packed=False)
    write_text(starsolo / "Gene" / "Summary.csv", ["Number of Reads,10"])
    found = {
        "cellranger 3": open_matrix(write_10x(tmp_path / "filtered_feature_bc_matrix.h5")),
        "cellranger 2": open_matrix(write_10x(tmp_path / "old.h5", version=2)),
        "folder": open_matrix(write_folder(tmp_path / "filtered_feature_bc_matrix")),
        "by gene": open_matrix(write_folder(tmp_path / "sorted", by_gene=True)),
        "starsolo": open_matrix(starsolo),
        "bustools": open_matrix(write_bustools(tmp_path / "counts_unfiltered")),
    }
    for matrix in found.values():
        np.testing.assert_array_equal(whole(matrix), COUNTS)
        np.testing.assert_array_equal(whole(matrix, entries=2), COUNTS)
        assert matrix.barcodes.astype(str).tolist() == CELLS
        assert matrix.features.ids.tolist() == IDS
        assert matrix.features.symbols.tolist() == GENES
    assert {k: (m.source, m.filtered) for k, m in found.items()} == {
        "cellranger 3": ("cellranger", True),
        "cellranger 2": ("cellranger", True),
        "folder": ("unknown", True),
        "by gene": ("unknown", True),
        "starsolo": ("starsolo", True),
        "bustools": ("kallisto", False),
    }


@pytest.mark.filterwarnings(PANDAS_OPTION)
@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix, np.asarray])
def test_an_h5ad_is_read_by_row_by_column_and_dense(tmp_path: Path, kind: Any) -> None:
    matrix = open_matrix(write_h5ad(tmp_path / "a.h5ad", kind(COUNTS.astype(np.float32))))
    np.testing.assert_array_equal(whole(matrix), COUNTS)
    np.testing.assert_array_equal(whole(matrix, entries=3), COUNTS)
    assert matrix.features.ids.tolist() == IDS
    assert matrix.features.symbols.tolist() == GENES


@pytest.mark.filterwarnings(PANDAS_OPTION)
def test_counts_are_found_in_a_layer_when_x_is_normalised(tmp_path: Path) -> None:
    normal = np.log1p(COUNTS / 3).astype(np.float32)
    matrix = open_matrix(
        write_h5ad(tmp_path / "a.h5ad", csr_matrix(normal), counts=csr_matrix(COUNTS.astype(float)))
    )
    np.testing.assert_array_equal(whole(matrix), COUNTS)
    with pytest.raises(InputError, match="no whole counts"):
        open_matrix(write_h5ad(tmp_path / "b.h5ad", csr_matrix(normal)))


@given(
    table=st.integers(1, 12).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=n, max_size=n)
    ),
    entries=st.integers(1, 9),
)
@settings(max_examples=25, deadline=None)
def test_blocks_of_any_size_hold_the_whole_table(
    table: list[list[int]], entries: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    more = {"cells": names(len(table), "C"), "ids": names(5), "genes": names(5)}
    h5 = open_matrix(write_10x(folder / "a.h5", table, **more))
    mtx = open_matrix(write_folder(folder / "mtx", table, packed=False, **more))
    turned = open_matrix(write_folder(folder / "turned", table, packed=False, by_gene=True, **more))
    for matrix in (h5, mtx, turned):
        np.testing.assert_array_equal(whole(matrix, entries), table)


def test_a_cell_that_goes_over_the_end_of_a_read_part_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrices, "PART", 1000)
    table = np.random.default_rng(1).integers(0, 3, (40, 60))
    more = {"cells": names(40, "C"), "ids": names(60), "genes": names(60)}
    folder = write_folder(tmp_path / "big", table, packed=False, **more)
    assert (folder / "matrix.mtx").stat().st_size > 10_000
    np.testing.assert_array_equal(whole(open_matrix(folder), 100), table)


def test_features_are_found_by_id_or_symbol_and_missing_ones_get_the_nearest(tmp_path: Path) -> None:
    features = open_matrix(write_10x(tmp_path / "a.h5")).features
    assert np.flatnonzero(find_features(features, ["CAR"]).mask).tolist() == [4]
    assert np.flatnonzero(find_features(features, ["CAR_id", "cd3d"]).mask).tolist() == [4, 5]
    missing = find_features(features, ["CAR_ID2", "nothing like it"])
    assert missing.missing == {"CAR_ID2": "CAR_id", "nothing like it": ""}
    assert not missing.mask.any()


@pytest.mark.parametrize(
    ("replaced", "found"),
    [
        ({"indptr": np.array([0, 3, 2, 7])}, "indptr speaks differently"),
        ({"indptr": np.array([0, 3, 7])}, "indptr of 3 values"),
        ({"indptr": np.array([0, 3, 3, 9])}, "indptr speaks differently"),
        ({"shape": np.array([6, 10**12])}, "6 x|x 6, with 3 barcodes"),
        ({"indices": np.array([0, 1, 6, 1, 2, 3, 5])}, "not listed"),
        ({"indices": np.array([0, 1, -4, 1, 2, 3, 5])}, "not listed"),
        ({"indices": np.array([0, 1, 2**32, 1, 2, 3, 5])}, "not listed"),
        ({"indices": np.array([0, 1, 1, 1, 2, 3, 5])}, "twice for one cell"),
        ({"data": np.array([5, 1, -2, 3, 2, 1, 4])}, "a count of -2"),
        ({"data": np.array([5, 1, 2.5, 3, 2, 1, 4])}, "a count of 2.5"),
        ({"data": np.array([5, 1, np.nan, 3, 2, 1, 4])}, "no number"),
        ({"data": np.array([5, 1, 2, 3, 2, 1, 2**40])}, "whole counts from 0"),
        ({"data": None}, "no 'data'"),
        ({"data": np.ones((7, 1))}, "no list"),
        ({"barcodes": np.array([b"AA", b"AC", b"AA"])}, "1 barcodes twice"),
        ({"barcodes": np.array([b"AA", b"A\x07", b"AT"])}, "not plain letters"),
        ({"barcodes": np.array([b"AA", b"A\nA", b"AT"])}, "not plain letters"),
        ({"barcodes": np.array([b"A" * 201, b"AC", b"AT"])}, "at most 200"),
        ({"data": np.array([5, 1, 2, 3, 2, 1, 4], complex)}, "counts of type complex"),
        ({"shape": np.array([np.inf, 3])}, "damaged"),
        ({"barcodes": np.array([b"2024-03-01_A", b"AC", b"AT"])}, "a barcode with a calendar date"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(
    tmp_path: Path, replaced: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError, match=found):
        whole(open_matrix(write_10x(tmp_path / "a.h5", **replaced)))


def test_entries_of_a_row_may_stand_in_any_order(tmp_path: Path) -> None:
    path = write_10x(
        tmp_path / "a.h5", indices=np.array([4, 0, 1, 5, 1, 2, 3]), data=np.array([2, 5, 1, 4, 3, 2, 1])
    )
    np.testing.assert_array_equal(whole(open_matrix(path)), COUNTS)


def test_the_same_feature_id_twice_is_refused_and_its_dates_are_not_told(tmp_path: Path) -> None:
    ids = ["CAR 2024-03-01", "CAR 2024-03-01", *IDS[2:]]
    with pytest.raises(InputError, match="CAR <date>' twice"):
        open_matrix(write_10x(tmp_path / "a.h5", ids=ids))


def test_names_of_features_come_out_printable_and_without_dates(tmp_path: Path) -> None:
    genes = ["G\x1b[31m", "CAR_2024-03-01", *GENES[2:]]
    symbols = open_matrix(write_10x(tmp_path / "a.h5", genes=genes)).features.symbols
    assert symbols.tolist() == ["G?[31m", "CAR_<date>", *GENES[2:]]


def test_files_that_are_cut_off_are_refused_wherever_the_cut_is(tmp_path: Path) -> None:
    content = write_10x(tmp_path / "a.h5").read_bytes()
    packed = (write_folder(tmp_path / "mtx") / "matrix.mtx.gz").read_bytes()
    for share in (0.02, 0.3, 0.6, 0.95):
        (tmp_path / "cut.h5").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match="damaged"):
            whole(open_matrix(tmp_path / "cut.h5"))
        (tmp_path / "mtx" / "matrix.mtx.gz").write_bytes(packed[: int(len(packed) * share)])
        with pytest.raises(InputError):
            whole(open_matrix(tmp_path / "mtx"))


def test_a_dataset_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = write_10x(tmp_path / "a.h5", data=None, indices=None, indptr=np.array([0, 0, 0, 10**12]))
    with h5py.File(path, "a") as file:
        for key in ("data", "indices"):
            file["matrix"].create_dataset(key, shape=(10**12,), dtype="i4", chunks=(1000,))
    with pytest.raises(InputError, match="claims 1000000000000 values"):
        open_matrix(path)


def test_links_out_of_the_file_are_refused(tmp_path: Path) -> None:
    other = write_10x(tmp_path / "other.h5")
    external = write_10x(tmp_path / "external.h5", data=None)
    with h5py.File(external, "a") as file:
        file["matrix/data"] = h5py.ExternalLink(other.name, "/matrix/data")
    stored = write_10x(tmp_path / "stored.h5", barcodes=None)
    with h5py.File(stored, "a") as file:
        file["matrix"].create_dataset(
            "barcodes", shape=(3,), dtype="S6", external=[(str(tmp_path / "secret"), 0, 18)]
        )
    for path, found in ((external, "link to another place"), (stored, "stored in another file")):
        with pytest.raises(InputError, match=found):
            open_matrix(path)


def test_a_layer_in_another_file_is_refused_and_a_list_in_the_place_of_a_group_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["layers/counts"] = np.ones((3, 6))
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = np.full((3, 6), 0.5)
        file["layers"] = h5py.ExternalLink("other.h5ad", "/layers")
    with pytest.raises(InputError, match="'layers/counts' is a link to another place"):
        open_matrix(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "b.h5ad", "w") as file:
        file["X"], file["obs"] = np.ones((3, 6)), np.arange(3)
    with pytest.raises(InputError, match="damaged"):
        open_matrix(tmp_path / "b.h5ad")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["matrix"] = np.ones(5)
    with pytest.raises(InputError, match="no 'genes'"):
        open_matrix(tmp_path / "a.h5")


def test_one_long_barcode_among_many_costs_no_memory(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mtx")
    lines = b"A" * (1 << 20) + b"\n" + b"".join(b"%d\n" % i for i in range(100_000))
    for old in folder.glob("barcodes*"):
        old.unlink()
    (folder / "barcodes.tsv").write_bytes(lines)
    with pytest.raises(InputError, match="a barcode of 1048576 letters"):
        open_matrix(folder)


def test_a_list_of_too_many_lines_is_refused_before_it_is_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "MOST_LINES", 10)
    (tmp_path / "l.txt.gz").write_bytes(gzip.compress(b"\n" * 11))
    with pytest.raises(InputError, match="more lines than such a file has"):
        guarded.read_lines(tmp_path / "l.txt.gz", "l.txt.gz")


def test_what_is_no_file_or_no_matrix_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.h5").write_text("not HDF5")
    for name in ("absent.h5", "pipe.h5", "empty", "text.h5"):
        with pytest.raises(InputError):
            open_matrix(tmp_path / name)


LINES = mtx_lines(COUNTS, turned=True)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["%%MatrixMarket matrix array real general", *LINES[1:]], "a matrix of coordinates"),
        ([*LINES[:2], "6 3", *LINES[3:]], "no line of rows"),
        ([*LINES[:2], "6 4 7", *LINES[3:]], "3 barcodes and 6 features"),
        ([*LINES[:2], "6 3 999", *LINES[3:]], "999 entries"),
        ([*LINES[:2], "6 3 8", *LINES[3:]], "7 entries"),
        ([*LINES[:-1], "7 3 4"], "outside 6 x 3"),
        ([*LINES[:-1], "0 3 4"], "outside 6 x 3"),
        ([*LINES[:-1], "6 3 x"], "not row, column and count"),
        ([*LINES[:-1], "6 3"], "not row, column and count"),
        ([*LINES[:-1], "6  4"], "outside|not row, column"),
        ([*LINES[:-1], "6 3 0.5"], "a count of 0.5"),
        ([*LINES[:-1], "6 3 nan"], "no number"),
        ([*LINES[:-2], LINES[-1], LINES[-1]], "twice"),
    ],
)
def test_an_mtx_with_a_fault_is_refused(tmp_path: Path, lines: list[str], found: str) -> None:
    folder = write_folder(tmp_path / "a", packed=False)
    write_text(folder / "matrix.mtx", lines)
    with pytest.raises(InputError, match=found):
        whole(open_matrix(folder))


def test_a_packed_file_that_explodes_is_stopped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    with gzip.open(folder / "matrix.mtx.gz", "ab", compresslevel=9) as file:
        file.write(b"1 1 1\n" * 2_000_000)
    assert (folder / "matrix.mtx.gz").stat().st_size < 100_000
    with pytest.raises(InputError, match="more text than such a file holds"):
        whole(open_matrix(folder))


def test_a_matrix_without_entries_has_all_its_cells(tmp_path: Path) -> None:
    nothing = np.zeros_like(COUNTS)
    np.testing.assert_array_equal(whole(open_matrix(write_10x(tmp_path / "a.h5", nothing))), nothing)
    np.testing.assert_array_equal(whole(open_matrix(write_folder(tmp_path / "a", nothing))), nothing)
