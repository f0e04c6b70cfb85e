"""RDML 1.0 to 1.4: an XML file in a zip archive, as LightCycler 96, StepOne and CFX write it, or bare.

Three traps are handled. LightCycler 96 writes a Cq for curves that it calls
negative, so its own calls are read too. StepOne writes the number of cycles, and a
quantity NaN, where nothing was found. Bio-Rad writes one run for each channel.

RDML has no rows: ``source_row`` counts the ``data`` elements of the run, from 1.
Source of the elements: the RDML schema (rdml.org).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

from cartrace.pcr.plate import Plate, Remark, well_name
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import NotANumber, Source, read_number, show
from cartrace.problems import did_you_mean, holds_date, redact_dates

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "rdml"
LOOKED_FOR = "an XML document with the root rdml, in a zip archive or bare"

VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4")
TYPES = {
    "unkn": "unknown",
    "std": "standard",
    "ntc": "ntc",
    "ntp": "negative_control",
    "pos": "positive_control",
    "nac": "other",
    "nrt": "other",
    "opt": "other",
}
_ROOT = re.compile(rb"<(?:\w+:)?rdml[\s>]")
_START = 4096
_COUNTS = frozenset({"cop", "other", ""})
"""Units of a quantity that are, or may be, copies."""


class _RefusedError(ValueError):
    """A document type: XML that could name other files, or grow without end."""


def recognise(source: Source) -> bool:
    """Say whether there is a document with the root ``rdml``."""
    return _member(source) is not None


def _member(source: Source) -> str | None:
    """Name of the member with the document; empty for a bare one; None without any."""
    if source.is_workbook:
        return None
    if not source.is_zip:
        return "" if _is_rdml(source.content) else None
    names = [n for n in source.member_names if n.lower().endswith((".xml", ".rdml"))]
    return next((n for n in names if _is_rdml(source.member(n))), None)


def _is_rdml(content: bytes) -> bool:
    # Bio-Rad's and others' documents may be UTF-16; its ASCII letters lie between zeros.
    return _ROOT.search(content[:_START].replace(b"\x00", b"")) is not None


def read(source: Source) -> Plate:
    """Read the run.

    Raises
    ------
    InputError
        With every problem of the file; when it holds more than one run and the
        assay file does not say which.
    """
    name = _member(source)
    assert name is not None
    root = _parse(source, source.content if not name else source.member(name))
    version = root.get("version", "")
    if version not in VERSIONS:
        raise source.refusal(f"RDML version {show(version)}", ", ".join(VERSIONS))
    document = _Document(source, root, _roche(source))
    runs = _runs(source, root)
    records = document.read(runs)
    software = runs[0].find("dataCollectionSoftware")
    return Plate(
        NAME,
        "qpcr",
        plate_wells(source, records),
        instrument=_short(runs[0].findtext("instrument", "").partition(",")[0]),
        software="" if software is None else _short(software.findtext("name", "")),
        software_version="" if software is None else _version(software.findtext("version", "")),
        remarks=tuple(document.remarks),
    )


def _parse(source: Source, content: bytes) -> Element:
    """Parse XML without a document type, and drop the namespaces from the names."""
    from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

    class Builder(TreeBuilder):
        def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
            raise _RefusedError

    parser = XMLParser(target=Builder())
    try:
        parser.feed(content)
        root: Element = parser.close()
    except _RefusedError:
        raise source.refusal("a document type in XML", "RDML, which has none") from None
    except (ParseError, ValueError, LookupError) as error:
        line = error.position[0] if isinstance(error, ParseError) else None
        raise source.refusal(
            "XML that does not parse; perhaps the file was cut", "a whole file", line
        ) from None
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root


def _short(text: str) -> str:
    return redact_dates(" ".join(unescape(text).split()))[:60]


def _version(text: str) -> str:
    """Return the version alone; its first two parts where the whole reads as a date."""
    match = re.search(r"\d+(?:\.\d+)*", text)
    version = match[0] if match else ""
    return ".".join(version.split(".")[:2]) if holds_date(version) else version


def _runs(source: Source, root: Element) -> list[Element]:
    """Return the run to read; several where Bio-Rad wrote one for each channel of one plate."""
    runs = list(root.iter("run"))
    if not runs:
        raise source.refusal("no run", "RDML with the data of a run")
    wanted = source.options.sheet
    if wanted:
        named = [r for r in runs if r.get("id") == wanted]
        if len(named) != 1:
            ids = [redact_dates(r.get("id", "")) for r in runs]
            source.problem(
                f"{len(named)} runs of this name",
                ", ".join(ids),
                None,
                "read: sheet",
                did_you_mean(wanted, ids),
            )
            source.check()
        return named
    if len(runs) > 1 and not _are_channels(root, runs):
        listed = ", ".join(show(r.get("id", "")) for r in runs)
        raise source.refusal(f"{len(runs)} runs", f"one run, or read: {{sheet: one of {listed}}}")
    return runs


def _are_channels(root: Element, runs: Sequence[Element]) -> bool:
    """Whether Bio-Rad wrote the runs, and they have the same wells and samples and no target in common."""
    publishers = " ".join(p.text or "" for p in root.iter("publisher"))
    layouts = [{r.get("id"): _id(r, "sample") for r in run.findall("react")} for run in runs]
    targets = [{_id(d, "tar") for d in run.iterfind("react/data")} for run in runs]
    return (
        "bio-rad" in publishers.casefold()
        and all(layout == layouts[0] for layout in layouts)
        and len(set().union(*targets)) == sum(map(len, targets))
    )


def _id(element: Element, tag: str) -> str:
    child = element.find(tag)
    return "" if child is None else child.get("id", "") or (child.text or "").strip()


@dataclass(frozen=True, slots=True)
class _Graph:
    """What LightCycler 96 says of one curve, beside the RDML document."""

    call: str = ""
    excluded: bool = False
    defined: bool = True
    standard: str = ""


def _roche(source: Source) -> dict[tuple[str, str, str], _Graph]:
    """Read calls, exclusions and standards of LightCycler 96, by run, react and target."""
    if not source.is_zip or not {"app_data.xml", "calculated_data.xml"} <= set(source.member_names):
        return {}
    settings = _parse(source, source.member("app_data.xml"))
    results = _parse(source, source.member("calculated_data.xml"))
    calls = {key: g.findtext("call") or "" for key, g in _graphs(results)}
    undefined = {t.get("id") for t in settings.findall("target") if t.get("isDefined") == "false"}
    return {
        key: _Graph(
            calls.get(key, ""),
            graph.get("isExcluded") == "true",
            key[2] not in undefined,
            graph.get("geneConcentration", ""),
        )
        for key, graph in _graphs(settings)
    }


def _graphs(root: Element) -> Iterator[tuple[tuple[str, str, str], Element]]:
    for run in root.iter("run"):
        for react in run.findall("react"):
            for graph in react.findall("factGraph"):
                yield (run.get("id", ""), react.get("id", ""), graph.get("targetId", "")), graph


class _Document:
    """The samples, targets and dyes of a document, and the records of its runs."""

    def __init__(self, source: Source, root: Element, graphs: dict[tuple[str, str, str], _Graph]) -> None:
        self.source = source
        self.samples = {s.get("id", ""): s for s in root.findall("sample")}
        self.targets = {t.get("id", ""): t for t in root.findall("target")}
        self.graphs = graphs
        self.remarks: list[Remark] = []
        self.number = 0
        self.not_taken = 0

    def read(self, runs: Sequence[Element]) -> list[dict[str, object]]:
        records = []
        for run in runs:
            # Where no well of a target has a Cq, nobody analysed it: its wells are not negative.
            analysed = {_id(d, "tar") for d in run.iterfind("react/data") if d.find("cq") is not None}
            for react in run.findall("react"):
                if react.find("partitions") is not None:
                    raise self.source.refusal("digital PCR in RDML", "the csv export of the instrument")
                well = self.well(run, react)
                for data in react.findall("data"):
                    self.number += 1
                    records.append(self.record(run, react, data, well, analysed))
        units = sorted(
            {q.findtext("unit") or "" for s in self.samples.values() for q in s.findall("quantity")}
        )
        if self.not_taken:
            self.remarks.append(
                Remark(
                    "cq_not_taken",
                    f"{self.not_taken} Cqs are read as not detected: the instrument calls the curve negative, or "
                    "they lie at or past the last cycle.",
                )
            )
        if len(runs) > 1:
            self.remarks.append(
                Remark(
                    "runs_joined", f"{len(runs)} runs of one plate, one for each channel, were read together."
                )
            )
        if odd := [u for u in units if u not in _COUNTS]:
            self.remarks.append(
                Remark(
                    "quantity_unit",
                    f"Quantities of standards are in {', '.join(map(show, odd))}, not in copies.",
                )
            )
        return records

    def well(self, run: Element, react: Element) -> str:
        """Return the well of a reaction: ``A1`` as it is, a number by the rows and columns of the plate."""
        text = react.get("id", "").strip()
        columns = run.findtext("pcrFormat/columns", "").strip()
        rows = run.findtext("pcrFormat/rows", "").strip()
        lettered = run.findtext("pcrFormat/rowLabel", "ABC").strip() == "ABC"
        if not (text.isdecimal() and columns.isdecimal() and rows.isdecimal() and lettered):
            if not text:
                self.fault("a reaction without an id", "a well or a number", "react")
            return well_name(text)
        row, column = divmod(int(text) - 1, max(1, int(columns)))
        if not 0 <= row < min(int(rows), 32):
            self.fault(
                f"reaction {show(text)} on a plate of {show(rows)} x {show(columns)}", "a well of it", "react"
            )
            return text
        letters = chr(65 + row) if row < 26 else "A" + chr(65 + row - 26)
        return well_name(f"{letters}{column + 1}")

    def record(
        self, run: Element, react: Element, data: Element, well: str, analysed: set[str]
    ) -> dict[str, object]:
        target, sample_id = _id(data, "tar"), _id(react, "sample")
        sample = self.samples.get(sample_id)
        if target not in self.targets:
            self.fault(f"the target {show(target)}", "a target that the document lists", "tar")
        if sample is None:
            self.fault(f"the sample {show(sample_id)}", "a sample that the document lists", "sample")
        graph = self.graphs.get((run.get("id", ""), react.get("id", ""), target), _Graph())
        dye = _id(self.targets[target], "dyeId") if target in self.targets else ""
        task = self.task(sample, target, graph)
        nominal = None
        if task == "standard" and sample is not None:
            listed = self.of_target(sample, "quantity", target)
            nominal = self.number_of(
                graph.standard or (listed.findtext("value") if listed is not None else "")
            )
        computed = self.number_of(data.findtext("quantity/value"))
        cq, kind = self.cq(data, graph, target, analysed)
        excluded = data.find("excl") is not None or graph.excluded
        described = sample.findtext("description", "").strip() if sample is not None else ""
        # LightCycler 96 numbers its samples by random ids and keeps the name in the description.
        name = described if self.graphs and described else sample_id
        return {
            "well": well,
            "sample_name": (name if graph.defined else described) or None,
            "target": target.removeprefix(f"{dye}@")
            if graph.defined and target != f"{dye}@"
            else dye or target,
            "reporter": dye or None,
            "task": task,
            "omitted": excluded,
            "cq": cq,
            "cq_kind": kind,
            "nominal": nominal,
            "vendor_quantity": None if task == "standard" else computed,
            "vendor_status": "; ".join(t for t in (graph.call, data.findtext("excl", "").strip()) if t)
            or None,
            "source_row": self.number,
        }

    def task(self, sample: Element | None, target: str, graph: _Graph) -> str | None:
        if not graph.defined:
            return "empty"
        if sample is None:
            return None
        kind = self.of_target(sample, "type", target)
        text = (kind.text or "").strip() if kind is not None else ""
        if text not in TYPES:
            self.fault(f"the sample type {show(text)}", ", ".join(TYPES), "type")
        return TYPES.get(text)

    def of_target(self, sample: Element, tag: str, target: str) -> Element | None:
        """Return the child of a sample that is for ``target``, else the one for all targets (RDML 1.3)."""
        children = sample.findall(tag)
        own = [c for c in children if c.get("targetId") == target]
        return next(iter(own or [c for c in children if not c.get("targetId")]), None)

    def cq(self, data: Element, graph: _Graph, target: str, analysed: set[str]) -> tuple[float | None, str]:
        """Return the Cq and what it is.

        -1 is RDML's word for none; LightCycler 96 has its own call; StepOne writes the
        last cycle with a quantity NaN; no Cq goes past the last cycle.
        """
        text = data.findtext("cq", "").strip()
        value = self.number_of(text, "cq")
        if graph.call == "Invalid":
            return None, "missing"
        if value is None:
            return None, "undetermined" if target in analysed or text.casefold() == "nan" else "missing"
        cycles = len(data.findall("adp"))
        no_quantity = data.findtext("quantity/value", "").strip().casefold() == "nan"
        beyond = bool(cycles) and (value > cycles or (value == cycles and no_quantity))
        if value == -1:
            return None, "undetermined"
        if graph.call == "Negative" or beyond:
            self.not_taken += 1
            return None, "undetermined"
        return value, "quantified"

    def number_of(self, text: str | None, column: str = "quantity") -> float | None:
        if not text or text.strip().casefold() == "nan":
            return None
        try:
            # XML has the point, whatever the laboratory's own mark is.
            return read_number(text)
        except NotANumber as fault:
            self.fault(show(text), fault.allowed, column)
            return None

    def fault(self, found: str, allowed: str, column: str) -> None:
        self.source.problem(found, allowed, self.number or None, column)
