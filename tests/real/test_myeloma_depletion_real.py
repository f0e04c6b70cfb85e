"""The myeloma workbook: B cells, soluble BCMA, inflammation and events, counted by hand in the workbook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cartrace.depletion.course import compute_depletion

pytestmark = pytest.mark.real


def at(measurements: pd.DataFrame, analyte: str, unit: str, visit: str) -> pd.DataFrame:
    chosen = measurements.query("analyte == @analyte and unit == @unit and visit == @visit")
    return chosen.set_index("subject_id")


@pytest.fixture(scope="module")
def b_cells(clinical: Any) -> pd.DataFrame:
    metrics = compute_depletion(
        clinical.measurements,
        clinical.tables.infusions,
        clinical.tables.events,
        clinical.plan.config.depletion,
    ).metrics
    return metrics.query("analyte == 'b_cells'")


def statuses(metrics: pd.DataFrame, metric: str) -> dict[str, int]:
    return {str(k): int(v) for k, v in metrics.query("metric == @metric")["status"].value_counts().items()}


def test_the_derived_sheets_add_no_finding(clinical: Any) -> None:
    assert clinical.counts() == {
        "cell": 42,
        "visit_window": 6,
        "same_result_two_subjects": 3,
        "unit_ratio": 2,
        "all_zero_row": 1,
        "rows_left_out": 1,
    }


def test_b_cells_of_day_100_are_those_of_the_workbook(clinical: Any) -> None:
    late = at(clinical.measurements, "b_cells", "cells/uL", "Day 100")
    # 21 patients: 8 zeros, 6 from 1 to 19, 4 from 20 to 49, 3 above.
    assert len(late) == 21
    assert (late["detection"] == "BLQ").sum() == 8
    assert (late["value"] >= 20).sum() == 7
    assert (late["value"] >= 50).sum() == 3
    assert set(late.query("detection == 'BLQ'")["upper"]) == {0.5}


def test_b_cells_before_lymphodepletion_are_those_of_the_leukapheresis(clinical: Any) -> None:
    early = at(clinical.measurements, "b_cells", "cells/uL", "Leukapheresis")
    assert len(early) == 23
    assert (early["detection"] == "BLQ").sum() == 3
    assert (early["value"] >= 20).sum() == 10


def test_seven_of_21_patients_have_reconstituted_b_cells_by_day_100(b_cells: pd.DataFrame) -> None:
    depleted = b_cells.query("metric == 'depleted_at_D100' and status == 'estimated'")["value"]
    assert (len(depleted), depleted.sum()) == (21, 14)
    # At day 30 all 23 who were measured had fewer than 20/uL.
    early = b_cells.query("metric == 'depleted_at_D30' and status == 'estimated'")["value"]
    assert (len(early), early.sum()) == (23, 23)
    assert statuses(b_cells, "time_to_reconstitution_threshold") == {
        "interval_censored": 7,
        "right_censored": 17,
    }


def test_only_patients_with_b_cells_at_the_leukapheresis_have_a_depletion_to_time(
    b_cells: pd.DataFrame,
) -> None:
    # 10 had 20/uL or more: 2 were back by day 100, 6 were not, 2 have no result of day 100.
    assert statuses(b_cells, "depletion_duration") == {
        "interval_censored": 2,
        "right_censored": 8,
        "not_estimable": 14,
    }


def test_a_zero_is_a_bound_of_the_nadir_and_of_the_fall(b_cells: pd.DataFrame) -> None:
    # 23 of 24 patients have a 0 after the infusion.
    assert statuses(b_cells, "nadir") == {"left_censored": 23, "estimated": 1}
    assert statuses(b_cells, "log10_fall") == {"right_censored": 20, "estimated": 1, "not_estimable": 3}


def test_soluble_bcma_falls_below_a_tenth_in_ten_of_19_patients_by_day_100(clinical: Any) -> None:
    before = at(clinical.measurements, "soluble_bcma", "pg/mL", "Leukapheresis")["value"]
    after = at(clinical.measurements, "soluble_bcma", "pg/mL", "Day 100")["value"]
    ratio = (after / before).dropna()
    assert (len(before), len(after), len(ratio)) == (23, 21, 19)
    assert ((ratio < 0.1).sum(), (ratio < 0.5).sum(), (ratio > 1).sum()) == (10, 13, 5)
    assert ratio.median() == pytest.approx(0.0897, abs=5e-5)


def test_rounded_zeros_of_soluble_bcma_are_bounds(clinical: Any) -> None:
    rounded = clinical.measurements.query("analyte == 'soluble_bcma' and unit == 'ng/mL'")
    assert rounded["detection"].value_counts().to_dict() == {"quantified": 108, "BLQ": 2}
    exact = clinical.measurements.query("analyte == 'soluble_bcma' and unit == 'pg/mL'")
    assert (len(exact), set(exact["detection"])) == (110, {"quantified"})


def test_crp_and_il6_are_read_on_their_days(clinical: Any) -> None:
    crp = clinical.measurements.query("analyte == 'crp'")
    assert (len(crp), crp["subject_id"].nunique(), crp["day"].min(), crp["day"].max()) == (254, 26, -7, 26)
    il6 = clinical.measurements.query("analyte == 'il6'")
    assert (len(il6), il6["subject_id"].nunique()) == (59, 21)
    # 0300, 0800, 1500 and 1800 of day 1 are 1, 15, 2 and 3 results; 0000 is the day itself.
    hours = ((il6["day"] % 1) * 24).round(6)
    assert hours[hours > 0].value_counts().to_dict() == {3: 1, 8: 15, 15: 2, 18: 3}
    assert (il6["day"] == 1).sum() == 1


def test_events_come_from_the_clinical_sheet(clinical: Any) -> None:
    events = clinical.tables.events
    assert events["kind"].value_counts().to_dict() == {
        "response": 69,
        "adverse_event": 22,
        "progression": 14,
        "death": 6,
    }
    grades = events.query("kind == 'adverse_event'")["grade"].value_counts().to_dict()
    assert grades == {1: 18, 2: 4}
    # No response stands after the last contact.
    last = clinical.tables.subjects.set_index("subject_id")["follow_up_study_day"]
    assert (events["study_day"] <= events["subject_id"].map(last)).all()


def test_subjects_keep_product_sex_age_and_follow_up(clinical: Any) -> None:
    subjects = clinical.tables.subjects
    assert subjects["cohort"].value_counts().to_dict() == {"Ide-cel": 24, "Cilta-cel": 2}
    assert subjects["sex"].value_counts().to_dict() == {"male": 17, "female": 9}
    assert subjects[["age", "follow_up_study_day"]].notna().all(axis=None)


def test_derived_sheets_are_ignored_by_git() -> None:
    rules = (Path(__file__).resolve().parents[2] / ".gitignore").read_text().splitlines()
    assert "/examples/*/sheets/*" in rules
    assert "/examples/*/data" in rules


def test_the_example_runs_without_the_derived_sheets(intake_of: Callable[[str], Any]) -> None:
    intake = intake_of("myeloma_bcma")
    assert len(intake.tables.events) == 0
    assert len(intake.tables.subjects) == 26
