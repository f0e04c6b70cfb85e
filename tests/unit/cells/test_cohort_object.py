"""All cells in one table and one h5ad: nothing lost, nothing added, genes joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cells.hand_h5ad import write_library
from tests.unit.cells.hand_libraries import library, sample

from cartrace.cells.assemble import LibraryTables
from cartrace.cells.cohort_object import browsable, join_obs, write_cohort
from cartrace.cells.stored import Genes, Stored, join_genes, moved
from cartrace.cells.tables import CELLS, EMBEDDING, OBS
from cartrace.tables import concat, records, rows

FEW = {("cd4_t", "naive", "positive"): 2, ("naive_b", "", "not_assessed"): 1}


def cells_of(made: LibraryTables) -> pd.DataFrame:
    usual = {"umis": 10, "genes": 5, "mito_percent": 1.0, "passed": True, "car_umis": 1}
    told = [usual | {"library": made.library_id, "cell": cell} for cell in made.types["cell"]]
    # An empty integer in one cell.
    told[-1]["car_umis"] = None
    return rows(told, CELLS)


def obs_of(made: LibraryTables, barcodes: list[str] | None = None, **changed: pd.DataFrame) -> pd.DataFrame:
    tables = {"cells": cells_of(made), "types": made.types, "cars": made.cars} | changed
    return join_obs(
        made.types["cell"].tolist() if barcodes is None else barcodes,
        tables["cells"],
        tables["types"],
        tables["cars"],
        library=records(made.libraries)[0],
        sample=sample(),
    )


def test_the_tables_of_a_library_are_joined_in_the_order_of_its_matrix() -> None:
    obs = obs_of(library("L1", FEW), ["C2", "C0", "C1"])
    assert obs["cell"].tolist() == ["C2", "C0", "C1"]
    assert obs["cell_type"].tolist() == ["naive_b", "cd4_t", "cd4_t"]
    assert obs["call"].tolist() == ["not_assessed", "positive", "positive"]
    assert set(obs["subject_id"]) == {"A"}


@pytest.mark.parametrize("what", ["cells", "types", "cars"])
def test_a_table_without_one_of_the_cells_is_refused(what: str) -> None:
    made = library("L1", FEW)
    tables = {"cells": cells_of(made), "types": made.types, "cars": made.cars}
    with pytest.raises(ValueError, match=f"3 cells in the matrix, and 2 others in {what}"):
        obs_of(made, **{what: tables[what].iloc[1:]})


def test_a_table_with_other_cells_is_refused() -> None:
    made = library("L1", FEW)
    with pytest.raises(ValueError, match="3 cells in the matrix"):
        obs_of(made, ["C0", "C1", "C9"])


@pytest.fixture
def cohort(tmp_path: Path) -> dict[str, Any]:
    one, two = library("L1", FEW), library("L2", FEW)
    paths = {
        "L1": write_library(
            tmp_path / "L1.h5ad", [[1, 0, 2], [0, 0, 3], [4, 5, 0]], ["gA", "gB", "gCAR"], cars=("gCAR",)
        ),
        # Another order of genes, and one that the first library lacks.
        "L2": write_library(tmp_path / "L2.h5ad", [[6, 0, 7], [0, 8, 0], [0, 0, 0]], ["gD", "gB", "gA"]),
    }
    obs = concat([obs_of(one), obs_of(two)], OBS)
    shown = rows([{"library": "L2", "cell": "C1", "x": 1.5, "y": -2.0}], EMBEDDING)
    return {"paths": paths, "obs": obs, "embedding": shown, "path": tmp_path / "cells.h5ad"}


def test_anndata_reads_all_cells_and_counts(cohort: dict[str, Any]) -> None:
    import anndata

    write_cohort(cohort["path"], cohort["paths"], cohort["obs"], cohort["embedding"])
    made = anndata.read_h5ad(cohort["path"])
    assert made.var_names.tolist() == ["gA", "gB", "gCAR", "gD"]
    assert made.X is not None
    assert made.X.toarray().tolist() == [
        [1, 0, 2, 0],
        [0, 0, 3, 0],
        [4, 5, 0, 0],
        [7, 0, 0, 6],
        [0, 8, 0, 0],
        [0, 0, 0, 0],
    ]
    assert made.X.has_sorted_indices
    assert made.var["car"].tolist() == [False, False, True, False]
    assert made.var["libraries"].tolist() == [2, 2, 1, 1]
    assert np.asarray(made.varm["measured"]).tolist() == [
        [True, True],
        [True, True],
        [True, False],
        [False, True],
    ]
    assert made.uns["cartrace"]["libraries"].tolist() == ["L1", "L2"]
    assert made.obs_names.tolist()[3] == "L2:C0"
    assert "object" not in {str(kind) for kind in made.obs.dtypes}
    assert made.obs["cell_type"].tolist() == ["cd4_t", "cd4_t", "naive_b"] * 2
    shown = np.asarray(made.obsm["X_umap"])
    assert shown[4].tolist() == [1.5, -2.0]
    assert np.isnan(np.delete(shown, 4, axis=0)).all()


def test_another_number_of_cells_out_than_in_is_refused(cohort: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="L2: 3 cells in, 2 out"):
        write_cohort(cohort["path"], cohort["paths"], cohort["obs"].iloc[:-1], None)


def test_no_libraries_make_an_h5ad_without_cells(tmp_path: Path) -> None:
    import anndata

    write_cohort(tmp_path / "cells.h5ad", {}, concat([], OBS), None)
    assert anndata.read_h5ad(tmp_path / "cells.h5ad").shape == (0, 0)


def test_columns_for_browsers_are_categories_numbers_and_flags() -> None:
    shown = browsable(obs_of(library("L1", FEW)))
    kinds = {str(kind) for kind in shown.dtypes}
    assert kinds == {"category", "float64", "int32", "bool"}
    assert shown["car_umis"].isna().tolist() == [False, False, True]
    assert shown["state"].isna().tolist() == [False, False, True]


def test_blocks_hold_every_cell_once(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson(0.4, (50, 6))
    counts[7] = 0
    path = write_library(tmp_path / "L1.h5ad", counts, [f"g{i}" for i in range(6)])
    with Stored(path) as stored:
        blocks = list(stored.blocks(most=9))
    assert len(blocks) > 5
    assert [start for start, _ in blocks] == np.cumsum([0] + [b.shape[0] for _, b in blocks])[:-1].tolist()
    assert np.vstack([b.toarray() for _, b in blocks]).tolist() == counts.tolist()


def genes(names: list[str]) -> Genes:
    words = np.array(names, dtype=object)
    return Genes(words, words, np.array(["Gene Expression"] * len(names)), np.zeros(len(names), bool))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.sampled_from("ABCDEFG"), unique=True, min_size=1), min_size=1, max_size=4))
def test_joined_genes_keep_every_gene_of_every_library(libraries: list[list[str]]) -> None:
    joined, places, measured = join_genes([genes(names) for names in libraries])
    assert sorted(joined.ids) == sorted(set().union(*libraries))
    for number, (names, where) in enumerate(zip(libraries, places, strict=True)):
        assert joined.ids[where].tolist() == names
        assert set(joined.ids[measured[:, number]]) == set(names)


def test_moved_counts_stay_with_their_gene() -> None:
    from scipy.sparse import csr_array

    block = csr_array(np.array([[1, 2, 0], [0, 3, 4]]))
    out = moved(block, np.array([3, 0, 1]), 4)
    assert out.toarray().tolist() == [[2, 0, 0, 1], [3, 4, 0, 0]]
    assert out.has_sorted_indices
