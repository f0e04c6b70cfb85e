"""QuantaSoft csv, in files that the tests write."""

from __future__ import annotations

import pytest

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

OLD = (
    "Well,ExptType,Experiment,Sample,TypeAssay,Assay,Status,Concentration,TotalConfMax,TotalConfMin,"
    "PoissonConfMax,PoissonConfMin,Positives,Negatives,Ch1+Ch2+,Ch1+Ch2-,Ch1-Ch2+,Ch1-Ch2-,Linkage,"
    "AcceptedDroplets,CNV,MeanAmplitudeTotal,ExperimentComments,MergedWells"
)
NEW = (
    "Well,ExptType,Experiment,Sample,TargetType,Target,Status,Concentration,Supermix,CopiesPer20uLWell,"
    "PoissonConfMax,PoissonConfMin,Positives,Negatives,AcceptedDroplets,Threshold,ExperimentComments,MergedWells,"
    "PoissonConfMax68"
)


def new(
    well: str = "A01",
    *,
    kind: str = "Ch1Unknown",
    target: str = "CAR",
    concentration: str = "60.3",
    counts: tuple[object, object, object] = (1000, 19000, 20000),
    status: str = "Manual",
    merged: str = "",
) -> str:
    positives, negatives, accepted = counts
    return (
        f'"{well}",Absolute Quantification,"EXP","S1",{kind},"{target}","{status}",{concentration},mix,1206,64.1,56.5,'
        f'{positives},{negatives},{accepted},3000,"",{merged},62.2,'
    )


def old(last: str) -> str:
    return f'"A01",Absolute Quantification,"","S1",Ch2NTC,"RPP30","",0,,,0.17,0,0,20000,0,0,0,20000,0,20000,,1000.5,{last}'


def read(header: str, *rows: str, start: str = "") -> Plate:
    return read_plate((start + "\n".join([header, *rows])).encode(), "data/run.csv", ReadOptions())


def refusal(header: str, *rows: str) -> str:
    with pytest.raises(InputError) as error:
        read(header, *rows)
    return str(error.value)


def test_the_form_of_1_7_is_read_with_a_comma_more_in_its_rows() -> None:
    plate = read(NEW, new(), new(kind="Ch2Reference", target="RPP30"))
    well = plate.wells.iloc[0]
    assert plate.family == "quantasoft"
    assert (plate.method, plate.platform, plate.reaction_ul) == ("dpcr", "", 20.0)
    assert (well["well"], well["sample_name"], well["target"], well["reporter"]) == (
        "A01",
        "S1",
        "CAR",
        "Ch1",
    )
    assert (well["positives"], well["partitions"], well["threshold"]) == (1000, 20000, 3000)
    assert (well["vendor_concentration"], well["vendor_lower"], well["vendor_upper"]) == (60.3, 56.5, 64.1)
    assert plate.wells["task"].tolist() == ["unknown", "unknown"]
    assert plate.wells["source_row"].tolist() == [2, 3]
    assert plate.remarks == ()


def test_the_form_of_the_qx100_names_assays_and_lacks_the_last_cell() -> None:
    plate = read(OLD, old('""'))
    well = plate.wells.iloc[0]
    assert (well["target"], well["reporter"], well["task"]) == ("RPP30", "Ch2", "ntc")
    assert (well["positives"], well["partitions"], well["vendor_upper"]) == (0, 20000, 0.17)
    assert plate.reaction_ul is None


def test_a_byte_order_mark_and_a_line_sep_change_nothing() -> None:
    assert read(NEW, new()).wells.equals(read(NEW, new(), start="\ufeff").wells)
    below = read(NEW, new(), start="sep=,\n").wells
    assert below["source_row"].tolist() == [3]
    assert below.drop(columns="source_row").equals(read(NEW, new()).wells.drop(columns="source_row"))


@pytest.mark.parametrize("merged", ['"(A01,B01,C01)"', "(A01,B01,C01)"])
def test_merged_wells_are_read_with_and_without_quotes(merged: str) -> None:
    plate = read(NEW, new(), new("M01", merged=merged))
    assert plate.wells["pooled_wells"].fillna("").tolist() == ["", "A01;B01;C01"]
    assert plate.wells["well"].tolist() == ["A01", "M01"]
    assert plate.wells["vendor_upper"].tolist() == [64.1, 64.1]


def test_merged_wells_without_quotes_are_read_in_the_form_of_the_qx100() -> None:
    row = old("(A01,B01)").replace('"A01"', '"M01"')
    assert read(OLD, row).wells["pooled_wells"].tolist() == ["A01;B01"]


def test_a_merged_row_that_hides_its_wells_is_a_problem() -> None:
    assert "row 2, column 'Well': found 'M01'" in refusal(NEW, new("M01"))
    assert "row 2: found" in refusal(NEW, new("M01", merged="(A01,B01"))


def test_a_comma_in_another_cell_is_a_problem_and_moves_nothing() -> None:
    assert "row 2: found 20 cells" in refusal(NEW, new().replace("EXP", 'a","b'))


def test_no_call_is_a_status_and_no_number() -> None:
    well = read(NEW, new(concentration="No Call", counts=("", "", 12000))).wells.iloc[0]
    assert well["vendor_status"] == "No Call; Manual"
    assert well[["vendor_concentration", "positives", "partitions"]].isna().all()


def test_empty_concentrations_of_a_plate_that_was_not_analysed_are_read() -> None:
    wells = read(NEW, new(concentration="", counts=("", "", ""))).wells
    assert wells[["vendor_concentration", "positives", "partitions"]].isna().all(axis=None)


def test_counts_that_do_not_add_up_are_a_problem() -> None:
    text = refusal(NEW, new(counts=(1000, 18000, 20000)), new("B01", counts=(1000, "", 20000)))
    assert "row 2, column 'Positives': found 1000 positives and 18000 negatives of 20000 partitions" in text
    assert "row 3, column 'Negatives': found no number in Negatives" in text


def test_a_type_that_nobody_knows_is_used_for_nothing_and_told() -> None:
    plate = read(NEW, new(kind="Ch1Blank"))
    assert plate.wells["task"].tolist() == ["other"]
    assert [r.check for r in plate.remarks] == ["task"]


def test_a_concentration_that_no_volume_explains_is_told() -> None:
    # 1000 of 20000: lambda 0.0513; 60.3 copies/uL imply 0.85 nL and 6.03 copies/uL 8.5 nL.
    plate = read(NEW, new(concentration="6.03"), new("B01", concentration="0"), new("C01"))
    assert [(r.check, r.row) for r in plate.remarks] == [("implied_volume", 2), ("implied_volume", 3)]
    assert "8.51 nL" in plate.remarks[0].message


def test_one_target_twice_in_one_well_is_a_problem() -> None:
    assert "a second time" in refusal(NEW, new(), new())


def test_a_well_that_is_none_is_a_problem() -> None:
    assert "row 2, column 'Well': found 'Z99'" in refusal(NEW, new("Z99"))
    assert "row 2, column 'Well': found an empty cell" in refusal(NEW, new(""))
