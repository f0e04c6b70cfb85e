"""QIAcuity csv in its forms, in files that the tests write."""

from __future__ import annotations

import math

import pytest

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

FIRST = (
    ",Sample/NTC/Control,Type,Plate ID,Reaction Mix,Target,IC,Control type,Concentration (copies/µL),CI (95%),"
    "Partitions (valid),Partitions (positive),Partitions (negative),Threshold"
)
MEANS = (
    '"","Sample/NTC/Control","Reaction Mix","Target","IC","Control type","Conc. [copies/µL]","CI (95%)",'
    '"Mean conc. [copies/µL]","CI (95%)","SD","CV%","Partitions (valid)","Partitions (positive)",'
    '"Partitions (negative)","Threshold"'
)
VOLUMES = (
    '"Plate name","Plate ID","Plate type","Well","Sample/NTC/Control","Type","Reaction Mix","Target (Name)",'
    '"Target (IC)","Target (Control)","Conc. [cp/µL] (dPCR reaction)","Conc. [cp/mL] (dPCR reaction)",'
    '"CI (95%) (dPCR reaction)","Conc. [cp/µL] (undiluted sample)","Partitions (Valid)","Partitions (Positive)",'
    '"Partitions (Negative)","Threshold","Volume per well [µl]","Concentration factor","Template volume [µl]",'
    '"Total volume [µl]"'
)


def first(well: str = "A1", *, kind: str = "Sample", rest: str = "86.5,4.60%,25400,1780,23620,53.5") -> str:
    return f"{well},S1,{kind},P1,mix,CAR,-,-,{rest}"


def volumes(
    well: str,
    *,
    volume: float = 2.8,
    chambers: int = 8510,
    counts: tuple[int, int] = (8200, 4100),
    plate: str = '"","",""',
    total: float = 12.0,
    concentration: float | None = None,
) -> str:
    """Write a row whose concentration follows from the volume, as the software computes it."""
    valid, positive = counts
    if concentration is None:
        concentration = round(-math.log1p(-positive / valid) / (1000 * volume / chambers) * 1000, 1)
    return (
        f'{plate},"{well}","S1","Sample","mix","CAR","-","-","{concentration}","1.5","3.0%","2.5","{valid}",'
        f'"{positive}","{valid - positive}","40.5","{volume}","50","3.0","{total}"'
    )


def read(*lines: str, encoding: str = "utf-8") -> Plate:
    return read_plate("\n".join(lines).encode(encoding), "data/run.csv", ReadOptions())


def refusal(*lines: str) -> str:
    with pytest.raises(InputError) as error:
        read(*lines)
    return str(error.value)


def test_the_form_with_types_is_read_and_percent_become_limits() -> None:
    plate = read("sep=,,,,,,,,,,,,,", FIRST, first(), first("B1", kind="Non Template Control"))
    well = plate.wells.iloc[0]
    assert (plate.family, plate.instrument, plate.platform) == ("qiacuity", "QIAcuity", "qiacuity_26k")
    assert (well["well"], well["sample_name"], well["target"]) == ("A01", "S1", "CAR")
    assert (well["positives"], well["partitions"], well["threshold"]) == (1780, 25400, 53.5)
    # 86.5 -+ 4.6 %
    assert well["vendor_lower"] == pytest.approx(82.521)
    assert well["vendor_upper"] == pytest.approx(90.479)
    assert plate.wells["task"].tolist() == ["unknown", "ntc"]
    assert plate.wells["partition_volume_nl"].isna().all()
    assert plate.reaction_ul is None


def test_a_control_of_no_named_kind_is_used_for_nothing_and_told() -> None:
    plate = read(FIRST, first(kind="Control"))
    assert plate.wells["task"].tolist() == ["other"]
    assert [r.check for r in plate.remarks] == ["task"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_of_two_columns_of_one_name_the_first_is_the_wells(encoding: str) -> None:
    plate = read(
        "sep=,",
        MEANS,
        '"A1","S1","mix","CAR","-","-","100.0","10.0%","55.5","62.8%","12.5","14.7%","25400","1800","23600","66.1"',
        '"A2","S1","mix","CAR","-","-","0.000","-","55.5","62.8%","12.5","14.7%","25300","0","25300","66.1"',
        '"A3","S1","mix","CAR","-","-","0.050","147.5%","55.5","62.8%","12.5","14.7%","25350","1","25349","66.1"',
        encoding=encoding,
    )
    assert plate.wells["vendor_concentration"].tolist() == [100.0, 0.0, 0.05]
    lower, upper = plate.wells["vendor_lower"], plate.wells["vendor_upper"]
    assert (lower[0], upper[0]) == pytest.approx((90.0, 110.0))
    assert math.isnan(lower[1])
    assert math.isnan(upper[1])
    assert (lower[2], upper[2]) == pytest.approx((0.0, 0.12375))
    assert plate.wells["task"].tolist() == ["unknown"] * 3


def test_a_micro_sign_that_was_lost_when_the_file_was_saved_again_is_known() -> None:
    plate = read("sep=,", FIRST.replace("µ", "\ufffd"), first())
    assert plate.wells["vendor_concentration"].tolist() == [86.5]


def test_the_partition_volume_of_a_nanoplate_8_5k_is_the_volume_by_its_chambers() -> None:
    plate = read(
        "\ufeffsep=,",
        VOLUMES,
        volumes("A1", plate='"run 1","abc","Nanoplate 8.5K 96-well"'),
        volumes("A2", volume=2.6),
    )
    assert plate.platform == "qiacuity_8.5k"
    # 2800 nL and 2600 nL / 8510
    assert plate.wells["partition_volume_nl"].tolist() == pytest.approx([0.32902468, 0.30552291])
    assert plate.wells["dilution"].tolist() == [50.0, 50.0]
    assert plate.wells["target"].tolist() == ["CAR", "CAR"]
    assert plate.reaction_ul == 12.0
    assert plate.remarks == ()


def test_chambers_that_nobody_knows_follow_from_concentrations_that_agree() -> None:
    name = '"run 1","abc","Nanoplate 26K 24-well"'
    rows = [
        volumes(f"A{i}", volume=20 + i, chambers=25_600, counts=(25_000, 9_000), plate=name)
        for i in (1, 2, 3)
    ]
    plate = read(VOLUMES, *rows)
    assert plate.platform == "qiacuity_26k"
    assert plate.wells["partition_volume_nl"].tolist() == pytest.approx(
        [0.8203125, 0.859375, 0.8984375], rel=1e-4
    )
    assert [r.check for r in plate.remarks] == ["partition_volume"]


def test_chambers_stay_unknown_where_concentrations_disagree() -> None:
    name = '"run 1","abc","Nanoplate 26K 24-well"'
    rows = [
        volumes(f"A{i}", volume=21, chambers=25_600 + 300 * i, counts=(25_000, 9_000), plate=name)
        for i in (1, 2, 3)
    ]
    plate = read(VOLUMES, *rows)
    assert plate.wells["partition_volume_nl"].isna().all()
    assert "gives no partition volume" in plate.remarks[0].message


def test_different_reaction_volumes_are_no_reaction_volume() -> None:
    name = '"run 1","abc","Nanoplate 8.5K 96-well"'
    plate = read(VOLUMES, volumes("A1", plate=name), volumes("A2", plate=name, total=40.0))
    assert plate.reaction_ul is None


def test_counts_that_do_not_add_up_and_bad_percents_are_problems() -> None:
    text = refusal(FIRST, first(rest="86.5,4.60%,25400,1780,23621,53.5"), first("B1", rest="86.5,x%,9,4,5,1"))
    assert "row 2, column 'Partitions (positive)': found 1780 positives and 23621 negatives of 25400" in text
    assert "row 3, column 'CI (95%)': found 'x'" in text


def test_a_missing_column_is_named() -> None:
    assert "column 'Concentration (copies/uL)'" in refusal(
        FIRST.replace("Concentration (copies/µL)", "Amount"), first()
    )


@pytest.mark.parametrize("blanked", ["", "Conc. [cp/µL] (sample)"])
def test_the_concentration_of_the_undiluted_sample_is_never_that_of_the_reaction(blanked: str) -> None:
    header = VOLUMES.replace("Conc. [cp/µL] (dPCR reaction)", blanked)
    assert "which is not that of the reaction" in refusal(header, volumes("A1"))


def test_the_interval_of_the_undiluted_sample_is_never_that_of_the_reaction() -> None:
    header = VOLUMES.replace("CI (95%) (dPCR reaction)", "CI (95%) (undiluted sample)")
    assert read(header, volumes("A1")).wells["vendor_lower"].isna().all()


def test_two_plates_in_one_file_are_refused() -> None:
    assert "target 'CAR' of well 'A01' a second time" in refusal(FIRST, first(), first())
