"""Types in the CARPALL libraries: sorts, receptors and the authors' labels, none of which were used to type.

The patient had CD19 CAR-T cells for B-ALL. The V(D)J contigs are left out of the typing here, so that they
can check it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.real.conftest import real_data
from tests.unit.cells.hand_types import shipped

from cartrace.cells.matrices import open_matrix
from cartrace.cells.settings import Types
from cartrace.cells.typing import Facts, Matrix, Typed, survey, type_cells

SORTED = "CAR-T10310322"  # blood, month 2, CD3+CAT+
BLOOD = "CAR-T10310324"  # blood, month 2, unsorted
PRODUCT = "CAR-T11141510"
MARROW = "CAR-T11252627"  # month 15, CD3+CAT+
FAILED = "CAR-T10593347"


class Library:
    """One library: types, quality as most studies set it, and what else is known of its cells."""

    def __init__(self, name: str, contigs: str = "") -> None:
        folder = real_data() / "single_cell" / "carpall_p02"
        if not folder.is_dir():
            pytest.skip(
                "the CARPALL libraries are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
            )
        matrix = open_matrix(folder / "gex" / f"{name}.filtered_feature_bc_matrix.h5")
        counts = sparse.csr_array(sparse.vstack([b for _, b in matrix.blocks()], format="csr"))
        symbols = matrix.features.symbols
        umis = np.maximum(np.asarray(counts.sum(axis=1), dtype=float).ravel(), 1)
        mito = np.char.startswith(symbols.astype(str), "MT-")
        self.genes = np.diff(counts.indptr)
        share = np.asarray(counts[:, np.flatnonzero(mito)].sum(axis=1)).ravel() / umis
        self.passed = (share < 0.15) & (self.genes >= 200)
        barcodes = [b.decode() for b in matrix.barcodes]
        none = np.zeros(len(barcodes), dtype=bool)
        facts = Facts(self.passed, none, none, np.full(len(barcodes), ""))
        self.usable = symbols != "CAT_scFv"
        source = Matrix(lambda: (b for _, b in matrix.blocks()), matrix.features.ids, symbols, self.usable)
        self.typed: Typed = type_cells(
            survey(source, shipped(), self.passed, Types()), facts, shipped(), Types()
        )
        contig_file = folder / "vdj_t" / f"{contigs or name}.filtered_contig_annotations.csv.gz"
        table = pd.read_csv(contig_file) if contig_file.stat().st_size > 50 else None
        trb = set() if table is None else set(table.loc[table["chain"] == "TRB", "barcode"])
        self.trb = np.array([b in trb for b in barcodes])
        labels = pd.read_csv(folder / "author_cart_labels.tsv.gz", sep="\t").set_index("CellID")["CellType1"]
        self.labels = labels.reindex([f"{name}_{b}" for b in barcodes]).fillna("").to_numpy(dtype=str)

    def share(self, lineage: str) -> float:
        return float((self.typed.lineage[self.passed] == lineage).mean())

    def trb_of(self, *types: str) -> float:
        return float(self.trb[self.passed & np.isin(self.typed.cell_type, types)].mean())


@pytest.fixture(scope="module")
def sorted_blood() -> Library:
    return Library(SORTED)


@pytest.fixture(scope="module")
def blood() -> Library:
    return Library(BLOOD)


@pytest.fixture(scope="module")
def product() -> Library:
    return Library(PRODUCT, "CAR-T11141512")


@pytest.fixture(scope="module")
def marrow() -> Library:
    return Library(MARROW)


def test_sorted_libraries_are_t_cells_and_unsorted_blood_is_mixed(
    sorted_blood: Library, marrow: Library, blood: Library, product: Library
) -> None:
    assert sorted_blood.share("t") > 0.93
    assert marrow.share("t") > 0.88
    assert product.share("t") > 0.9
    assert blood.share("t") < sorted_blood.share("t")
    assert blood.share("nk") > 0.05 > sorted_blood.share("nk")
    assert blood.share("monocyte") > 0.05


def test_there_are_no_b_cells_after_a_cd19_car(blood: Library, sorted_blood: Library) -> None:
    for library in (blood, sorted_blood):
        assert library.share("b") + library.share("plasma") == 0


def test_receptors_agree_with_types_that_were_made_without_them(blood: Library, product: Library) -> None:
    assert blood.trb_of("cd4_t", "cd8_t") > 0.8
    assert blood.trb_of("nk", "cd14_monocyte", "cd16_monocyte") < 0.06
    assert product.trb_of("cd4_t", "cd8_t") > 0.8
    # Gamma-delta T cells have no TRB: not one of 40.
    assert (product.passed & (product.typed.cell_type == "gamma_delta_t")).sum() > 30
    assert product.trb_of("gamma_delta_t") == 0
    assert product.trb_of("nk") == 0


def test_cd4_and_cd8_agree_with_the_authors_labels(sorted_blood: Library, marrow: Library) -> None:
    # Their labels lean on CD4 and CD8A too ("DN" are cells without either, most of which have CD8B).
    for library in (sorted_blood, marrow):
        types = library.typed.cell_type
        cd4 = np.char.startswith(library.labels, "CD4")
        cd8 = np.isin(library.labels, ["CD8 TEM", "CD8 CTL", "CD8 Naive/TCM"])
        called4, called8 = np.isin(types, ["cd4_t", "treg"]), types == "cd8_t"
        assert called4[cd4].mean() > 0.9
        assert called8[cd8].mean() > 0.85
        assert called8[cd4].mean() < 0.03
        assert called4[cd8].mean() < 0.06


def test_co_expressed_genes_alone_tell_cd4_from_cd8(sorted_blood: Library) -> None:
    split = sorted_blood.typed.split
    assert split is not None
    assert split.cd4_seeds > 50
    assert split.accuracy > 0.9


def test_labelled_proliferating_cells_divide_and_few_others_do(
    sorted_blood: Library, marrow: Library
) -> None:
    for library in (sorted_blood, marrow):
        labelled = (library.labels == "Proliferating CAR T") & library.passed
        assert labelled.sum() >= 2
        assert library.typed.cycling[labelled].all()
    assert sorted_blood.typed.cycling[sorted_blood.passed].mean() < 0.02


def test_a_product_divides_more_than_blood(product: Library, blood: Library) -> None:
    assert product.typed.cycling[product.passed].mean() > 5 * blood.typed.cycling[blood.passed].mean()


def test_debris_of_mitochondrial_reads_has_no_lineage(product: Library) -> None:
    debris = ~product.passed & (product.genes < 100)
    assert debris.sum() > 100
    assert (product.typed.lineage[debris] == "unassigned").mean() > 0.95


def test_a_failed_library_has_no_types() -> None:
    failed = Library(FAILED)
    assert (failed.typed.lineage == "unassigned").mean() > 0.999
