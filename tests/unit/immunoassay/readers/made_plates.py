"""Plates of 96 wells as programs of plate readers write them, with made-up values."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

LETTERS = "ABCDEFGH"
STANDARDS = {"A": 100.0, "B": 50.0, "C": 25.0, "D": 10.0, "E": 5.0, "F": 0.0}
"""Letter -> concentration of the standards in columns 1 and 2."""


def od(letter: str, column: int) -> float:
    """A signal that no other well has."""
    return round(2.0 - 0.0107 * (12 * LETTERS.index(letter) + column), 4)


def od2(letter: str, column: int) -> float:
    """The second read."""
    return round(0.04 + 0.0001 * (12 * LETTERS.index(letter) + column), 4)


def concentration(letter: str, column: int) -> float:
    """What the software computed."""
    return round(60.0 - 0.5 * (12 * LETTERS.index(letter) + column), 3)


def wells() -> list[str]:
    return [f"{r}{c:02d}" for r in LETTERS for c in range(1, 13)]


# -- SoftMax Pro --------------------------------------------------------------------------------


def softmax_plate(
    form: str = "PlateFormat", data: str = "Raw", name: str = "Plate01", mode: str = "Absorbance"
) -> list[str]:
    raw = data == "Raw"
    head = ["Plate:", name, "1.3", form, "Endpoint", mode, data, "FALSE", "1", *[""] * 5]
    head += ["2", "450 650 ", "1", "12", "96", "1", "8", ""]
    numbers = [str(c) for c in range(1, 13)]
    reduced = {(r, c): round(od(r, c) - od2(r, c), 4) for r in LETTERS for c in range(1, 13)}
    if form == "PlateFormat":
        lines = ["\t".join(["", "Temperature(°C)", *numbers, *(["", *numbers] if raw else []), ""])]
        for r in LETTERS:
            first = [f"{od(r, c) if raw else reduced[r, c]:.4f}" for c in range(1, 13)]
            second = ["", *(f"{od2(r, c):.4f}" for c in range(1, 13))] if raw else []
            lines.append("\t".join(["", "21.8" if r == "A" else "", *first, *second, ""]))
    else:
        places = [(r, c) for r in LETTERS for c in range(1, 13)]
        lines = ["\t".join(["", "", *(f"{r}{c}" for r, c in places), ""])]
        values = (
            [[od(*p) for p in places], [od2(*p) for p in places]] if raw else [[reduced[p] for p in places]]
        )
        for n, row in enumerate(values):
            lines += (
                ["", "\t".join(["", "21.8", *map(str, row), ""])]
                if n
                else ["\t".join(["", "21.8", *map(str, row), ""])]
            )
    return ["\t".join(head), *lines, "", "~End"]


def softmax_group(
    name: str,
    samples: Sequence[tuple[str, Sequence[str], str]],
    value: Callable[[str, int], float],
    descriptor: str = "",
    unit: str = "",
    *,
    plate: str = "",
    values: Mapping[str, str] | None = None,
    concentrations: Mapping[str, str] | None = None,
) -> list[str]:
    """Write a group: (name, its wells, concentration or dilution) for each sample.

    ``values`` and ``concentrations``: what stands in a well's cells in place of its numbers.
    """
    header = [
        "Sample",
        *([f"{descriptor} {unit}".strip()] if descriptor else []),
        "Wells",
        "OD",
        "Mean",
        "Conc",
    ]
    formulas = ["!SampleNames", *(["!SampleDescriptor"] if descriptor else []), "!WellIDs", "!WellValues"]
    formulas += ["Average(OD)", "InterpX(STD#1@StandardCurve,OD)"]
    names = ["Sample", *([descriptor] if descriptor else []), "Wells", "OD", "Mean", "Conc"]
    if plate:
        header, names, formulas = (
            [*header, "WellPlateName"],
            [*names, "WellPlateName"],
            [*formulas, "!WellPlateName"],
        )
    lines = [f"Group: {name}", "\t".join([*header, ""])]
    for sample, listed, described in samples:
        for n, well in enumerate(listed):
            r, c = well[0], int(well[1:])
            cells = [sample if n == 0 else " "]
            cells += [described if n == 0 else " "] if descriptor else []
            cells += [f"{r}{c}", (values or {}).get(well, f"{value(r, c):.3f}")]
            cells += ["0.500" if n == 0 else " "]
            cells += [(concentrations or {}).get(well, f"{concentration(r, c):.3f}")]
            lines.append("\t".join([*cells, *([plate] if plate else []), ""]))
    lines += ["", "\t".join(["Group Column", "Formula Name", "Formula", "Precision", "Notation"])]
    lines += [
        f"{n}\t{a}\t{f}\t3 decimal places\tNumeric"
        for n, (a, f) in enumerate(zip(names, formulas, strict=True), 1)
    ]
    lines += [
        "",
        "Group Summaries",
        "R^2\t\t0.999\tRSquared(STD#1@StandardCurve)\t3 decimal places\tNumeric Notation ",
        "",
    ]
    return [*lines, "~End "]


def softmax_groups(value: Callable[[str, int], float] = od, plate: str = "") -> list[list[str]]:
    standards = [
        (f"{n:02d}", [f"{r}01", f"{r}02"], f"{x:.3f}") for n, (r, x) in enumerate(STANDARDS.items(), 1)
    ]
    unknowns = [(f"{n:02d}", [f"{r}03", f"{r}04"], "100.000") for n, r in enumerate(LETTERS, 1)]
    return [
        softmax_group("Standards", standards, value, "Standard Value", "ng/mL", plate=plate),
        softmax_group("Controls", [("01", ["G01", "G02"], "150.000")], value, "DilutionFactor", plate=plate),
        softmax_group("Samples", unknowns, value, "Dilution Factor", plate=plate),
    ]


def softmax(blocks: Sequence[Sequence[str]] | None = None) -> bytes:
    blocks = [softmax_plate(), *softmax_groups()] if blocks is None else blocks
    lines = [f"##BLOCKS= {len(blocks)}", *(line for block in blocks for line in block)]
    lines += ["Original Filename: Made up; Date Last Saved: 1/2/2024 1:00:00 PM", ""]
    return "\n".join(lines).encode()


# -- Gen5 ---------------------------------------------------------------------------------------


def gen5_id(letter: str, column: int) -> tuple[str, str]:
    """Well ID and what stands below it."""
    if column <= 2:
        if letter in STANDARDS:
            return f"STD{LETTERS.index(letter) + 1}", f"{STANDARDS[letter]:g}"
        return ("BLK", "") if letter == "G" else ("CTL1", "30")
    return f"SPL{LETTERS.index(letter) + 1}:{1 + column % 2}", "0.25" if column % 2 else "0.125"


def gen5_section(rows: Mapping[str, Callable[[str, int], str]]) -> list[str]:
    lines = ["\t".join(["", *(str(c) for c in range(1, 13))])]
    for letter in LETTERS:
        for n, (label, cell) in enumerate(rows.items()):
            cells = [cell(letter, c) for c in range(1, 13)]
            lines.append("\t".join([letter if n == 0 else "", *cells, label]))
    return lines


def gen5(
    results: Mapping[str, Callable[[str, int], str]] | None = None,
    curve: Sequence[str] = (
        "Curve Name\tCurve Formula\tA\tB\tC\tD\tR2\tFit F Prob",
        "StdCurve\tY = (A-D)/(1+(X/C)^B) + D\t0.05\t1.2\t30.5\t2.5\t0.998\t?????",
    ),
    layout: Mapping[str, Callable[[str, int], str]] | None = None,
) -> bytes:
    results = results or {
        "450": lambda r, c: f"{od(r, c):.4f}",
        "Blank 450": lambda r, c: f"{od(r, c) - 0.1:.4f}",
        "[Concentration]": lambda r, c: f"{concentration(r, c):.3f}",
    }
    layout = layout or {"Well ID": lambda r, c: gen5_id(r, c)[0], "Conc/Dil": lambda r, c: gen5_id(r, c)[1]}
    lines = ["", "Software Version\t3.12.08", "", "Experiment File Path:\tC:\\2024_01_02.xpt", ""]
    lines += [
        "Plate Number\tPlate 1",
        "Date\t1/2/2024",
        "Reader Type:\tSynergy H1",
        "Reading Type\tReader",
        "",
    ]
    lines += ["Layout", *gen5_section(layout), "", "Actual Temperature:\t24.9", "", "Results"]
    lines += [*gen5_section(results), "", "StdCurve Fitting Results", "", *curve, ""]
    return "\n".join(lines).encode()


# -- Magellan, MSD, plain grids -----------------------------------------------------------------


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def magellan_rows(two: bool = False) -> list[list[object]]:
    rows: list[list[object]] = [
        ["Well positions", "Label1", "Label2"] if two else ["Well positions", "Raw data"]
    ]
    if two:
        rows += [[None, "0s", "0s"], [None, "24.8 °C", "25.1 °C"]]
    rows += [[f"{r}{c}", od(r, c), *([od2(r, c)] if two else [])] for r in LETTERS for c in range(1, 13)]
    rows += [["Date of measurement: 2024-01-02/Time of measurement: 10:00:00"], ["Unknown user"]]
    rows += [["Measurement wavelength: 450 nm"], *([["Measurement wavelength: 650 nm"]] if two else [])]
    return rows


def magellan(two: bool = False) -> bytes:
    return workbook({"Magellan Sheet 1": magellan_rows(two)})


MSD_COLUMNS = (
    *("Sample", "Assay", "Well", "Spot", "Detection Range", "Dilution", "Concentration", "Signal"),
    *("Mean", "% Recovery", "Calc. Concentration", "Calc. Conc. Mean"),
)


def msd_rows() -> list[list[str]]:
    rows = []
    for r in LETTERS:
        for c in range(1, 5):
            standard = c <= 2 and r in STANDARDS
            for spot, assay in enumerate(("IL-6", "TNF-a"), 1):
                signal = f"{10_000 * od(r, c) + spot:.0f}"
                name = f"S{LETTERS.index(r) + 1:03d}" if standard else f"U{LETTERS.index(r) + 1:03d}"
                nominal, dilution = (f"{STANDARDS[r]:g}", "") if standard else ("", "4")
                status = "Below Detection Range" if (r, c) == ("H", 3) else "In Detection Range"
                recovery = "101.5" if standard else ""
                computed = "NaN" if (r, c) == ("H", 3) else f"{concentration(r, c):.3f}"
                rows.append(
                    [
                        name,
                        assay,
                        f"{r}{c:02d}",
                        str(spot),
                        status,
                        dilution,
                        nominal,
                        signal,
                        "1",
                        recovery,
                        computed,
                        "1",
                    ]
                )
    return rows


def msd(delimiter: str = ",") -> bytes:
    lines = ["Plate_MADEUP", delimiter.join(MSD_COLUMNS), *(delimiter.join(r) for r in msd_rows())]
    return "\n".join(lines).encode()


def methodical_plate(barcode: str, number: int, times: float = 1.0) -> list[str]:
    lines = ["Stack ID :\t0.1", f"Plate #  :\t{number}", f"Barcode1 :\t<*{barcode}*>", "Type     :\t96"]
    lines += ["Wells Per Row :\t12", "Wells Per Col :\t8", "Spots Per Well:\t1"]
    lines += [
        "Read Time:\t01/02/2024\t10:00:00 EDT",
        "Version  :\tMMPR 1.0.38",
        "User     :\tsomebody",
        "Model    :\tHTS",
        "",
    ]
    lines += ["=====Data=====", "  \t" + "\t".join(f"{c:<10}" for c in range(1, 13)) + "\t"]
    for r in LETTERS:
        lines.append(
            f"{r} \t" + "\t".join(f"{times * 10_000 * od(r, c):10.0f}  " for c in range(1, 13)) + "\t"
        )
    return [*lines, "", "", "=====Processing=====", "Radius   :\t     18.00", ""]


def methodical(plates: int = 1) -> bytes:
    lines = ["FileName :\tZ:\\2024-01-02.txt"]
    for n in range(plates):
        lines += methodical_plate(f"BARCODE{n + 1}", n + 1, 1.0 + n)
    return "\r\n".join(lines).encode()


def grid_lines(
    cell: Callable[[str, int], str], delimiter: str = ",", title: str = "", corner: str = ""
) -> list[str]:
    lines = [title] if title else []
    lines.append(delimiter.join([corner, *(str(c) for c in range(1, 13))]))
    lines += [delimiter.join([r, *(cell(r, c) for c in range(1, 13))]) for r in LETTERS]
    return lines


def plain_grid(delimiter: str = ",") -> bytes:
    return ("\n".join(grid_lines(lambda r, c: f"{od(r, c):.4f}", delimiter)) + "\n").encode()


def grid_rows_of(
    cell: Callable[[str, int], object], title: str = "", corner: object = None
) -> list[list[object]]:
    rows: list[list[object]] = [[title]] if title else []
    rows.append([corner, *range(1, 13)])
    rows += [[r, *(cell(r, c) for c in range(1, 13))] for r in LETTERS]
    return rows


def plain_workbook() -> bytes:
    return workbook({"Sheet1": grid_rows_of(od)})


WRITERS: dict[str, Callable[[], bytes]] = {
    "softmax_pro": softmax,
    "gen5": gen5,
    "magellan": magellan,
    "methodical": methodical,
    "plain_grid": plain_grid,
    "plain_workbook": plain_workbook,
}
"""Files of one read of all 96 wells."""
FAMILY = {"plain_workbook": "plain_grid"}
