"""The program that joins cells and receptors into one h5mu."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import h5py
import pandas as pd
import pytest
from tests.loading import load_module
from tests.unit.cells.hand_h5ad import write_library
from tests.unit.cells.hand_libraries import library, sample
from tests.unit.repertoire.hand_chains import chain, chains

from cartrace.cells.cohort_object import join_obs, write_cohort
from cartrace.repertoire.airr_file import rearrangements, write_airr
from cartrace.tables import records

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/repertoire/export_mudata.py"


def program() -> ModuleType:
    return load_module(SCRIPT)


def cells_h5ad(folder: Path) -> Path:
    """Three cells of one library, as assemble_cells writes them."""
    made = library("L1", {("cd4_t", "naive", "positive"): 3})
    source = write_library(folder / "L1.h5ad", [[1, 2], [0, 3], [4, 0]], ["gA", "gB"])
    told = pd.DataFrame({"library": "L1", "cell": ["C0", "C1", "C2"], "umis": 3, "genes": 2, "passed": True})
    obs = join_obs(
        ["C0", "C1", "C2"],
        told,
        made.types,
        made.cars,
        library=records(made.libraries)[0],
        sample=sample(),
    )
    write_cohort(folder / "cells.h5ad", {"L1": source}, obs, None)
    return folder / "cells.h5ad"


def airr_of_subject(folder: Path, name: str, *, lines: bool = True) -> Path:
    contigs = [
        chain("L1", "C0", "TRB", "TGTGCC", aa="CA"),
        chain("L1", "C0", "TRA", "TGTAAA", aa="CA"),
        chain("L1", "C2", "TRB", "TGTGCC", aa="CA"),
        chain("L1", "unseen", "TRB", "TGTGGG", aa="CA"),
    ]
    clones = pd.DataFrame(
        {
            "subject_id": "S1",
            "library": "L1",
            "cell": ["C0", "unseen"],
            "receptor": "T",
            "clonotype": ["T-0123456789ab", "T-ba9876543210"],
        }
    )
    table = rearrangements(chains(*(contigs if lines else [])), clones, {"L1": "P1"})
    write_airr(table, folder / name)
    return folder / name


@pytest.mark.slow
def test_scirpy_and_mudata_open_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    airr, none = airr_of_subject(tmp_path, "s1.airr.tsv.gz"), airr_of_subject(tmp_path, "s2.gz", lines=False)
    h5ad, output = cells_h5ad(tmp_path), tmp_path / "cells.h5mu"
    arguments = ["--h5ad", str(h5ad), "--output", str(output), "--airr"]
    with warnings.catch_warnings():
        # scirpy, mudata and awkward warn of their own dependencies.
        warnings.simplefilter("ignore")
        assert program().main([*arguments, str(none)]) == 2
        assert program().main(arguments) == 2
        assert not output.exists()
        assert capsys.readouterr().err.count("found no chain") == 2
        assert program().main([*arguments, str(airr), str(none)]) == 0

        import mudata
        import scirpy as ir

        data = mudata.read_h5mu(output)
        ir.pp.index_chains(data)
        first = ir.get.airr(data, "junction", "VDJ_1")
    assert "3 cells, 2 with a receptor; 1 barcodes" in capsys.readouterr().out
    assert list(data.mod) == ["gex", "airr"]
    assert data["gex"].X.toarray().tolist() == [[1, 2], [0, 3], [4, 0]]
    assert data["gex"].obs_names.tolist() == ["L1:C0", "L1:C1", "L1:C2"]
    assert data["gex"].obs["cell_type"].tolist() == ["cd4_t"] * 3
    assert sorted(data.obs_names) == ["L1:C0", "L1:C1", "L1:C2", "L1:unseen"]
    assert first["L1:C0"] == first["L1:C2"] == "TGTGCC"
    obs = data["airr"].obs
    assert obs.loc["L1:C0", "clone_id"] == "T-0123456789ab"
    assert pd.isna(obs.loc["L1:C2", "clone_id"])
    assert set(obs["sample_id"]) == {"P1"}
    with h5py.File(output) as file:
        assert file["mod/gex"].attrs["encoding-type"] == "anndata"
