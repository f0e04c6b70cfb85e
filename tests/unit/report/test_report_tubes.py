"""What the tube pages are made from: the list, the pictures, the acquisition, words, and the methods."""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.full_trial import full_trial
from tests.unit.report.tube_trial import (
    CD3,
    HASH,
    flow_tables,
    gates_of,
    plots_of,
    stretches,
    tube,
    tube_trial,
)

from cartrace import tables
from cartrace.config import Config, FlowAcceptance, load
from cartrace.flow.panel import Compensation
from cartrace.flow.tables import ACQUISITION, GATES, PLOTS, TUBES
from cartrace.flow.vocabulary import (
    CONTROL_KINDS,
    COUNT_METHODS,
    REVIEW_STATES,
    THRESHOLD_METHODS,
    TUBE_KINDS,
)
from cartrace.flow.vocabulary import FLAGS as VOCABULARY
from cartrace.problems import holds_date
from cartrace.report import tube_words, tubes
from cartrace.report.methods import sections
from cartrace.report.packing import Texts
from cartrace.report.page import payload, render
from cartrace.report.tubes import FlowTables, acquisition_picture, panels_used, pictures

HOSTILE = '</script><img src=x onerror="alert(2)">'


@pytest.fixture(scope="module")
def packed() -> dict[str, Any]:
    return payload(tube_trial(3), Config())


def texts_of(packed: dict[str, Any], values: list[int]) -> list[str]:
    return [packed["texts"][v] if v >= 0 else "" for v in values]


def column(packed: dict[str, Any], table: dict[str, Any], name: str) -> list[str]:
    """Texts of one column of a tube's table, each row its own again."""
    values = table[name] if isinstance(table[name], list) else [table[name]] * table["rows"]
    return texts_of(packed, values)


def methods_of(tubes_: FlowTables, **settings: Any) -> dict[str, str]:
    return dict(sections(load(settings), {}, panels=panels_used(tubes_)))


def test_without_a_tube_there_is_no_tab_and_nothing_is_packed() -> None:
    data = full_trial(1)
    assert payload(data, Config())["flow"] is None
    html = render(data, Config())
    assert 'href="#/tubes"' not in html
    assert "Flow cytometry: " not in html.split('<section id="methods"')[1].split("</section>")[0]


def test_with_tubes_there_is_a_tab_and_the_methods_tell_how() -> None:
    html = render(tube_trial(1), Config())
    assert '<a href="#/tubes">Tubes</a>' in html
    assert "Flow cytometry: from events to gates" in html


def test_the_list_says_what_each_tube_is_and_whose(packed: dict[str, Any]) -> None:
    listed = packed["flow"]["tubes"]
    assert texts_of(packed, listed["tube"]) == ["T01", "T02", "T03", "T04"]
    assert texts_of(packed, listed["what"]) == ["sample", "sample", "FMO of CAR", "sample"]
    assert texts_of(packed, listed["panel_name"]) == ["tcell_panel"] * 3 + ["b_cells"]
    assert listed["s"] == [0, 1, -1, -1]
    assert listed["day"] == [14, 14, None, None]
    # T01: the CAR count is flagged, plasmablasts have no analyte; T02: both rejected; controls report nothing.
    assert listed["reported"][:2] == [2, 2]
    assert listed["reported_flagged"] == [1, 0, 0, 0]
    assert listed["reported_rejected"] == [0, 2, 0, 0]
    # (40,000 - 38,800) of 40,000 events.
    assert listed["left_out_percent"] == [3, 3, 3, 0]


def test_a_tube_without_a_counted_population_is_known_by_its_sample() -> None:
    base = full_trial(2)
    sample = base.measurements.iloc[3]
    flow = FlowTables(tubes=tables.rows([tube("T9", sample_id=sample["sample_id"])], TUBES))
    listed = payload(dataclasses.replace(base, flow=flow), Config())["flow"]["tubes"]
    assert listed["s"] == [base.subjects["subject_id"].tolist().index(sample["subject_id"])]
    assert listed["day"] == [sample["day"]]


def test_an_empty_tube_has_no_share_left_out() -> None:
    rows = [tube("T9", events=0, gated_events=0, unstable_events=0, margin_events=0)]
    data = dataclasses.replace(full_trial(1), flow=FlowTables(tubes=tables.rows(rows, TUBES)))
    assert payload(data, Config())["flow"]["tubes"]["left_out_percent"] == [None]


def test_a_hash_stays_whole_though_a_part_of_it_reads_as_a_date(packed: dict[str, Any]) -> None:
    assert holds_date(HASH[2:10])
    assert packed["flow"]["sha256"] == [HASH] * 4
    assert not any(holds_date(t) for t in packed["texts"])


def test_what_is_no_hash_is_not_shown_as_one() -> None:
    rows = [tube("T9", gates_sha256="found 2021-03-04")]
    data = dataclasses.replace(full_trial(1), flow=FlowTables(tubes=tables.rows(rows, TUBES)))
    assert payload(data, Config())["flow"]["sha256"] == [""]


def test_each_tube_holds_its_own_rows_in_the_order_of_the_strategy(packed: dict[str, Any]) -> None:
    first, second, third, fourth = packed["flow"]["parts"]
    assert [p["gates"]["rows"] for p in (first, second, third, fourth)] == [9, 2, 9, 2]
    assert column(packed, first["gates"], "name")[:3] == ["Cells", "Lymphocytes", "CD3+"]
    assert second["gates"]["events"] == [31_000, None]
    assert column(packed, second["gates"], "reason")[1] == "no threshold: the FMO has 12 events"
    assert [p["populations"]["rows"] for p in (first, second, third, fourth)] == [3, 2, 1, 0]


def test_gates_come_in_the_order_of_the_strategy_however_the_table_is_sorted() -> None:
    flow = flow_tables()
    turned = dataclasses.replace(flow, gates=flow.gates.iloc[::-1].reset_index(drop=True))
    packed = payload(dataclasses.replace(full_trial(1), flow=turned), Config())
    assert packed["flow"]["parts"][0]["gates"]["order"] == list(range(1, 10))


def test_the_difference_from_flowjo_is_a_share_of_flowjo_s_count(packed: dict[str, Any]) -> None:
    gates = packed["flow"]["parts"][3]["gates"]
    # 20,000 and 20,040 events; nothing is a share of none.
    assert gates["vendor_percent"][0] == pytest.approx(-0.199601, rel=1e-5)
    assert gates["vendor_percent"][1] is None
    assert packed["flow"]["parts"][0]["gates"]["vendor_percent"] is None


def test_background_is_a_share_of_the_parent(packed: dict[str, Any]) -> None:
    background = packed["flow"]["parts"][0]["background"]
    # 3 of 12,000 events.
    assert background["percent"] == 0.025
    assert column(packed, background, "what") == ["FMO of CAR"]


def test_the_densities_come_back_as_they_were() -> None:
    plots = tables.rows(plots_of("T01"), PLOTS)
    packed = pictures(plots, Texts())
    block = zlib.decompress(base64.b64decode(packed["densities"]))
    for row, picture in zip(plots.to_dict("records"), packed["plots"], strict=True):
        wanted = base64.b64decode(row["density"])
        assert block[picture["at"] : picture["at"] + len(wanted)] == wanted


def test_gates_on_the_same_events_and_axes_share_one_density() -> None:
    packed = pictures(tables.rows(plots_of("T01"), PLOTS), Texts())
    assert len({p["at"] for p in packed["plots"][4:]}) == 1
    block = zlib.decompress(base64.b64decode(packed["densities"]))
    # Cells, singlets, CAR and one of CD4 against CD8 in two dimensions, CD3 in one.
    assert len(block) == 4 * 64 * 64 + 64


def test_a_histogram_has_one_axis_and_an_open_side() -> None:
    packed = pictures(tables.rows(plots_of("T01"), PLOTS), Texts())
    histogram = packed["plots"][2]
    assert histogram["y"] is None
    assert histogram["yr"] is None
    (low, high) = histogram["outline"][0]
    assert low[0] is not None
    assert high[0] is None


def test_a_density_that_does_not_hold_its_bins_is_refused() -> None:
    plots = tables.rows([plots_of("T01")[0] | {"bins": 63}], PLOTS)
    with pytest.raises(
        tables.TableError, match=r"gate Cells: the density has 4096 bytes, and its 63 bins need 3969"
    ):
        pictures(plots, Texts())


def test_a_tube_without_pictures_has_an_empty_block(packed: dict[str, Any]) -> None:
    fourth = packed["flow"]["parts"][3]
    assert fourth["plots"] == []
    assert zlib.decompress(base64.b64decode(fourth["densities"])) == b""


def test_the_acquisition_keeps_each_stretch_and_joins_what_was_left_out() -> None:
    texts = Texts()
    picture = acquisition_picture(tables.rows(stretches("T01"), ACQUISITION), texts)
    assert picture["start"][:3] == [0, 2, 4]
    assert picture["rate"][9:13] == [500, 200, 200, 500]
    out = picture["out"]
    assert (out["start"], out["end"], out["events"]) == ([20, 78], [24, 80], [800, 1000])
    assert [texts.listed[i] for i in out["reason"]] == [
        "flow rate; signal of CD3-A",
        "signal of CD3-A, CD4-A",
    ]


def test_neighbours_are_joined_until_few_are_left_and_no_event_is_lost() -> None:
    bins = tables.rows(stretches("T01", 600), ACQUISITION)
    picture = acquisition_picture(bins, Texts(), most=240)
    assert len(picture["rate"]) == 200
    assert picture["end"][-1] == 1200
    seconds = np.subtract(picture["end"], picture["start"])
    assert np.dot(picture["rate"], seconds) == pytest.approx(bins["events"].sum(), rel=1e-3)
    assert picture["out"]["start"] == [20, 1198], "what was left out keeps its own places"


def test_without_a_clock_there_is_no_rate() -> None:
    picture = acquisition_picture(tables.rows(stretches("T04", clock=False), ACQUISITION), Texts())
    assert set(picture["rate"]) == {None}
    assert picture["out"]["start"] == [10_000, 39_000]


def test_without_any_stretch_the_picture_is_empty() -> None:
    picture = acquisition_picture(tables.empty(ACQUISITION), Texts())
    assert (picture["start"], picture["rate"], picture["out"]["start"]) == ([], [], [])


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["rate", "CD3"])), min_size=1, max_size=60))
def test_what_was_left_out_adds_up(kept: list[tuple[bool, str]]) -> None:
    rows = [
        {"tube": "T", "bin": k + 1, "start_s": float(k), "end_s": k + 1.0, "events": 10, "rate": 10.0, "kept": good, "reason": None if good else why}
        for k, (good, why) in enumerate(kept)
    ]  # fmt: skip
    picture = acquisition_picture(tables.rows(rows, ACQUISITION), Texts(), most=7)
    assert len(picture["rate"]) <= 7
    assert sum(picture["out"]["events"]) == 10 * sum(not good for good, _ in kept)
    joined = list(zip(picture["out"]["end"], picture["out"]["start"][1:], picture["out"]["reason"], picture["out"]["reason"][1:], strict=False))  # fmt: skip
    assert not [1 for end, start, a, b in joined if end == start and a == b]


def test_every_code_has_words() -> None:
    assert set(tube_words.BROKEN) == set(FlowAcceptance.model_fields)
    assert set(VOCABULARY) <= set(tube_words.FLAGS)
    assert set(tube_words.KINDS) == {*TUBE_KINDS, *CONTROL_KINDS}
    assert set(tube_words.REVIEWS) == set(REVIEW_STATES)
    assert set(tube_words.THRESHOLD_METHODS) == set(THRESHOLD_METHODS)
    assert set(tube_words.COUNT_METHODS) == set(COUNT_METHODS)
    sources = Compensation.model_json_schema()["properties"]["source"]["anyOf"][0]["enum"]
    assert set(tube_words.COMPENSATIONS) == set(sources)


def test_flags_stand_in_words(packed: dict[str, Any]) -> None:
    says = texts_of(packed, packed["flow"]["tubes"]["says"])
    assert says[1] == f"{tube_words.BROKEN['removed_percent']}; odd rule"
    flags = column(packed, packed["flow"]["parts"][0]["populations"], "says")
    assert flags == ["", VOCABULARY["no_review"], ""]


def test_an_analyte_stands_under_its_own_name(packed: dict[str, Any]) -> None:
    assert column(packed, packed["flow"]["parts"][0]["populations"], "analyte") == [
        "T cells",
        "CAR+ T cells",
        "",
    ]


def test_hostile_text_stays_text_and_no_date_is_left() -> None:
    html = render(tube_trial(3, hostile=f"{HOSTILE} 2021-03-04"), Config())
    assert "<img src=x" not in html
    embedded = json.loads(html.split('id="cartrace-data">')[1].split("</script>")[0])
    assert any(HOSTILE in t for t in embedded["texts"])
    assert not any(holds_date(t) for t in embedded["texts"])
    part = embedded["flow"]["parts"][1]
    assert HOSTILE in part["plots"][1]["x"]
    assert not holds_date(json.dumps(part["plots"]))


def test_panels_are_described_by_what_was_done() -> None:
    first, second = panels_used(flow_tables())
    assert (first.name, first.tubes, first.compensation) == (
        "tcell_panel",
        3,
        ("compensated with the matrix in the file",),
    )
    assert first.gates[:2] == ("Cells", "Lymphocytes")
    assert first.thresholds == (("CD3", ("valley between the peaks",)), ("CAR", ("FMO",)))
    assert (second.name, second.tubes, second.thresholds) == ("b_cells", 1, ())


def test_the_methods_name_each_panel_with_its_gates_and_thresholds() -> None:
    text = methods_of(flow_tables())["Flow cytometry: from events to gates"]
    assert (
        "Panel tcell_panel (3 tubes), compensated with the matrix in the file: gates Cells, Lymphocytes"
        in text
    )
    assert "thresholds: CD3 by valley between the peaks; and CAR by FMO." in text
    assert (
        "Panel b_cells (1 tube), compensated with the matrix of the drawn gates: gates Lymphocytes and CD19+."
        in text
    )


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        ({"confidence": 0.9}, "Intervals are exact and at 90 %"),
        ({"control_tail_percent": 0.5}, "leaves 0.5 % of the control above it"),
        ({"min_gate_events": 300}, "fewer than 300 events"),
        ({"quality": {"events_per_bin": 750}}, "stretches of 750 events"),
        ({"quality": {"rate_mads": 5, "signal_mads": 7}}, "lies more than 5 or whose median signal more than 7"),
        ({"subtract_background": True}, "were taken off the count, never below 0"),
        ({"subtract_background": False}, "was not taken off the count"),
        ({"absolute_from": ["volume"]}, "Cells/µL come from the acquired volume and the dilution."),
        ({"limits": {"min_events_lod": 25}}, "at least 25 events beyond the background"),
        ({"limits": {"min_events_lloq": 60}}, "as precise as 60 events without background"),
        ({"quality": {"min_rate_change": 0.4}}, "at least 40 % of the rate"),
        ({"limits": {"blank_probability": 0.99}}, "with a probability of 99 %"),
        ({"review": "required"}, "whose gates nobody has accepted are flagged"),
        ({"review": "optional"}, "A review of the gates was not required."),
        ({"acceptance": {"beads": {"lower": 2000, "consequence": "reject"}}}, "counting beads acquired: at least 2,000"),
        ({"acceptance": {"events": {"consequence": "ignore"}}}, "Not looked at: events that were gated."),
    ],
)  # fmt: skip
def test_each_setting_of_flow_changes_its_sentence(flow: dict[str, Any], sentence: str) -> None:
    assert sentence in "\n".join(methods_of(flow_tables(), flow=flow).values())


def test_the_flow_methods_are_whole_sentences() -> None:
    for heading, text in methods_of(flow_tables()).items():
        if heading.startswith("Flow"):
            assert text.endswith(".")
            assert "  " not in text
            assert "None" not in text


def test_many_tubes_stay_light() -> None:
    many = [f"T{k:03d}" for k in range(40)]
    one = plots_of("T", n=20_000)
    flow = FlowTables(
        tubes=tables.rows([tube(t) for t in many], TUBES),
        gates=tables.rows([g for t in many for g in gates_of(t)], GATES),
        plots=tables.rows([{**row, "tube": t} for t in many for row in one], PLOTS),
    )
    packed = tubes.payload(flow, full_trial(1).measurements, {}, 0.95, Texts())
    assert packed is not None
    per_tube = len(json.dumps(packed["parts"])) / len(many)
    # Nine gates with eight pictures; as base64 alone the densities would be 38 kB.
    assert per_tube < 16_000


def test_a_gate_s_picture_is_found_by_the_gate_s_path(packed: dict[str, Any]) -> None:
    first = packed["flow"]["parts"][0]
    paths = [packed["texts"][p["gate"]] for p in first["plots"]]
    assert set(paths) < set(column(packed, first["gates"], "gate"))
    assert f"{CD3} / not CAR+" not in paths


def test_both_pandas_kinds_of_a_flag_are_read() -> None:
    bins = tables.rows(stretches("T01"), ACQUISITION)
    plain = bins.assign(kept=pd.array(bins["kept"].tolist(), dtype="boolean"))
    assert acquisition_picture(plain, Texts()) == acquisition_picture(bins, Texts())
