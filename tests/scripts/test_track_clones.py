"""The program that follows the clones of a subject, on library tables written by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from tests.loading import load_module
from tests.unit.repertoire.hand_clones import cars_of, chain, library, product, tables_of, types_of

from cartrace.cells.tables import CARS, TYPES
from cartrace.repertoire import tables as contracts
from cartrace.repertoire.clone_cells import LibraryTables
from cartrace.repertoire.samples import PlannedLibrary
from cartrace.tables import QC, read_table, records, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "track_clones.py"
OUTPUTS = {
    "cells": contracts.CLONE_CELLS,
    "clones": contracts.CLONES,
    "samples": contracts.CLONE_SAMPLES,
    "totals": contracts.CLONE_TOTALS,
    "changes": contracts.CLONE_CHANGES,
    "persistence": contracts.CLONE_PERSISTENCE,
    "diversity": contracts.DIVERSITY,
    "overlap": contracts.OVERLAP,
    "b-return": contracts.B_RETURN,
    "qc": QC,
}
SETTINGS = json.dumps({"repertoire": {"tracking": {"min_sample_cells": 10}, "diversity": {"min_cells": 10}}})


def program() -> ModuleType:
    return load_module(SCRIPT)


def record_of(planned: PlannedLibrary) -> dict[str, Any]:
    facts = asdict(planned)
    return {"subject_id": "P1", **facts.pop("sample"), **facts}


def call(folder: Path, libraries: Sequence[LibraryTables]) -> tuple[int, dict[str, Path]]:
    for one in libraries:
        name = one.library.library_id
        write_table(one.chains, folder / f"{name}.chains.parquet", contracts.CHAINS)
        write_table(one.receptors, folder / f"{name}.receptors.parquet", contracts.CELL_RECEPTORS)
        if one.types is not None and one.cars is not None:
            write_table(one.types, folder / f"{name}.types.parquet", TYPES)
            write_table(one.cars, folder / f"{name}.cars.parquet", CARS)
    written = {name: folder / "out" / f"{name}.parquet" for name in OUTPUTS} | {
        "airr": folder / "out" / "airr.tsv.gz"
    }
    (folder / "out").mkdir(exist_ok=True)
    status = program().main(
        [
            *(
                "--subject",
                "P1",
                "--settings",
                SETTINGS,
                "--folder",
                str(folder),
                "--cells-folder",
                str(folder),
            ),
            *("--plan", json.dumps([record_of(one.library) for one in libraries])),
            *(part for name, path in written.items() for part in (f"--{name}", str(path))),
        ]
    )
    return status, written


def tables_in(written: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    return {name: read_table(written[name], contract) for name, contract in OUTPUTS.items()}


def t_cells(sizes: Mapping[int, int]) -> list[dict[str, Any]]:
    """Clone -> cells."""
    return [chain(f"t{clone}x{i}", clone) for clone, n in sizes.items() for i in range(n)]


def b_cells(sizes: Mapping[int, int]) -> list[dict[str, Any]]:
    # Far apart, so that no two numbers are of one clone.
    return [
        chain(f"b{clone}x{i}", 0, "IGH", cdr3_nt="TGT" + "ACGT"[clone] * 30, c_gene="IGHM")
        for clone, n in sizes.items()
        for i in range(n)
    ]


def test_clones_are_followed_from_the_product_into_the_blood(tmp_path: Path) -> None:
    blood = [*t_cells({1: 16, 2: 2, 3: 2}), *b_cells({1: 8, 2: 4})]
    types = {c["cell"]: "cd8_t" if c["cell"].startswith("t") else "naive_b" for c in blood}
    calls = {c: "positive" if c.startswith("t1x") else "negative" for c in types if c.startswith("t")}
    calls |= {c: "not_assessed" for c in types if c.startswith("b")}
    # The matrix writes barcodes without the suffix that the contigs have.
    suffixed = [{**c, "cell": f"{c['cell']}-1"} for c in blood]
    status, written = call(
        tmp_path,
        [
            tables_of(
                library("L2", "S1", 28, cells=True, bcr=True, visit="M1"),
                suffixed,
                types=types_of("L2", types),
                cars=cars_of("L2", calls),
            ),
            tables_of(product("L1"), t_cells({1: 4, 2: 30, 4: 6})),
            tables_of(library("L0", "S0", -7, bcr=True, tcr=False), b_cells({1: 10})),
        ],
    )
    assert status == 0
    made = tables_in(written)
    clones = made["clones"].set_index("cdr3_aa")
    name = {n: clones.loc[f"C{n}F", "clonotype"] for n in (1, 2, 3, 4)}
    first = records(clones.loc[["C1F"]])[0]
    assert (first["cells"], first["in_product"], first["car_positive"], first["last_study_day"]) == (
        20,
        True,
        16,
        28,
    )
    totals = {(r["population"], r["sample_id"]): r["cells"] for r in records(made["totals"])}
    assert totals == {
        ("t_cells", "IP"): 40,
        ("t_cells", "S1"): 20,
        ("car_t_cells", "S1"): 16,
        ("b_cells", "S0"): 10,
        ("b_cells", "S1"): 12,
    }
    shares = {
        (r["clonotype"], r["sample_id"]): r["percent"]
        for r in records(made["samples"])
        if r["population"] == "t_cells"
    }
    assert shares[name[1], "S1"] == 80
    assert shares[name[2], "IP"] == 75
    assert (name[4], "S1") not in shares
    changed = {r["clonotype"]: r["change"] for r in records(made["changes"]) if r["population"] == "t_cells"}
    assert changed[name[1]] == "expanded"
    assert changed[name[2]] == "contracted"
    (persisted,) = records(made["persistence"])
    assert (persisted["found"], persisted["product_clones"], persisted["landmark"]) == (2, 3, "M1")
    assert persisted["percent"] == 90
    old = {r["sample_id"]: r for r in records(made["b-return"]) if r["measure"] == "old_clones"}
    assert (old["S1"]["cells"], old["S1"]["total"]) == (8, 12)
    assert set(made["diversity"]["population"]) == {"t_cells", "car_t_cells", "b_cells"}
    assert "morisita_horn" in made["overlap"]
    assert made["qc"].empty
    with gzip.open(written["airr"], "rt") as file:
        airr = pd.read_csv(file, sep="\t")
    assert len(airr) == 20 + 12 + 40 + 10
    assert set(airr.loc[airr["junction_aa"] == "C1F", "clone_id"]) == {name[1]}


@pytest.mark.parametrize(
    ("libraries", "filled"),
    [
        pytest.param(
            [(library("L1"), {1: 12}, {})], {"clones", "samples", "totals"}, id="one sample, T only"
        ),
        pytest.param(
            [(library("L1", tcr=False, bcr=True), {}, {1: 12})],
            {"clones", "samples", "b-return"},
            id="B only",
        ),
        pytest.param(
            [(product("L1"), {1: 12}, {}), (library("L2"), {}, {})],
            {"totals", "persistence"},
            id="nothing after the product",
        ),
        pytest.param([(library("L1", bcr=True), {}, {})], {"totals", "b-return"}, id="no cells at all"),
    ],
)
def test_what_is_missing_leaves_every_table_valid(
    tmp_path: Path, libraries: list[tuple[PlannedLibrary, dict[int, int], dict[int, int]]], filled: set[str]
) -> None:
    status, written = call(tmp_path, [tables_of(lib, [*t_cells(t), *b_cells(b)]) for lib, t, b in libraries])
    assert status == 0
    made = tables_in(written)
    assert filled <= {name for name, table in made.items() if len(table)}
    without_cells = made["totals"][made["totals"]["cells"] == 0]
    assert without_cells["reason"].notna().all()
    assert made["changes"].empty
    assert written["airr"].is_file()
    product_told = "clone_product" in set(made["qc"]["check"])
    assert product_told == (any(lib.tcr for lib, *_ in libraries) and len(libraries) == 1)


def test_tables_of_another_library_are_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tables_of(library("L1"), t_cells({1: 2}))
    one.chains["library"] = "L9"
    status, written = call(tmp_path, [one])
    assert status == 2
    assert "L1: a table holds cells of another library" in capsys.readouterr().err
    assert not any(path.exists() for path in written.values())
