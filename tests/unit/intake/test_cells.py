"""What one cell says."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.intake.cells import CellOptions, parse_cell, show

PLAIN = CellOptions()
GERMAN = CellOptions(decimal=",", thousands=".")
ENGLISH = CellOptions(thousands=",")


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("<50", "below", 50.0),
        ("< 50", "below", 50.0),
        ("≤50", "below", 50.0),
        (">1:2560", "above", 2560.0),
        ("1:40", "number", 40.0),
        ("> 1e6", "above", 1e6),
        ("BLQ", "BLQ", None),
        ("bld ", "BLD", None),
        ("<LOD", "BLD", None),
        ("<LLOQ", "BLQ", None),
        ("Undetermined", "BLD", None),
        ("negative", "BLD", None),
        ("", "missing", None),
        (None, "missing", None),
        ("  ", "missing", None),
        (7, "number", 7.0),
        ("-3.5", "number", -3.5),
        ("1e3", "number", 1000.0),
    ],
)
def test_cells_are_read_as_laboratories_write_them(cell: object, kind: str, value: float | None) -> None:
    reading = parse_cell(cell, PLAIN)
    assert (reading.kind, reading.value) == (kind, value)


@pytest.mark.parametrize(
    "cell", ["n.d.", "nd", "n.a.", "NA", "-", "?", "Teclistamab", "12 copies", "2.0.1", "1 234"]
)
def test_words_with_more_than_one_meaning_stay_unread(cell: str) -> None:
    reading = parse_cell(cell, PLAIN)
    assert reading.kind == "unread"
    assert reading.note


@pytest.mark.parametrize("meaning", ["missing", "not_done", "BLD", "BLQ", "unreadable"])
def test_the_mapping_says_what_a_word_means(meaning: str) -> None:
    reading = parse_cell(" N.D. ", CellOptions(text={"n.d.": meaning}))
    assert reading.kind == meaning
    assert "as the mapping says" in reading.note


def test_a_comma_that_nobody_declared_is_an_error_with_both_readings() -> None:
    reading = parse_cell("1,234", PLAIN)
    assert reading.kind == "unread"
    assert "1.234" in reading.suggestion
    assert "1234" in reading.suggestion


@pytest.mark.parametrize(
    ("cell", "options", "value"),
    [
        ("1,234", ENGLISH, 1234.0),
        ("1,234,567.5", ENGLISH, 1234567.5),
        ("1.234,5", GERMAN, 1234.5),
        ("0,2", GERMAN, 0.2),
        ("1'234", CellOptions(thousands="'"), 1234.0),
        ("1\N{NO-BREAK SPACE}234", CellOptions(thousands=" "), 1234.0),
    ],
)
def test_declared_marks_are_read(cell: str, options: CellOptions, value: float) -> None:
    assert parse_cell(cell, options).value == value


@pytest.mark.parametrize(("cell", "options"), [("1,23", ENGLISH), ("1.23", GERMAN), ("1,2345", ENGLISH)])
def test_a_thousands_mark_outside_groups_of_three_is_an_error(cell: str, options: CellOptions) -> None:
    assert parse_cell(cell, options).kind == "unread"


@pytest.mark.parametrize(
    "cell",
    [
        True,
        datetime(2021, 3, 4),
        float("nan"),
        float("inf"),
        10**400,
        "inf",
        "nan",
        "1e999",
        "#DIV/0!",
        "#N/A",
        "=1+1",
        "@SUM(A1)",
        "x" * 10_000_000,
        "٣",
    ],
)
def test_what_is_no_number_never_becomes_one(cell: object) -> None:
    reading = parse_cell(cell, PLAIN)
    assert reading.kind == "unread"
    assert reading.value is None


def test_a_percentage_is_a_number_only_in_a_percent_column() -> None:
    assert parse_cell("12%", CellOptions(unit="%")).value == 12.0
    assert parse_cell("12%", CellOptions(unit="cells/uL")).kind == "unread"


def test_spreadsheet_noise_in_the_last_digit_is_taken_off() -> None:
    reading = parse_cell(41.2999999999999, PLAIN)
    assert reading.value == 41.3
    assert reading.rounding == pytest.approx(0.05)


def test_rounding_is_half_the_last_printed_digit() -> None:
    assert parse_cell("0.0001", PLAIN).rounding == pytest.approx(5e-5)
    assert parse_cell("43000", PLAIN).rounding == 0.5
    assert parse_cell("1.50", PLAIN).rounding == pytest.approx(0.005)


def test_a_number_may_carry_a_meaning() -> None:
    assert parse_cell("0.2", CellOptions(text={"0.2": "BLQ"})).kind == "BLQ"
    assert parse_cell(0.2, CellOptions(text={"0.2": "BLQ"})).kind == "BLQ"


def test_dates_and_long_cells_are_not_shown() -> None:
    assert show(datetime(2021, 3, 4)) == "<date>"
    assert "2021" not in show("taken 2021-03-04")
    assert len(show("x" * 1000)) == 60


@settings(deadline=None)
@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.datetimes()))
def test_no_cell_raises_and_only_numbers_carry_values(cell: object) -> None:
    reading = parse_cell(cell, ENGLISH)
    assert (reading.value is not None) == (reading.kind in {"number", "below", "above"})


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=1e12, allow_subnormal=False))
def test_a_plain_number_is_read_back(number: float) -> None:
    reading = parse_cell(f"{number:.6f}", PLAIN)
    assert reading.value == pytest.approx(float(f"{number:.6f}"))
    assert reading.note == ""
