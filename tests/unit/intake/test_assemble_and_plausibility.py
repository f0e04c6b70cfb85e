"""Results find their infusion; what looks wrong is told with evidence and never changed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import config as configuration
from cartrace.intake.assemble import assemble
from cartrace.intake.plausibility import (
    coincidences_by_chance,
    digits_needed,
    significant_digits,
    swaps,
)
from cartrace.intake.results import RESULTS
from cartrace.intake.sheet_tables import SheetTables
from cartrace.tables import INFUSIONS, SAMPLES, SUBJECTS, rows

RATIO = [
    {"analyte": "transgene", "numerator": "copies/1000 cells", "denominator": "copies/ug", "expected": None}
]


def result(subject: str, day: float | None, value: float | None, **more: Any) -> dict[str, Any]:
    out: dict[str, Any] = {
        "subject_id": subject,
        "matrix": "blood",
        "day": day,
        "analyte": "transgene",
        "assay": "qpcr",
        "unit": "copies/ug",
        "value": value,
        "printed": value,
        "rounding": 0.5,
        "lower": value,
        "upper": value,
        "detection": "quantified",
        "censoring": "none",
        "status": "accepted",
        "source_file": "f",
        "source_row": 2,
        "source_column": "c",
        "source_sha256": "0" * 64,
    }
    if value is None:
        out |= {"detection": "BLD", "censoring": "left", "lower": 0.0, "upper": 50.0}
    return out | more


def sheets(infusions: dict[str, list[float]], samples: list[dict[str, Any]] | None = None) -> SheetTables:
    return SheetTables(
        rows([{"subject_id": s} for s in infusions], SUBJECTS),
        rows(
            [
                {"subject_id": s, "infusion": n, "study_day": d, "product": "P", "vector": "lentiviral"}
                for s, days in infusions.items()
                for n, d in enumerate(days, 1)
            ],
            INFUSIONS,
        ),
        rows(samples or [], SAMPLES),
    )


def run(
    results: list[dict[str, Any]],
    infusions: dict[str, list[float]] | None = None,
    samples: list[dict[str, Any]] | None = None,
    **config: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    numbered = [r | {"source_row": n} if r["source_row"] == 2 else r for n, r in enumerate(results, 2)]
    subjects = infusions or {r["subject_id"]: [0.0] for r in results}
    return assemble([rows(numbered, RESULTS)], [], sheets(subjects, samples), configuration.load(config))


def course(subject: str, values: list[float | None], days: list[float]) -> list[dict[str, Any]]:
    return [result(subject, d, v) for d, v in zip(days, values, strict=True)]


def pairs(changed: dict[int, tuple[float, float]], n: int = 20) -> list[dict[str, Any]]:
    out = []
    for row in range(2, n + 2):
        copies = 1013.0 * row
        ug, cells = changed.get(row, (copies, round(copies / 290)))
        common = {"source_row": row, "ratios": json.dumps(RATIO)}
        out.append(result(f"S{row}", 7, ug, **common))
        out.append(result(f"S{row}", 7, cells, unit="copies/1000 cells", **common))
    return out


def checks(qc: pd.DataFrame) -> list[str]:
    return sorted(qc["check"])


def test_a_sample_belongs_to_the_latest_infusion_at_or_before_it() -> None:
    days = [-5.0, 0.0, 41.0, 42.0, 50.0]
    measurements, qc = run(course("A", [100.0, 200, 300, 350, 400], days), {"A": [0.0, 42.0]})
    assert measurements["infusion"].tolist() == [1, 1, 1, 2, 2]
    assert measurements["day"].tolist() == [-5, 0, 41, 0, 8]
    assert measurements["study_day"].tolist() == days
    assert "detected_before_infusion" in checks(qc)


def test_a_day_counts_from_the_infusion_that_the_table_names() -> None:
    measurements, _ = run([result("A", 7, 100, infusion=2)], {"A": [0.0, 42.0]})
    assert measurements.loc[0, ["infusion", "day", "study_day"]].tolist() == [2, 7, 49]
    nothing, qc = run([result("A", 7, 100, infusion=3)], {"A": [0.0]})
    assert len(nothing) == 0
    assert checks(qc) == ["infusion_unknown"]


def test_the_samples_sheet_gives_subject_matrix_and_day() -> None:
    sample = {
        "sample_id": "S1",
        "subject_id": "A",
        "infusion": 1,
        "matrix": "csf",
        "day": 7.0,
        "study_day": 7.0,
        "visit": "D7",
    }
    bare = {"subject_id": None, "matrix": None, "day": None}
    good = result("A", 7, 100) | bare | {"sample_id": "S1"}
    lost = result("A", 7, 100) | bare | {"sample_id": "S2"}
    other = result("B", 7, 100, sample_id="S1")
    measurements, qc = run([good, lost, other], {"A": [0.0], "B": [0.0]}, [sample])
    assert measurements[["subject_id", "matrix", "day", "visit"]].to_numpy().tolist() == [
        ["A", "csf", 7, "D7"]
    ]
    assert checks(qc) == ["sample_of_other_subject", "sample_unknown"]


def test_samples_are_matched_by_matrix_and_day_or_named_after_them() -> None:
    sample = {
        "sample_id": "S1",
        "subject_id": "A",
        "infusion": 1,
        "matrix": "blood",
        "day": 7.0,
        "study_day": 7.0,
    }
    measurements, _ = run([result("A", 7, 100), result("A", 14, 100)], {"A": [0.0]}, [sample])
    assert measurements["sample_id"].tolist() == ["S1", "A|blood|d14"]


def test_visits_give_the_day_where_the_table_has_none() -> None:
    visits = [{"name": "Week 2", "day": 14, "window": 3}]
    measurements, qc = run(
        [result("A", None, 100, visit="week 2"), result("A", None, 90, visit="Weak 2")], visits=visits
    )
    assert measurements["day"].tolist() == [14]
    assert qc.loc[0, ["check", "suggestion"]].tolist() == ["no_day", "perhaps visit Week 2"]


def test_an_unknown_subject_is_left_out_with_the_likely_one() -> None:
    measurements, qc = run(
        [result("1003", 7, 100), result("01003", 14, 100), result("9", 7, 1)], {"P-1003": [0.0]}
    )
    assert len(measurements) == 0
    assert checks(qc) == ["subject_unknown", "subject_written_two_ways", "subject_written_two_ways"]
    assert set(qc["suggestion"].dropna()) == {"perhaps P-1003"}


def test_two_spellings_in_the_tables_are_told() -> None:
    _, qc = run([result("1003", 7, 100), result("1003", 14, 90), result("01003", 21, 80)])
    assert checks(qc) == ["subject_written_two_ways"]
    assert qc.loc[0, "suggestion"] == "perhaps 1003"


def test_correct_pairs_of_units_are_silent() -> None:
    measurements, qc = run(pairs({}))
    assert len(qc) == 0
    assert set(measurements["status"]) == {"accepted"}


@pytest.mark.parametrize(
    ("ug", "cells", "said"),
    [
        (101300.0, 35.0, "a factor of 10"),
        (10130.0, 3500.0, "a factor of 100"),
        (11030.0, 35.0, "11030 read as 10130"),
    ],
)
def test_a_pair_off_the_ratio_is_told_with_a_reading_and_not_changed(
    ug: float, cells: float, said: str
) -> None:
    measurements, qc = run(pairs({10: (ug, cells)}))
    assert checks(qc) == ["unit_ratio"]
    assert said in qc.loc[0, "suggestion"]
    assert qc.loc[0, "source_row"] == 10
    flagged = measurements[measurements["status"] == "flagged"]
    assert sorted(flagged["value"]) == sorted([ug, cells])


def test_zero_in_one_unit_is_told_unless_rounding_explains_it() -> None:
    _, qc = run(pairs({10: (10130.0, 0.0)}))
    assert "is 0, but" in qc.loc[0, "message"]
    _, silent = run(pairs({10: (120.0, 0.0)}))
    assert len(silent) == 0


def test_exchanged_visits_and_lone_outliers_are_told() -> None:
    days = [4.0, 7, 10, 14, 21, 28]
    _, qc = run(course("A", [20.0, 40000, 900, 30000, 9000, 3000], days))
    assert checks(qc) == ["fits_neighbour_visit"]
    assert "exchanged" in qc.loc[0, "suggestion"]
    _, low = run(course("A", [5000.0, 40000, 42000, 30000, 80, 31000], days))
    assert checks(low) == ["fits_neighbour_visit"]
    assert "below both neighbours" in low.loc[0, "message"]


def test_steep_expansion_and_decline_are_no_finding() -> None:
    _, qc = run(course("A", [60.0, 9000, 120000, 40000, 2000, 300], [4.0, 7, 10, 14, 21, 28]))
    assert len(qc) == 0
    _, sparse = run(course("A", [104.0, 8660, 253], [3.0, 7, 28]))
    assert len(sparse) == 0


def test_a_result_that_vanishes_within_days_is_told() -> None:
    _, qc = run(course("A", [30000.0, None, 100], [60.0, 64, 90]))
    assert checks(qc) == ["sudden_loss"]
    _, later = run(course("A", [30000.0, None, 100], [60.0, 84, 120]))
    assert len(later) == 0


def test_the_same_long_number_twice_is_told_and_a_short_one_is_not() -> None:
    _, qc = run([result("A", 7, 271828), result("B", 30, 271828)])
    assert checks(qc) == ["same_result_two_subjects"]
    _, short = run([result("A", 7, 1950), result("B", 30, 1950)])
    assert len(short) == 0


def test_the_more_results_are_compared_the_more_digits_a_coincidence_must_have() -> None:
    # 400 subjects have 10001, 10004, 10007, ..: neighbours 3 apart coincide by chance sooner or later.
    # 40 of them end in 0, and have four digits.
    dense = [result(f"S{n}", 7, 10001 + 3 * n) for n in range(400)]
    _, qc = run([*dense, result("A", 7, 10304)])
    assert len(qc) == 0
    _, long = run([*dense, result("A", 7, 271828), result("B", 7, 271828)])
    assert checks(long) == ["same_result_two_subjects"]
    assert long.loc[0, "limit"] == "a number of 6 digits once"
    assert (
        long.loc[0, "limit_source"] == "at most 0.1 expected by chance among 362 results of 5 digits or more"
    )


def test_a_copy_in_one_course_is_told_where_chance_between_subjects_is_not() -> None:
    dense = [result(f"S{n}", 7, 10001 + 3 * n) for n in range(400)]
    measurements, qc = run([*dense, result("S1", 14, 10004), result("S2", 21, 10004)])
    assert checks(qc) == ["same_result_two_visits"]
    assert qc.loc[0, "message"] == "10004 copies/ug stands at 2 visits (days 7, 14)."
    assert measurements.query("status == 'flagged'")["subject_id"].tolist() == ["S1", "S1"]


def test_coincidences_by_chance_follow_the_formula() -> None:
    # Both numbers see one neighbour; u = 1, w = 0.1: (1 / (0.2 x 20000) + 1 / (0.2 x 20100)) / 2.
    two, digits = np.array([20001.0, 20101.0]), np.array([5, 5])
    by_hand = (1 / (0.2 * 20001) + 1 / (0.2 * 20101)) / 2
    assert coincidences_by_chance(two, digits, np.array([0, 0])) == pytest.approx(by_hand)
    assert coincidences_by_chance(two, digits, np.array([0, 1])) == 0
    # A copied number does not hide itself, however often it was copied.
    assert coincidences_by_chance(np.full(99, 20001.0), np.full(99, 5), np.zeros(99, int)) == 0


@pytest.mark.parametrize("spread", [0.4, 1.0, 2.0])
def test_as_many_results_coincide_as_expected(spread: float) -> None:
    rng = np.random.default_rng(1)
    expected, seen = 0.0, 0
    for _ in range(20):
        drawn = np.round(np.exp(rng.normal(np.log(40000), spread, 800)))
        digits = np.array([significant_digits(x) for x in drawn])
        drawn, digits = drawn[digits >= 5], digits[digits >= 5]
        expected += coincidences_by_chance(drawn, digits, np.zeros(len(drawn), int))
        _, times = np.unique(drawn, return_counts=True)
        seen += int((times * (times - 1) // 2).sum())
    # Numbers that end in 0 count as printed more coarsely than they are: somewhat cautious.
    assert seen / 1.3 < expected < 2.5 * seen


@settings(deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=10**9), max_size=60))
def test_more_results_never_need_fewer_digits(numbers: list[int]) -> None:
    printed = np.array(numbers, dtype=float)
    digits = np.array([significant_digits(x) for x in printed], dtype=int)
    needed = [digits_needed(printed[:n], digits[:n], np.zeros(n, int)) for n in range(len(printed) + 1)]
    assert needed == sorted(needed)
    assert needed[0] == 5


def test_duplicates_are_judged_by_how_far_they_are_apart() -> None:
    _, agree = run([result("A", 7, 100), result("A", 7, 120)])
    assert agree[["check", "verdict"]].to_numpy().tolist() == [["duplicates_agree", "note"]]
    measurements, apart = run([result("A", 7, 100), result("A", 7, 220)])
    assert checks(apart) == ["duplicates_disagree"]
    assert set(measurements["flags"]) == {"duplicates_disagree"}
    _, lost = run([result("A", 7, None), result("A", 7, 220)])
    assert checks(lost) == ["duplicates_disagree"]
    _, near = run([result("A", 7, None), result("A", 7, 55)])
    assert checks(near) == ["duplicates_agree"]


def test_before_and_after_the_infusion_are_no_duplicates() -> None:
    _, qc = run([result("A", 0, None, visit="Day 0 pre"), result("A", 0, 4422, visit="Day 0 post")])
    assert len(qc) == 0


def test_a_visit_outside_its_window_is_told_once_for_each_sample() -> None:
    visits = [{"name": "Day 14", "day": 14, "window": 3}]
    two = [result("A", 18, 100, visit="Day 14"), result("A", 18, 3, visit="Day 14", unit="copies/1000 cells")]
    _, qc = run(two, visits=visits)
    assert checks(qc) == ["visit_window"]
    _, default = run([result("A", 18, 100, visit="Day 14")])
    assert len(default) == 0


def flow(
    analyte: str, value: float, unit: str = "cells/uL", subject: str = "A", day: float = 7
) -> dict[str, Any]:
    return result(subject, day, value, analyte=analyte, unit=unit, assay="flow", source_row=9)


def test_parts_above_the_whole_and_counts_that_do_not_multiply_are_told() -> None:
    _, above = run([flow("t_cells", 100), flow("car_t_cells", 130)])
    assert checks(above) == ["impossible_value"]
    good = [flow("t_cells", 200), flow("car_t_fraction", 25, "%"), flow("car_t_cells", 50)]
    assert len(run(good)[1]) == 0
    bad = [flow("t_cells", 200), flow("car_t_fraction", 25, "%"), flow("car_t_cells", 5)]
    _, qc = run(bad)
    assert qc[["check", "suggestion"]].to_numpy().tolist() == [["count_product", "a factor of 10"]]


def test_a_row_of_zeros_is_told() -> None:
    zeros = [flow(a, 0) for a in ("t_cells", "cd4_cells", "b_cells")]
    assert checks(run(zeros)[1]) == ["all_zero_row"]
    assert len(run([flow("t_cells", 90), flow("cd4_cells", 0), flow("b_cells", 0)])[1]) == 0


def test_blood_counts_in_a_unit_of_a_thousandth_are_told() -> None:
    def counts(analyte: str, unit: str, *values: float) -> list[dict[str, Any]]:
        return [
            result("A", day, v, analyte=analyte, unit=unit, assay="cell_counter")
            for day, v in zip((-5.0, 7.0, 28.0), values, strict=True)
        ]

    qc = run(counts("neutrophils", "cells/uL", 3.2, 0.1, 2.1))[1]
    assert checks(qc) == ["counts_too_low"]
    assert "3.2 cells/uL or less" in qc["message"].iloc[0]
    assert checks(run(counts("haemoglobin", "g/L", 12.1, 9.8, 11.0))[1]) == ["counts_too_low"]
    assert not len(run(counts("neutrophils", "1e9/L", 3.2, 0.0, 2.1))[1])
    assert not len(run(counts("platelets", "1e9/L", 9.0, 4.0, 2.0))[1])


def test_no_results_give_empty_tables() -> None:
    measurements, qc = assemble([], [], sheets({"A": [0.0]}), configuration.load({}))
    assert len(measurements) == len(qc) == 0


@given(st.integers(min_value=12, max_value=10**7))
def test_exchanging_digits_twice_gives_the_number_back(number: int) -> None:
    for swapped in swaps(float(number), 0.5):
        assert swapped != number
        if len(str(int(swapped))) == len(str(number)):
            assert float(number) in set(swaps(swapped, 0.5))


def rows_with_every_kind_of_fault() -> list[list[dict[str, Any]]]:
    """Return rows of two files, each with the results of its cells."""
    values: list[float | None] = [20.0, 40000, 900, 30000, 9000, 3000]
    days = [4.0, 7, 10, 14, 21, 28]
    faulty = course("A", values, days) + course("B", values, days)
    faulty += course("C", [30000.0, None, 100], [60.0, 64, 90])
    faulty += [result("1003", 7, 271828), result("01003", 7, 271828), result("1003", 90, 271828)]
    faulty += [result("D", 7, 100), result("D", 7, 220), result("D", 30, None, visit="Day 14")]
    faulty += [result("D", -3, 80)]
    faulty += [result("E", 7, 100), result("E", 7, 101), result("E", 7, 100, source_file="g")]
    by_row = [[r | {"source_row": n}] for n, r in enumerate(faulty, 10)]
    flow_rows = (
        [("t_cells", 0.0, "cells/uL"), ("cd4_cells", 0.0, "cells/uL"), ("b_cells", 0.0, "cells/uL")],
        [("t_cells", 100.0, "cells/uL"), ("car_t_cells", 130.0, "cells/uL")],
        [("t_cells", 200.0, "cells/uL"), ("car_t_fraction", 25.0, "%"), ("car_t_cells", 5.0, "cells/uL")],
    )
    by_row += [
        [flow(*cell, subject=f"F{n}") | {"source_row": 200 + n, "source_file": "h"} for cell in cells]
        for n, cells in enumerate(flow_rows)
    ]
    ratio = [
        r | {"source_file": "i", "source_row": 300 + r["source_row"]} for r in pairs({10: (101300.0, 35.0)})
    ]
    return by_row + [ratio[i : i + 2] for i in range(0, len(ratio), 2)]


ROWS = rows_with_every_kind_of_fault()


def test_every_check_finds_its_fault() -> None:
    _, qc = run([r for row in ROWS for r in row])
    assert set(checks(qc)) == {
        "all_zero_row",
        "count_product",
        "detected_before_infusion",
        "duplicates_agree",
        "duplicates_disagree",
        "fits_neighbour_visit",
        "impossible_value",
        "same_result_two_subjects",
        "same_result_two_visits",
        "subject_written_two_ways",
        "sudden_loss",
        "unit_ratio",
        "visit_window",
    }


@settings(deadline=None, max_examples=6)
@given(st.permutations(range(len(ROWS))))
def test_the_order_of_the_rows_does_not_matter(shuffled: list[int]) -> None:
    def ordered(qc: pd.DataFrame) -> list[list[str]]:
        return sorted(qc.astype(str).to_numpy().tolist())

    first, first_qc = run([r for row in ROWS for r in row])
    again, again_qc = run([r for n in shuffled for r in ROWS[n]])
    order = ["source_file", "source_row", "source_column", "analyte", "unit"]
    pd.testing.assert_frame_equal(
        first.sort_values(order, ignore_index=True), again.sort_values(order, ignore_index=True)
    )
    assert ordered(first_qc) == ordered(again_qc)


def test_significant_digits_ignore_zeros_at_both_ends() -> None:
    assert [significant_digits(x) for x in (271828, 43000, 0.0012, 59.78, 0)] == [6, 2, 2, 4, 0]


def test_a_sample_that_the_table_and_the_samples_sheet_place_differently_is_told() -> None:
    sample = {"subject_id": "P1", "matrix": "blood", "infusion": 2, "day": 7.0, "study_day": 97.0}
    samples = [sample | {"sample_id": f"S{n}"} for n in range(6)]
    table = [
        result("P1", 97.0, 300, sample_id="S0"),
        result("P1", 97.4, 310, sample_id="S0"),
        result("P1", 7.0, 320, sample_id="S1", infusion=2),
        result("P1", None, 330, sample_id="S1", study_day=97.0),
        result("P1", None, 340, sample_id="S1", matrix=None),
        result("P1", 7.0, 350, sample_id="S2"),
        result("P1", None, 360, sample_id="S3", study_day=98.0, matrix="marrow"),
        result("P1", 97.0, 370, sample_id="S4", infusion=1),
    ]
    measurements, qc = run(table, {"P1": [0.0, 90.0]}, samples)
    told = qc[qc["check"] == "sample_contradicts_sheet"]
    assert dict(zip(told["source_row"], told["value"], strict=True)) == {
        7: "day 7",
        8: "day 98, matrix marrow",
        9: "day 97, infusion 1",
    }
    assert (measurements["study_day"] == 97).all()
    assert (measurements["matrix"] == "blood").all()
    flagged = measurements[measurements["flags"].str.contains("sample_contradicts_sheet", na=False)]
    assert set(flagged["source_row"]) == {7, 8, 9}


def rejected(subject: str, day: float, value: float | None, **more: Any) -> dict[str, Any]:
    return result(subject, day, value, status="rejected", flags="slope", source_file="g", **more)


def test_a_rejected_result_is_kept_and_no_check_sees_it() -> None:
    values = [100.0, 200.0, 400.0, 300.0]
    smooth = course("A", list(values), [3.0, 5, 7, 10])
    clean, no_findings = run(smooth)
    with_rejected, qc = run([*smooth, rejected("A", 7, 5.0), rejected("A", 6, 1e6), rejected("A", -3, 900.0)])
    assert len(no_findings) == len(qc) == 0
    assert len(with_rejected) == len(clean) + 3
    bad = with_rejected[with_rejected["status"] == "rejected"]
    assert bad[["day", "flags"]].to_numpy().tolist() == [[-3, "slope"], [6, "slope"], [7, "slope"]]
    assert set(with_rejected.loc[with_rejected["status"] != "rejected", "status"]) == {"accepted"}


def test_a_repeat_of_a_rejected_result_is_no_duplicate_two_accepted_ones_are() -> None:
    _, qc = run([rejected("A", 7, 5.0), result("A", 7, 400.0)])
    assert checks(qc) == []
    _, qc = run([result("A", 7, 5.0, source_file="g"), result("A", 7, 400.0)])
    assert checks(qc) == ["duplicates_disagree"]
    _, qc = run([result("A", 7, 390.0, source_file="g"), result("A", 7, 400.0)])
    assert checks(qc) == ["duplicates_agree"]


def test_only_rejected_results_are_kept_too() -> None:
    measurements, qc = run([rejected("A", 7, 5.0, sd=2.0, n_replicates=3)])
    assert measurements[["status", "sd", "n_replicates"]].to_numpy().tolist() == [["rejected", 2.0, 3]]
    assert len(qc) == 0


def test_what_the_reader_flagged_stays_flagged_beside_the_flags_of_the_checks() -> None:
    flagged = {"status": "flagged", "flags": "replicate_cv"}
    measurements, _ = run(
        [result("A", 7, 5.0, **flagged), result("A", 7, 400.0), result("A", 9, 300.0, **flagged)]
    )
    assert measurements["flags"].fillna("").tolist() == [
        "replicate_cv;duplicates_disagree",
        "duplicates_disagree",
        "replicate_cv",
    ]
    assert set(measurements["status"]) == {"flagged"}


def above(value: float, **more: Any) -> dict[str, Any]:
    return result("A", 7, None, detection="above_uloq", censoring="right", lower=value, upper=None, **more)


def test_a_diluted_repeat_agrees_with_a_result_above_the_range() -> None:
    _, qc = run([above(1000.0), result("A", 7, 4000.0)])
    assert checks(qc) == ["duplicates_agree"]
    _, qc = run([above(1000.0), result("A", 7, 700.0)])
    assert qc[["check", "value"]].to_numpy().tolist() == [
        ["duplicates_disagree", "a result above the range and a lower one"]
    ]
    _, qc = run([above(1000.0), result("A", 7, None)])
    assert checks(qc) == ["duplicates_disagree"]


def test_an_open_result_below_detection_beside_a_value_disagrees() -> None:
    _, qc = run([result("A", 7, None, upper=None), result("A", 7, 400.0)])
    assert checks(qc) == ["duplicates_disagree"]
