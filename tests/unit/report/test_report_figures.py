from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import tables
from cartrace.config import Visit, load
from cartrace.report import figures
from cartrace.report.figures import ABOVE, BLD, BLQ, QUANTIFIED, ZERO, Bin

WEEK2 = Bin("Day 14", 14, 12, 16)


def result(subject: str, day: float, position: float, kind: int = QUANTIFIED, visit: str | None = None):
    return {"subject_id": subject, "day": day, "visit": visit, "kind": kind, "position": position}


def curve(rows: list[dict[str, object]], min_n: int = 3, bins: list[Bin] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(rows).astype({"visit": "string"})
    return figures.median_curve(frame, bins or [WEEK2], min_n)


def measurements(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    base = {
        "subject_id": ["P1"] * n,
        "infusion": [1] * n,
        "sample_id": [f"s{i}" for i in range(n)],
        "day": [float(i) for i in range(n)],
        "study_day": [float(i) for i in range(n)],
        "matrix": ["blood"] * n,
        "analyte": ["transgene"] * n,
        "assay": ["qpcr"] * n,
        "unit": ["copies/ug"] * n,
        "censoring": ["none"] * n,
        "status": ["accepted"] * n,
        "source_file": ["F"] * n,
        "source_sha256": ["0"] * n,
    }
    return tables.conform(pd.DataFrame(base | columns), tables.MEASUREMENTS)


def test_each_kind_of_result_is_drawn_at_its_own_height() -> None:
    nan = float("nan")
    frame = measurements(
        detection=["quantified", "BLQ", "BLD", "above_uloq", "quantified", "BLD"],
        value=[120.0, nan, nan, nan, 0.0, nan],
        lower=[120.0, 10.0, 0.0, 9e6, 0.0, 0.0],
        upper=[120.0, 50.0, 10.0, nan, 0.0, nan],
    )
    assert figures.kinds(frame).tolist() == [QUANTIFIED, BLQ, BLD, ABOVE, ZERO, BLD]
    np.testing.assert_array_equal(figures.positions(frame), [120.0, 50.0, 10.0, 9e6, nan, nan])


def test_a_score_of_0_is_a_score_and_has_a_height() -> None:
    frame = measurements(
        analyte=["mg_adl", "mg_adl", "transgene"],
        detection=["quantified"] * 3,
        value=[0.0, 7.0, 0.0],
        lower=[0.0, 7.0, 0.0],
        upper=[0.0, 7.0, 0.0],
    )
    assert figures.kinds(frame).tolist() == [QUANTIFIED, QUANTIFIED, ZERO]
    np.testing.assert_array_equal(figures.positions(frame), [0.0, 7.0, np.nan])


def test_the_median_of_three_subjects_is_the_middle_one() -> None:
    row = curve([result("a", 13, 10), result("b", 14, 30), result("c", 15, 1000)]).iloc[0]
    assert (row["day"], row["label"], row["n"], row["n_below"], row["median"]) == (14, "Day 14", 3, 0, 30)


def test_a_subject_counts_once_with_the_result_nearest_to_the_nominal_day() -> None:
    rows = [result("a", 14, 10), result("a", 12, 9999), result("b", 14, 30), result("c", 15, 50)]
    assert curve(rows)["median"].tolist() == [30]


def test_a_result_below_a_limit_ranks_lowest_but_is_no_value() -> None:
    below = [result("a", 14, 50, BLQ), result("b", 14, 200), result("c", 14, 400)]
    assert curve(below)[["n_below", "median"]].to_numpy().tolist() == [[1, 200]]


def test_the_median_is_hidden_where_half_or_more_are_below_a_limit() -> None:
    half = [
        result("a", 14, 50, BLQ),
        result("b", 14, 50, BLD),
        result("c", 14, 900),
        result("d", 14, 900),
    ]
    assert np.isnan(curve(half)["median"]).all()
    assert curve(half)["n"].tolist() == [4]


def test_too_few_subjects_give_no_median() -> None:
    assert np.isnan(curve([result("a", 14, 10), result("b", 14, 30)])["median"]).all()


def test_a_named_visit_is_pooled_with_its_name_even_when_it_came_late() -> None:
    bins = [WEEK2, Bin("Day 21", 21, 19, 23)]
    late = [result(s, 20, 10, visit="day 14 ") for s in "abc"]
    assert curve(late, bins=bins)["label"].tolist() == ["Day 14"]


def test_configured_visits_become_bins_in_order_of_their_day() -> None:
    got = figures.bins([Visit(name="M1", day=28, window=7), Visit(name="D7", day=7, window=1)])
    assert [(b.label, b.start, b.end) for b in got] == [("D7", 6, 8), ("M1", 21, 35)]


@given(st.floats(0, 780, allow_nan=False))
def test_every_day_falls_into_exactly_one_fixed_bin(day: float) -> None:
    assert sum(b.start <= day <= b.end for b in figures.bins([])) == 1


@settings(deadline=None, max_examples=40)  # the first call imports
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(12, 16), st.floats(1, 1e6), st.booleans()),
        min_size=1,
        max_size=12,
        unique_by=lambda r: (r[0], r[1]),
    ),
    st.randoms(use_true_random=False),
)
def test_the_median_does_not_depend_on_the_order_of_rows(rows: list, random) -> None:
    listed = [result(s, d, v, BLQ if below else QUANTIFIED) for s, d, v, below in rows]
    shuffled = listed.copy()
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(curve(listed), curve(shuffled))


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        ([QUANTIFIED, QUANTIFIED, QUANTIFIED], [(1, 3)]),
        ([QUANTIFIED, BLQ, QUANTIFIED], [(1, 1), (3, 3)]),
        ([BLD, QUANTIFIED, ABOVE], [(2, 3)]),
        ([BLD, BLQ, ZERO], []),
    ],
)
def test_quantifiable_stretches_never_cross_a_result_below_a_limit(
    kind: list[int], spans: list[tuple[float, float]]
) -> None:
    assert figures.quantifiable_spans(np.array([1.0, 2.0, 3.0]), np.array(kind)) == spans


def titres(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return measurements(**{"analyte": ["aqp4_igg"] * n, "unit": ["titre"] * n} | columns)


def test_an_end_point_titre_reaches_to_the_next_dilution() -> None:
    nan = float("nan")
    frame = titres(
        detection=["quantified", "BLQ", "above_uloq"],
        value=[40.0, nan, nan],
        lower=[40.0, 0.0, 2560.0],
        upper=[40.0, 10.0, nan],
    )
    np.testing.assert_array_equal(figures.titre_tops(frame, load({}).antibody), [80.0, nan, nan])
    np.testing.assert_array_equal(figures.positions(frame), [40.0, 10.0, 2560.0])


def test_other_units_and_interpolated_titres_are_plain_numbers() -> None:
    frame = titres(unit=["titre", "U/mL"], detection=["quantified"] * 2, value=[40.0, 40.0], lower=[40.0] * 2)
    rules = [{"analyte": "aqp4_igg", "titre_step": 4}, {"analyte": "aqp4_igg", "unit": "titre", "titre_step": 1}]  # fmt: skip
    assert np.isnan(figures.titre_tops(frame, load({"antibody": {"rules": rules}}).antibody)).all()
    own_step = load({"antibody": {"rules": rules[:1]}}).antibody
    np.testing.assert_array_equal(figures.titre_tops(frame, own_step), [160.0, float("nan")])


def falls(*rows: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["subject_id", "status", "value", "lower", "upper", "reason"])
    return frame.astype({"value": float, "lower": float, "upper": float})


def test_the_waterfall_turns_falls_into_changes_and_puts_the_largest_first() -> None:
    bars = figures.waterfall(
        falls(
            {"subject_id": "none", "status": "not_estimable", "reason": "negative at baseline"},
            {"subject_id": "exact", "status": "estimated", "value": 3.0, "lower": 2.0, "upper": 4.0},
            {
                "subject_id": "between",
                "status": "interval_censored",
                "value": 2.0,
                "lower": 1.0,
                "upper": 3.0,
            },
            {"subject_id": "deep", "status": "right_censored", "lower": 5.0},
            {"subject_id": "rose", "status": "left_censored", "upper": -1.0},
        )
    )
    assert bars["subject_id"].tolist() == ["deep", "exact", "between", "rose", "none"]
    assert bars["known"].tolist() == ["at_least", "value", "interval", "at_most", "none"]
    nan = float("nan")
    np.testing.assert_array_equal(bars["value"], [nan, -3.0, nan, nan, nan])
    np.testing.assert_array_equal(bars["low"], [nan, -4.0, -3.0, 1.0, nan])
    np.testing.assert_array_equal(bars["high"], [-5.0, -2.0, -1.0, nan, nan])


def test_a_bound_that_stands_as_the_value_is_taken() -> None:
    bars = figures.waterfall(falls({"subject_id": "a", "status": "right_censored", "value": 4.0}))
    assert bars.loc[0, ["high", "known"]].tolist() == [-4.0, "at_least"]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["estimated", "interval_censored", "right_censored", "left_censored", "not_estimable"]),
            st.floats(-10, 10),
            st.floats(0, 5),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_waterfall_keeps_every_patient_and_forgets_the_order_of_rows(rows: list, random) -> None:
    listed = [
        {"subject_id": f"P{k}", "status": status, "value": x, "lower": x, "upper": x + width}
        for k, (status, x, width) in enumerate(rows)
    ]
    shuffled = listed.copy()
    random.shuffle(shuffled)
    bars = figures.waterfall(falls(*listed))
    pd.testing.assert_frame_equal(bars, figures.waterfall(falls(*shuffled)))
    assert sorted(bars["subject_id"]) == sorted(r["subject_id"] for r in listed)
    both = bars.dropna(subset=["low", "high"])
    assert (both["low"] <= both["high"]).all()
