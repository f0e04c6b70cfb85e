"""Reading laboratory tables, also hostile ones."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from cartrace.intake.laboratory_table import Grid, read_grid, read_results
from cartrace.intake.mapping import Mapping, load_mapping
from cartrace.problems import InputError

COPIES = {
    "column": "copies",
    "analyte": "transgene",
    "assay": "qpcr",
    "unit": "copies/ug",
    "lod": 10,
    "lloq": 50,
}


def mapping(**more: Any) -> Mapping:
    raw: dict[str, Any] = {"subject": "patient", "matrix": "blood", "day": "day", "values": [COPIES]}
    return load_mapping({k: v for k, v in (raw | more).items() if v is not None}, "m.yaml")


def grid(header: Sequence[str], *lines: Sequence[Any]) -> Grid:
    return Grid("t.csv", tuple(header), tuple(map(tuple, lines)), tuple(range(2, len(lines) + 2)))


def read(table: Grid, m: Mapping, **more: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read_results(table, m, file_id="t", sha256="0" * 64, **more)


def results_of(*cells: Any, **more: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines = [["1003", n, cell] for n, cell in enumerate(cells)]
    return read(grid(["patient", "day", "copies"], *lines), mapping(**more))


def book(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, lines in sheets.items():
        sheet = workbook.create_sheet(name)
        for line in lines:
            sheet.append(list(line))
    workbook.save(path)
    return path


def error_of(path: Path, m: Mapping | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_grid(path, m or mapping())
    return str(caught.value)


def test_limits_decide_what_a_number_means() -> None:
    results, qc = results_of(0, 9, 10, 49, 50, 51)
    assert list(results["detection"]) == ["BLD", "BLD", "BLQ", "BLQ", "quantified", "quantified"]
    assert list(results["upper"]) == [10, 10, 50, 50, 50, 51]
    assert list(results["lower"]) == [0, 0, 10, 10, 50, 51]
    assert results["value"].isna().tolist() == [True] * 4 + [False] * 2
    assert len(qc) == 0


def test_bounds_and_words_become_censored_results() -> None:
    results, qc = results_of("<50", "<10", "<20", "BLQ", "BLD", ">1000", "1,5")
    assert list(results["detection"]) == ["BLQ", "BLD", "BLQ", "BLQ", "BLD", "above_uloq"]
    assert list(results["censoring"]) == ["left"] * 5 + ["right"]
    assert list(results["upper"].dropna()) == [50, 10, 20, 50, 10]
    assert results["lower"].tolist() == [10, 0, 10, 10, 0, 1000]
    assert results["value"].isna().all()
    assert list(qc["source_row"]) == [2, 3, 4, 5, 6, 7, 8]
    assert list(qc["verdict"]) == ["note"] * 6 + ["warn"]
    assert "not the mapping's lloq" in qc["message"].iloc[2]


def test_above_the_upper_limit_is_censored_on_the_right() -> None:
    results, _ = results_of(2000, values=[COPIES | {"uloq": 1000}])
    assert results.loc[0, ["detection", "lower"]].tolist() == ["above_uloq", 1000]
    assert pd.isna(results.loc[0, "upper"])


@pytest.mark.parametrize(
    ("zero", "detection"), [("quantified", "quantified"), ("BLD", "BLD"), ("BLQ", "BLQ")]
)
def test_the_mapping_says_what_zero_means(zero: str, detection: str) -> None:
    results, _ = results_of(0, values=[{**COPIES, "lod": None, "lloq": None, "zero": zero}])
    assert results.loc[0, "detection"] == detection


def test_impossible_numbers_are_told_and_left_out() -> None:
    share = {"column": "copies", "analyte": "car_t_fraction", "assay": "flow", "unit": "%"}
    results, qc = results_of(-1, 110.1, 50, values=[share])
    assert list(results["value"]) == [50]
    assert list(qc["check"]) == ["impossible_value"] * 2
    assert "11.01" in qc["message"].iloc[1]


def test_real_row_numbers_survive_titles_and_empty_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Laboratory\n\npatient,day,copies\n1003,0,60\n\n1003,7,oops\n")
    m = mapping(skip_rows=2)
    results, qc = read(read_grid(path, m), m)
    assert list(results["source_row"]) == [4]
    assert list(qc["source_row"]) == [6]


def test_two_header_rows_are_filled_to_the_right_and_joined(tmp_path: Path) -> None:
    path = book(
        tmp_path / "t.xlsx",
        PCR=[["", "Copies per ug", None], ["patient", "copies_7", "copies_14"], ["1003", 100, 200]],
        Other=[["x"]],
    )
    m = mapping(
        sheet="PCR",
        header_rows=2,
        day=None,
        values=[
            {k: v for k, v in COPIES.items() if k != "column"}
            | {"pattern": r"Copies per ug / copies_(?P<day>\d+)"}
        ],
    )
    results, _ = read(read_grid(path, m), m)
    assert results[["day", "value"]].to_numpy().tolist() == [[7, 100], [14, 200]]
    assert results["source_column"].tolist() == ["Copies per ug / copies_7", "Copies per ug / copies_14"]


def test_long_tables_convert_units_exactly_and_name_what_they_leave_out() -> None:
    m = load_mapping(
        {
            "subject": "p",
            "matrix": "serum",
            "day": "d",
            "long": {
                "analyte": "test",
                "value": "v",
                "unit": "u",
                "tests": {"sBCMA": {"analyte": "soluble_bcma", "assay": "elisa", "unit": "ng/mL"}},
            },
        },
        "m.yaml",
    )
    table = grid(
        ["p", "d", "test", "v", "u"],
        ["A1", 0, "sBCMA", "2500", "pg/mL"],
        ["A1", 7, "sBCMA", "3", "furlong"],
        ["A1", 7, "IgG", "3", "g/L"],
    )
    results, qc = read(table, m)
    assert list(results["value"]) == [2.5]
    assert results.loc[0, "rounding"] == pytest.approx(5e-4)
    assert list(qc["check"]) == ["unit", "rows_left_out"]


def test_a_missing_column_is_told_with_its_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'patient'"):
        read(grid(["patient", "day", "copies"], ["1", 0, 1]), mapping(subject="patients"))


def test_dates_become_study_days_and_nothing_else() -> None:
    m = mapping(day=None, date={"column": "day", "format": "%d.%m.%Y"})
    table = grid(
        ["patient", "day", "copies"],
        ["1003", "11.03.2021", 60],
        ["1003", datetime(2021, 3, 5), 60],
        ["1003", "31.02.2021", 60],
        ["1004", "11.03.2021", 60],
    )
    results, qc = read(table, m, first_dates={"1003": date(2021, 3, 4)})
    assert list(results["study_day"]) == [7, 1]
    assert list(qc["source_row"]) == [4, 5]
    assert "2021" not in results.to_csv() + qc.to_csv()


def test_specimens_that_the_mapping_does_not_list_reject_their_row() -> None:
    m = mapping(matrix={"column": "specimen", "values": {"PB": "blood", "BM": "marrow"}})
    table = grid(
        ["patient", "day", "copies", "specimen"],
        ["1", 0, 60, "PB"],
        ["1", 0, 70, "22-31415B"],
        ["1", 0, 80, "BM"],
    )
    results, qc = read(table, m)
    assert list(results["matrix"]) == ["blood", "marrow"]
    assert list(qc["check"]) == ["specimen"]


def test_patterns_and_prefixes_make_the_subject() -> None:
    m = mapping(subject={"column": "patient", "pattern": "(?P<subject>.+)_1", "prefix": "X-"})
    results, qc = read(grid(["patient", "day", "copies"], ["A7_1", 0, 60], ["A7", 0, 60]), m)
    assert list(results["subject_id"]) == ["X-A7"]
    assert list(qc["check"]) == ["subject_pattern"]


def test_ignored_rows_are_told_once() -> None:
    m = mapping(ignore_rows=[{"column": "patient", "values": ["Control"]}])
    table = grid(["patient", "day", "copies"], ["Control", 0, 1], ["Control", 1, 1], ["1003", 0, 60])
    results, qc = read(table, m)
    assert len(results) == 1
    assert qc["message"].tolist() == ["2 rows left out (ignore_rows): 2, 3."]


def test_hostile_subjects_never_pass() -> None:
    lines = [["=cmd()", 0, 60], ["<script>", 0, 60], ["12.03.1961", 0, 60], ["", 0, 60], ["a\x00b", 0, 60]]
    results, qc = read(grid(["patient", "day", "copies"], *lines), mapping())
    assert len(results) == 0
    assert len(qc) == 5
    assert "1961" not in qc.to_csv()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"<!DOCTYPE html><html><table>", "a web page"),
        ("t.csv", b"PK\x03\x04rest", "a workbook under another name"),
        ("t.csv", "patient,day,copies\nM\xfcller,0,1\n".encode("cp1252"), "bytes that are not utf-8-sig"),
        ("t.csv", "patient,day\n".encode("utf-16"), "bytes that are not utf-8-sig"),
        ("t.csv", b"a\x00b\n", "zero bytes"),
        ("t.csv", b"", "an empty file"),
        ("t.csv", b"\n\n", "no header"),
        ("t.xlsx", b"not a workbook", "no workbook"),
        ("t.xlsx", b"PK\x03\x04broken", "a broken workbook"),
        ("t.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an encrypted workbook"),
        ("t.pdf", b"%PDF", "ends in '.pdf'"),
    ],
)
def test_files_that_are_no_tables_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in error_of(path)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    assert "unpacks to 60 MB" in error_of(path)


def test_a_workbook_of_several_sheets_needs_a_choice(tmp_path: Path) -> None:
    path = book(tmp_path / "t.xlsx", PCR=[["patient"]], Flow=[["patient"]])
    assert "one of PCR, Flow" in error_of(path)
    assert "did you mean 'Flow'?" in error_of(path, mapping(sheet="flov"))


def test_formulas_are_not_run_and_have_no_value(tmp_path: Path) -> None:
    path = book(tmp_path / "t.xlsx", T=[["patient", "day", "copies"], ["1003", 0, "=1+1"], ["1003", 7, 60]])
    m = mapping()
    results, _ = read(read_grid(path, m), m)
    assert list(results["value"]) == [60]


def test_a_cell_of_ten_megabytes_is_told_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,day,copies\n1003,0," + "9" * 10_000_000 + "\n")
    m = mapping()
    results, qc = read(read_grid(path, m), m)
    assert len(results) == 0
    assert "10000000 characters" in qc["message"].iloc[0]
    assert len(qc.to_csv()) < 2000


def test_an_impossible_number_is_told_with_the_unit_that_would_make_it_possible() -> None:
    igg = {"column": "igg", "analyte": "igg", "assay": "nephelometry", "unit": "g/L"}
    results, qc = read(
        grid(["patient", "day", "igg"], ["1003", 7, 484]), mapping(matrix="serum", values=[igg])
    )
    assert not len(results)
    assert "4.84 g/L if it was printed in mg/dL, or 48.4 with the decimal mark" in qc["message"].iloc[0]


def test_a_percentage_of_a_workbook_is_the_number_that_is_shown(tmp_path: Path) -> None:
    path = book(tmp_path / "t.xlsx", S=[["patient", "day", "share"], *(["P1", n, 0.07] for n in range(4))])
    workbook = openpyxl.load_workbook(path)
    for row, shown_as in enumerate(["0%", "0.00%;-0.00%", '0.00" %"', "General"], 2):
        workbook["S"].cell(row, 3).number_format = shown_as
    workbook.save(path)
    share = {"column": "share", "analyte": "car_t_fraction", "assay": "flow", "unit": "%"}
    m = mapping(values=[share])
    results, qc = read(read_grid(path, m), m)
    # A quoted sign is text beside the number 0.07.
    assert list(results["value"]) == [7.0, 7.0, 0.07, 0.07]
    assert list(qc["message"]) == ["Cell '7%': read as a number in %."] * 2

    scaled = mapping(values=[share | {"scale": 100}])
    results, qc = read(read_grid(path, scaled), scaled)
    assert list(results["source_row"]) == [4, 5]
    assert list(qc["verdict"]) == ["warn", "warn"]
    assert qc["message"].str.contains("scaled again").all()

    copies = mapping(values=[COPIES | {"column": "share"}])
    results, qc = read(read_grid(path, copies), copies)
    assert qc["message"].str.contains("a percentage where the unit is another").sum() == 2


def test_a_formula_that_no_program_computed_is_told(tmp_path: Path) -> None:
    path = book(
        tmp_path / "t.xlsx",
        S=[["patient", "day", "copies"], ["P1", 1, "=A1*2"], ["P1", 2, None], ["P1", 3, 70]],
    )
    results, qc = read(read_grid(path, mapping()), mapping())
    assert list(results["source_row"]) == [4]
    assert list(qc["source_row"]) == [2]
    assert "a formula; cartrace runs none" in qc["message"].iloc[0]


def test_a_row_of_a_text_file_with_more_cells_than_the_header_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,day,copies\nP1,1,1234,5\nP1,2,70,,\nP1,3,80\n")
    results, qc = read(read_grid(path, mapping()), mapping())
    assert list(results["value"]) == [70, 80]
    assert qc[["check", "verdict", "source_row", "value"]].to_numpy().tolist() == [
        ["row_too_long", "fail", 2, "1 more"]
    ]


def test_a_remark_right_of_the_table_of_a_workbook_is_no_result(tmp_path: Path) -> None:
    path = book(tmp_path / "t.xlsx", S=[["patient", "day", "copies"], ["P1", 1, 70, None, "repeated"]])
    results, qc = read(read_grid(path, mapping()), mapping())
    assert list(results["value"]) == [70]
    assert len(qc) == 0


def test_a_missing_column_is_told_with_the_row_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("title\npatient,day,copys\n\n\nP1,1,70\n")
    m = mapping(skip_rows=1)
    with pytest.raises(InputError, match=r"row 2, column 'copies'"):
        read(read_grid(path, m), m)


def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('patient,day,copies,remark\nP1,1,70,"a\nb"\nP1,2,80,"see below\nP1,3,90,\nP1,4,95,\n')
    assert "row 3: found broken text" in error_of(path)


def test_a_file_without_any_result_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,day,copies\n")
    results, qc = read(read_grid(path, mapping()), mapping())
    assert len(results) == 0
    assert qc[["check", "verdict", "source_row"]].to_numpy().tolist() == [["no_results", "warn", 1]]


def test_a_test_that_differs_from_the_mapping_by_case_alone_is_a_warning() -> None:
    long = {
        "analyte": "test",
        "value": "result",
        "tests": {"CAR": {"analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}},
    }
    table = grid(
        ["patient", "day", "test", "result"], ["P1", 1, "CAR", 70], ["P1", 2, "Car", 80], ["P1", 3, "x", 1]
    )
    results, qc = read(table, mapping(values=None, long=long))
    assert list(results["value"]) == [70]
    assert list(qc["verdict"]) == ["warn", "note"]
    assert qc["suggestion"].iloc[0] == "perhaps test 'CAR'"
