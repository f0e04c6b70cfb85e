from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from cartrace.config import DetectionLimits
from cartrace.pcr.limits import (
    Level,
    Limits,
    blanks_of_wells,
    estimate_limits,
    limit_of_blank,
    limit_of_detection,
    limit_of_quantification,
    limits_from_json,
    limits_to_json,
    read_blanks,
    read_dilutions,
)
from cartrace.problems import InputError

SETTINGS = DetectionLimits(target="CAR", dilutions="d.tsv")


# Limit of blank -------------------------------------------------------------------------------


def test_the_limit_of_60_blanks_lies_between_ranks_57_and_58() -> None:
    # EP17-A2: rank 0.5 + 0.95 x 60 = 57.5.
    blanks = [0.0] * 56 + [1.0, 2.0, 3.0, 50.0]
    found = limit_of_blank(blanks)
    assert found.value == 1.5
    assert "4 above 0, largest 50" in found.method
    assert found.reasons == ()


def test_a_whole_rank_takes_that_blank() -> None:
    # 0.5 + 0.95 x 30 = 29.
    found = limit_of_blank([*np.zeros(28), 7.0, 100.0])
    assert found.value == 7
    assert "30 blanks; EP17-A2 asks 60" in found.reasons[0]


def test_blanks_printed_as_minus_zero_give_zero() -> None:
    assert math.copysign(1, limit_of_blank([-0.0] * 60).value or 0.0) == 1


def test_few_blanks_give_no_limit() -> None:
    found = limit_of_blank(np.zeros(19))
    assert found.value is None
    assert "19 blanks, fewer than 20" in found.reasons[0]


def test_a_blank_without_a_number_counts_as_the_largest() -> None:
    assert limit_of_blank([*np.zeros(98), 2.0, math.inf]).value == 0
    # Rank 19.5 of 20: the last one weighs in.
    found = limit_of_blank([*np.zeros(19), math.inf])
    assert found.value is None
    assert "amplified without a number" in found.reasons[0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=20, max_size=200))
def test_at_most_one_blank_of_twenty_lies_above_the_limit(blanks: list[float]) -> None:
    value = limit_of_blank(blanks).value
    assert value is not None
    assert (np.array(blanks) > value).sum() <= 0.05 * len(blanks) + 0.5


# Limit of detection ---------------------------------------------------------------------------


def test_a_symmetric_series_has_its_middle_where_half_is_detected() -> None:
    # Symmetric about log10 4: the probit line is 0 there whatever its slope.
    found = limit_of_detection([1, 2, 4, 8, 16], [20] * 5, [1, 4, 10, 16, 19], probability=0.5000001)
    assert found.value == pytest.approx(4, rel=1e-4)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower * found.upper == pytest.approx(16, rel=1e-3)


def test_shares_on_a_probit_line_give_that_line() -> None:
    # Probits -1.2816, 0, 1.2816 at log10 0, 1, 2: slope 1.2816, so 95 % (1.6449) at log10 2.2835.
    level, n, detected = [1, 10, 100, 1000], [1000] * 4, [100, 500, 900, 995]
    found = limit_of_detection(level, n, detected)
    assert found.value == pytest.approx(10 ** (1 + 1.6449 / 1.2816), rel=5e-3)


def test_a_published_series_agrees_with_its_likelihood_to_eight_digits() -> None:
    # Data of the first example of SAS PROC PROBIT (intercept -1.8127, slope 3.4181 [recalled]). Expected:
    # Newton's method on the likelihood, and Fieller's roots with the expected information, written apart.
    level, n, detected = [*range(1, 8)], [10, 12, 10, 10, 12, 10, 10], [1, 2, 4, 5, 8, 8, 10]
    x, hits = np.log10(level), np.array(detected)
    a, b = 0.0, 1.0
    for _ in range(50):
        probit = a + b * x
        share, density = ndtr(probit), np.exp(-(probit**2) / 2) / math.sqrt(2 * math.pi)
        score = density * (hits - n * share) / (share * (1 - share))
        weight = n * density**2 / (share * (1 - share))
        design = np.column_stack([np.ones(7), x])
        covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
        a, b = (a, b) + covariance @ design.T @ score
    assert (a, b) == pytest.approx((-1.8127, 3.4181), abs=5e-5)
    found = limit_of_detection(level, n, detected, probability=0.6)
    z = ndtri(0.6)
    assert found.value == pytest.approx(10 ** ((z - a) / b), rel=1e-8)
    for limit in (found.lower, found.upper):
        u = math.log10(limit or math.nan)
        variance = np.array([1, u]) @ covariance @ np.array([1, u])
        assert (a - z + b * u) ** 2 == pytest.approx(ndtri(0.975) ** 2 * variance, rel=1e-6)


def test_a_textbook_series_agrees_with_the_likelihood_on_a_grid() -> None:
    level, n, detected = [1.0, 3.0, 10.0, 30.0], [24] * 4, [6, 15, 22, 24]
    found = limit_of_detection(level, n, detected)
    a, b = np.meshgrid(np.linspace(-1.5, 0.5, 801), np.linspace(0.5, 4, 1401), indexing="ij")
    total = np.zeros_like(a)
    for x, k, m in zip(level, detected, n, strict=True):
        share = ndtr(a + b * math.log10(x))
        total += k * np.log(share) + (m - k) * np.log1p(-share)
    best = np.unravel_index(total.argmax(), total.shape)
    assert found.value == pytest.approx(10 ** ((1.644854 - a[best]) / b[best]), rel=0.01)
    # Profile likelihood: Fieller's interval lies near it.
    lod = 10 ** ((1.644854 - a) / b)
    inside = lod[total > total.max() - 1.92]
    assert found.lower == pytest.approx(inside.min(), rel=0.1)
    assert found.upper == pytest.approx(inside.max(), rel=0.2)


def test_nineteen_of_twenty_intervals_hold_the_true_limit() -> None:
    rng = np.random.default_rng(3)
    level = np.array([0.5, 1, 2, 4, 8, 16, 32])
    truth = 2 * 10 ** (1.6448536 / 3)
    hits, lods = 0, []
    for _ in range(300):
        detected = rng.binomial(24, ndtr(3 * np.log10(level / 2)))
        found = limit_of_detection(level.tolist(), [24] * 7, detected.tolist())
        assert found.value is not None
        assert found.lower is not None
        assert found.upper is not None
        lods.append(found.value)
        hits += found.lower <= truth <= found.upper
    assert 0.92 < hits / 300 < 0.985
    assert np.median(lods) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(
    ("level", "n", "detected", "reason", "fallback"),
    [
        ([1, 10], [8, 8], [2, 8], "2 levels; the probit line needs at least 3", 10),
        ([1, 10, 100], [8] * 3, [0] * 3, "no well was detected at any level", None),
        ([1, 10, 100], [8] * 3, [8] * 3, "the LOD lies below or at 1 copies", 1),
        ([1, 10, 100], [8] * 3, [0, 8, 8], "separation", 10),
        ([1, 10, 100], [8] * 3, [0, 4, 8], "separation", 100),
        ([1, 10, 100, 1000], [8] * 4, [5, 3, 4, 5], "does not clearly rise", None),
        ([1, 2, 4], [20] * 3, [2, 8, 14], "outside the levels tested (1 to 4)", None),
        ([10, 20, 40, 80], [200] * 4, [194, 195, 199, 200], "outside the levels tested (10 to 80)", 10),
    ],
)
def test_data_that_give_no_limit_say_why_and_name_the_fallback(
    level: Sequence[float], n: list[int], detected: list[int], reason: str, fallback: float | None
) -> None:
    found = limit_of_detection(level, n, detected)
    assert (found.value, found.lower, found.upper) == (None, None, None)
    assert found.fallback == fallback
    assert reason in found.reasons[0]
    told = (
        "no level from which on"
        if fallback is None
        else f"no estimate, but {fallback:g} copies is the lowest"
    )
    assert found.reasons[1].startswith(told)


def test_the_fallback_is_below_no_level_with_misses() -> None:
    # 19 of 20 is 95 %, but the level above it has 18.
    found = limit_of_detection([1, 2, 4, 8], [20] * 4, [19, 18, 20, 20], probability=0.95)
    assert found.fallback == 4


def test_a_limit_below_three_copies_is_reported_with_a_warning() -> None:
    found = limit_of_detection([0.1, 0.3, 1, 3], [24] * 4, [3, 12, 22, 24])
    assert found.value is not None
    assert found.value < 3
    assert "below 3, the least that is possible" in found.reasons[0]


def test_shares_off_the_line_are_remarked() -> None:
    found = limit_of_detection([1, 3, 10, 30, 100], [24] * 5, [2, 20, 12, 24, 23])
    assert any("do not follow the probit line" in r for r in found.reasons)


# Limit of quantification ------------------------------------------------------------------------


def _level(level: float, cv: float | None, bias: float = 0.0, n: int = 9) -> Level:
    return Level(
        level=level, n=n, detected=n, mean=level * (1 + bias / 100), cv_percent=cv, bias_percent=bias
    )


def _counting(a: float, b: float, levels: Sequence[float], **bias: float) -> list[Level]:
    return [_level(x, 100 * math.sqrt(a + b / x), bias.get(f"at{x:g}", 0.0)) for x in levels]


def test_the_profile_gives_back_the_law_that_made_it() -> None:
    # 10 % and counting: 25 % at 1 / (0.0625 - 0.01) = 19.05 copies, between two levels tested.
    levels = _counting(0.01, 1, [5, 10, 30, 100, 1000])
    profile, found = limit_of_quantification(levels, floor=3, max_cv_percent=25, max_bias_percent=25)
    assert found.value == pytest.approx(1 / 0.0525)
    assert "decided by the CV" in found.method
    assert [v.fitted_cv_percent for v in profile] == pytest.approx([v.cv_percent for v in levels])


def test_nothing_is_extrapolated_below_the_lowest_level() -> None:
    _, found = limit_of_quantification(
        _counting(0.01, 1, [30, 100, 1000]), floor=3, max_cv_percent=25, max_bias_percent=25
    )
    assert found.value == 30
    assert "decided by the lowest level tested" in found.method


def test_the_limit_is_never_below_that_of_detection() -> None:
    levels = _counting(0.01, 1, [5, 10, 30, 100, 1000])
    _, found = limit_of_quantification(levels, floor=50, max_cv_percent=25, max_bias_percent=25)
    assert found.value == 50
    assert "decided by detection" in found.method


def test_bias_is_joined_over_log_level_where_it_crosses() -> None:
    # +50 % at 10, 0 % at 1000: +25 % half-way on the log scale.
    levels = _counting(0.01, 0.1, [1, 10, 1000], at10=50)
    _, found = limit_of_quantification(levels, floor=1, max_cv_percent=50, max_bias_percent=25)
    assert found.value == pytest.approx(100)
    assert "decided by the bias" in found.method


@pytest.mark.parametrize(
    ("levels", "floor", "reason"),
    [
        ([_level(10, 20), _level(100, 10)], 3.0, "2 levels with a CV"),
        ([_level(10, 20), _level(100, 10), _level(1000, None, n=1)], 3.0, "2 levels with a CV"),
        ([_level(10, 60), _level(100, 50), _level(1000, 40)], 3.0, "above 25 % at all levels"),
        (
            [_level(10, 20), _level(100, 10), _level(1000, 9, -30)],
            3.0,
            "bias at the highest level, 1000 copies, is -30 %",
        ),
        ([_level(10, 20), _level(100, 10), _level(1000, 9)], None, "without an LOD"),
        ([_level(10, 20), _level(100, 10), _level(1000, 9)], 2000.0, "above all levels"),
    ],
)
def test_data_that_give_no_limit_of_quantification_say_why(
    levels: list[Level], floor: float | None, reason: str
) -> None:
    _, found = limit_of_quantification(levels, floor=floor, max_cv_percent=25, max_bias_percent=25)
    assert found.value is None
    assert reason in found.reasons[0]


def test_a_noisy_level_above_the_limit_is_named() -> None:
    levels = [_level(10, 50), _level(30, 20), _level(100, 28), _level(1000, 10), _level(1e4, 9)]
    _, found = limit_of_quantification(levels, floor=3, max_cv_percent=25, max_bias_percent=25)
    assert found.value is not None
    assert found.value < 100
    assert "above the limit at 100 (28 %)" in found.reasons[0]


def test_a_profile_without_any_spread_is_precise_everywhere() -> None:
    _, found = limit_of_quantification(
        [_level(x, 0) for x in (10, 100, 1000)], floor=3, max_cv_percent=25, max_bias_percent=25
    )
    assert found.value == 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(-90, 200), st.integers(2, 30)), min_size=3, max_size=8),
    st.floats(0.1, 1e4),
)
def test_a_limit_lies_within_the_levels_tested_and_not_below_the_lod(
    found: list[tuple[float, float, int]], floor: float
) -> None:
    levels = [_level(10.0**i, cv, bias, n) for i, (cv, bias, n) in enumerate(found)]
    profile, limit = limit_of_quantification(levels, floor=floor, max_cv_percent=25, max_bias_percent=25)
    assert (limit.value is None) == bool(limit.reasons and "as found" not in limit.reasons[0])
    if limit.value is not None:
        assert max(floor, levels[0].level) <= limit.value <= levels[-1].level * (1 + 1e-9)
        assert all((v.fitted_cv_percent or 0) <= 25.001 for v in profile if v.level >= limit.value)


def test_simulated_counts_give_the_limit_of_their_law() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(100):
        level = np.repeat([3.0, 10, 30, 100, 300, 1000], 16)
        copies = rng.poisson(level) * rng.lognormal(0, 0.1, len(level))
        limits = estimate_limits(pd.DataFrame({"level": level, "copies": copies}), None, SETTINGS)
        assert limits.lloq is not None
        found.append(limits.lloq)
    # CV^2 = 0.01 + about 1.01 / level is 25 % at 19.2 copies.
    assert np.median(found) == pytest.approx(19.2, rel=0.08)
    assert np.percentile(found, [5, 95]) == pytest.approx([13, 27], abs=2)


# All together -----------------------------------------------------------------------------------


def _series(rng: np.random.Generator, plates: int = 3) -> pd.DataFrame:
    level = np.tile(np.repeat([0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 100.0, 1000.0], 8), plates)
    return pd.DataFrame(
        {
            "level": level,
            "copies": rng.poisson(level).astype(float),
            "plate": np.repeat([f"P{k}" for k in range(plates)], 64),
        }
    )


def test_a_counting_assay_detects_three_copies_and_quantifies_sixteen() -> None:
    limits = estimate_limits(_series(np.random.default_rng(11)), np.zeros(60), SETTINGS, name="car")
    assert limits.lob == 0
    assert limits.lod is not None
    assert limits.lod_lower is not None
    assert limits.lod_upper is not None
    assert limits.lod_lower < 3 < limits.lod_upper
    assert limits.lloq == pytest.approx(16, rel=0.25)
    assert limits.lod_fallback is None
    assert (limits.name, limits.target, limits.n_blanks) == ("car", "CAR", 60)
    assert [v.n for v in limits.levels] == [24] * 8


def test_wells_at_or_below_the_limit_of_blank_are_not_detected() -> None:
    series = pd.DataFrame({"level": [1.0] * 4 + [10.0] * 4, "copies": [0, 1, 2, 3, 9, 10, 11, 12.0]})
    limits = estimate_limits(series, [*np.zeros(55), *([2.0] * 5)], SETTINGS)
    assert limits.lob == 2
    assert [v.detected for v in limits.levels] == [1, 4]
    assert "above 2 copies (the limit of blank)" in limits.lod_method


def test_what_is_missing_is_told_by_limit() -> None:
    series = pd.DataFrame({"level": [1.0, 1.0], "copies": [0.0, 2.0]})
    limits = estimate_limits(series, None, SETTINGS)
    assert (limits.lob, limits.lod, limits.lloq) == (None, None, None)
    assert [r.split(":")[0] for r in limits.reasons] == ["lob", "lod", "lod", "lloq", "lloq"]
    assert "no blanks given" in limits.reasons[0]
    assert "plates are not given" in limits.reasons[-1]


def test_one_plate_is_remarked() -> None:
    limits = estimate_limits(_series(np.random.default_rng(1), plates=1), None, SETTINGS)
    assert limits.reasons[-1] == "lloq: all wells are of one plate: the CV lacks the spread between plates"


def test_mean_cv_and_bias_of_a_level_are_those_computed_by_hand() -> None:
    # 8, 10, 15 at a level of 10: mean 11, sd sqrt(13).
    limits = estimate_limits(pd.DataFrame({"level": [10.0] * 3, "copies": [8.0, 10, 15]}), None, SETTINGS)
    level = limits.levels[0]
    assert level.mean == pytest.approx(11)
    assert level.cv_percent == pytest.approx(100 * math.sqrt(13) / 11)
    assert level.bias_percent == pytest.approx(10)


# Files --------------------------------------------------------------------------------------


def test_limits_come_back_from_json() -> None:
    limits = estimate_limits(_series(np.random.default_rng(2)), np.zeros(60), SETTINGS, name="car")
    assert limits_from_json(limits_to_json(limits), "car.json") == limits


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSON"),
        ("[]", "car.json"),
        (json.dumps({"target": "CAR", "lodd": 3}), "did you mean 'lod'"),
        (json.dumps({"target": "CAR", "lod": -3}), "greater than 0"),
        (json.dumps({"target": "CAR", "lod": 30, "lloq": 10}), "lloq below lod"),
        (json.dumps({"target": "CAR", "lod": 30, "lod_upper": 10}), "outside its confidence limits"),
        ('{"target": "CAR", "lod": NaN}', "finite"),
    ],
)
def test_a_file_that_holds_no_limits_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        limits_from_json(text, "car.json")


def test_nothing_found_is_zero_and_not_missing() -> None:
    table = read_dilutions("level\tcopies\tplate\n1\t\tP1\n10\t9.5\tP1\n\n", "d.tsv")
    assert table.to_dict("list") == {"level": [1, 10], "copies": [0, 9.5], "plate": ["P1", "P1"]}
    assert read_blanks("copies\n0\n2\n\n", "b.tsv").tolist() == [0, 2]


def test_every_bad_cell_of_a_series_is_told_at_once() -> None:
    text = "level\tcopies\tplate\n0\t1\tP1\n1\tUndetermined\tP1\n\t3\tP1\n1,5\t-2\t\n1\t2\n1\tinf\tP1\n"
    with pytest.raises(InputError) as caught:
        read_dilutions(text, "d.tsv")
    assert [(p.row, p.column) for p in caught.value.problems] == [
        (2, "level"),
        (3, "copies"),
        (4, "level"),
        (5, "level"),
        (5, "copies"),
        (5, "plate"),
        (6, None),
        (7, "copies"),
    ]
    assert "found 'Undetermined'; allowed: a number of at least 0" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column level, copies"),
        ("level,copies\n1,2\n", "no column level, copies"),
        ("level\tcopies\n", "no rows"),
        ("level\tcopies\twell\n1\t2\tA01\n", "column 'well'"),
        ("level\tcopy\n1\t2\n", "did you mean 'copies'"),
        ("level\tcopies\tcopies\n1\t2\t3\n", "column 'copies' twice"),
        ('level\tcopies\n1\t"2\n', "broken text"),
    ],
)
def test_a_table_that_is_no_dilution_series_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_dilutions(text, "d.tsv")


def test_an_empty_line_among_blanks_is_not_guessed_to_be_zero() -> None:
    with pytest.raises(InputError, match=r"b\.tsv, row 3: found 0 cells.*0 where nothing was found"):
        read_blanks("copies\n1\n\n2\n", "b.tsv")


def test_no_template_controls_of_past_plates_are_blanks() -> None:
    rows = [
        # task, target, method, cq_kind, copies, exclusion
        ("ntc", "CAR", "qpcr", "undetermined", np.nan, pd.NA),
        ("ntc", "CAR", "qpcr", "quantified", 1.5, pd.NA),
        ("ntc", "CAR", "qpcr", "quantified", np.nan, pd.NA),
        ("ntc", "CAR", "qpcr", "missing", np.nan, pd.NA),
        ("ntc", "CAR", "qpcr", "quantified", 9.0, "omitted"),
        ("ntc", "RPP30", "qpcr", "quantified", 9.0, pd.NA),
        ("unknown", "CAR", "qpcr", "quantified", 9.0, pd.NA),
        ("ntc", "CAR", "dpcr", "missing", 0.0, pd.NA),
        ("ntc", "CAR", "dpcr", "missing", 3.0, ""),
        ("ntc", "CAR", "dpcr", "missing", np.nan, pd.NA),
    ]
    wells = pd.DataFrame(rows, columns=["task", "target", "method", "cq_kind", "copies", "exclusion"])
    assert blanks_of_wells(wells, "CAR").tolist() == [0, 1.5, math.inf, 0, 3]


def test_limits_hold_no_place_for_a_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="finite"):
        Limits(target="CAR", lod=math.inf)
