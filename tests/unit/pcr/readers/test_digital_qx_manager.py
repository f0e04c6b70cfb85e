"""QX Manager csv and xlsx and its cluster csv, in files that the tests write."""

from __future__ import annotations

import io

import openpyxl
import pytest

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

LONG = (
    "Well,Sample description 1,Sample description 2,Sample description 3,Sample description 4,Target,"
    "Conc(copies/µL),pg/µL,Status,Status Reason,Experiment,SampleType,TargetType,Supermix,DyeName(s),"
    "Copies/20µLWell,PoissonConfMax,PoissonConfMin,Accepted Droplets,Positives,Negatives,Threshold1,MergedWells,"
    "Ch1+Ch2+"
)
SHORT = (
    "Well,Sample description 1,Sample description 2,Sample description 3,Sample description 4,Target,"
    "Conc(copies/uL),Status,Experiment,SampleType,TargetType,Supermix,DyeName(s),Accepted Droplets,Positives,Negatives"
)


def row(
    well: str = "A01",
    *,
    samples: str = "S1,,,",
    target: str = "CAR",
    concentration: str = "60.35",
    status: str = "OK,",
    kind: str = "Unknown",
    dyes: str = "FAM",
    counts: str = "20000,1000,19000",
    merged: str = "",
) -> str:
    return (
        f"{well},{samples},{target},{concentration},,{status},DQ,{kind},Unknown,mix,{dyes},1207,64.1,56.6,{counts},"
        f'3000,"{merged}",7'
    )


def read(*lines: str, encoding: str = "utf-8") -> Plate:
    return read_plate("\r\n".join(lines).encode(encoding), "data/run.csv", ReadOptions())


def refusal(*lines: str) -> str:
    with pytest.raises(InputError) as error:
        read(*lines)
    return str(error.value)


def workbook(*lines: str) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data Table")
    for line in lines:
        cells = [c.strip('"') for c in line.split(",")]
        sheet.append([float(c) if c.replace(".", "").isdigit() else c or None for c in cells])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_the_long_form_is_read() -> None:
    plate = read(
        LONG, row(), row(target="RPP30", dyes="HEX", counts="20000,3000,17000", concentration="191.2")
    )
    well = plate.wells.iloc[0]
    assert (plate.family, plate.software, plate.platform, plate.reaction_ul) == (
        "qx_manager",
        "QX Manager",
        "",
        20.0,
    )
    assert (well["well"], well["sample_name"], well["target"], well["reporter"]) == (
        "A01",
        "S1",
        "CAR",
        "FAM",
    )
    assert (well["positives"], well["partitions"], well["threshold"]) == (1000, 20000, 3000)
    assert (well["vendor_concentration"], well["vendor_lower"], well["vendor_upper"]) == (60.35, 56.6, 64.1)
    assert plate.wells["vendor_status"].tolist() == ["OK", "OK"]
    assert plate.remarks == ()


def test_the_short_form_is_read() -> None:
    plate = read(SHORT, "A01,S1,,,,CAR,60.35,OK,DQ,Unknown,Unknown,mix,FAM,20000,1000,19000")
    assert plate.wells[["positives", "partitions"]].to_numpy().tolist() == [[1000, 20000]]
    assert plate.wells["vendor_upper"].isna().all()
    assert plate.reaction_ul is None


def test_the_form_of_quantasoft_analysis_pro_has_one_column_sample() -> None:
    header = SHORT.replace(
        "Sample description 1,Sample description 2,Sample description 3,Sample description 4", "Sample"
    )
    plate = read(header, "A01,S1,CAR,60.35,OK,DQ,Unknown,Unknown,mix,FAM,20000,1000,19000")
    assert plate.software == "QuantaSoft Analysis Pro"
    assert plate.wells["sample_name"].tolist() == ["S1"]


def test_a_workbook_says_the_same_as_the_csv() -> None:
    lines = (LONG, row(), row("B01", samples="7,,,", status=","))
    book = read_plate(workbook(*lines), "data/run.xlsx", ReadOptions())
    assert book.wells.equals(read(*lines).wells)
    assert book.reaction_ul == 20.0


@pytest.mark.parametrize("micro", ["µ", "μ", "u", "\ufffd"])
def test_the_micro_sign_may_be_any_of_its_forms(micro: str) -> None:
    plate = read(LONG.replace("µ", micro), row())
    assert plate.wells["vendor_concentration"].tolist() == [60.35]


def test_windows_1252_a_line_sep_and_semicolons_change_nothing() -> None:
    usual = read(LONG, row()).wells
    assert read(LONG, row(), encoding="cp1252").wells.equals(usual)
    other = read("sep=;", LONG.replace(",", ";"), row().replace(",", ";")).wells
    assert other["source_row"].tolist() == [3]
    assert other.drop(columns="source_row").equals(usual.drop(columns="source_row"))


def test_sample_descriptions_are_joined_where_they_say_something() -> None:
    plate = read(LONG, row(samples="S1,D14,,rep 2"), row("B01", samples=",,,"))
    assert plate.wells["sample_name"].fillna("").tolist() == ["S1 | D14 | rep 2", ""]


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("Unknown", "unknown"),
        ("NTC", "ntc"),
        ("PosCtrl", "positive_control"),
        ("NegCtrl", "negative_control"),
    ],
)
def test_sample_types_become_tasks(kind: str, task: str) -> None:
    assert read(LONG, row(kind=kind)).wells["task"].tolist() == [task]


def test_two_dyes_of_one_target_stay_together() -> None:
    assert read(LONG, row(dyes='"FAM,HEX"')).wells["reporter"].tolist() == ["FAM,HEX"]


def test_no_call_and_its_reason_are_kept() -> None:
    plate = read(LONG, row(concentration="No Call", status="CHECK,few droplets", counts="800,,"))
    assert plate.wells["vendor_status"].tolist() == ["No Call; CHECK; few droplets"]
    assert plate.wells[["positives", "partitions", "vendor_concentration"]].isna().all(axis=None)


def test_merged_wells_are_named() -> None:
    plate = read(LONG, row(), row("M01", merged="(A01,B01)", counts="40000,2000,38000"))
    assert plate.wells["pooled_wells"].fillna("").tolist() == ["", "A01;B01"]


def test_counts_that_do_not_add_up_are_a_problem_that_tells_of_unclassified_droplets() -> None:
    text = refusal(LONG, row(counts="20000,1000,18500"))
    assert "found 1000 positives and 18500 negatives of 20000 partitions" in text
    assert "unclassified" in text


def test_a_row_that_was_cut_is_a_problem() -> None:
    assert "row 3: found 3 cells" in refusal(LONG, row(), "B01,S1,")


CLUSTERS = (
    "Target value of 0 = negative",
    "Target value of 1 = positive",
    "Target value of u = unclassified(Advanced Classification Method)",
    "",
    "Well,Target 1,Target 2,Count,Ch1 Mean,Ch1 StdDev,Ch2 Mean,Ch2 StdDev,Cluster ID",
)


def test_clusters_are_counted_by_target() -> None:
    plate = read(
        *CLUSTERS,
        "A01,0,0,15000,300.1,29.5,784.3,44.2,1,",
        "A01,1,0,40,3855.1,720.7,789.8,138.8,2,",
        "A01,0,1,900,373.0,71.8,1831.9,206.9,3,",
        "A01,1,1,10,314.3,0,809.2,0,4,",
        "B01,0,0,14000,300.1,29.5,784.3,44.2,1,",
    )
    read_back = plate.wells[["well", "target", "positives", "partitions"]].to_numpy().tolist()
    assert read_back == [
        ["A01", "Target 1", 50, 15950],
        ["A01", "Target 2", 910, 15950],
        ["B01", "Target 1", 0, 14000],
        ["B01", "Target 2", 0, 14000],
    ]
    assert plate.wells["vendor_concentration"].isna().all()
    assert plate.wells["source_row"].tolist() == [6, 6, 10, 10]


def test_unclassified_droplets_count_for_nothing_and_are_told() -> None:
    plate = read(*CLUSTERS, "A01,0,0,15000,1,1,1,1,1,", "A01,u,1,30,1,1,1,1,2,")
    assert plate.wells[["positives", "partitions"]].to_numpy().tolist() == [[0, 15000], [30, 15030]]
    assert [r.check for r in plate.remarks] == ["unclassified"]
    assert "30 droplets" in plate.remarks[0].message


def test_a_cluster_twice_and_an_unknown_call_are_problems() -> None:
    text = refusal(*CLUSTERS, "A01,0,0,15000,1,1,1,1,1,", "A01,0,0,4,1,1,1,1,2,", "A01,0,2,4,1,1,1,1,3,")
    assert "row 7: found this cluster of this well a second time" in text
    assert "row 8, column 'Target 2': found '2'" in text
