"""The tables of one library, joined for the caller."""

from __future__ import annotations

import math

from tests.unit.cells.hand_cars import cells_table, molecules_table, types_table

from cartrace.cells.car_cells import car_cells


def test_counts_of_the_feature_are_the_evidence_without_reads() -> None:
    found = car_cells(cells_table([0, 3, 1]), types_table(["t", "t", "b"], [True, False, True]))
    assert found.evidence == "counts"
    assert found.molecules.tolist() == [0, 3, 1]
    assert found.t_cells.tolist() == [True, True, False]
    assert found.others({"b"}).tolist() == [False, False, True]
    assert found.others({"monocyte"}).tolist() == [False] * 3
    assert found.feature_ratio == 1.0


def test_unique_and_junction_molecules_of_the_product_are_the_evidence_with_reads() -> None:
    molecules = molecules_table([("C1", "mine", 2, 1), ("C1", "other", 5, 0), ("empty", "mine", 4, 0)])
    found = car_cells(cells_table([0, 6, 0]), types_table(["t"] * 3), molecules, ["mine"])
    assert found.evidence == "molecules"
    assert found.molecules.tolist() == [0, 3, 0]
    assert found.molecules_outside == 4
    assert found.feature_ratio == 0.5
    both = car_cells(cells_table([0, 6, 0]), types_table(["t"] * 3), molecules)
    assert both.molecules.tolist() == [0, 8, 0]


def test_reads_without_any_car_molecule_are_evidence_too() -> None:
    found = car_cells(cells_table([None, None]), types_table(["t", "t"]), molecules_table([]))
    assert found.evidence == "molecules"
    assert found.molecules.tolist() == [0, 0]
    assert math.isnan(found.feature_ratio)


def test_a_matrix_without_the_feature_is_no_evidence() -> None:
    found = car_cells(cells_table([None, None]), types_table(["t", "t"]))
    assert found.evidence == "none"


def test_a_cell_without_a_type_does_not_count() -> None:
    found = car_cells(cells_table([1, 1]), types_table(["t"]))
    assert found.lineage.tolist() == ["t", "unassigned"]
    assert found.counted.tolist() == [True, False]


def test_tags_and_clones_come_along() -> None:
    table = cells_table([1, 1], car_tag_umis=[9, None], t_clone=["a", None])
    found = car_cells(table, types_table(["t", "t"]))
    assert found.tag is not None
    assert found.tag.tolist() == [9, 0]
    assert found.clone.tolist() == ["a", ""]
    assert car_cells(cells_table([1]), types_table(["t"])).tag is None
