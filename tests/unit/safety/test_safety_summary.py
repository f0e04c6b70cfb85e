"""The safety table: counted by hand, and what may never change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.config import Cohort, Safety
from cartrace.safety.summary import exact_interval, summarise_safety
from cartrace.safety.tables import OBSERVATIONS
from cartrace.safety.thresholds import load_standards, read_standards
from cartrace.safety.toxicity import grade_toxicity
from cartrace.tables import EVENTS, INFUSIONS, MEASUREMENTS, SUBJECTS, rows

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
EVERY = ("fever_masked", "hypotension", "vasopressors", "vasopressin")
SETTINGS = Safety(charted_by_exception=EVERY)


def seen(subject: str, day: float, item: str, value: float | str, infusion: int = 1) -> dict[str, Any]:
    word = isinstance(value, str)
    return {
        "subject_id": subject,
        "infusion": infusion,
        "day": float(day),
        "study_day": float(day),
        "item": item,
        "number": None if word else value,
        "word": value if word else None,
        "source_row": 2,
    }


def event(subject: str, kind: str, day: float, label: str | None = None, **more: Any) -> dict[str, Any]:
    return {"subject_id": subject, "kind": kind, "study_day": day, "label": label, **more}


def summary(
    observations: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    people: str = "ABCDEF",
    second: str = "",
    standards: Any = STANDARDS,
) -> pd.DataFrame:
    subjects = [{"subject_id": s, "cohort": "low" if s < "D" else "high"} for s in people]
    base = {"product": "P", "vector": "lentiviral"}
    infusions = [base | {"subject_id": s, "infusion": 1, "study_day": 0.0} for s in people]
    infusions += [base | {"subject_id": s, "infusion": 2, "study_day": 100.0} for s in second]
    tables = (rows(observations or [], OBSERVATIONS), rows(infusions, INFUSIONS), rows(events or [], EVENTS))
    graded = grade_toxicity(rows([], MEASUREMENTS), *tables, standards, SETTINGS)
    return summarise_safety(
        graded.toxicity,
        graded.grades,
        tables[0],
        tables[2],
        tables[1],
        rows(subjects, SUBJECTS),
        standards,
        SETTINGS,
        Cohort(),
    )


def line(table: pd.DataFrame, term: str, source: str = "computed", cohort: str = "all", infusion: int = 1) -> dict[str, Any]:  # fmt: skip
    chosen = table[
        (table["term"] == term)
        & (table["source"] == source)
        & (table["cohort"] == cohort)
        & (table["infusion"] == infusion)
    ]
    assert len(chosen) == 1
    return {k: (None if pd.isna(v) else v) for k, v in chosen.iloc[0].to_dict().items()}


def fever(subject: str, first: int, last: int, until: int = 12, **oxygen: str) -> list[dict[str, Any]]:
    """Observed daily to a day, with fever from one day to another."""
    out = []
    for day in range(until):
        hot = first <= day <= last
        out.append(seen(subject, day, "temperature_c", 39.0 if hot else 36.5))
        if oxygen:
            out.append(seen(subject, day, "oxygen", oxygen["on_fever"] if hot else "none"))
    return out


CRS = [
    *fever("A", 2, 4, on_fever="none"),
    *fever("B", 3, 8, on_fever="low_flow"),
    *fever("C", 99, 99, on_fever="none"),
    *fever("D", 1, 11, on_fever="high_flow"),
    # Nobody wrote down the oxygen of E: grade 1 to 4. Nobody looked at F.
    *fever("E", 5, 6),
]


def test_the_highest_grades_of_six_subjects_are_counted_by_hand() -> None:
    crs = line(summary(CRS), "crs")
    assert [crs[k] for k in ("n_total", "n_assessed", "n_not_assessed", "n_open")] == [6, 5, 1, 1]
    assert [crs[f"n_grade_{g}"] for g in range(6)] == [1, 1, 1, 1, 0, None]
    assert [crs[f"n_grade_{g}_most"] for g in range(5)] == [1, 2, 2, 2, 1]
    assert (crs["n_any"], crs["n_any_most"]) == (4, 4)
    assert (crs["n_grade_3_plus"], crs["n_grade_3_plus_most"]) == (1, 2)
    assert crs["percent_any"] == 80
    assert crs["basis"] == "assessed"
    # What open grades leave open has no percent, and an interval that covers both ends.
    assert crs["percent_grade_3_plus"] is None
    assert crs["percent_grade_3_plus_lower"] == pytest.approx(100 * 0.00505, abs=0.01)
    assert crs["percent_grade_3_plus_upper"] == pytest.approx(100 * 0.85337, abs=0.01)
    assert crs["reason"] == (
        "not assessed: no observation from day 0 to 30 (1); grade open: not observed: oxygen (1)"
    )
    assert crs["standard"].startswith("ASTCT consensus 2019")


def test_onset_and_duration_are_medians_with_ranges_and_what_lasts_is_open() -> None:
    crs = line(summary(CRS), "crs")
    # Onsets 1, 2, 3, and 5. Durations 3, 6, 2 and of D, who had fever to the last day, at least 11.
    assert [crs[f"onset_{k}"] for k in ("median", "minimum", "maximum")] == [2.5, 1, 5]
    assert (crs["n_duration"], crs["n_duration_open"]) == (4, 1)
    assert crs["duration_median"] == 4.5
    assert [crs[f"duration_{k}"] for k in ("minimum", "maximum")] == [2, 11]


def test_a_median_among_what_lasts_is_open() -> None:
    lasting = [
        row for s, first in (("A", 2), ("B", 3), ("C", 4)) for row in fever(s, first, 11, on_fever="none")
    ]
    crs = line(summary(lasting), "crs")
    assert crs["n_duration_open"] == 3
    assert [crs[f"duration_{k}"] for k in ("median", "median_lower", "median_upper")] == [None, 9, None]


def test_an_onset_that_may_be_earlier_is_open() -> None:
    # Day 1: the oxygen was not written down, and the fever was masked.
    masked = [seen("A", 1, "fever_masked", "yes"), seen("A", 2, "fever_masked", "no")]
    early = [*masked, *fever("A", 2, 3, on_fever="none")[4:], *fever("B", 2, 3, on_fever="none"), *fever("C", 2, 3, on_fever="none")]  # fmt: skip
    crs = line(summary(early), "crs")
    assert (crs["onset_minimum"], crs["onset_maximum"]) == (1, 2)
    assert crs["onset_median"] == 2
    assert crs["duration_median"] == 2


def test_cohorts_and_infusions_are_counted_apart() -> None:
    again = [seen("A", 1, "temperature_c", 39, infusion=2), seen("A", 1, "oxygen", "none", infusion=2)]
    table = summary(CRS + again, second="AB")
    assert table.groupby(["cohort", "infusion"], sort=False).size().index.tolist() == [
        ("all", 1), ("all", 2), ("high", 1), ("low", 1), ("low", 2),
    ]  # fmt: skip
    assert [line(table, "crs", cohort=c)["n_any"] for c in ("low", "high")] == [2, 2]
    second = line(table, "crs", infusion=2)
    assert [second[k] for k in ("n_total", "n_assessed", "n_grade_1")] == [2, 1, 1]
    # Two of the low cohort are too few for a median, not for a range.
    low = line(table, "crs", cohort="low")
    assert [low[f"onset_{k}"] for k in ("median", "minimum", "maximum")] == [None, 2, 3]


def test_clinicians_who_graded_everybody_are_a_share_of_those() -> None:
    own = [seen(s, 3, "crs_grade", g) for s, g in (("A", 0), ("B", 2), ("C", 5))]
    crs = line(summary(own), "crs", "clinician")
    assert [crs[k] for k in ("basis", "n_assessed", "n_not_assessed", "n_any", "n_grade_5")] == [
        "assessed",
        3,
        3,
        2,
        1,
    ]
    assert crs["percent_any"] == pytest.approx(200 / 3)
    assert crs["reason"] == "not assessed: no grade of a clinician (3)"


def test_reports_are_a_share_of_all_who_were_treated() -> None:
    # With the reported ones alone as the whole, every share would be 100 %.
    events = [
        event("A", "adverse_event", 4, "CRS", grade=2.0),
        event("B", "adverse_event", 3, "crs", grade=1.0),
    ]
    table = summary(events=events)
    crs = line(table, "crs", "clinician")
    assert [crs[k] for k in ("basis", "n_assessed", "n_any", "n_grade_0")] == ["treated", 2, 2, 0]
    assert crs["percent_any"] == pytest.approx(100 / 3)
    assert set(table["kind"]) == {"graded", "any_event"}


def test_reported_events_are_counted_by_label_with_the_highest_grade_of_each_subject() -> None:
    events = [
        event("A", "adverse_event", -3, "Nausea", grade=4.0),
        event("A", "adverse_event", 4, "Nausea", grade=1.0, end_study_day=5.0),
        event("A", "adverse_event", 20, "nausea ", grade=3.0, end_study_day=22.0),
        event("B", "adverse_event", 8, "Nausea", end_study_day=8.0),
        event("C", "infection", 50, "lung", grade=2.5),
        event("C", "infection", 90, "lung", grade=2.0, end_study_day=95.0),
        event("D", "infection", 7, grade=1.0, end_study_day=9.0),
    ]
    table = summary(events=events)
    listed = table.loc[(table["cohort"] == "all") & (table["kind"] != "graded"), ["kind", "term"]]
    assert listed.to_numpy().tolist() == [
        ["infection", "lung"],
        ["infection", "not named"],
        ["any_event", "Any reported adverse event or infection"],
        ["adverse_event", "Nausea"],
    ]
    nausea = line(table, "Nausea", "reported")
    assert [nausea[k] for k in ("n_assessed", "n_open", "n_grade_3", "n_grade_1_most", "n_grade_5_most")] == [
        2,
        1,
        1,
        1,
        1,
    ]
    assert (
        nausea["reason"]
        == "not assessed: no report in the events sheet (4); grade open: the event has no grade (1)"
    )
    assert (nausea["onset_minimum"], nausea["onset_maximum"]) == (4, 8)
    # The longest event, not the days between two of them.
    assert (nausea["duration_minimum"], nausea["duration_maximum"]) == (1, 3)
    assert line(table, "lung", "reported")["n_grade_3_most"] == 1
    # C: six days, or longer where the first had no end; D three.
    infection = line(table, "infection", "clinician")
    assert [infection[k] for k in ("n_any", "duration_minimum", "duration_maximum", "n_duration_open")] == [
        2,
        3,
        6,
        1,
    ]


def test_drugs_count_who_got_them_early_enough() -> None:
    events = [
        event("A", "drug", 3, "tocilizumab 8 mg/kg"),
        event("A", "drug", 2, "Tocilizumab"),
        event("B", "drug", 31, "tocilizumab"),
        event("C", "drug", -20, "prednisone", end_study_day=60.0),
        event("D", "drug", 9, "IV methylprednisolone, 3 x 1 g"),
        event("E", "drug", 9, "methylprednisolones"),
        # A taper is no new drug; dexamethasone beside it is, and so is prednisone after a pause.
        event("F", "drug", -60, "Prednisone 15 mg", end_study_day=28.0),
        event("F", "drug", 29, "prednisone 7.5 mg", end_study_day=45.0),
        event("B", "drug", -60, "prednisone", end_study_day=28.0),
        event("B", "drug", 5, "dexamethasone", end_study_day=6.0),
        event("A", "drug", -60, "prednisone", end_study_day=-10.0),
        event("A", "drug", 5, "prednisone", end_study_day=8.0),
    ]
    table = summary(events=events)
    drug = line(table, "Tocilizumab", "reported")
    assert [drug[k] for k in ("n_any", "onset_minimum", "n_grade_1", "n_open")] == [1, 2, None, None]
    assert drug["percent_any"] == pytest.approx(100 / 6)
    steroids = line(table, "Corticosteroids", "reported")
    assert [steroids[k] for k in ("n_any", "onset_minimum", "onset_maximum")] == [3, 5, 9]


def test_a_trial_without_anything_has_no_row() -> None:
    assert summary().empty


@pytest.mark.parametrize(("least", "most", "n", "lower", "upper"), [
    (0, 0, 10, 0.0, 30.85), (1, 1, 10, 0.25, 44.50), (10, 10, 10, 69.15, 100.0), (1, 3, 10, 0.25, 65.25),
])  # fmt: skip
def test_intervals_are_those_of_the_tables(least: int, most: int, n: int, lower: float, upper: float) -> None:
    assert exact_interval(least, most, n) == pytest.approx((lower, upper), abs=0.01)


def test_thresholds_that_nobody_read_are_named() -> None:
    table = {
        "kind": "symptoms", "term": "crs", "standard": "House", "source": "nobody",
        "fever": {"item": "temperature_c", "at_least": 38, "grade": 1, "source": "x"},
        "rows": [{"item": "oxygen", "word": "low_flow", "grade": 2, "source": "x", "recalled": True}],
    }  # fmt: skip
    found = line(summary(CRS, standards=load_standards({"crs.yaml": table})), "crs")
    assert found["standard"] == "House: nobody [recalled: grade 2 oxygen]"


GRADED = st.lists(
    st.tuples(st.sampled_from("ABCDEF"), st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=12
)


@settings(max_examples=6, deadline=None)
@given(GRADED, st.randoms(use_true_random=False))
def test_counts_add_up_and_no_order_of_rows_matters(own: list[tuple[str, int, int]], random: Any) -> None:
    observations = [seen(s, day, "crs_grade", float(g)) for s, day, g in own] + CRS
    table = summary(observations)
    for source in ("computed", "clinician"):
        crs = line(table, "crs", source)
        grades = [crs[f"n_grade_{g}"] or 0 for g in range(6)]
        assert sum(grades) + crs["n_open"] == crs["n_assessed"] == crs["n_total"] - crs["n_not_assessed"]
        assert sum(grades[3:]) <= crs["n_grade_3_plus"] <= crs["n_any"] <= crs["n_any_most"]
        parts = [line(table, "crs", source, c) for c in ("low", "high")]
        for column in ("n_any", "n_open", "n_not_assessed", "n_grade_3_plus_most"):
            assert sum(p[column] for p in parts) == crs[column]
    random.shuffle(observations)
    pd.testing.assert_frame_equal(summary(observations), table)
