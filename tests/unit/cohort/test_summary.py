import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import metrics as registered
from cartrace import tables
from cartrace.cohort.shares import count_reasons, share
from cartrace.cohort.summary import bracket, describe, summarise
from cartrace.config import Cohort
from cartrace.metrics import Metric, register
from cartrace.registry import load_all


def metric(subject, name, value=None, *, status="estimated", lower=None, upper=None, reason=None, **course):
    return {
        "subject_id": subject,
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": name,
        "value": value,
        "lower": lower,
        "upper": upper,
        "unit": "day",
        "status": status,
        "reason": reason,
        **course,
    }


def metrics(*records):
    return tables.rows(records, tables.METRICS)


def subjects(**cohorts):
    return tables.rows(
        [{"subject_id": s, "cohort": c} for s, c in cohorts.items()] or [{"subject_id": "nobody"}],
        tables.SUBJECTS,
    )


def summary(frame, people=None, **settings):
    return summarise(frame, subjects() if people is None else people, Cohort(**settings))


def only(frame):
    assert len(frame) == 1
    return frame.iloc[0]


def test_statistics_of_four_estimates_by_hand():
    found = describe(np.array([8.0, 1.0, 4.0, 2.0]))
    assert found["mean"] == 3.75
    # Squared distances 7.5625 + 3.0625 + 0.0625 + 18.0625 = 28.75; / 3.
    assert found["sd"] == pytest.approx(np.sqrt(28.75 / 3))
    assert found["geometric_mean"] == pytest.approx(64**0.25)
    # ln x = 0, 1, 2, 3 times ln 2: variance 5/3 (ln 2)^2.
    assert found["geometric_cv_percent"] == pytest.approx(100 * np.sqrt(2 ** (5 / 3 * np.log(2)) - 1))
    assert (found["q1"], found["median"], found["q3"]) == (1.75, 3.0, 5.0)
    assert (found["minimum"], found["maximum"]) == (1.0, 8.0)


def test_a_zero_has_no_geometric_mean():
    found = describe(np.array([0.0, 1.0, 2.0]))
    assert "geometric_mean" not in found
    assert found["mean"] == 1.0


def test_a_single_value_has_no_spread():
    found = describe(np.array([5.0]))
    assert "sd" not in found
    assert "geometric_cv_percent" not in found
    assert found["geometric_mean"] == pytest.approx(5.0)


def test_exact_limits_of_a_share_as_published():
    # 2 of 12 still positive after six months: Clopper-Pearson 2.09 % to 48.41 %.
    found = share(np.array([1.0] * 2 + [0.0] * 10))
    assert found["mean"] == pytest.approx(1 / 6)
    assert round(100 * found["share_lower"], 2) == 2.09
    assert round(100 * found["share_upper"], 2) == 48.41


def test_exact_limits_at_the_ends_follow_the_closed_form():
    # None of n: the upper limit solves (1 - p)^n = 0.025.
    none, every = share(np.zeros(10)), share(np.ones(10))
    assert none["share_lower"] == 0.0
    assert none["share_upper"] == pytest.approx(1 - 0.025**0.1)
    assert every["share_lower"] == pytest.approx(0.025**0.1)
    assert every["share_upper"] == 1.0


def test_a_share_of_something_else_than_yes_and_no_is_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        share(np.array([0.0, 0.5]))


def test_reasons_are_counted_and_numbers_that_differ_are_left_out():
    reasons = [
        "never quantifiable",
        "adjusted r2 0.31 is below 0.7",
        "adjusted r2 -0.2 is below 0.7",
        "no result within day 180 +/- 30; nearest is day 90",
        "no result within day 180 +/- 30; nearest is day 77",
        "adjusted r2 0.5 is below 0.7",
        "",
    ]
    assert count_reasons(reasons) == (
        "adjusted r2 … is below … (3); no result within day 180 +/- 30 (2); "
        "never quantifiable (1); no reason given (1)"
    )
    assert count_reasons([]) is None


def test_a_censored_value_leaves_no_mean_but_the_order_statistics_that_are_certain():
    frame = metrics(
        metric("a", "half_life", 1.0),
        metric("b", "half_life", 2.0),
        metric("c", "half_life", 6.0),
        metric("d", "half_life", 100.0, status="right_censored", lower=100.0),
        metric("e", "half_life", status="not_estimable", reason="fewer than 3 points"),
    )
    row = only(summary(frame).summary)
    assert (row.n, row.n_estimated, row.n_censored, row.n_not_estimable) == (5, 3, 1, 1)
    # Ordered 1, 2, 6, 100 or more: the largest is open, and so is every mean.
    assert (row.minimum, row["median"], row.q1) == (1.0, 4.0, 1.75)
    assert row[["mean", "sd", "geometric_mean", "maximum"]].isna().all()
    assert row.reasons == "fewer than 3 points (1)"
    assert row.median_method == "sample"


def test_what_is_not_estimable_leaves_the_mean_of_the_others():
    frame = metrics(*(metric(s, "cmax", v) for s, v in zip("abc", (1, 2, 6), strict=True)), metric("d", "cmax", status="not_estimable", reason="never quantifiable"))  # fmt: skip
    assert only(summary(frame).summary)["mean"] == 3.0


def test_the_median_of_nadirs_below_a_limit_lies_below_it():
    below = [metric(s, "cmax", status="left_censored", lower=0, upper=10) for s in "abc"]
    row = only(summary(metrics(*below, metric("d", "cmax", 88.0))).summary)
    assert (row.median_lower, row.median_upper, row.median_method) == (0.0, 10.0, "bounds")
    assert pd.isna(row["median"])
    assert pd.isna(row["mean"])
    assert row.maximum == 88.0


def test_the_median_of_falls_beyond_a_limit_is_open_above():
    beyond = [
        metric(s, "cmax", status="right_censored", lower=v) for s, v in zip("abc", (2, 3, 4), strict=True)
    ]
    row = only(summary(metrics(*beyond, metric("d", "cmax", 1.0))).summary)
    # 1, 2+, 3+, 4+: between 2 and 3 at the lower ends, without an end at the upper ones.
    assert (row.median_lower, row.median_method) == (2.5, "bounds")
    assert pd.isna(row.median_upper)
    assert row.minimum == 1.0


def test_below_min_n_the_counts_stand_and_the_statistics_stay_empty():
    frame = metrics(
        *(metric(s, "cmax", 1.0) for s in "ab"),
        *(metric(s, "persistent_at_M6", 1.0) for s in "ab"),
        *(metric(s, "time_to_loss", status="interval_censored", lower=1, upper=2) for s in "ab"),
    )
    found = summary(frame, min_n=3)
    assert found.summary.n.tolist() == [2, 2, 2]
    numbers = found.summary[[c.name for c in tables.COHORT_SUMMARY.columns if c.kind == "number"]]
    assert numbers.isna().all(axis=None)
    assert found.survival.empty
    assert summary(frame, min_n=2).summary["mean"].notna().sum() == 2


def test_a_landmark_is_a_share():
    frame = metrics(*(metric(s, "persistent_at_M6", v) for s, v in zip("abcd", (1, 0, 1, 1), strict=True)))
    row = only(summary(frame).summary)
    assert row["mean"] == 0.75
    # R: binom.test(3, 4)$conf.int
    assert (round(row.share_lower, 4), round(row.share_upper, 4)) == (0.1941, 0.9937)
    assert pd.isna(row["sd"])
    assert pd.isna(row["geometric_mean"])


def loss():
    return metrics(
        metric("a", "time_to_loss", status="interval_censored", lower=28, upper=84),
        metric("b", "time_to_loss", status="interval_censored", lower=28, upper=180),
        metric("c", "time_to_loss", status="right_censored", lower=90),
        metric("d", "time_to_loss", status="left_censored", upper=7),
        metric("e", "time_to_loss", status="not_estimable", reason="never quantifiable"),
    )


def test_a_time_to_an_event_gets_the_kaplan_meier_median_and_both_curves():
    found = summary(loss())
    row = only(found.summary)
    assert (row.n, row.n_censored, row.n_not_estimable) == (5, 4, 1)
    assert (row["median"], row.median_method) == (84.0, "kaplan_meier")
    assert pd.isna(row["mean"])
    km = found.survival.query("estimator == 'kaplan_meier'")
    assert km.day.tolist() == [0, 7, 84, 90, 180]
    assert km.survival.tolist() == pytest.approx([1, 0.75, 0.5, 0.5, 0])
    assert km.n_at_risk.tolist() == [4, 4, 3, 2, 1]
    turnbull = found.survival.query("estimator == 'turnbull'")
    assert turnbull[["lower", "upper"]].iloc[0].tolist() == [0, 0]
    assert turnbull.survival.iloc[0] == 1
    # (0, 7] holds d; a and b share (28, 84]; c went on beyond 90, where only b may follow.
    assert turnbull.day.tolist()[1] == 7
    assert turnbull.survival.iloc[1] == pytest.approx(0.75)


def test_a_median_that_was_not_reached_is_said_to_be_so():
    frame = metrics(*(metric(s, "time_to_loss", status="right_censored", lower=90) for s in "abc"))
    row = only(summary(frame).summary)
    assert pd.isna(row["median"])
    assert row.median_method == "kaplan_meier, not reached"


def test_cohorts_are_summarised_beside_all_and_subjects_without_one_only_there():
    frame = metrics(*(metric(s, "cmax", v) for s, v in zip("abcd", (1, 2, 3, 10), strict=True)))
    people = subjects(a="low", b="low", c="high", d=None)
    found = summary(frame, people, min_n=1).summary.set_index("cohort")
    assert found.index.tolist() == ["all", "high", "low"]
    assert found["mean"].to_dict() == {"all": 4.0, "high": 3.0, "low": 1.5}
    assert summary(frame, people, by_cohort=False).summary.cohort.tolist() == ["all"]


def test_a_cohort_called_all_is_refused():
    with pytest.raises(ValueError, match="called 'all'"):
        summary(metrics(metric("a", "cmax", 1.0)), subjects(a="all"))


def test_courses_of_different_kinds_are_never_pooled():
    frame = metrics(
        metric("a", "cmax", 1.0),
        metric("a", "cmax", 2.0, matrix="csf"),
        metric("a", "cmax", 3.0, infusion=2),
        metric("a", "cmax", 4.0, assay="ddpcr"),
        metric("a", "cmax", 5.0, course_unit="copies/cell"),
        metric("a", "cmax", 6.0, analyte="car_t_cells"),
    )
    found = summary(frame, min_n=1).summary
    assert sorted(found["mean"]) == [1, 2, 3, 4, 5, 6]
    assert (found.n == 1).all()


def test_metrics_keep_the_order_in_which_they_were_computed():
    frame = metrics(metric("a", "tmax", 1.0), metric("a", "cmax", 1.0), metric("b", "cmax", 1.0))
    assert summary(frame).summary.metric.tolist() == ["tmax", "cmax"]


def test_no_metrics_at_all_give_two_empty_tables():
    found = summary(tables.empty(tables.METRICS))
    assert found.summary.empty
    assert found.survival.empty


@pytest.fixture
def registry(monkeypatch):
    """The registry with an answer and a time to an event whose names tell nothing."""
    load_all()
    monkeypatch.setattr(registered, "REGISTRY", dict(registered.REGISTRY))
    common = {"definition": "A test.", "source": "None.", "group": "depletion"}
    register(Metric(name="gone_at_{landmark}", label="Gone", unit="none", share=True, **common))
    register(Metric(name="back_after", label="Back", unit="day", event=True, **common))


def test_the_registry_alone_says_what_is_an_answer_and_what_a_time_to_an_event(registry):
    frame = metrics(
        *(metric(s, "gone_at_M3", v, analyte="b_cells") for s, v in zip("abc", (1, 0, 1), strict=True)),
        *(metric(s, "back_after", v, analyte="b_cells") for s, v in zip("abc", (30, 60, 90), strict=True)),
        *(metric(s, "cmax", v, analyte="b_cells") for s, v in zip("abc", (1, 0, 1), strict=True)),
    )
    rows = summary(frame).summary.set_index("metric")
    assert rows.loc["gone_at_M3", "share_upper"] < 1
    assert rows["median_method"].fillna("").tolist() == ["", "kaplan_meier", "sample"]
    assert pd.isna(rows.loc["cmax", "share_lower"])


def test_a_metric_that_nobody_registered_is_refused():
    with pytest.raises(KeyError, match="no_such_metric"):
        summary(metrics(metric("a", "no_such_metric", 1.0)))


def test_who_is_left_out_of_a_curve_is_counted_in_words():
    frame = pd.concat([loss(), metrics(metric("f", "time_to_loss", 30.0))], ignore_index=True)
    assert only(summary(frame).summary).counted == (
        "5 of 6 courses: 4 with the event, 1 without it so far; left out: 1 not estimable: never quantifiable (1)"
    )


def test_what_is_left_out_of_a_mean_or_a_share_is_counted_in_words():
    frame = metrics(
        metric("a", "cmax", 1.0),
        metric("b", "cmax", status="right_censored", lower=5.0),
        metric("c", "cmax", status="not_estimable", reason="never quantifiable"),
        metric("a", "persistent_at_M6", 1.0),
        metric("b", "persistent_at_M6", 0.0),
    )
    assert summary(frame).summary.counted.tolist() == [
        "1 of 3 courses estimated, 1 known only as intervals; left out: 1 not estimable: never quantifiable (1)",
        "2 of 2 courses answered",
    ]


def test_an_event_since_a_sample_before_the_infusion_lies_after_the_infusion():
    frame = metrics(
        *(metric(s, "time_to_loss", status="interval_censored", lower=-5, upper=7) for s in "abc"),
        metric("d", "time_to_loss", status="interval_censored", lower=-5, upper=-1),
    )
    found = summary(frame)
    km = found.survival.query("estimator == 'kaplan_meier'")
    assert km.day.tolist() == [0, 7]
    assert km.survival.tolist() == pytest.approx([0.75, 0])
    turnbull = found.survival.query("estimator == 'turnbull'")
    assert turnbull.lower.min() == 0
    assert turnbull.survival.iloc[-1] == 0


POSITIVE = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30)


@given(POSITIVE, st.randoms())
def test_statistics_do_not_depend_on_the_order(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert describe(np.array(values)) == describe(np.array(shuffled))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.sampled_from([0.0, 1.0, 50.0])), min_size=1, max_size=20),
    st.data(),
)
def test_whatever_the_true_values_their_order_statistics_lie_within_the_bounds(intervals, data):
    lower = np.array([a for a, _ in intervals])
    upper = lower + np.array([width for _, width in intervals])
    share_of_way = np.array([data.draw(st.floats(0, 1)) for _ in intervals])
    values = lower + share_of_way * (upper - lower)
    found = bracket(lower, upper)
    for name, p in (("minimum", 0), ("q1", 0.25), ("median", 0.5), ("q3", 0.75), ("maximum", 1)):
        if name in found:
            assert found[name] == pytest.approx(np.quantile(values, p))
    if found["median_method"] == "bounds":
        assert found["median_lower"] - 1e-9 <= np.median(values) <= found["median_upper"] + 1e-9


@given(POSITIVE, st.sampled_from([1e-3, 0.1, 7.0, 1e3]))
def test_the_geometric_mean_scales_and_its_cv_does_not(values, factor):
    first, second = describe(np.array(values)), describe(np.array(values) * factor)
    assert second["geometric_mean"] == pytest.approx(factor * first["geometric_mean"])
    if len(values) > 1:
        cv = first["geometric_cv_percent"]
        assert second["geometric_cv_percent"] == pytest.approx(cv, rel=1e-6, abs=1e-4)


@given(POSITIVE)
def test_the_geometric_mean_lies_between_the_smallest_and_the_arithmetic_mean(values):
    found = describe(np.array(values))
    assert found["minimum"] * (1 - 1e-9) <= found["geometric_mean"] <= found["mean"] * (1 + 1e-9)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_exact_limits_enclose_the_share_and_mirror_its_complement(counts):
    n, yes = counts
    found, mirror = share(np.repeat([1.0, 0.0], [yes, n - yes])), share(np.repeat([1.0, 0.0], [n - yes, yes]))
    assert 0 <= found["share_lower"] <= found["mean"] <= found["share_upper"] <= 1
    assert found["share_lower"] == pytest.approx(1 - mirror["share_upper"], abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(5)))
def test_the_order_of_rows_changes_no_cohort_table(order):
    frame = loss()
    people = subjects(a="x", b="x", c="x", d="y", e="y")
    first, second = summary(frame, people), summary(frame.iloc[list(order)], people)
    pd.testing.assert_frame_equal(first.summary, second.summary)
    pd.testing.assert_frame_equal(first.survival, second.survival)
