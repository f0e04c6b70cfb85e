"""Singlets and scatter peaks in mixtures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.flow.automatic import Ellipse, Singlets, find_ellipse, find_singlets

LYMPHOCYTES = np.array([70000.0, 25000.0])
SPREAD = np.array([[6000.0**2, 0.3 * 6000 * 4000], [0.3 * 6000 * 4000, 4000.0**2]])


def blood(seed: int, n: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """Scatter of lysed blood, and which events are lymphocytes. Debris is the most frequent, and the densest."""
    r = np.random.default_rng(seed)
    kinds = [
        r.multivariate_normal(LYMPHOCYTES, SPREAD, n // 4),
        r.multivariate_normal([110000, 120000], [[12000**2, 0], [0, 20000**2]], n // 4),
        r.multivariate_normal([100000, 50000], [[9000**2, 0], [0, 8000**2]], n // 10),
        np.abs(r.normal(0, [9000, 6000], (n, 2))),
    ]
    events = np.concatenate(kinds)
    return events, np.arange(len(events)) < n // 4


def inside(ellipse: Ellipse, events: np.ndarray) -> np.ndarray:
    away = events - ellipse.centre
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(ellipse.covariance), away)
    return distance <= ellipse.distance_square


def ellipse_of(events: np.ndarray, near: tuple[float, float] | None = None) -> Ellipse:
    found = find_ellipse(events[:, 0], events[:, 1], 0.95, near)
    assert isinstance(found, Ellipse), found
    return found


def test_the_radius_is_the_chi_square_quantile() -> None:
    found = ellipse_of(blood(0)[0])
    # 95 % quantile of chi-square with 2 degrees of freedom: -2 ln 0.05.
    assert found.distance_square == pytest.approx(5.9915, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_lymphocytes_are_found_among_debris_and_granulocytes(seed: int) -> None:
    events, lymphocytes = blood(seed)
    found = ellipse_of(events)
    assert found.centre == pytest.approx(LYMPHOCYTES, rel=0.02)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(np.sqrt(np.diag(SPREAD)), rel=0.15)
    caught = inside(found, events)
    assert caught[lymphocytes].mean() == pytest.approx(0.95, abs=0.03)
    assert lymphocytes[caught].mean() > 0.98


@pytest.mark.parametrize("seed", range(5))
def test_another_peak_is_found_near_a_place(seed: int) -> None:
    found = ellipse_of(blood(seed)[0], near=(105000, 110000))
    assert found.centre == pytest.approx([110000, 120000], rel=0.05)


def test_one_normal_population_is_covered_as_asked() -> None:
    r = np.random.default_rng(3)
    events = r.multivariate_normal(LYMPHOCYTES, SPREAD, 100000)
    for coverage in (0.6, 0.9, 0.99):
        found = find_ellipse(events[:, 0], events[:, 1], coverage, None)
        assert isinstance(found, Ellipse)
        assert inside(found, events).mean() == pytest.approx(coverage, abs=0.01)


def test_debris_alone_is_no_peak() -> None:
    r = np.random.default_rng(1)
    events = np.abs(r.normal(0, [3000, 3000], (5000, 2)))
    events = np.concatenate([events, r.uniform(0, 200000, (20, 2))])
    found = find_ellipse(events[:, 0], events[:, 1], 0.95, None)
    assert isinstance(found, str) or found.centre[0] > 20000


def test_events_on_a_line_or_all_alike_have_no_ellipse() -> None:
    line = np.linspace(1, 2, 1000)
    for x, y in ((line, np.ones(1000)), (np.ones(1000), np.ones(1000)), (np.array([]), np.array([]))):
        assert isinstance(find_ellipse(x, y, 0.95, None), str)


@pytest.mark.parametrize("seed", range(5, 10))
def test_a_peak_that_is_narrower_than_the_grid_has_no_ellipse(seed: int) -> None:
    # Events piled up, as on an empty well: all in one row of squares, without a width but that of rounding.
    rng = np.random.default_rng(seed)
    x = rng.normal(60_000, 20_000, 8000)
    pile = rng.uniform(3000, 3020, 8000) + 37 * seed
    y = np.where(rng.random(8000) < 0.7, pile, rng.uniform(0, 100_000, 8000))
    assert find_ellipse(x, y, 0.95, None) == "the events about the peak lie on a line"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_events_does_not_matter(seed: int) -> None:
    events, _ = blood(2, 4000)
    shuffled = np.random.default_rng(seed).permutation(events)
    before, after = ellipse_of(events), ellipse_of(shuffled)
    assert np.array_equal(before.centre, after.centre)
    assert np.array_equal(before.covariance, after.covariance)


def pairs(seed: int, doublets: int) -> tuple[np.ndarray, np.ndarray]:
    """Area and height of 9,000 single cells; two that pass together have twice the area, the height of one."""
    r = np.random.default_rng(seed)
    area = r.lognormal(11, 0.3, 9000 + doublets)
    height = 0.8 * area * r.normal(1, 0.03, len(area))
    area[9000:] += area[:doublets]
    return area, height


def in_wedge(found: Singlets, area: np.ndarray, height: np.ndarray) -> np.ndarray:
    from flowutils.gating import points_in_polygon

    points = np.column_stack([area, height])
    return np.asarray(points_in_polygon(np.array(found.vertices, dtype=float), points), dtype=bool)


@pytest.mark.parametrize("doublets", [0, 1000, 6000])
def test_doublets_fall_out_and_singlets_stay(doublets: int) -> None:
    area, height = pairs(1, doublets)
    found = find_singlets(area, height, 5.0, 262144.0)
    assert isinstance(found, Singlets)
    # With 40 % doublets the median is one of the lower singlets.
    assert found.ratio == pytest.approx(0.8, abs=0.03)
    caught = in_wedge(found, area, height)
    assert caught[:9000].mean() > 0.99
    if doublets:
        # A doublet of a large and a small cell looks like one cell: these stay.
        assert caught[9000:].mean() < 0.3


def test_the_band_is_the_median_and_raw_mads() -> None:
    # Ratios 0.8, 0.9, 1.0, 1.1, 1.2: median 1, MAD 0.1.
    area = np.full(5, 100.0)
    found = find_singlets(area, np.array([80.0, 90, 100, 110, 120]), 3.0, 1000.0)
    assert isinstance(found, Singlets)
    assert found.ratio == pytest.approx(1.0)
    assert found.half_width == pytest.approx(0.3)
    assert found.vertices == pytest.approx(np.array([[0, 0], [2000, 1400], [2000, 2600]]))


def test_the_wedge_reaches_beyond_the_brightest_event_and_the_range() -> None:
    area, height = pairs(2, 100)
    for top in (10.0, 1e7):
        found = find_singlets(area, height, 5.0, top)
        assert isinstance(found, Singlets)
        assert found.vertices[1, 0] >= 2 * max(top, area.max())


def test_height_copied_from_area_and_no_area_give_reasons() -> None:
    area, _ = pairs(1, 0)
    assert find_singlets(area, area, 5.0, 1.0) == (
        "height / area is the same in most events: the two are no separate measurements"
    )
    assert find_singlets(-area, area, 5.0, 1.0) == "no event has an area above 0"
    noise = np.random.default_rng(1).normal(0, 1, 9000)
    assert "varies too much" in str(find_singlets(area, noise, 5.0, 1.0))
