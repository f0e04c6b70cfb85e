"""The h5ad of a library: what anndata reads from it, and that it is encoded as anndata would."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.unit.cells.hand_matrix import CELLS, COUNTS, GENES, IDS, names, write_10x

from cartrace.cells.h5ad import LibraryWriter
from cartrace.cells.matrices import open_matrix

CAR = np.array([False, False, False, False, True, False])
PANDAS_OPTION = "ignore:The 'future.infer_string' option is deprecated:DeprecationWarning"
"""anndata 0.13 asks pandas 3 for an option that is going."""


def write(path: Path, folder: Path, entries: int = 3) -> Path:
    matrix = open_matrix(write_10x(folder / "a.h5", types=["Gene Expression"] * 5 + ["Antibody Capture"]))
    with LibraryWriter(path, barcodes=matrix.barcodes, features=matrix.features, cars=CAR) as writer:
        assert sum(b.nnz for b in writer.through(matrix.blocks(entries))) == 7
        writer.describe({"library": "L1", "chemistry": "5p"})
    return path


@pytest.mark.filterwarnings(PANDAS_OPTION)
def test_anndata_reads_what_was_written(tmp_path: Path) -> None:
    import anndata

    read = anndata.read_h5ad(write(tmp_path / "l.h5ad", tmp_path))
    np.testing.assert_array_equal(read.X.toarray(), COUNTS)
    assert read.X.format == "csr"
    assert read.X.dtype == np.float32
    assert read.obs_names.tolist() == CELLS
    assert read.obs.columns.empty
    assert read.var_names.tolist() == IDS
    assert read.var.columns.tolist() == ["symbol", "feature_type", "car"]
    assert read.var["symbol"].tolist() == GENES
    assert read.var["feature_type"].tolist() == ["Gene Expression"] * 5 + ["Antibody Capture"]
    assert read.var["car"].tolist() == CAR.tolist()
    assert read.uns == {"cartrace": {"library": "L1", "chemistry": "5p"}}
    assert (str(read.var["feature_type"].dtype), str(read.var["car"].dtype)) == ("category", "bool")


def encodings(path: Path) -> dict[str, tuple[str, str]]:
    """Encoding of every item, as anndata's on-disk format states it."""
    found: dict[str, tuple[str, str]] = {}

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if "encoding-type" in item.attrs:
            found[name] = (str(item.attrs["encoding-type"]), str(item.attrs["encoding-version"]))

    with h5py.File(path) as file:
        look("", file)
        file.visititems(look)
    return found


@pytest.mark.filterwarnings(PANDAS_OPTION)
def test_it_is_encoded_as_anndata_itself_encodes_it(tmp_path: Path) -> None:
    import anndata
    import pandas as pd

    own = write(tmp_path / "l.h5ad", tmp_path)
    read = anndata.read_h5ad(own)
    # Text in the oldest encoding, which every browser reads.
    for frame in (read.obs, read.var):
        frame.index = pd.Index(np.array(frame.index, dtype=object), dtype=object)
    read.var["symbol"] = read.var["symbol"].astype(object)
    read.write_h5ad(tmp_path / "theirs.h5ad")
    theirs = encodings(tmp_path / "theirs.h5ad")
    ours = encodings(own)
    for name, encoding in ours.items():
        if name in theirs and theirs[name][0] != "nullable-string-array":
            assert theirs[name] == encoding, name
    assert {"X", "obs", "var", "uns", "var/feature_type", "layers", "obsm", "varm", "obsp", "varp"} <= set(
        ours
    )


def test_our_own_reader_reads_it_with_the_ids(tmp_path: Path) -> None:
    matrix = open_matrix(write(tmp_path / "l.h5ad", tmp_path))
    found = np.concatenate([b.toarray() for _, b in matrix.blocks(2)])
    np.testing.assert_array_equal(found, COUNTS)
    assert matrix.features.ids.tolist() == IDS
    assert matrix.features.symbols.tolist() == GENES
    assert matrix.features.types.tolist() == ["Gene Expression"] * 5 + ["Antibody Capture"]


def test_more_kinds_of_features_than_a_byte_holds_are_kept(tmp_path: Path) -> None:
    kinds = [f"kind {i}" for i in range(200)]
    counts = np.ones((3, 200), int)
    source = write_10x(tmp_path / "a.h5", counts, ids=names(200), genes=names(200), types=kinds)
    matrix = open_matrix(source)
    with LibraryWriter(
        tmp_path / "l.h5ad", barcodes=matrix.barcodes, features=matrix.features, cars=np.zeros(200, bool)
    ) as writer:
        assert sum(b.sum() for b in writer.through(matrix.blocks())) == 600
    assert open_matrix(tmp_path / "l.h5ad").features.types.tolist() == kinds


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = write(tmp_path / "1.h5ad", tmp_path), write(tmp_path / "2.h5ad", tmp_path)
    assert one.read_bytes() == other.read_bytes()


def test_nothing_is_left_when_a_block_fails(tmp_path: Path) -> None:
    matrix = open_matrix(write_10x(tmp_path / "a.h5", indices=np.array([0, 1, 6, 1, 2, 3, 5])))
    target = tmp_path / "out" / "l.h5ad"
    with (
        pytest.raises(ValueError, match="not listed"),
        LibraryWriter(target, barcodes=matrix.barcodes, features=matrix.features, cars=CAR) as writer,
    ):
        list(writer.through(matrix.blocks()))
    assert list(target.parent.iterdir()) == []


def test_cells_that_were_not_written_are_noticed(tmp_path: Path) -> None:
    matrix = open_matrix(write_10x(tmp_path / "a.h5"))
    with (
        pytest.raises(ValueError, match="0 cells were written, and 3 were named"),
        LibraryWriter(tmp_path / "l.h5ad", barcodes=matrix.barcodes, features=matrix.features, cars=CAR),
    ):
        pass
    assert not (tmp_path / "l.h5ad").exists()
