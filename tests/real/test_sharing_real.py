"""Clones that two real subjects share: a library of CARPALL P02 under the name of a 10x donor."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.repertoire.chains import chains_of
from cartrace.repertoire.clonotypes import t_clonotypes
from cartrace.repertoire.contigs import read_contigs
from cartrace.repertoire.settings import Clonotypes, Contigs, Sharing
from cartrace.repertoire.sharing import shared_clones

DONOR = "vdj/scirpy/vdj_nextgem_hs_pbmc3_t_filtered_contig_annotations.csv.gz"
P02 = ("CAR-T10310322", "CAR-T10484037", "CAR-T11252627")


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    folder = real_data()
    files = {"donor": folder / DONOR} | {
        name: folder / f"single_cell/carpall_p02/vdj_t/{name}.filtered_contig_annotations.csv.gz"
        for name in P02
    }
    if not all(f.is_file() for f in files.values()):
        pytest.skip(
            "the real contigs (vdj, single_cell/carpall_p02/vdj_t) are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
        )
    chains = pd.concat(
        [chains_of({"T": read_contigs(path, name)}, name, Contigs()) for name, path in files.items()]
    )
    found = t_clonotypes(chains, {name: float(i) for i, name in enumerate(files)}, Clonotypes())
    named = found.rename(columns={"beta_clonotype": "clonotype"}).dropna(subset="clonotype")
    return named.assign(sample_id=named["library"], receptor="T")


def judged(cells: pd.DataFrame, wrong: str = "") -> tuple[pd.DataFrame, list[tuple[Any, Any]]]:
    """Judge, with one library of P02 under the donor's name."""
    subject = dict.fromkeys(P02, "P02") | {"donor": "donor"} | ({wrong: "donor"} if wrong else {})
    shared, qc = shared_clones(cells.assign(subject_id=cells["library"].map(subject)), Sharing())
    return shared, [(q["check"], q.get("source_file")) for q in qc if q["verdict"] == "warn"]


def test_a_patient_and_a_donor_share_no_clone(cells: pd.DataFrame) -> None:
    shared, found = judged(cells)
    assert shared.empty
    assert not found


def test_a_library_under_the_donors_name_is_the_one_in_doubt(cells: pd.DataFrame) -> None:
    shared, found = judged(cells, "CAR-T11252627")
    assert found == [("sample_swap", "CAR-T11252627")]
    assert set(shared["taken_for"]) == {"swap"}
    # The same clones at two times stand behind other barcodes: no mark of hopping.
    assert shared["shared_barcodes"].sum() == 0
