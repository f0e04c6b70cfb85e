"""Cells with a clone: barcodes, types and calls joined by hand."""

from __future__ import annotations

import pandas as pd
from tests.unit.repertoire.hand_clones import cars_of, chain, library, tables_of, types_of

from cartrace.repertoire.clone_cells import LibraryTables, aligned, clone_cells, countable_chains
from cartrace.tables import records

NO_B = pd.DataFrame({"library": [], "cell": [], "clonotype": []})
NO_T = pd.DataFrame({"library": [], "cell": [], "beta_clonotype": [], "paired_clonotype": []})


def t_clones(clones: dict[str, str], name: str = "L1") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "library": name,
            "cell": list(clones),
            "beta_clonotype": list(clones.values()),
            "paired_clonotype": [f"{c}p" if c != "open" else None for c in clones.values()],
        }
    )


def told(frame: pd.DataFrame, *columns: str) -> dict[str, tuple[object, ...]]:
    return {r["cell"]: tuple(r[c] for c in columns) for r in records(frame)}


def join(
    one: LibraryTables, clones: dict[str, str], **more: str
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    return clone_cells("P1", [one], t_clones(clones), NO_B, **({"t_chains": "trb"} | more))


def test_types_and_calls_are_those_of_the_barcode() -> None:
    types = types_of("L1", {"a": "cd8_t", "b": ("cd4_t", False), "c": "naive_b", "d": "unassigned"})
    one = tables_of(
        library("L1", cells=True),
        [chain(c, 1) for c in "abcde"],
        types=types,
        cars=cars_of("L1", {"a": "positive", "b": "negative"}),
    )
    frame, found = join(one, dict.fromkeys("abcde", "T-1"))
    assert told(frame, "cell_type", "state", "car", "counts") == {
        "a": ("cd8_t", "cytotoxic", "positive", True),
        "b": ("cd4_t", "cytotoxic", "negative", False),
        "c": ("naive_b", None, None, False),
        "d": ("unassigned", None, None, False),
        "e": (None, None, None, False),
    }
    (odd,) = found
    assert odd["check"] == "receptor_lineage"
    assert "2 of 3 cells with a T-cell receptor (67 %)" in odd["message"]
    assert "(1 b, 1 unassigned)" in odd["message"]
    assert odd["verdict"] == "warn"


def test_without_a_matrix_every_cell_counts_and_nothing_is_known_of_it() -> None:
    frame, found = join(tables_of(library("L1"), [chain("a", 1)]), {"a": "T-1"})
    assert told(frame, "cell_type", "lineage", "state", "car", "counts") == {
        "a": (None, None, None, None, True)
    }
    assert not found


def test_where_car_positive_cells_were_sorted_every_t_cell_is_positive() -> None:
    types = types_of("L1", {"a": "cd8_t"})
    for more in (
        {"types": None, "cars": None},
        {"types": types, "cars": None},
        {"types": types, "cars": cars_of("L1", {"a": "negative"})},
    ):
        one = tables_of(
            library("L1", sort="car_positive", cells=more["types"] is not None), [chain("a", 1)], **more
        )
        assert told(join(one, {"a": "T-1"})[0], "car") == {"a": ("positive",)}


def test_a_b_cell_has_the_isotype_and_mutations_of_its_first_heavy_chain() -> None:
    chains = [
        chain("a", 1, "IGH", c_gene="IGHG1", mutation_frequency=0.05),
        chain("a", 2, "IGH", rank=2, c_gene="IGHM", mutation_frequency=0.0),
        chain("a", 3, "IGK", c_gene="IGKC"),
        chain("b", 1, "IGH"),
    ]
    one = tables_of(
        library("L1", bcr=True, cells=True),
        chains,
        types=types_of("L1", {"a": "plasmablast", "b": "cd4_t"}),
    )
    b_clones = pd.DataFrame({"library": "L1", "cell": ["a", "b"], "clonotype": "B-1"})
    frame, found = clone_cells("P1", [one], NO_T, b_clones, t_chains="trb")
    assert told(frame, "receptor", "isotype", "mutation_frequency", "counts") == {
        "a": ("B", "IGHG1", 0.05, True),
        "b": ("B", None, None, False),
    }
    assert "B-cell receptor (50 %)" in found[0]["message"]
    assert found[0]["verdict"] == "note"


def test_the_paired_clone_is_tracked_on_demand_and_cells_that_it_leaves_open_have_none() -> None:
    one = tables_of(library("L1"), [chain("a", 1), chain("b", 2)])
    clones = {"a": "T-1", "b": "open"}
    assert told(join(one, clones)[0], "clonotype", "beta_clonotype", "paired_clonotype") == {
        "a": ("T-1", "T-1", "T-1p"),
        "b": ("open", "open", None),
    }
    assert told(join(one, clones, t_chains="paired")[0], "clonotype") == {"a": ("T-1p",)}


def test_suffixes_of_barcodes_do_not_part_contigs_and_matrix() -> None:
    one = tables_of(
        library("L1", cells=True),
        [chain("AA-1", 1), chain("CC-1", 2)],
        types=types_of("L1", {"AA": "cd8_t", "GG": "nk"}),
    )
    same, found = aligned(one)
    assert same.chains["cell"].tolist() == same.receptors["cell"].tolist() == ["AA", "CC-1"]
    assert [(f["verdict"], f["value"]) for f in found] == [("note", "50 %")]


def test_contigs_of_another_library_are_a_failure() -> None:
    one = tables_of(library("L1", cells=True), [chain("AA", 1)], types=types_of("L1", {"GG": "nk"}))
    (odd,) = aligned(one)[1]
    assert odd["verdict"] == "fail"
    assert "none of the 1 barcodes" in odd["message"]


def test_cells_with_t_and_b_chains_give_no_clone() -> None:
    one = tables_of(library("L1"), [chain("a", 1), chain("b", 1), chain("b", 2, "IGH")])
    assert countable_chains([one])["cell"].tolist() == ["a"]


def test_a_subject_without_cells_gives_an_empty_table() -> None:
    frame, found = clone_cells("P1", [tables_of(library("L1"), [])], NO_T, NO_B, t_chains="trb")
    assert frame.empty
    assert not found
