"""Clones by population and sample, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.repertoire.hand_clones import cells_of, chain, chains_of, library, product

from cartrace.repertoire.samples import PlannedLibrary, samples_of
from cartrace.repertoire.settings import Tracking
from cartrace.repertoire.tables import CLONE_CELLS
from cartrace.repertoire.tracking import clone_samples, clone_totals, clones_table, count_clones
from cartrace.tables import concat, records

FEW = Tracking(min_sample_cells=4)


def totals(cells: pd.DataFrame, libraries: Sequence[PlannedLibrary]) -> dict[tuple[str, str], dict[str, Any]]:
    samples = samples_of(libraries)
    table = clone_totals("P1", count_clones(cells, libraries, samples), samples, FEW)
    return {(r["population"], r["sample_id"]): r for r in records(table)}


def test_shares_have_exact_intervals() -> None:
    lib = library("L1")
    samples = samples_of([lib])
    counts = count_clones(cells_of(lib, {"T-1": 10, "T-2": 1, "T-3": 9}), [lib], samples)
    table = {r["clonotype"]: r for r in records(clone_samples("P1", counts, samples, FEW))}
    assert table["T-1"]["percent"] == 50
    # Clopper and Pearson, 10 of 20 and 1 of 20 (published tables).
    assert table["T-1"]["lower"] == pytest.approx(27.20, abs=0.005)
    assert table["T-1"]["upper"] == pytest.approx(72.80, abs=0.005)
    assert table["T-2"]["lower"] == pytest.approx(0.1265, abs=5e-4)
    assert table["T-2"]["upper"] == pytest.approx(24.87, abs=0.005)
    assert {r["total"] for r in table.values()} == {20}


def test_a_sample_tells_its_depth_sizes_and_limit_of_detection() -> None:
    lib = library("L1", visit="M1")
    # 3 cells unique, 4 in a pair and a pair, 6 in one of 6, 12 in one of 12.
    cells = cells_of(lib, {"a": 1, "b": 1, "c": 1, "d": 2, "e": 2, "f": 6, "g": 12})
    row = totals(cells, [lib])["t_cells", "S1"]
    assert (row["cells"], row["clones"], row["expanded"], row["visit"]) == (25, 7, 2, "M1")
    assert row["bins"] == "1:12;2-4:16;5-9:24;10+:48"
    assert row["lod"] == pytest.approx(100 * (1 - 0.05 ** (1 / 25)))
    assert row["verdict"] == "accepted"


def test_libraries_of_a_population_are_pooled_and_sorts_kept_apart() -> None:
    libraries = [
        library("L1", cells=True),
        library("L2", sort="t_cells"),
        library("L3", sort="car_positive"),
        library("L4", sort="other"),
        library("L5", sort="b_cells", bcr=True),
    ]
    cells = concat(
        [
            cells_of(libraries[0], {"a": 3}, car="positive"),
            cells_of(libraries[0], {"b": 2}, car="negative"),
            cells_of(libraries[1], {"a": 4}),
            cells_of(libraries[2], {"a": 5, "c": 1}, car="positive"),
            cells_of(libraries[3], {"d": 50}),
            cells_of(libraries[4], {"B-1": 6}, receptor="B"),
            cells_of(libraries[4], {"T-9": 6}),
        ],
        CLONE_CELLS,
    )
    found = totals(cells, libraries)
    assert {k: (r["cells"], r["clones"], r["libraries"]) for k, r in found.items()} == {
        ("t_cells", "S1"): (9, 2, "L1;L2"),
        ("car_t_cells", "S1"): (9, 2, "L1;L3"),
        ("b_cells", "S1"): (6, 1, "L5"),
    }


def test_cells_that_do_not_count_are_left_out() -> None:
    lib = library("L1")
    cells = concat([cells_of(lib, {"a": 5}), cells_of(lib, {"b": 5}, counts=False)], CLONE_CELLS)
    row = totals(cells, [lib])["t_cells", "S1"]
    assert (row["cells"], row["clones"]) == (5, 1)


def test_no_cell_and_few_cells_are_rows_with_a_reason() -> None:
    libraries = [
        library("L1", "S1"),
        library("L2", "S2", day=60),
        library("L3", "S3", day=90, cells=True),
        library("L4", "S3", day=90, cells=True),
    ]
    cells = concat(
        [cells_of(libraries[0], {"a": 3}), cells_of(libraries[2], {"a": 5}, car="not_assessed")], CLONE_CELLS
    )
    found = totals(cells, libraries)
    assert {k: (r["verdict"], r["reason"], r["bins"]) for k, r in found.items()} == {
        ("t_cells", "S1"): ("rejected", "3 cells with a clone, fewer than 4", None),
        ("t_cells", "S2"): ("rejected", "no T cell that counts has a clone", None),
        ("t_cells", "S3"): ("flagged", "no cell from L4", "1:0;2-4:0;5-9:100;10+:0"),
        ("car_t_cells", "S3"): ("rejected", "the CAR was not called in its T cells", None),
    }
    assert found["t_cells", "S1"]["lod"] == pytest.approx(100 * (1 - 0.05 ** (1 / 3)))
    assert found["t_cells", "S2"]["lod"] is None
    samples = samples_of(libraries)
    shown = records(clone_samples("P1", count_clones(cells, libraries, samples), samples, FEW))
    assert {r["sample_id"]: r["percent"] for r in shown} == {"S1": None, "S3": 100}


def test_no_b_cell_is_told_where_b_cells_were_sequenced() -> None:
    found = totals(cells_of(library("L1"), {}), [library("L1", tcr=False, bcr=True)])
    assert {k: r["reason"] for k, r in found.items()} == {
        ("b_cells", "S1"): "no B cell that counts has a clone"
    }


def test_states_of_a_clone_are_counted_the_most_frequent_first() -> None:
    lib = library("L1")
    cells = concat(
        [
            cells_of(lib, {"a": 1}, state="naive", cell="x"),
            cells_of(lib, {"a": 2}, state="cytotoxic"),
            cells_of(lib, {"a": 1}, state="exhausted", cell="y"),
            cells_of(lib, {"b": 1}),
        ],
        CLONE_CELLS,
    )
    samples = samples_of([lib])
    table = records(clone_samples("P1", count_clones(cells, [lib], samples), samples, FEW))
    assert {r["clonotype"]: r["states"] for r in table} == {
        "a": "cytotoxic:2;exhausted:1;naive:1",
        "b": None,
    }


def test_a_clone_has_the_genes_of_most_of_its_cells_and_tells_where_it_was_seen() -> None:
    libraries = [product("L0"), library("L1", "S1", 14), library("L2", "S2", 28)]
    cells = concat(
        [
            cells_of(libraries[0], {"T-1": 2}, car="positive", paired_clonotype="p"),
            cells_of(libraries[1], {"T-1": 1}, car="negative", paired_clonotype="q"),
            cells_of(libraries[1], {"T-2": 1}, car="undetermined"),
            cells_of(libraries[2], {"T-2": 3}, counts=False),
            cells_of(libraries[2], {"T-3": 3}, counts=False),
        ],
        CLONE_CELLS,
    )
    chains = pd.concat(
        [
            chains_of(
                "L0",
                [
                    chain("T-1-0", 1),
                    chain("T-1-1", 1),
                    chain("T-1-0", 7, "TRA"),
                    chain("T-1-0", 8, "TRB", rank=2),
                ],
            ),
            chains_of("L1", [chain("T-1-0", 2), chain("T-2-0", 3)]),
        ]
    )
    table, found = clones_table("P1", cells, chains, samples_of(libraries))
    first, second = records(table)
    assert (first["clonotype"], second["clonotype"]) == ("T-1", "T-2")
    assert (first["v_gene"], first["cdr3_aa"], first["alpha_cdr3_aa"]) == ("TRBV1", "C1F", "C7F")
    assert (first["cells"], first["samples"], first["in_product"], first["paired_clonotypes"]) == (
        3,
        2,
        True,
        2,
    )
    assert (first["car_positive"], first["car_negative"]) == (2, 1)
    assert (first["first_study_day"], first["last_study_day"]) == (0, 14)
    assert (second["cells"], second["in_product"], second["last_study_day"]) == (1, False, 14)
    assert (second["car_positive"], second["car_negative"], second["alpha_cdr3_aa"]) == (None, None, None)
    assert "1 of 1 clones with a CAR call" in found[0]["message"]


def test_the_light_chain_of_most_umis_stands_for_a_b_clone() -> None:
    lib = library("L1", bcr=True)
    cells = cells_of(lib, {"B-1": 1}, receptor="B")
    chains = chains_of(
        "L1",
        [
            chain("B-1-0", 1, "IGH"),
            chain("B-1-0", 2, "IGK", umis=3),
            chain("B-1-0", 3, "IGL", umis=9),
        ],
    )
    (row,) = records(clones_table("P1", cells, chains, samples_of([lib]))[0])
    assert (row["v_gene"], row["alpha_cdr3_aa"], row["paired_clonotypes"]) == ("IGHV1", "C3F", None)


def test_delta_chains_stand_for_a_clone_only_without_a_beta_chain() -> None:
    lib = library("L1")
    cells = concat([cells_of(lib, {"T-1": 1}), cells_of(lib, {"T-2": 1})], CLONE_CELLS)
    chains = chains_of(
        "L1",
        [
            chain("T-1-0", 1, "TRD", umis=50),
            chain("T-1-0", 2, "TRB"),
            chain("T-2-0", 3, "TRD"),
            chain("T-2-0", 4, "TRG"),
        ],
    )
    beta, delta = records(clones_table("P1", cells, chains, samples_of([lib]))[0])
    assert (beta["v_gene"], beta["cdr3_aa"]) == ("TRBV1", "C2F")
    assert (delta["v_gene"], delta["cdr3_aa"], delta["alpha_cdr3_aa"]) == ("TRDV1", "C3F", "C4F")


def test_no_cells_give_no_clones() -> None:
    lib = library("L1")
    table, found = clones_table("P1", cells_of(lib, {}), chains_of("L1", []), samples_of([lib]))
    assert table.empty
    assert not found


@settings(max_examples=8, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1),
    st.randoms(use_true_random=False),
)
def test_neither_the_order_of_cells_nor_a_split_library_changes_a_number(
    clones: dict[str, int], random: Any
) -> None:
    whole, halves = [library("L1")], [library("L1"), library("L2")]
    cells = cells_of(whole[0], clones)
    order = list(range(len(cells)))
    random.shuffle(order)
    mixed = cells.iloc[order].reset_index(drop=True)
    mixed["library"] = [random.choice(["L1", "L2"]) for _ in order]
    samples = samples_of(whole)
    one, other = (
        clone_samples("P1", count_clones(c, libs, samples), samples, FEW)
        for c, libs in ((cells, whole), (mixed, halves))
    )
    pd.testing.assert_frame_equal(one, other)
