"""Content, cells and numbers before any reader looks at them."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.immunoassay.readers.made_plates import workbook
from tests.unit.pcr.readers import made_up_files as made

from cartrace.pcr.plate import ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.plates.source import NotANumber, Row, Source, TableReader, find_header, read_number
from cartrace.problems import InputError


def replace_member(content: bytes, name: str, old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {i: archive.read(i) for i in archive.namelist()}
    assert re.search(old, members[name])
    members[name] = re.sub(old, new, members[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i, data in members.items():
            archive.writestr(i, data)
    return out.getvalue()


def table(header: list[str], *rows: list[str]) -> TableReader:
    numbered = [Row(i, tuple(cells)) for i, cells in enumerate(rows, 2)]
    return TableReader(Source(b"x", "f.csv"), Row(1, tuple(header)), numbered)


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "decimal", "value"),
        [
            ("27.35", ".", 27.35),
            ("1,000,000.000", ".", 1e6),
            ("1,000,000", ".", 1e6),
            (" 2.5E+03 ", ".", 2500.0),
            (".5", ".", 0.5),
            ("-1.0", ".", -1.0),
            ("27,35", ",", 27.35),
            ("1.000.000,5", ",", 1000000.5),
            ("1 250,5", ",", 1250.5),
            ("1'250,5", ",", 1250.5),
            ("3,5E+04", ",", 35000.0),
            ("", ".", None),
            ("  ", ",", None),
        ],
    )
    def test_a_number_is_read_by_the_decimal_mark(self, text: str, decimal: str, value: float | None) -> None:
        assert read_number(text, decimal) == value

    @pytest.mark.parametrize(
        ("text", "decimal"),
        [
            ("27,35", "."),
            ("1,250", "."),
            ("27.35", ","),
            ("1.250", ","),
            ("1,00,000.0", "."),
            ("1e999", "."),
            ("nan", "."),
            ("inf", "."),
            ("0x10", "."),
            ("1_000", "."),
            ("12 34", "."),
            ("<35", "."),
            ("\u0663", "."),
        ],
    )
    def test_what_can_be_read_in_two_ways_is_refused(self, text: str, decimal: str) -> None:
        with pytest.raises(NotANumber):
            read_number(text, decimal)

    @pytest.mark.parametrize("cell", [True, float("nan"), float("inf")])
    def test_cells_of_a_workbook_that_are_no_numbers_are_refused(self, cell: float) -> None:
        with pytest.raises(NotANumber):
            read_number(cell)

    @given(st.integers(0, 10**9), st.sampled_from([".", ","]))
    def test_grouping_with_three_decimals_reads_back_exactly(self, thousandths: int, decimal: str) -> None:
        text = f"{thousandths / 1000:,.3f}"
        if decimal == ",":
            text = text.translate(str.maketrans(".,", ",."))
        assert read_number(text, decimal) == pytest.approx(thousandths / 1000, rel=1e-15)

    @given(st.text(max_size=12))
    def test_any_text_is_a_number_or_not_and_nothing_else(self, text: str) -> None:
        try:
            value = read_number(text)
        except NotANumber:
            return
        assert value is None or float(text.replace(",", "")) == value


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_encodings_are_known_by_their_bytes(self, encoding: str) -> None:
        assert Source("5 µL".encode(encoding), "f").text == "5 µL"

    def test_a_damaged_utf8_file_is_not_read_as_windows_1252(self) -> None:
        content = "a µ\nb µ\n".encode()
        with pytest.raises(InputError, match="row 2: found bytes that are neither"):
            _ = Source(content[:-2] + b"\n", "f").text

    def test_a_named_encoding_is_taken_at_its_word(self) -> None:
        options = ReadOptions(encoding="cp1251")
        assert Source("С\u0442".encode("cp1251"), "f", options).text == "С\u0442"
        for wrong in ("utf-8", "no-such-thing"):
            with pytest.raises(InputError, match="the encoding that the assay file names"):
                _ = Source(b"\xff\xd1", "f", ReadOptions(encoding=wrong)).text

    def test_utf16_without_its_mark_is_refused_with_the_setting(self) -> None:
        with pytest.raises(InputError, match="utf-16-le"):
            _ = Source("Well,Cq".encode("utf-16-le"), "f").text

    def test_rows_keep_their_number_below_a_cell_of_two_lines(self) -> None:
        rows = Source(b'a,b\n"x\ny",1\nc,2\n', "f").table(",")
        assert [(r.number, r.cells[0]) for r in rows] == [(1, "a"), (2, "x\ny"), (4, "c")]

    @pytest.mark.parametrize("content", [b'a,b\n"x,1\ny,2\n', b'a,b\n"x,1\ny,"2\n', b'a,"b"x\n1,2\n'])
    def test_a_quote_that_would_swallow_a_row_is_refused(self, content: bytes) -> None:
        with pytest.raises(InputError):
            Source(content, "f").table(",")


class TestColumns:
    def test_the_unit_in_brackets_may_differ(self) -> None:
        columns = table(["Conc. [copies/µL]"], ["2.5"])
        assert columns.number(columns.rows[0], "Conc.") == 2.5
        assert columns.has("conc. [copies/uL]")

    def test_a_full_name_goes_before_one_without_its_unit(self) -> None:
        columns = table(["Quantity (mean)", "Quantity"], ["1", "2"])
        assert columns.number(columns.rows[0], "Quantity") == 2.0

    def test_two_columns_of_one_name_are_both_found(self) -> None:
        columns = table(["CI (95%)", "x", "CI (95%)"], ["1", "", "2"])
        assert columns.columns("CI (95%)") == [0, 2]
        columns.number(columns.rows[0], "CI (95%)")
        with pytest.raises(InputError, match="2 columns of this name that differ: '1', '2'"):
            columns.source.check()

    def test_a_header_is_found_below_other_lines(self) -> None:
        rows = [Row(1, ("File", "x")), Row(2, ("", "Well", "Cq (dRn)"))]
        assert find_header(rows, ("Well",), ("CT", "Cq")) == 1
        assert find_header(rows, ("Well",), ("CT",)) is None

    def test_all_problems_are_told_at_once_and_their_number_is_bounded(self) -> None:
        columns = table(["n"], *[["x"]] * 500)
        for row in columns.rows:
            columns.whole(row, "n")
        with pytest.raises(InputError) as caught:
            columns.source.check()
        assert len(caught.value.problems) == 101
        assert "400 problems more" in str(caught.value)

    def test_a_count_is_a_whole_number(self) -> None:
        columns = table(["n"], ["2.0"], ["2.5"], ["-1"])
        assert [columns.whole(r, "n") for r in columns.rows] == [2, None, None]
        assert len(columns.source.problems) == 2

    def test_rows_of_another_width_are_reported(self) -> None:
        columns = table(["a", "b"], ["1", "2"], ["1"], ["1", "2", "3"], ["1", "2"])
        columns.same_width()
        assert [p.row for p in columns.source.problems] == [3, 4]


class TestRefusals:
    @pytest.mark.parametrize("content", [b"", b"hello", b"a,b\n1,2\n", b"\x89PNG\r\n", b"<html></html>"])
    def test_other_files_are_refused_with_what_was_looked_for(self, content: bytes) -> None:
        with pytest.raises(InputError) as caught:
            read_plate(content, "data/x.csv")
        assert "data/x.csv" in str(caught.value)
        if content.isascii() and content:
            assert "quantstudio_txt: lines '* key = value'" in str(caught.value)

    @pytest.mark.parametrize("start", [b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0 old"])
    def test_broken_archives_and_old_workbooks_are_refused(self, start: bytes) -> None:
        with pytest.raises(InputError):
            read_plate(start, "f.xlsx")

    def test_a_zip_bomb_is_refused_before_it_unpacks(self) -> None:
        with pytest.raises(InputError, match="unpacks to 90 MB"):
            read_plate(made.archive({"rdml.xml": bytes(90_000_000)}), "f.rdml")

    def test_a_workbook_with_a_document_type_is_refused(self) -> None:
        content = made.archive({"xl/workbook.xml": '<!DOCTYPE a [<!ENTITY b "c">]><workbook/>'})
        with pytest.raises(InputError, match="a document type"):
            read_plate(content, "f.xlsx")

    def test_a_workbook_without_parts_is_refused(self) -> None:
        with pytest.raises(InputError, match="a broken workbook"):
            read_plate(made.archive({"xl/workbook.xml": "<workbook/>"}), "f.xlsx")

    @pytest.mark.parametrize("formula", ["=1+1", "=SUM(A1:A2)"])
    def test_a_formula_that_nobody_computed_is_refused_with_its_cell(self, formula: str) -> None:
        # openpyxl writes no values of formulas, as many programs do; they would read as empty cells.
        content = workbook({"one": [["well", 10], ["A1", formula]], "two": [["x"]]})
        with pytest.raises(
            InputError, match="row 2: found a formula without its value in the sheet 'one', cell B2"
        ):
            Source(content, "f.xlsx").sheet("one")
        assert Source(content, "f.xlsx").sheet("two")[0].cells == ("x",)

    def test_a_formula_with_its_value_is_read(self) -> None:
        content = workbook({"one": [["A1", "=1+1"]]})
        computed = replace_member(
            content, "xl/worksheets/sheet1.xml", rb"</f><v\s*/>|</f><v></v>", b"</f><v>2</v>"
        )
        assert Source(computed, "f.xlsx").sheet("one")[0].cells == ("A1", 2)

    def test_no_date_reaches_an_error(self) -> None:
        rows = [dict(r) | {"printed": "2031-02-03"} for r in made.PLATE]
        with pytest.raises(InputError) as caught:
            read_plate(made.quantstudio_txt(rows), "f.txt")
        assert "<date>" in str(caught.value)
        assert "2031" not in str(caught.value)
