"""Gating-ML 2.0: gate sets that other programs draw and edit; their hash.

Gating-ML names its gates by XML ids, which take no spaces and no plus sign, and are unique in
the file. A name like ``CD3+`` is written ``CD3_x002B_`` and read back; where two gates have one
name the id is the whole path. FlowKit reads the gates; what the standard allows and FlowKit
passes over in silence (docs/gate_files.md) is refused here.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartrace.flow.xml_safety import parse_xml, refusal
from cartrace.intake.sheets import quote
from cartrace.problems import InputError, Problem, plain, raise_if_any

if TYPE_CHECKING:
    from cartrace.flow.engine import Path, Strategy
    from cartrace.flow.fcs import Spillover

NAMESPACES = {
    key: f"http://www.isac-net.org/std/Gating-ML/v2.0/{room}"
    for key, room in {
        "gating": "gating",
        "transforms": "transformations",
        "data-type": "datatypes",
    }.items()
}
_EXPECTED = "Gating-ML 2.0"
_MOST_PROBLEMS = 20
MOST_OF_A_NAME = 200
_NAME_OF_A_GATE = (
    f"a name without calendar date and control characters, of at most {MOST_OF_A_NAME} characters"
)
_PARAMETERS = {
    "LinearTransform": ("flin", {"T": "param_t", "A": "param_a"}),
    "LogTransform": ("flog", {"T": "param_t", "M": "param_m"}),
    "AsinhTransform": ("fasinh", {"T": "param_t", "M": "param_m", "A": "param_a"}),
    "LogicleTransform": ("logicle", {"T": "param_t", "W": "param_w", "M": "param_m", "A": "param_a"}),
    "HyperlogTransform": ("hyperlog", {"T": "param_t", "W": "param_w", "M": "param_m", "A": "param_a"}),
    "RatioTransform": ("fratio", {"A": "param_a", "B": "param_b", "C": "param_c"}),
    "WSPBiexTransform": (
        "FlowJo's biexponential",
        {"negative": "negative", "width": "width", "positive": "positive", "top": "max_value"},
    ),
    "WSPLogTransform": ("FlowJo's logarithm", {"offset": "offset", "decades": "decades"}),
}
"""FlowKit's class -> the element of Gating-ML, and its attributes."""
_CARRIED = ("flin", "flog", "fasinh", "logicle", "hyperlog", "fratio")
_ESCAPE = re.compile(r"_x([0-9A-F]{4,6})_")

Record = dict[str, Any]


def read_gating_ml(content: bytes, name: str) -> Strategy:
    """Read a Gating-ML 2.0 file; its compensation references stay those of the file ('FCS', a matrix).

    ``spillover`` of the strategy is the file's matrix where all its references mean one matrix;
    with the reference 'FCS' it is None until the caller puts the tube's own matrix there.

    Raises
    ------
    InputError
        For a document type definition, no Gating-ML, a gate that FlowKit can't read, and what
        FlowKit would apply in another way than the file says.
    """
    import flowkit
    from lxml import etree  # type: ignore[import-untyped]

    root = parse_xml(content, name, _EXPECTED)
    _check_schema(root, name)
    problems = [*_broken_references(root, name), *_passed_over(root, name)]
    raise_if_any(problems[:_MOST_PROBLEMS])
    for reference in root.iter(_tag("gating:gateReference")):
        # xs:boolean writes 1, too; FlowKit knows only the word.
        if reference.get(_tag("gating:use-as-complement")) == "1":
            reference.set(_tag("gating:use-as-complement"), "true")
    # FlowKit asks for prefixes, and can't read a default namespace.
    whole = etree.Element(_tag("gating:Gating-ML"), nsmap=NAMESPACES)
    whole.extend(list(root))
    try:
        gating = _decoded(flowkit.parse_gating_xml(io.BytesIO(etree.tostring(whole))))
    except Exception as error:  # noqa: BLE001 - FlowKit raises its own, networkx's and anytree's errors
        raise refusal(name, f"gates that FlowKit can't read: {plain(str(error))}", _EXPECTED) from None
    refuse_odd_names([gate for gate, _ in gating.get_gate_ids()], name)
    strategy = _with_own_matrix(gating)
    refuse_odd_numbers(strategy, name)
    return strategy


def refuse_odd_numbers(strategy: Strategy, file: str) -> None:
    """Refuse numbers that no event can be compared with, or that are below every event.

    Raises
    ------
    InputError
        For NaN, and for an infinite number that does not leave a bound open.
    """
    try:
        _canonical(strategy)
    except ValueError as error:
        raise refusal(file, str(error), "finite numbers") from None


def refuse_odd_names(names: Iterable[str], file: str) -> None:
    """Refuse gates whose names must not end in tables and in the report.

    Raises
    ------
    InputError
        For names that hold a control character or a calendar date, or are very long.
    """
    odd = [n for n in names if plain(n, MOST_OF_A_NAME) != n]
    problems = [Problem(file, f"a gate named {quote(n)}", _NAME_OF_A_GATE) for n in dict.fromkeys(odd)]
    raise_if_any(problems[:_MOST_PROBLEMS])


def _check_schema(root: Any, name: str) -> None:
    # FlowKit's copy of the standard's schema; it says no more than yes or no of it.
    from flowkit._resources import gml_schema

    if root.tag != _tag("gating:Gating-ML"):
        what = " of FlowJo: drawn.flowjo reads it" if root.tag == "Workspace" else ""
        raise refusal(name, f"the root {quote(str(root.tag).rpartition('}')[2])}{what}", _EXPECTED)
    if not gml_schema.validate(root):
        raise InputError(
            [
                Problem(name, plain(re.sub(r"\{[^}]*\}", "", e.message)), f"{_EXPECTED} (schema)", e.line)
                for e in list(gml_schema.error_log)[:_MOST_PROBLEMS]
            ]
        )


def _broken_references(root: Any, name: str) -> Iterator[Problem]:
    """Find references to nothing: libxml2 takes no note of them."""
    ids = {e.get(_tag(f"{s}:id")) for e in root.iter("{*}*") for s in ("gating", "transforms")}
    pointing = (
        "gating:parent_id",
        "gating:ref",
        "gating:divider_ref",
        "gating:transformation-ref",
        "data-type:transformation-ref",
        "gating:compensation-ref",
    )
    for element in root.iter("{*}*"):
        for attribute in pointing:
            target = element.get(_tag(attribute))
            known = attribute == "gating:compensation-ref" and target in {"FCS", "uncompensated"}
            if target is not None and target not in ids and not known:
                yield Problem(
                    name,
                    f"a reference to {quote(target)}",
                    "the id of something in the file",
                    element.sourceline,
                )


def _passed_over(root: Any, name: str) -> Iterator[Problem]:
    """Find what FlowKit would pass over in silence, and so gate other events than the file says."""
    detectors: dict[str, list[str]] = {}
    for element in root.iter(_tag("transforms:transformation")):
        if any(element.get(_tag(f"transforms:{bound}")) is not None for bound in ("boundMin", "boundMax")):
            yield Problem(name, "boundMin or boundMax", "a transformation without", element.sourceline)
    for element in root.iter(_tag("transforms:spectrumMatrix")):
        rows = [len(list(r)) for r in element.iter(_tag("transforms:spectrum"))]
        names = element.find(_tag("transforms:detectors"))
        columns = [d.get(_tag("data-type:name")) for d in names]
        detectors[element.get(_tag("transforms:id"))] = columns
        if element.get(_tag("transforms:matrix-inverted-already")) in {"true", "1"}:
            yield Problem(name, "a matrix that is inverted already", "a spillover matrix", element.sourceline)
        if set(rows) != {len(columns)} or len(rows) != len(columns):
            yield Problem(name, "a matrix that is not square", "a spillover matrix", element.sourceline)
    for gate in root:
        references: dict[str, set[str]] = {}
        for dimension in gate.iter(_tag("gating:dimension"), _tag("gating:divider")):
            channel = dimension.find(_tag("data-type:fcs-dimension"))
            reference = dimension.get(_tag("gating:compensation-ref"))
            if channel is not None:
                references.setdefault(reference, set()).add(channel.get(_tag("data-type:name")))
            elif reference != "uncompensated":
                yield Problem(name, "a ratio of compensated channels", "a ratio of raw ones", gate.sourceline)
        raw = references.pop("uncompensated", set())
        if len(references) > 1:
            yield Problem(name, "two matrices in one gate", "one compensation for each gate", gate.sourceline)
        for reference in references:
            mixed = raw & set(detectors[reference]) if reference in detectors else filter(_is_dye, raw)
            for channel in sorted(mixed):
                yield Problem(
                    name,
                    f"{quote(channel)} uncompensated beside compensated channels",
                    "one compensation for each gate",
                    gate.sourceline,
                )


def _is_dye(channel: str) -> bool:
    return channel.casefold() != "time" and channel[:4].casefold() not in {"fsc-", "ssc-"}


def _decoded(gating: Any) -> Any:
    """Give gates and quadrants their names back."""
    import flowkit

    renamed = flowkit.GatingStrategy()
    renamed.transformations = gating.transformations
    renamed.comp_matrices = gating.comp_matrices
    names = {n: _name_of(n) for n, _ in gating.get_gate_ids()}

    def path_of(path: Sequence[str]) -> tuple[str, ...]:
        return ("root", *(names[p] for p in path[1:]))

    for path, gate in _gates(gating):
        gate.gate_name = names[path[-1]]
        if isinstance(gate, flowkit.gates.QuadrantGate):
            for quadrant in gate.quadrants.values():
                quadrant.id = names[quadrant.id]
            gate.quadrants = {q.id: q for q in gate.quadrants.values()}
        elif isinstance(gate, flowkit.gates.BooleanGate):
            for reference in gate.gate_refs:
                reference |= {"ref": names[reference["ref"]], "path": path_of(reference["path"])}
        for dimension in gate.dimensions or ():
            # FlowKit's RatioDimension has no attribute for the side that is open.
            if isinstance(dimension, flowkit.RatioDimension):
                dimension.min = getattr(dimension, "min", None)
                dimension.max = getattr(dimension, "max", None)
        renamed.add_gate(gate, path_of(("root", *path[:-1])))
    return renamed


def _with_own_matrix(gating: Any) -> Strategy:
    from cartrace.flow.engine import Strategy
    from cartrace.flow.fcs import Spillover

    used = {
        d.compensation_ref
        for _, gate in _gates(gating)
        for d in gate.dimensions or ()
        if d.compensation_ref not in {None, "uncompensated"}
    }
    if len(used) != 1 or "FCS" in used:
        return Strategy(gating, None)
    matrix = gating.comp_matrices[used.pop()]
    return Strategy(gating, Spillover(tuple(matrix.detectors), matrix.matrix))


def why_no_gating_ml(strategy: Strategy) -> str:
    """Say why Gating-ML 2.0 can't carry these gates; empty: it can.

    FlowJo's biexponential and logarithmic scales have no element there, nor has the outside of
    a rectangle or polygon; a file without any gate is none.
    """
    canonical = _canonical(strategy)
    kinds = sorted({s["kind"] for s in canonical.scales.values()} - set(_CARRIED))
    outside = [" / ".join(g["path"]) for g in canonical.gates if g.get("complement")]
    reasons = [] if canonical.gates else ["no gate could be set"]
    reasons += [f"{kind} has no place in Gating-ML 2.0" for kind in kinds]
    reasons += [f"gate {quote(gate)} means the events outside of it" for gate in outside]
    return "; ".join(reasons)


def write_gating_ml(strategy: Strategy) -> bytes:
    """Write the gate set as Gating-ML 2.0, the same bytes for the same gates.

    A compensation reference to ``strategy.spillover`` becomes a matrix in the file. What was
    written is read back, and has to have the same hash.

    Raises
    ------
    ValueError
        For gates that the format can't carry: ask :func:`why_no_gating_ml` first.
    """
    if reason := why_no_gating_ml(strategy):
        raise ValueError(reason)
    content = _to_xml(_canonical(strategy))
    if gates_sha256(read_gating_ml(content, "Gating-ML")) != gates_sha256(strategy):
        raise ValueError("the gates changed on being written as Gating-ML")
    return content


def gates_sha256(strategy: Strategy) -> str:
    """Hash of what decides membership: gates, transformations, matrix; not of names of files or order of XML."""
    canonical = _canonical(strategy)
    text = json.dumps(
        {"gates": canonical.gates, "scales": canonical.scales, "matrices": canonical.matrices},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Canonical:
    """A gate set without anything that does not decide membership. Ids follow from the content."""

    gates: list[Record]
    """Sorted by path, so that a parent stands before its children."""
    scales: dict[str, Record]
    matrices: dict[str, Record]


def _gates(gating: Any) -> Iterator[tuple[Path, Any]]:
    """Yield path and gate of all gates; quadrants come with their quadrant gate."""
    from flowkit.exceptions import QuadrantReferenceError

    for name, ancestors in gating.get_gate_ids():
        try:
            gate = gating.get_gate(name, ancestors)
        except QuadrantReferenceError:
            continue
        yield (*ancestors[1:], name), gate


def _canonical(strategy: Strategy) -> _Canonical:
    canonical = _Canonical([], {}, {})

    def scale(reference: str) -> str:
        transform = strategy.gating.transformations[reference]
        kind, attributes = _PARAMETERS[type(transform).__name__]
        record: Record = {"kind": kind, **{a: _number(getattr(transform, p)) for a, p in attributes.items()}}
        if kind == "fratio":
            record["channels"] = list(transform.dimensions)
        parts = [kind, *(f"{a}{record[a]!r}" for a in attributes), *record.get("channels", ())]
        key = ".".join(_escape(str(part)) for part in parts)
        canonical.scales[key] = record
        return key

    def compensation(reference: str | None) -> str:
        if reference is None or reference == "uncompensated":
            return "uncompensated"
        matrices = strategy.gating.comp_matrices
        if reference in matrices:
            own = matrices[reference]
            record = _matrix(own.detectors, own.fluorochromes, own.matrix)
        elif strategy.spillover is not None:
            record = _of_spillover(strategy.spillover)
        elif reference == "FCS":
            return "FCS"
        else:
            raise ValueError(f"no matrix for the compensation reference {reference!r}")
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        key = f"matrix.{digest[:16]}"
        canonical.matrices[key] = record
        return key

    def dimension(of: Any) -> Record:
        ratio = getattr(of, "ratio_ref", None)
        return {
            "channel": getattr(of, "dimension_ref", None) or getattr(of, "id", None) if not ratio else None,
            "ratio": scale(ratio) if ratio else None,
            "compensation": compensation(of.compensation_ref),
            "scale": scale(of.transformation_ref) if of.transformation_ref is not None else None,
        }

    for path, gate in sorted(_gates(strategy.gating), key=operator.itemgetter(0)):
        canonical.gates.append({"path": list(path), **_geometry(gate, dimension)})
    return canonical


def _geometry(gate: Any, dimension: Any) -> Record:
    kind = gate.gate_type
    dimensions = [dimension(d) for d in gate.dimensions or ()]
    if kind == "RectangleGate":
        bounds = [
            {**r, "min": _bound(d.min, -math.inf), "max": _bound(d.max, math.inf)}
            for r, d in zip(dimensions, gate.dimensions, strict=True)
        ]
        return {
            "kind": kind,
            "dimensions": sorted(bounds, key=_sort_key),
            "complement": bool(gate.use_complement),
        }
    if kind == "PolygonGate":
        vertices = [[_number(c) for c in v] for v in gate.vertices]
        return {
            "kind": kind,
            "dimensions": dimensions,
            "vertices": vertices,
            "complement": bool(gate.use_complement),
        }
    if kind == "EllipsoidGate":
        return {
            "kind": kind,
            "dimensions": dimensions,
            "mean": [_number(c) for c in gate.coordinates],
            "covariance": [[_number(c) for c in row] for row in gate.covariance_matrix],
            "distance_square": _number(gate.distance_square),
        }
    if kind == "BooleanGate":
        references = [[*r["path"][1:], r["ref"]] for r in gate.gate_refs]
        operands = [
            {"path": p, "complement": bool(r["complement"])}
            for p, r in zip(references, gate.gate_refs, strict=True)
        ]
        return {"kind": kind, "operation": gate.type, "operands": sorted(operands, key=_sort_key)}
    assert kind == "QuadrantGate", kind
    dividers = [
        {**r, "values": sorted(_number(v) for v in d.values)}
        for r, d in zip(dimensions, gate.dimensions, strict=True)
    ]
    places = sorted(range(len(dividers)), key=lambda i: _sort_key(dividers[i]))
    place_of = {gate.dimensions[i].id: rank for rank, i in enumerate(places)}
    quadrants = {
        name: sorted(
            [place_of[d], *map(_bound, quadrant.get_divider_range(d), (-math.inf, math.inf))]
            for d in quadrant.divider_refs
        )
        for name, quadrant in gate.quadrants.items()
    }
    return {"kind": kind, "dimensions": [dividers[i] for i in places], "quadrants": quadrants}


def _sort_key(record: Record) -> str:
    return json.dumps(record, sort_keys=True)


def _number(value: Any) -> float:
    # -0.0 and 0.0 gate alike.
    number = float(value) + 0.0
    if not math.isfinite(number):
        raise ValueError(f"{number} in a gate")
    return number


def _bound(value: Any, everything: float) -> float | None:
    """Return a bound; None where it is open, be it that it is said as infinity."""
    return None if value is None or value == everything else _number(value)


def _of_spillover(spillover: Spillover) -> Record:
    return _matrix(spillover.channels, (), spillover.matrix)


def _matrix(detectors: Sequence[str], dyes: Sequence[str], values: Any) -> Record:
    names = list(dyes) if len(dyes) == len(detectors) else [""] * len(detectors)
    order = sorted(range(len(detectors)), key=lambda i: detectors[i])
    return {
        "detectors": [detectors[i] for i in order],
        # A dye without a name of its own goes by that of its detector.
        "dyes": [names[i] or detectors[i] for i in order],
        "values": [[_number(values[i][j]) for j in order] for i in order],
    }


def _escape(name: str) -> str:
    """Write a name as part of an XML id; a point is left to the ids of scales and matrices.

    >>> _escape("CD3+")
    'CD3_x002B_'
    """
    escaped = re.sub(r"_(?=x[0-9A-F]{4,6}_)|[^A-Za-z0-9_-]", lambda m: f"_x{ord(m[0]):04X}_", name)
    return escaped if re.match(r"[A-Za-z_]", escaped) else f"_x{ord(name[0]):04X}_{escaped[1:]}"


def _name_of(identifier: str) -> str:
    """Undo :func:`_escape`; of a whole path the last name counts."""
    name = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if int(m[1], 16) <= 0x10FFFF else m[0], identifier)
    return name.rpartition("/")[2] or name


def _tag(name: str) -> str:
    space, _, local = name.partition(":")
    return f"{{{NAMESPACES[space]}}}{local}"


def _to_xml(canonical: _Canonical) -> bytes:
    from lxml import etree

    def add(parent: Any, name: str, **attributes: Any) -> Any:
        element = etree.SubElement(parent, _tag(name))
        for key, value in attributes.items():
            space, _, local = key.partition("_")
            room = {"g": "gating", "t": "transforms", "d": "data-type"}[space]
            element.set(_tag(f"{room}:{local.replace('__', '-')}"), str(value))
        return element

    def add_dimension(parent: Any, record: Record, name: str = "gating:dimension") -> Any:
        element = add(parent, name, g_compensation__ref=record["compensation"])
        if record["scale"] is not None:
            element.set(_tag("gating:transformation-ref"), record["scale"])
        if record["ratio"] is not None:
            add(element, "data-type:new-dimension", d_transformation__ref=record["ratio"])
        else:
            add(element, "data-type:fcs-dimension", d_name=record["channel"])
        return element

    root = etree.Element(_tag("gating:Gating-ML"), nsmap=NAMESPACES)
    for key, scale in sorted(canonical.scales.items()):
        element = add(root, "transforms:transformation", t_id=key)
        attributes = {f"t_{a}": scale[a] for a in scale if a not in {"kind", "channels"}}
        inner = add(element, f"transforms:{scale['kind']}", **attributes)
        for channel in scale.get("channels", ()):
            add(inner, "data-type:fcs-dimension", d_name=channel)
    for key, matrix in sorted(canonical.matrices.items()):
        element = add(root, "transforms:spectrumMatrix", t_id=key)
        for part, names in (("fluorochromes", matrix["dyes"]), ("detectors", matrix["detectors"])):
            channels = add(element, f"transforms:{part}")
            for name in names:
                add(channels, "data-type:fcs-dimension", d_name=name)
        for row in matrix["values"]:
            spectrum = add(element, "transforms:spectrum")
            for value in row:
                add(spectrum, "transforms:coefficient", t_value=value)

    id_of = _ids(canonical.gates)
    for gate in canonical.gates:
        path = tuple(gate["path"])
        element = add(root, f"gating:{gate['kind']}", g_id=id_of[path])
        if path[:-1]:
            element.set(_tag("gating:parent_id"), id_of[path[:-1]])
        if gate["kind"] == "QuadrantGate":
            names = [f"{id_of[path]}.{i}" for i in range(len(gate["dimensions"]))]
            for name, record in zip(names, gate["dimensions"], strict=True):
                divider = add_dimension(element, record, "gating:divider")
                divider.set(_tag("gating:id"), name)
                for value in record["values"]:
                    add(divider, "gating:value").text = repr(value)
            for quadrant, ranges in sorted(gate["quadrants"].items()):
                inner = add(element, "gating:Quadrant", g_id=id_of[*path, quadrant])
                for place, low, high in ranges:
                    add(inner, "gating:position", g_divider_ref=names[place], g_location=_inside(low, high))
            continue
        for record in gate.get("dimensions", ()):
            dimension = add_dimension(element, record)
            for side in ("min", "max"):
                if record.get(side) is not None:
                    dimension.set(_tag(f"gating:{side}"), repr(record[side]))
        for vertex in gate.get("vertices", ()):
            point = add(element, "gating:vertex")
            for value in vertex:
                add(point, "gating:coordinate", d_value=value)
        if gate["kind"] == "EllipsoidGate":
            mean = add(element, "gating:mean")
            for value in gate["mean"]:
                add(mean, "gating:coordinate", d_value=value)
            covariance = add(element, "gating:covarianceMatrix")
            for values in gate["covariance"]:
                row = add(covariance, "gating:row")
                for value in values:
                    add(row, "gating:entry", d_value=value)
            add(element, "gating:distanceSquare", d_value=gate["distance_square"])
        if gate["kind"] == "BooleanGate":
            operation = add(element, f"gating:{gate['operation']}")
            for operand in gate["operands"]:
                reference = add(operation, "gating:gateReference", g_ref=id_of[tuple(operand["path"])])
                if operand["complement"]:
                    reference.set(_tag("gating:use-as-complement"), "true")
    content: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)
    return content


def _ids(gates: Sequence[Record]) -> Mapping[Path, str]:
    """Return the id of each gate and quadrant: its name, or its whole path where the name stands twice."""
    paths = [tuple(g["path"]) for g in gates]
    paths += [(*g["path"], quadrant) for g in gates for quadrant in g.get("quadrants", ())]
    seen = Counter(p[-1] for p in paths)
    return {p: _escape(p[-1] if seen[p[-1]] == 1 else "/".join(p)) for p in paths}


def _inside(low: float | None, high: float | None) -> float:
    """Return a place between two dividers; the lower one belongs to it (Gating-ML 2.0, 5.1.3)."""
    if low is None:
        return 0.0 if high is None else high - max(1.0, abs(high))
    return (
        low + max(1.0, abs(low))
        if high is None
        else max(low, min((low + high) / 2, math.nextafter(high, low)))
    )
