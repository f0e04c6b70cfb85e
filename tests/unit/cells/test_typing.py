"""Cells of known types come back; what can't be known stays open; the CAR has no say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from tests.unit.cells.hand_types import cells_of, symbols, typed

from cartrace.cells.settings import Types
from cartrace.cells.typing import Typed, overruled

LINEAGE_PANELS = {
    "t": ("t", 60),
    "nk": ("nk", 30),
    "b": ("b", 30),
    "plasma": ("plasma", 4),
    "monocyte": ("monocyte", 30),
    "cd16_monocyte": ("monocyte", 15),
    "conventional_dendritic": ("dendritic", 12),
    "plasmacytoid_dendritic": ("dendritic", 12),
    "progenitor": ("progenitor", 12),
    "platelet": ("platelet", 12),
    "erythroid": ("erythroid", 12),
}
KINDS = [[f"lineages.{p}"] for p, (_, n) in LINEAGE_PANELS.items() for _ in range(n)]
TRUTH = np.array([lineage for lineage, n in LINEAGE_PANELS.values() for _ in range(n)], dtype=object)


@pytest.fixture(scope="module")
def mixed() -> tuple[sparse.csr_array, Typed]:
    counts = cells_of(KINDS, umis=3000)
    return counts, typed(counts)[1]


def test_every_lineage_comes_back_the_rare_ones_too(mixed: tuple[sparse.csr_array, Typed]) -> None:
    _, found = mixed
    for lineage in set(TRUTH):
        right = found.lineage[lineage == TRUTH] == lineage
        assert right.mean() > 0.9, lineage
    assert (found.lineage[TRUTH == "plasma"] == "plasma").all()
    wrong = (found.lineage != TRUTH) & (found.lineage != "unassigned")
    assert wrong.mean() < 0.02


def test_confidence_is_a_probability_and_types_belong_to_their_lineage(
    mixed: tuple[sparse.csr_array, Typed],
) -> None:
    from cartrace.cells.vocabulary import CELL_TYPES

    _, found = mixed
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert [CELL_TYPES[t] for t in found.cell_type] == found.lineage.tolist()
    assert all((s is None) == (n != "t") for s, n in zip(found.state, found.lineage, strict=True))


def test_blocks_and_order_of_cells_do_not_matter(mixed: tuple[sparse.csr_array, Typed]) -> None:
    counts, found = mixed
    order = np.random.default_rng(5).permutation(counts.shape[0])
    again = typed(counts[order], block=31)[1]
    assert (again.lineage == found.lineage[order]).all()
    assert again.confidence == pytest.approx(found.confidence[order], abs=0.02)


def test_the_car_feature_changes_nothing(mixed: tuple[sparse.csr_array, Typed]) -> None:
    counts, found = mixed
    car = sparse.csr_array(np.random.default_rng(1).poisson(40, (counts.shape[0], 1)))
    with_car = sparse.csr_array(sparse.hstack([counts, car], format="csr"))
    usable = np.append(np.ones(counts.shape[1], dtype=bool), False)
    # Even when the feature is named like a marker.
    again = typed(with_car, names=[*symbols(), "CD8A"], usable=usable)[1]
    assert (again.cell_type == found.cell_type).all()
    assert again.confidence == pytest.approx(found.confidence)
    assert (again.phase == found.phase).all()


def test_cells_of_no_known_kind_and_shallow_cells_are_unassigned() -> None:
    nothing = cells_of([[]] * 60 + [["lineages.t"]] * 60, umis=4000)
    found = typed(nothing)[1]
    assert (found.lineage[:60] == "unassigned").all()
    shallow = sparse.csr_array(np.minimum(cells_of([["lineages.t"]] * 20, umis=100).toarray(), 3))
    low = typed(shallow)[1]
    assert (low.lineage == "unassigned").all()
    assert (low.confidence == 0).all()
    assert all(p is None for p in low.phase)
    assert not low.cycling.any()


def test_a_library_without_cells_or_with_one_is_typed_too() -> None:
    assert len(typed(cells_of([]))[1].lineage) == 0
    assert typed(cells_of([["lineages.b"]]))[1].lineage.tolist() == ["b"]


def test_cells_that_failed_are_typed_but_not_learned_from() -> None:
    counts = cells_of([["lineages.t"]] * 40 + [["lineages.b"]] * 40)
    passed = np.ones(80, dtype=bool)
    passed[::2] = False
    kept, found = typed(counts, passed=passed)
    assert kept.learnable.sum() == 40
    assert (found.lineage == np.repeat(["t", "b"], 40)).mean() > 0.95


def test_a_t_cell_without_cd3_but_with_a_receptor_is_a_t_cell() -> None:
    bare = cells_of([["lineages.t"]] * 1, umis=300, seed=3).toarray() * 0
    bare[0, -100:] = 3
    bare[0, symbols().index("CD2")] = 1
    counts = sparse.csr_array(bare)
    assert typed(counts)[1].lineage.tolist() == ["unassigned"]
    assert typed(counts, t_receptor=np.array([True]))[1].lineage.tolist() == ["t"]


def test_the_isotype_of_the_receptor_tells_switched_from_naive() -> None:
    kinds = [["lineages.b"]] * 40
    counts = cells_of(kinds)
    n = counts.shape[0]
    plain = typed(counts, b_receptor=np.ones(n, dtype=bool))[1]
    switched = typed(counts, b_receptor=np.ones(n, dtype=bool), isotype=np.full(n, "IGHG1"))[1]
    unswitched = typed(counts, b_receptor=np.ones(n, dtype=bool), isotype=np.full(n, "IGHD"))[1]
    share = [(f.cell_type == "switched_memory_b").mean() for f in (unswitched, plain, switched)]
    assert share[0] <= share[1] <= share[2]
    assert share[0] < 0.1
    assert not np.isin(switched.cell_type, ["naive_b", "transitional_b", "non_switched_memory_b"]).any()


@pytest.mark.parametrize(
    "name",
    ["transitional_b", "naive_b", "non_switched_memory_b", "switched_memory_b", "double_negative_b"],
)
def test_b_cell_types_come_back(name: str) -> None:
    found = typed(cells_of([["lineages.b", f"types.b.{name}"]] * 40, umis=5000))[1]
    assert (found.cell_type == name).mean() > 0.8
    assert (found.lineage == "b").all()


def test_plasmablasts_divide_and_plasma_cells_do_not() -> None:
    kinds = [["lineages.plasma", "types.plasma.plasmablast"]] * 20
    kinds += [["lineages.plasma", "types.plasma.plasma_cell"]] * 20
    found = typed(cells_of(kinds, umis=5000))[1]
    assert (found.cell_type[:20] == "plasmablast").mean() > 0.9
    assert (found.cell_type[20:] == "plasma_cell").mean() > 0.9


def test_types_stay_open_when_the_matrix_lacks_the_markers_of_one() -> None:
    counts = cells_of([["lineages.b", "types.b.naive_b"]] * 30)
    names = symbols()
    gone = {"IGHM", "IGHD", "TCL1A", "IL4R", "FCER2", "YBX3", "BACH2", "PLPP5", "APLP2", "BTG1"}
    keep = [i for i, n in enumerate(names) if n not in gone]
    found = typed(sparse.csr_array(counts[:, keep]), names=[names[i] for i in keep])[1]
    assert set(found.cell_type) == {"unassigned_b"}
    assert found.markers["types.b"]["naive_b"] < Types().min_markers


def model_says(found: Typed, types: list[str], sure: float) -> tuple[Typed, np.ndarray, np.ndarray]:
    return overruled(found, np.array(types, dtype=object), np.full(len(types), sure), Types())


def test_a_model_names_types_where_it_does_not_contradict_the_panels() -> None:
    counts = cells_of([["lineages.t"]] * 20 + [["lineages.b"]] * 20 + [[]] * 20)
    found = typed(counts)[1]
    says = ["cd8_t"] * 10 + ["nk"] * 10 + ["unassigned_b"] * 20 + ["treg"] * 20
    joined, against, both = model_says(found, says, 0.95)
    assert set(joined.cell_type[:10]) == {"cd8_t"}
    assert set(joined.lineage[10:20]) == {"unassigned"}
    assert against.sum() == 10
    assert both.sum() == 40
    assert (joined.cell_type[20:40] == found.cell_type[20:40]).all()
    assert set(joined.cell_type[40:]) == {"treg"}
    assert set(joined.state[40:]) == {"treg"}
    assert all(s is None for s in joined.state[10:40])
    unsure, against, _ = model_says(found, says, 0.5)
    assert (unsure.cell_type == found.cell_type).all()
    assert not against.any()
