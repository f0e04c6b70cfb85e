"""Absolute Q csv in its forms and zip, in files that the tests write."""

from __future__ import annotations

import io
import zipfile

import pytest

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

ROWS = "Run,Date,Instrument,Plate,Group,Name,Well,Total,Dye,Target,Conc. cp/uL,SD,CV%,95%CI,Positives"
SUMMARY = (
    "Run name,Group,Sample,Well,DF,QC,Total,Target,Conc.,SD,CV%,95%DeltaLCI,95%DeltaUCI,Precision %,"
    "Lambda (cp/Rxn),Positives,Threshold,Target,Conc.,SD,CV%,95%DeltaLCI,95%DeltaUCI,Precision %,"
    "Lambda (cp/Rxn),Positives,Threshold,MeanQC,QC Message"
)
DYES = ",,,,,,,FAM,,,,,,,,,,VIC,,,,,,,,,,,"
COMBINATIONS = "Run,Date,Instrument,Plate,Sample,Channels,Count,Copies per microliter,Total"
CHAMBERS = (
    "Run,Date,Instrument,Plate,Well ID,Sample,Index,Reject,ROX,FAM,FAM_pos,FAM_target,FAM_threshold,"
    "VIC,VIC_pos,VIC_target,VIC_threshold"
)


def row(well: str, rest: str, *, name: str = "S1", group: str = "Group 1", dye: str = "FAM") -> str:
    # The run, its date, the instrument and the plate: none of them may be kept.
    return f"secret run,5/19/2023,Absolute Q 1,M01,{group},{name},{well},{rest.replace('DYE', dye)}"


def group(word: str, size: int = 2) -> str:
    return row(word, "20450,DYE,CAR,53.7,69.9,130.2,1.68,460", name="", group=f"Group 1 ({size})")


def summary(well: str, *, factor: str = "1/1.00000", fam: str = "1000", vic: str = "0") -> str:
    return (
        f"run,,S1,{well},{factor},PASS,20000,CAR,118.74,,,7.13,7.59,6.39,0.0513,{fam},13000,"
        f"RPP30,0.00,,,,,,0.0,{vic},1300,10512.4,PASS: fine"
    )


def read(*lines: str) -> Plate:
    return read_plate("\n".join(lines).encode(), "data/run.csv", ReadOptions())


def refusal(*lines: str) -> str:
    with pytest.raises(InputError) as error:
        read(*lines)
    return str(error.value)


def archive(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, text in members.items():
            packed.writestr(f"{name}.csv", text)
    return stream.getvalue()


@pytest.mark.parametrize("word", ["Average", "Pooled", ""])
def test_rows_of_groups_never_become_wells(word: str) -> None:
    plate = read(
        ROWS,
        group(word),
        row("A1", "20000,DYE,CAR,118.74,,,7.13,1000"),
        row("B1", "20100,DYE,CAR,0,,,0,0"),
    )
    assert plate.wells["well"].tolist() == ["A01", "B01"]
    assert plate.wells["source_row"].tolist() == [3, 4]


def test_the_form_with_one_row_for_each_dye_is_read() -> None:
    plate = read(
        ROWS,
        row("A1", "20000,DYE,CAR,118.74,,,7.13,1000"),
        row("A1", "20000,DYE,RPP30,N/A,,,N/A,2000", dye="VIC"),
    )
    well = plate.wells.iloc[0]
    assert (plate.family, plate.platform, plate.instrument) == (
        "absolute_q",
        "absolute_q",
        "QuantStudio Absolute Q",
    )
    assert (well["sample_name"], well["target"], well["reporter"]) == ("S1", "CAR", "FAM")
    assert (well["positives"], well["partitions"]) == (1000, 20000)
    # The one interval column is the distance to the lower limit.
    assert (well["vendor_concentration"], well["vendor_lower"]) == (118.74, pytest.approx(111.61))
    assert plate.wells["vendor_upper"].isna().all()
    assert plate.wells["vendor_concentration"].isna().tolist() == [False, True]
    assert plate.remarks == ()


def test_nothing_of_the_run_is_kept() -> None:
    plate = read(ROWS, row("A1", "20000,DYE,CAR,118.74,,,7.13,1000"))
    text = plate.wells.to_csv() + repr(plate)
    assert "secret" not in text
    assert "2023" not in text


def test_a_group_that_lacks_a_well_is_a_problem() -> None:
    text = refusal(ROWS, group("Average", 3), row("A1", "20000,DYE,CAR,118.74,,,7.13,1000"))
    assert "row 2, column 'Group': found 1 wells of 'Group 1'; allowed: 3, as this row says" in text


def test_a_well_without_name_is_no_group_when_it_has_a_sample() -> None:
    assert "row 2, column 'Well'" in refusal(ROWS, row("", "20000,DYE,CAR,118.74,,,7.13,1000"))


def test_a_concentration_that_does_not_fit_the_positives_is_told() -> None:
    plate = read(ROWS, row("A1", "20000,DYE,CAR,5,,,1.1,0"), row("B1", "20000,DYE,CAR,11.87,,,1.1,1000"))
    assert [(r.check, r.row) for r in plate.remarks] == [("implied_volume", 2), ("implied_volume", 3)]


def test_more_positives_than_chambers_are_a_problem() -> None:
    assert "20001 positives of 20000" in refusal(ROWS, row("A1", "20000,DYE,CAR,5,,,1.1,20001"))


def test_the_summary_has_its_columns_once_for_each_dye() -> None:
    plate = read(DYES, SUMMARY, summary("A1"), summary("A2", factor="1/5.0"))
    wells = plate.wells
    assert wells[["well", "reporter", "target"]].to_numpy().tolist() == [
        ["A01", "FAM", "CAR"],
        ["A02", "FAM", "CAR"],
        ["A01", "VIC", "RPP30"],
        ["A02", "VIC", "RPP30"],
    ]
    assert wells["positives"].tolist() == [1000, 1000, 0, 0]
    assert wells["threshold"].tolist() == [13000, 13000, 1300, 1300]
    assert wells["dilution"].tolist() == [1, 5, 1, 5]
    assert wells["vendor_status"].tolist() == ["PASS"] * 4
    assert (wells["vendor_lower"][0], wells["vendor_upper"][0]) == pytest.approx((111.61, 126.33))
    # Whether the concentration counts the dilution, no file tells.
    assert wells["vendor_concentration"].isna().tolist() == [False, True, False, True]
    assert {r.check for r in plate.remarks} == {"dilution"}


def test_a_summary_without_its_line_of_dyes_is_refused() -> None:
    assert "the dye above each column 'Target'" in refusal("", SUMMARY, summary("A1"))


def test_the_positives_of_a_channel_are_summed_over_combinations() -> None:
    def line(sample: str, channels: str, count: int, total: int) -> str:
        return f"run,2023-05-24 19:45:43,1,M01,{sample},{channels},{count},1.5,{total}"

    plate = read(
        COMBINATIONS,
        line("S1", "", 19000, 20000),
        line("S1", "FAM", 700, 20000),
        line("S1", "VIC", 200, 20000),
        line("S1", "FAM VIC", 100, 20000),
        line("S2", "", 20100, 20100),
        line("S2", "FAM", 0, 0),
    )
    assert plate.wells[["target", "positives", "partitions"]].to_numpy().tolist() == [
        ["FAM", 800, 20000],
        ["VIC", 300, 20000],
        ["FAM", 0, 20100],
    ]
    text = refusal(COMBINATIONS, line("S1", "", 19000, 20000), line("S1", "FAM", 700, 20000))
    assert "found 19700 chambers in all combinations" in text
    # A damaged name of a channel would take its positives away.
    lost = refusal(
        COMBINATIONS,
        line("S1", "", 10, 40),
        line("S1", "FAM", 10, 40),
        line("S1", "VIC", 10, 40),
        line("S1", "FM VIC", 10, 40),
    )
    assert "found 4 combinations of 3 channels; allowed: all 8" in lost
    twice = refusal(COMBINATIONS, line("S1", "FAM VIC", 10, 20), line("S1", "VIC FAM", 10, 20))
    assert "this combination of this sample a second time" in twice


def chamber(
    i: int, fam: float, pos: str, *, reject: str = "False", well: str = "A1", target: str = "CAR"
) -> str:
    return f"run,2023-05-24,1,M01,{well},S1,{i},{reject},10824.2,{fam},{pos},{target},13000,31.5,False,RPP30,1300"


def test_chambers_are_counted_as_called_and_rejected_ones_left_out() -> None:
    plate = read(
        CHAMBERS,
        chamber(1, 26754.5, "True"),
        chamber(2, 2673.7, "False"),
        chamber(3, 30000, "True", reject="True"),
        chamber(4, -123.5, "False"),
        chamber(1, 26754.5, "True", well="B1"),
    )
    assert plate.wells[["well", "target", "positives", "partitions", "threshold"]].to_numpy().tolist() == [
        ["A01", "CAR", 1, 3, 13000],
        ["B01", "CAR", 1, 1, 13000],
        ["A01", "RPP30", 0, 3, 1300],
        ["B01", "RPP30", 0, 1, 1300],
    ]
    shown = plate.amplitudes
    assert shown["amplitude"].tolist() == [26754.5, 2673.7, -123.5, 26754.5, 31.5, 31.5, 31.5, 31.5]
    assert shown["positive"].tolist() == [True, False, False, True, False, False, False, False]
    assert shown["channel"].tolist() == ["FAM"] * 4 + ["VIC"] * 4
    assert plate.remarks == ()


def test_chambers_called_against_their_threshold_are_told() -> None:
    plate = read(CHAMBERS, chamber(1, 12999, "True"), chamber(2, 26754.5, "True"))
    assert plate.wells["positives"].tolist() == [2, 0]
    assert [r.check for r in plate.remarks] == ["threshold"]


def test_faults_of_chambers_are_all_told() -> None:
    text = refusal(CHAMBERS, chamber(1, 26754.5, "True"), chamber(2, 1.5, "False"), "run,2023-05-24,1,M01,A1")
    assert "row 4: found 5 cells; allowed: 17, as in the header" in text
    text = refusal(
        CHAMBERS, chamber(1, 26754.5, "perhaps"), chamber(2, 1.5, "False").replace("1.5,F", "x,F", 1)
    )
    assert "row 2, column 'fam pos': found 'perhaps'" in text
    assert "row 3, column 'fam': found 'x'" in refusal(
        CHAMBERS, chamber(1, 26754.5, "True"), chamber(2, 1.5, "False").replace(",1.5,F", ",x,F", 1)
    )
    again = refusal(CHAMBERS, chamber(1, 26754.5, "True"), chamber(1, 1.5, "False", well="A1"))
    assert "row 3, column 'Index': found this chamber of this well a second time" in again
    assert "found 'Average'" in refusal(CHAMBERS, chamber(1, 26754.5, "True", well="Average"))
    two = refusal(CHAMBERS, chamber(1, 26754.5, "True"), chamber(2, 1.5, "False", target="other"))
    assert "found 2 values in well 'A01'" in two


def test_the_summary_of_an_archive_is_read_and_empty_members_are_not() -> None:
    text = "\n".join([DYES, SUMMARY, summary("A1")])
    content = archive(a_fluorescence="", b_multichannel="", c_summary=text)
    packed = read_plate(content, "data/run.zip", ReadOptions())
    assert packed.wells.equals(read(*text.split("\n")).wells)


def test_an_archive_of_two_runs_is_refused() -> None:
    text = "\n".join([DYES, SUMMARY, summary("A1")])
    with pytest.raises(InputError, match="more than one run"):
        read_plate(archive(a=text, b=text), "data/run.zip", ReadOptions())


def test_an_archive_without_a_known_table_is_refused() -> None:
    with pytest.raises(InputError, match="no reader knows"):
        read_plate(archive(a="x,y\n1,2"), "data/run.zip", ReadOptions())
