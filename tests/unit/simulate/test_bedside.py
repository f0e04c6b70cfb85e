"""The simulated bedside: its truth by hand, its files, and how the truth comes back through grading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.reading import Read, read

from cartrace.config import load
from cartrace.efficacy.scores import compute_efficacy
from cartrace.safety.thresholds import read_standards
from cartrace.safety.toxicity import Graded, grade_toxicity
from cartrace.simulate.bedside import UNITS, CountCourse, release_of
from cartrace.simulate.bedside_laboratory import MAPPINGS, printed
from cartrace.simulate.bedside_truth import _icaht, _recovered, ctcae, last_day, stretch
from cartrace.simulate.events import IMPROVED, STABLE, WORSE, Event
from cartrace.simulate.laboratory import Draw, Result
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.tables import MEASUREMENTS, rows

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
KEY = ["subject_id", "infusion", "term"]


def alone(trial: Trial) -> Trial:
    """Keep the tables of the bedside only: the others take their time to read."""
    kept = [t for t in trial.tables if t.mapping in MAPPINGS]
    files = trial.sheets["files"]
    return replace(
        trial,
        tables=tuple(kept),
        mappings={name: m for name, m in trial.mappings.items() if name in MAPPINGS},
        sheets=trial.sheets | {"files": files[files["file_id"].isin([t.file_id for t in kept])]},
    )


def simulated(seed: int, *, plant_errors: bool) -> Trial:
    return alone(
        simulate_trial(
            seed, plant_errors=plant_errors, plates=False, tubes=False, immunoassays=False, libraries=False
        )
    )


def graded(read_: Read, measurements: pd.DataFrame | None = None) -> Graded:
    tables = read_.tables
    return grade_toxicity(
        read_.measurements if measurements is None else measurements,
        tables.observations,
        tables.infusions,
        tables.events,
        STANDARDS,
        load(read_.trial.config).safety,
    )


def beside(trial: Trial, found: Graded) -> pd.DataFrame:
    """Truth and computed rows side by side."""
    computed = found.toxicity[found.toxicity["source"] == "computed"]
    both = trial.truth["toxicity"].merge(
        computed, on=KEY, suffixes=("_true", ""), validate="1:1", how="outer"
    )
    return both.set_index(KEY)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read(simulated(2024, plant_errors=True), tmp_path_factory.mktemp("demo") / "trial")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Read]:
    folder = tmp_path_factory.mktemp("clean")
    return [read(simulated(seed, plant_errors=False), folder / str(seed)) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def found(demo: Read) -> Graded:
    return graded(demo)


@pytest.fixture(scope="module")
def clean_found(clean: list[Read]) -> list[Graded]:
    return [graded(one) for one in clean]


# --- by hand ---------------------------------------------------------------------------------


def test_a_course_is_a_straight_line_of_the_logarithm_between_its_knots() -> None:
    course = CountCourse(((0.0, 4.0), (10.0, 1.0)), given=(12,), rise=20.0, half_life=2.0)
    # Half way down by logarithm is the geometric mean; the transfusion shows from the next day on.
    assert course([-3, 0, 5, 10, 12]) == pytest.approx([4.0, 4.0, 2.0, 1.0, 1.0])
    assert course([14, 16]) == pytest.approx([1 + 10, 1 + 5])
    assert course.own(14) == pytest.approx(1.0)


def test_single_counts_are_graded_by_the_printed_limits() -> None:
    assert [ctcae("neutrophils", v) for v in (1.8, 1.79, 1.5, 1.49, 0.99, 0.5, 0.49)] == [0, 1, 1, 2, 3, 3, 4]
    assert [ctcae("haemoglobin", v) for v in (11.5, 11.4, 9.9, 7.9)] == [0, 1, 2, 3]


def test_low_days_are_counted_with_recoveries_shorter_than_three_days() -> None:
    assert stretch([bool(int(x)) for x in "0110011"]) == 6
    assert stretch([bool(int(x)) for x in "01100011"]) == 4
    assert stretch([]) == 0


def test_depth_and_duration_give_the_true_icaht_grades() -> None:
    def of(analyte: str, *parts: tuple[int, float]) -> list[tuple[Any, ...]]:
        values = np.concatenate([np.full(n, v) for n, v in parts])
        name = "icaht" if analyte == "neutrophils" else "icaht_platelets"
        return [
            tuple(row[k] for k in ("grade", "onset_day", "end_day", "duration_days"))
            for row in _icaht(name, analyte, values)
        ]

    assert of("neutrophils", (5, 3.0), (7, 0.5), (19, 2.0)) == [(2, 5, 11, 7)]
    assert of("neutrophils", (3, 3.0), (28, 0.4)) == [(4, 3, 30, 28)]
    assert of("neutrophils", (5, 3.0), (7, 0.1), (29, 2.0), (1, 0.4), (1, 1.5), (60, 2.0)) == [
        (3, 5, 11, 7),
        (3, 41, 42, 2),
    ]
    assert of("platelets", (8, 90.0), (2, 19.0), (30, 99.0)) == [(3, 8, 9, 2), (1, 31, 39, 9)]


def test_the_true_recovery_waits_for_three_days_and_for_transfusions() -> None:
    assert _recovered([2.0, 0.4, 0.6, 0.6, 0.3, 0.6, 0.6, 0.6], 4, 0.5, ()) == 5
    assert _recovered([2.0, 0.6, 0.6], 1, 0.5, ()) is None
    platelets = [90.0, 15.0, *[30.0] * 20]
    assert _recovered(platelets, 1, 20.0, (2,)) == 9
    assert last_day(1, [0, 190], 400) == 185
    assert last_day(2, [0, 190], 400) == 210


def test_grade_2_is_tocilizumab_on_the_second_day_and_fever_again_on_the_last() -> None:
    release = release_of(3, [Event(4, "adverse_event", "CRS", 7, 2)])
    assert release is not None
    assert [release.grade(day) for day in range(3, 9)] == [0, 1, 2, 2, 1, 0]
    assert [release.feverish(day) for day in range(3, 9)] == [False, True, True, False, True, False]
    assert [release.masked(day) for day in range(3, 9)] == [False, False, True, True, True, False]
    assert release_of(1, []) is None


def test_a_printed_count_is_read_in_the_unit_of_its_course() -> None:
    draw = Draw("NMO-001", 1, "blood", "count 3", 3, 3, 3)
    cells = [
        ("platelets", "cells/uL", "43000", 43.0),
        ("haemoglobin", "g/L", "104", 10.4),
        ("neutrophils", "1e9/L", "<0,1", 0.05),
        ("neutrophils", "1e9/L", "0,48", 0.48),
    ]
    for analyte, unit, cell, value in cells:
        assert printed(Result(draw, analyte, "cell_counter", unit, 0, 0, cell)) == pytest.approx(value)


# --- the files -------------------------------------------------------------------------------


def test_events_and_bedside_tell_one_story(demo: Read) -> None:
    truth = demo.trial.truth["toxicity"].query("term == 'crs' and grade > 0").set_index("subject_id")
    events = demo.tables.events
    crs = events[events["label"] == "CRS"].set_index("subject_id")
    assert len(crs) == 11
    assert truth["grade"].to_dict() == crs["grade"].astype(int).to_dict()
    assert truth["onset_day"].to_dict() == crs["study_day"].astype(int).to_dict()
    assert truth["end_day"].to_dict() == crs["end_study_day"].astype(int).to_dict()


def test_scores_go_with_the_responses_of_the_events_sheet(clean: list[Read]) -> None:
    for one in clean:
        scores = one.trial.truth["scores"].query("analyte == 'edss' and infusion == 1")
        change = scores.set_index(["subject_id", "visit"])["change"]
        events = one.tables.events
        for subject, label, day in events.loc[
            events["kind"] == "response", ["subject_id", "label", "study_day"]
        ].itertuples(index=False):
            by = change[subject, "D90" if day < 150 else "D180"]
            assert {IMPROVED: by <= -1, STABLE: abs(by) < 1, WORSE: by >= 1}[label]
        courses = one.trial.truth["courses"].query(
            "unit == 'copies/ug' and matrix == 'blood' and infusion == 1"
        )
        cmax = courses.set_index("subject_id")["stein_cmax_copies_per_ug"]
        at_6 = events[(events["kind"] == "response") & (events["study_day"] > 150)].set_index("subject_id")[
            "label"
        ]
        free = at_6.drop(["NMO-002", "NMO-006", "NMO-007", "NMO-009"])
        assert (free == IMPROVED).to_dict() == (cmax[free.index] >= 15_000).to_dict()
        relapsed = events.loc[events["kind"] == "relapse", "subject_id"].tolist()
        assert relapsed == ["NMO-009"]
        assert change["NMO-009", "D180"] >= 1


def test_counts_come_in_two_units_and_a_practice_takes_over_for_two_subjects(demo: Read) -> None:
    neutrophils = demo.measurements.query("analyte == 'neutrophils'")
    local = neutrophils[neutrophils["unit"] == "cells/uL"]
    assert set(local["subject_id"]) == {"NMO-004", "NMO-009"}
    assert local["day"].min() >= 40
    assert (neutrophils["unit"] == "1e9/L").any()


def test_the_bedside_moves_nothing_else_and_can_be_left_out() -> None:
    arguments: dict[str, bool] = {"plates": False, "tubes": False, "immunoassays": False}
    trial, without = (
        simulate_trial(5, 3, **arguments, libraries=False),
        simulate_trial(5, 3, bedside=False, **arguments, libraries=False),
    )
    kept = trial.truth["samples"]
    kept = kept[~kept["analyte"].isin([*UNITS, "edss", "mmt8"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, without.truth["samples"])
    assert "observations" not in without.sheets
    assert "safety" not in without.config
    assert {"toxicity", "counts", "scores"}.isdisjoint(without.truth)


# --- how the truth comes back ----------------------------------------------------------------


def every_day(trial: Trial, subjects: int) -> pd.DataFrame:
    """Return the true counts of every day as measurements without error."""
    from cartrace.simulate.trial import _subject

    out: list[dict[str, Any]] = []
    for index in range(subjects):
        s = _subject(trial.seed, index, plant_errors=False, bedside=True)
        for number in range(1, len(s.infusion_days) + 1):
            days = np.arange(-5, last_day(number, s.infusion_days, s.follow_up_day) + 1)
            for analyte, unit in UNITS.items():
                values = s.bedside.counts[number - 1][analyte](days)
                out += [
                    {
                        "subject_id": s.subject_id,
                        "infusion": number,
                        "sample_id": f"{day}",
                        "day": float(day),
                        "study_day": float(day + s.infusion_days[number - 1]),
                        "matrix": "blood",
                        "analyte": analyte,
                        "assay": "truth",
                        "value": value,
                        "lower": value,
                        "upper": value,
                        "unit": unit,
                        "detection": "quantified",
                        "censoring": "none",
                        "status": "accepted",
                        "source_file": "truth",
                        "source_sha256": "0",
                    }
                    for day, value in zip(days.tolist(), values.tolist(), strict=True)
                ]
    return rows(out, MEASUREMENTS)


def test_counts_of_every_day_without_error_give_the_true_grades_and_days(clean: list[Read]) -> None:
    one = clean[0]
    both = beside(one.trial, graded(one, every_day(one.trial, 12)))
    assert len(both) == 130
    for column in ("grade", "onset_day", "end_day", "duration_days"):
        true, computed = both[f"{column}_true"].astype("Float64"), both[column].astype("Float64")
        differ = both[(true.fillna(-1) != computed.fillna(-1)).to_numpy()]
        assert differ.index.tolist() == [], column


def test_cytokine_release_and_neurotoxicity_come_back_exactly(
    clean: list[Read], clean_found: list[Graded]
) -> None:
    for one, grades in zip(clean, clean_found, strict=True):
        both = beside(one.trial, grades).reset_index()
        both = both[both["term"].isin(["crs", "icans"])]
        for column in ("grade", "onset_day", "end_day", "duration_days"):
            true, computed = both[f"{column}_true"].astype("Float64"), both[column].astype("Float64")
            assert true.fillna(-1).tolist() == computed.fillna(-1).tolist()


def test_grades_of_measured_counts_are_the_true_ones_but_near_a_threshold(
    clean: list[Read], clean_found: list[Graded]
) -> None:
    both = pd.concat([beside(r.trial, g) for r, g in zip(clean, clean_found, strict=True)]).reset_index()
    told = both[both["grade"].notna()]
    assert len(told) >= 0.85 * len(both)
    assert (told["grade"] == told["grade_true"]).mean() >= 0.92
    late = told["term"].str.endswith("_late")
    # Late grades rest on visits weeks apart; all others are at most one grade off.
    assert ((told["grade"] - told["grade_true"]).abs()[~late] <= 1).mean() >= 0.99
    days = told[~late & told["onset_day"].notna() & told["onset_day_true"].notna()]
    assert ((days["onset_day"] - days["onset_day_true"].astype(float)).abs() <= 2).mean() >= 0.97


def test_clinicians_agree_where_nothing_was_planted_and_no_result_is_flagged(
    clean: list[Read], clean_found: list[Graded]
) -> None:
    for one, grades in zip(clean, clean_found, strict=True):
        assert grades.qc["check"].tolist() == []
        assert set(one.qc["verdict"]) <= {"note"}


def test_counts_recover_when_they_truly_do(clean: list[Read], clean_found: list[Graded]) -> None:
    inside: list[bool] = []
    for one, grades in zip(clean, clean_found, strict=True):
        metrics = grades.metrics.query("metric == 'time_to_count_recovery'")
        key = ["subject_id", "infusion", "analyte"]
        both = one.trial.truth["counts"].merge(metrics, on=key).query("status != 'not_estimable'")
        upper = both["upper"].fillna(both["value"])
        lower = both["lower"].fillna(both["value"] - 1)
        true = both["recovery_day"].astype(float)
        inside += ((lower - 1 <= true) & (true <= upper + 1)).tolist()
    assert len(inside) >= 15
    assert np.mean(inside) >= 0.9


def test_changes_of_scores_come_back_exactly(clean: list[Read]) -> None:
    one = clean[0]
    metrics = compute_efficacy(one.measurements, one.tables.infusions, load(one.trial.config).efficacy)
    key = ["subject_id", "infusion", "analyte"]
    truth = one.trial.truth["scores"]
    for landmark, visit in (("M1", "D28"), ("M3", "D90"), ("M6", "D180"), ("M12", "D365")):
        chosen = metrics[metrics["metric"] == f"score_change_at_{landmark}"].set_index(key)["value"].dropna()
        true = truth[truth["visit"] == visit].set_index(key)["change"]
        assert chosen.to_dict() == true.to_dict()
        assert len(chosen) >= 2


# --- the planted faults ----------------------------------------------------------------------


def test_every_planted_fault_has_its_row_in_qc_and_nothing_else_has_one(demo: Read, found: Graded) -> None:
    planted = demo.trial.truth["planted_bedside_faults"]
    told = {(s, c) for s, c in zip(found.qc["subject_id"], found.qc["check"], strict=True)}
    wanted = {(p.subject_id, p.check) for p in planted.itertuples() if p.check}
    assert told == wanted
    assert {c for _, c in wanted} == {"clinician_grade_differs", "days_without_observation"}


def test_what_was_not_charted_leaves_the_grade_open_as_far_as_it_can_be(demo: Read, found: Graded) -> None:
    both = beside(demo.trial, found)
    planted = demo.trial.truth["planted_bedside_faults"]
    opened = planted[planted["least"].notna()]
    assert sorted(opened["kind"]) == ["ice_not_charted", "oxygen_not_charted"]
    for p in opened.itertuples():
        one = both.loc[(p.subject_id, 1, p.term)]
        assert pd.isna(one["grade"])
        assert (one["least"], one["most"]) == (p.least, p.most)
        assert p.least <= one["grade_true"] <= p.most
    no_temperature = planted.set_index("kind").loc["temperature_not_charted"]
    assert both.loc[(no_temperature["subject_id"], 1, "crs"), "grade"] == 1


def test_nine_days_without_a_count_make_the_low_days_an_interval(demo: Read, found: Graded) -> None:
    metrics = found.metrics.set_index(["subject_id", "infusion", "metric", "analyte"])
    low = metrics.loc[("NMO-012", 1, "low_count_days", "neutrophils")]
    truth = demo.trial.truth["counts"].set_index(["subject_id", "infusion", "analyte"])
    assert low["status"] == "interval_censored"
    assert low["lower"] <= truth.loc[("NMO-012", 1, "neutrophils"), "low_days"] <= low["upper"]


def test_fever_of_another_cause_is_no_cytokine_release(demo: Read, found: Graded) -> None:
    seen = demo.tables.observations.query("subject_id == 'NMO-011' and item == 'temperature_c'")
    assert sorted(seen.loc[seen["number"] >= 38, "day"].astype(int))[-2:] == [14, 15]
    grades = found.grades.query("subject_id == 'NMO-011' and term == 'crs' and source == 'computed'")
    assert grades.set_index("day").loc[[14.0, 15.0], "because"].tolist() == ["another cause"] * 2
    one = beside(demo.trial, found).loc[("NMO-011", 1, "crs")]
    assert one["end_day"] == one["end_day_true"] < 14


def test_platelets_after_the_transfusion_are_no_recovery(demo: Read, found: Graded) -> None:
    events = demo.tables.events
    given = events.loc[events["label"] == "platelet transfusion", ["subject_id", "study_day"]]
    assert given["subject_id"].tolist() == ["NMO-011"]
    day = float(given["study_day"].iloc[0])
    counts = demo.measurements.query("subject_id == 'NMO-011' and analyte == 'platelets'").set_index("day")
    assert counts.loc[day, "value"] < 20 < counts.loc[day + 1, "value"]
    of = "subject_id == 'NMO-011' and metric == 'time_to_count_recovery' and analyte == 'platelets'"
    recovery = found.metrics.query(of)
    assert (recovery["upper"] >= day + 7).tolist() == [True]
