"""What must hold for every course."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cartrace.config import Kinetics
from cartrace.kinetics import expansion, nca, persistence
from cartrace.kinetics.profiles import build_profiles
from cartrace.kinetics.rows import assemble
from cartrace.metrics import find
from cartrace.vocabulary import METRIC_STATUSES

RESULT = st.one_of(st.floats(60, 1e6).map(lambda x: round(x, 3)), st.sampled_from(["BLQ", "BLD", 500.0]))
RULES = st.sampled_from(["linear", "lin_up_log_down", "lin_log"])


@st.composite
def courses(draw, low=2, high=10):
    days = draw(st.lists(st.integers(1, 200), min_size=low, max_size=high, unique=True))
    return sorted(days), draw(st.lists(RESULT, min_size=len(days), max_size=len(days)))


def table(days, results, factor=1.0, subject="S1"):
    known = np.array([not isinstance(r, str) for r in results])
    value = np.array([np.nan if isinstance(r, str) else r for r in results], dtype=float) * factor
    lod, lloq = 10.0 * factor, 50.0 * factor
    blq = np.array([r == "BLQ" for r in results])
    # Without the contract's check, which costs more than the metrics.
    return pd.DataFrame(
        {
            "subject_id": subject,
            "infusion": 1,
            "sample_id": [f"{subject}-{d}" for d in days],
            "day": np.asarray(days, dtype=float),
            "study_day": np.asarray(days, dtype=float),
            "matrix": "blood",
            "analyte": "transgene",
            "assay": "qpcr",
            "unit": "copies/ug",
            "value": value,
            "detection": np.select([known, blq], ["quantified", "BLQ"], "BLD"),
            "censoring": np.where(known, "none", "left"),
            "lower": np.where(known, value, np.where(blq, lod, 0.0)),
            "upper": np.where(known, value, np.where(blq, lloq, lod)),
            "lod": lod,
            "lloq": lloq,
            "uloq": np.nan,
            "status": "accepted",
            "visit": None,
        }
    )


def configure(**sections):
    return Kinetics.model_validate({"stein": {"enabled": False}} | sections)


def compute_all(measurements, kinetics):
    profiles = build_profiles(measurements, kinetics)
    return assemble(
        profiles,
        [row for module in (nca, persistence, expansion) for row in module.results(profiles, kinetics)],
    )


def compute(days, results, kinetics, factor=1.0):
    return compute_all(table(days, results, factor), kinetics).set_index("metric")


@settings(max_examples=60, deadline=None)
@given(
    course=courses(),
    method=RULES,
    extrapolation=st.sampled_from(["none", "to_first_blq", "lambda_z"]),
    cut=st.integers(1, 120),
)
def test_neighbouring_windows_add_up(course, method, extrapolation, cut):
    whole = cut + 100
    windows = [(0, cut), (cut, whole), (0, whole)]
    auc = {"method": method, "extrapolation": extrapolation, "windows": windows, "min_points": 0}
    m = compute(*course, configure(auc=auc))
    parts = m.loc[[f"auc_0_{cut}", f"auc_{cut}_{whole}"], "value"]
    total = m.loc[f"auc_0_{whole}", "value"]
    assert np.isnan(total) == parts.isna().any()
    if not np.isnan(total):
        np.testing.assert_allclose(parts.sum(), total, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@example(course=([1, 2, 3, 42], [500.0] * 4), method="linear", factor=0.5)
@given(course=courses(), method=RULES, factor=st.sampled_from([1e-6, 0.5, 3.0, 1e4]))
def test_another_unit_scales_levels_and_areas_and_nothing_else(course, method, factor):
    kinetics = configure(auc={"method": method})
    one, other = compute(*course, kinetics), compute(*course, kinetics, factor)
    assert one["status"].equals(other["status"])
    scaled = [n for n in one.index if "course" in find(n).unit]
    expected = one["value"].copy()
    expected[scaled] *= factor
    # The half-life is well conditioned in its own scale only: windows are chosen by r2.
    np.testing.assert_allclose(other["value"], expected, rtol=1e-6)
    assert one["n_points"].equals(other["n_points"])


@settings(max_examples=30, deadline=None)
@given(course=courses(), other=courses(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(course, other, seed):
    doubled = table(*course)
    doubled["value"] *= 1.1
    whole = pd.concat([table(*course), table(*other, subject="S2"), doubled], ignore_index=True)
    shuffled = whole.sample(frac=1, random_state=seed).reset_index(drop=True)
    kinetics = configure()
    pd.testing.assert_frame_equal(
        compute_all(whole, kinetics), compute_all(shuffled, kinetics), check_exact=True
    )


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(60, 1e6), min_size=3, max_size=6, unique=True),
    at=st.floats(0.05, 0.95),
    where=st.integers(0, 10),
    method=RULES,
)
def test_splitting_a_segment_on_its_own_interpolant_changes_no_area(values, at, where, method):
    days = [3.0 + 7 * i for i in range(len(values))]
    left = where % (len(values) - 1)
    tmax = days[int(np.argmax(values))]
    c1, c2 = values[left], values[left + 1]
    log = (method == "lin_up_log_down" and c2 < c1) or (method == "lin_log" and days[left] >= tmax)
    new = c1 * (c2 / c1) ** at if log else c1 + at * (c2 - c1)
    split = sorted([*zip(days, values, strict=True), (days[left] + 7 * at, new)])
    kinetics = configure(auc={"method": method, "windows": [(0, 9)], "min_points": 0})
    before = compute(days, values, kinetics)
    after = compute([d for d, _ in split], [v for _, v in split], kinetics)
    for name in ("auc_last", "auc_0_9"):
        np.testing.assert_allclose(after.loc[name, "value"], before.loc[name, "value"], rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(course=courses(low=1), method=RULES)
def test_every_row_has_a_value_or_bounds_or_a_reason(course, method):
    m = compute(*course, configure(auc={"method": method}))
    assert set(m["status"]) <= set(METRIC_STATUSES)
    estimated = m["status"] == "estimated"
    assert m.loc[estimated, "value"].notna().all()
    assert np.isfinite(m.loc[estimated, "value"]).all()
    refused = m[m["status"] == "not_estimable"]
    assert refused["reason"].notna().all()
    assert refused["value"].isna().all()


@settings(max_examples=25, deadline=None)
@given(left=courses(), right=courses(low=1))
def test_a_course_has_the_same_metrics_alone_and_beside_others(left, right):
    kinetics = configure()
    both = pd.concat([table(*left), table(*right, subject="S2")], ignore_index=True)
    together = nca.compute(build_profiles(both, kinetics), kinetics)
    alone = nca.compute(build_profiles(table(*left), kinetics), kinetics)
    mine = together[together["subject_id"] == "S1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone, rtol=1e-12)
