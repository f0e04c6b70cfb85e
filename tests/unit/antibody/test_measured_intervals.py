"""Titres that bring the interval of their wells, and steps that are not the configured one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.antibody.courses import course, table

from cartrace.antibody.course import compute_antibody
from cartrace.antibody.population import fit_decay
from cartrace.antibody.titres import read_courses
from cartrace.config import Antibody
from cartrace.report.figures import titre_tops


def told(
    days: list[float], cells: list[Any], step: float = 2.0, *, flags: str | None = None, **columns: Any
) -> list[dict[str, Any]]:
    """Make a course whose numbers bring the interval of one dilution step."""
    rows = course(days, cells, **columns)
    for row in rows:
        if "value" in row:
            row |= {"upper": row["value"] * step, "flags": flags}
    return rows


def metrics_of(*rows: list[dict[str, Any]], **settings: Any) -> Any:
    frame, _ = compute_antibody(table(*rows), None, Antibody.model_validate(settings))
    return frame.set_index("metric")


def findings_of(*rows: list[dict[str, Any]], **settings: Any) -> pd.DataFrame:
    return compute_antibody(table(*rows), None, Antibody.model_validate(settings))[1]


def test_an_interval_of_the_configured_step_changes_no_number_and_is_no_finding() -> None:
    cells = [320, 160, 40, 10, "<10", "<10"]
    days = [-6.0, 14, 28, 56, 84, 180]
    plain = compute_antibody(table(course(days, cells)), None, Antibody())
    brought = compute_antibody(table(told(days, cells)), None, Antibody())
    pd.testing.assert_frame_equal(plain[0], brought[0])
    assert not len(brought[1])


def test_the_measured_interval_counts_before_the_configured_step() -> None:
    rows = told([-1, 28], [1000, 100], 10)
    m = metrics_of(rows)
    assert m.loc["antibody_baseline", ["value", "lower", "upper"]].tolist() == [1000, 1000, 10_000]
    # log2 of [1000, 10000) over [100, 1000).
    low, high = m.loc["log2_fall", ["lower", "upper"]]
    assert (low, high) == (pytest.approx(0, abs=1e-12), pytest.approx(math.log2(100)))
    assert "[x, 10 x)" in m.loc["log2_fall", "method"]
    # 1000 -> 100 is ten-fold, end point against end point.
    assert m.loc["time_to_fourfold_fall", "upper"] == 28


def test_another_step_is_one_finding_for_each_file_with_its_first_row() -> None:
    rows = told([-1, 28, 56], [270, 90, 30], 3)
    found = findings_of(rows)
    assert found["check"].tolist() == ["titre_step_differs"]
    assert found.loc[0, ["value", "limit", "source_file", "source_row"]].tolist() == [
        "3-fold", "2-fold", "titres", 2,
    ]  # fmt: skip
    assert found.loc[0, "message"].startswith("3 titres of aqp4_igg (cba) in titres come from 3-fold")
    assert not len(findings_of(rows, rules=[{"analyte": "aqp4_igg", "titre_step": 3}]))
    interpolated = findings_of(rows, titre_step=1)
    assert interpolated.loc[0, "limit"] == "plain numbers"


def test_titres_of_two_readers_keep_their_wide_interval_everywhere() -> None:
    # Two readers, 40 and 80: their geometric mean, from 40 up to 160.
    rows = told([-1, 28], [640, 40 * math.sqrt(2)], flags="readings_differ")
    rows[1] |= {"lower": 40.0, "upper": 160.0}
    readings = read_courses(table(rows), None, Antibody())
    assert readings.lower[0].tolist() == [640, 40]
    assert readings.upper[0].tolist() == [1280, 160]
    # The end point is that of one reader or the other.
    assert readings.low[0, 1] == 40
    assert readings.high[0, 1] == pytest.approx(80)
    assert readings.step.tolist() == [2]
    m = metrics_of(rows)
    assert m.loc["log2_fall", ["lower", "upper"]].tolist() == [2, 5]
    assert m.loc["antibody_nadir", ["lower", "upper"]].tolist() == [40, 160]
    assert not len(findings_of(rows))


def test_a_series_with_a_lost_dilution_or_a_prozone_keeps_what_its_wells_leave_open() -> None:
    rows = told([-1, 28, 56], [640, 20, 40])
    rows[1] |= {"upper": 80.0, "flags": "dilution_missing"}
    rows[2] |= {"lower": 10.0, "upper": 80.0, "flags": "not_monotone"}
    readings = read_courses(table(rows), None, Antibody())
    assert readings.low[0].tolist() == [640, 20, 10]
    assert readings.high[0].tolist() == [640, 40, 40]
    assert readings.upper[0].tolist() == [1280, 80, 80]
    # 640 / 40 = 16 is certain for both; before the first sample nothing is known.
    assert metrics_of(rows).loc["time_to_fourfold_fall", ["lower", "upper"]].tolist() == [0, 28]


def test_repeats_of_one_day_average_their_intervals() -> None:
    rows = told([-1, 28, 28], [640, 20, 80])
    rows[2] |= {"upper": 320.0, "flags": "dilution_missing"}
    readings = read_courses(table(rows), None, Antibody())
    assert readings.value[0, 1] == pytest.approx(40)
    assert readings.lower[0, 1] == pytest.approx(40)
    assert readings.upper[0, 1] == pytest.approx(math.sqrt(40 * 320))


def test_a_negative_titre_ends_one_measured_step_below_its_start() -> None:
    # Four-fold dilutions: 40 -> below 10 ends at 2.5 or lower.
    readings = read_courses(table(told([-1, 28], [40, "<10"], 4)), None, Antibody())
    assert readings.high[0].tolist() == [40, 2.5]
    assert readings.upper[0].tolist() == [160, 10]


def test_the_interval_that_was_measured_enters_the_half_life_and_the_decay() -> None:
    days, cells = [-1.0, 28, 56, 84], [640, 640, 160, 40]
    two, ten = metrics_of(told(days, cells)), metrics_of(told(days, cells, 8))
    assert two.loc["antibody_half_life", "lower"] > ten.loc["antibody_half_life", "lower"]


def test_the_interval_that_was_measured_enters_the_decay_over_all_subjects() -> None:
    rng = np.random.default_rng(4)
    days = [14.0, 28, 56, 84, 140]
    plain, brought = [], []
    for i in range(12):
        true = 2500 * np.exp(
            rng.normal(0, 0.7) - rng.normal(0.02, 0.005) * np.array(days) + rng.normal(0, 0.3, 5)
        )
        cells = [10 * 4.0 ** math.floor(math.log(t / 10, 4)) for t in true]
        plain.append(course(days, cells, subject_id=f"S{i}"))
        brought.append(told(days, cells, 4, subject_id=f"S{i}"))
    settings = Antibody.model_validate({"titre_step": 4})
    wanted = fit_decay(table(*plain), settings)
    assert (wanted["status"] == "estimated").all()
    # Four-fold titres that bring their intervals need no setting.
    pd.testing.assert_frame_equal(fit_decay(table(*brought), Antibody()), wanted)


def test_the_report_draws_the_measured_interval() -> None:
    rows = told([-1, 28], [640, 20])
    rows[1] |= {"upper": 80.0}
    rows += course([56, 84], [20, "<10"])
    tops = titre_tops(table(rows), Antibody())
    assert tops[:3].tolist() == [1280, 80, 40]
    assert math.isnan(tops[3])
