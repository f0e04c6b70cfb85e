"""A plate map is read whole, or every fault of it is told at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.pcr.plate_map import COLUMNS, read_plate_map
from cartrace.problems import InputError

HEADER = "well\tsample\ttask\ttarget\tnominal\tdna_ng\tdilution\ttemplate_ul\texclude\n"


def faults(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read_plate_map(text, "maps/a.tsv")
    return str(caught.value)


def test_a_whole_plate_map_is_read() -> None:
    found = read_plate_map(
        HEADER
        + "a1\tS1\t\t\t\t120.5\t5\t4\t\n"
        + "A02\t\taccuracy_control\tCAR\t1000\t\t\t\t\n"
        + "B12\tS2\t\t\t\t\t\t\tbubble in the well\n\n",
        "maps/a.tsv",
    )
    assert list(found.columns) == list(COLUMNS.names)
    assert list(found["well"]) == ["A01", "A02", "B12"]
    assert found.loc[0, ["dna_ng", "dilution", "template_ul"]].tolist() == [120.5, 5, 4]
    assert (found.at[1, "task"], found.at[1, "nominal"]) == ("accuracy_control", 1000)
    assert found.at[2, "exclude"] == "bubble in the well"
    assert found["sample"].isna().tolist() == [False, True, False]
    assert found["exclude"].isna().tolist() == [True, True, False]
    assert found.attrs["name"] == "maps/a.tsv"


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_the_delimiter_and_a_byte_order_mark_do_not_matter(delimiter: str) -> None:
    text = "\ufeff" + "Well\tSample\tTarget\nA1\tS 1\tCAR\n".replace("\t", delimiter)
    found = read_plate_map(text, "m")
    assert found.loc[0, ["well", "sample", "target"]].tolist() == ["A01", "S 1", "CAR"]


def test_a_header_alone_would_check_nothing_and_is_refused() -> None:
    assert "found no well" in faults(HEADER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file"),
        ("position\tsample\nA1\tS1\n", "no column 'well'"),
        ("well\tsampel\nA1\tS1\n", "unknown column 'sampel'; allowed: well, sample"),
        ("well\tsampel\nA1\tS1\n", "did you mean 'sample'?"),
        ("well\tsample\tsample\nA1\tS1\tS2\n", "column 'sample': found the column twice"),
        ("well\tsample\nA1\tS1\tS2\n", "row 2: found 3 cells; allowed: 2 cells"),
        ("well\tsample\n\tS1\n", "row 2, column 'well': found nothing; allowed: a well, as A01"),
        ("well\tsample\nA1\t\n", "nothing about the well"),
        ("well\ttarget\nA1\tCAR\n", "nothing about the well"),
        ("well\ttask\nA1\tstandart\n", "found 'standart'; allowed: unknown, standard"),
        ("well\ttask\nA1\tstandart\n", "did you mean 'standard'?"),
        ("well\tnominal\nA1\t-1\n", "found '-1'; allowed: copies per reaction, 0 or more"),
        ("well\tnominal\nA1\t1,000\n", "found '1,000'"),
        ("well\tdna_ng\nA1\t0\n", "ng of DNA in the reaction, above 0"),
        ("well\tdilution\nA1\t0.2\n", "5 means 1 in 5"),
        ("well\ttemplate_ul\nA1\t0\n", "uL of eluate in the reaction"),
        ("well\texclude\nA1\tyes\n", "found 'yes'; allowed: why the well is left out"),
        ("well\tsample\nA1\tS1\na01\tS2\n", "row 3, column 'well': found the well 'A01' again"),
        ("well\tsample\ttarget\nA1\tS1\tCAR\nA1\tS2\tcar\n", "again for the target 'car'"),
        ("well\tsample\nA1\tS1 of 2021-03-04\n", "a calendar date"),
        ("well\texclude\nA1\trun of 4 March 2021\n", "a calendar date"),
        ("well\tsample\nA1\tS\x071\n", "a control character"),
        ("well\tsample\nA1\t" + "S" * 201 + "\n", "201 characters"),
        ('well\tsample\nA1\t"S1\n', "broken text"),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, said: str) -> None:
    message = faults(text)
    assert said in message
    assert "maps/a.tsv" in message
    assert "2021" not in message


def test_all_faults_come_at_once() -> None:
    assert faults("well\ttask\tnominal\tcolour\nA1\tx\t-1\t\n\tntc\t\t\n").startswith("4 problems")


def test_one_well_may_have_a_row_for_each_target() -> None:
    found = read_plate_map("well\ttarget\tnominal\nA1\tCAR\t10\nA1\tRPP30\t20\nA1\t\t5\n", "m")
    assert found["nominal"].tolist() == [10, 20, 5]


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_any_text_gives_a_map_or_an_input_error(text: str) -> None:
    for content in (text, HEADER + text):
        try:
            found = read_plate_map(content, "m")
        except InputError:
            continue
        assert found["well"].notna().all()
        assert not found.duplicated(["well", "target"]).any()
