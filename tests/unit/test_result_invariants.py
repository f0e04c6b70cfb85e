"""What must hold for every row of the metrics, whatever was measured."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.reading import Read, read

from cartrace.analytes import ANTIBODY, DEPLETION, EXPANSION
from cartrace.antibody.course import compute_antibody
from cartrace.cohort.summary import summarise
from cartrace.config import Antibody, Cohort, Depletion, Kinetics
from cartrace.depletion.course import compute_depletion
from cartrace.kinetics.course import compute_metrics
from cartrace.simulate.trial import simulate_trial
from cartrace.tables import COURSE_KEY

KEY = [*COURSE_KEY, "course_unit"]
FAMILIES = {"kinetics": EXPANSION, "depletion": DEPLETION, "antibody": ANTIBODY}
NEVER_NEGATIVE = (
    "half_life|doubling|lambda_z$|auc|aumc|mrt|cmax|tmax|tlast|time_to|duration|nadir|baseline|_day$"
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read(
        simulate_trial(7, tubes=False, immunoassays=False, libraries=False),
        tmp_path_factory.mktemp("invariants") / "trial",
    )


@pytest.fixture(scope="module")
def families(trial: Read) -> dict[str, pd.DataFrame]:
    infusions, events = trial.tables.infusions, trial.tables.events
    # The piecewise model takes most of the time, and has tests of its own.
    kinetics = Kinetics.model_validate({"stein": {"enabled": False}})
    return {
        "kinetics": compute_metrics(trial.measurements, infusions, kinetics),
        "depletion": compute_depletion(trial.measurements, infusions, events, Depletion()).metrics,
        "antibody": compute_antibody(trial.measurements, infusions, Antibody())[0],
    }


@pytest.fixture(scope="module")
def metrics(families: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(families.values(), ignore_index=True)


def wrong(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rows[["metric", "status", "value", "lower", "upper"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_course_has_one_row_for_every_metric(
    trial: Read, families: dict[str, pd.DataFrame], family: str
) -> None:
    found = families[family]
    measured = trial.measurements[trial.measurements["analyte"].isin(FAMILIES[family])]
    courses = measured.rename(columns={"unit": "course_unit"})[KEY].drop_duplicates()
    assert len(courses) > 10
    assert not found.duplicated([*KEY, "metric"]).any()
    counts = found.groupby(KEY).size()
    assert (counts == found["metric"].nunique()).all()
    assert set(counts.index) == set(courses.itertuples(index=False, name=None))


def test_values_and_bounds_are_what_the_status_says(metrics: pd.DataFrame) -> None:
    status, value, lower, upper = (metrics[name] for name in ("status", "value", "lower", "upper"))
    assert wrong(metrics[(status == "estimated") & value.isna()]) == []
    assert wrong(metrics[(status == "not_estimable") & (value.notna() | upper.notna())]) == []
    assert (
        wrong(metrics[(status == "interval_censored") & (value.notna() | lower.isna() | upper.isna())]) == []
    )
    assert wrong(metrics[(status == "right_censored") & (lower.isna() | upper.notna())]) == []
    assert wrong(metrics[(status == "left_censored") & (upper.isna() | lower.gt(0))]) == []
    assert wrong(metrics[lower > upper]) == []
    assert wrong(metrics[(status == "estimated") & ((value < lower) | (value > upper))]) == []
    assert np.isfinite(pd.concat([value, lower, upper]).dropna()).all()


def test_what_has_no_estimate_has_a_reason(metrics: pd.DataFrame) -> None:
    silent = metrics[(metrics["status"] != "estimated") & (metrics["reason"].fillna("").str.strip() == "")]
    assert wrong(silent) == []


def test_times_levels_and_areas_are_never_negative(metrics: pd.DataFrame) -> None:
    chosen = metrics[metrics["metric"].str.contains(NEVER_NEGATIVE)]
    assert len(chosen) > 500
    assert wrong(chosen[(chosen[["value", "lower", "upper"]] < 0).any(axis=1)]) == []


def test_areas_carry_the_unit_of_time_and_course(metrics: pd.DataFrame) -> None:
    area = metrics[metrics["metric"].str.match(r"auc_(last|all|inf|\d)")]
    assert (area["unit"] == "day*" + area["course_unit"]).all()
    moment = metrics[metrics["metric"] == "aumc_last"]
    assert (moment["unit"] == "day^2*" + moment["course_unit"]).all()


def test_landmarks_are_decided_by_results_after_infusion(metrics: pd.DataFrame) -> None:
    mark = metrics[metrics["metric"].str.contains("_at_M") & (metrics["status"] != "not_estimable")]
    assert len(mark) > 100
    assert (mark["window_end"] > 0).all()
    yes_or_no = mark[~mark["metric"].str.startswith("log2_fall")]
    assert yes_or_no["value"].isin([0.0, 1.0]).all()


def test_areas_of_longer_windows_are_not_smaller(metrics: pd.DataFrame) -> None:
    names = ["auc_0_7", "auc_0_14", "auc_0_28", "auc_0_90", "auc_0_180"]
    wide = metrics[metrics["metric"].isin(names)].pivot_table("value", KEY, "metric")[names]
    assert wide.notna().sum().min() > 5
    for shorter, longer in pairwise(names):
        both = wide[[shorter, longer]].dropna()
        assert (both[longer] >= both[shorter] * (1 - 1e-12)).all()


def test_the_summary_counts_every_course_once(trial: Read, metrics: pd.DataFrame) -> None:
    summary = summarise(metrics, trial.tables.subjects, Cohort()).summary
    whole = summary[summary["cohort"] == "all"]
    assert whole["n"].sum() == len(metrics)
    assert (summary["n"] == summary[["n_estimated", "n_censored", "n_not_estimable"]].sum(axis=1)).all()
    assert not (summary["minimum"] > summary["median"]).any()
    assert not (summary["median"] > summary["maximum"]).any()
    assert not (summary["median_lower"] > summary["median_upper"]).any()
