"""Bio-Rad Bio-Plex Manager 6: the XML export of a plate.

Its ``Samples`` hold the wells (Blanks, Controls, Standards, Unknowns) with the reading of each
analyte and the concentration that the software computed; its ``Wells`` hold the beads. Rows are
lines of the document. The workbook of the same program: :mod:`cartrace.immunoassay.readers.bioplex_workbook`.

What the codes mean is taken from a real file and from public code; the names of the parameters of
a fitted curve are not known, so only its kind and weighting are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from cartrace.immunoassay.plate import Plate, VendorCurve
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import Remark, well_name
from cartrace.plates.source import NotANumber, Source, read_number, show
from cartrace.problems import plain

NAME = "bioplex"
LOOKED_FOR = "an XML document with the root BioPlexManager"

TASKS = {"Blank": "blank", "Control": "control", "Standard": "standard", "Unknown": "unknown"}
READING_CODES = {
    "1": "low bead number",
    "2": "aggregated beads",
    "3": "classify efficiency",
    "4": "region selection",
    "5": "platform temperature",
}
_ROOT = re.compile(rb"<(?:\w+:)?BioPlexManager[\s>]")
_START = 4096
_MAX_LINE = 10_000_000


def recognise(source: Source) -> bool:
    """Say whether the content is XML with the root ``BioPlexManager``."""
    # A document may be UTF-16; its ASCII letters lie between zeros.
    return not source.is_zip and _ROOT.search(source.content[:_START].replace(b"\x00", b"")) is not None


def read(source: Source) -> Plate:
    """Read the wells.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    from cartrace.flow.xml_safety import parse_xml

    root = parse_xml(source.content, source.name, "a Bio-Plex Manager XML export")
    for element in root.iter("{*}*"):
        element.tag = str(element.tag).rpartition("}")[2]
    document = _Document(source, root)
    records = document.records()
    return Plate(
        NAME,
        plate_wells(source, records),
        document.curves(),
        units=document.units(),
        instrument="Bio-Plex",
        software="Bio-Plex Manager",
        software_version=plain(root.get("BioPlexManagerVersion", ""), 60),
        remarks=tuple(document.remarks),
    )


@dataclass
class _Document:
    source: Source
    root: Any
    remarks: list[Remark] = field(default_factory=list)

    def records(self) -> list[dict[str, object]]:
        """Return a record for each analyte of each well."""
        beads = self.beads()
        zero_standards = self.analytes_with_standards()
        found: list[dict[str, object]] = []
        for sample, well, analyte, nominals in self.readings(zero_standards):
            reading, computed = analyte.find("Reading"), analyte.find("MWObsConc")
            region, task = analyte.get("RegionNumber", ""), TASKS[sample.tag]
            name = _text(analyte, "AnalyteName")
            if not name:
                self.fault(analyte, "no name of the analyte", "AnalyteName in each MWAnalyte", "AnalyteName")
            label = _text(sample, "Label")
            concentration, status = self.computed(computed, name)
            outlier, said = self.judged(reading)
            found.append(
                {
                    "well": well,
                    "sample_name": _text(sample, "Description") or label or None,
                    "target": plain(name),
                    "task": task,
                    "omitted": outlier,
                    "signal": self.number(reading, "Reading"),
                    "bead_count": beads.get((well, region)),
                    "nominal": nominals.get(region),
                    "dilution": self.number(sample.find("Dilution"), "Dilution", lowest=1),
                    "vendor_concentration": concentration,
                    "vendor_status": "; ".join(t for t in (status, said) if t) or None,
                    "source_row": _line(analyte),
                    "source_column": plain(name),
                }
            )
        if {r["dilution"] for r in found} <= {1.0, None}:
            # 1 is the default of the software: nobody said anything of dilutions.
            for record in found:
                record["dilution"] = None
        self.remarks += without_beads(found)
        return found

    def readings(self, zero_standards: Set[str]) -> Iterator[tuple[Any, str, Any, dict[str, float]]]:
        """Yield each reading: its sample, well and analyte, and the sample's expected concentrations."""
        samples = self.root.find("Samples")
        if samples is None:
            raise self.source.refusal("no element Samples", "the whole export of a plate")
        for sample in samples.iterfind("*/*"):
            if sample.tag not in TASKS:
                self.fault(sample, f"the kind of sample {show(str(sample.tag))}", ", ".join(TASKS), "Samples")
                continue
            nominals = {
                region: value
                for region, value in self.expected(sample)
                if value or (sample.tag == "Standard" and region in zero_standards)
            }
            for member in sample.iterfind("MemberWells/MemberWell"):
                well = self.well(member)
                for analyte in member.iterfind("MWAnalytes/MWAnalyte"):
                    yield sample, well, analyte, nominals

    def analytes_with_standards(self) -> set[str]:
        """Return the regions that have a standard above 0: beside it, the 0 of another one is meant.

        Where nobody typed a concentration, the software writes 0 for all.
        """
        standards = self.root.iterfind("Samples/Standards/Standard")
        return {region for sample in standards for region, value in self.expected(sample) if value}

    def expected(self, sample: Any) -> Iterator[tuple[str, float]]:
        """Yield region and expected concentration."""
        if sample.tag in {"Standard", "Control"}:
            for analyte in sample.iterfind("Analytes/Analyte"):
                value = self.number(analyte.find("ExpectedConc"), "ExpectedConc", lowest=0)
                if value is not None:
                    yield analyte.get("RegionNumber", ""), value

    def well(self, element: Any) -> str:
        """Return the well of the numbers of its row and column; it must lie on the plate."""
        plate = self.root.find("PlateDimensions")
        texts = [element.get("RowNo", ""), element.get("ColNo", "")]
        sizes = ["" if plate is None else plate.get(k, "") for k in ("Rows", "Columns")]
        row, column = (int(t) if re.fullmatch(r"\d{1,3}", t) else 0 for t in texts)
        rows, columns = (int(t) if re.fullmatch(r"\d{1,3}", t) else 0 for t in sizes)
        if not (1 <= row <= min(rows, 26) and 1 <= column <= columns):
            self.fault(
                element,
                f"row {show(texts[0])} and column {show(texts[1])}",
                f"a well of the plate of {show(sizes[0])} x {show(sizes[1])}",
                "RowNo, ColNo",
            )
            return ""
        return well_name(f"{chr(64 + row)}{column}")

    def beads(self) -> dict[tuple[str, str], int]:
        """Return (well, region) -> number of beads."""
        found: dict[tuple[str, str], int] = {}
        for element in self.root.iterfind("Wells/Well"):
            well = self.well(element)
            for region in element.iterfind("BeadRegions/BeadRegion"):
                key = (well, region.get("RegionNumber", ""))
                count = self.number(region.find("RegionCount"), "RegionCount", lowest=0)
                if count is None or not count.is_integer() or key in found:
                    self.fault(
                        region, "no whole number of beads, or a region twice", "a count", "RegionCount"
                    )
                else:
                    found[key] = int(count)
        return found

    def computed(self, element: Any, analyte: str) -> tuple[float | None, str]:
        """Return the concentration of the software, and what it says of it.

        ``*`` begins the status of a number outside the standards that came back well.
        """
        if element is None:
            return None, ""
        within = element.get("RecoveryRange", "")
        if element.get("ReadingOK") != "true":
            error = element.get("ReadError", "")
            return None, "" if element.get("ReadErrorCode") == "9" else error
        value = self.number(element, f"MWObsConc of {analyte}", lowest=0)
        return value, "" if within.casefold() in {"inrange", ""} else f"* {within}"

    def judged(self, reading: Any) -> tuple[bool, str]:
        """Return whether a reading is left out, and what the software says of it."""
        if reading is None or not (reading.text or "").strip():
            return False, "not reported"
        outlier = reading.get("OutlierType", "None")
        valid = reading.get("Valid", "true") == "true"
        code = reading.get("Code", "0")
        said = [
            "" if outlier in {"None", ""} else f"outlier ({outlier})",
            "" if valid else "not valid",
            "" if code == "0" else READING_CODES.get(code, f"code {code}"),
        ]
        return outlier not in {"None", ""} or not valid, ", ".join(t for t in said if t)

    def curves(self) -> dict[str, VendorCurve]:
        """Return kind and weighting of the curves that the software fitted."""
        found: dict[str, VendorCurve] = {}
        unfitted: dict[str, int] = {}
        for element in self.interpolators():
            name = plain(_text(element, "AnalyteName"))
            if element.get("IsValid") != "true":
                error = plain(_text(element, "EquationErr")) or "no curve"
                unfitted[error] = unfitted.get(error, 0) + 1
                continue
            model = _text(element, "LogisticWeighting/LogisticWeightingModel")
            power = self.number(element.find("LogisticWeighting/LogisticWeightingCoefficientB"), "weighting")
            weighting = model if power is None else f"{model}, B = {power:g}"
            found[name] = VendorCurve(
                plain(_text(element, "Regression"), 60), {}, weighting=plain(weighting, 60)
            )
        self.remarks.extend(
            Remark("vendor_curve", f"The instrument's software has no curve for {n} analytes: {error}")
            for error, n in unfitted.items()
        )
        return found

    def units(self) -> Mapping[str, str]:
        """Return analyte -> unit of its concentrations."""
        pairs = {
            plain(_text(e, "AnalyteName")): plain(_text(e, "ConcentrationUnits"), 60)
            for e in self.interpolators()
        }
        return {name: unit for name, unit in pairs.items() if unit}

    def interpolators(self) -> Iterator[Any]:
        yield from self.root.iterfind("StandardCurves/Interpolators/Interpolator")

    def number(self, element: Any, column: str, lowest: float = -1e12) -> float | None:
        """Return the number of an element; XML has the point, whatever the laboratory's own mark is."""
        text = "" if element is None else (element.text or "").strip()
        if not text or text.casefold() == "nan":
            return None
        try:
            value = read_number(text)
        except NotANumber as fault:
            self.fault(element, show(text), fault.allowed, column)
            return None
        if value is not None and value < lowest:
            self.fault(element, show(text), f"at least {lowest:g}", column)
            return None
        return value

    def fault(self, element: Any, found: str, allowed: str, column: str) -> None:
        self.source.problem(found, allowed, _line(element), column)


def without_beads(records: Sequence[Mapping[str, object]]) -> list[Remark]:
    """Tell of readings without a bead count, in the XML or the workbook."""
    without = sum(r["bead_count"] is None for r in records)
    text = f"{without} of {len(records)} readings have no bead count in the file: these can't be checked."
    return [Remark("no_bead_counts", text, verdict="warn")] if without else []


def _text(element: Any, path: str) -> str:
    return " ".join((element.findtext(path) or "").split())


def _line(element: Any) -> int:
    line = element.sourceline
    return line if isinstance(line, int) and 0 < line < _MAX_LINE else 1
