"""CARPALL's libraries (Cell Ranger 5), read as they are: Cell Ranger's own counts, the failed channel, contigs."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, vstack
from tests.real.conftest import real_data

from cartrace.cells.contigs import read_contigs
from cartrace.cells.doublets import doublet_scores
from cartrace.cells.library import LibraryPlan, LibraryTables, Read, describe_library
from cartrace.cells.matrices import find_features, open_matrix
from cartrace.cells.settings import Cells, Doublets
from cartrace.cells.streaming import add_up, roles_of
from cartrace.problems import InputError

CARPALL = real_data() / "single_cell" / "carpall_p02"
VDJ = real_data() / "vdj"
FAILED = "CAR-T10593347"
FEATURES = 36_602
"""Features of the reference, as PROVENANCE.md of the files says."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not CARPALL.is_dir(), reason="the CARPALL libraries are not here: set CARTRACE_REAL_DATA"
    ),
]


def samples() -> dict[str, dict[str, str]]:
    """Libraries of which the counts are here."""
    if not CARPALL.is_dir():
        return {}
    with (CARPALL / "samples.tsv").open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {r["GEX_Sample"]: r for r in rows if r["gex_file"] == "True"}


def h5_of(library: str) -> Path:
    return CARPALL / "gex" / f"{library}.filtered_feature_bc_matrix.h5"


@dataclass(frozen=True)
class Library:
    """One library: what Cell Ranger's file says of itself, and what cartrace makes of it."""

    sort: str
    shape: tuple[int, int]
    umis: int
    genes: int
    tables: LibraryTables

    @property
    def row(self) -> pd.Series:
        return self.tables.libraries.iloc[0]

    @property
    def cells(self) -> pd.DataFrame:
        return self.tables.cells


def read_one(library: str, sort: str, contigs: Path) -> Library:
    matrix = open_matrix(h5_of(library))
    cars = find_features(matrix.features, ["CAT_scFv"])
    roles = roles_of(matrix.features, cars.mask, np.zeros(len(matrix.features), bool))
    sums = add_up((block for _, block in matrix.blocks()), roles)
    plan = {
        "library_id": library,
        "chemistry": "5p",
        "sort": "none",
        "sha256": "0",
        "car_features": ["CAT_scFv"],
    }
    read = Read(
        matrix=matrix,
        roles=roles,
        sums=sums,
        missing=cars.missing,
        empties=None,
        raw_strange="",
        called_here=None,
        vendor=None,
        t_contigs=read_contigs(contigs, contigs.name),
        b_contigs=None,
    )
    with h5py.File(h5_of(library)) as file:
        features, cells = (int(n) for n in file["matrix/shape"][:])
        umis = int(file["matrix/data"][:].sum())
        genes = int((np.bincount(file["matrix/indices"][:]) > 0).sum())
    return Library(
        sort,
        (cells, features),
        umis,
        genes,
        describe_library(LibraryPlan.from_json(json.dumps(plan)), read, {}, Cells()),
    )


@pytest.fixture(scope="module")
def libraries() -> dict[str, Library]:
    return {
        name: read_one(
            name, row["Sort"], CARPALL / "vdj_t" / f"{row['TCR_Sample']}.filtered_contig_annotations.csv.gz"
        )
        for name, row in samples().items()
    }


def test_all_eight_libraries_have_the_cells_and_genes_of_cell_ranger(libraries: dict[str, Library]) -> None:
    assert len(libraries) == 8
    for library in libraries.values():
        row = library.row
        assert library.shape == (row["barcodes"], FEATURES)
        assert int((library.cells["umis"] + library.cells["car_umis"]).sum()) == library.umis
        # The CAR is one feature more for Cell Ranger where it was seen.
        assert row["total_genes"] + int(row["car_umis"] > 0) == library.genes
        assert row["source"] == "cellranger"


def test_the_failed_channel_is_recognised_and_no_other_is_rejected(libraries: dict[str, Library]) -> None:
    assert [n for n, library in libraries.items() if library.row["verdict"] == "rejected"] == [FAILED]
    failed = libraries[FAILED]
    assert (failed.row["barcodes"], failed.row["median_umis"]) == (5055, 2)
    assert "median of 2 UMIs" in failed.row["reason"]
    assert "the file of T-cell contigs is empty: no chain of any cell is known" in set(
        failed.tables.qc["message"]
    )
    for name, library in libraries.items():
        assert name == FAILED or library.cells["passed"].mean() > 0.5


def test_the_car_is_in_most_cells_of_sorted_libraries_and_in_few_of_the_others(
    libraries: dict[str, Library],
) -> None:
    for name, library in libraries.items():
        share = (library.cells["car_umis"] > 0).mean()
        if library.sort == "NoSo" or name == FAILED:
            assert share < 0.05
        else:
            assert 0.4 < share < 0.8


def test_most_cells_of_sorted_libraries_have_a_clone(libraries: dict[str, Library]) -> None:
    for name, library in libraries.items():
        if library.sort == "NoSo" or name == FAILED:
            continue
        assert (library.cells["trb"] > 0).mean() > 0.5
        assert (library.cells["trb"] > 2).mean() < 0.05
        assert library.cells["t_clone"].dropna().str.startswith("TRB:").all()


def test_clones_of_the_product_are_found_after_21_months() -> None:
    found = []
    for sample in ("CAR-T11141511", "CAR-T12187585"):
        path = CARPALL / "vdj_t" / f"{sample}.filtered_contig_annotations.csv.gz"
        cells = read_contigs(path, sample).cells.values()
        found.append({chain for cell in cells for chain in cell.umis.get("TRB", ())})
    assert len(found[0] & found[1]) >= 6


def plant(counts: csr_array, share: float, rng: np.random.Generator) -> tuple[csr_array, np.ndarray]:
    """Put two random cells into each of some barcodes, with 0.9 of their UMIs."""
    cells = rng.permutation(counts.shape[0])
    number = round(share * len(cells) / (1 + share))
    pairs = (counts[cells[:number]] + counts[cells[number : 2 * number]]).tocsr()
    pairs.data = rng.binomial(pairs.data, 0.9)
    rest = counts[cells[2 * number :]]
    return csr_array(vstack([rest, pairs])), np.arange(rest.shape[0] + number) >= rest.shape[0]


@pytest.mark.parametrize("library", ["CAR-T10310324", "CAR-T10593342"])
def test_doublets_planted_in_real_cells_are_ranked_before_single_cells(
    libraries: dict[str, Library], library: str
) -> None:
    # Scrublet of scanpy with exact neighbours: 0.78 and 0.79 on the same cells.
    matrix = open_matrix(h5_of(library))
    passed = np.flatnonzero(libraries[library].cells["passed"])
    genes = np.flatnonzero(~find_features(matrix.features, ["CAT_scFv"]).mask)
    counts, planted = plant(
        vstack([b for _, b in matrix.blocks()]).tocsr()[passed][:, genes], 0.08, np.random.default_rng(1)
    )
    settings = Doublets(rate_per_cell=0.08 / len(planted))
    found = doublet_scores(counts, rng=np.random.default_rng(2), settings=settings)
    above = np.mean([np.mean(s > found.score[~planted]) for s in found.score[planted]])
    assert above > 0.88
    assert found.doublet[planted].mean() > 0.25
    assert found.doublet[~planted].mean() < 0.04


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated:DeprecationWarning")
# Symbols that two genes share; ours are by id.
@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
def test_scanpy_reads_the_same_matrix() -> None:
    import scanpy

    library = "CAR-T10310321"
    theirs = scanpy.read_10x_h5(h5_of(library))
    ours = open_matrix(h5_of(library))
    assert ours.barcodes.astype(str).tolist() == theirs.obs_names.tolist()
    assert ours.features.ids.tolist() == theirs.var["gene_ids"].tolist()
    assert ours.features.symbols.tolist() == theirs.var_names.tolist()
    assert (vstack([b for _, b in ours.blocks()]) != theirs.X).nnz == 0


def test_contigs_of_scirpy_and_dandelion_are_read_and_the_broken_file_is_refused() -> None:
    if not VDJ.is_dir():
        pytest.skip("the contig files are not here: set CARTRACE_REAL_DATA")
    t = read_contigs(VDJ / "scirpy" / "vdj_nextgem_hs_pbmc3_t_filtered_contig_annotations.csv.gz", "t")
    assert t.contigs == 4004
    b = read_contigs(VDJ / "scirpy" / "sc5p_v2_hs_melanoma_10k_b_filtered_contig_annotations.csv.gz", "b")
    assert b.contigs == 15_079
    isotypes = pd.Series([c.isotype for c in b.cells.values()]).dropna()
    assert {"IGHM", "IGHD", "IGHG1", "IGHA1"} <= set(isotypes)
    assert read_contigs(VDJ / "dandelion" / "filtered_contig_annotations.csv", "d").cells
    with pytest.raises(InputError, match=r"row \d+: found 23 columns; allowed: 22"):
        read_contigs(VDJ / "malformed" / "filtered_contig_annotations.csv", "broken.csv")
