"""The highest grade of each term, its days, and what clinicians say beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.config import Safety
from cartrace.safety.tables import OBSERVATIONS
from cartrace.safety.thresholds import read_standards
from cartrace.safety.toxicity import Graded, grade_toxicity
from cartrace.tables import EVENTS, INFUSIONS, MEASUREMENTS, rows

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
EVERY = ("fever_masked", "hypotension", "vasopressors", "vasopressin", "oxygen")
SETTINGS = Safety(charted_by_exception=EVERY, watch_days=0)
ONE = [("S1", 1, 0.0)]


def observed(
    *seen: tuple[float, str, float | str], subject: str = "S1", infusion: int = 1
) -> list[dict[str, Any]]:
    return [
        {
            "subject_id": subject,
            "infusion": infusion,
            "day": float(day),
            "study_day": float(day),
            "item": item,
            "number": None if isinstance(value, str) else value,
            "word": value if isinstance(value, str) else None,
            "source_row": n + 2,
        }
        for n, (day, item, value) in enumerate(seen)
    ]


def counted(analyte: str, *pairs: tuple[float, float], subject: str = "S1") -> list[dict[str, Any]]:
    return [
        {
            "subject_id": subject,
            "infusion": 1,
            "sample_id": f"{analyte}{day}",
            "day": day,
            "study_day": day,
            "matrix": "blood",
            "analyte": analyte,
            "assay": "cell counter",
            "value": value,
            "lower": value,
            "upper": value,
            "unit": "1e9/L",
            "detection": "quantified",
            "censoring": "none",
            "status": "accepted",
            "source_file": "f",
            "source_sha256": "0",
        }
        for day, value in pairs
    ]


def event(kind: str, day: float, **more: Any) -> dict[str, Any]:
    return {"subject_id": "S1", "study_day": day, "kind": kind, **more}


def grade(
    observations: list[dict[str, Any]] | None = None,
    measurements: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    infusions: list[tuple[str, int, float]] | None = None,
    settings: Safety = SETTINGS,
) -> Graded:
    plan = [
        {
            "subject_id": s,
            "infusion": n,
            "study_day": day,
            "product": "P",
            "vector": "lentiviral",
            "lymphodepletion_day": -5.0,
        }
        for s, n, day in infusions or ONE
    ]
    return grade_toxicity(
        rows(measurements or [], MEASUREMENTS),
        rows(observations or [], OBSERVATIONS),
        rows(plan, INFUSIONS),
        rows(events or [], EVENTS),
        STANDARDS,
        settings,
    )


def row(
    found: Graded, term: str, source: str = "computed", infusion: int = 1, subject: str = "S1"
) -> dict[str, Any]:
    table = found.toxicity
    chosen = table[
        (table["term"] == term)
        & (table["source"] == source)
        & (table["infusion"] == infusion)
        & (table["subject_id"] == subject)
    ]
    assert len(chosen) == 1
    return {k: (None if pd.isna(v) else v) for k, v in chosen.iloc[0].to_dict().items()}


COURSE = observed(
    (-2, "temperature_c", 39.5),
    (0, "temperature_c", 36.8),
    (1, "temperature_c", 38.2),
    (2, "temperature_c", 39.0),
    (2.6, "oxygen", "low_flow"),
    (4, "temperature_c", 38.1),
    (5, "temperature_c", 36.9),
)


class TestHighestGrade:
    def test_grade_onset_peak_end_and_duration_come_from_the_days(self) -> None:
        found = grade(COURSE)
        one = row(found, "crs")
        assert (one["grade"], one["least"], one["most"]) == (2, 2, 2)
        assert [one[k] for k in ("onset_day", "peak_day", "end_day", "duration_days")] == [1, 2, 4, 4]
        assert (one["ongoing"], one["n_days"], one["reason"]) == (False, 5, None)
        assert one["standard"].startswith("ASTCT consensus 2019, CRS: Lee 2019")
        by_day = found.grades
        assert by_day["day"].tolist() == [0, 1, 2, 4, 5]
        assert by_day["grade"].tolist() == [0, 1, 2, 1, 0]
        assert by_day["because"].tolist()[2] == "temperature 39 °C; oxygen: low flow"

    def test_a_day_that_nobody_looked_at_is_told(self) -> None:
        qc = grade(COURSE).qc
        assert qc["check"].tolist() == ["days_without_observation"]
        assert "1 of the days 0 to 5" in qc["message"].iloc[0]

    def test_observations_that_end_early_are_told_unless_the_subject_died(self) -> None:
        watched = Safety(charted_by_exception=EVERY)
        qc = grade(COURSE, settings=watched).qc
        assert qc["check"].tolist() == ["days_without_observation", "observed_briefly"]
        assert "up to day 5 only, and not up to day 7" in qc["message"].iloc[1]
        died = grade(COURSE, settings=watched, events=[event("death", 5.4)]).qc
        assert died["check"].tolist() == ["days_without_observation"]

    def test_observations_of_another_year_or_after_the_acute_days_are_told(self) -> None:
        seen = observed((-362, "temperature_c", 39.5), (1, "temperature_c", 36.5), (31, "temperature_c", 39))
        qc = grade(seen).qc
        assert qc["check"].tolist() == ["observations_outside"] * 2
        assert qc["verdict"].tolist() == ["warn", "note"]
        assert "-362 to -362 are not graded" in qc["message"].iloc[0]
        assert not len(grade(observed((-30, "temperature_c", 39.5), (30.9, "temperature_c", 36))).qc)

    def test_an_open_day_leaves_the_highest_grade_open_and_says_why(self) -> None:
        one = row(grade(COURSE, settings=Safety(charted_by_exception=EVERY[:-1])), "crs")
        assert (one["grade"], one["least"], one["most"]) == (None, 2, 4)
        assert one["reason"] == "day 1, 4 can't be told (not observed: oxygen)"

    def test_an_open_first_day_makes_the_onset_uncertain(self) -> None:
        seen = observed((0, "oxygen", "none"), (1, "temperature_c", 38.5), (2, "temperature_c", 36.5))
        one = row(grade(seen), "crs")
        assert (one["grade"], one["onset_day"], one["reason"]) == (1, 1, "the onset can be as early as day 0")

    def test_it_goes_on_where_the_last_day_is_graded_and_is_open_where_that_is_not_known(self) -> None:
        assert row(grade(observed((0, "temperature_c", 38.5))), "crs")["ongoing"] is True
        seen = observed((0, "temperature_c", 38.5), (1, "oxygen", "low_flow"))
        one = row(grade(seen), "crs")
        assert (one["ongoing"], one["grade"], one["least"], one["most"]) == (None, None, 1, 2)

    def test_after_the_acute_days_nothing_is_crs(self) -> None:
        found = grade([*COURSE, *observed((31, "temperature_c", 40.0), (31, "oxygen", "positive_pressure"))])
        assert row(found, "crs")["grade"] == 2

    def test_an_infusion_without_observations_has_a_row_with_its_reason(self) -> None:
        found = grade(COURSE, infusions=[("S1", 1, 0.0), ("S1", 2, 90.0)])
        one = row(found, "crs", infusion=2)
        assert (one["grade"], one["least"], one["n_days"]) == (None, None, 0)
        assert one["reason"] == "no observation from day 0 to 30"

    def test_what_a_trial_never_observes_has_no_rows(self) -> None:
        found = grade(COURSE)
        assert set(found.toxicity["term"]) == {"crs"}
        assert len(found.metrics) == 0
        assert len(grade().toxicity) == 0


class TestCounts:
    NEUTROPHILS = counted(
        "neutrophils", (-6, 3.0), (0, 2.0), (5, 0.4), (9, 0.05), (13, 0.3), (16, 0.6), (20, 0.9), (25, 1.8)
    )

    def test_single_counts_and_windows_are_graded(self) -> None:
        found = grade(measurements=self.NEUTROPHILS)
        one = row(found, "neutropenia")
        assert (one["grade"], one["onset_day"], one["peak_day"], one["end_day"]) == (4, 5, 5, 20)
        assert one["ongoing"] is None
        # Low from day 5 to day 13; days 1 to 4, 14 and 15 lie between a low and a higher count.
        early = row(found, "icaht_early")
        assert (early["grade"], early["least"], early["most"]) == (None, 2, 3)
        assert (early["onset_day"], early["end_day"], early["duration_days"]) == (5, 13, 9)
        assert (early["onset_from"], early["duration_most"]) == (1, 15)
        late = row(found, "icaht_late")
        assert (late["grade"], late["reason"]) == (None, "no count of neutrophils from day 31 to 100")

    def test_metrics_are_time_to_recovery_and_low_days(self) -> None:
        metrics = grade(measurements=self.NEUTROPHILS).metrics.set_index("metric")
        recovery = metrics.loc["time_to_count_recovery"]
        assert recovery["status"] == "interval_censored"
        assert (recovery["lower"], recovery["upper"], recovery["unit"]) == (13, 16, "day")
        low = metrics.loc["low_count_days"]
        assert (low["lower"], low["upper"]) == (9, 15)
        assert (low["status"], low["course_unit"]) == ("interval_censored", "1e9/L")

    def test_death_and_the_next_infusion_end_the_window(self) -> None:
        dead = grade(
            measurements=counted("neutrophils", (1, 0.3), (6, 0.3), (9, 0.2)), events=[event("death", 9.0)]
        )
        assert row(dead, "icaht_early")["grade"] == 4
        # The lymphodepletion for the second infusion begins on day 15: days 0 to 14 count.
        again = grade(
            measurements=counted("neutrophils", (0, 2.0), (5, 2.0), (9, 2.0), (10, 0.3), (14, 0.3)),
            infusions=[("S1", 1, 0.0), ("S1", 2, 20.0)],
        )
        one = row(again, "icaht_early")
        assert (one["end_day"], one["duration_days"], one["grade"]) == (14, 5, 1)

    def test_counts_of_the_next_lymphodepletion_are_no_toxicity_of_the_infusion_before(self) -> None:
        # Lymphodepletion for the second infusion from day 15 on; the sheet's infusion is still the first.
        found = grade(
            measurements=counted("neutrophils", (3, 0.9), (14, 3.0), (16, 0.1)),
            infusions=[("S1", 1, 0.0), ("S1", 2, 20.0)],
        )
        one = row(found, "neutropenia")
        assert (one["grade"], one["end_day"], one["n_days"]) == (3, 3, 2)
        assert row(found, "neutropenia", infusion=2)["reason"] == "no count of neutrophils from day 0 on"

    def test_platelet_transfusions_of_the_events_delay_recovery(self) -> None:
        platelets = counted(
            "platelets", *((float(d), v) for d, v in ((5, 10.0), (6, 30.0), (7, 30.0), (8, 30.0)))
        )
        given = [event("drug", 6.0, label="Platelet  transfusion")]
        assert grade(measurements=platelets).metrics["value"].dropna().tolist()[-1] == 6
        recovery = (
            grade(measurements=platelets, events=given)
            .metrics.set_index("metric")
            .loc["time_to_count_recovery"]
        )
        assert (recovery["status"], recovery["lower"]) == ("right_censored", 8)


class TestClinicians:
    def test_their_grades_are_kept_beside_and_a_difference_is_told(self) -> None:
        found = grade([*COURSE, *observed((1, "crs_grade", 2.0), (2, "crs_grade", 2.0))])
        own = row(found, "crs", "clinician")
        assert (own["grade"], own["onset_day"], own["end_day"], own["standard"]) == (
            2,
            1,
            2,
            "clinicians' grades",
        )
        qc = found.qc[found.qc["check"] == "clinician_grade_differs"]
        assert qc["message"].tolist() == [
            "Infusion 1: the clinician grades crs otherwise (day 1: 2, computed 1). Both are kept."
        ]
        assert qc["verdict"].tolist() == ["warn"]

    def test_a_grade_that_the_observations_allow_is_no_difference(self) -> None:
        seen = [*COURSE, *observed((1, "crs_grade", 3.0))]
        found = grade(seen, settings=Safety(charted_by_exception=EVERY[:-1]))
        assert "clinician_grade_differs" not in found.qc["check"].tolist()

    def test_death_from_it_agrees_with_grade_4_only(self) -> None:
        severe = observed(
            (3, "temperature_c", 39.0), (3, "oxygen", "positive_pressure"), (3, "crs_grade", 5.0)
        )
        assert len(grade(severe).qc) == 0
        mild = observed((3, "temperature_c", 39.0), (3, "crs_grade", 5.0))
        assert grade(mild).qc["check"].tolist() == ["clinician_grade_differs"]

    def test_adverse_events_with_a_grade_count_from_start_to_end(self) -> None:
        events = [
            event("adverse_event", 1.0, label="Cytokine release syndrome", grade=1.0, end_study_day=6.0)
        ]
        found = grade(COURSE, events=events)
        own = row(found, "crs", "clinician")
        assert [own[k] for k in ("grade", "onset_day", "end_day", "duration_days", "ongoing")] == [
            1,
            1,
            6,
            6,
            False,
        ]
        qc = found.qc[found.qc["check"] == "clinician_grade_differs"]
        assert "highest grade: 1, computed 2" in qc["message"].iloc[0]

    def test_an_event_without_an_end_may_go_on(self) -> None:
        found = grade(events=[event("adverse_event", 1.0, label="CRS", grade=1.0)])
        assert row(found, "crs", "clinician")["ongoing"] is None

    def test_infections_take_their_grade_from_the_events(self) -> None:
        found = grade(
            events=[
                event("infection", 12.0, label="lung", grade=3.0, end_study_day=20.0),
                event("infection", 40.0, label="skin", grade=1.0, end_study_day=44.0),
                event("infection", -3.0, label="nose", grade=4.0),
            ]
        )
        one = row(found, "infection", "clinician")
        assert [one[k] for k in ("grade", "onset_day", "peak_day", "end_day", "ongoing")] == [
            3,
            12,
            12,
            44,
            False,
        ]
        assert found.grades["because"].tolist() == ["infection: lung", "infection: skin"]

    def test_an_infection_without_a_grade_is_some_grade(self) -> None:
        one = row(grade(events=[event("infection", 12.0)]), "infection", "clinician")
        assert (one["grade"], one["least"], one["most"]) == (None, 1, 5)
        assert "the event has no grade" in str(one["reason"])

    def test_an_event_belongs_to_the_latest_infusion(self) -> None:
        found = grade(
            events=[event("infection", 95.0, grade=2.0)], infusions=[("S1", 1, 0.0), ("S1", 2, 90.0)]
        )
        assert row(found, "infection", "clinician", infusion=2)["onset_day"] == 5

    def test_other_adverse_events_are_left_alone(self) -> None:
        assert len(grade(events=[event("adverse_event", 3.0, label="rash", grade=2.0)]).toxicity) == 0


ITEMS: dict[str, list[float | str]] = {
    "temperature_c": [36.5, 38.0, 39.5],
    "oxygen": ["none", "low_flow", "positive_pressure"],
    "hypotension": ["no", "yes"],
    "crs_grade": [0.0, 1.0, 3.0],
    "ice": [10.0, 5.0],
}
SEEN = st.lists(
    st.sampled_from([(i, v) for i, values in ITEMS.items() for v in values]).flatmap(
        lambda pair: st.tuples(st.integers(0, 12), st.just(pair[0]), st.just(pair[1]))
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12, deadline=None)
@given(SEEN, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seen: list[tuple[int, str, Any]], random: Any) -> None:
    shuffled = seen.copy()
    random.shuffle(shuffled)
    one, other = grade(observed(*seen)), grade(observed(*shuffled))
    for name in ("grades", "toxicity", "qc"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=12, deadline=None)
@given(SEEN, st.integers(0, 11))
def test_splitting_the_window_keeps_the_highest_grade(seen: list[tuple[int, str, Any]], cut: int) -> None:
    # Masking carries over a split, so it is not among the items here.
    whole = grade(observed(*seen)).toxicity
    parts = [
        grade(observed(*(s for s in seen if (s[0] <= cut) == early))).toxicity for early in (True, False)
    ]
    for (term, source), rows_ in whole.groupby(["term", "source"]):
        halves = [p[(p["term"] == term) & (p["source"] == source)] for p in parts]
        for bound in ("least", "most"):
            found = [int(v) for h in halves for v in h[bound].dropna()]
            assert max(found) == rows_[bound].iloc[0]


@pytest.mark.parametrize("half", [1.5, 2.5])
def test_half_a_grade_lies_between_two(half: float) -> None:
    one = row(grade(events=[event("infection", 3.0, grade=half)]), "infection", "clinician")
    assert (one["grade"], one["least"], one["most"]) == (None, int(half), int(half) + 1)
