from __future__ import annotations

import warnings

import flowkit as fk
import numpy as np
import pytest

from cartrace.flow.gating_ml import (
    NAMESPACES,
    gates_sha256,
    read_gating_ml,
    why_no_gating_ml,
    write_gating_ml,
)
from cartrace.flow.workspace import read_workspace
from cartrace.problems import InputError

HEAD = (
    '<Workspace version="20.0" flowJoVersion="10.8.1" '
    + " ".join(
        f'xmlns:{k}="{v}"'
        for k, v in zip(("gating", "transforms", "data-type"), NAMESPACES.values(), strict=True)
    )
    + ">\n"
)
LOGICLE = (
    '<transforms:logicle transforms:length="256" transforms:T="262144" transforms:A="0" transforms:W="{w}" '
    'transforms:M="4.5"><data-type:parameter data-type:name="{channel}"/></transforms:logicle>\n'
)
BIEX = (
    '<transforms:biex transforms:length="256" transforms:maxRange="262144" transforms:neg="0" '
    'transforms:width="-10" transforms:pos="4.41854"><data-type:parameter data-type:name="{channel}"/>'
    "</transforms:biex>\n"
)
SCALES = "".join(LOGICLE.format(w=1, channel=c) for c in ("FITC-A", "PE-A", "Comp-FITC-A", "Comp-PE-A"))


def matrix(spill: float = 0.25, columns: tuple[str, str] = ("FITC-A", "PE-A"), attributes: str = "") -> str:
    rows = {"FITC-A": (1.0, spill), "PE-A": (0.0, 1.0)}
    text = f'<transforms:spilloverMatrix {attributes} prefix="Comp-" name="day 1" suffix=""><data-type:parameters>'
    text += "".join(f'<data-type:parameter data-type:name="{c}"/>' for c in rows) + "</data-type:parameters>"
    for row, values in rows.items():
        text += f'<transforms:spillover data-type:parameter="{row}">'
        for column, value in zip(columns, values, strict=True):
            text += f'<transforms:coefficient data-type:parameter="{column}" transforms:value="{value}"/>'
        text += "</transforms:spillover>"
    return text + "</transforms:spilloverMatrix>\n"


def rectangle(name: str, *channels: str, low: float = 1000.0, count: int = 7, below: str = "") -> str:
    dimensions = "".join(
        f'<gating:dimension gating:min="{low}"><data-type:fcs-dimension data-type:name="{c}"/></gating:dimension>'
        for c in channels
    )
    return (
        f'<Population name="{name}" owningGroup="" count="{count}"><Gate><gating:RectangleGate eventsInside="1">'
        f"{dimensions}</gating:RectangleGate></Gate><Subpopulations>{below}</Subpopulations></Population>\n"
    )


def polygon(name: str, x: str, y: str, corners: list[tuple[float, float]]) -> str:
    dimensions = "".join(
        f'<gating:dimension><data-type:fcs-dimension data-type:name="{c}"/></gating:dimension>'
        for c in (x, y)
    )
    vertices = "".join(
        "<gating:vertex>"
        + "".join(f'<gating:coordinate data-type:value="{v}"/>' for v in corner)
        + "</gating:vertex>"
        for corner in corners
    )
    return (
        f'<Population name="{name}" owningGroup="" count="-1"><Gate><gating:PolygonGate eventsInside="1">'
        f"{dimensions}{vertices}</gating:PolygonGate></Gate></Population>\n"
    )


def sample(name: str, gates: str, spillover: str = "", scales: str = SCALES, number: int = 1) -> str:
    return (
        f'<Sample><DataSet uri="file:/x/{name}" sampleID="{number}"/>{spillover}'
        f"<Transformations>{scales}</Transformations><Keywords/>"
        f'<SampleNode name="{name}" sampleID="{number}" count="9">'
        f"<Subpopulations>{gates}</Subpopulations></SampleNode></Sample>\n"
    )


def workspace(*samples: str, head: str = HEAD) -> bytes:
    return f"{head}<Groups/><SampleList>{''.join(samples)}</SampleList></Workspace>".encode()


def events() -> np.ndarray:
    """FSC-A, FITC-A, PE-A: 1,000 of dye FITC and its 25 % in PE, and the like."""
    return np.array(
        [
            [50_000.0, 4000, 1000],
            [50_000.0, 4000, 3000],
            [50_000.0, 100, 1500],
            [50_000.0, 40_000, 10_500],
            [50_000.0, 20_000, 9000],
        ]
    )


def inside(content: bytes, name: str = "a.fcs") -> dict[str, list[bool]]:
    strategy = read_workspace(content, "panel.wsp").strategy_of(name)
    with warnings.catch_warnings():
        # FlowKit 1.3 sorts a table in place, which pandas 3.1 warns of.
        warnings.simplefilter("ignore")
        tube = fk.Sample(events(), sample_id="made up", channel_labels=["FSC-A", "FITC-A", "PE-A"])
    results = strategy.gating.gate_sample(tube)._raw_results
    return {gate: result["events"].tolist() for (gate, _), result in results.items()}


# PE after compensation: PE - 0.25 FITC = 0, 2000, 1475, 500, 4000.
COMPENSATED = [False, True, True, False, True]
RAW = [True, True, True, True, True]


def test_a_gate_on_a_comp_channel_is_compensated_and_one_on_the_raw_channel_is_not() -> None:
    gates = rectangle("comp", "Comp-PE-A") + rectangle("raw", "PE-A") + rectangle("size", "FSC-A")
    found = inside(workspace(sample("a.fcs", gates, matrix())))
    assert found == {"comp": COMPENSATED, "raw": RAW, "size": [True] * 5}


def test_the_matrix_of_the_sample_comes_with_its_gates() -> None:
    content = workspace(
        sample("a.fcs", rectangle("pe", "Comp-PE-A"), matrix(0.25)),
        sample("b.fcs", rectangle("pe", "Comp-PE-A"), matrix(0.0), number=2),
        sample("c.fcs", rectangle("pe", "PE-A"), number=3),
    )
    read = read_workspace(content, "panel.wsp")
    assert read.samples == ("a.fcs", "b.fcs", "c.fcs")
    spillover = read.strategy_of("a.fcs").spillover
    assert spillover is not None
    assert spillover.channels == ("FITC-A", "PE-A")
    assert spillover.matrix.tolist() == [[1, 0.25], [0, 1]]
    assert read.strategy_of("c.fcs").spillover is None
    assert inside(content, "a.fcs")["pe"] == COMPENSATED
    assert inside(content, "b.fcs")["pe"] == RAW


def test_the_scale_of_the_compensated_channel_counts_for_its_gates() -> None:
    # Edges of a polygon are straight on the scale, so the scale decides what lies in it.
    corners = [(-1500.0, -500.0), (60_000.0, -500.0), (60_000.0, 20_000.0)]
    gate = polygon("p", "Comp-FITC-A", "Comp-PE-A", corners)
    linear = (
        '<transforms:linear transforms:minRange="0" transforms:maxRange="262144">'
        '<data-type:parameter data-type:name="{}"/></transforms:linear>'
    )
    logicle = "".join(LOGICLE.format(w=1, channel=c) for c in ("FITC-A", "PE-A"))
    raw_linear = linear.format("FITC-A") + linear.format("PE-A")
    of_linear = logicle + linear.format("Comp-FITC-A") + linear.format("Comp-PE-A")
    of_logicle = raw_linear + "".join(LOGICLE.format(w=1, channel=f"Comp-{c}") for c in ("FITC-A", "PE-A"))
    on_linear = inside(workspace(sample("a.fcs", gate, matrix(), of_linear)))["p"]
    on_logicle = inside(workspace(sample("a.fcs", gate, matrix(), of_logicle)))["p"]
    # Compensated: (4000, 0), (4000, 2000), (100, 1475), (40000, 500), (20000, 4000), against y = x / 3.
    assert on_linear == [True, False, False, True, True]
    assert on_logicle == inside(workspace(sample("a.fcs", gate, matrix(), SCALES)))["p"]
    assert on_logicle != on_linear


def test_two_scales_of_one_channel_in_use_are_refused() -> None:
    gates = rectangle("comp", "Comp-PE-A") + rectangle("raw", "PE-A")
    scales = LOGICLE.format(w=1, channel="PE-A") + LOGICLE.format(w=0.5, channel="Comp-PE-A")
    with pytest.raises(InputError, match="two scales of 'PE-A' in use"):
        read_workspace(workspace(sample("a.fcs", gates, matrix(), scales)), "x.wsp").strategy_of("a.fcs")


def test_a_comp_channel_that_no_matrix_makes_is_refused() -> None:
    content = workspace(sample("a.fcs", rectangle("g", "Comp-APC-A"), matrix()))
    with pytest.raises(InputError, match="'Comp-APC-A', which no matrix makes"):
        read_workspace(content, "x.wsp").strategy_of("a.fcs")


def test_a_gate_on_a_raw_and_a_compensated_channel_is_refused() -> None:
    content = workspace(sample("a.fcs", rectangle("g", "Comp-FITC-A", "PE-A"), matrix()))
    with pytest.raises(InputError, match="raw 'PE-A' and on a compensated channel"):
        read_workspace(content, "x.wsp").strategy_of("a.fcs")


@pytest.mark.parametrize(
    ("spillover", "found"),
    [
        (matrix(columns=("PE-A", "FITC-A")), "whose rows and columns are not those"),
        (matrix(attributes='spectral="1"'), "a spectral matrix"),
        (matrix() + matrix(), "2 matrices"),
        (matrix().replace('"0.25"', '"0,25"'), "no number"),
    ],
)
def test_a_matrix_that_would_be_misread_is_refused(spillover: str, found: str) -> None:
    content = workspace(sample("a.fcs", rectangle("g", "Comp-PE-A"), spillover))
    with pytest.raises(InputError, match=found):
        read_workspace(content, "x.wsp").strategy_of("a.fcs")


def test_flowjos_counts_come_by_path_and_minus_one_is_none() -> None:
    gates = rectangle("T", "FSC-A", count=80, below=rectangle("CAR+", "PE-A", count=3)) + rectangle(
        "B", "FSC-A", count=-1, below=rectangle("CAR+", "PE-A", count=0)
    )
    read = read_workspace(workspace(sample("a.fcs", gates)), "x.wsp")
    assert read.counts_of("a.fcs") == {("T",): 80, ("T", "CAR+"): 3, ("B", "CAR+"): 0}


def test_boolean_gates_have_counts_and_are_read() -> None:
    gates = (
        rectangle("x", "FITC-A", low=3000)
        + rectangle("y", "PE-A", low=5000)
        + '<AndNode name="both" owningGroup="" count="2"><Dependents><Dependent name="x"/><Dependent name="y"/>'
        "</Dependents></AndNode>"
        '<NotNode name="no y" owningGroup="" count="3"><Dependents><Dependent name="y"/></Dependents></NotNode>'
    )
    content = workspace(sample("a.fcs", gates))
    assert read_workspace(content, "x.wsp").counts_of("a.fcs")[("both",)] == 2
    found = inside(content)
    assert found["both"] == [False, False, False, True, True]
    assert found["no y"] == [True, True, True, False, False]


def test_a_sample_that_cannot_be_read_does_no_harm_to_the_others() -> None:
    odd = rectangle("quad", "FSC-A").replace("RectangleGate", "CurlyQuadGate")
    content = workspace(sample("a.fcs", odd), sample("b.fcs", rectangle("g", "FSC-A"), number=2))
    read = read_workspace(content, "x.wsp")
    assert read.strategy_of("b.fcs").gating.get_gate_ids() == [("g", ("root",))]
    with pytest.raises(InputError, match="CurlyQuadGate"):
        read.strategy_of("a.fcs")


@pytest.mark.parametrize("asked", ["doe_jane.fcs", "twice.fcs"])
def test_no_or_two_samples_of_a_name_are_an_error_that_shows_no_other_name(asked: str) -> None:
    gates = rectangle("g", "FSC-A")
    names = ("secret_miller.fcs", "twice.fcs", "twice.fcs")
    read = read_workspace(workspace(*(sample(n, gates, number=i) for i, n in enumerate(names))), "x.wsp")
    with pytest.raises(InputError, match=f"(no sample|2 samples) of the name '{asked}'") as error:
        read.strategy_of(asked)
    assert "miller" not in str(error.value)


def test_one_name_twice_in_one_place_is_refused() -> None:
    gates = rectangle("g", "FSC-A") + rectangle("g", "PE-A")
    with pytest.raises(InputError, match="the gate 'g' twice"):
        read_workspace(workspace(sample("a.fcs", gates)), "x.wsp").strategy_of("a.fcs")


@pytest.mark.parametrize("name", ["drawn 2024-03-01", "x\u202e", "x" * 201])
def test_a_gate_whose_name_no_table_can_show_is_refused(name: str) -> None:
    gates = rectangle("g", "FSC-A", below=rectangle(name, "PE-A"))
    with pytest.raises(InputError, match=r"a gate named '(drawn <date>|x.+)'; allowed: a name without"):
        read_workspace(workspace(sample("a.fcs", gates)), "x.wsp").strategy_of("a.fcs")


def test_a_sample_without_gates_is_an_error() -> None:
    with pytest.raises(InputError, match="a sample without gates"):
        read_workspace(workspace(sample("a.fcs", "")), "x.wsp").strategy_of("a.fcs")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'<Workspace version="2.0" flowJoVersion="9.3.2"/>', "FlowJo version '9.3.2'"),
        (b'<Workspace version="2.0"/>', "FlowJo version ''"),
        (HEAD.encode() + b"</Workspace>", "no list of samples"),
        (b"<experiment/>", "the root 'experiment'"),
        (b"<!DOCTYPE Workspace><Workspace/>", "a document type"),
        (workspace(sample("a.fcs", ""))[:-20], "does not parse"),
        (b"", "no XML"),
    ],
)
def test_what_is_no_workspace_of_flowjo_10_is_an_error(content: bytes, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_workspace(content, "x.wsp")


def test_gates_of_a_workspace_go_into_gating_ml_unless_their_scale_is_biexponential() -> None:
    gates = rectangle("CD3+ (T)", "Comp-PE-A", below=rectangle("raw", "PE-A"))
    strategy = read_workspace(workspace(sample("a.fcs", gates, matrix())), "x.wsp").strategy_of("a.fcs")
    assert why_no_gating_ml(strategy) == ""
    again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
    assert gates_sha256(again) == gates_sha256(strategy)
    scales = BIEX.format(channel="Comp-PE-A")
    biex = read_workspace(workspace(sample("a.fcs", rectangle("g", "Comp-PE-A"), matrix(), scales)), "x.wsp")
    assert "biexponential" in why_no_gating_ml(biex.strategy_of("a.fcs"))


def test_the_hash_knows_a_raw_gate_from_a_compensated_one_and_not_the_name_of_the_sample() -> None:
    hashes = {
        (name, channel): gates_sha256(
            read_workspace(workspace(sample(name, rectangle("g", channel), matrix())), "x.wsp").strategy_of(
                name
            )
        )
        for name in ("a.fcs", "b.fcs")
        for channel in ("PE-A", "Comp-PE-A")
    }
    assert hashes["a.fcs", "PE-A"] == hashes["b.fcs", "PE-A"]
    assert hashes["a.fcs", "PE-A"] != hashes["a.fcs", "Comp-PE-A"]
