"""Alarms by hand: what raises one, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.unit.repertoire.hand_sites import site_set, tracked_of

from cartrace.repertoire.settings import Sites
from cartrace.repertoire.site_alarms import findings, growth_of, site_alarms
from cartrace.repertoire.site_clonality import site_samples
from cartrace.tables import records

SITE = "chr3+1000"


def sample_of(percent: float, total: int = 200) -> dict[str, float]:
    """Make a sample in which SITE has a share, and forty other sites the rest, alike."""
    cells = round(percent * total / 100)
    others = {f"chr9+{1000 + 50 * i}": float(len(range(i, total - cells, 40))) for i in range(40)}
    others = {name: n for name, n in others.items() if n}
    return {SITE: float(cells)} | others if cells else others


def raised(
    shares: Mapping[float, float],
    *,
    total: int = 200,
    genes: Mapping[str, tuple[str, int]] | None = None,
    matrix: str = "blood",
    **changes: Any,
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Raise alarms of a course: day -> percent; day 0 is the product."""
    plan, sites = [], {}
    for day, percent in shares.items():
        where = "infusion_product" if day == 0 else matrix
        plan.append(site_set(f"d{day:g}", day=day, matrix=where))
        sites[f"d{day:g}"] = sample_of(percent, total)
    tracked = tracked_of(plan, sites, genes)
    config = Sites(**changes)
    found = site_samples(tracked, genes={"LMO2"}, gene_distance=config.gene_distance, confidence=0.95)
    alarms = site_alarms(tracked, found, config, 0.95)
    return alarms, findings(tracked, alarms, config)


def kinds(alarms: pd.DataFrame) -> list[tuple[str, str]]:
    return [(r["sample_id"], r["alarm"]) for r in records(alarms)]


def test_a_site_is_dominant_by_the_lower_limit_of_its_share() -> None:
    # 26 % of 200 cells: lower limit 20.07 %; 25 %: 19.16 %.
    assert kinds(raised({28: 26})[0]) == [("d28", "dominant")]
    assert kinds(raised({28: 25})[0]) == []


def test_a_product_can_have_a_dominant_site() -> None:
    assert kinds(raised({0: 40})[0]) == [("d0", "dominant")]


def test_few_cells_raise_no_alarm_and_that_is_told() -> None:
    alarms, found = raised({28: 100}, total=9)
    assert kinds(alarms) == []
    assert "site_cells" in [f["check"] for f in found]
    assert kinds(raised({28: 100}, total=10)[0]) == [("d28", "dominant")]


def test_a_site_that_doubles_each_month_grows() -> None:
    alarms, found = raised({0: 0, 30.4: 2, 60.8: 4, 91.2: 8, 121.6: 16}, total=1000)
    (alarm,) = records(alarms)
    assert (alarm["sample_id"], alarm["alarm"]) == ("d121.6", "growing")
    assert alarm["slope"] == pytest.approx(np.log10(2), rel=1e-6)
    assert np.log10(1.5) < alarm["slope_lower"] < alarm["slope"]
    assert alarm["limit"] == pytest.approx(np.log10(1.5))
    (finding,) = [f for f in found if f["check"] == "growing_site"]
    assert finding["verdict"] == "warn"


def test_the_product_is_no_point_of_the_slope() -> None:
    without = records(raised({30.4: 2, 60.8: 4, 91.2: 12}, total=1000)[0])
    (alarm,) = records(raised({0: 30, 30.4: 2, 60.8: 4, 91.2: 12}, total=1000)[0])[-1:]
    assert alarm["slope"] == pytest.approx(without[-1]["slope"])


def test_two_samples_tell_no_growth() -> None:
    alarms, found = raised({30.4: 2, 121.6: 19})
    assert kinds(alarms) == []
    (note,) = [f for f in found if f["check"] == "site_growth"]
    assert "not estimable" in str(note["message"])


def test_a_small_site_grows_without_alarm() -> None:
    assert kinds(raised({30.4: 0.1, 60.8: 0.4, 91.2: 1.6, 121.6: 4}, total=1000)[0]) == []


def test_a_site_that_shrank_again_does_not_grow() -> None:
    assert kinds(raised({30.4: 2, 60.8: 18, 91.2: 14, 121.6: 8}, total=1000)[0]) == []


def test_a_site_that_only_the_last_sample_has_grows_without_an_upper_end() -> None:
    (alarm,) = records(raised({30.4: 0, 60.8: 0, 91.2: 15}, total=400)[0])
    assert alarm["alarm"] == "growing"
    assert alarm["slope"] is None
    assert alarm["slope_lower"] > np.log10(1.5)


def test_compartments_are_not_mixed_in_one_slope() -> None:
    plan = [site_set("a", day=30), site_set("b", day=60), site_set("c", day=90, matrix="marrow")]
    sites = {"a": sample_of(2), "b": sample_of(6), "c": sample_of(18)}
    tracked = tracked_of(plan, sites)
    found = site_samples(tracked, genes=None, gene_distance=0, confidence=0.95)
    assert kinds(site_alarms(tracked, found, Sites(), 0.95)) == []


def test_a_site_near_a_gene_of_concern_is_told_from_the_smaller_share_on() -> None:
    near = {SITE: ("LMO2", 4200)}
    (alarm,) = records(raised({28: 10}, genes=near)[0])
    assert (alarm["alarm"], alarm["gene"], alarm["limit"]) == ("gene_of_concern", "LMO2", 5)
    assert "4200 bases from LMO2" in alarm["message"]
    assert kinds(raised({28: 5}, genes=near)[0]) == []
    assert kinds(raised({28: 10}, genes={SITE: ("LMO2", 60_000)})[0]) == []


def test_a_polyclonal_course_raises_no_alarm() -> None:
    rng = np.random.default_rng(3)
    plan, sites = [], {}
    share = rng.lognormal(size=500)
    for day, total in ((0, 900), (28, 300), (60, 200), (90, 100), (180, 50)):
        plan.append(site_set(f"d{day}", day=day, matrix="blood" if day else "infusion_product"))
        cells = rng.multinomial(total, share / share.sum())
        sites[f"d{day}"] = {f"chr1+{100 * i + 1}": float(n) for i, n in enumerate(cells) if n}
    tracked = tracked_of(plan, sites)
    found = site_samples(tracked, genes={"LMO2"}, gene_distance=0, confidence=0.95)
    assert kinds(site_alarms(tracked, found, Sites(), 0.95)) == []


def test_growth_is_that_of_a_poisson_regression() -> None:
    # Solved by hand with two samples: the ratio of shares is 3 in one month.
    growth = growth_of([10, 30], [100, 100], [0, 1])
    assert growth is not None
    assert growth.slope == pytest.approx(np.log10(3))
    # The lower limit is where the likelihood ratio of a binomial share of 40 cells has fallen by chi2/2.
    odds = 10**growth.lower
    p = odds / (1 + odds)
    drop = 30 * np.log(0.75 / p) + 10 * np.log(0.25 / (1 - p))
    assert 2 * drop == pytest.approx(stats.chi2.ppf(0.95, 1))


def test_the_limit_covers_as_it_should() -> None:
    rng = np.random.default_rng(7)
    months, totals = np.array([1.0, 2, 4]), np.array([400, 300, 200])
    truth = np.log10(1.8)
    share = 0.01 * 1.8**months
    lower = []
    for _ in range(200):
        growth = growth_of(rng.binomial(totals, share), totals, months)
        lower.append(growth.lower if growth else -np.inf)
    # One-sided 97.5 %; dispersion, never below 1, makes it wider.
    assert np.mean(np.array(lower) <= truth) > 0.95


@pytest.mark.parametrize(("cells", "months"), [([0, 0, 0], [1, 2, 3]), ([1, 2, 3], [1, 1, 1])])
def test_without_cells_or_time_there_is_no_growth(cells: list[int], months: list[float]) -> None:
    assert growth_of(cells, [100, 100, 100], months) is None


def test_a_site_seen_only_at_first_has_no_growth_to_speak_of() -> None:
    growth = growth_of([5, 0, 0], [50, 50, 50], [1, 2, 3])
    assert growth is not None
    assert growth.lower == -np.inf


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200)), min_size=3, max_size=6),
    st.floats(0.2, 5),
    st.randoms(use_true_random=False),
)
def test_growth_scales_with_time_and_ignores_the_order(
    pairs: list[tuple[int, int]], scale: float, random: Any
) -> None:
    rows = [(k, k + n + 1, float(i)) for i, (k, n) in enumerate(pairs)]
    growth = growth_of(*zip(*rows, strict=True))
    random.shuffle(rows)
    cells, totals, months = zip(*rows, strict=True)
    other = growth_of(cells, totals, [m * scale for m in months])
    if growth is None or other is None:
        assert growth is other
    elif np.isfinite(growth.lower) and abs(growth.lower) < 4:
        assert other.lower * scale == pytest.approx(growth.lower, rel=1e-6, abs=1e-6)
        assert growth.lower <= growth.slope
