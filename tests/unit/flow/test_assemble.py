"""All tubes together: results, verdicts, and the evidence behind them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_tubes import (
    EVENTS,
    RAW,
    assemble,
    review,
    sample,
    sheet_row,
    tube,
)

from cartrace.config import Config
from cartrace.flow.assemble import Assembled
from cartrace.flow.panel import Panel, load_panel
from cartrace.intake import assemble as intake
from cartrace.intake.sheet_tables import SheetTables
from cartrace.intake.tubes import GateReview
from cartrace.tables import EVENTS as EVENTS_SHEET
from cartrace.tables import INFUSIONS, SAMPLES, SUBJECTS, rows

FMO = EVENTS | {"CAR+": 4, "CAR+CD4+": 2}
CLEAN = {"f": FMO}
NO_CAR = EVENTS | {"CAR+": 3, "CAR+CD4+": 1}


def result(made: Assembled, population: str, unit: str = "cells/uL", tube_id: str = "t1") -> Any:
    found = made.results
    at = (found["source_column"] == population) & (found["unit"] == unit) & (found["source_file"] == tube_id)
    assert at.sum() == 1
    return found[at].iloc[0]


def population(made: Assembled, name: str, tube_id: str = "t1") -> Any:
    found = made.populations
    return found[(found["population"] == name) & (found["tube"] == tube_id)].iloc[0]


def findings(made: Assembled, check: str) -> pd.DataFrame:
    return made.qc[made.qc["check"] == check].reset_index(drop=True)


def test_an_ordinary_tube_by_hand() -> None:
    made = assemble([tube(controls=CLEAN)])
    # 1,000 of 20,000 T cells; 2,000 beads of 50,000 in 50 uL of blood: half a cell/uL for each event.
    share, count = result(made, "CAR share", "%"), result(made, "CAR T")
    assert (share["value"], share["analyte"], share["assay"]) == (5.0, "car_t_fraction", "flow")
    assert (count["value"], count["lower"], count["upper"]) == (500.0, 500.0, 500.0)
    assert (count["sample_id"], count["matrix"], count["n_replicates"]) == ("S-t1", "blood", 1)
    assert (count["source_file"], count["source_row"], count["source_column"]) == ("t1", 1, "CAR T")
    assert set(made.results["status"]) == {"accepted"}
    assert made.results[["flags", "sd", "printed", "subject_id", "uloq"]].isna().all(axis=None)
    row = population(made, "CAR T")
    assert (row["gate"], row["of"]) == ("lymph / T / CAR+", "lymph / T")
    assert (row["percent_lower"], row["percent_upper"]) == pytest.approx((4.702, 5.311), abs=1e-3)
    assert (row["background_percent"], row["background_events"]) == (0.02, 4.0)
    assert row["background_source"] == "f"
    assert (row["subject_id"], row["day"], row["verdict"]) == ("A", 10, "accepted")
    assert count["lod"] == row["lod_cells_per_ul"] == pytest.approx(row["lod_events"] / 2)
    assert share["lloq"] == row["lloq_percent"] == pytest.approx(row["lloq_events"] / 200)


def test_results_are_those_of_the_populations_with_an_analyte_and_their_units() -> None:
    made = assemble([tube(controls=CLEAN)])
    assert made.results[["source_column", "unit"]].to_numpy().tolist() == [
        ["B", "cells/uL"],
        ["B", "%"],
        ["CAR CD4", "cells/uL"],
        ["CAR T", "cells/uL"],
        ["CAR share", "%"],
        ["naive B", "cells/uL"],
        ["naive B", "%"],
    ]


def test_no_tubes_give_empty_tables() -> None:
    made = assemble([])
    assert [len(t) for t in (made.results, made.tubes, made.populations, made.qc)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("events", "detection", "lower", "upper"),
    [
        (0, "BLD", 0.0, 1.4525),
        (23, "BLD", 0.0, 1.4525),
        # Detected, below the LOD: the lower bound stays open.
        (24, "BLQ", 0.0, 2.8508),
        (45, "BLQ", 1.4525, 2.8508),
    ],
)
def test_below_a_limit_there_are_bounds_and_no_value(
    events: int, detection: str, lower: float, upper: float
) -> None:
    made = assemble([tube(events=EVENTS | {"CAR+": events, "CAR+CD4+": 0}, controls={"f": FMO})])
    row = result(made, "CAR T")
    assert pd.isna(row["value"])
    assert (row["detection"], row["censoring"]) == (detection, "left")
    # Half a cell/uL for each event: the LOD is 29.05 events with 4 expected, the LLOQ 57.02.
    assert (row["lower"], row["upper"]) == pytest.approx((lower * 10, upper * 10), rel=2e-3)
    assert row["status"] == "accepted"


def test_the_bound_of_a_share_is_never_above_100_percent() -> None:
    few = EVENTS | {"B": 40, "naive": 10}
    row = result(assemble([tube(events=few)]), "naive B", "%")
    assert row["detection"] == "BLD"
    assert row["upper"] == pytest.approx(100 * 27.879 / 40, rel=1e-4)
    row = result(assemble([tube(events=few | {"naive": 30})]), "naive B", "%")
    # 50 events of 40 would be 125 %.
    assert (row["detection"], row["upper"]) == ("BLQ", 100.0)


def test_too_few_parents_tell_no_share_but_cells_all_the_same() -> None:
    made = assemble([tube(events=EVENTS | {"B": 12, "naive": 8})])
    assert made.results[made.results["source_column"] == "naive B"]["unit"].tolist() == ["cells/uL"]
    told = findings(made, "unit_not_estimable")
    assert told["message"].tolist() == [
        "'naive B': no result in %: 12 events of the gate that % is of, fewer than the LOD of 27.9"
    ]


def test_no_event_of_the_parent_is_a_bound_in_cells_and_no_share() -> None:
    # No B cells among 40,000 lymphocytes: no naive ones either, and nobody knows their share.
    made = assemble([tube(events=EVENTS | {"B": 0, "naive": 0})])
    row = result(made, "naive B")
    assert (row["detection"], row["status"], row["flags"]) == ("BLD", "flagged", "missing_events")
    assert row["upper"] == pytest.approx(27.879 / 2, rel=1e-4)
    assert "naive B" not in made.results.loc[made.results["unit"] == "%", "source_column"].tolist()
    told = findings(made, "missing_events")
    assert told[["verdict", "message"]].to_numpy().tolist() == [
        ["warn", "'naive B': no event of the parent population: not detected, and no percentage"]
    ]


def test_a_tube_without_lymphocytes_gives_reasons_and_no_zeros() -> None:
    made = assemble([tube(events=dict.fromkeys(EVENTS, 0) | {"beads": 2_000}, controls=CLEAN)])
    assert len(made.results) == 0
    assert set(made.populations["verdict"]) == {"rejected"}
    assert set(made.populations["flags"]) == {"missing_events"}
    assert made.populations["events"].isna().all()
    # One fault, told once for all five.
    told = findings(made, "missing_events")
    assert told[["verdict", "source_column"]].to_numpy().tolist() == [
        ["fail", "CAR T, CAR share, CAR CD4, B, naive B"]
    ]
    assert told["analyte"].isna().all()


def test_no_t_cells_say_nothing_of_car_cells_where_t_cells_are_not_reported() -> None:
    made = assemble([tube(events=EVENTS | {"T": 0, "CAR+": 0, "CAR+CD4+": 0}, controls=CLEAN)])
    assert set(made.results["source_column"]) == {"B", "naive B"}
    assert population(made, "CAR CD4")["reason"] == "no event of the parent population"


def test_no_car_cells_among_many_t_cells_are_no_car_cd4_cells() -> None:
    made = assemble([tube(events=EVENTS | {"CAR+": 0, "CAR+CD4+": 0}, controls=CLEAN)])
    row = result(made, "CAR CD4")
    assert (row["detection"], row["flags"]) == ("BLD", "missing_events")


def test_an_empty_gate_of_a_marker_bounds_what_lies_below_it_where_many_events_were_asked() -> None:
    # B cells are not reported here; their gate still asks 40,000 lymphocytes for CD19.
    naive = {"naive B": RAW["populations"]["naive B"]}
    panel = load_panel(RAW | {"populations": naive}, "panel.yaml")
    empty = EVENTS | {"B": 0, "naive": 0}
    made = assemble([tube(events=empty, panel=panel)])
    assert result(made, "naive B")["detection"] == "BLD"
    assert len(assemble([tube(events=empty | {"lymph": 199}, panel=panel)]).results) == 0
    # Cells without CD19 that are not there say nothing of staining and specimen.
    gates = RAW["gates"] | {"B": {"parent": "lymph", "where": {"CD19": "below"}}}
    panel = load_panel(RAW | {"populations": naive, "gates": gates}, "panel.yaml")
    assert len(assemble([tube(events=empty, panel=panel)]).results) == 0


def with_cd20(**naive_b: str) -> Panel:
    """Return the panel with a gate of CD20+ cells between B and naive B cells."""
    gates = {name: gate for name, gate in RAW["gates"].items() if name != "naive"} | {
        "CD20+": {"parent": "B", "where": {"CD20": "above"}},
        "naive": {"parent": "CD20+", "where": {"CD27": "below"}},
    }
    populations = RAW["populations"] | {"naive B": RAW["populations"]["naive B"] | naive_b}
    return load_panel(
        RAW
        | {"gates": gates, "populations": populations}
        | {key: RAW[key] | {"CD20": {}} for key in ("markers", "thresholds")},
        "panel.yaml",
    )


def test_a_few_b_cells_bound_what_lies_below_them_as_none_do() -> None:
    # 3 B cells among 40,000 lymphocytes, none with CD20: there can't be 20 naive ones.
    few = EVENTS | {"B": 3, "CD20+": 0, "naive": 0}
    made = assemble([tube(events=few, panel=with_cd20())])
    assert result(made, "naive B")["detection"] == "BLD"
    # 150 B cells without CD20 may be a staining that failed, and hold any number of naive ones.
    made = assemble([tube(events=few | {"B": 150}, panel=with_cd20())])
    assert population(made, "naive B")["verdict"] == "rejected"


def test_no_cells_in_percent_of_a_gate_with_events_are_an_ordinary_zero() -> None:
    made = assemble([tube(events=EVENTS | {"B": 3, "CD20+": 0, "naive": 0}, panel=with_cd20(of="lymph"))])
    share = result(made, "naive B", "%")
    assert (share["detection"], share["status"]) == ("BLD", "accepted")
    assert share["upper"] == pytest.approx(27.879 / 400, rel=1e-4)
    assert len(findings(made, "missing_events")) == 0


def test_a_gate_that_is_not_set_gives_a_reason_and_not_a_zero() -> None:
    unset = EVENTS | {"B": None, "naive": None}
    reasons = {"B": "too few events in 'lymph'", "naive": "rests on 'B': too few events in 'lymph'"}
    made = assemble([tube(events=unset, reasons=reasons)])
    assert not made.results["source_column"].isin(["B", "naive B"]).any()
    row = population(made, "naive B")
    assert (row["verdict"], row["flags"]) == ("rejected", "gate_not_estimable")
    assert row["reason"] == reasons["naive"]
    assert pd.isna(row["events"])
    told = findings(made, "gate_not_estimable")
    assert told[["verdict", "message", "sample_id"]].to_numpy().tolist() == [
        [
            "fail",
            "'B': no count: too few events in 'lymph'; 'naive B': no count: rests on 'B': too few events in 'lymph'",
            "S-t1",
        ]
    ]


def test_an_unreadable_staining_is_told_as_what_it_is() -> None:
    reason = "CD19 can't be read: blocked by the product"
    qc = [{"check": "unreadable_staining", "verdict": "warn", "source_column": "CD19", "message": reason}]
    made = assemble(
        [tube(events=EVENTS | {"B": None, "naive": None}, reasons={"B": reason, "naive": reason}, qc=qc)]
    )
    assert population(made, "B")["flags"] == "unreadable_staining"
    assert findings(made, "unreadable_staining")["source_column"].tolist() == ["CD19", "B, naive B"]
    assert "CAR T" in made.results["source_column"].tolist()


def test_a_gate_that_the_tube_does_not_have_is_told() -> None:
    panel = load_panel(
        {k: v for k, v in RAW.items() if k not in {"gates", "thresholds"}}
        | {
            "drawn": {"gating_ml": "gates.xml"},
            "populations": {"NK": {"gate": "NK"}, "T": {"gate": "lymph/T"}},
        },
        "panel.yaml",
    )
    drawn = tube()
    made = assemble([type(drawn)(**{n: getattr(drawn, n) for n in drawn.__slots__} | {"panel": panel})])
    assert population(made, "NK")["reason"] == "no gates are called 'NK'"
    assert findings(made, "gate_not_estimable")["verdict"].tolist() == ["note"]
    assert population(made, "T")["events"] == 20_000


def test_controls_are_counted_and_give_no_results() -> None:
    made = assemble(
        [tube("f", events=FMO, kind="fmo", marker="CAR", verdict="control"), tube(controls=CLEAN)],
        sheet=[sheet_row("f", kind="fmo", sample_id=None, marker="CAR"), sheet_row()],
        samples=[sample()],
    )
    assert set(made.results["source_file"]) == {"t1"}
    row = population(made, "CAR share", "f")
    assert (row["verdict"], row["percent"]) == ("control", 0.02)
    assert row[["sample_id", "subject_id", "flags", "detection", "lod_events"]].isna().all()
    assert made.tubes["verdict"].tolist() == ["control", "accepted"]


# --- rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "status"),
    [({}, "flagged"), ({"consequence": "reject"}, "rejected"), ({"consequence": "ignore"}, "accepted")],
)
def test_a_rule_of_the_tube_counts_for_all_its_populations(rule: dict[str, str], status: str) -> None:
    made = assemble(
        [tube(controls=CLEAN, flags="events", verdict="flagged")], settings={"acceptance": {"events": rule}}
    )
    assert set(made.results["status"]) == {status}
    assert set(made.populations["verdict"]) == {status}
    assert made.tubes["verdict"].tolist() == [status]
    if status == "rejected":
        assert made.tubes["reason"].tolist() == ["events that were gated (allowed: at least 10000)"]


def test_too_few_beads_flag_what_is_counted_by_them() -> None:
    made = assemble([tube(events=EVENTS | {"beads": 400}, controls=CLEAN)])
    assert (result(made, "CAR T")["status"], result(made, "CAR T")["flags"]) == ("flagged", "beads")
    assert result(made, "CAR share", "%")["status"] == "accepted"
    assert findings(made, "beads")[["verdict", "value", "limit"]].to_numpy().tolist() == [
        ["warn", "400", "at least 1000"]
    ]
    assert pd.isna(population(made, "CAR share")["flags"])
    assert population(made, "CAR T")["flags"] == "beads"
    assert made.tubes[["verdict", "flags"]].to_numpy().tolist() == [["flagged", "beads"]]


def test_beads_that_are_rejected_leave_the_place_to_the_next_way() -> None:
    made = assemble(
        [tube(events=EVENTS | {"beads": 400}, controls=CLEAN, volume_ul=100.0)],
        sheet=[sheet_row(dilution=10.0)],
        settings={"acceptance": {"beads": {"consequence": "reject"}}},
    )
    assert population(made, "CAR T")["count_method"] == "volume"
    assert result(made, "CAR T")["value"] == pytest.approx(100)
    assert result(made, "CAR T")["status"] == "accepted"


def test_without_any_way_there_are_no_cells_and_every_reason_is_told() -> None:
    made = assemble([tube(controls=CLEAN)], sheet=[sheet_row(beads_per_ul=None, bead_volume_ul=None)])
    assert set(made.results["unit"]) == {"%"}
    told = findings(made, "unit_not_estimable")
    # The share of the same gate is a population of its own; here nothing is left.
    assert told[["verdict", "value", "source_column"]].to_numpy().tolist() == [
        ["warn", "cells/uL", "CAR T, CAR CD4"],
        ["note", "cells/uL", "B, naive B"],
    ]
    assert "no beads; neither the file ($VOL) nor" in told["message"][0]
    assert "no count of lymphocytes" in population(made, "CAR T")["reason"]


def test_two_ways_that_disagree_are_a_finding_of_the_tube_and_a_flag() -> None:
    # 500 cells/uL by beads; 1,000 of 40,000 lymphocytes x 40,000/uL are 1,000.
    made = assemble([tube(controls=CLEAN)], sheet=[sheet_row(lymphocytes_per_ul=40_000.0)])
    row = population(made, "CAR T")
    assert (row["cells_per_ul"], row["cells_per_ul_beads"], row["cells_per_ul_blood_count"]) == (
        500,
        500,
        1000,
    )
    assert result(made, "CAR T")["flags"] == "count_agreement"
    told = findings(made, "count_agreement")
    # CAR T and B have the same gate of the blood count: one finding, not two.
    assert told[["verdict", "value", "limit"]].to_numpy().tolist() == [["warn", "0.5", "0.75 to 1.33"]]
    assert "CAR CD4" in made.results.loc[made.results["flags"].isna(), "source_column"].tolist()


def test_two_ways_that_agree_are_told_too() -> None:
    made = assemble([tube(controls=CLEAN)], sheet=[sheet_row(lymphocytes_per_ul=18_000.0)])
    assert findings(made, "count_agreement")["verdict"].tolist() == ["pass"]
    assert made.results["flags"].isna().all()


def test_the_order_of_the_ways_is_a_setting() -> None:
    made = assemble(
        [tube(controls=CLEAN)],
        sheet=[sheet_row(lymphocytes_per_ul=18_000.0)],
        settings={"absolute_from": ["blood_count"]},
    )
    row = population(made, "CAR T")
    assert (row["count_method"], row["cells_per_ul"]) == ("blood_count", 450.0)
    assert pd.isna(row["cells_per_ul_beads"])
    assert len(findings(made, "beads")) == 0


# --- background -----------------------------------------------------------------------------


def test_car_counts_without_a_control_are_flagged() -> None:
    made = assemble([tube()])
    assert set(made.results["flags"].dropna()) == {"background_unknown"}
    flagged = made.results.loc[made.results["status"] == "flagged", "source_column"]
    assert flagged.tolist() == ["CAR CD4", "CAR T", "CAR share"]
    told = findings(made, "background_unknown")
    assert told[["verdict", "value"]].to_numpy().tolist() == [["warn", "CAR T, CAR share, CAR CD4"]]


def test_events_that_the_background_explains_are_no_car_cells() -> None:
    high = {"f": FMO | {"CAR+": 950}}
    made = assemble([tube(controls=high)])
    row = result(made, "CAR T")
    # A threshold from a control leaves a background by design: BLD says all, and every fifth good tube has it.
    assert (row["detection"], row["status"]) == ("BLD", "accepted")
    assert findings(made, "below_background")[["verdict", "message"]].to_numpy().tolist() == [
        ["note", "'CAR T', 'CAR share': 1000 events, and the limit of blank is 1024"]
    ]


def test_the_background_is_taken_off_where_the_settings_ask_for_it() -> None:
    made = assemble([tube(controls={"f": FMO | {"CAR+": 100}})], settings={"subtract_background": True})
    row = population(made, "CAR T")
    assert (row["events"], row["background_events"]) == (1_000, 100)
    assert (row["percent"], row["cells_per_ul"]) == pytest.approx((4.5, 450))
    assert row["cells_per_ul_beads"] == pytest.approx(450)
    assert result(made, "CAR T")["value"] == pytest.approx(450)
    # Limits of 1,000 events less the opposite limits of 100 in 20,000: 81.4 and 121.6 events.
    plain_row = population(assemble([tube(controls={"f": FMO | {"CAR+": 100}})]), "CAR T")
    assert row["percent_lower"] == pytest.approx(plain_row["percent_lower"] - 121.5 / 200, abs=2e-3)
    assert row["percent_upper"] == pytest.approx(plain_row["percent_upper"] - 81.4 / 200, abs=2e-3)


def test_controls_that_disagree_are_told() -> None:
    made = assemble([tube(controls={"f": FMO, "g": FMO | {"CAR+": 300, "CAR+CD4+": 2}})])
    assert population(made, "CAR T")["background_source"] == "g"
    assert population(made, "CAR CD4")["background_source"] == "f;g"
    told = findings(made, "controls_disagree")
    assert told["source_column"].tolist() == ["CAR T, CAR share"]


# --- before the infusion --------------------------------------------------------------------


def before(events: dict[str, int], batch: str = "b1") -> Assembled:
    return assemble(
        [tube("pre", events=events, controls=CLEAN), tube("t1", controls=CLEAN), tube("t2", controls=CLEAN)],
        sheet=[sheet_row("pre", batch=batch), sheet_row("t1"), sheet_row("t2", batch="b2")],
        samples=[sample("pre", -5, subject_id="B"), sample("t1"), sample("t2")],
    )


def test_a_car_gate_that_catches_much_before_the_infusion_fails_panel_and_batch() -> None:
    made = before(EVENTS | {"CAR+": 400, "CAR+CD4+": 300})
    told = findings(made, "pre_infusion_car_percent")
    # The CAR gate once, however many populations lie in it.
    assert told[["verdict", "value", "limit", "sample_id", "source_column"]].to_numpy().tolist() == [
        ["fail", "2", "at most 0.5", "S-pre", "lymph / T / CAR+"]
    ]
    status = made.results.set_index(["source_file", "source_column", "unit"])["status"]
    assert status["t1", "CAR T", "cells/uL"] == status["t1", "CAR CD4", "cells/uL"] == "rejected"
    assert status["pre", "CAR share", "%"] == "rejected"
    assert status["t1", "B", "%"] == "accepted"
    assert status["t2", "CAR T", "cells/uL"] == "accepted"
    reason = population(made, "CAR T")["reason"]
    assert reason == "CAR+ events before the first infusion, % of their parent (allowed: at most 0.5)"


def test_a_clean_tube_before_the_infusion_passes() -> None:
    made = before(NO_CAR)
    assert findings(made, "pre_infusion_car_percent")["verdict"].tolist() == ["pass"]
    assert set(made.results["status"]) == {"accepted"}


def test_a_share_above_the_limit_that_chance_explains_fails_nothing() -> None:
    # 3 of 400 are 0.75 %; with a true share of 0.5 % so many or more come in a third of tubes.
    made = before(EVENTS | {"T": 400, "CAR+": 3, "CAR+CD4+": 1})
    told = findings(made, "pre_infusion_car_percent")
    assert told["verdict"].tolist() == ["pass"]
    assert "no more than chance (p 0.32)" in told["message"][0]


@pytest.mark.parametrize(("visit", "judged"), [("Day 0 pre", 1), ("Day 0 post", 0), (None, 1)])
def test_a_sample_of_day_zero_is_before_the_infusion_unless_its_visit_says_post(
    visit: str | None, judged: int
) -> None:
    made = assemble([tube(controls=CLEAN)], samples=[sample(study_day=0, visit=visit)])
    assert len(findings(made, "pre_infusion_car_percent")) == judged


def test_tubes_of_one_subject_that_look_exchanged_are_told() -> None:
    made = assemble(
        [tube("pre", controls=CLEAN), tube("peak", events=NO_CAR, controls=CLEAN)],
        samples=[sample("pre", -5), sample("peak", 10)],
    )
    told = findings(made, "tube_swapped")
    assert told[["verdict", "source_file", "value", "source_column"]].to_numpy().tolist() == [
        ["warn", "pre", "peak", "CAR T"]
    ]
    assert told["message"][0] == (
        "CAR T: 5 % (4.7 to 5.3) before the infusion, and 0.015 % (0.0031 to 0.044) in peak on day 10 "
        "of the same subject"
    )


@pytest.mark.parametrize(
    ("pre", "peak", "days"),
    [
        (NO_CAR, EVENTS, (-5, 10)),
        (EVENTS, NO_CAR, (-5, 200)),
        (EVENTS, NO_CAR, (3, 10)),
        (NO_CAR, NO_CAR, (-5, 10)),
    ],
)
def test_courses_that_can_be_are_not_called_exchanged(
    pre: dict[str, int], peak: dict[str, int], days: tuple[float, float]
) -> None:
    made = assemble(
        [tube("pre", events=pre, controls=CLEAN), tube("peak", events=peak, controls=CLEAN)],
        samples=[sample("pre", days[0]), sample("peak", days[1])],
    )
    assert len(findings(made, "tube_swapped")) == 0


def test_two_tubes_of_one_sample_that_differ_are_told() -> None:
    made = assemble(
        [tube("t1", controls=CLEAN), tube("t2", events=EVENTS | {"B": 1_000}, controls=CLEAN)],
        sheet=[sheet_row("t1", sample_id="X"), sheet_row("t2", sample_id="X")],
        samples=[sample(sample_id="X")],
    )
    told = findings(made, "tube_swapped")
    assert told["message"].tolist() == [
        "b_cells: 10 % in t1 and 2.5 % in t2, both of sample X",
    ]
    assert told["value"].tolist() == ["t2"]


def test_one_file_under_two_names_is_told() -> None:
    made = assemble([tube("t1", controls=CLEAN), tube("t2", controls=CLEAN, source_sha256="t1" * 8)])
    assert findings(made, "tube_twice")[["source_file", "value"]].to_numpy().tolist() == [["t2", "t1"]]
    assert len(findings(made, "tube_swapped")) == 0


# --- review ---------------------------------------------------------------------------------


OLD = "cd" * 32


@pytest.mark.parametrize(
    ("setting", "signed", "state", "flags", "statuses"),
    [
        ("optional", None, "not_asked", None, ("accepted", "accepted")),
        ("required", None, "missing", "no_review", ("flagged", "accepted")),
        ("required", review(), "accepted", None, ("accepted", "accepted")),
        ("optional", review(verdict="rejected"), "rejected", "review_rejected", ("rejected", "rejected")),
        ("required", review(gates=OLD), "changed", "gates_changed", ("flagged", "flagged")),
        (
            "optional",
            review(verdict="rejected", gates=OLD),
            "changed",
            "gates_changed",
            ("flagged", "flagged"),
        ),
    ],
)
def test_what_the_reviewer_signed_counts_for_the_gates_that_it_names(
    setting: str, signed: GateReview | None, state: str, flags: str | None, statuses: tuple[str, str]
) -> None:
    reviews = [signed] if signed else []
    made = assemble([tube(controls=CLEAN)], reviews=reviews, settings={"review": setting})
    row = made.tubes.iloc[0]
    assert row["review"] == state
    assert (None if pd.isna(row["flags"]) else row["flags"]) == flags
    assert (result(made, "CAR T")["status"], result(made, "B")["status"]) == statuses
    assert len(made.qc[made.qc["check"] == flags]) == (flags is not None)


def test_the_remark_of_a_reviewer_is_kept_without_dates() -> None:
    made = assemble([tube()], reviews=[review(remark="gate moved on 2024-03-01\x07")])
    assert made.tubes["reviewer_remark"].tolist() == ["gate moved on <date>?"]


def test_what_the_sheets_say_of_a_tube_is_filled_in() -> None:
    made = assemble([tube()])
    assert made.tubes[["batch", "sample_id"]].to_numpy().tolist() == [["b1", "S-t1"]]


# --- downstream -----------------------------------------------------------------------------


def test_two_tubes_of_one_sample_are_duplicates_in_measurements() -> None:
    made = assemble(
        [tube("t1", controls=CLEAN), tube("t2", events=EVENTS | {"CAR+": 1_600}, controls=CLEAN)],
        sheet=[sheet_row("t1", sample_id="X"), sheet_row("t2", sample_id="X")],
        samples=[sample(sample_id="X")],
    )
    infusion = {"subject_id": "A", "infusion": 1, "study_day": 0, "product": "P", "vector": "lentiviral"}
    tables = SheetTables(
        rows([{"subject_id": "A"}], SUBJECTS),
        rows([infusion], INFUSIONS),
        rows([sample(sample_id="X")], SAMPLES),
        rows([], EVENTS_SHEET),
    )
    measurements, qc = intake.assemble([made.results], [made.qc], tables, Config())
    assert len(measurements) == len(made.results) == 14
    disagree = qc[qc["check"] == "duplicates_disagree"]
    assert set(disagree["analyte"]) == {"car_t_cells", "car_t_fraction"}


@settings(deadline=None, max_examples=8)
@given(
    st.integers(0, 5_000), st.integers(0, 100), st.sampled_from([1.0, 2.0, 5.0]), st.sampled_from([0.5, 2.0])
)
def test_the_specimen_scales_counts_and_limits_alike_and_never_the_detection(
    events: int, blank: int, dilution: float, factor: float
) -> None:
    def by_volume(volume: float, diluted: float) -> Any:
        made = assemble(
            [tube(events=EVENTS | {"CAR+": events}, controls={"f": FMO | {"CAR+": blank}}, volume_ul=volume)],
            sheet=[sheet_row(dilution=diluted)],
            settings={"absolute_from": ["volume"]},
        )
        return result(made, "CAR T")

    once, other = by_volume(100.0, dilution), by_volume(100.0 * factor, dilution)
    assert once["detection"] == other["detection"]
    for name in ("value", "lower", "upper", "lod", "lloq"):
        assert once[name] == pytest.approx(other[name] * factor, nan_ok=True)
    assert once["lower"] <= once["upper"]


@settings(deadline=None, max_examples=4)
@given(st.permutations(["t1", "t2", "t3"]))
def test_the_order_of_the_tubes_changes_no_result(order: list[str]) -> None:
    def made(ids: list[str]) -> Assembled:
        tubes = [tube(i, events=EVENTS | {"CAR+": 100 + int(i[1])}, controls=CLEAN) for i in ids]
        return assemble(
            tubes, samples=[sample(i, day) for i, day in zip(("t1", "t2", "t3"), (-5, 10, 20), strict=True)]
        )

    pd.testing.assert_frame_equal(made(order).results, made(["t1", "t2", "t3"]).results)


def test_an_unrelated_tube_changes_nothing_of_the_others() -> None:
    alone = assemble([tube(controls=CLEAN)])
    more = assemble(
        [tube(controls=CLEAN), tube("t9", events=NO_CAR, controls=CLEAN)],
        samples=[sample(), sample("t9", subject_id="B")],
    )
    for name, column in (("results", "source_file"), ("populations", "tube"), ("qc", "source_file")):
        frame = getattr(more, name)
        pd.testing.assert_frame_equal(
            frame[frame[column] == "t1"].reset_index(drop=True), getattr(alone, name)
        )
