"""What the readers of plate readers' files must get right, on made-up files."""

from __future__ import annotations

from datetime import time
from typing import Any

import pandas as pd
import pytest
from tests.unit.immunoassay.readers import made_plates as made

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions
from cartrace.problems import InputError, holds_date


def read(content: bytes, **options: Any) -> Plate:
    return read_plate(content, "data/x", ReadOptions(**options))


def faults(content: bytes, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(content, **options)
    return str(caught.value)


def of(plate: Plate, well: str, target: str | None = None) -> pd.Series[Any]:
    rows = plate.wells[plate.wells["well"] == well]
    if target is not None:
        rows = rows[rows["target"] == target]
    assert len(rows) == 1
    return rows.iloc[0]


def by_well(plate: Plate, column: str = "signal") -> dict[str, Any]:
    return dict(zip(plate.wells["well"], plate.wells[column], strict=True))


def signals(read_of: Any = made.od, times: float = 1.0) -> dict[str, Any]:
    return {w: pytest.approx(times * read_of(w[0], int(w[1:])), abs=1e-9) for w in made.wells()}


@pytest.mark.parametrize("writer", made.WRITERS)
class TestEveryFamily:
    def test_each_well_has_its_own_signal(self, writer: str) -> None:
        plate = read(made.WRITERS[writer]())
        assert plate.family == made.FAMILY.get(writer, writer)
        times = 10_000 if writer == "methodical" else 1
        assert by_well(plate) == signals(times=times)

    def test_no_date_of_the_file_is_kept(self, writer: str) -> None:
        plate = read(made.WRITERS[writer]())
        said = [plate.instrument, plate.software, plate.software_version, *(r.message for r in plate.remarks)]
        words = plate.wells[["sample_name", "target", "vendor_status", "source_column"]]
        said += [t for row in words.to_numpy() for t in row if not pd.isna(t)]
        assert not [t for t in said if holds_date(t)]

    def test_a_file_of_bytes_that_are_no_text_is_refused(self, writer: str) -> None:
        assert "problem" in faults(made.WRITERS[writer]()[:200] + b"\x00\xff\xfe")


class TestSoftMaxPro:
    def test_groups_say_what_is_in_the_wells(self) -> None:
        plate = read(made.softmax())
        standard = of(plate, "A02")
        assert standard["task"] == "standard"
        assert standard["nominal"] == 100
        assert pd.isna(standard["dilution"])
        assert plate.units == {"": "ng/mL"}
        control, unknown = of(plate, "G01"), of(plate, "B04")
        assert (control["task"], control["dilution"]) == ("control", 150)
        assert (unknown["task"], unknown["dilution"]) == ("unknown", 100)
        assert unknown["vendor_concentration"] == made.concentration("B", 4)
        assert plate.curves[""].r2 == 0.999

    def test_a_number_alone_stands_with_its_group_but_for_unknowns(self) -> None:
        plate = read(made.softmax())
        assert of(plate, "A01")["sample_name"] == "Standards 01"
        assert of(plate, "G02")["sample_name"] == "Controls 01"
        assert of(plate, "A04")["sample_name"] == "01"
        twice = made.softmax_group("Unknowns 2", [("01", ["A05", "A06"], "10")], made.od, "Dilution Factor")
        plate = read(made.softmax([made.softmax_plate(), *made.softmax_groups(), twice]))
        assert of(plate, "A06")["sample_name"] == "Unknowns 2 01"
        assert of(plate, "A04")["sample_name"] == "Samples 01"
        assert of(plate, "B04")["sample_name"] == "02"

    def test_a_well_without_a_group_is_kept_without_a_task(self) -> None:
        well = of(read(made.softmax()), "H12")
        assert pd.isna(well["task"])
        assert pd.isna(well["sample_name"])
        assert well["source_column"] == "12"

    def test_the_read_that_the_groups_print_is_found_with_all_its_digits(self) -> None:
        second = made.softmax([made.softmax_plate(), *made.softmax_groups(made.od2)])
        assert by_well(read(second)) == signals(made.od2)
        less = made.softmax(
            [made.softmax_plate(), *made.softmax_groups(lambda r, c: made.od(r, c) - made.od2(r, c))]
        )
        assert by_well(read(less)) == signals(lambda r, c: made.od(r, c) - made.od2(r, c))

    @pytest.mark.parametrize("form", ["PlateFormat", "TimeFormat"])
    def test_reduced_numbers_are_read(self, form: str) -> None:
        def less(r: str, c: int) -> float:
            return round(made.od(r, c) - made.od2(r, c), 4)

        content = made.softmax([made.softmax_plate(form, "Reduced"), *made.softmax_groups(less)])
        assert by_well(read(content)) == signals(less)
        assert by_well(read(content, wavelength="450-650")) == signals(less)

    def test_both_formats_of_raw_numbers_say_the_same(self) -> None:
        one = read(made.softmax())
        other = read(made.softmax([made.softmax_plate("TimeFormat"), *made.softmax_groups()]))
        same = ["well", "sample_name", "task", "signal", "nominal", "dilution", "vendor_concentration"]
        pd.testing.assert_frame_equal(one.wells[same], other.wells[same])

    def test_without_groups_the_read_must_be_named(self) -> None:
        content = made.softmax([made.softmax_plate()])
        assert "2 reads of the plate: '450', '650'" in faults(content)
        assert by_well(read(content, wavelength="650 nm")) == signals(made.od2)
        assert by_well(read(content, wavelength="650-450")) == signals(
            lambda r, c: made.od2(r, c) - made.od(r, c)
        )
        assert "no read '405'" in faults(content, wavelength="405")

    def test_another_read_than_that_of_the_groups_is_taken_with_a_warning(self) -> None:
        plate = read(made.softmax(), wavelength="650")
        assert by_well(plate) == signals(made.od2)
        assert [(r.check, r.verdict) for r in plate.remarks] == [("other_read", "warn")]

    def test_values_that_are_no_read_of_the_plate_are_taken_from_the_groups(self) -> None:
        plate = read(
            made.softmax([made.softmax_plate(), *made.softmax_groups(lambda r, c: 7 + made.od(r, c))])
        )
        assert of(plate, "A01")["signal"] == pytest.approx(7 + made.od("A", 1), abs=5e-4)
        assert len(plate.wells) == 12 + 2 + 16
        assert plate.remarks[0].check == "other_read"

    def test_a_value_that_differs_between_plate_and_group_is_refused(self) -> None:
        groups = made.softmax_groups()
        content = made.softmax([made.softmax_plate(), *groups]).replace(b"A1\t1.989\t", b"A1\t1.889\t")
        assert "found 1.889 in the group and 1.9893 on the plate for A01" in faults(content)

    def test_range_and_masked_wells(self) -> None:
        unknown = made.softmax_group(
            "Unknowns",
            [("P01", ["A05", "A06"], "10")],
            made.od,
            "Dilution Factor",
            values={"A06": "Masked"},
            concentrations={"A05": "Range?", "A06": "Masked"},
        )
        plate = read(made.softmax([made.softmax_plate(), *made.softmax_groups(), unknown]))
        out, masked = of(plate, "A05"), of(plate, "A06")
        assert pd.isna(out["vendor_concentration"])
        assert out["vendor_status"] == "Range?"
        assert out["signal"] == made.od("A", 5)
        assert masked["omitted"]
        assert pd.isna(masked["signal"])

    def test_a_plate_of_several_is_chosen_by_its_name(self) -> None:
        first, second = made.softmax_plate(name="One"), made.softmax_plate(name="Two")
        groups = made.softmax_groups(plate="Two")
        content = made.softmax([first, second, *groups])
        assert "read: {sheet: one of One, Two}" in faults(content)
        assert of(read(content, sheet="Two"), "A01")["task"] == "standard"
        alone = read(content, sheet="One", wavelength="450")
        assert alone.wells["task"].isna().all()
        assert "doesn't say on which plate" in faults(
            made.softmax([first, second, *made.softmax_groups()]), sheet="Two"
        )

    def test_a_lost_sample_name_is_not_the_sample_above(self) -> None:
        content = made.softmax().replace(b"\n02\t100.000\tB3", b"\n \t100.000\tB3")
        assert "a row without a sample" in faults(content)

    def test_a_cut_file_is_refused(self) -> None:
        content = made.softmax()
        cut = content[: content.rindex(b"Group: Samples")]
        assert "found 3 blocks that end with ~End; allowed: 4" in faults(cut)

    def test_kinetic_reads_are_refused(self) -> None:
        assert "the type 'Kinetic'" in faults(made.softmax().replace(b"Endpoint", b"Kinetic"))


class TestGen5:
    def test_the_layout_says_what_is_in_the_wells(self) -> None:
        plate = read(made.gen5())
        standard, blank, control = of(plate, "B02"), of(plate, "G01"), of(plate, "H01")
        assert (standard["sample_name"], standard["task"], standard["nominal"]) == ("STD2", "standard", 50)
        assert (blank["task"], control["task"], control["nominal"]) == ("blank", "control", 30)
        unknown = of(plate, "C05")
        assert (unknown["sample_name"], unknown["task"], unknown["dilution"]) == ("SPL3", "unknown", 4)
        assert of(plate, "C06")["dilution"] == 8
        assert (plate.instrument, plate.software, plate.software_version) == ("Synergy H1", "Gen5", "3.12")

    def test_the_raw_read_is_the_signal_and_the_concentration_is_kept(self) -> None:
        well = of(read(made.gen5()), "D05")
        assert well["signal"] == made.od("D", 5)
        assert well["vendor_concentration"] == made.concentration("D", 5)

    def test_the_curve_is_kept(self) -> None:
        curve = read(made.gen5()).curves[""]
        assert curve.parameters == {"A": 0.05, "B": 1.2, "C": 30.5, "D": 2.5}
        assert curve.r2 == 0.998

    def test_a_line_has_slope_and_intercept_and_a_5pl_has_g(self) -> None:
        line = read(made.gen5(curve=("Curve Name\tCurve Formula\tA\tB\tR2", "S\tY=A*X+B\t0.5\t0.1\t1")))
        assert line.curves[""].parameters == {"slope": 0.5, "intercept": 0.1}
        head = "Curve Name\tCurve Formula\tA\tB\tC\tD\tE\tR2"
        five = read(made.gen5(curve=(head, "S\tY = (A-D)/(1+(X/C)^B)^E + D\t1\t2\t3\t4\t5\t1")))
        assert five.curves[""].parameters == {"A": 1, "B": 2, "C": 3, "D": 4, "G": 5}

    def test_bounds_and_what_was_not_computed_are_no_numbers(self) -> None:
        printed = {("A", 3): ">105.000", ("A", 4): "<0.000", ("A", 5): "?????"}
        results = {
            "450": lambda r, c: "OVRFLW" if (r, c) == ("A", 6) else f"{made.od(r, c):.4f}",
            "[Concentration]": lambda r, c: printed.get((r, c), f"{made.concentration(r, c):.3f}"),
        }
        plate = read(made.gen5(results))
        for (r, c), text in printed.items():
            well = of(plate, f"{r}{c:02d}")
            assert pd.isna(well["vendor_concentration"])
            assert well["vendor_status"] == text
        assert pd.isna(of(plate, "A06")["signal"])
        assert of(plate, "A06")["vendor_status"] == "OVRFLW"

    def test_of_two_reads_the_assay_file_names_one_or_their_difference(self) -> None:
        results = {
            "Abs:450": lambda r, c: f"{made.od(r, c):.4f}",
            "Abs:650": lambda r, c: f"{made.od2(r, c):.4f}",
        }
        content = made.gen5(results)
        assert "2 reads of the plate: 'Abs:450', 'Abs:650'" in faults(content)
        assert by_well(read(content, wavelength="650")) == signals(made.od2)
        assert by_well(read(content, wavelength="Abs:450")) == signals(made.od)
        assert by_well(read(content, wavelength="450-650")) == signals(
            lambda r, c: made.od(r, c) - made.od2(r, c)
        )

    @pytest.mark.parametrize(
        ("printed", "dilution"),
        [("0.5", 2), ("0.3333", 3), ("0.02", 50), ("1/40", 40), ("1", 1), ("0.001", 1000), ("0.4", 2.5)],
    )
    def test_a_dilution_is_the_number_that_was_rounded(self, printed: str, dilution: float) -> None:
        layout = {"Well ID": lambda _r, _c: "SPL1", "Conc/Dil": lambda _r, _c: printed}
        assert set(read(made.gen5(layout=layout)).wells["dilution"]) == {dilution}

    @pytest.mark.parametrize("printed", ["50", "0", "-1", "x", "nan"])
    def test_a_dilution_above_1_may_mean_either_and_is_refused(self, printed: str) -> None:
        layout = {"Well ID": lambda _r, _c: "SPL1", "Conc/Dil": lambda _r, _c: printed}
        assert "a dilution as Gen5 writes it" in faults(made.gen5(layout=layout))

    def test_a_lost_row_is_refused(self) -> None:
        lines = made.gen5().split(b"\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(b"C\t1."))
        assert "rows 'ABDEFGH'" in faults(b"\n".join(lines[:at] + lines[at + 1 :]))
        assert "in 7 rows of 8 letters" in faults(b"\n".join(lines[: at + 1] + lines[at + 2 :]))


class TestMagellan:
    def test_two_reads_need_a_wavelength(self) -> None:
        content = made.magellan(two=True)
        assert "2 reads of the plate: 'Label1', 'Label2'" in faults(content)
        assert by_well(read(content, wavelength="Label2")) == signals(made.od2)
        assert by_well(read(content, wavelength="450")) == signals(made.od)
        assert by_well(read(content, wavelength="450-650")) == signals(
            lambda r, c: made.od(r, c) - made.od2(r, c)
        )

    def test_a_lost_well_is_refused(self) -> None:
        rows = made.magellan_rows()
        assert "found 95 wells" in faults(made.workbook({"s": [*rows[:5], *rows[6:]]}))
        rows[5] = rows[4]
        assert "the well A04 again" in faults(made.workbook({"s": rows}))

    def test_lines_below_the_wells_may_be_empty(self) -> None:
        rows: list[list[object]] = [*made.magellan_rows()[:97], [], ["Unknown user"]]
        assert by_well(read(made.workbook({"s": rows}))) == signals()


class TestMsdWorkbench:
    def test_a_lost_column_is_refused(self) -> None:
        assert "column 'Concentration'" in faults(made.msd().replace(b",Concentration,", b",Conc,"))

    @pytest.mark.parametrize("delimiter", [",", "\t", ";"])
    def test_each_analyte_of_each_well_is_read(self, delimiter: str) -> None:
        plate = read(made.msd(delimiter))
        assert len(plate.wells) == 8 * 4 * 2
        well = of(plate, "B02", "TNF-a")
        assert (well["sample_name"], well["task"], well["nominal"]) == ("S002", "standard", 50)
        assert well["signal"] == round(10_000 * made.od("B", 2)) + 2
        assert well["vendor_recovery_percent"] == 101.5
        unknown = of(plate, "B04", "IL-6")
        assert (unknown["task"], unknown["dilution"]) == ("unknown", 4)
        assert unknown["vendor_concentration"] == made.concentration("B", 4)

    def test_a_workbook_says_the_same(self) -> None:
        sheet = [["Plate_MADEUP"], list(made.MSD_COLUMNS), *made.msd_rows()]
        other = read(made.workbook({"MSD Data": [["Version :", "1"]], "Workbench data": sheet}))
        pd.testing.assert_frame_equal(read(made.msd()).wells, other.wells)

    def test_the_range_is_kept_where_it_is_not_inside(self) -> None:
        plate = read(made.msd())
        assert of(plate, "H03", "IL-6")["vendor_status"] == "Below Detection Range"
        assert pd.isna(of(plate, "H03", "IL-6")["vendor_concentration"])
        assert plate.wells["vendor_status"].notna().sum() == 2

    def test_names_of_the_laboratory_give_no_task(self) -> None:
        content = made.msd().replace(b"S002,IL-6", b"P07,IL-6").replace(b"U003,IL-6", b"S03,IL-6")
        plate = read(content)
        assert pd.isna(of(plate, "B01", "IL-6")["task"])
        assert of(plate, "B01", "IL-6")["nominal"] == 50
        assert pd.isna(of(plate, "C03", "IL-6")["task"])

    def test_a_row_of_too_few_cells_is_refused(self) -> None:
        assert "found 11 cells; allowed: 12" in faults(made.msd().replace(b",1,101.5,", b",101.5,", 1))

    def test_of_two_plates_one_is_chosen(self) -> None:
        second = made.msd().replace(b"Plate_MADEUP", b"Plate_OTHER").replace(b"TNF-a", b"IFN")
        both = made.msd() + b"\n" + second
        assert "read: {sheet: one of Plate_MADEUP, Plate_OTHER}" in faults(both)
        assert set(read(both, sheet="Plate_MADEUP").wells["target"]) == {"IL-6", "TNF-a"}
        assert set(read(both, sheet="Plate_OTHER").wells["target"]) == {"IL-6", "IFN"}


class TestMethodical:
    def test_a_plate_of_several_is_chosen_by_number_or_barcode(self) -> None:
        content = made.methodical(2)
        assert "read: {sheet: one of BARCODE1, BARCODE2}" in faults(content)
        assert by_well(read(content, sheet="2")) == signals(times=20_000)
        assert by_well(read(content, sheet="BARCODE1")) == signals(times=10_000)

    def test_user_and_file_name_are_not_kept(self) -> None:
        plate = read(made.methodical())
        assert (plate.instrument, plate.software_version) == ("MSD HTS", "1.0.38")

    def test_a_lost_row_or_cell_is_refused(self) -> None:
        lines = made.methodical().split(b"\r\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(b"C "))
        assert "rows 'ABDEFGH'" in faults(b"\r\n".join(lines[:at] + lines[at + 1 :]))
        lines[at] = b"\t".join(lines[at].split(b"\t")[:-2])
        assert "12 columns, as in row" in faults(b"\r\n".join(lines))


class TestPlainGrid:
    @pytest.mark.parametrize("delimiter", [",", "\t", ";"])
    def test_any_delimiter_does(self, delimiter: str) -> None:
        assert by_well(read(made.plain_grid(delimiter))) == signals()

    def test_decimal_commas_are_named_in_the_assay_file(self) -> None:
        content = made.plain_grid(";").replace(b".", b",")
        assert by_well(read(content, decimal=",")) == signals()
        assert "decimal mark" in faults(content)

    def test_several_grids_are_analytes_named_above_them(self) -> None:
        lines = made.grid_lines(lambda r, c: f"{made.od(r, c):.4f}", title="anti-SRP")
        lines += ["", *made.grid_lines(lambda r, c: f"{made.od2(r, c):.4f}", title="anti-MOG"), ""]
        plate = read("\n".join(lines).encode())
        assert of(plate, "C05", "anti-SRP")["signal"] == made.od("C", 5)
        assert of(plate, "C05", "anti-MOG")["signal"] == made.od2("C", 5)
        assert len(plate.wells) == 192

    def test_several_grids_are_reads_when_they_are_called_so(self) -> None:
        sheets = {"450 nm": made.grid_rows_of(made.od), "650 nm": made.grid_rows_of(made.od2)}
        content = made.workbook(sheets)
        assert "2 reads of the plate" in faults(content)
        assert by_well(read(content, wavelength="450-650")) == signals(
            lambda r, c: made.od(r, c) - made.od2(r, c)
        )
        assert by_well(read(content, sheet="650 nm")) == signals(made.od2)

    def test_grids_without_titles_are_refused(self) -> None:
        lines = made.grid_lines(lambda r, c: f"{made.od(r, c):.4f}")
        assert "not each with a title of its own" in faults("\n".join([*lines, "", *lines, ""]).encode())

    def test_end_points_that_were_typed_in_are_kept(self) -> None:
        typed = {("A", 1): "1:40", ("B", 2): "<1:10", ("C", 3): ">= 1/320"}
        content = "\n".join(made.grid_lines(lambda r, c: typed.get((r, c), ""))) + "\n"
        wells = read_plate(content.encode(), "f").wells
        assert dict(zip(wells["well"], wells["vendor_status"], strict=True)) == {
            "A01": "1:40",
            "B02": "<1:10",
            "C03": ">= 1/320",
        }
        assert wells["signal"].isna().all()

    def test_an_end_point_of_which_a_program_made_a_time_is_refused(self) -> None:
        rows = made.grid_rows_of(lambda r, c: time(1, 40) if (r, c) == ("A", 1) else None)
        with pytest.raises(InputError, match="a titre as text; a spreadsheet program made a time of it"):
            read_plate(made.workbook({"s": rows}), "f")

    def test_signs_in_place_of_numbers_are_kept(self) -> None:
        plate = read("\n".join([*made.grid_lines(lambda r, c: "+" if c < 5 else "-"), ""]).encode())
        assert plate.wells["signal"].isna().all()
        assert (of(plate, "A04")["vendor_status"], of(plate, "A05")["vendor_status"]) == ("+", "-")

    def test_empty_cells_are_no_wells(self) -> None:
        lines = made.grid_lines(lambda r, c: f"{made.od(r, c):.4f}" if c < 12 else "")
        assert len(read("\n".join([*lines, ""]).encode()).wells) == 88

    def test_a_plate_of_384_wells(self) -> None:
        letters = "ABCDEFGHIJKLMNOP"
        rows = [
            ["", *range(1, 25)],
            *([r, *(100 * n + c for c in range(1, 25))] for n, r in enumerate(letters)),
        ]
        plate = read(made.workbook({"s": rows}))
        assert len(plate.wells) == 384
        assert of(plate, "P24")["signal"] == 1524

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (b"\nC,", b"\nX,", "rows 'ABXDEFGH'"),
            (b"\nC,", b"\nB,", "rows 'ABBDEFGH'"),
            (b"\nC,", b"\nC,9,", "cells"),
            (b"\n,1,2,3", b"\n,1,2,4", "a file that no reader knows"),
            (b"1.9893", b"1,9893", "cells"),
            (b"1.9893", b"abc", "'abc'"),
            (b"1.9893", b"nan", "'nan'"),
        ],
    )
    def test_a_damaged_grid_is_refused(self, old: bytes, new: bytes, told: str) -> None:
        content = b"\n" + made.plain_grid()
        assert old in content
        assert told in faults(content.replace(old, new, 1))


def test_a_file_that_nobody_knows_is_refused_with_what_each_reader_looked_for() -> None:
    said = faults(b"hello\n")
    for family in ("softmax_pro", "gen5", "magellan", "msd_workbench", "methodical", "plain_grid"):
        assert f"{family}: " in said


def test_an_empty_file_is_refused() -> None:
    assert "an empty file" in faults(b"")


@pytest.mark.parametrize("cell", ["1e308", "-1e16", "1e400", "inf", "nan", "NaN", "1e", "0x1F", "１２"])
def test_absurd_numbers_are_refused(cell: str) -> None:
    content = "\n".join(made.grid_lines(lambda r, c: cell if (r, c) == ("B", 2) else "1.5")) + "\n"
    assert "row 3, column '2'" in faults(content.encode())


def test_a_table_of_thousands_of_columns_is_refused() -> None:
    line = ",".join(map(str, range(1, 5001)))
    assert "no reader knows" in faults(f",{line}\nA,{line}\n".encode())
