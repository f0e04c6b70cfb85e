"""Files as qPCR instruments write them, with made-up values."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]

PLATE: Rows = (
    {"well": "A1", "name": "S1", "task": "STANDARD", "cq": 20.5, "quantity": 1_000_000.0},
    {"well": "A2", "name": "S2", "task": "STANDARD", "cq": 23.75, "quantity": 100_000.0},
    {"well": "A3", "name": "S3", "task": "STANDARD", "cq": 27.125, "quantity": 10_000.0},
    {"well": "B1", "name": "P01 D7", "task": "UNKNOWN", "cq": 25.25, "quantity": 36_250.5},
    {"well": "B2", "name": "P02 D7", "task": "UNKNOWN", "cq": None, "quantity": None},
    {"well": "H12", "name": "water", "task": "NTC", "cq": None, "quantity": None},
)
"""Three standards, an unknown, an unknown without a Cq, and a control without template."""

QS_COLUMNS = (
    "Well",
    "Well Position",
    "Omit",
    "Sample Name",
    "Target Name",
    "Task",
    "Reporter",
    "Quencher",
    "CT",
    "Ct Mean",
    "Quantity",
    "Ct Threshold",
    "Y-Intercept",
    "R(superscript 2)",
    "Slope",
    "Efficiency",
    "Cq Conf",
    "HIGHSD",
    "Target Name",
    "Task",
)


def position(well: str) -> int:
    return (ord(well[0]) - 65) * 12 + int(well[1:])


def printed(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}"


def quantstudio_cells(row: Mapping[str, Any]) -> list[str]:
    target, task = row.get("target", "CAR"), row["task"]
    return [
        str(position(row["well"])),
        row["well"],
        row.get("omit", "false"),
        row["name"],
        target,
        task,
        row.get("reporter", "FAM"),
        "NFQ-MGB",
        row.get("printed", "Undetermined" if row["cq"] is None else printed(row["cq"])),
        "",
        row.get("printed_quantity", printed(row["quantity"])),
        "0.125",
        "40.500",
        "0.998",
        "-3.325",
        "99.875",
        "0.980",
        row.get("highsd", "N"),
        target,
        task,
    ]


def quantstudio_txt(
    rows: Rows = PLATE,
    columns: Sequence[str] = QS_COLUMNS,
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = ("", "Analysis Type = Singleplex"),
    end: str = "\r\n",
) -> bytes:
    lines = [
        "* Block Type = 96-Well Block (0.2mL)",
        "* Experiment Run End Time = 2031-02-03 04:05:06 PM EST",
        "* Experiment Type = Standard Curve \u0442",
        "* Instrument Type = QuantStudio(TM) 7 Flex System",
        "* User Name = Somebody",
        "",
        *before,
        "[Results]",
        "\t".join(columns),
        *("\t".join(quantstudio_cells(r)) for r in rows),
        *after,
    ]
    return (end.join(lines) + end).encode()


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


DA_TOP = (
    ("File Name", "a.eds"),
    ("Operator", "Somebody"),
    ("Instrument Type", "QuantStudio 7 Pro System"),
    ("Run Start Date/Time", "2031-02-03 04:05:06 AM EST"),
    ("Software Name and Version", "Design & Analysis Software v2.7.0"),
    (),
)
DA_RESULTS = ("Well", "Well Position", "Omit", "Sample", "Target", "Task", "Reporter", "Amp Status", "Cq")
DA_CURVE = (
    "Well",
    "Well Position",
    "Sample",
    "Quantity",
    "Target",
    "Dye",
    "Task",
    "Amp Status",
    "Cq",
    "Y-Intercept",
    "R2",
    "Slope",
    "Efficiency",
    "Omit",
)


def quantstudio_sheets(rows: Rows = PLATE) -> dict[str, list[Sequence[Any]]]:
    results: list[Sequence[Any]] = [*DA_TOP, DA_RESULTS]
    curve: list[Sequence[Any]] = [*DA_TOP, DA_CURVE]
    for r in rows:
        well, cq = r["well"], "UNDETERMINED" if r["cq"] is None else r["cq"]
        amp = "NO_AMP" if r["cq"] is None else "AMP"
        head = [position(well), well]
        omit = r.get("omit", "FALSE")
        results.append([*head, omit, r["name"], "CAR", r["task"], "FAM", amp, cq])
        curve.append(
            [
                *head,
                r["name"],
                r["quantity"],
                "CAR",
                "FAM",
                r["task"],
                amp,
                cq,
                40.5,
                0.998,
                -3.325,
                99.875,
                omit,
            ]
        )
    raw = [*DA_TOP, ("Well", "Well Position", "Cycle Number", "X1_M1"), (1, "A1", 1, 2.0)]
    return {"Results": results, "Raw Data": raw, "Standard Curve Result": curve}


def quantstudio_xlsx(rows: Rows = PLATE) -> bytes:
    return workbook(quantstudio_sheets(rows))


CFX_COLUMNS = (
    "",
    "Well",
    "Fluor",
    "Target",
    "Content",
    "Sample",
    "Biological Set Name",
    "Cq",
    "Cq Mean",
    "Cq Std. Dev",
    "Starting Quantity (SQ)",
    "Log Starting Quantity",
    "SQ Mean",
    "SQ Std. Dev",
    "Set Point",
    "Well Note",
)
CFX_CONTENT = {"STANDARD": "Std-01", "UNKNOWN": "Unkn-12", "NTC": "NTC"}


def cfx_rows(rows: Rows = PLATE) -> list[list[Any]]:
    nothing = float("nan")
    return [
        [
            "",
            f"{r['well'][0]}{int(r['well'][1:]):02d}",
            r.get("reporter", "FAM"),
            r.get("target", "CAR"),
            CFX_CONTENT.get(r["task"], r["task"]),
            r["name"],
            "",
            nothing if r["cq"] is None else r["cq"],
            0,
            0,
            nothing if r["quantity"] is None else r["quantity"],
            nothing,
            0,
            0,
            60,
            "",
        ]
        for r in rows
    ]


def cfx_csv(
    rows: Rows = PLATE, *, top: Sequence[str] = (), delimiter: str = ",", decimal: str = "."
) -> bytes:
    def cell(value: Any) -> str:
        if isinstance(value, float):
            return "NaN" if value != value else repr(value).replace(".", decimal)
        return str(value)

    lines = [*top, delimiter.join(CFX_COLUMNS)]
    lines += [delimiter.join(map(cell, row)) for row in cfx_rows(rows)]
    return ("\r\n".join(lines) + "\r\n").encode()


def cfx_xlsx(rows: Rows = PLATE) -> bytes:
    cells = [["NaN" if c != c else c for c in row] for row in cfx_rows(rows)]
    return workbook({"0": [CFX_COLUMNS, *cells], "Run Information": [("User", "Somebody")]})


LC_INCLUDE = ("Include", "Color", "Pos", "Name", "Cp", "Concentration", "Standard", "Status")
LC_TYPES = ("Inc", "Pos", "Name", "Type", "CP", "Concentration", "Standard")
LC_TYPE_WORDS = {"STANDARD": "Standard", "UNKNOWN": "Unknown", "NTC": "Negative Control"}


def lightcycler(
    rows: Rows = PLATE, *, form: str = "include", encoding: str = "utf-8", end: str = ""
) -> bytes:
    lines = ["Experiment: some run  Selected Filter: FAM (465-510)"]
    lines.append("\t".join(LC_INCLUDE if form == "include" else LC_TYPES) + end)
    for r in rows:
        cp = "" if r["cq"] is None else f"{r['cq']:.2f}"
        concentration = "" if r["quantity"] is None else f"{r['quantity']:.2E}"
        standard = concentration if r["task"] == "STANDARD" else "0"
        kept = r.get("include", "True")
        cells = (
            [kept, "255", r["well"], r["name"], cp, concentration, standard, ""]
            if form == "include"
            else [kept, r["well"], r["name"], LC_TYPE_WORDS[r["task"]], cp, concentration, standard]
        )
        lines.append("\t".join(cells) + end)
    return ("\r\n".join(lines) + "\r\n").encode(encoding)


RDML_TYPES = {"STANDARD": "std", "UNKNOWN": "unkn", "NTC": "ntc"}


def rdml_samples(rows: Rows = PLATE) -> str:
    return "".join(
        f'<sample id="{r["name"]}"><type>{RDML_TYPES.get(r["task"], r["task"])}</type>'
        + (
            f"<quantity><value>{r['quantity']}</value><unit>cop</unit></quantity>"
            if r["task"] == "STANDARD"
            else ""
        )
        + "</sample>"
        for r in rows
    )


def rdml_run(rows: Rows = PLATE, *, name: str = "Run 1", target: str = "CAR", none: str = "-1.0") -> str:
    reacts = "".join(
        f'<react id="{position(r["well"])}"><sample id="{r["name"]}"/><data><tar id="{target}"/>'
        + (f"<cq>{none}</cq>" if r["cq"] is None and none else "")
        + (f"<cq>{r['cq']}</cq>" if r["cq"] is not None else "")
        + r.get("more", "")
        + "</data></react>"
        for r in rows
    )
    return (
        f'<run id="{name}"><instrument>A cycler, Serial 1</instrument><dataCollectionSoftware><name>Soft</name>'
        "<version>2.3.1 (some system)</version></dataCollectionSoftware><pcrFormat><rows>8</rows><columns>12"
        "</columns><rowLabel>ABC</rowLabel><columnLabel>123</columnLabel></pcrFormat>"
        f"<runDate>2031-02-03T04:05:06</runDate>{reacts}</run>"
    )


def rdml_document(
    rows: Rows = PLATE,
    *,
    version: str = "1.2",
    runs: str | None = None,
    targets: Sequence[str] = ("CAR",),
    publisher: str = "Somebody",
    samples: str | None = None,
    prolog: str = "",
) -> str:
    listed = "".join(f'<target id="{t}"><type>toi</type><dyeId id="FAM"/></target>' for t in targets)
    return (
        f'{prolog}<rdml xmlns="http://www.rdml.org" version="{version}"><id><publisher>{publisher}</publisher></id>'
        f'<dye id="FAM"/>{rdml_samples(rows) if samples is None else samples}{listed}'
        f'<experiment id="E">{rdml_run(rows) if runs is None else runs}</experiment></rdml>'
    )


def archive(members: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def rdml(rows: Rows = PLATE, **about: Any) -> bytes:
    return archive({"anything.xml": rdml_document(rows, **about)})


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "quantstudio_txt": quantstudio_txt,
    "quantstudio_xlsx": quantstudio_xlsx,
    "cfx_csv": cfx_csv,
    "cfx_xlsx": cfx_xlsx,
    "lightcycler_include": lightcycler,
    "lightcycler_types": lambda rows: lightcycler(rows, form="types"),
    "rdml": rdml,
}

FAMILY = {
    "quantstudio_txt": "quantstudio_txt",
    "quantstudio_xlsx": "quantstudio_xlsx",
    "cfx_csv": "cfx_maestro",
    "cfx_xlsx": "cfx_maestro",
    "lightcycler_include": "lightcycler",
    "lightcycler_types": "lightcycler",
    "rdml": "rdml",
}
