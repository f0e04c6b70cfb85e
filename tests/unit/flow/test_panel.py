"""The panel file: short forms, order of gates, and every fault told."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cartrace.flow.panel import Panel, load_panel, read_panel
from cartrace.problems import InputError

OWN: dict[str, Any] = {
    "markers": {
        "FSC-A": {"linear": True},
        "FSC-H": {"linear": True},
        "SSC-A": {"linear": True},
        "CD3": None,
        "CD4": "BV711-A",
        "CD38": {"pattern": "CD38.*"},
        "CAR": {"channel": "PE-A"},
    },
    "car_marker": "CAR",
    "thresholds": {
        "CD3": {},
        "CAR": {"method": ["fmo", "pre_infusion"], "tail_percent": 0.5},
        "CD38 high": {"marker": "CD38", "method": "fixed", "value": 15_000},
    },
    "gates": {
        "singlets": {"kind": "singlets"},
        "lymphocytes": {"parent": "singlets", "kind": "scatter"},
        "T": {"parent": "lymphocytes", "where": {"CD3": "above"}},
        "CAR+": {"parent": "T", "where": {"CAR": "above"}},
        "CD4": {"parent": "T", "kind": "rectangle", "bounds": {"CD4": [500, None]}},
        "both": {"parent": "T", "kind": "boolean", "operation": "and", "gates": ["CAR+", "CD4"]},
        "bright": {"parent": "lymphocytes", "where": {"CD38 high": "above"}},
        "blob": {"kind": "polygon", "dimensions": ["CD3", "CD4"], "vertices": [[0, 0], [9, 0], [9, 9]]},
    },
    "populations": {
        "CAR T": {"gate": "CAR+", "analyte": "car_t_cells", "of": "T", "blood_count_gate": "lymphocytes"},
        "share": {"gate": "CAR+", "analyte": "car_t_fraction"},
        "CAR CD4": {"gate": "both", "analyte": "car_cd4_cells"},
        "bright": {"gate": "bright"},
    },
    "staining": [{"threshold": "CD38 high", "population": "T", "min_percent": 1}],
}
DRAWN: dict[str, Any] = {
    "markers": {"CD19": None},
    "drawn": {"flowjo": "gates/b.wsp", "sample": "a.fcs"},
    "compensation": {"source": "gates"},
    "populations": {"B": {"gate": "Live/B", "analyte": "b_cells"}},
}


def changed(raw: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return ``raw`` with another value at a place; '-' takes it away."""
    raw = deepcopy(raw)
    *parents, last = place.split(".")
    inner = raw
    for part in parents:
        inner = inner.setdefault(part, {})
    if value == "-":
        del inner[last]
    else:
        inner[last] = value
    return raw


def faults(raw: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_panel(raw, "p.yaml")
    return [str(problem) for problem in caught.value.problems]


def panel(**places: Any) -> Panel:
    raw = OWN
    for place, value in places.items():
        raw = changed(raw, place.replace("__", "."), value)
    return load_panel(raw, "p.yaml")


# ---- what is read


def test_markers_have_short_forms() -> None:
    markers = panel().markers
    assert (markers["CD3"].channel, markers["CD3"].pattern, markers["CD3"].linear) == ("", None, False)
    assert markers["CD4"].channel == "BV711-A"
    assert markers["CD38"].pattern == "CD38.*"
    assert markers["FSC-A"].linear
    assert panel(markers__CD3=7).markers["CD3"].channel == "7"
    assert list(load_panel(DRAWN | {"markers": {19: None}}, "p.yaml").markers) == ["19"]


def test_a_method_may_be_one_word() -> None:
    thresholds = panel().thresholds
    assert thresholds["CD3"].method == ("valley",)
    assert thresholds["CD38 high"].method == ("fixed",)
    assert thresholds["CAR"].method == ("fmo", "pre_infusion")


def test_a_gate_looks_at_its_usual_or_its_own_dimensions() -> None:
    gates = panel().gates
    assert gates["singlets"].axes == ("FSC-A", "FSC-H")
    assert gates["lymphocytes"].axes == ("FSC-A", "SSC-A")
    assert gates["CD4"].axes == ("CD4",)
    assert gates["blob"].axes == ("CD3", "CD4")
    assert gates["T"].axes == gates["both"].axes == ()
    assert panel(gates__singlets={"kind": "singlets", "dimensions": ["SSC-A", "FSC-H"]}).gates[
        "singlets"
    ].axes == (
        "SSC-A",
        "FSC-H",
    )


def test_a_threshold_is_looked_for_in_the_parent_of_its_first_gate() -> None:
    assert panel().population_of("CD3") == "lymphocytes"
    assert panel().population_of("CD38 high") == "lymphocytes"
    assert panel(thresholds__CD3={"population": "singlets"}).population_of("CD3") == "singlets"
    without = changed(OWN, "gates.T", {"where": {"CD3": "above"}})
    without = changed(without, "populations.CAR T.blood_count_gate", "-")
    assert load_panel(without, "p.yaml").population_of("CD3") == ""


def test_ancestors_go_up_to_the_first_gate() -> None:
    assert panel().ancestors("both") == ("T", "lymphocytes", "singlets")
    assert panel().ancestors("singlets") == ()


def test_a_population_is_reported_in_the_units_of_its_analyte() -> None:
    units = {name: p.reported_units for name, p in panel().populations.items()}
    assert units == {"CAR T": ("cells/uL",), "share": ("%",), "CAR CD4": ("cells/uL",), "bright": ()}
    drawn = load_panel(DRAWN, "p.yaml").populations["B"]
    assert drawn.reported_units == ("cells/uL", "%")
    only = load_panel(changed(DRAWN, "populations.B.units", ["%"]), "p.yaml").populations["B"]
    assert only.reported_units == ("%",)


def test_car_populations_are_those_whose_analyte_expands() -> None:
    assert [name for name, p in panel().populations.items() if p.is_car] == ["CAR T", "share", "CAR CD4"]


def test_unstable_and_margin_events_are_left_out_of_own_gates_only() -> None:
    assert panel().removals == ("unstable_time", "margin")
    assert panel(remove=[]).removals == ()
    drawn = load_panel(DRAWN, "p.yaml")
    assert (drawn.removals, drawn.drawn is not None and drawn.drawn.file) == ((), "gates/b.wsp")
    assert load_panel(DRAWN | {"remove": ["margin"]}, "p.yaml").removals == ("margin",)


def test_names_of_drawn_gates_are_not_known_before_their_file_is_read() -> None:
    assert load_panel(DRAWN | {"beads": {"gate": "Beads"}}, "p.yaml").beads is not None


# ---- faults, one by one


@pytest.mark.parametrize(
    ("place", "value", "column", "said"),
    [
        # keys and words
        ("marker", {}, "marker", "unknown key 'marker'; allowed: assay, markers, "),
        ("assay", "Flow 2", "assay", "found 'Flow 2'"),
        ("markers", {}, "markers", "at least 1 item"),
        ("populations", {}, "populations", "at least 1 item"),
        # markers
        ("markers.CD3", {"chanel": "x"}, "markers.CD3.chanel", "did you mean 'channel'?"),
        (
            "markers.CD3",
            {"channel": "x", "pattern": "y"},
            "markers.CD3",
            "give a channel or a pattern, not both",
        ),
        ("markers.CD3", {"pattern": "(CD3"}, "markers.CD3.pattern", "'(CD3' is no regular expression"),
        ("markers.CD3", True, "markers.CD3.channel", "put it in quotes"),
        # compensation and scales
        (
            "compensation",
            {"source": "csv"},
            "compensation",
            "file belongs to source: csv, and is needed there",
        ),
        ("compensation", {"file": "m.csv"}, "compensation", "file belongs to source: csv"),
        (
            "compensation",
            {"source": "gates"},
            "(top)",
            "compensation with the matrix of drawn gates needs drawn",
        ),
        ("compensation", {"source": "fcs"}, "compensation.source", "'file', 'csv', 'gates' or 'none'"),
        ("transform", {"w": 3}, "transform", "needs w <= m / 2 and -w <= a <= m - 2 w"),
        ("transform", {"kind": "hyperlog", "a": -1}, "transform", "needs w <= m / 2"),
        ("transform", {"t": 0}, "transform.t", "greater than 0"),
        ("transform", {"t": float("inf")}, "transform.t", "finite"),
        (
            "transforms",
            {"CD33": {}},
            "(top)",
            "transforms names the unknown marker 'CD33' (did you mean 'CD3'?)",
        ),
        ("transforms", {"FSC-A": {}}, "(top)", "transforms names 'FSC-A', which is linear"),
        # thresholds
        ("thresholds.CD3", {"method": []}, "thresholds.CD3.method", "at least 1 item"),
        ("thresholds.CD3", {"method": "valey"}, "thresholds.CD3.method.0", "'valley'"),
        ("thresholds.CD3", {"method": "fixed"}, "thresholds.CD3", "value belongs to the method fixed"),
        ("thresholds.CD3", {"value": 7}, "thresholds.CD3", "value belongs to the method fixed"),
        (
            "thresholds.CD3",
            {"method": ["fixed", "fmo"], "value": 7},
            "thresholds.CD3",
            "it has to be the last method",
        ),
        (
            "thresholds.CD3",
            {"tail_percent": 1},
            "thresholds.CD3",
            "tail_percent belongs to the methods fmo, isotype, pre_infusion",
        ),
        ("thresholds.CD3", {"marker": "CD33"}, "(top)", "threshold 'CD3' names the unknown marker 'CD33'"),
        (
            "thresholds.CD5",
            {},
            "(top)",
            "threshold 'CD5' names the unknown marker 'CD5' (did you mean 'CD",
        ),
        ("thresholds.CD4", {}, "(top)", "threshold 'CD4' is used by no gate"),
        (
            "thresholds.CD3",
            {"population": "singlet"},
            "(top)",
            "unknown gate 'singlet' (did you mean 'singlets'?)",
        ),
        ("thresholds.CD3", {"population": "T"}, "(top)", "gate 'T' stands above 'T', on which it rests"),
        (
            "thresholds.CD3",
            {"population": "CAR+"},
            "(top)",
            "gate 'T' stands above 'CAR+', on which it rests",
        ),
        # gates
        ("gates.T", {}, "gates.T", "a gate of kind threshold needs where"),
        ("gates.T", {"where": {"CD3": "over"}}, "gates.T.where.CD3", "'above' or 'below'"),
        ("gates.T", {"where": {"CD33": "above"}}, "(top)", "gate 'T' names the unknown threshold 'CD33'"),
        ("gates.T.parent", "lymphocyte", "(top)", "gate 'T' names the unknown gate 'lymphocyte'"),
        ("gates.T.parent", "CAR+", "(top)", "gate 'T' stands above 'CAR+', on which it rests"),
        ("gates.T.parent", "T", "(top)", "gate 'T' stands above 'T', on which it rests"),
        ("gates.T/8", {"where": {"CD3": "above"}}, "(top)", "gate 'T/8': no / in a name"),
        ("gates.root", {"where": {"CD3": "above"}}, "(top)", "gate 'root': the name stands for all events"),
        ("gates.singlets", {"kind": "singlets", "mads": 0}, "gates.singlets.mads", "greater than 0"),
        ("gates.singlets", {"kind": "singlets", "coverage": 0.9}, "gates.singlets", "takes no coverage"),
        (
            "gates.singlets",
            {"kind": "singlets", "dimensions": ["FSC-A"]},
            "gates.singlets",
            "dimensions are two markers",
        ),
        (
            "gates.singlets",
            {"kind": "singlets", "dimensions": ["FSC-A", "FSC-A"]},
            "gates.singlets",
            "dimensions are two different markers",
        ),
        (
            "markers.FSC-H",
            "-",
            "(top)",
            "gate 'singlets' names the unknown marker 'FSC-H' (did you mean 'FSC-A'?)",
        ),
        (
            "gates.lymphocytes",
            {"parent": "singlets", "kind": "scatter", "bounds": {"CD3": [0, 1]}},
            "gates.lymphocytes",
            "a gate of kind scatter takes no bounds",
        ),
        (
            "gates.lymphocytes",
            {"kind": "scatter", "coverage": 1},
            "gates.lymphocytes.coverage",
            "less than 1",
        ),
        ("gates.CD4.bounds", {}, "gates.CD4", "a gate of kind rectangle needs bounds"),
        (
            "gates.CD4.bounds",
            {"CD4": [9, 3]},
            "gates.CD4",
            "bounds of CD4: [lowest, highest], and 9 is not below 3",
        ),
        ("gates.CD4.bounds", {"CD4": [3, 3]}, "gates.CD4", "3 is not below 3"),
        ("gates.CD4.bounds", {"CD4": [None, None]}, "gates.CD4", "bounds of CD4: at least one of the two"),
        ("gates.CD4.bounds", {"CD44": [1, 2]}, "(top)", "gate 'CD4' names the unknown marker 'CD44'"),
        ("gates.CD4.where", {"CD3": "above"}, "gates.CD4", "a gate of kind rectangle takes no where"),
        ("gates.blob.vertices", [[0, 0], [1, 1]], "gates.blob", "a polygon has three corners or more"),
        ("gates.blob.dimensions", "-", "gates.blob", "a gate of kind polygon needs dimensions"),
        ("gates.both.operation", "not", "gates.both", "not takes one gate"),
        ("gates.both.operation", "-", "gates.both", "a gate of kind boolean needs operation"),
        ("gates.both.gates", ["CAR+", "CD8"], "(top)", "gate 'both' names the unknown gate 'CD8'"),
        (
            "gates.both.gates",
            ["CAR+", "bright"],
            "(top)",
            "gate 'both' stands above 'bright', on which it rests",
        ),
        ("gates.T.kind", "ellipse", "gates.T.kind", "found 'ellipse'"),
        # populations
        ("populations.bright.gate", "brigth", "(top)", "population 'bright' names the unknown gate 'brigth'"),
        ("populations.bright.gate", "T/bright", "(top)", "unknown gate 'T/bright' (did you mean 'bright'?)"),
        (
            "populations.bright.analyte",
            "plasmablast",
            "populations.bright.analyte",
            "(did you mean 'plasmablasts'?)",
        ),
        (
            "populations.bright.analyte",
            "transgene",
            "populations.bright.analyte",
            "allowed: one of car_t_cells",
        ),
        ("populations.bright.units", ["%"], "populations.bright", "units belong to an analyte"),
        (
            "populations.share.units",
            ["cells/uL"],
            "populations.share",
            "car_t_fraction is not followed in cells/uL",
        ),
        (
            "populations.again",
            {"gate": "T", "analyte": "car_t_cells"},
            "(top)",
            "populations 'CAR T' and 'again' are both car_t_cells in cells/uL",
        ),
        ("populations.CAR T.of", "bright", "(top)", "is a share of 'bright', in which 'CAR+' does not lie"),
        ("populations.CAR T.of", "CAR+", "(top)", "is a share of 'CAR+', in which 'CAR+' does not lie"),
        (
            "populations.CAR T.blood_count_gate",
            "bright",
            "(top)",
            "has the blood_count_gate 'bright', in which 'CAR+' does not lie",
        ),
        (
            "populations.CAR T.blood_count",
            "white",
            "populations.CAR T.blood_count",
            "'lymphocytes' or 'white_cells'",
        ),
        ("car_marker", "", "(top)", "population 'CAR T' counts CAR+ cells, which needs car_marker"),
        ("car_marker", "CARR", "(top)", "car_marker names the unknown marker 'CARR' (did you mean 'CAR'?)"),
        (
            "populations.CAR T.gate",
            "CD4",
            "(top)",
            "population 'CAR T' counts CAR+ cells, and no gate on its way asks for 'CAR'",
        ),
        ("gates.CAR+.where", {"CAR": "below"}, "(top)", "no gate on its way asks for 'CAR'"),
        # beads, staining, acceptance
        ("beads", {"gate": "bead"}, "(top)", "beads names the unknown gate 'bead'"),
        ("beads", {}, "beads.gate", "found nothing"),
        (
            "staining",
            [{"threshold": "CD38", "population": "T", "min_percent": 1}],
            "(top)",
            "staining names the unknown threshold 'CD38' (did you mean 'CD3'?)",
        ),
        (
            "staining",
            [{"threshold": "CD3", "population": "B", "min_percent": 1}],
            "(top)",
            "staining names the unknown gate 'B'",
        ),
        (
            "staining",
            [{"threshold": "CD3", "population": "T", "min_percent": 0}],
            "staining.0.min_percent",
            "greater than 0",
        ),
        ("remove", ["doublets"], "remove.0", "'unstable_time' or 'margin'"),
        ("acceptance", {"evnts": {}}, "acceptance", "unknown rule 'evnts' (did you mean 'events'?)"),
        (
            "acceptance",
            {"events": {"lowr": 1}},
            "acceptance",
            "events: unknown key 'lowr' (did you mean 'lower'?)",
        ),
        ("acceptance", {"events": {"lower": "x"}}, "acceptance.events.lower", "a valid number"),
        # own and drawn
        ("drawn", {"gating_ml": "g.xml"}, "(top)", "give gates (cartrace's own) or drawn, and not both"),
        ("gates", {}, "(top)", "give gates (cartrace's own) or drawn, and not both"),
    ],
)
def test_each_fault_is_told_at_its_place(place: str, value: Any, column: str, said: str) -> None:
    told = faults(changed(OWN, place, value))
    assert any(p.startswith(f"p.yaml, column '{column}': found ") and said in p for p in told), told


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("drawn", {}, "give gating_ml or flowjo"),
        ("drawn", {"gating_ml": "g.xml", "flowjo": "g.wsp"}, "give gating_ml or flowjo"),
        ("drawn", {"gating_ml": "g.xml", "sample": "a.fcs"}, "sample belongs to flowjo"),
        (
            "thresholds",
            {"CD19": {}},
            "thresholds and staining belong to cartrace's own gates, not to drawn ones",
        ),
        (
            "staining",
            [{"threshold": "CD19", "population": "B", "min_percent": 1}],
            "thresholds and staining belong to cartrace's own gates, not to drawn ones",
        ),
        ("populations.B.analyte", "car_t_cells", "population 'B' counts CAR+ cells, which needs car_marker"),
    ],
)
def test_each_fault_of_a_panel_with_drawn_gates_is_told(place: str, value: Any, said: str) -> None:
    assert any(said in p for p in faults(changed(DRAWN, place, value)))


@pytest.mark.parametrize("name", [".", ".."])
def test_a_gate_is_not_named_like_a_place_in_a_folder(name: str) -> None:
    gates = {**OWN["gates"], name: {"where": {"CD3": "above"}}}
    (told,) = faults({**OWN, "gates": gates})
    assert f"gate '{name}': the name stands for a place in the tree of gates" in told


@pytest.mark.parametrize(
    "place",
    ["markers.CD9 {}", "gates.CD9 {}", "populations.CD9 {}", "thresholds.CD9 {}"],
)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2021-03-04", "a calendar date in the name"),
        ("\x1b[2J", "a name that is empty or holds a control character"),
        ("", "a name that is empty or holds a control character"),
        ("x" * 101, "a name of 101 characters"),
    ],
)
def test_names_end_in_outputs_so_they_hold_no_date_and_no_control_character(
    place: str, name: str, said: str
) -> None:
    value = {
        "markers": None,
        "gates": {"where": {"CD3": "above"}},
        "populations": {"gate": "T"},
        "thresholds": {"marker": "CD3"},
    }[place.partition(".")[0]]
    shown = name if name != "2021-03-04" else "of 2021-03-04"
    (told,) = faults(changed(OWN, place.replace("CD9 {}", shown), value))
    assert said in told
    assert "2021" not in told
    assert told.isprintable()


def test_the_name_of_a_drawn_gate_holds_no_date_either() -> None:
    (told,) = faults(changed(DRAWN, "populations.B.gate", "B of 4 Mar 2021"))
    assert "a calendar date in the name 'B of <date>'" in told


def test_a_gate_that_takes_what_is_no_car_cell_counts_none() -> None:
    gates = OWN["gates"] | {
        "CAR-": {"parent": "T", "where": {"CAR": "below"}},
        "not": {"parent": "T", "kind": "boolean", "operation": "not", "gates": ["CAR-"]},
    }
    populations = {"CAR T": {"gate": "CAR-", "analyte": "car_t_cells"}}
    raw = OWN | {"gates": gates, "populations": populations}
    assert "no gate on its way asks for 'CAR'" in faults(raw)[0]
    populations["CAR T"]["gate"] = "not"
    assert load_panel(raw, "p.yaml").populations["CAR T"].is_car


def test_a_car_gate_may_be_a_rectangle_or_lie_further_up() -> None:
    gates = changed(
        OWN["gates"], "CAR+", {"parent": "T", "kind": "rectangle", "bounds": {"CAR": [900, None]}}
    )
    gates["memory"] = {"parent": "CAR+", "kind": "rectangle", "bounds": {"CD4": [None, 90]}}
    populations = {"memory": {"gate": "memory", "analyte": "car_t_cells"}}
    thresholds = {name: t for name, t in OWN["thresholds"].items() if name != "CAR"}
    raw = OWN | {"gates": gates, "populations": populations, "thresholds": thresholds}
    assert load_panel(raw, "p.yaml").ancestors("memory")[0] == "CAR+"


# ---- faults, together


def test_faults_come_together() -> None:
    raw = changed(OWN, "markers.CD3", {"chanel": "x"})
    raw = changed(raw, "thresholds.CAR.method", "fixed")
    raw = changed(raw, "populations.bright.analyte", "nothing")
    assert [p.split(": found")[0] for p in faults(raw)] == [
        "p.yaml, column 'markers.CD3.chanel'",
        "p.yaml, column 'thresholds.CAR'",
        "p.yaml, column 'populations.bright.analyte'",
    ]


def test_faults_between_parts_come_together() -> None:
    raw = changed(OWN, "car_marker", "CARR")
    raw = changed(raw, "gates.T.parent", "CAR+")
    raw = changed(raw, "beads", {"gate": "bead"})
    (told,) = faults(raw)
    assert "car_marker names the unknown marker 'CARR'" in told
    assert "gate 'T' stands above 'CAR+'" in told
    assert "beads names the unknown gate 'bead'" in told


@pytest.mark.parametrize("raw", [None, [], "text", 7])
def test_a_file_without_keys_is_told(raw: Any) -> None:
    assert faults(raw) == [
        "p.yaml: found no keys; allowed: a YAML mapping with assay, markers, gates, populations"
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*OWN, "where", "kind", "gate", "CD3"]), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from([*OWN, "drawn", "beads", "transform", "acceptance", "compensation"]),
)
def test_whatever_stands_at_a_key_is_a_panel_or_an_input_error(value: Any, key: str) -> None:
    try:
        read = load_panel(OWN | {key: value}, "p.yaml")
    except InputError as error:
        assert error.problems  # noqa: PT017 - either end is good, a traceback is not
    else:
        assert read.populations


@given(st.permutations(list(OWN["gates"])))
def test_gates_stand_below_all_that_they_rest_on(order: list[str]) -> None:
    raw = OWN | {"gates": {name: OWN["gates"][name] for name in order}}
    place = {name: n for n, name in enumerate(order)}
    rests_on = {
        "lymphocytes": ["singlets"],
        "T": ["lymphocytes"],
        "CAR+": ["T"],
        "CD4": ["T"],
        "both": ["T", "CAR+", "CD4"],
        "bright": ["lymphocytes"],
    }
    broken = [(g, o) for g, others in rests_on.items() for o in others if place[o] > place[g]]
    if broken:
        (told,) = faults(raw)
        assert all(f"gate '{g}' stands above '{o}', on which it rests" in told for g, o in broken)
        assert told.count("stands above") == len(broken)
    else:
        assert list(load_panel(raw, "p.yaml").gates) == order


# ---- the file


def test_a_panel_file_is_read_as_yaml(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(OWN, sort_keys=False))
    assert read_panel(tmp_path / "p.yaml", "mappings/p.yaml") == load_panel(OWN, "p.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"markers: [", "mappings/p.yaml, row 1: found no YAML"),
        (b"\xff\xfe\x00", "a file that can't be read (UnicodeDecodeError)"),
        (b"", "found no keys"),
    ],
)
def test_a_file_that_is_no_panel_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_panel(tmp_path / "p.yaml", "mappings/p.yaml")
    assert said in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_panel(tmp_path / "p.yaml", "mappings/p.yaml")
    assert "mappings/p.yaml: found no such file; allowed: an existing panel file" in str(caught.value)


def test_a_panel_is_read_without_heavy_imports() -> None:
    heavy = ("pandas", "numpy", "flowkit", "flowio", "flowutils")
    code = f"import sys, cartrace.flow.panel; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scatter_and_time_are_linear_unless_they_say_otherwise() -> None:
    markers = {
        "FSC-A": None,
        "SSC-A": "SS INT",
        "Time": {"pattern": "Time.*"},
        "FSC-H": {"linear": False},
        "SSEA4": None,
        "CD3": "FITC-A",
    }
    panel = load_panel(changed(DRAWN, "markers", markers), "p.yaml")
    linear = {name for name, marker in panel.markers.items() if marker.linear}
    assert linear == {"FSC-A", "SSC-A", "Time"}
    assert panel.markers["SSC-A"].channel == "SS INT"
    assert panel.markers["Time"].pattern == "Time.*"
