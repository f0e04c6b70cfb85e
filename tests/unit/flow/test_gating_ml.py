from __future__ import annotations

import copy
import io
import itertools
import warnings

import flowkit as fk
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cartrace.flow.engine import Strategy
from cartrace.flow.fcs import Spillover
from cartrace.flow.gating_ml import (
    NAMESPACES,
    gates_sha256,
    read_gating_ml,
    why_no_gating_ml,
    write_gating_ml,
)
from cartrace.problems import InputError, plain

CHANNELS = ("FSC-A", "SSC-A", "FITC-A", "PE-A")
MATRIX = Spillover(("FITC-A", "PE-A"), np.array([[1.0, 0.2], [0.05, 1.0]]))
HEAD = (
    "<g:Gating-ML "
    + " ".join(f'xmlns:{k}="{v}"' for k, v in zip("gtd", NAMESPACES.values(), strict=True))
    + ">\n"
)


def sample(seed: int = 0, n: int = 2000) -> fk.Sample:
    values = np.random.default_rng(seed).normal(500, 2000, (n, 4))
    values[:, :2] = np.random.default_rng(seed + 1).uniform(0, 260_000, (n, 2))
    with warnings.catch_warnings():
        # FlowKit 1.3 sorts a table in place, which pandas 3.1 warns of.
        warnings.simplefilter("ignore")
        return fk.Sample(values, sample_id="made up", channel_labels=list(CHANNELS))


def memberships(strategy: Strategy, seed: int = 0) -> dict[tuple[str, ...], np.ndarray]:
    gating = copy.deepcopy(strategy.gating)
    spillover = strategy.spillover
    if spillover is not None:
        matrix = fk.Matrix(spillover.matrix, list(spillover.channels))
        for gate in (node.gate for node in gating._gate_tree.descendants):
            for dimension in getattr(gate, "dimensions", None) or ():
                if dimension.compensation_ref == "FCS":
                    dimension.compensation_ref = "own"
        gating.add_comp_matrix("own", matrix)
    # GatingResults.get_gate_membership trips over pandas 3 where there are quadrants.
    found = {}
    for (name, path), result in gating.gate_sample(sample(seed))._raw_results.items():
        above = tuple(path.split("/")[1:])
        if "events" in result:
            found[*above, name] = result["events"]
        else:
            found |= {(*above, name, quadrant): r["events"] for quadrant, r in result.items()}
    return found


def dimension(channel: str, low: float | None = None, high: float | None = None) -> fk.Dimension:
    dye = channel in MATRIX.channels
    return fk.Dimension(channel, "FCS" if dye else "uncompensated", "logicle" if dye else None, low, high)


def divider(name: str, channel: str, *values: float) -> fk.QuadrantDivider:
    return fk.QuadrantDivider(name, channel, "FCS", list(values), "logicle")


def quadrants(a: float, b: float) -> fk.gates.QuadrantGate:
    sides = {"-": lambda edge: (None, edge), "+": lambda edge: (edge, None)}
    parts = [
        fk.gates.Quadrant(f"CD4{x}CD8{y}", ["x", "y"], [sides[x](a), sides[y](b)])
        for x, y in itertools.product("-+", "-+")
    ]
    return fk.gates.QuadrantGate("CD4 CD8", [divider("x", "FITC-A", a), divider("y", "PE-A", b)], parts)


def whole(
    *,
    edge: float = 40_000.0,
    vertex: float = 200_000.0,
    divide: float = 0.3,
    other: float = -0.1,
    distance: float = 3.0,
    w: float = 0.5,
    spill: float = 0.2,
    operation: str = "and",
    complement: bool = False,
    parent: str = "cells",
) -> Strategy:
    """Every kind of gate, with names as panels have them."""
    gating = fk.GatingStrategy()
    gating.add_transform("logicle", fk.transforms.LogicleTransform(262_144, w, 4.5, 0))
    cells = ("root", "cells")
    polygon = [(edge, 10_000.0), (vertex, 10_000.0), (vertex, 250_000.0), (edge, 120_000.0)]
    gating.add_gate(
        fk.gates.PolygonGate("cells", [dimension("FSC-A"), dimension("SSC-A")], polygon), ("root",)
    )
    gating.add_gate(fk.gates.RectangleGate("CD3+", [dimension("FITC-A", 0.2)]), cells)
    gating.add_gate(
        fk.gates.EllipsoidGate(
            "CD19+ (B)",
            [dimension("FITC-A"), dimension("PE-A")],
            [0.3, 0.3],
            np.array([[0.02, 0.005], [0.005, 0.01]]),
            distance,
        ),
        ("root", parent) if parent == "cells" else ("root", "cells", "CD3+"),
    )
    gating.add_gate(quadrants(divide, other), (*cells, "CD3+"))
    gating.add_gate(
        fk.gates.RectangleGate("CAR+", [dimension("PE-A", None, 0.4), dimension("SSC-A", 5.0, 2e5)]),
        (*cells, "CD3+", "CD4 CD8", "CD4+CD8-"),
    )
    b_path = ("root", parent) if parent == "cells" else ("root", "cells", "CD3+")
    gating.add_gate(
        fk.gates.BooleanGate(
            "either",
            operation,
            [
                {"ref": "CD3+", "path": cells, "complement": complement},
                {"ref": "CD19+ (B)", "path": b_path, "complement": False},
            ],
        ),
        ("root",),
    )
    matrix = np.array([[1.0, spill], [0.05, 1.0]])
    return Strategy(gating, Spillover(MATRIX.channels, matrix))


def test_what_was_written_gates_the_same_events() -> None:
    strategy = whole()
    again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
    before, after = memberships(strategy), memberships(again)
    assert set(before) == set(after)
    assert ("cells", "CD3+", "CD4 CD8", "CD4+CD8-", "CAR+") in after
    for path, events in before.items():
        assert np.array_equal(events, after[path]), path
        assert 0 < events.sum() < len(events), path


def test_written_twice_gives_the_same_bytes_and_reading_changes_nothing() -> None:
    content = write_gating_ml(whole())
    assert write_gating_ml(read_gating_ml(content, "gates.xml")) == content
    assert write_gating_ml(whole()) == content


def test_the_file_is_valid_by_the_schema_of_the_standard_and_carries_the_matrix() -> None:
    content = write_gating_ml(whole())
    read = fk.parse_gating_xml(io.BytesIO(content))
    assert len(read.comp_matrices) == 1
    (matrix,) = read.comp_matrices.values()
    assert matrix.detectors == ["FITC-A", "PE-A"]
    assert np.array_equal(matrix.matrix, MATRIX.matrix)


CHANGES = {
    "edge": st.floats(1e3, 9e4),
    "vertex": st.floats(1.5e5, 2.5e5),
    "divide": st.floats(-0.5, 0.9),
    "distance": st.floats(0.5, 9),
    "w": st.floats(0, 2),
    "spill": st.floats(0, 0.5),
    "operation": st.just("or"),
    "complement": st.just(True),
    "parent": st.just("CD3+"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(CHANGES)), st.data())
def test_every_change_changes_the_hash(what: str, data: st.DataObject) -> None:
    value = data.draw(CHANGES[what])
    default = {"edge": 4e4, "vertex": 2e5, "divide": 0.3, "distance": 3.0, "w": 0.5, "spill": 0.2}.get(what)
    same = value == default
    assert (gates_sha256(whole(**{what: value})) == gates_sha256(whole())) == same


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(-0.5, 0.9), st.floats(-0.5, 0.9), st.floats(1e3, 9e4), st.floats(0.1, 2), st.floats(0, 0.5))
def test_any_numbers_come_back_exactly(a: float, b: float, edge: float, w: float, spill: float) -> None:
    strategy = whole(divide=a, other=b, edge=edge, w=w, spill=spill)
    again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
    assert gates_sha256(again) == gates_sha256(strategy)


def test_order_and_white_space_of_the_xml_do_not_count() -> None:
    from lxml import etree

    content = write_gating_ml(whole())
    root = etree.fromstring(content, etree.XMLParser(remove_blank_text=True))
    root[:] = list(reversed(root))
    other = etree.tostring(root)
    assert other != content
    assert gates_sha256(read_gating_ml(other, "gates.xml")) == gates_sha256(whole())


def test_two_gates_of_one_name_keep_their_names_and_places() -> None:
    gating = fk.GatingStrategy()
    for parent, edge in (("A", 1e5), ("B", 5e4)):
        gating.add_gate(fk.gates.RectangleGate(parent, [dimension("FSC-A", edge)]), ("root",))
        gating.add_gate(fk.gates.RectangleGate("CD3+", [dimension("SSC-A", edge)]), ("root", parent))
    strategy = Strategy(gating, None)
    again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
    assert set(memberships(again)) == {("A",), ("B",), ("A", "CD3+"), ("B", "CD3+")}
    assert gates_sha256(again) == gates_sha256(strategy)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=12))
def test_any_name_that_can_be_shown_comes_back(name: str) -> None:
    if name in {".", "..", "root"} or plain(name) != name:
        return
    gating = fk.GatingStrategy()
    gating.add_gate(fk.gates.RectangleGate(name, [dimension("FSC-A", 1.0)]), ("root",))
    again = read_gating_ml(write_gating_ml(Strategy(gating, None)), "gates.xml")
    assert again.gating.get_gate_ids() == [(name, ("root",))]


def test_a_reference_to_the_tubes_own_matrix_stays_one() -> None:
    strategy = Strategy(whole().gating, None)
    again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
    assert again.spillover is None
    assert again.gating.get_gate("CD3+").dimensions[0].compensation_ref == "FCS"
    assert gates_sha256(again) != gates_sha256(whole())


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (fk.transforms.WSPBiexTransform(), "FlowJo's biexponential"),
        (fk.transforms.WSPLogTransform(1.0, 4.0), "FlowJo's logarithm"),
    ],
)
def test_a_scale_of_flowjo_has_a_hash_but_no_gating_ml(transform: object, reason: str) -> None:
    strategy = whole()
    strategy.gating.transformations["logicle"] = transform
    assert reason in why_no_gating_ml(strategy)
    assert len(gates_sha256(strategy)) == 64
    with pytest.raises(ValueError, match=reason):
        write_gating_ml(strategy)


def test_the_outside_of_a_gate_has_a_hash_of_its_own_but_no_gating_ml() -> None:
    strategies = []
    for outside in (False, True):
        gating = fk.GatingStrategy()
        gating.add_gate(
            fk.gates.RectangleGate("no debris", [dimension("FSC-A", 1.0)], use_complement=outside), ("root",)
        )
        strategies.append(Strategy(gating, None))
    inside, out = strategies
    assert why_no_gating_ml(inside) == ""
    assert why_no_gating_ml(out) == "gate 'no debris' means the events outside of it"
    assert gates_sha256(inside) != gates_sha256(out)


def rectangle(attributes: str = "", compensation: str = "uncompensated", inner: str = "") -> str:
    return (
        f'<g:RectangleGate g:id="gate"{attributes}>\n'
        f'<g:dimension g:compensation-ref="{compensation}" g:min="1">'
        '<d:fcs-dimension d:name="FITC-A"/></g:dimension>'
        f"{inner}</g:RectangleGate>\n"
    )


def test_a_default_namespace_is_read() -> None:
    text = (
        f'<Gating-ML xmlns="{NAMESPACES["gating"]}" xmlns:g="{NAMESPACES["gating"]}" '
        f'xmlns:d="{NAMESPACES["data-type"]}">'
        '<RectangleGate g:id="gate"><dimension g:compensation-ref="FCS" g:min="1">'
        '<d:fcs-dimension d:name="FITC-A"/></dimension></RectangleGate></Gating-ML>'
    )
    read = read_gating_ml(text.encode(), "gates.xml")
    assert read.gating.get_gate("gate").dimensions[0].min == 1


def test_use_as_complement_may_be_written_1() -> None:
    text = (
        HEAD
        + rectangle()
        + rectangle().replace('"gate"', '"other"')
        + '<g:BooleanGate g:id="b"><g:and><g:gateReference g:ref="gate"/>'
        '<g:gateReference g:ref="other" g:use-as-complement="1"/></g:and></g:BooleanGate></g:Gating-ML>'
    )
    read = read_gating_ml(text.encode(), "gates.xml")
    assert [r["complement"] for r in read.gating.get_gate("b").gate_refs] == [False, True]


TRANSFORM = '<t:transformation t:id="scale"{}><t:flin t:T="100" t:A="0"/></t:transformation>\n'
MATRIX_XML = (
    '<t:spectrumMatrix t:id="m"{}><t:fluorochromes><d:fcs-dimension d:name="F"/><d:fcs-dimension d:name="P"/>'
    '</t:fluorochromes><t:detectors><d:fcs-dimension d:name="FITC-A"/><d:fcs-dimension d:name="PE-A"/>'
    '</t:detectors><t:spectrum><t:coefficient t:value="1"/><t:coefficient t:value="0.2"/></t:spectrum>{}'
    "</t:spectrumMatrix>\n"
)
SECOND_ROW = '<t:spectrum><t:coefficient t:value="0"/><t:coefficient t:value="1"/></t:spectrum>'
RAW_PE = (
    '<g:dimension g:compensation-ref="uncompensated" g:min="1"><d:fcs-dimension d:name="{}"/></g:dimension>'
)


@pytest.mark.parametrize(
    ("body", "line", "found"),
    [
        (rectangle(' g:parent_id="nobody"'), 2, "a reference to 'nobody'"),
        (rectangle() + rectangle(), 4, "'gate' is not a valid value of the atomic type"),
        (rectangle(compensation="m"), 3, "a reference to 'm'"),
        (TRANSFORM.format(' t:boundMin="0"') + rectangle(), 2, "boundMin"),
        (
            MATRIX_XML.format(' t:matrix-inverted-already="true"', SECOND_ROW) + rectangle(),
            2,
            "inverted already",
        ),
        (MATRIX_XML.format("", "") + rectangle(compensation="m"), 2, "not square"),
        (
            MATRIX_XML.format("", SECOND_ROW) + rectangle(compensation="m", inner=RAW_PE.format("PE-A")),
            3,
            "'PE-A' uncompensated beside",
        ),
        (rectangle(compensation="FCS", inner=RAW_PE.format("PE-A")), 2, "'PE-A' uncompensated beside"),
        ('<g:RectangleGate g:id="gate"/>', 2, "RectangleGate"),
    ],
)
def test_what_flowkit_would_pass_over_is_refused_with_its_line(body: str, line: int, found: str) -> None:
    with pytest.raises(InputError) as error:
        read_gating_ml((HEAD + body + "</g:Gating-ML>").encode(), "gates.xml")
    assert found in error.value.problems[0].found
    assert error.value.problems[0].row == line
    assert error.value.problems[0].file == "gates.xml"


def test_raw_scatter_beside_a_compensated_channel_is_no_fault() -> None:
    body = rectangle(compensation="FCS", inner=RAW_PE.format("SSC-A"))
    read = read_gating_ml((HEAD + body + "</g:Gating-ML>").encode(), "gates.xml")
    assert len(read.gating.get_gate("gate").dimensions) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b"\x00" * 50,
        (HEAD + rectangle()).encode(),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16"),
        b"<a/>",
        b"<Workspace/>",
        (HEAD + "</g:Gating-ML>").encode(),
        (HEAD + rectangle(' g:parent_id="gate"') + "</g:Gating-ML>").encode(),
        (HEAD + rectangle().replace('"1"', '"1,5"') + "</g:Gating-ML>").encode(),
    ],
)
def test_a_file_that_is_no_gating_ml_is_an_input_error(content: bytes) -> None:
    with pytest.raises(InputError) as error:
        read_gating_ml(content, "gates.xml")
    assert all(p.file == "gates.xml" for p in error.value.problems)
    assert "passwd" not in str(error.value)


def test_a_document_type_is_named() -> None:
    with pytest.raises(InputError, match="a document type in XML"):
        read_gating_ml(b"<!DOCTYPE a><a/>", "gates.xml")


def test_a_gate_whose_name_no_table_can_show_is_refused() -> None:
    content = write_gating_ml(whole(parent="cells")).decode()
    for odd in ("drawn_x0020_2024-03-01", "cells_x202E_"):
        with pytest.raises(InputError, match=r"a gate named '.+'; allowed: a name without"):
            read_gating_ml(content.replace('"cells"', f'"{odd}"').encode(), "x.xml")


@pytest.mark.parametrize(
    ("bound", "refused"), [("NaN", True), ("INF", True), ("-INF", False), ("1e400", True), ("-1e400", False)]
)
def test_numbers_that_no_event_can_be_compared_with_are_refused(bound: str, refused: bool) -> None:
    gating = fk.GatingStrategy()
    gating.add_gate(fk.gates.RectangleGate("g", [dimension("FSC-A", 0.125)]), ("root",))
    content = write_gating_ml(Strategy(gating, None)).replace(b'"0.125"', f'"{bound}"'.encode())
    assert bound.encode() in content
    if refused:
        with pytest.raises(InputError, match=r"(nan|inf) in a gate; allowed: finite numbers"):
            read_gating_ml(content, "x.xml")
    else:
        assert memberships(read_gating_ml(content, "x.xml"))["g",].all()
