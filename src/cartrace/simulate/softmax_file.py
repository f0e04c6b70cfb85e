"""Write an ELISA plate as SoftMax Pro exports a document: the plate, then its groups with their formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from cartrace.simulate.immunoassay_plates import LETTERS, Well

COLUMNS = range(1, 13)


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a document: its samples in order, and what their description means."""

    name: str
    samples: Mapping[str, Sequence[Well]]
    descriptor: str = ""
    """Standard Value or Dilution Factor; empty where the group has none."""
    described: Mapping[str, float] | None = None
    unit: str = ""


def softmax_text(
    groups: Sequence[Group],
    signal: Mapping[str, float],
    background: Mapping[str, float],
    concentration: Mapping[str, float],
    *,
    title: str,
    saved: datetime,
    operator: str,
) -> str:
    """Return the export of one plate of 96 wells, read at 450 and 650 nm.

    Parameters
    ----------
    groups
        What stands where.
    signal, background : mapping
        Well -> absorbance at 450 and at 650 nm; a well that is missing was not read.
    concentration
        Well -> what the software read off its curve; nan beyond it.
    title, saved, operator
        For the lines that no result needs.
    """
    blocks = [_plate(signal, background), *(_group(g, signal, background, concentration) for g in groups)]
    note = ["Note: Notes", f"{title}, run by {operator} on {saved:%d-%b-%Y}", "", "~End"]
    lines = [f"##BLOCKS= {len(blocks) + 1}", *(line for block in [*blocks, note] for line in block)]
    clock = f"{saved.month}/{saved.day}/{saved.year} {saved:%I:%M:%S %p}"
    lines += [f"Original Filename: {title} {saved:%Y-%m-%d}; Date Last Saved: {clock}", ""]
    return "\n".join(lines)


def _plate(signal: Mapping[str, float], background: Mapping[str, float]) -> list[str]:
    head = ["Plate:", "Plate1", "1.3", "PlateFormat", "Endpoint", "Absorbance", "Raw", "FALSE", "1"]
    head += [*[""] * 5, "2", "450 650 ", "1", "12", "96", "1", "8", ""]
    numbers = [str(c) for c in COLUMNS]
    lines = ["\t".join(head), "\t".join(["", "Temperature(°C)", *numbers, "", *numbers, ""])]
    for letter in LETTERS:
        first, second = (
            [f"{read[w]:.4f}" if (w := f"{letter}{c:02d}") in read else "" for c in COLUMNS]
            for read in (signal, background)
        )
        lines.append("\t".join(["", "22.4" if letter == "A" else "", *first, "", *second, ""]))
    return [*lines, "", "~End"]


def _group(
    group: Group,
    signal: Mapping[str, float],
    background: Mapping[str, float],
    concentration: Mapping[str, float],
) -> list[str]:
    described = group.described or {}
    columns = [("Sample", "Sample", "!SampleNames")]
    if group.descriptor:
        columns.append((f"{group.descriptor} {group.unit}".strip(), group.descriptor, "!SampleDescriptor"))
    columns += [("Wells", "Wells", "!WellIDs"), ("OD", "OD", "!WellValues")]
    columns += [("Mean", "Mean", "Average(OD)"), ("Conc", "Conc", "InterpX(STD#1@StandardCurve,OD)")]
    lines = [f"Group: {group.name}", "\t".join([*(header for header, _, _ in columns), ""])]
    for sample, wells in group.samples.items():
        values = [signal[w.well] - background[w.well] for w in wells]
        for n, (well, value) in enumerate(zip(wells, values, strict=True)):
            cells = [sample if n == 0 else " "]
            if group.descriptor:
                cells.append(f"{described[sample]:.3f}" if n == 0 else " ")
            found = concentration[well.well]
            cells += [f"{well.well[0]}{well.column}", f"{value:.3f}"]
            cells += [f"{np.mean(values):.3f}" if n == 0 else " "]
            cells += ["Range?" if np.isnan(found) else f"{found:.3f}"]
            lines.append("\t".join([*cells, ""]))
    lines += ["", "\t".join(["Group Column", "Formula Name", "Formula", "Precision", "Notation"])]
    lines += [
        f"{n}\t{name}\t{formula}\t3 decimal places\tNumeric"
        for n, (_, name, formula) in enumerate(columns, 1)
    ]
    return [*lines, "", "~End "]
