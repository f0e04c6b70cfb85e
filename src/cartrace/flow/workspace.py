"""FlowJo 10 workspaces: gates, compensation and FlowJo's own counts.

FlowKit turns the gates of one sample into a strategy. What it would misread in silence is put
right in the XML before, or refused (docs/gate_files.md): gates on raw channels beside a matrix,
a scale of a compensated channel that differs from the raw one's, names that stand twice.
Sample names are file names of a laboratory, so no error shows those of a workspace.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cartrace.flow.gating_ml import NAMESPACES, refuse_odd_names, refuse_odd_numbers
from cartrace.flow.xml_safety import parse_xml, refusal
from cartrace.intake.sheets import quote
from cartrace.problems import plain

if TYPE_CHECKING:
    from cartrace.flow.engine import Path, Strategy
    from cartrace.flow.fcs import Spillover

_EXPECTED = "a workspace of FlowJo 10 (.wsp)"
_OLD = f"{_EXPECTED}; open it in FlowJo 10 and save it"
_POPULATIONS = ("Population", "AndNode", "OrNode", "NotNode")


class Workspace(Protocol):
    """A workspace that was read."""

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples, as FlowJo lists them."""
        ...

    def strategy_of(self, sample: str) -> Strategy:
        """Return the gates of one sample, with its compensation.

        Raises
        ------
        InputError
            When the workspace holds no such sample, or two, or gates that can't be read.
        """
        ...

    def counts_of(self, sample: str) -> Mapping[Path, int]:
        """Return FlowJo's own counts, where the workspace holds them."""
        ...


def read_workspace(content: bytes, name: str) -> Workspace:
    """Read a FlowJo 10 workspace (.wsp).

    Raises
    ------
    InputError
        For a document type definition, no workspace, or one of FlowJo 9.
    """
    root = parse_xml(content, name, _EXPECTED)
    if root.tag != "Workspace":
        what = str(root.tag).rpartition("}")[2]
        raise refusal(name, f"the root {quote(what)}", _EXPECTED, root.sourceline)
    version = root.get("flowJoVersion", "").partition(".")[0]
    if not version.isdigit() or int(version) < 10:
        raise refusal(name, f"FlowJo version {quote(root.get('flowJoVersion', ''))}", _OLD, root.sourceline)
    if root.find("SampleList") is None:
        raise refusal(name, "no list of samples", _EXPECTED, root.sourceline)
    return _Workspace(root, name)


@dataclass(frozen=True, slots=True)
class _Workspace:
    root: Any
    name: str

    @property
    def samples(self) -> tuple[str, ...]:
        return tuple(node.get("name", "") for node in self.root.iterfind("SampleList/Sample/SampleNode"))

    def counts_of(self, sample: str) -> Mapping[Path, int]:
        node = self._sample(sample).find("SampleNode")
        counts = {path: _count(e) for path, e in _populations(node)}
        return {path: count for path, count in counts.items() if count is not None}

    def strategy_of(self, sample: str) -> Strategy:
        import flowkit

        from cartrace.flow.engine import Strategy

        one = copy.deepcopy(self._sample(sample))
        paths = [path for path, _ in _populations(one.find("SampleNode"))]
        if not paths:
            raise refusal(self.name, "a sample without gates", "gates", one.sourceline)
        if twice := sorted({p for p in paths if paths.count(p) > 1}):
            raise refusal(self.name, f"the gate {quote(' / '.join(twice[0]))} twice", "each name once")
        refuse_odd_names([name for path in paths for name in path], self.name)
        matrix = _Matrix.of(one, self.name)
        raw = matrix.settle(one, self.name) if matrix is not None else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read = flowkit.Workspace(io.BytesIO(self._alone(one)), load_missing_file_data=True)
                gating = read.get_gating_strategy(sample)
        except Exception as error:  # noqa: BLE001 - FlowKit raises KeyError, TypeError and its own
            found = f"gates or scales that FlowKit can't read: {plain(f'{type(error).__name__}: {error}')}"
            raise refusal(self.name, found, _EXPECTED) from None
        for path, channels in raw.items():
            for dimension in gating.get_gate(path[-1], ("root", *path[:-1])).dimensions:
                if dimension.id in channels:
                    dimension.compensation_ref = "uncompensated"
        strategy = Strategy(gating, None if matrix is None else matrix.spillover)
        refuse_odd_numbers(strategy, self.name)
        return strategy

    def _sample(self, name: str) -> Any:
        found = [
            sample
            for sample in self.root.iterfind("SampleList/Sample")
            if any(node.get("name") == name for node in sample.iterfind("SampleNode"))
        ]
        if len(found) != 1:
            many = "no sample" if not found else f"{len(found)} samples"
            raise refusal(
                self.name,
                f"{many} of the name {quote(name)}, among {len(self.samples)}",
                "one sample of that name",
            )
        return found[0]

    def _alone(self, sample: Any) -> bytes:
        """Return a workspace of one sample, so that faults of the others do no harm."""
        from lxml import etree  # type: ignore[import-untyped]

        # FlowKit asks for the standard's prefixes at the root.
        root = etree.Element("Workspace", nsmap=NAMESPACES, flowJoVersion="10")
        etree.SubElement(root, "Groups")
        etree.SubElement(root, "SampleList").append(sample)
        content: bytes = etree.tostring(root)
        return content


def _populations(node: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield path and element of every gate below ``node``, a parent before its children."""
    for below in node.iterfind("Subpopulations"):
        for element in below:
            if element.tag in _POPULATIONS:
                path = (*above, element.get("name", ""))
                yield path, element
                yield from _populations(element, path)


def _count(element: Any) -> int | None:
    """Return FlowJo's count; it writes -1 where it had none."""
    text = element.get("count", "")
    return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class _Matrix:
    """The matrix of one sample, and how FlowJo names its compensated channels."""

    spillover: Spillover
    prefix: str
    suffix: str

    @classmethod
    def of(cls, sample: Any, name: str) -> _Matrix | None:
        from cartrace.flow.fcs import Spillover

        elements = sample.findall(_tag("transforms", "spilloverMatrix"))
        if not elements:
            return None
        element = elements[0]
        label = _tag("data-type", "parameter")
        channels = tuple(p.get(_tag("data-type", "name"), "") for p in element.iter(label))
        fault = "" if len(elements) == 1 else f"{len(elements)} matrices"
        if element.get("spectral") == "1":
            fault = "a spectral matrix"
        rows = element.findall(_tag("transforms", "spillover"))
        # FlowKit takes the numbers in the order of the file, whatever channel they are written for.
        orders = [tuple(c.get(label) for c in row) for row in rows]
        if not fault and (
            tuple(r.get(label) for r in rows) != channels or any(o != channels for o in orders)
        ):
            fault = "a matrix whose rows and columns are not those of its channels, in their order"
        try:
            values = np.array([[float(c.get(_tag("transforms", "value"))) for c in row] for row in rows])
        except (TypeError, ValueError):
            fault = fault or "a matrix with something that is no number"
        if fault:
            raise refusal(name, fault, "one square spillover matrix a sample", element.sourceline)
        return cls(Spillover(channels, values), element.get("prefix", ""), element.get("suffix", ""))

    def settle(self, sample: Any, name: str) -> Mapping[Path, frozenset[str]]:
        """Make the sample say what FlowKit will read, and return the gates on raw channels.

        FlowKit compensates every channel of the matrix, with or without FlowJo's prefix, and
        takes the scale of the raw channel.
        """
        compensated = {f"{self.prefix}{c}{self.suffix}": c for c in self.spillover.channels}
        raw: dict[Path, frozenset[str]] = {}
        used: set[str] = set()
        for path, population in _populations(sample.find("SampleNode")):
            gate = population.find("Gate")
            names = [] if gate is None else _channels(gate)
            line = population.sourceline
            unknown = [n for n in names if n not in compensated and self.prefix and n.startswith(self.prefix)]
            if unknown:
                raise refusal(
                    name,
                    f"a gate on {quote(unknown[0])}, which no matrix makes",
                    "a channel of the matrix",
                    line,
                )
            bare = frozenset(n for n in names if n in self.spillover.channels and n not in compensated)
            if bare and any(n in compensated for n in names):
                raise refusal(
                    name,
                    f"a gate on raw {quote(min(bare))} and on a compensated channel",
                    "gates that are raw or compensated as a whole",
                    line,
                )
            if bare:
                raw[path] = bare
            used.update(names)
        self._scales(sample, compensated, used, name)
        return raw

    def _scales(self, sample: Any, compensated: Mapping[str, str], used: set[str], name: str) -> None:
        scales = sample.find("Transformations")
        by_channel = {c: scale for scale in (() if scales is None else scales) for c in _channels(scale)}
        for full, channel in compensated.items():
            own, bare = by_channel.get(full), by_channel.get(channel)
            if own is None or own is bare:
                continue
            if full in used and channel in used and dict(own.attrib) != dict(getattr(bare, "attrib", {})):
                raise refusal(
                    name,
                    f"two scales of {quote(channel)} in use",
                    "one for raw and compensated",
                    own.sourceline,
                )
            if full in used:
                if bare is not None:
                    scales.remove(bare)
                own.find(_tag("data-type", "parameter")).set(_tag("data-type", "name"), channel)


def _channels(element: Any) -> list[str]:
    """Return the channels that a gate or a scale names."""
    tags = (_tag("data-type", "fcs-dimension"), _tag("data-type", "parameter"))
    return [e.get(_tag("data-type", "name"), "") for e in element.iter(*tags)]


def _tag(space: str, name: str) -> str:
    return f"{{{NAMESPACES[space]}}}{name}"
