import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from cartrace import tables
from cartrace.cohort.association import associate, group_by_relapse, group_by_response
from cartrace.config import Cohort, Relapse, Response
from cartrace.problems import InputError

FIVE = "abcde"
EXPANSION = "Cmax, CAR transgene (blood, qpcr, copies/ug)"
COURSES = {
    "transgene": {"matrix": "blood", "assay": "qpcr", "course_unit": "copies/ug"},
    "b_cells": {"matrix": "blood", "assay": "flow", "course_unit": "cells/uL"},
    "aqp4_igg": {"matrix": "serum", "assay": "cba", "course_unit": "titre"},
}


def metric(subject, analyte, name, value=None, **other):
    return {
        "subject_id": subject,
        "infusion": 1,
        "analyte": analyte,
        **COURSES[analyte],
        "metric": name,
        "value": value,
        "status": "estimated",
        **other,
    }


def cmax(values, subjects=FIVE, **other):
    return [metric(s, "transgene", "cmax", v, **other) for s, v in zip(subjects, values, strict=False)]


def fall(values, subjects=FIVE, **other):
    return [metric(s, "b_cells", "log10_fall", v, **other) for s, v in zip(subjects, values, strict=False)]


def people(subjects=FIVE, follow_up=365.0):
    return [{"subject_id": s, "follow_up_study_day": follow_up} for s in subjects]


def response(subject, label, day=90.0):
    return {"subject_id": subject, "study_day": day, "kind": "response", "label": label}


def relapse(subject, day, kind="relapse"):
    return {"subject_id": subject, "study_day": day, "kind": kind}


def run(metrics, events=(), subjects=None, **rules):
    rules = {"expansion": ("cmax",), "depletion": ("log10_fall",), **rules}
    return associate(
        tables.rows(metrics, tables.METRICS),
        tables.rows(people() if subjects is None else subjects, tables.SUBJECTS),
        tables.rows(events, tables.EVENTS),
        Cohort(association=rules),
    )


def row(frame, family):
    found = frame[frame.family == f"expansion and {family}"]
    assert len(found) == 1, frame[["family", "x", "y"]]
    return found.iloc[0]


def test_five_pairs_in_the_same_order_by_hand():
    found = row(run([*cmax([1, 2, 3, 4, 5]), *fall([0.1, 0.2, 0.3, 0.5, 0.4])]), "depletion")
    assert found.x == EXPANSION
    assert found.y == "Fall (log10), B cells (blood, flow, cells/uL)"
    assert (found.method, found.n, found.n_censored, found.p_method) == ("spearman", 5, 0, "exact")
    assert found.statistic == pytest.approx(0.9)
    assert found.p == pytest.approx(10 / 120)
    # atanh(0.9) -+ 1.95996 sqrt((1 + 0.81 / 2) / 2).
    half = 1.95996 * np.sqrt(1.405 / 2)
    assert found.lower == pytest.approx(np.tanh(np.arctanh(0.9) - half), abs=1e-5)
    assert found.upper == pytest.approx(np.tanh(np.arctanh(0.9) + half), abs=1e-5)
    assert (found.status, found.q) == ("estimated", found.p)
    assert pd.isna(found.reason)
    assert pd.isna(found.left_out)


def test_fewer_than_five_pairs_are_no_test_and_who_is_missing_is_counted():
    found = run(
        [
            *cmax([1, 2, 3, 4, 5, 6], "abcdef"),
            *fall([0.1, 0.2, 0.3, 0.4], "abcd"),
            *fall([None], "e", status="not_estimable", reason="never depleted; baseline 3"),
            *fall([1.0], "g"),
        ],
        subjects=people("abcdefgh"),
    )
    pair = row(found, "depletion")
    assert (pair.n, pair.status, pair.reason) == (4, "not_estimable", "4 subjects have both, fewer than 5")
    assert pair.left_out == "no x: not measured (1); no y: never depleted (1); no y: not measured (1)"
    assert pd.isna(pair.p)
    assert pd.isna(pair.q)
    assert pd.isna(pair.statistic)


def test_values_known_as_intervals_are_ranked_where_their_order_is_certain():
    beyond = fall([None, None], "de", status="right_censored", lower=2.0)
    found = row(run([*cmax([1, 2, 3, 4, 5]), *fall([0.1, 0.2, 0.3]), *beyond]), "depletion")
    # Two tie at the top: ranks 1, 2, 3, 4.5, 4.5 against 1 to 5.
    assert found.statistic == pytest.approx(np.corrcoef([1, 2, 3, 4, 5], [1, 2, 3, 4.5, 4.5])[0, 1])
    assert (found.n, found.n_censored) == (5, 2)
    assert "2 known only as intervals" in found.reason
    assert pd.isna(found.lower)


def test_values_known_as_intervals_can_be_left_out_and_are_counted():
    beyond = fall([None], "e", status="right_censored", lower=2.0)
    found = run([*cmax([1, 2, 3, 4, 5]), *fall([0.1, 0.2, 0.3, 0.4]), *beyond], censored="leave_out")
    pair = row(found, "depletion")
    assert (pair.n, pair.n_censored, pair.status) == (4, 0, "not_estimable")
    assert pair.left_out == "no y: known only as an interval (1)"


def test_confidence_limits_of_an_estimate_are_no_interval():
    wide = fall([1, 2, 3, 4, 5], lower=-9.0, upper=9.0)
    found = row(run([*cmax([1, 2, 3, 4, 5]), *wide]), "depletion")
    assert (found.statistic, found.n_censored) == (1.0, 0)
    assert found.reason == "no limits at rho 1 or -1"


def test_a_censored_value_without_any_bound_is_left_out():
    unknown = fall([None], "e", status="left_censored")
    found = row(run([*cmax([1, 2, 3, 4, 5]), *fall([1, 2, 3, 4]), *unknown]), "depletion")
    assert found.left_out == "no y: no bound is known (1)"


def test_one_value_for_all_tells_no_order():
    found = row(run([*cmax([1, 2, 3, 4, 5]), *fall([1, 1, 1, 1, 1])]), "depletion")
    assert found.status == "not_estimable"
    assert "all values tie" in found.reason


def test_only_the_first_infusion_counts():
    second = [{**m, "infusion": 2} for m in fall([5, 4, 3, 2, 1])]
    found = run([*cmax([1, 2, 3, 4, 5]), *fall([1, 2, 3, 4, 5]), *second])
    assert row(found, "depletion").statistic == 1.0


def test_the_correction_is_for_all_questions_of_a_family_and_no_other():
    falls = [metric(s, "b_cells", "nadir", v) for s, v in zip(FIVE, [1, 2, 3, 4, 5], strict=True)]
    titres = [metric(s, "aqp4_igg", "log2_fall", v) for s, v in zip(FIVE, [2, 1, 3, 4, 5], strict=True)]
    found = run(
        [*cmax([1, 2, 3, 4, 5]), *fall([0.1, 0.2, 0.3, 0.5, 0.4]), *falls, *titres],
        depletion=("log10_fall", "nadir", "percent_fall"),
        antibody=("log2_fall",),
    ).set_index(["family", "y"])
    depletion = found.loc["expansion and depletion"]
    # p = 2/120 and 10/120 of two tests: q = min(2 * 2/120, 10/120) and 10/120. The third was not computed.
    assert depletion["q"].dropna().tolist() == pytest.approx([10 / 120, 4 / 120])
    assert depletion["reason"].iloc[2] == "0 subjects have both, fewer than 5"
    antibody = found.loc["expansion and antibodies"].iloc[0]
    assert antibody.q == antibody.p == pytest.approx(10 / 120)


def test_courses_of_another_compartment_or_unit_are_their_own_questions():
    csf = [{**m, "matrix": "csf"} for m in cmax([5, 4, 3, 2, 1])]
    percent = [{**m, "course_unit": "%"} for m in fall([1, 2, 3, 4, 5])]
    found = run([*cmax([1, 2, 3, 4, 5]), *csf, *fall([1, 2, 3, 4, 5]), *percent])
    found = found[found.family == "expansion and depletion"]
    assert found.groupby("x")["statistic"].unique().map(list).to_dict() == {
        EXPANSION: [1.0],
        "Cmax, CAR transgene (csf, qpcr, copies/ug)": [-1.0],
    }
    assert len(found) == 4


def test_the_units_of_one_assay_are_one_question_about_expansion():
    per_ul = [{**m, "course_unit": "copies/uL"} for m in cmax([1, 2, 3, 4, 5])]
    per_cell = [{**m, "course_unit": "copies/cell"} for m in cmax([1, 2, 3, 4])]
    outcome = fall([1, 2, 3, 4, 5])
    asked = lambda metrics: set(run([*metrics, *outcome])["x"])  # noqa: E731
    assert asked([*per_ul, *per_cell, *cmax([1, 2, 3, 4, 5])]) == {EXPANSION}
    # The unit that more subjects have, where not all have all.
    assert asked([*per_cell, *per_ul]) == {"Cmax, CAR transgene (blood, qpcr, copies/uL)"}


def test_expansion_of_responders_by_hand():
    events = [response("a", "PR"), response("b", "pd "), response("c", "CR"), response("d", "sCR"), response("e", "vgpr")]  # fmt: skip
    found = row(run(cmax([1, 2, 3, 4, 5]), events), "response")
    assert found.y == "Response at study day 90 +/- 30"
    assert found.groups == "VGPR or better: 3; other response: 2"
    # All 6 pairs: each of the three lies above both. 1 of 10 choices of 3, on each side.
    assert (found.method, found.statistic, found.p_method) == ("mann_whitney", 6.0, "exact")
    assert found.p == pytest.approx(2 / 10)
    assert found.reason == "'VGPR or better' lies above 'other response' in 100 % of the pairs of patients"


def test_three_groups_of_response_get_kruskal_and_wallis():
    groups = [{"name": "complete", "labels": ["CR"]}, {"name": "partial", "labels": ["PR"]}]
    events = [response(s, x) for s, x in zip("abcdef", ["PD", "SD", "PR", "PR", "CR", "CR"], strict=True)]
    found = row(
        run(cmax([1, 2, 3, 4, 5, 6], "abcdef"), events, people("abcdef"), response={"groups": groups}),
        "response",
    )
    assert found.groups == "complete: 2; partial: 2; other response: 2"
    # H = 12 / (6 * 7) * (3^2 + 7^2 + 11^2) / 2 - 3 * 7; 6 of the 90 arrangements are so well ordered.
    assert (found.method, found.statistic) == ("kruskal_wallis", pytest.approx(12 / 42 * 179 / 2 - 21))
    assert found.p == pytest.approx(6 / 90)


def test_a_group_of_one_is_no_group():
    events = [relapse("a", 100.0)]
    found = row(run(cmax([1, 2, 3, 4, 5]), events), "relapse")
    assert found.y == "Relapse or progression by study day 180"
    assert found.status == "not_estimable"
    assert found.groups == "relapse or progression: 1; no relapse or progression: 4"
    assert found.reason == "a group needs 2 subjects; 'relapse or progression' has 1"


def test_without_events_every_question_still_has_its_row():
    found = run([*cmax([1, 2, 3, 4, 5]), *fall([1, 2, 3, 4, 5])], subjects=people(follow_up=None))
    assert found.family.tolist() == [f"expansion and {x}" for x in ("depletion", "response", "relapse")]
    assert row(found, "response").left_out == "no y: no response at study day 90 +/- 30 (5)"
    assert row(found, "relapse").left_out == "no y: no relapse or progression, and no day of last contact (5)"


def test_without_expansion_there_is_no_question():
    assert run(fall([1, 2, 3, 4, 5])).empty
    assert run([]).empty


def test_a_setting_that_names_no_metric_is_told_with_the_nearest():
    with pytest.raises(InputError) as caught:
        run([], expansion=("cmaxx",), antibody=("log2_fal",))
    assert "did you mean 'cmax'" in str(caught.value)
    assert "did you mean 'log2_fall'" in str(caught.value)
    assert "cohort.association.antibody" in str(caught.value)


def groups(function, events, rules, subjects):
    found = function(tables.rows(subjects, tables.SUBJECTS), tables.rows(events, tables.EVENTS), rules)
    return [a or b for a, b in zip(found.group, found.missing, strict=True)]


def test_the_response_nearest_to_the_day_answers():
    events = [
        response("a", "PR", 61.0),
        response("a", "CR", 84.0),
        response("b", "CR", 80.0),
        response("b", "PR", 100.0),
        response("c", "CR", 85.0),
        response("c", "sCR", 95.0),
        response("d", "CR", 121.0),
        response("e", None),
    ]
    assert groups(group_by_response, events, Response(), people()) == [
        "VGPR or better",
        "two responses equally near, of two groups",
        "VGPR or better",
        "no response at study day 90 +/- 30",
        "response without a label",
    ]


def test_labels_of_no_group_can_be_left_out():
    rules = Response(groups=[{"name": "yes", "labels": ["CR"]}, {"name": "no", "labels": ["PD"]}], rest=None)
    events = [response("a", "CR"), response("b", "PD"), response("c", "PR")]
    assert groups(group_by_response, events, rules, people("abc")) == ["yes", "no", "response of no group"]


def test_who_was_not_followed_long_enough_is_neither_relapsed_nor_free_of_it():
    yes, no = "relapse or progression", "no relapse or progression"
    subjects = [
        *people("a", 20.0),  # relapsed on the last day of contact
        *people("b", 180.0),
        *people("c", 179.0),
        *people("d", None),
        *people("e", None),  # relapsed later: was followed
        *people("f", 400.0),  # a relapse before the infusion is history
        *people("g", 400.0),
    ]
    events = [
        relapse("a", 20.0),
        relapse("e", 200.0),
        relapse("f", -30.0),
        relapse("g", 180.0, "progression"),
    ]
    assert groups(group_by_relapse, events, Relapse(), subjects) == [
        yes,
        no,
        f"{no}, but followed for less than 180 days",
        f"{no}, and no day of last contact",
        no,
        no,
        yes,
    ]
    only = Relapse(kinds=("relapse",))
    assert groups(group_by_relapse, events, only, subjects)[-1] == "no relapse"


@limits(deadline=None, max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random):
    subjects = "abcdefghij"
    rng = np.random.default_rng(3)
    metrics = [*cmax(rng.permutation(10), subjects), *fall(rng.permutation(10), subjects)]
    events = [response(s, random.choice(["CR", "PD"])) for s in subjects]
    listed = people(subjects)
    expected = run(metrics, events, listed)
    for rows in (metrics, events, listed):
        random.shuffle(rows)
    pd.testing.assert_frame_equal(run(metrics, events, listed), expected)
    assert (expected["q"].dropna() >= expected["p"].dropna()).all()


def test_a_trial_without_subjects_has_no_association_and_no_error():
    rules = {"response": Response(), "relapse": Relapse()}
    assert len(run([], subjects=[], **rules)) == 0
