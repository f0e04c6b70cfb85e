"""Relapse-free survival, follow-up and relapse rates, by hand and against lifelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pydantic import ValidationError

from cartrace import tables
from cartrace.cohort.outcomes import Times, curve_steps, estimate_outcomes, median_of, poisson_rate, share_at
from cartrace.config import Cohort, Outcomes

# Time to relapse or death: 50+, 100, 150, 200+, 250 (death), 300+.
CONTACT = {"A": 365.0, "B": 200.0, "C": 50.0, "D": 300.0, "E": 250.0, "F": 300.0}
EVENTS = [("A", "relapse", 100.0), ("D", "relapse", 150.0), ("D", "relapse", 220.0), ("E", "death", 250.0)]


def run(contact=None, events=None, cohort=None, **rules):
    contact, events = CONTACT if contact is None else contact, EVENTS if events is None else events
    people = [
        {"subject_id": s, "follow_up_study_day": day, "cohort": (cohort or {}).get(s)}
        for s, day in contact.items()
    ]
    given_ = {"infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
    return estimate_outcomes(
        tables.rows(people, tables.SUBJECTS),
        tables.rows([{"subject_id": s, **given_} for s in contact if s != "untreated"], tables.INFUSIONS),
        tables.rows(
            [{"subject_id": s, "kind": kind, "study_day": day} for s, kind, day in events], tables.EVENTS
        ),
        Cohort.model_validate({"outcomes": rules}),
    )


def one(found: pd.DataFrame, outcome: str, statistic: str, day: float | None = None) -> Any:
    hit = found[(found.cohort == "all") & (found.outcome == outcome) & (found.statistic == statistic)]
    hit = hit[hit.day.isna()] if day is None else hit[hit.day == day]
    assert len(hit) == 1
    return hit.iloc[0]


def test_the_relapse_free_share_is_the_product_computed_by_hand() -> None:
    found = run().outcomes
    at = one(found, "relapse_free_survival", "share", 180)
    # 4/5 x 3/4; Greenwood 1/(5 x 4) + 1/(4 x 3), on the log-log scale.
    assert at.value == pytest.approx(0.6)
    assert (at.lower, at.upper) == pytest.approx((0.12573, 0.88176), abs=1e-4)
    assert (at.n, at.n_events, at.n_at_risk) == (6, 3, 3)
    assert one(found, "relapse_free_survival", "median").value == 250


def test_death_can_end_the_follow_up_instead_of_being_an_event() -> None:
    found = run(death="censoring").outcomes
    assert (
        one(found, "relapse_free_survival", "median").reason
        == "not reached: 60 % are relapse-free at the end of the curve"
    )
    assert one(found, "relapse_free", "share").n_events == 2
    assert one(run().outcomes, "relapse_free", "share").value == 0.5


def test_before_the_first_event_the_limits_are_exact() -> None:
    at = one(run().outcomes, "relapse_free_survival", "share", 90)
    assert (at.value, at.upper, at.n_at_risk) == (1.0, 1.0, 5)
    # Five of five: 0.025^(1/5).
    assert at.lower == pytest.approx(0.47818, abs=1e-5)


def test_a_share_after_the_last_follow_up_is_not_estimable() -> None:
    at = one(run().outcomes, "relapse_free_survival", "share", 365)
    assert (at.status, at.reason) == (
        "not_estimable",
        "nobody was followed to day 365; the longest is day 300",
    )


def test_the_median_follow_up_is_that_of_the_reverse_curve() -> None:
    found = run().outcomes
    # 5/6 at 50, 4/6 at 200, death at 250 is censored, 2/9 at 300.
    assert one(found, "follow_up", "median").value == 300
    assert (one(found, "follow_up", "minimum").value, one(found, "follow_up", "maximum").value) == (50, 365)


def test_without_a_death_the_median_follow_up_is_the_plain_median() -> None:
    found = run(
        dict(zip("ABCD", (100.0, 200.0, 300.0, 400.0), strict=True)), [("A", "response", 90.0)]
    ).outcomes
    assert one(found, "follow_up", "median").value == 250


def test_the_rate_counts_every_relapse_over_all_follow_up() -> None:
    rate = one(run().outcomes, "relapse_rate_after", "rate")
    years = sum(CONTACT.values()) / 365.25
    assert (rate.value, rate.n_events) == (pytest.approx(3 / years), 3)
    # Garwood's limits of three events: 0.6187 and 8.7673.
    assert (rate.lower * years, rate.upper * years) == pytest.approx((0.6187, 8.7673), abs=1e-4)
    assert poisson_rate(0, 1.0)["upper"] == pytest.approx(-np.log(0.025))


def test_the_rate_before_needs_to_know_since_when_relapses_were_written_down() -> None:
    history = [
        ("A", "relapse", -100.0),
        ("B", "relapse", -300.0),
        ("B", "relapse", -900.0),
        ("C", "progression", -9.0),
    ]
    assert "not known" in one(run(events=history).outcomes, "relapse_rate_before", "rate").reason
    found = run(events=history, before_days=730.5)
    assert one(found.outcomes, "relapse_rate_before", "rate").value == pytest.approx(2 / 12)
    assert found.qc.message.tolist() == ["Relapse on day -900: history, no outcome."]


def test_who_was_not_followed_is_counted_apart_and_enters_only_with_an_event() -> None:
    contact = {**CONTACT, "G": None, "H": None, "untreated": 99.0}
    found = run(contact, [*EVENTS, ("G", "relapse", 40.0)])
    share = one(found.outcomes, "relapse_free", "share")
    assert (share.n, share.n_events, share.n_left_out, share.left_out) == (
        7,
        4,
        1,
        "no day of last contact (1)",
    )
    assert one(found.outcomes, "follow_up", "median").n == 6
    assert found.qc.groupby("check").subject_id.apply(list).to_dict() == {"no_last_contact": ["G", "H"]}


def test_what_contradicts_itself_is_a_finding() -> None:
    contact = {"A": 100.0, "B": 300.0, "C": 200.0, "D": 200.0}
    events = [
        ("A", "relapse", 150.0),
        ("B", "death", 200.0),
        ("B", "relapse", 250.0),
        ("C", "relapse", -20.0),
        ("D", "death", -3.0),
    ]
    found = run(contact, events)
    told = found.qc.set_index("check").verdict.to_dict()
    assert told == {
        "event_after_last_contact": "warn",
        "event_after_death": "warn",
        "contact_after_death": "warn",
        "relapse_before_infusion": "note",
        "death_before_infusion": "warn",
    }
    # The relapse of A counts, and shows that A was followed until then; that of B does not.
    assert one(found.outcomes, "relapse_free", "share").n_events == 2
    assert one(found.outcomes, "follow_up", "minimum").value == 150
    assert one(found.outcomes, "relapse_rate_after", "rate").n_events == 1


def test_a_sheet_without_any_outcome_calls_nobody_relapse_free() -> None:
    silent = run(events=[("A", "drug", 3.0)])
    assert set(silent.outcomes[silent.outcomes.outcome.str.startswith("relapse_free")].status) == {
        "not_estimable"
    }
    assert set(silent.curves.outcome) == {"follow_up"}
    told = run(events=[("A", "drug", 3.0)], all_recorded=True)
    assert one(told.outcomes, "relapse_free", "share").value == 1


def test_two_followed_subjects_make_no_curve() -> None:
    found = run({"A": 100.0, "B": 200.0}, [("A", "relapse", 50.0)])
    assert found.curves.empty
    assert one(found.outcomes, "follow_up", "median").reason == "2 subjects followed, fewer than 3"
    assert one(found.outcomes, "relapse_free", "share").value == 0.5


def test_each_cohort_gets_its_own_rows() -> None:
    found = run(cohort={"A": "low", "B": "low", "C": "high"}).outcomes
    n = found[found.outcome == "relapse_free"].set_index("cohort").n.to_dict()
    assert n == {"all": 6, "low": 2, "high": 1}


def test_landmarks_ascend() -> None:
    with pytest.raises(ValidationError, match="ascending"):
        Outcomes(landmarks=(180.0, 90.0))


TIMES = st.lists(st.tuples(st.integers(0, 400), st.booleans()), min_size=1, max_size=12)


@limits(max_examples=25, deadline=None)
@given(TIMES)
def test_the_curve_is_the_product_limit_whatever_the_order(pairs: list[tuple[int, bool]]) -> None:
    time, event = np.array([float(t) for t, _ in pairs]), np.array([e for _, e in pairs])
    steps = curve_steps(Times(time, event, []))
    left = 1.0
    for step in steps:
        at_risk = (time >= step["day"]).sum()
        left *= 1 - (event & (time == step["day"])).sum() / at_risk if at_risk else 1.0
        assert step["survival"] == pytest.approx(left, abs=1e-12)
    turned = curve_steps(Times(time[::-1], event[::-1], []))
    pd.testing.assert_frame_equal(pd.DataFrame(steps), pd.DataFrame(turned))
    # Twice as long is twice as long.
    for before, after in zip(
        median_of(steps), median_of(curve_steps(Times(2 * time, event, []))), strict=True
    ):
        assert after == pytest.approx(2 * before, nan_ok=True)
    row = share_at(steps, Times(time, event, []), 100.0)
    if row["status"] == "estimated":
        assert 0 <= float(str(row["value"])) <= 1


def test_medians_and_limits_are_those_of_lifelines() -> None:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    rng = np.random.default_rng(3)
    time, event = rng.integers(1, 300, 41).astype(float), rng.random(41) < 0.7
    steps = curve_steps(Times(time, event, []))
    fit = KaplanMeierFitter().fit(time, event)
    low, high = median_survival_times(fit.confidence_interval_).to_numpy()[0]
    assert median_of(steps) == (fit.median_survival_time_, low, high)
    reverse = KaplanMeierFitter().fit(time, ~event)
    turned = curve_steps(Times(time, ~event, []))
    assert [s["survival"] for s in turned] == pytest.approx(reverse.survival_function_.iloc[:, 0].tolist())
