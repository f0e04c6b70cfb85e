"""What must hold for every course."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.config import Depletion
from cartrace.depletion.course import compute_depletion
from cartrace.depletion.definition import define
from cartrace.depletion.episodes import find_episodes
from cartrace.depletion.metrics import Course, find_depletion, results
from cartrace.depletion.series import build_series
from cartrace.kinetics.rows import assemble
from cartrace.metrics import find
from cartrace.tables import COURSE_KEY
from cartrace.vocabulary import METRIC_STATUSES

RESULT = st.one_of(
    st.floats(0, 500).map(lambda x: round(x, 2)), st.sampled_from(["<10", "<20", "<50", "BLD 5", ">400"])
)


@st.composite
def courses(draw, least=1):
    days = draw(st.lists(st.integers(-20, 400), min_size=least, max_size=10, unique=True))
    return [(day, draw(RESULT)) for day in sorted(days)]


def table(course, factor=1.0, unit="cells/uL"):
    """As the conftest's, without the contract's check, which costs more than the metrics."""
    words = [r if isinstance(r, str) else "" for _, r in course]
    limit = np.array([float(w.lstrip("<>BLD ")) if w else np.nan for w in words]) * factor
    value = np.array([np.nan if isinstance(r, str) else r for _, r in course], dtype=float) * factor
    kind = np.array([w[:1] for w in words])
    below = (kind == "<") | (kind == "B")
    return pd.DataFrame(
        {
            "subject_id": "S1",
            "infusion": 1,
            "day": np.array([d for d, _ in course], dtype=float),
            "study_day": np.array([d for d, _ in course], dtype=float),
            "matrix": "blood",
            "analyte": "b_cells",
            "assay": "flow",
            "unit": unit,
            "value": value,
            "detection": np.select(
                [kind == "<", kind == "B", kind == ">"], ["BLQ", "BLD", "above_uloq"], "quantified"
            ),
            "lower": np.where(kind == ">", limit, np.where(below, 0.0, value)),
            "upper": np.where(kind == ">", np.nan, np.where(below, limit, value)),
            "lod": np.nan,
            "lloq": np.nan,
            "uloq": np.nan,
            "status": "accepted",
            "flags": None,
        }
    )


INFUSION = pd.DataFrame([{"subject_id": "S1", "infusion": 1, "study_day": 0.0, "lymphodepletion_day": -5.0}])


def configure(confirm_end=2, factor=1.0):
    own = {"analyte": "b_cells", "unit": "cells/uL", "kind": "absolute"}
    levels = {"threshold": 20 * factor, "lower_limit_of_normal": 100 * factor}
    return Depletion.model_validate({"rules": [own | levels], "confirm_end": confirm_end})


def compute(rows, chosen):
    series = build_series(rows, INFUSION)
    definition = define(series, chosen)
    found = find_depletion(series, definition, chosen)
    return assemble(series, results(Course(series, definition, found, chosen))).set_index("metric"), found


@given(courses(), st.integers(1, 3), st.randoms())
@settings(max_examples=30, deadline=None)
def test_every_row_keeps_the_rules_and_the_order_of_rows_does_not_matter(course, confirm, random):
    metrics, found = compute(table(course), configure(confirm))
    again, _ = compute(table(random.sample(course, len(course))), configure(confirm))
    pd.testing.assert_frame_equal(metrics, again)
    assert len(metrics) == 11 + 4
    for name, row in metrics.iterrows():
        assert find(name).group == "depletion"
        assert row["status"] in METRIC_STATUSES
        estimated = row["status"] == "estimated"
        assert np.isfinite(row["value"]) == estimated
        censored = {
            "left_censored": ["upper"],
            "right_censored": ["lower"],
            "interval_censored": ["lower", "upper"],
        }
        for bound in censored.get(row["status"], []):
            assert np.isfinite(row[bound]), (name, row)
        if row["status"] == "interval_censored":
            assert row["lower"] <= row["upper"]
        if row["status"] != "estimated":
            assert row["reason"]
        if find(name).event and row["status"] != "not_estimable":
            assert np.nan_to_num(row["lower"]) >= 0
    closed = ~np.isnan(found.end_upper)
    assert (found.start_upper <= found.end_lower).all()
    assert (found.end_lower[closed] < found.end_upper[closed]).all()


@given(courses(), st.sampled_from([0.25, 4.0, 1024.0]))
@settings(max_examples=20, deadline=None)
def test_another_unit_with_thresholds_scaled_changes_no_day(course, factor):
    one, _ = compute(table(course), configure())
    other, _ = compute(table(course, factor), configure(factor=factor))
    for name in one.index:
        scale = factor if find(name).unit == "course" else 1.0
        a, b = one.loc[name], other.loc[name]
        assert a["status"] == b["status"]
        for column in ("value", "lower", "upper"):
            np.testing.assert_allclose(a[column] * scale, b[column], rtol=1e-12)


@given(courses(least=2))
@settings(max_examples=30, deadline=None)
def test_a_far_later_result_of_the_same_state_moves_no_onset_and_no_closed_episode(course):
    last = course[-1][1]
    longer = [*course, (1000, last)]
    one, before = compute(table(course), configure())
    other, after = compute(table(longer), configure())
    closed = int((~np.isnan(before.end_upper)).sum())
    if course[-1][0] > 0:
        for name in ("start_lower", "start_upper", "end_lower"):
            np.testing.assert_array_equal(getattr(before, name)[:closed], getattr(after, name)[:closed])
        if one.loc["time_to_depletion", "status"] == "interval_censored":
            for bound in ("lower", "upper"):
                assert one.loc["time_to_depletion", bound] == other.loc["time_to_depletion", bound]


STATES = st.lists(st.sampled_from(["l", "h", "-"]), min_size=1, max_size=14)


@given(STATES, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_the_walk_agrees_with_a_plain_one(states, confirm_low, confirm_high):
    letters = np.array(states)[None, :]
    found = find_episodes(
        np.arange(len(states), dtype=float)[None, :],
        letters == "l",
        letters == "h",
        confirm_low,
        confirm_high,
    )
    got = list(
        zip(
            *(getattr(found, n).tolist() for n in ("start_lower", "start_upper", "end_lower", "end_upper")),
            strict=True,
        )
    )
    np.testing.assert_array_equal(
        np.array(got).reshape(-1, 4), np.array(plain(states, confirm_low, confirm_high)).reshape(-1, 4)
    )


def plain(states, confirm_low, confirm_high):
    """Say the definition once more, with look-ahead instead of counters."""
    seen = [(i, s) for i, s in enumerate(states) if s != "-"]
    inside, out, k = False, [], 0
    high = float("nan")
    while k < len(seen):
        number, wanted = (confirm_high, "h") if inside else (confirm_low, "l")
        following = seen[k : k + number]
        if len(following) == number and all(s == wanted for _, s in following):
            if inside:
                out[-1][2:] = [max(i for i, s in seen[:k] if s == "l"), seen[k][0]]
            else:
                out.append([high, seen[k][0], float("nan"), float("nan")])
            inside = not inside
            k += number
            if not inside:
                high = seen[k - 1][0]
            continue
        if not inside and seen[k][1] == "h":
            high = seen[k][0]
        k += 1
    if inside:
        out[-1][2] = max(i for i, s in seen if s == "l")
    return out


def test_a_cohort_gives_what_each_subject_gives_alone():
    random = np.random.default_rng(7)
    parts = []
    for i in range(30):
        days = np.sort(random.choice(np.arange(-10, 300), 8, replace=False))
        kinds = random.choice(["n", "n", "n", "<10", "<50", "BLD 5"], 8)
        course = [
            (int(d), float(random.lognormal(3, 1.5)) if k == "n" else str(k))
            for d, k in zip(days, kinds, strict=True)
        ]
        parts.append(table(course).assign(subject_id=f"S{i:02d}", analyte=random.choice(["b_cells", "igg"])))
    whole = pd.concat(parts, ignore_index=True)
    whole["visit"] = None
    given_ = pd.concat([INFUSION.assign(subject_id=f"S{i:02d}") for i in range(30)], ignore_index=True)
    together = compute_depletion(whole, given_, None, Depletion())
    alone = [compute_depletion(part, given_, None, Depletion()) for part in parts]
    pd.testing.assert_frame_equal(
        together.metrics, pd.concat([a.metrics for a in alone], ignore_index=True), check_dtype=False
    )
    episodes = pd.concat([a.episodes for a in alone if len(a.episodes)], ignore_index=True)
    pd.testing.assert_frame_equal(together.episodes, episodes, check_dtype=False)
    assert together.metrics.groupby(list(COURSE_KEY)).ngroups == 30


def test_no_course_gives_empty_tables(measurements, infusions):
    found = compute_depletion(
        measurements((7, 5), analyte="crp", unit="mg/L"), infusions(0), None, Depletion()
    )
    assert len(found.metrics) == 0
    assert len(found.episodes) == 0
