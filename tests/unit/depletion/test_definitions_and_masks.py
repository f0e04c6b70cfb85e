"""Which rule holds, and what immunoglobulin doses hide."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from cartrace.config import Depletion
from cartrace.depletion.definition import find_rule
from cartrace.depletion.masking import is_masked, mask


def rule(**fields):
    return {"rules": [{"analyte": "b_cells", "unit": "cells/uL"} | fields]}


def test_a_percentage_of_the_baseline(deplete):
    chosen = rule(kind="percent_of_baseline", threshold=10)
    m = deplete((-6, 200), (7, 19), (28, 20), (56, 21), settings=chosen)
    assert m.spans == [(-6, 7, 7, 28)]
    assert m.episodes.loc[0, "definition"].startswith("below 10 % of the baseline; ")


def test_a_percentage_of_a_censored_baseline_decides_what_is_certain(deplete):
    chosen = rule(kind="percent_of_baseline", threshold=10)
    above = deplete((-6, ">500"), (7, 49), (28, 60), (56, 70), settings=chosen)
    # 10 % of it is at least 50: 49 is depleted, 60 may be.
    assert above.spans == [(-6, 7, 7, None)]
    assert "2 undecided" in above["depletion_duration"]["reason"]


def test_without_a_baseline_there_is_no_percentage_of_it(deplete):
    chosen = rule(kind="percent_of_baseline", threshold=10)
    m = deplete((7, 2), (28, 60), settings=chosen)
    assert m["n_depletion_episodes"]["reason"] == "no baseline to take a percentage of"
    zero = deplete((-6, 0), (7, 2), (28, 60), settings=chosen)
    assert zero["n_depletion_episodes"]["reason"] == "the baseline is 0: nothing to take a percentage of"


def test_a_share_of_the_lymphocytes_has_a_threshold_of_its_own(deplete):
    m = deplete((-6, 12), (7, 2.9), (28, 3), (56, 4), unit="%")
    assert m.spans == [(-6, 7, 7, 28)]
    assert m.episodes.loc[0, "definition"].startswith("below 3 %; ")
    assert m["time_to_reconstitution_normal"]["reason"] == (
        "no lower limit of normal is configured for this analyte and unit"
    )


def test_a_threshold_is_converted_exactly(deplete):
    m = deplete((-6, 900), (7, 399), (28, 400), (56, 500), (84, 700), (100, 710), analyte="igg", unit="mg/dL")
    assert m.spans == [(-6, 7, 7, 28)]
    assert m.bounds("time_to_reconstitution_normal") == ("interval_censored", 56, 84)
    assert find_rule("igg", "mg/dL", Depletion())[1] == 100


def test_an_analyte_without_a_rule_falls_back_to_a_percentage(deplete):
    m = deplete((-6, 100), (7, 9.9), (28, 10), (56, 50), analyte="plasma_cells")
    assert m.spans == [(-6, 7, 7, 28)]


def test_a_rule_for_the_unit_goes_before_one_for_any_unit():
    settings = Depletion.model_validate(
        {
            "rules": [
                {"analyte": "b_cells", "kind": "not_detected"},
                {"analyte": "b_cells", "unit": "%", "kind": "absolute", "threshold": 1},
            ]
        }
    )
    assert find_rule("b_cells", "%", settings)[0].kind == "absolute"
    assert find_rule("b_cells", "cells/uL", settings)[0].kind == "not_detected"
    assert find_rule("igg", "g/L", settings) == (None, 1.0)


def test_not_detected_and_not_quantifiable(deplete):
    course = [(-6, 200), (7, "BLD 1"), (28, "<5"), (56, 6), (84, 7)]
    m = deplete(*course, settings=rule(kind="not_detected"))
    # '<5' may have been detected or not.
    assert m.spans == [(-6, 7, 7, 56)]
    assert m.episodes.loc[0, "definition"].startswith("not detected; ")
    assert m["depleted_at_M1"]["reason"].startswith("not assessable")
    detected = [(-6, 200), (7, 0), (28, "<5"), (56, 6)]
    seen = deplete(*detected, settings=rule(kind="not_detected"), lower=None)
    assert seen.spans == [(-6, 7, 7, None)]
    m = deplete(*course, settings=rule(kind="not_quantifiable"))
    assert m.spans == [(-6, 7, 28, 56)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "absolute"}, "absolute needs a threshold"),
        ({"kind": "not_detected", "threshold": 5}, "not_detected takes no threshold"),
        ({"kind": "percent_of_baseline", "threshold": 120}, "above 100 % of the baseline"),
        ({"kind": "absolute", "threshold": 5, "unit": None}, "needs its unit"),
        ({"kind": "absolute", "threshold": 5, "unit": "g/L"}, "'g/L' is no unit of b_cells"),
        ({"kind": "not_detected", "analyte": "t_cells"}, "'t_cells' gets no depletion metrics"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Depletion.model_validate(rule(**fields))


def test_two_rules_for_one_course_are_refused():
    twice = [{"analyte": "igg", "kind": "not_detected"}] * 2
    with pytest.raises(ValidationError, match="two rules for igg in any unit"):
        Depletion.model_validate({"rules": twice})


def test_a_mask_of_an_unknown_kind_or_analyte_is_refused():
    with pytest.raises(ValidationError, match="'ivg' is no kind of event"):
        Depletion.model_validate({"masks": [{"kind": "ivg"}]})
    with pytest.raises(ValidationError, match="'crp' gets no depletion metrics"):
        Depletion.model_validate({"masks": [{"analytes": ["crp"]}]})


IGG = {"analyte": "igg", "assay": "nephelometry", "unit": "g/L", "matrix": "serum"}


def test_a_dose_of_immunoglobulin_masks_igg_for_its_time(deplete, events):
    course = [(-6, 9), (28, 5), (60, 3), (88, 8), (98, 7.5), (120, 3), (180, 7.2), (200, 7.4)]
    m = deplete(*course, doses=events(70), **IGG)
    # Days 88 and 98 lie within 28 days after day 70 and don't end the episode.
    assert m.spans == [(28, 60, 120, 180)]
    assert m["depletion_duration"]["reason"] == "ended between day 120 and day 180; 2 masked after ivig"
    assert m["nadir"]["reason"] == "2 masked after ivig"
    assert m["nadir"]["n_points"] == 5
    # Without the mask, what was given looks like a recovery.
    assert deplete(*course, **IGG).spans == [(28, 60, 60, 88), (98, 120, 120, 180)]


def test_a_masked_landmark_is_not_assessable(deplete, events):
    row = deplete((-6, 9), (28, 3), (84, 8), doses=events((50, 60)), **IGG)["depleted_at_M3"]
    assert row["reason"].startswith("not assessable: every result within day 84 +/- 14 is masked")


def test_a_masked_baseline_is_none(deplete, events):
    m = deplete((-30, 4.5), (-6, 9), (28, 3), doses=events(-10), **IGG)
    assert m["baseline"]["value"] == 4.5
    assert m["baseline"]["reason"] == "1 masked after ivig"
    none = deplete((-6, 9), (28, 3), doses=events(-10), **IGG)
    assert none["baseline"]["reason"] == "no result up to the infusion; 1 masked after ivig"


def test_only_what_the_mask_names_is_masked(deplete, events):
    doses = events(0)
    assert deplete((-6, 200), (7, 2), (28, 5), doses=doses)["nadir"]["value"] == 2
    drug = events(0, kind="drug")
    assert deplete((-6, 9), (7, 2), doses=drug, **IGG)["nadir"]["value"] == 2


def test_the_mask_covers_first_day_to_last_day_plus_its_days(measurements, events):
    table = measurements((9, 1), (10, 1), (20, 1), (48, 1), (49, 1), **IGG)
    marked = mask(table, events((10, 20)), Depletion())
    assert list(is_masked(marked)) == [False, True, True, True, False]
    assert list(marked["status"]) == ["accepted", "flagged", "flagged", "flagged", "accepted"]
    assert list(marked["flags"].fillna("")) == ["", "masked_ivig", "masked_ivig", "masked_ivig", ""]
    assert not is_masked(table).any(), "the input stays as it was"
    again = mask(marked, events((10, 20)), Depletion())
    pd.testing.assert_frame_equal(again, marked)


def test_other_flags_stay_and_other_subjects_are_not_masked(measurements, events):
    table = pd.concat(
        [
            measurements((10, 1), flags="neighbour", status="rejected", **IGG),
            measurements((10, 1), **(IGG | {"subject_id": "S2"})),
        ],
        ignore_index=True,
    )
    marked = mask(table, events(5), Depletion())
    assert marked["flags"].iloc[0] == "neighbour;masked_ivig"
    assert marked["status"].iloc[0] == "rejected"
    assert list(is_masked(marked)) == [True, False]
