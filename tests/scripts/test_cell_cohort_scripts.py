"""The programs that look at all cells: the picture, the clusters, differential expression."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.loading import load_module
from tests.unit.cells.hand_h5ad import write_library
from tests.unit.cells.hand_libraries import library, sample

from cartrace.cells.cohort_object import join_obs, write_cohort
from cartrace.cells.tables import (
    CELLS,
    CLUSTER_TYPES,
    CLUSTERS,
    EMBEDDING,
    EXPRESSION,
    LIBRARIES,
    MARKERS,
    OBS,
    TYPES,
)
from cartrace.tables import QC, concat, read_table, records, rows, write_table

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts/cells"
CELLS_OF = {("cd4_t", "naive", "positive"): 15, ("naive_b", "", "not_assessed"): 15}
SETTINGS = json.dumps({"cells": {"embedding": {"neighbours": 5, "epochs": 20, "components": 5}}})


def program(name: str) -> ModuleType:
    return load_module(SCRIPTS / f"{name}.py")


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    mean = np.repeat([[5.0] * 10 + [0.5] * 10, [0.5] * 10 + [5.0] * 10], 15, axis=0)
    paths, told = {}, []
    for name, verdict in (("L1", "accepted"), ("L2", "accepted"), ("L3", "rejected")):
        made = library(name, CELLS_OF, verdict=verdict)
        paths[name] = write_library(
            tmp_path / f"{name}.h5ad", rng.poisson(mean), [f"g{i}" for i in range(20)]
        )
        cells = [
            {"library": name, "cell": cell, "umis": 3, "genes": 2, "passed": True}
            for cell in made.types["cell"]
        ]
        for part, table in (("types", TYPES), ("libraries", LIBRARIES)):
            write_table(getattr(made, part), f"{name}.{part}.parquet", table)
        about = {"library": records(made.libraries)[0], "sample": sample()}
        told.append(join_obs(made.types["cell"].tolist(), rows(cells, CELLS), made.types, made.cars, **about))
    obs = concat(told, OBS)
    write_table(obs, "obs.parquet", OBS)
    write_cohort(tmp_path / "cells.h5ad", paths, obs, None)
    return tmp_path


def test_the_picture_holds_the_cells_of_good_libraries(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ("--libraries", "L1", "L2", "L3", "--settings", SETTINGS, "--output", "shown.parquet")
    assert program("embed_cells").main(usual) == 0
    shown = read_table("shown.parquet", EMBEDDING)
    assert len(shown) == 60
    assert set(shown["library"]) == {"L1", "L2"}
    assert "60 cells, 60 in the picture" in capsys.readouterr().out
    assert program("embed_cells").main(["--libraries", "--output", "none.parquet"]) == 0
    assert len(read_table("none.parquet", EMBEDDING)) == 0


def test_clusters_come_with_their_types_and_markers(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ("--h5ad", "cells.h5ad", "--obs", "obs.parquet", "--settings", SETTINGS)
    outputs = ("--clusters", "c.parquet", "--cluster-types", "t.parquet", "--markers", "m.parquet")
    assert program("cluster_cells").main([*inputs, *outputs]) == 0
    assert len(read_table("c.parquet", CLUSTERS)) == 60
    types = read_table("t.parquet", CLUSTER_TYPES)
    assert types["cells"].sum() == 60
    assert set(types["type_percent"]) == {100.0}
    assert len(read_table("m.parquet", MARKERS)) > 0
    said = capsys.readouterr()
    assert "60 cells in" in said.out
    assert said.err == ""


def test_contrasts_without_enough_subjects_are_refused(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ("--h5ad", "cells.h5ad", "--obs", "obs.parquet")
    assert (
        program("compare_expression").main([*inputs, "--expression", "e.parquet", "--qc", "q.parquet"]) == 0
    )
    made = read_table("e.parquet", EXPRESSION)
    assert len(made) == 7
    assert set(made["status"]) == {"not_estimable"}
    assert made["reason"].str.contains("fewer than 3").all()
    assert "contrast_refused" in set(read_table("q.parquet", QC)["check"])
    assert "7 contrasts, 7 refused" in capsys.readouterr().out


def test_settings_that_are_no_settings_are_told(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ("--settings", json.dumps({"cells": {"embedding": {"neighbors": 5}}}))
    assert program("embed_cells").main(["--output", "x.parquet", *wrong]) == 2
    assert "did you mean 'neighbours'" in capsys.readouterr().err
    inputs = ("--h5ad", "cells.h5ad", "--obs", "obs.parquet", *wrong)
    assert program("compare_expression").main([*inputs, "--expression", "e", "--qc", "q"]) == 2
    outputs = ("--clusters", "c", "--cluster-types", "t", "--markers", "m")
    assert program("cluster_cells").main([*inputs, *outputs]) == 2
