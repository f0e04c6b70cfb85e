"""Metrics of clones and integration sites, from tables made by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.unit.repertoire.hand_tables import (
    SAMPLES,
    alarms,
    b_return_rows,
    changes,
    clone_samples,
    clone_totals,
    persistence,
    sites,
    tables,
)

from cartrace.cohort.summary import summarise
from cartrace.config import Config
from cartrace.metrics import find
from cartrace.registry import load_all
from cartrace.repertoire.diversity import diversity_table
from cartrace.repertoire.metrics import NO_PRODUCT, NO_SAMPLE, Tables, compute_metrics
from cartrace.repertoire.settings import Diversity, Repertoire
from cartrace.tables import METRICS, SUBJECTS, empty, records, rows

LANDMARKS = Config().kinetics.persistence.landmarks
COUNTS = {
    "product": {"a": 10, "b": 5, "c": 4, "d": 1},
    "d28": {"a": 30, "b": 5, "x": 5},
    "d90": {"x": 24, "a": 6, "y": 10},
}
FOUND = persistence({"d28": {"landmark": "M1", "found": 2}, "d90": {"landmark": "M3", "found": 1}})
CHANGED = changes(
    [
        ("a", "product", "d28", "expanded"),
        ("a", "product", "d90", "contracted"),
        ("b", "product", "d28", "unchanged"),
        ("b", "product", "d90", "unchanged"),
        ("x", "product", "d28", "expanded"),
        ("x", "product", "d90", "expanded"),
        ("y", "d28", "d90", "expanded"),
    ]
)
USUAL = {
    "samples": clone_samples(COUNTS),
    "totals": clone_totals(COUNTS),
    "changes": CHANGED,
    "persistence": FOUND,
}


def told(made: Tables) -> dict[str, dict[str, Any]]:
    frame = compute_metrics(made, Repertoire(), LANDMARKS)
    assert frame["metric"].is_unique
    return {r["metric"]: r for r in records(frame)}


def interval(row: dict[str, Any]) -> tuple[str, float | None, float | None]:
    return row["status"], row["lower"], row["upper"]


def test_clones_of_the_product_and_those_found_again():
    found = told(tables(**USUAL))
    assert found["product_clones"]["value"] == 4
    assert found["product_clones"]["reason"] == "in 20 cells"
    assert found["clones_found_at_M1"]["value"] == 2
    assert found["clones_found_percent_at_M1"]["value"] == 50
    assert found["clones_found_at_M3"]["value"] == 1
    assert found["clones_found_at_M3"]["window_start"] == 90
    assert found["clones_found_at_M3"]["reason"] == "2.5 expected, had every clone kept its share"
    for name in ("clones_found_at_M6", "clones_found_percent_at_M12"):
        assert found[name]["status"] == "not_estimable"
    assert found["clones_found_at_M6"]["reason"] == "no sample within 30 days of day 180"


def test_a_landmark_whose_sample_has_too_few_cells_is_not_zero():
    few = persistence({"d28": {"landmark": "M1", "found": 0, "reason": "9 cells with a clone"}})
    row = told(tables(**(USUAL | {"persistence": few})))["clones_found_at_M1"]
    assert (row["value"], row["status"], row["reason"]) == (None, "not_estimable", "9 cells with a clone")


def test_a_sample_deeper_than_the_product_has_no_expectation():
    deep = persistence({"d28": {"landmark": "M1", "found": 3, "expected_if_unchanged": None}})
    row = told(tables(**(USUAL | {"persistence": deep})))["clones_found_at_M1"]
    assert (row["value"], row["status"]) == (3, "estimated")
    assert row["reason"] == "deeper than the product, so that nobody can say how many to expect"


def test_one_sample_can_answer_for_two_landmarks():
    both = persistence({"d28": {"landmark": "M1;M3", "found": 2}})
    found = told(tables(**(USUAL | {"persistence": both})))
    assert found["clones_found_at_M1"]["value"] == found["clones_found_at_M3"]["value"] == 2


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"d28": 2, "d90": 1}, ("right_censored", 90.0, None)),
        ({"d28": 2, "d90": 0}, ("interval_censored", 28.0, 90.0)),
        ({"d28": 0, "d90": 0}, ("interval_censored", 0.0, 28.0)),
        # A clone that was missed once was there.
        ({"d28": 0, "d90": 1}, ("right_censored", 90.0, None)),
    ],
)
def test_the_last_day_of_the_product_lies_between_two_samples(numbers, expected):
    kept = persistence({name: {"found": n} for name, n in numbers.items()})
    assert interval(told(tables(**(USUAL | {"persistence": kept})))["last_day_product_clone"]) == expected


def test_samples_with_too_few_cells_do_not_end_the_product():
    kept = persistence({"d28": {"found": 2}, "d90": {"found": 0, "reason": "9 cells with a clone"}})
    row = told(tables(**(USUAL | {"persistence": kept})))["last_day_product_clone"]
    assert interval(row) == ("right_censored", 28.0, None)


def test_clones_that_changed_from_the_product_are_counted_once():
    found = told(tables(**USUAL))
    # a and x; y was not compared with the product.
    assert found["expanded_clones"]["value"] == 2
    assert found["contracted_clones"]["value"] == 1


def test_clones_that_were_in_the_blood_before_the_infusion_are_told():
    before = {"pre": {"x": 16, "z": 4}} | COUNTS
    found = told(tables(**(USUAL | {"samples": clone_samples(before), "totals": clone_totals(before)})))
    # a and x are larger than in the product; x filled four fifths of the blood before.
    assert found["expanded_clones"]["reason"] == "1 of 2 were in the blood before the infusion"
    assert found["largest_clone_peak"]["reason"] == "a"
    few = clone_totals(before, rejected=["d28"])
    late = told(tables(**(USUAL | {"samples": clone_samples(before), "totals": few})))
    assert late["largest_clone_peak"]["reason"] == "x, 80 % in the blood before the infusion"
    unknown = "T cells of the blood before the infusion are not known"
    assert told(tables(**USUAL))["expanded_clones"]["reason"] == unknown
    shallow = clone_totals(before, rejected=["pre"])
    row = told(tables(**(USUAL | {"samples": clone_samples(before), "totals": shallow})))["expanded_clones"]
    assert (row["value"], row["reason"]) == (2, unknown)


def test_no_change_is_told_where_no_clone_could_be_tested():
    untested = changes([("y", "d28", "d90", "expanded")])
    row = told(tables(**(USUAL | {"changes": untested})))["expanded_clones"]
    assert row["status"] == "not_estimable"
    assert row["reason"].startswith("no clone has 3 cells in the product and a later sample together")
    tested = changes([("b", "product", "d28", "unchanged")])
    assert told(tables(**(USUAL | {"changes": tested})))["expanded_clones"]["value"] == 0


def test_the_peak_is_the_largest_share_of_any_clone_after_the_infusion():
    row = told(tables(**USUAL))["largest_clone_peak"]
    assert (row["value"], row["reason"], row["window_start"], row["n_points"]) == (75, "a", 28, 2)
    # Clopper and Pearson for 30 of 40.
    assert row["lower"] == pytest.approx(58.80, abs=0.01)
    assert row["upper"] == pytest.approx(87.31, abs=0.01)


def test_the_peak_leaves_out_samples_with_too_few_cells():
    found = told(tables(**(USUAL | {"totals": clone_totals(COUNTS, rejected=["d28"])})))
    assert (found["largest_clone_peak"]["value"], found["largest_clone_peak"]["reason"]) == (60, "x")
    assert found["expanded_clones"]["value"] == 1
    none = told(tables(**(USUAL | {"totals": clone_totals(COUNTS, rejected=["d28", "d90"])})))
    assert none["largest_clone_peak"]["reason"] == "too few cells"
    assert none["largest_clone_peak"]["status"] == "not_estimable"


def test_a_subject_without_a_product_has_reasons():
    blood = {name: COUNTS[name] for name in ("d28", "d90")}
    found = told(tables(samples=clone_samples(blood), totals=clone_totals(blood)))
    for name in ("product_clones", "clones_found_at_M1", "last_day_product_clone", "expanded_clones"):
        assert (found[name]["status"], found[name]["reason"]) == ("not_estimable", NO_PRODUCT)
    assert found["largest_clone_peak"]["value"] == 75


def test_a_subject_with_a_product_alone_has_reasons():
    product = {"product": COUNTS["product"]}
    found = told(tables(samples=clone_samples(product), totals=clone_totals(product)))
    assert found["product_clones"]["value"] == 4
    for name in ("last_day_product_clone", "expanded_clones", "largest_clone_peak"):
        assert (found[name]["status"], found[name]["reason"]) == ("not_estimable", NO_SAMPLE)


def test_car_t_cells_are_a_course_of_their_own():
    both = pd.concat([clone_totals(COUNTS), clone_totals(COUNTS, "car_t_cells")])
    samples = pd.concat([clone_samples(COUNTS), clone_samples(COUNTS, "car_t_cells")])
    made = tables(**(USUAL | {"totals": both, "samples": samples}))
    frame = compute_metrics(made, Repertoire(), LANDMARKS)
    peaks = frame[frame["metric"] == "largest_clone_peak"]
    assert peaks["assay"].tolist() == ["scTCR-seq (CAR+ T cells)", "scTCR-seq"]


def test_car_t_cells_that_were_sorted_and_not_found_have_reasons():
    none = clone_totals({"d28": {}}, "car_t_cells", rejected=["d28"])
    assert told(tables(totals=none))["largest_clone_peak"]["reason"] == "too few cells"
    # Beside unsorted T cells nobody need have looked for them.
    both = pd.concat([none, USUAL["totals"]], ignore_index=True)
    frame = compute_metrics(tables(**(USUAL | {"totals": both})), Repertoire(), LANDMARKS)
    assert set(frame["assay"]) == {"scTCR-seq"}


def test_b_clones_that_came_back():
    b = {
        "pre": {"B-1": 5, "B-2": 3, "B-3": 2},
        "product": {"B-9": 1},
        "d28": {"B-7": 1},
        "d90": {"B-1": 1, "B-8": 10, "B-9": 1},
    }
    shares = {
        ("pre", "naive"): (0, 10),
        ("d28", "naive"): (1, 1),
        ("d28", "old_clones"): (0, 1),
        ("d90", "naive"): (9, 12),
        ("d90", "old_clones"): (1, 12),
    }
    found = told(tables(samples=clone_samples(b, "b_cells"), b_return=b_return_rows(shares)))
    assert found["b_clones_returned"]["value"] == 1
    assert (
        found["b_clones_returned"]["reason"]
        == "of 3 clones from before the infusion, among 13 B cells after it"
    )
    assert found["old_b_clone_share_last"]["value"] == pytest.approx(100 / 12)
    assert found["old_b_clone_share_last"]["window_end"] == 90
    assert found["naive_bcr_share_last"]["value"] == 75
    assert found["naive_bcr_share_last"]["lower"] == pytest.approx(42.81, abs=0.01)


def test_b_cells_that_nobody_can_compare_have_a_reason():
    shares = {("d90", "naive"): (0, 0), ("d90", "old_clones"): (0, 0)}
    found = told(tables(b_return=b_return_rows(shares)))
    for name in ("b_clones_returned", "old_b_clone_share_last", "naive_bcr_share_last"):
        assert (found[name]["status"], found[name]["reason"]) == ("not_estimable", "nothing known")
    before = told(tables(b_return=b_return_rows({("pre", "naive"): (1, 10)})))
    assert before["naive_bcr_share_last"]["reason"] == NO_SAMPLE


def test_sites_peak_and_alarm():
    made = tables(
        sites=sites(
            {"product": {"s1": 90.0, "s2": 10.0}, "d28": {"s1": 10.0, "s2": 10.0}, "d90": {"s2": 3.0}}
        ),
        alarms=alarms([("product", "s1", "dominant"), ("d28", "s2", "growing")]),
    )
    found = told(made)
    # Day 90 has 3 cells, fewer than 10: one site of three would be all of them.
    assert (found["largest_site_peak"]["value"], found["largest_site_peak"]["reason"]) == (50, "s1")
    assert found["dominant_site"]["value"] == 0
    assert (found["sites_last"]["value"], found["sites_last"]["window_end"]) == (2, 28)
    raised = Tables(
        **{
            name: getattr(made, name)
            for name in ("samples", "totals", "changes", "persistence", "b_return", "sites", "diversity")
        },
        alarms=alarms([("d28", "s1", "dominant")]),
    )
    assert told(raised)["dominant_site"]["value"] == 1


def test_a_sample_without_any_site_has_reasons():
    none = diversity_table(
        {"d28": []},
        SAMPLES,
        subject_id="P1",
        unit="site",
        population="NK cells",
        settings=Diversity(),
        seed=1,
        confidence=0.95,
    )
    frame = compute_metrics(tables(diversity=none), Repertoire(), LANDMARKS)
    assert set(frame["metric"]) == {"largest_site_peak", "dominant_site", "sites_last"}
    assert set(frame["assay"]) == {"integration sites (NK cells)"}
    assert set(frame["reason"]) == {"0 cells by their sites, fewer than 10"}
    assert set(frame["status"]) == {"not_estimable"}
    # Where another sample has sites, the empty one is the last and tells nothing.
    both = told(tables(diversity=none, sites=sites({"d90": {"s1": 20.0}}, "NK cells")))
    assert both["sites_last"]["window_end"] == 90


def test_few_sites_have_reasons():
    found = told(tables(sites=sites({"d90": {"s2": 3.0}})))
    for name in ("largest_site_peak", "dominant_site", "sites_last"):
        assert found[name]["reason"] == "3 cells by their sites, fewer than 10"
        assert found[name]["status"] == "not_estimable"


def test_cell_types_are_courses_of_their_own():
    both = pd.concat([sites({"d28": {"s1": 20.0}}), sites({"d28": {"s1": 20.0}}, "NK cells")])
    frame = compute_metrics(tables(sites=both), Repertoire(), LANDMARKS)
    assert set(frame["assay"]) == {"integration sites", "integration sites (NK cells)"}


def test_a_subject_without_anything_has_no_rows():
    assert compute_metrics(tables(), Repertoire(), LANDMARKS).equals(empty(METRICS))


def test_every_metric_of_the_group_is_computed():
    shares = {("pre", "naive"): (0, 10), ("d28", "naive"): (1, 2), ("d28", "old_clones"): (0, 2)}
    made = tables(**USUAL, b_return=b_return_rows(shares), sites=sites({"d28": {"s1": 20.0}}))
    expected = {m.name for m in load_all().values() if m.group == "clones"}
    assert {find(name).name for name in told(made)} == expected


def test_the_order_of_rows_changes_nothing():
    made = {name: frame.iloc[::-1].reset_index(drop=True) for name, frame in USUAL.items()}
    assert told(tables(**made)) == told(tables(**USUAL))


def test_the_cohort_summarises_them():
    metrics = compute_metrics(
        tables(**USUAL, sites=sites({"d28": {"s1": 20.0}}), alarms=alarms([("d28", "s1", "dominant")])),
        Repertoire(),
        LANDMARKS,
    )
    several = pd.concat([metrics.assign(subject_id=f"P{i}") for i in range(4)], ignore_index=True)
    subjects = rows([{"subject_id": f"P{i}"} for i in range(4)], SUBJECTS)
    summary, survival = summarise(several, subjects, Config().cohort)
    of = {r["metric"]: r for r in records(summary) if r["cohort"] == "all"}
    assert of["dominant_site"]["mean"] == 1
    assert of["last_day_product_clone"]["n_censored"] == 4
    assert set(survival["metric"]) == {"last_day_product_clone"}
    assert of["product_clones"]["median"] == 4
