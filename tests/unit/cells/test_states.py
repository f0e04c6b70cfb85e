"""CD4 and CD8, states of T cells, and the cell cycle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from tests.unit.cells.hand_types import cells_of, symbols, typed

from cartrace.cells.scores import GeneCounts
from cartrace.cells.t_subsets import SplitSettings, clear_cells, lacking, learn_split

T = "lineages.t"


def counted(cd4: list[int], cd8a: list[int], cd8b: list[int], totals: list[float]) -> GeneCounts:
    rows = np.array([cd4, cd8a, cd8b], dtype=np.float32).T
    return GeneCounts(
        ("CD4", "CD8A", "CD8B"), sparse.csr_array(rows), np.array(totals), np.ones(3, dtype=bool)
    )


def test_clear_cells_by_hand() -> None:
    counts = counted([1, 1, 0, 0, 0, 0], [0, 1, 1, 2, 1, 0], [0, 0, 0, 0, 1, 2], [1e4] * 6)
    cd4, cd8 = clear_cells(counts)
    assert cd4.tolist() == [True, False, False, False, False, False]
    # One UMI of CD8A alone may be the hinge of a CAR.
    assert cd8.tolist() == [False, False, False, True, True, True]


def split_of(n: int, gap: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_cd8 = np.arange(n) % 2 == 1
    features = rng.normal(0, 1, (n, 4))
    features[:, 0] += gap * (is_cd8 - 0.5)
    clear = rng.random(n) < 0.4
    return features, is_cd8, clear & ~is_cd8, clear & is_cd8


def test_what_dropout_hides_is_learned_from_clear_cells() -> None:
    features, is_cd8, cd4, cd8 = split_of(400, 4.0)
    split = learn_split(features, np.zeros(400), cd4, cd8, SplitSettings())
    hidden = ~(cd4 | cd8)
    assert ((split.log_odds > 0) == is_cd8)[hidden].mean() > 0.95
    assert split.accuracy == pytest.approx(0.977, abs=0.02)  # normal cdf of 2


def test_a_model_that_knows_nothing_says_little() -> None:
    features, _, cd4, cd8 = split_of(400, 0.0)
    split = learn_split(features, np.zeros(400), cd4, cd8, SplitSettings())
    assert split.accuracy == pytest.approx(0.5, abs=0.12)
    assert np.abs(split.log_odds).mean() < 0.6


def test_too_few_clear_cells_leave_the_panels_alone() -> None:
    features, _, cd4, cd8 = split_of(60, 4.0)
    prior = np.linspace(-1, 1, 60)
    split = learn_split(features, prior, cd4, cd8, SplitSettings(least_seeds=50))
    assert (split.log_odds == prior).all()
    assert np.isnan(split.accuracy)


def test_a_cell_is_double_negative_only_with_its_neighbours() -> None:
    # Clear cells have 4 UMIs in 10,000: half of it, in three cells of 10,000, gives 6 expected.
    clear = counted([4, 4, 0, 0, 0, 0, 0, 0], [0, 0, 4, 4, 0, 0, 0, 0], [0] * 8, [1e4] * 8)
    cd4, cd8 = clear_cells(clear)
    near = np.array([[1, 1], [0, 0], [3, 3], [2, 2], [5, 6], [4, 6], [4, 5], [0, 2]])
    sure = lacking(clear, near, cd4, cd8, share=0.2, least_expected=5.0)
    assert sure[4] == pytest.approx(1 - np.exp(-6))
    assert (sure[:4] == 0).all()
    assert sure[7] == 0  # neighbours with UMIs
    alone = lacking(clear, near[:, :0], cd4, cd8, share=0.2, least_expected=5.0)
    assert (alone == 0).all()


def test_cd4_cd8_treg_and_gamma_delta_come_back_through_dropout() -> None:
    kinds = [[T, "types.t.cd4_t"]] * 90 + [[T, "types.t.cd8_t"]] * 90
    kinds += [[T, "types.t.treg"]] * 40 + [[T, "types.t.gamma_delta_t"]] * 30
    truth = np.repeat(["cd4_t", "cd8_t", "treg", "gamma_delta_t"], [90, 90, 40, 30])
    counts = cells_of(kinds, umis=3000)
    _, found = typed(counts)
    names = symbols()
    single = np.asarray(counts[:, [names.index("CD4")]].todense()).ravel()[:90] > 0
    assert single.mean() < 0.3  # so many a single gene would find
    for name, least in (("cd4_t", 0.85), ("cd8_t", 0.85), ("treg", 0.6), ("gamma_delta_t", 0.65)):
        assert (found.cell_type[truth == name] == name).mean() > least, name
    # A Treg that does not show it is a CD4 T cell still.
    right = (found.cell_type == truth) | ((truth == "treg") & (found.cell_type == "cd4_t"))
    wrong = ~right & (found.cell_type != "unassigned_t")
    assert wrong.mean() < 0.05
    assert set(found.state[found.cell_type == "treg"]) <= {"treg", "proliferating"}


def test_cd8a_of_the_cars_hinge_does_not_make_cd8_cells() -> None:
    kinds = [[T, "types.t.cd4_t"]] * 80 + [[T, "types.t.cd8_t"]] * 80
    counts = cells_of(kinds, umis=3000).toarray()
    rng = np.random.default_rng(2)
    counts[:40, symbols().index("CD8A")] += rng.poisson(1.5, 40)  # CAR+ CD4 cells of a 5' library
    found = typed(sparse.csr_array(counts))[1]
    assert (found.cell_type[:40] == "cd8_t").mean() < 0.1
    assert (found.cell_type[80:] == "cd8_t").mean() > 0.85


@pytest.mark.parametrize("state", ["naive", "central_memory", "effector_memory", "cytotoxic", "exhausted"])
def test_states_come_back(state: str) -> None:
    found = typed(cells_of([[T, f"states.{state}"]] * 40, umis=4000, seed=4))[1]
    is_t = found.lineage == "t"
    assert is_t.mean() > 0.9
    assert (found.state[is_t] == state).mean() > 0.8
    sure = found.state_confidence[is_t]
    assert ((sure > 0) & (sure <= 1)).all()


def test_dividing_cells_are_found_among_resting_ones_and_in_a_product() -> None:
    for dividing in (10, 60):
        kinds = [[T]] * (100 - dividing) + [[T, "cell_cycle.S"], [T, "cell_cycle.G2M"]] * (dividing // 2)
        found = typed(cells_of(kinds, umis=4000, seed=6))[1]
        rest = 100 - dividing
        assert not found.cycling[:rest].any()
        assert found.cycling[rest:].mean() > 0.8
        assert set(found.phase[rest::2][found.cycling[rest::2]]) == {"S"}
        assert set(found.phase[rest + 1 :: 2][found.cycling[rest + 1 :: 2]]) == {"G2M"}
        assert set(found.state[rest:][found.cycling[rest:] & (found.lineage[rest:] == "t")]) == {
            "proliferating"
        }
