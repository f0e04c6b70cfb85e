"""Write a bead plate as xPONENT exports a batch that was not analysed: a csv of blocks."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.simulate.immunoassay_plates import Well

_Rows = list[list[str]]


def xponent_csv(
    wells: Sequence[Well],
    median: Mapping[str, Sequence[float]],
    count: Mapping[str, Sequence[int]],
    *,
    title: str,
    read_at: datetime,
    operator: str,
) -> str:
    """Return the export of one plate.

    Parameters
    ----------
    wells
        In the order of reading.
    median, count
        Analyte -> median fluorescence and beads of each well.
    title, read_at, operator
        For the lines above the blocks, which never leave the reader.
    """
    ended = read_at + timedelta(minutes=48)
    rows: _Rows = [
        ["Program", "xPONENT", "", "FLEXMAP 3D"],
        ["Build", "4.3.0"],
        ["Date", f"{ended:%m/%d/%Y}", f"{ended:%I:%M %p}"],
        [],
        ["SN", "SIM4711"],
        ["Batch", f"{title}_{read_at:%Y%m%d}"],
        ["Operator", operator],
        ["ComputerName", "SIMULATED"],
        ["BatchStartTime", f"{read_at:%m/%d/%Y %I:%M:%S %p}"],
        ["BatchStopTime", f"{ended:%m/%d/%Y %I:%M:%S %p}"],
        ["BatchDescription", "Simulated by cartrace. No patient is behind any number."],
        ["ProtocolPlate", "Name", "96-well plate", "Type", "96", "Plates", "1"],
        ["Samples", str(len(wells)), "Min Events", "50", "Per Bead"],
        [],
        ["Results"],
    ]
    analytes = list(median)
    per_well = [[str(count[a][n]) for a in analytes] for n in range(len(wells))]
    totals = [str(sum(map(int, cells))) for cells in per_well]
    signals = [[f"{median[a][n]:.1f}".removesuffix(".0") for a in analytes] for n in range(len(wells))]
    few = [(n, w) for n, w in enumerate(wells, 1) if min(map(int, per_well[n - 1])) < 50]
    regions = [str(12 + 3 * i) for i in range(len(analytes))]
    rows += _block("Median", _located(wells, analytes, signals, totals))
    rows += _block("Count", _located(wells, analytes, per_well, totals))
    rows += _block(
        "Units",
        [["Analyte:", *analytes], ["BeadID:", *regions], ["Units:", *["Bead"] * len(analytes)]],
    )
    rows += _block(
        "Per Bead Count",
        [["Analyte:", *analytes], ["BeadID:", *regions], ["Per Bead:", *["50"] * len(analytes)]],
    )
    rows += _block(
        "Dilution Factor",
        [
            ["Location", "Sample", "Dilution Factor"],
            *([_location(n, w), w.name, f"{w.dilution:g}"] for n, w in enumerate(wells, 1)),
        ],
    )
    rows += _block("Analysis Types", [["Analyte:", *analytes], ["AnalysisType", *["None"] * len(analytes)]])
    rows += _block("Audit Logs", [["UserId", "Date", "Message"]])
    warned = [
        [f"1,{w.well[0]}{w.column}", "Warning", f"Sample empty or few beads. {read_at:%m/%d/%Y}"]
        for _, w in few
    ]
    rows += _block("Warnings/Errors", [["Location", "Status", "Message"], *warned])
    rows += [[], ["-- CRC --"], ["CRC32: 00000000"]]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _block(name: str, body: _Rows) -> _Rows:
    return [[], ["DataType:", name], *body]


def _location(number: int, well: Well) -> str:
    return f"{number}(1,{well.well[0]}{well.column})"


def _located(
    wells: Sequence[Well], analytes: Sequence[str], cells: Sequence[Sequence[str]], totals: Sequence[str]
) -> _Rows:
    return [
        ["Location", "Sample", *analytes, "Total Events"],
        *(
            [_location(n, w), w.name, *row, total]
            for n, (w, row, total) in enumerate(zip(wells, cells, totals, strict=True), 1)
        ),
    ]
