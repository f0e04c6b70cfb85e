"""Lineages of real blood cells against their authors' labels: symphony_pbmc_1200, pbmc68k_reduced, Wu 2020.

Panels and limits were looked at on symphony (order of size of the levels); pbmc68k and Wu 2020 were not
used to set anything.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse
from tests.real.conftest import real_data
from tests.unit.cells.hand_types import typed

if TYPE_CHECKING:
    from anndata import AnnData

    from cartrace.cells.typing import Typed

SYMPHONY = {"T_CD4": "t", "T_CD8": "t", "B": "b", "NK": "nk", "DC": "dendritic"}
PBMC68K = {"CD19+ B": "b", "CD56+ NK": "nk", "Dendritic": "dendritic", "CD34+": "progenitor"}


def labelled(name: str) -> AnnData:
    path = real_data() / name
    if not path.is_file():
        pytest.skip(
            f"the real cells ({name}) are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
        )
    import anndata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata moves what old files keep elsewhere, and says so
        return anndata.read_h5ad(path)


def umis_of(log_values: object, umis: np.ndarray) -> sparse.csr_array:
    """Turn log(1 + UMIs in 10,000) into the UMIs that it was made from."""
    counts = np.expm1(sparse.csr_array(log_values).toarray().astype(float)) * umis[:, None] / 1e4
    assert np.abs(counts - np.round(counts)).max() < 0.1  # float32 of large counts
    return sparse.csr_array(np.round(counts).astype(np.int32))


def with_rest(counts: sparse.csr_array, umis: np.ndarray) -> sparse.csr_array:
    """Add what the file left out as one column, so that each cell keeps its depth."""
    rest = np.maximum(umis - np.asarray(counts.sum(axis=1)).ravel(), 0).astype(np.int32)
    return sparse.csr_array(sparse.hstack([counts, sparse.csr_array(rest[:, None])], format="csr"))


def scores(truth: np.ndarray, found: np.ndarray, lineage: str) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    hit = float(((truth == lineage) & (found == lineage)).sum())
    precision, recall = hit / max((found == lineage).sum(), 1), hit / (truth == lineage).sum()
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


@pytest.fixture(scope="module")
def symphony() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, lineage and type of each cell; each of the three libraries typed by itself."""
    data = labelled("single_cell/pbmc_labelled/symphony_pbmc_1200.h5ad")
    umis = data.obs["nUMI"].to_numpy(dtype=float)
    counts = with_rest(umis_of(data.X, umis), umis)
    names = [*data.var_names, "rest"]
    labels = data.obs["cell_type"].astype(str).to_numpy(dtype=object)
    lineage, cell_type = labels.copy(), labels.copy()
    for library in data.obs["donor"].unique():
        own = (data.obs["donor"] == library).to_numpy()
        found = typed(counts[np.flatnonzero(own)], names=names)[1]
        lineage[own], cell_type[own] = found.lineage, found.cell_type
    return labels, lineage, cell_type


def test_b_and_t_cells_of_three_chemistries(symphony: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, lineage, _ = symphony
    truth = np.array([SYMPHONY.get(x, "monocyte" if x.startswith("Mono") else x) for x in labels])
    for name, least in (("b", 0.98), ("t", 0.98), ("monocyte", 0.97), ("nk", 0.95), ("dendritic", 0.93)):
        precision, recall, f1 = scores(truth, lineage, name)
        assert min(precision, recall, f1) > least, (name, precision, recall, f1)
    assert (lineage == "unassigned").mean() < 0.02


def test_cd4_and_cd8_without_the_gene_of_cd4(symphony: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    # The 1,767 genes hold CD8A and CD8B, but not CD4: what is left is co-expression.
    labels, _, cell_type = symphony
    told = np.isin(labels, ["T_CD4", "T_CD8"]) & np.isin(cell_type, ["cd4_t", "treg", "cd8_t"])
    right = (labels[told] == "T_CD8") == (cell_type[told] == "cd8_t")
    assert right.mean() > 0.88
    assert told.sum() / np.isin(labels, ["T_CD4", "T_CD8"]).sum() > 0.85


def test_plasma_cells_hide_under_labels_of_other_cells(
    symphony: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    # The authors had no class for plasma cells; two of three cells labelled HSC are full of JCHAIN and MZB1.
    labels, lineage, _ = symphony
    assert (lineage[labels == "HSC"] == "plasma").sum() == 2
    assert (lineage == "plasma").sum() == 2


@pytest.fixture(scope="module")
def pbmc68k() -> tuple[np.ndarray, Typed, sparse.csr_array, list[str]]:
    data = labelled("single_cell/pbmc_labelled/10x_pbmc68k_reduced.h5ad")
    umis = data.obs["n_counts"].to_numpy(dtype=float)
    counts = umis_of(data.raw.X, umis)
    names = list(data.raw.var_names)
    labels = data.obs["bulk_labels"].astype(str).to_numpy(dtype=object)
    return labels, typed(with_rest(counts, umis), names=[*names, "rest"])[1], counts, names


def test_b_lineage_and_t_cells_of_765_genes(
    pbmc68k: tuple[np.ndarray, Typed, sparse.csr_array, list[str]],
) -> None:
    # Labels by correlation with sorted bulks, 765 genes without TRAC, CD19, CD14; no class for plasma cells.
    labels, found, _, _ = pbmc68k
    truth = np.array([PBMC68K.get(x, "monocyte" if "Monocyte" in x else "t") for x in labels])
    joined = np.where(found.lineage == "plasma", "b", found.lineage)
    precision, recall, f1 = scores(truth, joined, "b")
    assert f1 > 0.95, (precision, recall, f1)
    precision, recall, f1 = scores(truth, found.lineage, "t")
    assert precision > 0.97
    assert f1 > 0.92, (precision, recall, f1)
    assert scores(truth, found.lineage, "progenitor")[2] == 1
    assert scores(truth, found.lineage, "nk")[2] > 0.8


def test_what_is_called_a_plasma_cell_has_no_cd20_and_much_jchain(
    pbmc68k: tuple[np.ndarray, Typed, sparse.csr_array, list[str]],
) -> None:
    labels, found, counts, names = pbmc68k
    b = labels == "CD19+ B"
    rate = {
        (gene, lineage): float(
            counts[np.flatnonzero(b & (found.lineage == lineage))][:, [names.index(gene)]].mean()
        )
        for gene in ("IGJ", "MZB1", "TNFRSF17", "MS4A1")
        for lineage in ("b", "plasma")
    }
    assert (found.lineage[b] == "plasma").sum() > 25
    for gene in ("IGJ", "MZB1", "TNFRSF17"):
        assert rate[gene, "plasma"] > 10 * rate[gene, "b"]
    assert rate["MS4A1", "plasma"] < 0.1 * rate["MS4A1", "b"]


def test_types_stay_open_where_the_genes_do_not_tell_them(
    pbmc68k: tuple[np.ndarray, Typed, sparse.csr_array, list[str]],
) -> None:
    # Without IGHM, IGHD and TCL1A no B cell can be told naive.
    _, found, _, _ = pbmc68k
    assert set(found.cell_type[found.lineage == "b"]) == {"unassigned_b"}


def test_cd4_and_cd8_of_tumour_t_cells_through_dropout() -> None:
    # 3,000 variable genes of Wu 2020, 200 cells of 14 patients; CD4 or CD8 by the authors' clusters.
    data = labelled("vdj/scirpy/wu2020_200_v0_6.h5ad")
    counts = sparse.csr_array(data.X).astype(np.int32)
    names = list(data.var_names)
    clusters = data.obs["cluster_orig"].astype(str).to_numpy(dtype=object)
    truth = np.array([{"4": "cd4", "8": "cd8"}.get(c[0], "") for c in clusters])
    found = typed(counts, names=names, t_receptor=np.ones(len(truth), dtype=bool))[1]
    types = found.cell_type
    called = np.select([np.isin(types, ["cd4_t", "treg"]), types == "cd8_t"], ["cd4", "cd8"], "")
    cd4, *cd8 = (counts[:, [names.index(g)]].toarray().ravel() > 0 for g in ("CD4", "CD8A", "CD8B"))
    single = np.select([cd4 & ~np.any(cd8, axis=0), ~cd4 & np.any(cd8, axis=0)], ["cd4", "cd8"], "")
    known = truth != ""
    right = (called == truth)[known]
    assert right[called[known] != ""].mean() > 0.85
    assert right.mean() > 1.5 * (single == truth)[known].mean()
    assert (types[np.char.startswith(clusters.astype(str), "4.6b")] == "treg").mean() > 0.5
