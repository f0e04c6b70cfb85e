"""What every reader of a qPCR file must get right, on made-up files."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.unit.pcr.readers import made_up_files as made

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

GERMAN = ReadOptions(decimal=",")


def read(content: bytes, options: ReadOptions | None = None, name: str = "data/x") -> Plate:
    return read_plate(content, name, options)


def faults(content: bytes, options: ReadOptions | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(content, options)
    return str(caught.value)


def changed(at: int, **what: Any) -> list[dict[str, Any]]:
    return [dict(r) | (what if i == at else {}) for i, r in enumerate(made.PLATE)]


def of(plate: Plate, well: str) -> pd.Series[Any]:
    rows = plate.wells[plate.wells["well"] == well]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("writer", made.WRITERS)
class TestEveryFamily:
    def test_wells_tasks_and_quantities_come_back(self, writer: str) -> None:
        plate = read(made.WRITERS[writer](made.PLATE))
        assert plate.method == "qpcr"
        assert plate.family == made.FAMILY[writer]
        wells = plate.wells
        assert wells["well"].tolist() == ["A01", "A02", "A03", "B01", "B02", "H12"]
        assert wells["sample_name"].tolist() == ["S1", "S2", "S3", "P01 D7", "P02 D7", "water"]
        cq = [20.5, 23.75, 27.125, 25.25]
        if writer.startswith("lightcycler"):
            cq = [20.5, 23.75, 27.12, 25.25]
        assert wells["cq"].dropna().tolist() == cq
        assert wells["cq_kind"].tolist() == ["quantified"] * 4 + ["undetermined"] * 2
        assert wells["nominal"].tolist()[:3] == [1e6, 1e5, 1e4]
        assert wells["nominal"].isna().tolist() == [False] * 3 + [True] * 3
        assert wells["task"].tolist()[:5] == ["standard"] * 3 + ["unknown"] * 2
        assert not wells["omitted"].any()

    def test_the_last_task_is_the_control(self, writer: str) -> None:
        task = of(read(made.WRITERS[writer](made.PLATE)), "H12")["task"]
        # The first form of the LightCycler export names no controls; the assay file does.
        expected = {"lightcycler_include": "unknown", "lightcycler_types": "negative_control"}
        assert task == expected.get(writer, "ntc")

    def test_no_date_operator_or_run_name_is_kept(self, writer: str) -> None:
        plate = read(made.WRITERS[writer](made.PLATE))
        shown = " ".join([plate.instrument, plate.software, plate.software_version])
        assert not any(word in shown for word in ("2031", "Somebody", "some run", "Run 1"))

    @pytest.mark.parametrize("cq", [0.0, -3.0, 100.5, 1e9])
    def test_an_impossible_cq_is_refused(self, writer: str, cq: float) -> None:
        message = faults(made.WRITERS[writer](changed(3, cq=cq)))
        assert "Cq" in message
        assert "above 0 and at most 100" in message

    def test_a_target_twice_in_a_well_is_refused(self, writer: str) -> None:
        message = faults(made.WRITERS[writer](changed(1, well="A1")))
        assert "a second time" in message

    def test_a_file_under_another_name_reads_the_same(self, writer: str) -> None:
        content = made.WRITERS[writer](made.PLATE)
        one, other = read(content, name="a.csv"), read(content, name="b.eds")
        pd.testing.assert_frame_equal(one.wells, other.wells)

    def test_every_cut_of_the_file_is_refused_or_loses_whole_rows_only(self, writer: str) -> None:
        content = made.WRITERS[writer](made.PLATE)
        whole = read(content).wells.set_index("well")
        for length in range(0, len(content), max(1, len(content) // 150)):
            try:
                wells = read(content[:length]).wells.set_index("well")
            except InputError:
                continue
            # A note in the last column may end early; it is nothing that cartrace counts with.
            read_on = whole.columns.drop("vendor_status")
            pd.testing.assert_frame_equal(wells[read_on], whole.loc[wells.index, read_on])


class TestQuantStudioText:
    def test_thousands_commas_are_no_decimals(self) -> None:
        plate = read(made.quantstudio_txt())
        assert b"1,000,000.000" in made.quantstudio_txt()
        assert of(plate, "A01")["nominal"] == 1e6
        assert of(plate, "B01")["vendor_quantity"] == 36250.5

    def test_a_decimal_comma_is_refused_with_the_setting_that_reads_it(self) -> None:
        message = faults(made.quantstudio_txt(changed(3, printed="27,35")))
        assert "row 12, column 'CT'" in message
        assert "'27,35'" in message
        assert 'read: {decimal: ","}' in message

    def test_a_lone_comma_before_three_digits_is_not_guessed(self) -> None:
        message = faults(made.quantstudio_txt(changed(3, printed_quantity="1,250")))
        assert "row 12, column 'Quantity'" in message
        assert "may mark thousands or decimals" in message

    @pytest.mark.parametrize("header", ["CT", "CRT", "EQ.Ct", "Cq"])
    def test_the_cq_has_many_names(self, header: str) -> None:
        columns = [header if c == "CT" else c for c in made.QS_COLUMNS]
        assert of(read(made.quantstudio_txt(columns=columns)), "A01")["cq"] == 20.5

    def test_duplicate_columns_that_agree_are_read_and_others_refused(self) -> None:
        assert made.QS_COLUMNS.count("Task") == 2
        lines = made.quantstudio_txt().decode().split("\r\n")
        at = next(i for i, line in enumerate(lines) if "P01" in line)
        lines[at] = lines[at].removesuffix("UNKNOWN") + "NTC"
        message = faults("\r\n".join(lines).encode())
        assert "2 columns of this name that differ: 'UNKNOWN', 'NTC'" in message

    @pytest.mark.parametrize(
        ("word", "task"),
        [
            ("NTC", "ntc"),
            ("IPC", "inhibition_control"),
            ("BlockedIPC", "blocked_inhibition_control"),
            ("Accuracy Control", "accuracy_control"),
            ("POSITIVE CONTROL", "positive_control"),
        ],
    )
    def test_tasks(self, word: str, task: str) -> None:
        plate = read(made.quantstudio_txt(changed(3, task=word)))
        assert of(plate, "B01")["task"] == task
        assert of(plate, "B01")["vendor_quantity"] == 36250.5
        assert pd.isna(of(plate, "B01")["nominal"])

    def test_an_unknown_task_is_refused_with_the_known_ones(self) -> None:
        message = faults(made.quantstudio_txt(changed(3, task="UNKOWN")))
        assert "row 12, column 'Task': found 'UNKOWN'" in message
        assert "did you mean 'unknown'?" in message

    def test_omitted_wells_keep_their_row(self) -> None:
        well = of(read(made.quantstudio_txt(changed(3, omit="true"))), "B01")
        assert well["omitted"]
        assert well["cq"] == 25.25

    def test_an_omit_that_is_neither_true_nor_false_is_refused(self) -> None:
        assert "allowed: true or false" in faults(made.quantstudio_txt(changed(3, omit="maybe")))

    def test_the_instruments_curve_is_kept_per_target(self) -> None:
        well = of(read(made.quantstudio_txt()), "A01")
        found = well[
            ["vendor_slope", "vendor_intercept", "vendor_r2", "vendor_efficiency_percent", "threshold"]
        ]
        assert found.tolist() == [-3.325, 40.5, 0.998, 99.875, 0.125]

    def test_two_targets_in_one_well_are_two_rows(self) -> None:
        rows = [*made.PLATE, dict(made.PLATE[3]) | {"target": "RPP30", "reporter": "VIC", "cq": 24.0}]
        wells = read(made.quantstudio_txt(rows)).wells
        assert wells.loc[wells["well"] == "B01", ["target", "reporter", "cq"]].to_numpy().tolist() == [
            ["CAR", "FAM", 25.25],
            ["RPP30", "VIC", 24.0],
        ]

    def test_the_softwares_own_flags_are_the_status(self) -> None:
        plate = read(made.quantstudio_txt(changed(3, highsd="Y")))
        assert of(plate, "B01")["vendor_status"] == "HIGHSD"
        assert pd.isna(of(plate, "A01")["vendor_status"])

    def test_several_missing_columns_are_told_at_once(self) -> None:
        columns = [c + " x" if c in {"CT", "Target Name"} else c for c in made.QS_COLUMNS]
        message = faults(made.quantstudio_txt(columns=columns))
        assert "2 problems" in message
        assert "row 8, column 'Target Name'" in message
        assert "'CT' or 'CRT'" in message

    def test_a_date_or_a_control_character_in_a_cell_is_not_kept(self) -> None:
        rows = changed(3, target="CAR 2024-03-01", reporter="FAM\x07")
        well = read(made.quantstudio_txt(rows)).wells.loc[3]
        assert well[["target", "reporter"]].tolist() == ["CAR <date>", "FAM?"]

    def test_a_well_of_the_setup_without_result_is_remarked(self) -> None:
        setup = ["[Sample Setup]", "Well\tWell Position\tTarget Name"]
        setup += [f"{made.position(r['well'])}\t{r['well']}\tCAR" for r in made.PLATE] + ["14\tB9\tCAR", ""]
        plate = read(made.quantstudio_txt(before=setup))
        assert [(r.check, r.value, r.row, r.verdict) for r in plate.remarks] == [
            ("well_without_result", "B09", 15, "warn")
        ]

    def test_empty_cells_at_the_end_may_be_left_out_where_a_switch_shows_that_nothing_moved(self) -> None:
        columns = [*made.QS_COLUMNS[:12], "Automatic Baseline", "Comments", "Custom1"]
        lines = [line.split("\t") for line in made.quantstudio_txt(columns=columns).decode().split("\r\n")]
        short = [[*line[:12], "true"] if line[0].isdecimal() else line for line in lines]
        content = "\r\n".join("\t".join(line) for line in short)
        assert of(read(content.encode()), "B01")["cq"] == 25.25
        assert "13 cells" in faults(content.replace("\tCT\t", "\tCT\tRn\t").encode())
        assert "13 cells" in faults(content.replace("Automatic Baseline", "x").encode())

    def test_a_row_below_a_blank_one_is_not_lost(self) -> None:
        content = made.quantstudio_txt().replace(b"\r\n13\tB1", b"\r\n\r\n13\tB1")
        assert "a row below a blank one" in faults(content)

    def test_empty_wells_are_left_out(self) -> None:
        empty = dict(made.PLATE[3]) | {"well": "C1", "target": "", "reporter": "", "printed": ""}
        assert len(read(made.quantstudio_txt([*made.PLATE, empty])).wells) == 6

    def test_a_cq_without_target_is_refused(self) -> None:
        message = faults(made.quantstudio_txt(changed(3, target="", reporter="")))
        assert "no target" in message

    def test_results_that_are_not_there_or_twice_are_refused(self) -> None:
        content = made.quantstudio_txt()
        assert "no section [Results]" in faults(content[: content.index(b"[Results]")])
        assert "a second time" in faults(content + content)

    def test_a_quote_that_swallows_rows_is_refused(self) -> None:
        rows = changed(1, name='"S2')
        rows[4]["name"] = 'P02 D7"'
        assert "quote" in faults(made.quantstudio_txt(rows))


class TestQuantStudioWorkbook:
    def test_the_sheet_with_the_curve_is_found_by_its_header(self) -> None:
        sheets = made.quantstudio_sheets()
        renamed = {"x": sheets["Raw Data"], "y": sheets["Standard Curve Result"]}
        plate = read(made.workbook(renamed))
        assert of(plate, "A01")["nominal"] == 1e6
        assert plate.software == "Design & Analysis Software"
        assert plate.software_version == "2.7.0"

    def test_results_without_a_curve_are_read_too(self) -> None:
        plate = read(made.workbook({"Results": made.quantstudio_sheets()["Results"]}))
        assert of(plate, "A01")["cq"] == 20.5
        assert plate.wells["nominal"].isna().all()

    def test_two_sheets_with_results_need_the_name_of_one(self) -> None:
        results = made.quantstudio_sheets()["Results"]
        content = made.workbook({"one": results, "two": results})
        assert "read: {sheet: one of one, two}" in faults(content)
        assert len(read(content, ReadOptions(sheet="two")).wells) == 6
        assert "did you mean 'two'?" in faults(content, ReadOptions(sheet="too"))

    def test_omit_as_text_is_read(self) -> None:
        well = of(read(made.quantstudio_xlsx(changed(3, omit="TRUE"))), "B01")
        assert well["omitted"]
        assert not of(read(made.quantstudio_xlsx()), "B01")["omitted"]

    def test_rows_below_a_blank_one_are_no_wells(self) -> None:
        sheets = made.quantstudio_sheets()
        sheets["Standard Curve Result"] += [(), ("Analysis Type", "Singleplex")]
        assert len(read(made.workbook(sheets)).wells) == 6

    def test_a_number_stored_as_text_with_a_comma_is_refused(self) -> None:
        assert "'25,25'" in faults(made.quantstudio_xlsx(changed(3, cq="25,25")))

    def test_the_call_without_amplification_is_kept(self) -> None:
        assert of(read(made.quantstudio_xlsx()), "B02")["vendor_status"] == "NO_AMP"


class TestCfxMaestro:
    @pytest.mark.parametrize(
        ("content", "task"),
        [
            ("Std-01", "standard"),
            ("Unkn", "unknown"),
            ("Unkn-12", "unknown"),
            ("NTC-3", "ntc"),
            ("Neg Ctrl", "negative_control"),
            ("Neg Ctrl-2", "negative_control"),
            ("Pos Ctrl-01", "positive_control"),
            ("NRT", "other"),
        ],
    )
    def test_contents_with_and_without_numbers(self, content: str, task: str) -> None:
        assert of(read(made.cfx_csv(changed(3, task=content))), "B01")["task"] == task

    @pytest.mark.parametrize("content", ["", "Unknown", "12"])
    def test_another_content_is_refused(self, content: str) -> None:
        assert "row 5, column 'Content'" in faults(made.cfx_csv(changed(3, task=content)))

    def test_lines_about_the_run_may_stand_above(self) -> None:
        plate = read(made.cfx_csv(top=["File Name,run.pcrd", "Created By User,Somebody", ""]))
        assert plate.wells["source_row"].tolist() == [5, 6, 7, 8, 9, 10]

    def test_semicolons_with_decimal_commas_need_the_setting(self) -> None:
        content = made.cfx_csv(delimiter=";", decimal=",")
        assert 'read: {decimal: ","}' in faults(content)
        assert of(read(content, GERMAN), "B01")["cq"] == 25.25
        assert of(read(content, GERMAN), "A01")["nominal"] == 1e6

    def test_the_fluorophore_stands_for_a_missing_target(self) -> None:
        well = of(read(made.cfx_csv(changed(3, target=""))), "B01")
        assert well["target"] == "FAM"

    def test_an_empty_cq_is_missing_and_nan_is_undetermined(self) -> None:
        content = made.cfx_csv().replace(b",25.25,", b",,")
        assert of(read(content), "B01")["cq_kind"] == "missing"
        assert of(read(content), "B02")["cq_kind"] == "undetermined"

    def test_an_unquoted_comma_in_a_name_is_refused(self) -> None:
        assert "row 5: found 17 cells" in faults(made.cfx_csv(changed(3, name="P01, D7")))

    def test_a_comma_at_the_end_of_every_line_is_nothing(self) -> None:
        lines = made.cfx_csv().decode().split("\r\n")[:-1]
        assert len(read("\r\n".join(line + "," for line in lines).encode()).wells) == 6

    def test_a_header_that_lacks_a_name_is_refused(self) -> None:
        # Else every Cq would stand under the name beside its own.
        content = made.cfx_csv().replace(b"Content,Sample,", b"Content,")
        assert "row 2: found 16 cells; allowed: 15" in faults(content)


class TestLightCycler:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("form", ["include", "types"])
    def test_both_forms_in_every_encoding(self, form: str, encoding: str) -> None:
        rows = changed(3, name="5 µL")
        plate = read(made.lightcycler(rows, form=form, encoding=encoding))
        assert of(plate, "B01")["sample_name"] == "5 µL"
        assert of(plate, "B01")["vendor_quantity"] == 36300

    def test_the_filter_stands_for_the_target(self) -> None:
        assert set(read(made.lightcycler()).wells["target"]) == {"FAM (465-510)"}

    def test_a_well_that_is_not_included_is_omitted(self) -> None:
        well = of(read(made.lightcycler(changed(3, include="False", cq=None))), "B01")
        assert well["omitted"]
        assert well["cq_kind"] == "missing"

    def test_a_tab_at_the_end_of_every_line_is_nothing(self) -> None:
        assert len(read(made.lightcycler(end="\t")).wells) == 6

    def test_decimal_commas_need_the_setting(self) -> None:
        content = made.lightcycler().replace(b"25.25", b"25,25").replace(b"3.63E", b"3,63E")
        assert "row 6, column 'Cp'" in faults(content)
        german = made.lightcycler().decode().replace(".", ",").encode()
        assert of(read(german, GERMAN), "B01")["cq"] == 25.25


class TestRdml:
    @pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
    @pytest.mark.parametrize("member", ["rdml_data.xml", "BioRad_some_run.xml", "x.rdml"])
    def test_every_version_under_every_inner_name(self, version: str, member: str) -> None:
        document = made.rdml_document(version=version)
        assert len(read(made.archive({"other.xml": "<a/>", member: document})).wells) == 6
        assert len(read(document.encode()).wells) == 6

    def test_another_version_is_refused(self) -> None:
        assert "'2.0'" in faults(made.rdml(version="2.0"))

    @pytest.mark.parametrize(
        ("kind", "task"),
        [("pos", "positive_control"), ("ntp", "negative_control"), ("nac", "other"), ("ntc", "ntc")],
    )
    def test_sample_types(self, kind: str, task: str) -> None:
        assert of(read(made.rdml(changed(3, task=kind))), "B01")["task"] == task

    def test_an_unknown_sample_type_is_refused(self) -> None:
        assert "'unk'" in faults(made.rdml(changed(3, task="unk")))

    def test_a_type_for_one_target_goes_before_that_for_all(self) -> None:
        samples = made.rdml_samples().replace(
            '<sample id="water"><type>ntc</type>',
            '<sample id="water"><type>unkn</type><type targetId="CAR">ntc</type>',
        )
        assert of(read(made.rdml(version="1.3", samples=samples)), "H12")["task"] == "ntc"

    def test_no_cq_is_undetermined_beside_others_and_missing_where_nobody_analysed(self) -> None:
        beside = read(made.rdml(runs=made.rdml_run(none="")))
        assert of(beside, "B02")["cq_kind"] == "undetermined"
        nobody = [dict(r) | {"cq": None} for r in made.PLATE]
        alone = read(made.rdml(runs=made.rdml_run(nobody, none="")))
        assert set(alone.wells["cq_kind"]) == {"missing"}

    def test_an_excluded_reaction_is_omitted_with_the_reason(self) -> None:
        well = of(read(made.rdml(changed(3, more="<excl>bubble</excl>"))), "B01")
        assert well["omitted"]
        assert well["vendor_status"] == "bubble"

    def test_the_last_cycle_with_a_quantity_that_is_no_number_is_undetermined(self) -> None:
        cycles = "<adp><cyc>1</cyc><fluor>1</fluor></adp>" * 40
        none = "<quantity><value>NaN</value></quantity>"
        plate = read(made.rdml(changed(3, cq=40.0, more=cycles + none)))
        assert of(plate, "B01")["cq_kind"] == "undetermined"
        assert [r.check for r in plate.remarks] == ["cq_not_taken"]
        late = read(made.rdml(changed(3, cq=39.5, more=cycles)))
        assert of(late, "B01")["cq"] == 39.5

    def test_several_runs_need_the_name_of_one(self) -> None:
        runs = made.rdml_run(name="first") + made.rdml_run(name="second")
        content = made.rdml(runs=runs)
        assert "read: {sheet: one of 'first', 'second'}" in faults(content)
        assert len(read(content, ReadOptions(sheet="second")).wells) == 6
        assert "did you mean 'second'?" in faults(content, ReadOptions(sheet="secnd"))

    def test_the_channels_of_one_bio_rad_plate_are_read_together(self) -> None:
        runs = made.rdml_run(name="Amp_FAM") + made.rdml_run(name="Amp_HEX", target="RPP30")
        about: dict[str, Any] = {"runs": runs, "targets": ("CAR", "RPP30")}
        plate = read(made.rdml(publisher="Bio-Rad Laboratories, Inc.", **about))
        assert plate.wells["target"].value_counts().to_dict() == {"CAR": 6, "RPP30": 6}
        assert [r.check for r in plate.remarks] == ["runs_joined"]
        assert "2 runs" in faults(made.rdml(**about))
        other = made.rdml_run(name="Amp_FAM") + made.rdml_run(changed(1, name="S1"), name="B", target="RPP30")
        assert "2 runs" in faults(made.rdml(publisher="Bio-Rad", runs=other, targets=("CAR", "RPP30")))

    def test_lightcycler_96_negatives_are_undetermined_in_spite_of_their_cq(self) -> None:
        def graphs(attribute: str, inner: dict[str, str]) -> str:
            return "".join(
                f'<react id="{made.position(r["well"])}"><factGraph targetId="CAR" {attribute}>'
                f"{inner.get(r['well'], '')}</factGraph></react>"
                for r in made.PLATE
            )

        calls = {r["well"]: "<call>Positive</call>" for r in made.PLATE}
        calls |= {"B1": "<call>Negative</call>", "A3": "<call>Invalid</call>"}
        results = f'<c><experiment><run id="Run 1">{graphs("", calls)}</run></experiment></c>'
        excluded = graphs('isExcluded="false"', {}).replace('"false"', '"true"', 1)
        settings = f'<a><experiment><run id="Run 1">{excluded}</run></experiment></a>'
        members = {
            "rdml_data.xml": made.rdml_document(),
            "app_data.xml": settings,
            "calculated_data.xml": results,
        }
        plate = read(made.archive(members))
        assert of(plate, "B01")[["cq_kind", "vendor_status"]].tolist() == ["undetermined", "Negative"]
        assert of(plate, "A03")["cq_kind"] == "missing"
        assert of(plate, "A02")["cq"] == 23.75
        assert plate.wells["omitted"].tolist() == [True] + [False] * 5

    def test_standards_in_another_unit_are_remarked(self) -> None:
        samples = made.rdml_samples().replace("<unit>cop</unit>", "<unit>ng</unit>")
        assert [r.check for r in read(made.rdml(samples=samples)).remarks] == ["quantity_unit"]

    def test_a_sample_or_target_that_is_not_listed_is_refused(self) -> None:
        assert "the target 'RPP30'" in faults(made.rdml(runs=made.rdml_run(target="RPP30")))
        assert "the sample 'S1'" in faults(made.rdml(samples=made.rdml_samples(made.PLATE[1:])))

    def test_a_document_type_is_refused(self) -> None:
        prolog = '<?xml version="1.0"?><!DOCTYPE rdml [<!ENTITY a "b">]>'
        assert "a document type" in faults(made.rdml(prolog=prolog))

    def test_a_reaction_off_the_plate_is_refused(self) -> None:
        assert "reaction '97'" in faults(made.rdml(changed(5, well="I1")))

    def test_digital_pcr_is_refused(self) -> None:
        runs = made.rdml_run().replace("</data></react>", "</data><partitions/></react>", 1)
        assert "digital PCR" in faults(made.rdml(runs=runs))
