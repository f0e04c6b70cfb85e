"""Limits of cells and libraries, by hand, and that the CAR has no part in them; ambient share against what was planted."""

from __future__ import annotations

import numpy as np
import pytest

from cartrace.cells.ambient_share import ambient_share
from cartrace.cells.quality import Judged, call_cells, complexity, judge_cells, library_faults, limits_of
from cartrace.cells.settings import Quality
from cartrace.cells.streaming import Sums

SETTINGS = Quality()


def sums(umis: object, genes: object, mito: object = 0, car: object = 0) -> Sums:
    u, g, m, c = (
        np.broadcast_to(np.asarray(x), np.shape(umis)).astype(np.int64) for x in (umis, genes, mito, car)
    )
    nothing = np.zeros_like(u)
    return Sums(
        umis=u,
        genes=g,
        mito=m,
        ribo=nothing,
        haemoglobin=nothing,
        car=c,
        tag=nothing,
        vendor_umis=u + c,
        vendor_genes=g,
        feature_umis=nothing,
        feature_cells=nothing,
        sets={},
    )


def test_robust_limits_are_the_median_and_five_deviations_of_the_logarithm() -> None:
    # ln UMIs: 25 cells at 8 - 0.2, 51 at 8, 25 at 8 + 0.2; deviations: 51 of 0, so the next: none.
    umis = np.exp(np.repeat([7.8, 7.9, 8.0, 8.1, 8.2], [20, 20, 21, 20, 20])).round().astype(int)
    found = limits_of(sums(umis, umis // 2, umis // 50), SETTINGS)
    # Median 8, median deviation 0.1: 8 ± 5 x 0.14826.
    assert found.umis == pytest.approx((np.exp(8 - 0.7413), np.exp(8 + 0.7413)), rel=2e-3)
    assert found.genes == pytest.approx((np.exp(8 - 0.7413) / 2, np.exp(8 + 0.7413) / 2), rel=2e-3)
    assert found.robust


def test_robust_limits_never_go_below_the_fixed_ones() -> None:
    umis = np.repeat([550, 600, 650, 700], 30)
    found = limits_of(sums(umis, umis // 2), SETTINGS)
    assert found.umis[0] == 500
    assert found.genes[0] == 200


def test_debris_does_not_set_the_limits() -> None:
    umis = np.repeat([3000, 4000, 5000], 40)
    alone = limits_of(sums(umis, umis // 3), SETTINGS)
    debris = np.concatenate([umis, np.repeat([5, 20, 60], 400)])
    assert limits_of(sums(debris, np.maximum(debris // 3, 1)), SETTINGS) == alone


@pytest.mark.parametrize(
    ("share", "limit"),
    # Percent of mitochondrial UMIs in a third of the cells each; deviation 2 x 1.4826, times 3.
    [((1, 3, 5), 11.9), ((1, 2, 3), 10.0), ((14, 16, 18), 24.9), ((16, 20, 24), 25.0)],
)
def test_the_mitochondrial_limit_follows_the_library_between_10_and_25(
    share: tuple[int, ...], limit: float
) -> None:
    umis = np.full(120, 1000)
    mito = np.repeat([10 * s for s in share], 40)
    assert limits_of(sums(umis, 400, mito), SETTINGS).mito_percent == pytest.approx(limit, abs=0.01)


def test_few_cells_have_the_fixed_limits_alone() -> None:
    found = limits_of(sums(np.full(49, 3000), 1000), SETTINGS)
    assert not found.robust
    assert found.umis == (500, np.inf)
    assert found.mito_percent == 25


def test_each_broken_limit_is_named() -> None:
    # Values at the limits of a library without limits of its own: all but the last keep them.
    umis = [500, 499, 500, 500, 20000, 2, 0]
    genes = [200, 200, 199, 200, 400, 2, 0]
    mito = [0, 0, 0, 126, 0, 0, 0]
    one = sums(umis, genes, mito)
    judged = judge_cells(one, limits_of(one, SETTINGS))
    assert judged.flags() == [
        None,
        "few_umis",
        "few_genes",
        "mitochondrial",
        "low_complexity",
        "few_umis;few_genes",
        "few_umis;few_genes",
    ]
    assert judged.passed.tolist() == [True] + [False] * 6


def test_complexity_is_the_ratio_of_logarithms() -> None:
    assert complexity(sums([10000, 1000, 1], [1000, 100, 1])).tolist() == pytest.approx([0.75, 2 / 3, 1.0])


def test_the_verdict_of_every_cell_is_the_same_whatever_its_car() -> None:
    rng = np.random.default_rng(3)
    umis = rng.lognormal(7.5, 0.8, 500).astype(int)
    plain = sums(umis, umis // 3, umis // 20)
    for car in (rng.integers(0, 50, 500), 10**6):
        laden = sums(umis, umis // 3, umis // 20, car)
        assert limits_of(laden, SETTINGS) == limits_of(plain, SETTINGS)
        assert (
            judge_cells(laden, limits_of(laden, SETTINGS)).flags()
            == judge_cells(plain, limits_of(plain, SETTINGS)).flags()
        )


def judged(passed: int, of: int) -> Judged:
    return Judged(np.arange(of) < passed, {})


def test_a_failed_channel_is_rejected_with_its_reason() -> None:
    faults = library_faults(sums(np.full(5055, 2), 1), judged(0, 5055), None, SETTINGS)
    assert [(f.check, f.rejects) for f in faults] == [("failed_library", True)] * 2
    assert "5055 barcodes have a median of 2 UMIs" in faults[0].message
    assert library_faults(sums(np.array([], int), 0), judged(0, 0), None, SETTINGS)[0].rejects


def test_a_poor_library_is_flagged_and_a_good_one_is_not() -> None:
    def names(passed: int, of: int, ambient: float | None) -> list[str]:
        found = library_faults(sums(np.full(of, 2000), 900), judged(passed, of), ambient, SETTINGS)
        assert not any(f.rejects for f in found)
        return [f.check for f in found]

    assert names(900, 1000, 5.0) == []
    assert names(900, 1000, None) == []
    assert names(300, 1000, 21.0) == ["few_passed", "ambient"]
    assert names(99, 110, 5.0) == ["few_cells"]


def test_cells_of_an_unfiltered_matrix_are_those_above_the_knee() -> None:
    rng = np.random.default_rng(5)
    umis = np.concatenate(
        [rng.lognormal(8, 0.4, 800).astype(int), rng.poisson(40, 20_000), rng.poisson(1, 80_000)]
    )
    called = call_cells(umis, 500)
    assert called[:800].mean() > 0.98
    assert not called[800:].any()
    assert not call_cells(umis[800:], 500).any()


def soup_library(share: float, seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """1,000 cells of 2,500 UMIs: one in ten a monocyte, one in a hundred a red cell; the soup has 2 % and 1 % of theirs."""
    rng = np.random.default_rng(seed)
    umis = rng.lognormal(np.log(2500), 0.4, 1000).astype(np.int64)
    monocyte, red = np.arange(1000) < 100, np.arange(1000) >= 990
    return {
        "monocytes": rng.poisson(share * 0.02 * umis) + monocyte * rng.poisson(0.05 * umis),
        "haemoglobin": rng.poisson(share * 0.01 * umis) + red * rng.poisson(0.6 * umis),
    }, umis


SOUP = {"monocytes": 0.02, "haemoglobin": 0.01}
HOW = {"least_cells": 50, "level": 0.95}


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_planted_ambient_share_comes_back(share: float) -> None:
    found = ambient_share(*soup_library(share), SOUP, **HOW)
    assert found.value == pytest.approx(share, rel=0.2)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < share < found.upper
    assert found.upper < 1.5 * share + 0.01


def test_the_interval_of_the_ambient_share_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        found = ambient_share(*soup_library(0.05, seed), SOUP, **HOW)
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= 0.05 <= found.upper
    # Binomial: 95 % of 60 is 57; fewer than 52 come once in 100 times.
    assert held >= 52


def test_a_library_of_one_lineage_has_no_ambient_share_from_its_own_genes() -> None:
    rng = np.random.default_rng(2)
    umis = np.full(500, 3000)
    found = ambient_share({"monocytes": rng.poisson(150, 500)}, umis, {"monocytes": 0.05}, **HOW)
    assert found.value is None
    assert "no set of genes" in found.reason


def test_a_set_that_leaks_widens_the_interval() -> None:
    counts, umis = soup_library(0.05)
    leaky = counts | {"leaky": np.random.default_rng(9).poisson(0.2 * 0.01 * umis)}
    narrow = ambient_share(counts, umis, SOUP, **HOW)
    wide = ambient_share(leaky, umis, SOUP | {"leaky": 0.01}, **HOW)
    assert narrow.lower is not None
    assert narrow.upper is not None
    assert wide.lower is not None
    assert wide.upper is not None
    assert wide.upper - wide.lower > 3 * (narrow.upper - narrow.lower)
    assert wide.lower <= 0.05 <= wide.upper
