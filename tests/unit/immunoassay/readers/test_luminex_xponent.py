"""xPONENT and INTELLIFLEX csv, in files that the tests write."""

from __future__ import annotations

import os

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.immunoassay.readers.luminex_files import (
    ANALYTES,
    COUNT,
    MEDIAN,
    WELLS,
    Block,
    blocks,
    located,
    named,
    xponent,
)

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions
from cartrace.problems import InputError

RESULT = (("NaN", ""), ("101.5", "49"), ("< 3.2", "> 500 pg/mL"), ("12 pg/mL", "OOR <"))
EXPECTED = {"Standard1": ("100", "50")}


def read(content: bytes, options: ReadOptions | None = None) -> Plate:
    return read_plate(content, "data/plate.csv", options)


def refusal(content: bytes, options: ReadOptions | None = None) -> str:
    with pytest.raises(InputError) as error:
        read(content, options)
    return str(error.value)


def of(plate: Plate, well: str, target: str = "IL-6") -> pd.Series:
    wells = plate.wells
    chosen = wells[(wells["well"] == well) & (wells["target"] == target)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def checks(plate: Plate) -> set[str]:
    return {r.check for r in plate.remarks}


def with_rows(name: str, rows: Block) -> bytes:
    return xponent(blocks(**{name: rows}))


@pytest.mark.parametrize("instrument", ["MAGPIX", "FlexMAP 3D", "Intelliflex"])
def test_medians_counts_and_names_are_read_from_their_blocks(instrument: str) -> None:
    plate = read(xponent(instrument=instrument))
    assert plate.family == ("intelliflex" if instrument == "Intelliflex" else "xponent")
    assert (plate.instrument, plate.software, plate.software_version) == (instrument, "xPONENT", "4.2.1")
    assert len(plate.wells) == 8
    standard = of(plate, "B01", "IFNg")
    assert (standard["signal"], standard["bead_count"], standard["sample_name"]) == (4000, 61, "Standard1")
    assert of(plate, "B01")["signal"] == 9000.5
    assert plate.remarks == ()


def test_only_names_that_the_software_gives_have_a_task() -> None:
    plate = read(xponent())
    tasks = [of(plate, w)["task"] for w in ("A01", "B01", "C01")]
    assert tasks == ["blank", "standard", "control"]
    assert pd.isna(of(plate, "D01")["task"])


def test_the_name_unknown_that_the_software_gives_is_nobodys() -> None:
    plate = read(xponent().replace(b"P-01", b"Unknown12"))
    assert pd.isna(of(plate, "D01")["sample_name"])
    assert of(plate, "D01")["task"] == "unknown"
    assert [r.message[:8] for r in plate.remarks if r.check == "names_of_software"] == ["1 wells "]
    assert of(read(xponent().replace(b"P-01", b"Unknown donor")), "D01")["sample_name"] == "Unknown donor"


def test_a_median_that_is_no_number_is_missing_and_said_so() -> None:
    plate = read(with_rows("Median", located([*MEDIAN[:2], ("", "NaN"), MEDIAN[3]])))
    assert pd.isna(of(plate, "C01")["signal"])
    assert of(plate, "C01")["vendor_status"] == "not reported"
    assert pd.isna(of(plate, "D01", "IFNg")["signal"])
    assert of(plate, "D01", "IFNg")["bead_count"] == 0
    assert of(plate, "D01", "IFNg")["vendor_status"] == "no signal (NaN); Too few beads on <date>"
    assert of(plate, "D01")["vendor_status"] == "Too few beads on <date>"


def test_a_dilution_of_one_everywhere_is_the_default_of_the_software_and_says_nothing() -> None:
    assert read(xponent()).wells["dilution"].isna().all()


def test_dilutions_are_read_where_one_of_them_was_typed_in() -> None:
    rows = blocks()["Dilution Factor"]
    rows[4][2] = "50"
    rows[1][2] = ""
    plate = read(with_rows("Dilution Factor", rows))
    assert of(plate, "D01")["dilution"] == 50
    assert of(plate, "B01")["dilution"] == 1
    assert pd.isna(of(plate, "A01")["dilution"])


def test_results_out_of_range_are_statuses_and_no_numbers() -> None:
    plate = read(
        xponent(
            blocks(
                Result=located(RESULT),
                Units=[["Analyte:", *ANALYTES], ["BeadID:", "12", "15"], ["Units:", "pg/mL", "pg/mL"]],
            )
        )
    )
    assert plate.units == {"IL-6": "pg/mL", "IFNg": "pg/mL"}
    assert of(plate, "B01")["vendor_concentration"] == 101.5
    assert of(plate, "D01")["vendor_concentration"] == 12
    for well, target, status in (("C01", "IL-6", "< 3.2"), ("C01", "IFNg", "> 500")):
        assert pd.isna(of(plate, well, target)["vendor_concentration"])
        assert of(plate, well, target)["vendor_status"] == status
    assert of(plate, "D01", "IFNg")["vendor_status"].startswith("OOR <; ")
    assert pd.isna(of(plate, "A01")["vendor_status"])


@pytest.mark.parametrize(
    ("text", "number", "status"),
    [
        ("*7.5", 7.5, "*"),
        ("---", None, "---"),
        ("***", None, "***"),
        ("OOR >", None, "OOR >"),
        ("OOR", None, "OOR"),
    ],
)
def test_marks_of_extrapolated_and_outlying_results_are_kept(
    text: str, number: float | None, status: str
) -> None:
    well = of(read(xponent(blocks(Result=located([("1", "1"), ("1", "1"), (text, "1"), ("1", "1")])))), "C01")
    assert well["vendor_status"] == status
    assert pd.isna(well["vendor_concentration"]) if number is None else well["vendor_concentration"] == number


@pytest.mark.parametrize("text", ["about 3", "< three", "3,2", "*x", "5 ng/mL"])
def test_a_result_that_is_neither_is_refused_with_its_place(text: str) -> None:
    content = xponent(blocks(Result=located([("1", "1"), ("1", "1"), (text, "1"), ("1", "1")])))
    lines = content.decode().splitlines()
    row = next(n for n, line in enumerate(lines, 1) if f'"{text}"' in line)
    assert f"row {row}, column 'IL-6'" in refusal(content)


def test_recovery_and_the_words_of_the_range_are_kept() -> None:
    plate = read(
        xponent(
            blocks(
                **{
                    "Result": located([("1", "1")] * 4),
                    "% Recovery": located([("NaN", ""), ("101.5", "98"), ("", ""), ("", "")]),
                    "Range": located([("", ""), ("3.2 - 500", ""), ("Low", "NaN"), ("", "")]),
                }
            )
        )
    )
    assert of(plate, "B01")["vendor_recovery_percent"] == 101.5
    assert pd.isna(of(plate, "A01")["vendor_recovery_percent"])
    assert of(plate, "C01")["vendor_status"] == "range Low"
    assert pd.isna(of(plate, "B01")["vendor_status"])


def test_expected_concentrations_give_task_and_nominal_by_name_and_analyte() -> None:
    plate = read(
        xponent(
            blocks(
                **{
                    "Standard Expected Concentration": [
                        ["Reagent", "Lot", *ANALYTES],
                        ["standard1", "L7", "100", "50"],
                        ["Background0", "", "0", "0"],
                    ],
                    "Control Expected Concentration": named(
                        "Reagent", {"P-01": ("30", "NaN"), "Control9": ("1", "1")}
                    ),
                }
            )
        )
    )
    assert (of(plate, "B01")["task"], of(plate, "B01", "IFNg")["nominal"]) == ("standard", 50)
    assert (of(plate, "A01")["task"], of(plate, "A01")["nominal"]) == ("standard", 0)
    assert (of(plate, "D01")["task"], of(plate, "D01")["nominal"]) == ("control", 30)
    assert pd.isna(of(plate, "D01", "IFNg")["nominal"])
    assert checks(plate) == {"expected_unused"}


def test_the_kind_of_a_curve_is_kept_and_its_coefficients_are_not() -> None:
    plate = read(
        xponent(
            blocks(
                **{
                    "Analysis Types": named("Analyte:", {"AnalysisType": ("Logistic 5P Weighted", "None")}),
                    "Analysis Coefficients": named("Coefficient", {"A": ("1", "2"), "B": ("3", "4")}),
                    "R^2": named("Analyte:", {"R^2": ("0.9991", "NaN")}),
                }
            )
        )
    )
    assert {k: (c.model, dict(c.parameters), c.r2) for k, c in plate.curves.items()} == {
        "IL-6": ("Logistic 5P Weighted", {}, 0.9991)
    }
    assert checks(plate) == {"vendor_coefficients"}


def test_results_beside_dilutions_are_told() -> None:
    rows = blocks()["Dilution Factor"]
    rows[4][2] = "50"
    plate = read(xponent(blocks(**{"Result": located([("1", "1")] * 4), "Dilution Factor": rows})))
    assert checks(plate) == {"vendor_dilution"}


def test_a_file_without_counts_is_read_with_a_remark() -> None:
    plate = read(xponent(blocks(Count=None)))
    assert checks(plate) == {"no_bead_counts"}
    assert plate.wells["bead_count"].isna().all()


def test_a_block_that_nobody_knows_is_told() -> None:
    assert checks(read(xponent(blocks(Mean=located(COUNT), **{"%CV Replicates": located(COUNT)})))) == set()
    plate = read(xponent(blocks(Gain=located(COUNT))))
    assert [r.message for r in plate.remarks] == ["Blocks that are not known: 'Gain'."]


def test_semicolons_and_decimal_commas_are_read_when_the_assay_file_says_so() -> None:
    content = xponent(
        blocks(Median=located([("20,5", "22"), *MEDIAN[2:3], *MEDIAN[2:3], *MEDIAN[2:3]])), delimiter=";"
    )
    assert of(read(content, ReadOptions(decimal=",")), "A01")["signal"] == 20.5
    assert "decimal" in refusal(content)


def test_a_file_that_a_spreadsheet_program_saved_is_the_same_plate() -> None:
    pd.testing.assert_frame_equal(read(xponent(padded=True)).wells, read(xponent()).wells)


def test_one_of_two_plates_of_a_batch_is_read_by_its_number() -> None:
    two = {
        name: [*located(v), *located(w, plate=2)[1:]]
        for name, v, w in (("Median", MEDIAN, COUNT), ("Count", COUNT, COUNT))
    }
    content = xponent(two)
    assert "plates 1, 2" in refusal(content)
    assert of(read(content, ReadOptions(sheet="2")), "B01")["signal"] == 51
    assert of(read(content, ReadOptions(sheet="1")), "B01")["signal"] == 9000.5
    assert "plates 1, 2" in refusal(content, ReadOptions(sheet="3"))


def test_blocks_that_do_not_belong_together_are_refused() -> None:
    other_sample = located(COUNT)
    other_sample[2][1] = "somebody"
    assert "another sample in the well B01" in refusal(with_rows("Count", other_sample))
    assert "somebody" not in refusal(with_rows("Count", other_sample))
    assert "the well D01 in one of the blocks" in refusal(with_rows("Count", located(COUNT)[:-1]))
    fewer = [[*r[:3], *r[4:]] for r in located(COUNT)]
    assert "the analytes 'IFNg' in one of the blocks" in refusal(with_rows("Count", fewer))


def test_wells_analytes_and_blocks_stand_once() -> None:
    twice = located(MEDIAN)
    twice[2][0] = "2(1,A1)"
    assert "the well A01 a second time" in refusal(with_rows("Median", twice))
    same = located(MEDIAN)
    same[0][3] = "IL-6"
    assert "the analyte 'IL-6' a second time" in refusal(with_rows("Median", same))
    content = xponent().replace(b'"DataType:","Net MFI"', b'"DataType:","Count"')
    assert "the block 'Count' a second time" in refusal(content)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"9000.5"', b'"9000.5","7"', "6 cells"),
        (b'"9000.5"', b'"many"', "'many'"),
        (b'"9000.5"', b'"9,000"', "lone ,"),
        (b'"51","61"', b'"51.5","61"', "a whole number of beads"),
        (b'"51","61"', b'"-51","61"', "at least 0"),
        (b'"2(1,B1)"', b'"B one"', "a location such as 1(1,A1)"),
        (b'"DataType:","Median"', b'"DataType:","Mean"', "no block Median"),
        (b'"Dilution Factor"\r\n"1(1', b'"Dilution Faktor"\r\n"1(1', "Dilution Factor"),
    ],
)
def test_a_damaged_cell_is_refused_with_what_is_allowed(old: bytes, new: bytes, said: str) -> None:
    content = xponent()
    assert old in content
    assert said in refusal(content.replace(old, new, 1))


def test_a_file_that_was_cut_is_refused_or_told() -> None:
    content = xponent()
    within_median = content.index(b'"3(1,C1)"')
    assert "-- CRC --" in refusal(content[:within_median])
    within_dilutions = content.rindex(b'"4(1,D1)"')
    assert "D01" in refusal(content[:within_dilutions])
    assert checks(read(xponent(end=False))) == {"no_end"}


def test_no_date_operator_or_run_of_the_header_is_kept() -> None:
    plate = read(xponent(blocks(Result=located(RESULT)[:5])).replace(b" pg/mL", b""))
    kept = repr(plate) + plate.wells.to_csv()
    for private in ("doe", "SERIAL77", "03/02", "2021"):
        assert private not in kept


def test_a_date_in_the_name_of_an_analyte_is_redacted() -> None:
    content = xponent().replace(b"IFNg", b"IFNg 2021-03-02")
    assert set(read(content).wells["target"]) == {"IL-6", "IFNg <date>"}


def test_hostile_cells_stay_text() -> None:
    content = xponent().replace(b"P-01", b"=cmd|' /C calc'!A0")
    assert of(read(content), "D01")["sample_name"].startswith("=cmd")


numbers = st.floats(0, 3e6, allow_nan=False).map(lambda v: f"{v:.5f}")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), st.permutations(range(4)))
def test_each_number_is_the_cell_of_its_well_in_any_order_of_rows(
    values: list[tuple[str, str]], order: list[int]
) -> None:
    median = located(values)
    shuffled = [median[0], *(median[1 + i] for i in order)]
    plate = read(xponent({"Median": shuffled, "Count": located(COUNT)}))
    for (well, _), pair, counts in zip(WELLS, values, COUNT, strict=True):
        for target, text, count in zip(ANALYTES, pair, counts, strict=True):
            found = of(plate, f"{well[0]}01", target)
            assert found["signal"] == float(text)
            assert found["bead_count"] == int(count)


EXAMPLES = int(os.environ.get("CARTRACE_FUZZ_EXAMPLES", "60"))
WHOLE = xponent(
    blocks(
        **{"Result": located(RESULT[:2] * 2), "Standard Expected Concentration": named("Reagent", EXPECTED)}
    )
)
ODD = [
    b"",
    b"NaN",
    b"27,35",
    b"1e999",
    b"-5",
    b'"',
    b'""',
    b"\xff",
    b"A1",
    b"1(1,A1)",
    b"\x00",
    b"DataType:",
    b"=1+1",
]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.data())
def test_a_damaged_file_is_refused_or_keeps_its_other_wells(data: st.DataObject) -> None:
    lines = WHOLE.split(b"\r\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    cells = lines[at].split(b",")
    kind = data.draw(st.sampled_from(["cell", "drop cell", "drop line", "twice", "cut"]))
    place = data.draw(st.integers(0, len(cells) - 1))
    if kind == "cell":
        cells[place] = data.draw(st.sampled_from(ODD))
        lines[at] = b",".join(cells)
    elif kind == "drop cell":
        lines[at] = b",".join(cells[:place] + cells[place + 1 :])
    elif kind == "drop line":
        del lines[at]
    elif kind == "twice":
        lines.insert(at, lines[at])
    damaged = b"\r\n".join(lines)
    if kind == "cut":
        damaged = WHOLE[: data.draw(st.integers(0, len(WHOLE)))]
    try:
        after = read(damaged)
    except InputError:
        return
    columns = ["signal", "bead_count", "nominal"]
    old, new = (
        w.set_index(["well", "target"])[columns].astype("string").fillna("")
        for w in (read(WHOLE).wells, after.wells)
    )
    both = old.index.intersection(new.index)
    changed = (old.loc[both] != new.loc[both]).any(axis=1).sum()
    # One damage reaches one well, or the nominal of one name, or a whole block that is told.
    assert changed <= 2 or after.remarks
