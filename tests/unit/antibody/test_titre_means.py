"""Means of antibodies over subjects: who enters, by hand, and what comes out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.antibody.courses import course, infusions, table

from cartrace.antibody.interval_mean import differences, normal_mean
from cartrace.antibody.titre_means import estimate_means
from cartrace.config import Antibody, Visit
from cartrace.tables import ANTIBODY_MEANS, SUBJECTS, conform

DAYS = [-5.0, 28.0, 84.0]
CELLS = [[320, 80, "<10"], [160, 40, 20], [640, 160, 20], [320, 160, 40], [80, 20, "<10"], [">2560", 640, 80]]


def subjects(n: int, *cohorts: str) -> pd.DataFrame:
    named = [cohorts[i % len(cohorts)] if cohorts else None for i in range(n)]
    return conform(pd.DataFrame({"subject_id": [f"S{i}" for i in range(n)], "cohort": named}), SUBJECTS)


def trial(cells: list[list[Any]], **columns: Any) -> pd.DataFrame:
    return table(*(course(DAYS[: len(c)], c, subject_id=f"S{i}", **columns) for i, c in enumerate(cells)))


def means(cells: list[list[Any]], *cohorts: str, visits: Any = (), **settings: Any) -> Any:
    columns = settings.pop("columns", {})
    frame = estimate_means(
        trial(cells, **columns),
        None,
        subjects(len(cells), *cohorts),
        Antibody.model_validate(settings),
        visits,
    )
    assert len(conform(frame, ANTIBODY_MEANS)) == len(frame)
    return frame.set_index(["cohort", "quantity", "visit"]).sort_index()


def test_level_and_change_are_the_means_of_the_intervals() -> None:
    m = means(CELLS)
    row = m.loc[("all", "level", "M1")]
    end = np.log2(np.array([80, 40, 160, 160, 20, 640]))
    wanted = normal_mean(end, end + 1, 0.5)
    assert row["mean_log2"] == pytest.approx(wanted.value)
    assert row["geometric_mean"] == pytest.approx(2**wanted.value)
    assert (row["lower_log2"], row["upper_log2"]) == (
        pytest.approx(wanted.lower),
        pytest.approx(wanted.upper),
    )
    # The usual mean lies half a step below.
    assert row["end_point_mean"] == pytest.approx(2 ** end.mean())
    assert row["mean_log2"] - end.mean() == pytest.approx(0.5, abs=0.03)
    assert row[["n", "n_below", "n_above", "status", "day"]].tolist() == [6, 0, 0, "estimated", 28]

    change = m.loc[("all", "change", "M1")]
    base = np.log2(np.array([320, 160, 640, 320, 80, 2560]))
    top = base + 1
    top[5] = np.inf
    wanted = normal_mean(*differences((base, top), (end, end + 1)), 0.5 * math.sqrt(2))
    assert change["mean_log2"] == pytest.approx(wanted.value)
    # Five of six fell by two steps or one.
    assert change["geometric_upper"] < 1


def test_results_below_a_limit_and_above_the_range_are_counted() -> None:
    m = means(CELLS)
    assert m.loc[("all", "level", "Baseline"), ["n", "n_above", "day"]].tolist() == [6, 1, -5]
    late = m.loc[("all", "level", "M3")]
    assert late[["n", "n_below", "status"]].tolist() == [6, 2, "estimated"]
    # A negative titre counts as 5 in the usual mean.
    assert late["end_point_mean"] == pytest.approx((5 * 20 * 20 * 40 * 5 * 80) ** (1 / 6))
    assert ("all", "change", "Baseline") not in m.index
    # Nobody has a result near M6.
    assert ("all", "level", "M6") not in m.index


def test_who_was_negative_at_baseline_or_has_none_is_left_out_with_the_reason() -> None:
    cells = [*CELLS, ["<10", "<10", "<10"], [320]]
    m = means(cells)
    assert m.loc[("all", "level", "M1"), "n"] == 6
    assert m.loc[("all", "level", "M1"), "left_out"] == "1 negative at baseline; 1 no result in the window"
    without = table(
        *(course(DAYS[1:], c[1:], subject_id=f"S{i}") for i, c in enumerate(CELLS[:1])),
        *(course(DAYS, c, subject_id=f"T{i}") for i, c in enumerate(CELLS)),
    )
    frame = estimate_means(without, None, subjects(1), Antibody()).set_index(["quantity", "visit"])
    assert frame.loc[("level", "M1"), "n"] == 7
    assert frame.loc[("change", "M1"), "n"] == 6
    assert frame.loc[("change", "M1"), "left_out"] == "1 no result before the infusion"


def test_a_change_above_the_range_twice_is_not_known() -> None:
    m = means([*CELLS, [">2560", ">2560", 80]])
    assert m.loc[("all", "change", "M1"), ["n", "left_out"]].tolist() == [
        6,
        "1 beyond a limit before and after",
    ]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (CELLS[:4], "4 subjects, fewer than 5"),
        ([["<10", 20]] * 6, "0 subjects, fewer than 5"),
        ([[80, "<10"]] * 6, "all 6 results lie below a limit"),
        ([[80, "<10"]] * 4 + [[80, 20]] * 3, "4 of 7 results lie below a limit, more than 50 %"),
        ([[80, ">2560"]] * 5 + [[80, 20]] * 2, "5 of 7 results lie above the range, more than 50 %"),
    ],
)
def test_a_mean_that_is_not_estimable_is_a_row_with_its_reason(cells: list[list[Any]], reason: str) -> None:
    row = means(cells).loc[("all", "level", "M1")]
    assert (row["status"], row["reason"]) == ("not_estimable", reason)
    assert row[["mean_log2", "geometric_mean", "lower_log2", "sd_log2", "end_point_mean"]].isna().all()


def test_plain_units_are_known_numbers_with_left_censored_ones() -> None:
    cells = [[100.0, 30.0], [200.0, 64.0], [50.0, "<5"], [80.0, 11.0], [120.0, 9.0]]
    m = means(cells, columns={"unit": "U/mL", "start": 5.0, "assay": "elisa"})
    base = m.loc[("all", "level", "Baseline")]
    log = np.log2([100, 200, 50, 80, 120])
    assert base["mean_log2"] == pytest.approx(log.mean(), abs=1e-6)
    assert base["geometric_mean"] == pytest.approx(base["end_point_mean"], rel=1e-6)
    assert base["sd_log2"] == pytest.approx(log.std(), rel=1e-6)
    after = m.loc[("all", "level", "M1")]
    assert after[["n", "n_below", "status"]].tolist() == [5, 1, "estimated"]
    # Half the limit is a guess: here it stands above what the others let expect, or below.
    assert after["end_point_mean"] == pytest.approx((30 * 64 * 2.5 * 11 * 9) ** 0.2)
    low = np.log2([30, 64, 1, 11, 9])
    low[2] = -np.inf
    assert after["mean_log2"] == pytest.approx(
        normal_mean(low, np.log2([30, 64, 5, 11, 9]), 0.1).value, abs=1e-6
    )


def test_visits_of_the_configuration_go_before_the_landmarks_and_cohorts_stand_beside_all() -> None:
    visits = [Visit(name="Screening", day=-20, window=10), Visit(name="W4", day=30, window=3)]
    m = means(CELLS * 2, "A", "B", visits=visits)
    assert set(m.index.get_level_values("visit")) == {"Baseline", "W4"}
    assert set(m.index.get_level_values("cohort")) == {"all", "A", "B"}
    assert m.loc[("A", "level", "W4"), "n"] == 6
    assert m.loc[("all", "level", "W4"), "n"] == 12


def test_infusions_assays_and_units_are_never_mixed_and_nothing_is_fitted_when_switched_off() -> None:
    elisa = trial(CELLS, unit="U/mL", assay="elisa", start=1.0)
    both = pd.concat([trial(CELLS), elisa], ignore_index=True)
    plan = infusions((1, 0.0, None))
    frame = estimate_means(both, plan, subjects(6), Antibody())
    assert set(frame["assay"]) == {"cba", "elisa"}
    assert (frame.groupby(["assay", "quantity", "visit"]).size() == 1).all()
    assert not len(
        estimate_means(both, plan, subjects(6), Antibody.model_validate({"means": {"enabled": False}}))
    )
    assert not len(estimate_means(both.iloc[:0], plan, subjects(6), Antibody()))


def test_the_order_of_rows_does_not_matter() -> None:
    rows = trial(CELLS)
    first = estimate_means(rows, None, subjects(6), Antibody())
    second = estimate_means(rows.sample(frac=1, random_state=3), None, subjects(6), Antibody())
    pd.testing.assert_frame_equal(first, second)
