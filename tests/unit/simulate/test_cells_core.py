"""One simulated library: expression, droplets, clones, files."""

from __future__ import annotations

import csv
import gzip
import io

import h5py
import numpy as np
import pytest

from cartrace.cells.vocabulary import CELL_TYPES, T_STATES
from cartrace.simulate.cells_core import (
    CONTAMINATION,
    Cells,
    Library,
    Protocol,
    ambient_counts,
    draw_barcodes,
    draw_cells,
    expected,
    make_library,
)
from cartrace.simulate.cells_files import Matrix, csv_bytes, h5_bytes, metrics_bytes, mtx_files
from cartrace.simulate.cells_genes import (
    CAR_EFFECT,
    CAR_EFFECT_GENES,
    HEAVY,
    OF_TYPE,
    PROGRAMMES,
    SIZES,
    USUAL_UMIS,
    genes,
)
from cartrace.simulate.cells_makeup import of_blood, of_csf, of_product, sorted_for_car
from cartrace.simulate.cells_repertoire import (
    CAR_CLONES,
    CONTIG_COLUMNS,
    Chain,
    Clone,
    contig_rows,
    draw_repertoire,
    draw_t_clones,
    find_contigs,
)
from cartrace.simulate.flow_tubes import Blood

BLOOD = Blood(
    t_cells=700,
    car_share=0.2,
    b_cells=160,
    naive_b_cells=104,
    memory_b_cells=40,
    plasmablasts=2.5,
    plasma_cells=1.6,
)
GENES = genes()
CAR = len(GENES.symbols)


def alone(kind: str, *, state: str = "", car: bool = False, isotype: str = "", light: str = "") -> Cells:
    """One cell."""
    texts = (np.array([x]) for x in (kind, state, "G1"))
    return Cells(*texts, np.array([car]), np.array([isotype]), np.array([light]))


def umis(cells: Cells, mito: float = 0.05) -> dict[str, float]:
    rates = expected(cells, np.full(cells.car.size, mito), np.ones(CAR))
    return dict(zip(GENES.symbols, rates[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def library() -> Library:
    protocol = Protocol(600, 400, car_mean=4.0, factor=np.ones(CAR), tag=True)
    return make_library(np.random.default_rng(1), of_blood(BLOOD, "peak"), protocol)


def test_every_gene_has_one_name_and_one_made_up_id() -> None:
    assert len(set(GENES.symbols)) == len(GENES.symbols) == len(set(GENES.ids))
    assert not any(i.startswith("ENS") for i in GENES.ids)
    assert GENES.background.sum(axis=1) == pytest.approx(1)
    up, down = (GENES.car_factor == f for f in (CAR_EFFECT, 1 / CAR_EFFECT))
    assert up.sum() == down.sum() == CAR_EFFECT_GENES


def test_types_and_states_are_those_of_the_tables() -> None:
    assert set(OF_TYPE) <= set(CELL_TYPES)
    for makeup in (of_blood(BLOOD, "late"), of_product(2), of_csf(0.03)):
        assert set(makeup.types) | set(makeup.car_types) <= set(OF_TYPE)
        assert {s for shares in makeup.states.values() for s in shares} <= set(T_STATES)


def test_a_cell_has_the_umis_of_its_type_and_the_mitochondrial_share() -> None:
    for kind in ("cd4_t", "plasma_cell"):
        state = "naive" if kind == "cd4_t" else ""
        found = umis(
            alone(kind, state=state, isotype="IGHG1" if not state else "", light="IGK" if not state else ""),
            0.10,
        )
        assert sum(found.values()) == pytest.approx(USUAL_UMIS * SIZES.get(kind, 1.0))
        mito = sum(v for s, v in found.items() if s.startswith("MT-"))
        assert mito == pytest.approx(0.10 * sum(found.values()))


def test_markers_stand_in_the_proportions_of_their_programme() -> None:
    found = umis(alone("cd8_t", state="naive"))
    assert found["CD3D"] / found["CCR7"] == pytest.approx(
        PROGRAMMES["t"]["CD3D"] / PROGRAMMES["naive"]["CCR7"]
    )
    assert found["CD4"] == found["MS4A1"] == found["GNLY"] == 0
    plasma = umis(alone("plasma_cell", isotype="IGHA1", light="IGL"))
    assert plasma["IGHA1"] / plasma["SDC1"] == pytest.approx(HEAVY["plasma_cell"] / 4)
    assert plasma["IGLC2"] / plasma["IGLC3"] == pytest.approx(1.5)
    assert plasma["IGKC"] == plasma["IGHG1"] == 0


def test_the_car_changes_its_genes_and_no_marker() -> None:
    without, with_car = (umis(alone("cd4_t", state="naive", car=c)) for c in (False, True))
    ratio = {s: with_car[s] / without[s] for s in GENES.symbols if without[s]}
    assert ratio["CD3D"] == pytest.approx(1)
    changed = {s: ratio[s] for s, f in zip(GENES.symbols, GENES.car_factor, strict=True) if f > 1}
    # The sum of a cell stays, so that every fold change is a little smaller.
    assert all(2.2 < r <= CAR_EFFECT for r in changed.values())


def test_cells_are_drawn_in_the_shares_of_the_sample() -> None:
    cells = draw_cells(np.random.default_rng(3), of_blood(BLOOD, "peak"), 40_000)
    types = of_blood(BLOOD, "peak").types
    assert cells.is_t.mean() == pytest.approx(700 / sum(types.values()), abs=0.01)
    assert cells.car[cells.is_t].mean() == pytest.approx(0.2, abs=0.012)
    assert not cells.car[~cells.is_t].any()
    assert (cells.type == "naive_b").mean() == pytest.approx(0.7 * 104 / sum(types.values()), abs=0.005)
    assert ((cells.state != "") == cells.is_t).all()
    cd8 = cells.type == "cd8_t"
    assert cd8[cells.car].mean() == pytest.approx(0.68, abs=0.02)
    assert (cells.state[cd8 & cells.car] == "cytotoxic").mean() == pytest.approx(0.5, abs=0.03)
    assert ((cells.isotype != "") == np.isin(cells.type, list(HEAVY))).all()


def test_a_sort_for_car_leaves_t_cells_that_carry_it() -> None:
    cells = draw_cells(np.random.default_rng(4), sorted_for_car(of_blood(BLOOD, "peak")), 5_000)
    assert cells.is_t.mean() > 0.97
    assert cells.car[cells.is_t].mean() == pytest.approx(0.92, abs=0.02)


def test_what_floats_in_the_medium_is_in_every_droplet_alike() -> None:
    soup = np.array([0.5, 0.3, 0.2, 0.0])
    counts = ambient_counts(np.random.default_rng(5), soup, 50.0, 4_000)
    assert counts.shape == (4_000, 4)
    assert counts.sum(axis=1).mean() == pytest.approx(50, rel=0.03)
    assert counts.sum(axis=0) / counts.sum() == pytest.approx(soup, abs=0.005)
    # Gamma of size 6: variance = mean + mean^2 / 6.
    assert counts.sum(axis=1).var() == pytest.approx(50 + 2500 / 6, rel=0.1)


def test_a_library_has_the_ambient_share_and_the_car_that_it_should(library: Library) -> None:
    cell, first = library.is_cell, library.first[library.is_cell]
    umi = library.counts[:, : CAR + 1].sum(axis=1)
    assert library.counts.shape == (1000, CAR + 2)
    assert library.ambient[cell].sum() / umi[cell].sum() == pytest.approx(CONTAMINATION, abs=0.01)
    assert (umi[~cell] == library.ambient[~cell]).all()
    car = library.counts[cell, CAR]
    carries, single = library.cells.car[first], ~library.doublet[cell]
    assert car[carries & single].mean() == pytest.approx(4.0, abs=1.0)
    assert (car - library.ambient_car[cell])[~carries & single].sum() == 0
    assert library.ambient_car[cell].sum() > 0


def test_two_cells_in_a_droplet_have_the_rna_and_the_tag_of_both(library: Library) -> None:
    pairs = np.flatnonzero(library.doublet)
    assert 0.01 * 600 < pairs.size < 0.06 * 600
    ordinary = library.is_cell & ~library.doublet & ~library.damaged
    total = library.counts[:, : CAR + 1].sum(axis=1)
    assert np.median(total[pairs]) > 1.3 * np.median(total[ordinary])
    tag = library.counts[:, CAR + 1]
    carries = np.zeros(1000, dtype=bool)
    carries[library.is_cell] = library.cells.car[library.first[library.is_cell]]
    carries[pairs] |= library.cells.car[library.second[pairs]]
    assert np.median(tag[carries]) > 10 * np.median(tag[~carries])


def test_barcodes_are_different_and_look_like_barcodes() -> None:
    barcodes = draw_barcodes(np.random.default_rng(6), 5_000)
    assert len(set(barcodes)) == 5_000
    assert all(len(b) == 18 and b.endswith("-1") and set(b[:16]) <= set("ACGT") for b in barcodes)


def test_cells_with_the_car_come_from_transduced_clones_but_for_a_few() -> None:
    rng = np.random.default_rng(7)
    repertoire = draw_repertoire(rng, "S1")
    car = np.arange(6_000) < 2_000
    for stage, shares in repertoire.shares.items():
        assert shares[:CAR_CLONES].sum() == pytest.approx(1)
        clones = draw_t_clones(rng, repertoire, stage, car)
        assert (clones[car] < CAR_CLONES).mean() == pytest.approx(0.96, abs=0.02)
        assert (clones[~car] < CAR_CLONES).mean() == pytest.approx(0.04, abs=0.02)
    largest = {s: np.sort(x[:CAR_CLONES])[-10:].sum() for s, x in repertoire.shares.items()}
    assert largest["peak"] > 2 * largest["product"]


def test_chains_are_in_frame_and_begin_and_end_as_a_cdr3_does() -> None:
    chains = [c for clone in draw_repertoire(np.random.default_rng(8), "S1").clones for c in clone.chains]
    assert all(c.cdr3[0] == "C" and c.cdr3[-1] == "F" and len(c.cdr3_nt) == 3 * len(c.cdr3) for c in chains)
    assert len({c.cdr3_nt for c in chains}) > 0.99 * len(chains)
    assert Chain("TRA", "TRAV1", "", "TRAJ1", "TGTGCTTTT").cdr3 == "CAF"


def test_contigs_are_those_of_the_cells_and_the_largest_clonotype_is_the_first() -> None:
    beta = Chain("TRB", "TRBV1", "TRBD1", "TRBJ2-1", "TGTGCTTTT")
    heavy = Chain("IGH", "IGHV1-1", "IGHD1", "IGHJ1", "TGTGCTTGG")
    kappa = Chain("IGK", "IGKV1-1", "", "IGKJ1", "TGTGCATTT")
    other = Chain("TRB", "TRBV2", "TRBD1", "TRBJ2-1", "TGTGCGTTT")
    big, small, b = Clone("T1", (beta,)), Clone("T2", (other,)), Clone("B1", (heavy, kappa))
    clones = [[small]] * 20 + [[big]] * 60 + [[b]] * 20
    isotype = [""] * 80 + ["IGHA1"] * 20
    barcodes = [f"C{i:02d}-1" for i in range(100)]
    rows = contig_rows(find_contigs(np.random.default_rng(9), barcodes, clones, isotype, receptor="TR"))
    assert {r["chain"] for r in rows} == {"TRB"}
    productive = [r for r in rows if r["productive"] == "true"]
    assert {r["raw_clonotype_id"] for r in productive if r["cdr3_nt"] == beta.cdr3_nt} == {"clonotype1"}
    assert {r["cdr3"] for r in rows if r["productive"] == "false"} <= {""}
    assert all(tuple(r) == CONTIG_COLUMNS for r in rows)
    found = contig_rows(find_contigs(np.random.default_rng(9), barcodes, clones, isotype, receptor="IG"))
    own = [r for r in found if int(r["umis"]) > 1]
    assert {(r["chain"], r["c_gene"]) for r in own} == {("IGH", "IGHA1"), ("IGK", "IGKC")}
    assert {r["barcode"] for r in own} <= set(barcodes[80:])


SMALL = Matrix(
    barcodes=np.array(["CC-1", "AA-1", "GG-1"]),
    ids=("D1", "D2", "X"),
    names=("A", "B", "CAR"),
    kinds=("Gene Expression",) * 3,
    counts=np.array([[0, 5, 1], [2, 0, 0], [3, 4, 0]], dtype=np.int32),
)
"""Three cells: 6, 2 and 7 UMIs, of 2, 1 and 2 genes."""


def test_the_h5_file_holds_the_matrix_by_columns_of_barcodes() -> None:
    content = h5_bytes(SMALL, "Single Cell 5' R2-only")
    assert content == h5_bytes(SMALL, "Single Cell 5' R2-only")
    with h5py.File(io.BytesIO(content)) as f:
        group = f["matrix"]
        assert group["barcodes"][:].tolist() == [b"AA-1", b"CC-1", b"GG-1"]
        assert group["shape"][:].tolist() == [3, 3]
        assert group["indptr"][:].tolist() == [0, 1, 3, 5]
        assert group["indices"][:].tolist() == [0, 1, 2, 0, 1]
        assert group["data"][:].tolist() == [2, 5, 1, 3, 4]
        assert group["features/name"][:].tolist() == [b"A", b"B", b"CAR"]
        assert f.attrs["filetype"] == "matrix"


def test_the_folder_of_mtx_files_holds_the_same() -> None:
    files = {name: gzip.decompress(content).decode() for name, content in mtx_files(SMALL).items()}
    assert files["matrix.mtx.gz"].splitlines()[1:] == ["3 3 5", "1 1 2", "2 2 5", "3 2 1", "1 3 3", "2 3 4"]
    assert files["barcodes.tsv.gz"] == "AA-1\nCC-1\nGG-1\n"
    assert files["features.tsv.gz"].splitlines()[2] == "X\tCAR\tGene Expression"


def test_metrics_are_those_of_the_matrix() -> None:
    text = metrics_bytes(SMALL, reads_per_umi=200.0, in_cells=0.75).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["Estimated Number of Cells"] == "3"
    assert row["Median UMI Counts per Cell"] == "6"
    assert row["Median Genes per Cell"] == "2"
    assert row["Total Genes Detected"] == "3"
    # 15 UMIs in cells are three quarters of 20, each read 200 times.
    assert row["Number of Reads"] == "4,000"
    assert row["Fraction Reads in Cells"] == "75.0%"


def test_a_library_without_receptors_leaves_the_header() -> None:
    assert csv_bytes(CONTIG_COLUMNS, []).decode() == ",".join(CONTIG_COLUMNS) + "\n"
