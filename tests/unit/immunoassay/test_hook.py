from __future__ import annotations

import numpy as np
import pytest

from cartrace.immunoassay.calibration import Curve, fit_curve, known_curve
from cartrace.immunoassay.hook import find_hooks

LEVELS = 100 / 2.5 ** np.arange(9.0)
X = np.repeat(LEVELS, 2)
TRUE = known_curve({"A": 0.05, "B": 1.3, "C": 12.0, "D": 2.6})
FALLING = known_curve({"A": 2.6, "B": 1.3, "C": 12.0, "D": 0.05})


def fitted(true: Curve = TRUE, seed: int = 1) -> Curve:
    rng = np.random.default_rng(seed)
    return fit_curve(X, true.predict(X) * (1 + 0.04 * rng.standard_normal(len(X))), weighting="1/y2")


def hooked(x: np.ndarray) -> np.ndarray:
    """Signal of an assay whose signal falls again beyond about 300."""
    return TRUE.predict(x) / (1 + (x / 1000) ** 1.2)


def test_a_signal_that_rises_on_dilution_is_suspect_and_so_is_all_that_is_diluted_less() -> None:
    d = np.array([10.0, 100, 1000, 10000])
    signal = hooked(1e5 / d)  # 10000, 1000, 100, 10 in the well
    found = find_hooks(fitted(), ["S"] * 4, d, signal)
    assert [(h.well, h.kind) for h in found] == [(0, "rises"), (1, "rises")]
    assert found[1].reason == "the signal at 1 in 1000 is that of more analyte than at 1 in 100"


def test_a_result_that_grows_far_more_than_it_should_is_suspect() -> None:
    curve = fitted()
    # 40 and 30 in the well at 1 in 10 and 1 in 40: 400 and 1200.
    found = find_hooks(curve, ["S", "S"], [10.0, 40], curve.predict([40.0, 30.0]))
    assert [(h.well, h.kind) for h in found] == [(0, "grows")]
    assert found[0].reason == "the result at 1 in 40 is 3 times that at 1 in 10"


def test_a_sample_that_dilutes_as_it_should_is_not_suspect() -> None:
    rng = np.random.default_rng(3)
    d = np.tile(np.repeat([10.0, 40, 160], 2), 200)
    names = [f"S{i // 6}" for i in range(len(d))]
    undiluted = np.repeat(np.exp(rng.uniform(np.log(20), np.log(800), 200)), 6)
    signal = TRUE.predict(undiluted / d) * (1 + 0.04 * rng.standard_normal(len(d)))
    found = find_hooks(fitted(), names, d, signal)
    assert len({names[h.well] for h in found}) <= 4


def test_signals_of_pure_background_are_not_suspect() -> None:
    rng = np.random.default_rng(4)
    d = np.tile([10.0, 40, 160], 100)
    names = [f"S{i // 3}" for i in range(len(d))]
    found = find_hooks(fitted(), names, d, 0.05 * (1 + 0.04 * rng.standard_normal(len(d))))
    assert len({names[h.well] for h in found}) <= 4


def test_a_signal_near_the_top_at_the_highest_dilution_cannot_exclude_a_hook() -> None:
    curve = fitted()
    high = float(curve.predict(200.0))
    found = find_hooks(curve, ["one", "two", "two"], [10, 10, 1000], [high, high, float(curve.predict(2.0))])
    assert [(h.well, h.kind) for h in found] == [(0, "near_top")]
    assert "dilute further" in found[0].reason


def test_falling_curves_are_judged_the_other_way_round() -> None:
    curve = fitted(FALLING)
    signal = FALLING.predict([5.0, 50.0])
    assert [h.kind for h in find_hooks(curve, ["S", "S"], [10, 100], signal)] == ["rises"]
    assert find_hooks(curve, ["S", "S"], [10, 100], FALLING.predict([50.0, 5.0])) == []


def test_wells_that_do_not_count_are_neither_evidence_nor_suspect() -> None:
    curve = fitted()
    d, signal = [10.0, 100.0], hooked(np.array([1e4, 1e2]))
    assert find_hooks(curve, ["S", "S"], d, signal, usable=[True, False])[:1] == []
    assert len(find_hooks(curve, ["S", "S"], d, signal)) == 1


def test_replicates_share_the_verdict_and_samples_do_not() -> None:
    d = np.array([10.0, 10, 100, 100, 10, 100])
    signal = np.concatenate([hooked(np.array([1e4, 1e4, 1e2, 1e2])), TRUE.predict([30.0, 3.0])])
    found = find_hooks(fitted(), ["S"] * 4 + ["T"] * 2, d, signal)
    assert [h.well for h in found] == [0, 1]


@pytest.mark.parametrize("signal", [[np.nan, 1.0], [np.nan, np.nan]])
def test_missing_signals_are_passed_over(signal: list[float]) -> None:
    assert find_hooks(fitted(), ["S", "S"], [10.0, 20.0], signal) == []


def test_a_line_has_no_top() -> None:
    line = fit_curve([1, 2, 3, 4], [1.0, 2.1, 2.9, 4.0], model="linear", log_concentration=False)
    assert find_hooks(line, ["S"], [1.0], [50.0]) == []
