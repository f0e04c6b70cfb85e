"""Bio-Plex Manager's workbook, in its two forms, written here as public importers read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from tests.unit.immunoassay.readers import made_plates as made
from tests.unit.plates.old_workbooks import old_workbook

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions
from cartrace.problems import InputError

COLUMNS = [
    "Type",
    "Well",
    "Outlier",
    "Description",
    "FI",
    "FI - Bkgd",
    "Std Dev",
    "%CV",
    "Obs Conc",
    "Exp Conc",
]
COLUMNS += ["(Obs/Exp) * 100", "Conc in Range", "Dilution", "Bead Count", "Sampling Errors"]
WELLS: dict[str, list[Any]] = {
    "B": ["B", "A1", 0, "", 31.5, 0, 0, 0, "OOR <", "", "", "***", "1:1", 88, ""],
    "S1": ["S1", "B1", 0, "", 21000, 20968.5, 0, 0, 995.2, 1000, 99.5, 995.2, "1:1", 90, ""],
    "S2": ["S2", "C1", 0, "", 5200, 5168.5, 0, 0, "*102.5", 100, 102.5, "***", "1:1", 95, ""],
    "X1": ["X1", "D1", 0, "P01 d7", 900, 868.5, 0, 0, 77.25, "", "", 77.25, "1:4", 61, ""],
    "X2": ["X2", "E1", 0, "P02 d7", 25000, 24968.5, 0, 0, "OOR >", "", "", "***", "1:4", 28, "1, 3"],
    "X3": ["X3", "F1", 1, "P03 d7", 50, 18.5, 0, 0, 3.1, "", "", 3.1, "1:4", 71, ""],
    "X4": ["X4", "G1", 0, "P04 d7", "---", "---", "***", "***", "---", "", "", "---", "1:4", 70, ""],
    "mean": ["X1", "D1,D2", 0, "P01 d7", 890, 858.5, 1, 1, 76.0, "", "", 76.0, "1:4", "", ""],
}
CURVE = "Std. Curve: FI = 30.5 + (25000 - 30.5) / ((1 + (Conc / 350.25)^-1.2))^0.75"


def sheet(
    wells: Sequence[Sequence[Any]] = (), analyte: str = "IL-6 (33)", curve: str = CURVE
) -> list[list[Any]]:
    head = ["File Name: run.rbx", "Acquisition Date: 02-Jan-2024, 10:00 AM", "Plate ID: secret"]
    head += [f"Analyte: {analyte}", "Regression Type: Logistic - 5PL", curve]
    rows = wells or [WELLS[k] for k in ("B", "S1", "S2", "X1", "X2", "X3", "X4")]
    foot = ["Conc in Range = Unknown sample concentrations within range where standards recovery is 70-130%."]
    return [*([h] for h in head), [None], COLUMNS, *map(list, rows), [None], foot]


def read(**sheets: list[list[Any]]) -> Plate:
    return read_plate(made.workbook(sheets), "data/plate.xlsx", ReadOptions())


def refusal(**sheets: list[list[Any]]) -> str:
    with pytest.raises(InputError) as error:
        read(**sheets)
    return str(error.value)


def changed(well: str, column: str, value: Any) -> list[Any]:
    cells = list(WELLS[well])
    cells[COLUMNS.index(column)] = value
    return cells


def of(plate: Plate, well: str, target: str = "IL-6") -> pd.Series:
    return plate.wells.set_index(["well", "target"]).loc[(well, target)]


def test_each_row_of_a_table_is_an_analyte_of_a_well() -> None:
    plate = read(il6=sheet())
    assert (plate.family, plate.software) == ("bioplex_workbook", "Bio-Plex Manager")
    assert dict(zip(plate.wells["well"], plate.wells["task"], strict=True)) == {
        "A01": "blank", "B01": "standard", "C01": "standard", "D01": "unknown", "E01": "unknown", "F01": "unknown",
        "G01": "unknown",
    }  # fmt: skip
    s1, x1 = of(plate, "B01"), of(plate, "D01")
    numbers = ["signal", "nominal", "vendor_concentration", "vendor_recovery_percent", "bead_count"]
    assert s1[numbers].tolist() == [21000, 1000, 995.2, 99.5, 90]
    assert x1[["sample_name", "dilution", "vendor_concentration"]].tolist() == ["P01 d7", 4, 77.25]
    assert pd.isna(x1["nominal"])
    assert plate.wells["source_row"].tolist() == list(range(9, 16))


def test_words_in_place_of_numbers_are_kept_as_the_software_wrote_them() -> None:
    plate = read(il6=sheet())
    assert of(plate, "A01")["vendor_status"] == "OOR <"
    assert of(plate, "C01")[["vendor_concentration", "vendor_status"]].tolist() == [102.5, "*"]
    assert of(plate, "E01")["vendor_status"] == "OOR >; low bead number, classify efficiency"
    assert of(plate, "G01")["vendor_status"] == "---; outlier"
    assert plate.wells["omitted"].tolist() == [False] * 5 + [True, True]
    assert pd.isna(of(plate, "G01")["signal"])


def test_the_curve_of_the_software_is_kept_and_what_names_the_run_is_not() -> None:
    plate = read(il6=sheet())
    curve = plate.curves["IL-6"]
    assert (curve.model, dict(curve.parameters)) == (
        "Logistic - 5PL",
        {"A": 25000, "B": -1.2, "C": 350.25, "D": 30.5, "G": 0.75},
    )
    assert "secret" not in str(plate)
    assert "2024" not in str(plate)


def test_a_sheet_for_each_analyte_and_one_table_with_all_read_alike() -> None:
    both = read(a=sheet(), b=sheet(analyte="TNF-a (36)"))
    columns = ["Analyte", *COLUMNS]
    rows = [
        [a, *WELLS[k]] for a in ("IL-6 (33)", "TNF-a (36)") for k in ("B", "S1", "S2", "X1", "X2", "X3", "X4")
    ]
    one = read(all=[["File Name: run.rbx"], [None], columns, *rows])
    drop = ["source_row", "source_column"]
    key = ["target", "well"]
    pd.testing.assert_frame_equal(
        both.wells.drop(columns=drop).sort_values(key, ignore_index=True),
        one.wells.drop(columns=drop).sort_values(key, ignore_index=True),
    )


def test_means_of_several_wells_are_not_read() -> None:
    plate = read(il6=sheet([WELLS["S1"], WELLS["X1"], WELLS["mean"]]))
    assert plate.wells["well"].tolist() == ["B01", "D01"]
    assert "only means of several wells" in refusal(il6=sheet([WELLS["mean"]]))


def blocks(**quantities: list[list[Any]]) -> list[list[Any]]:
    rows: list[list[Any]] = [["File Name: run.rbx"], ["Acquisition Date: 02-Jan-2024"], [None]]
    for quantity, values in quantities.items():
        rows += [[None, None, None, "IL-6 (33)", "TNF-a (36)"]]
        rows += [["Type", "Well", "Description", *[quantity.replace("_", " ")] * 2]]
        rows += [*zip_rows(values), [None]]
    return rows


def zip_rows(values: list[list[Any]]) -> list[list[Any]]:
    about = [["B", "A1", ""], ["S1", "B1", ""], ["X1", "C1", "P01 d7"]]
    return [[*a, *v] for a, v in zip(about, values, strict=True)]


def test_blocks_side_by_side_are_read_by_their_quantity() -> None:
    made_of = {
        "FI": [[30, 40], [21000, 9000], [900, "***"]],
        "FI_-_Bkgd": [[0, 0], [1, 1], [1, 1]],
        "Exp_Conc": [["", ""], [1000, 0], ["", ""]],
        "Obs_Conc": [["OOR <", ""], [990, ""], [77.5, ""]],
    }
    plate = read(all=blocks(**made_of))
    assert of(plate, "C01")[["signal", "vendor_concentration", "sample_name"]].tolist() == [
        900,
        77.5,
        "P01 d7",
    ]
    assert of(plate, "B01")["nominal"] == 1000
    assert pd.isna(of(plate, "B01", "TNF-a")["nominal"]), "nobody typed a concentration"
    assert of(plate, "C01", "TNF-a")["vendor_status"] == "no reading"
    assert [r.check for r in plate.remarks] == ["no_bead_counts"]


def test_a_dilution_of_1_everywhere_says_nothing() -> None:
    plate = read(il6=sheet([WELLS["S1"], changed("X1", "Dilution", 1)]))
    assert plate.wells["dilution"].isna().all()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([WELLS["S1"], WELLS["S1"]], "a second number of one analyte and well"),
        ([changed("X1", "FI", "12,5")], "row 9, column 'FI': found '12,5'"),
        ([changed("X1", "FI", "1e400")], "finite number"),
        ([changed("X1", "Well", "")], "no well"),
        ([changed("X1", "Type", "Q7")], "found 'Q7'; allowed: S1, B, C1, X1"),
        ([changed("X1", "Dilution", 0)], "at least 1"),
        ([changed("X1", "Exp Conc", -5)], "at least 0"),
        ([changed("X1", "Bead Count", 60.5)], "60.5 beads"),
        ([changed("X1", "Obs Conc", "about 5")], "found 'about 5'"),
        ([WELLS["S1"], [None], WELLS["X1"]], "a well below a blank row"),
    ],
)
def test_a_bad_cell_is_refused_with_its_place(rows: list[list[Any]], told: str) -> None:
    assert told in refusal(il6=sheet(rows))


def test_blocks_that_name_a_well_differently_are_refused() -> None:
    rows = blocks(FI=[[30, 40], [21000, 9000], [900, 1]], Obs_Conc=[["", ""], [990, 1], [77.5, 2]])
    next(r for r in reversed(rows) if len(r) > 2)[2] = "P09 d7"
    assert "'P09 d7' in the well C01, and 'P01 d7' elsewhere" in refusal(all=rows)


def test_an_old_workbook_reads_as_a_new_one() -> None:
    rows = sheet()
    old = read_plate(old_workbook({"il6": rows}), "data/plate.xls", ReadOptions())
    pd.testing.assert_frame_equal(old.wells, read(il6=rows).wells)
