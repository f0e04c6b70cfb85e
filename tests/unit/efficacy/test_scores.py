"""Courses of clinical scores, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cartrace.config import Efficacy, Score
from cartrace.efficacy.scores import ScoreCourse, compute_efficacy, improvement, score_course, sustained
from cartrace.tables import INFUSIONS, MEASUREMENTS, rows

EDSS = Efficacy().scores[0]
MMT8 = Efficacy().scores[1]


def course(baseline: float, *pairs: tuple[float, float]) -> ScoreCourse:
    days, values = ([p[0] for p in pairs], [p[1] for p in pairs])
    return ScoreCourse(baseline, -5.0, np.array(days, dtype=float), np.array(values, dtype=float))


def metrics(*pairs: tuple[float, float], analyte: str = "edss", **more: Any) -> pd.DataFrame:
    base = {
        "subject_id": "S1",
        "infusion": 1,
        "matrix": "other",
        "analyte": analyte,
        "assay": "neurologist",
        "unit": "points",
        "detection": "quantified",
        "censoring": "none",
        "status": "accepted",
        "source_file": "f",
        "source_sha256": "0",
    }
    table = [
        {**base, "sample_id": str(d), "day": d, "study_day": d, "value": v, "lower": v, "upper": v, **more}
        for d, v in pairs
    ]
    infusion = {
        "subject_id": "S1",
        "infusion": 1,
        "study_day": 0.0,
        "product": "P",
        "vector": "lentiviral",
        "lymphodepletion_day": -4.0,
    }
    found = compute_efficacy(rows(table, MEASUREMENTS), rows([infusion], INFUSIONS), Efficacy())
    return found.set_index("metric")


VISITS = ((-10.0, 6.0), (-2.0, 6.5), (28.0, 5.5), (84.0, 4.5), (170.0, 4.0), (190.0, 5.0), (365.0, 3.5))


def test_baseline_changes_and_best_come_from_the_visits() -> None:
    found = metrics(*VISITS)
    # The score of day -2 was taken during lymphodepletion.
    assert (found.loc["score_baseline", "value"], found.loc["score_baseline", "window_start"]) == (6.0, -10)
    assert found.loc["score_change_at_M1", "value"] == -0.5
    assert found.loc["score_change_at_M3", "value"] == -1.5
    # Days 170 and 190 are equally near to day 180: the earlier one counts.
    assert found.loc["score_change_at_M6", "value"] == -2.0
    assert found.loc["score_best_change", "value"] == -2.5
    sustained_ = found.loc["time_to_sustained_improvement"]
    assert (sustained_["status"], sustained_["lower"], sustained_["upper"]) == ("interval_censored", 28, 84)


def test_an_improvement_that_the_next_visit_does_not_confirm_does_not_count() -> None:
    assert sustained(course(6.0, (28, 4.0), (84, 6.0), (180, 4.0), (270, 4.5)), EDSS) == (84, 180)
    assert sustained(course(6.0, (28, 6.0), (84, 4.0)), EDSS) == (28, np.inf)
    assert sustained(course(6.0, (28, 5.0), (84, 5.0)), EDSS) == (0, 28)


def test_where_higher_is_better_a_rise_is_the_improvement() -> None:
    found = course(90.0, (28, 100.0), (84, 105.0), (180, 120.0))
    assert improvement(found, MMT8).tolist() == [10, 15, 30]
    assert sustained(found, MMT8) == (28, 84)
    assert metrics((-10.0, 90.0), (28.0, 80.0), (84.0, 120.0), analyte="mmt8").loc[
        "score_best_change", "value"
    ] == pytest.approx(30.0)


def test_of_two_scores_of_one_moment_the_worse_counts() -> None:
    day, value = np.array([28.0, -5.0, 28.0]), np.array([4.0, 6.0, 5.0])
    assert score_course(day, value, EDSS, None).value.tolist() == [5.0]
    assert score_course(day, value, MMT8, None).value.tolist() == [4.0]


def test_what_is_missing_is_a_reason() -> None:
    late = metrics((28.0, 5.0))
    assert set(late["reason"]) == {"no score up to the infusion"}
    early = metrics((-10.0, 5.0))
    assert early.loc["score_best_change", "reason"] == "no score after the infusion"
    assert early.loc["score_change_at_M1", "reason"] == "no score within 7 days of day 28"
    none = metrics((-10.0, 0.5), (28.0, 0.0), (84.0, 0.0))
    assert (
        none.loc["time_to_sustained_improvement", "reason"] == "the baseline leaves no room for a change of 1"
    )


def test_a_score_that_the_scale_does_not_have_refuses_its_course() -> None:
    found = metrics((-10.0, 75.0), (28.0, 145.0), (84.0, 150.0), (90.0, 151.0), analyte="mmt8")
    assert set(found["status"]) == {"not_estimable"}
    assert found.loc["score_best_change", "reason"] == "a score lies outside 0 to 150 (efficacy.scores)"


def test_rejected_scores_do_not_enter() -> None:
    assert len(metrics(*VISITS, status="rejected")) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [({"analyte": "igg"}, "is no score"), ({"minimal_change": 11.0}, "smaller than the minimal change")],
)
def test_a_score_that_does_not_fit_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Score.model_validate(EDSS.model_dump() | change)


def test_improved_and_worsened_ask_for_the_minimal_change() -> None:
    found = metrics((-10.0, 6.0), (28.0, 5.0), (84.0, 5.5), (180.0, 7.0))["value"]
    assert [found[f"score_improved_at_{m}"] for m in ("M1", "M3", "M6")] == [1.0, 0.0, 0.0]
    assert [found[f"score_worsened_at_{m}"] for m in ("M1", "M3", "M6")] == [0.0, 0.0, 1.0]
    up = metrics((-10.0, 90.0), (28.0, 105.0), (84.0, 75.0), analyte="mmt8")["value"]
    assert (up["score_improved_at_M1"], up["score_worsened_at_M1"]) == (1.0, 0.0)
    assert (up["score_improved_at_M3"], up["score_worsened_at_M3"]) == (0.0, 1.0)


def test_who_can_not_improve_is_not_assessable() -> None:
    low = metrics((-10.0, 0.5), (28.0, 2.0))
    assert low.loc["score_improved_at_M1", "reason"] == "the baseline leaves no room for a change of 1"
    assert low.loc["score_worsened_at_M1", "value"] == 1.0
    assert low.loc["score_worsened_at_M3", "reason"] == "no score within 14 days of day 84"
    high = metrics((-10.0, 145.0), (28.0, 120.0), analyte="mmt8")
    assert high.loc["score_improved_at_M1", "status"] == "not_estimable"
    assert high.loc["score_worsened_at_M1", "value"] == 1.0


@given(
    st.floats(0, 10),
    st.lists(
        st.tuples(st.integers(1, 400), st.floats(0, 10)), min_size=1, max_size=8, unique_by=lambda p: p[0]
    ),
)
def test_turning_the_score_around_changes_only_the_sign(
    baseline: float, pairs: list[tuple[int, float]]
) -> None:
    up = EDSS.model_copy(update={"better": "higher"})
    listed = sorted((float(d), v) for d, v in pairs)
    down_course = course(baseline, *listed)
    up_course = course(-baseline, *((d, -v) for d, v in listed))
    assert sustained(down_course, EDSS) == sustained(up_course, up)
    lower, upper = sustained(down_course, EDSS)
    assert 0 <= lower < upper
