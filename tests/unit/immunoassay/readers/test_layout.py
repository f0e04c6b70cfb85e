"""The layout of an immunoassay plate as a table."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.immunoassay.readers import made_plates as made

from cartrace.immunoassay.layout import read_layout
from cartrace.problems import InputError

HEADER = "well\tsample\ttask\ttarget\tnominal\tdilution\texclude"


def faults(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read_layout(text.encode(), "layout.tsv")
    return str(caught.value)


def test_each_cell_is_kept_and_wells_are_written_alike() -> None:
    text = f"{HEADER}\na1\tSTD\tstandard\t\t100\t\t\nH12\tP01\t\tanti-SRP\t\t50\tspilled\n"
    layout = read_layout(text.encode(), "layout.tsv")
    assert layout["well"].tolist() == ["A01", "H12"]
    assert layout["nominal"].tolist()[0] == 100
    assert layout["dilution"].tolist()[1] == 50
    assert layout.loc[1, ["sample", "target", "exclude"]].tolist() == ["P01", "anti-SRP", "spilled"]
    assert pd.isna(layout.loc[0, "target"])
    assert layout.attrs["name"] == "layout.tsv"


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_other_delimiters_do(delimiter: str) -> None:
    text = f"{HEADER}\nA1\tx1\tblank\t\t\t\t\n"
    one = read_layout(text.encode(), "l")
    pd.testing.assert_frame_equal(one, read_layout(text.replace("\t", delimiter).encode(), "l"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A1\tx\tstandart\t\t\t\t", "did you mean 'standard'?"),
        ("A1\tx\t\t\t-1\t\t", "column 'nominal': found '-1'"),
        ("A1\tx\t\t\t\t0.5\t", "50 means 1 in 50"),
        ("A1\tx\t\t\t1,5\t\t", "found '1,5'"),
        ("A1\tx\t\t\t\t\tx", "why the well is left out"),
        ("A1\t\t\tIL-6\t\t\t", "nothing about the well"),
        ("\tx\t\t\t\t\t", "column 'well': found nothing"),
        ("A1\tP01 2024-01-02\t\t\t\t\t", "a calendar date"),
        ("A1\tx\t\t\t\t\t\ty", "found 8 cells"),
        ("A1\tx\t\t\t\t\t\nA01\ty\t\t\t\t\t", "the well 'A01' again; allowed: each once; it is in row 2"),
    ],
)
def test_a_bad_row_is_refused_with_its_place(row: str, told: str) -> None:
    said = faults(f"{HEADER}\n{row}\n")
    assert told in said
    assert "2024" not in said


def test_a_well_may_stand_once_for_each_target() -> None:
    text = f"{HEADER}\nA1\tx\tstandard\tIL-6\t10\t\t\nA1\tx\tstandard\tTNF\t20\t\t\n"
    assert read_layout(text.encode(), "l")["nominal"].tolist() == [10, 20]


def test_all_faults_are_told_at_once() -> None:
    said = faults("well\tsampel\tnominal\nA1\tx\tmany\n\tx\t\n")
    assert said.startswith("3 problems")
    assert "did you mean 'sample'?" in said


def test_a_header_without_wells_and_an_empty_file_are_refused() -> None:
    assert "no column 'well'" in faults("sample\ttask\n")
    assert "an empty file" in faults("")
    assert "no well" in faults(HEADER)


def test_a_workbook_is_read_as_grids() -> None:
    content = made.workbook({"s": made.grid_rows_of(lambda r, c: f"P{r}{c}")})
    layout = read_layout(content, "layout.xlsx").set_index("well")
    assert len(layout) == 96
    assert layout.loc["C05", "sample"] == "PC5"


@settings(max_examples=40)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_refused_or_read(content: str | bytes) -> None:
    raw = content.encode(errors="ignore") if isinstance(content, str) else content
    try:
        layout = read_layout(b"well\tsample\n" + raw, "l")
    except InputError:
        return
    assert layout["well"].notna().all()
