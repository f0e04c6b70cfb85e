"""All plates together: rows for measurements, starting dilutions, charts, repeats."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from tests.unit.immunoassay.hand_elisa import (
    Row,
    assay,
    od,
    plate,
    sample,
    standards,
    titre_assay,
)

from cartrace import tables
from cartrace.antibody.course import compute_antibody
from cartrace.config import Antibody, Immunoassay
from cartrace.immunoassay.assay import Assay
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.results import Assembled, PlateTables, assemble_immunoassays
from cartrace.intake.results import RESULTS
from cartrace.tables import MEASUREMENTS


def tables_of(name: str, rows: list[Row], of: Assay | None = None) -> PlateTables:
    of = of or assay()
    made = quantify_plate(plate(rows), of, Immunoassay(), file_id=name, sha256="a" * 64)
    return PlateTables(name, of, made.wells, made.standards, made.curves, made.samples, made.qc)


def assembled(*plates: PlateTables, sheet: list[dict[str, Any]] | None = None, **settings: Any) -> Assembled:
    frame = None if sheet is None else tables.rows(sheet, tables.SAMPLES)
    return assemble_immunoassays(plates, frame, Immunoassay.model_validate(settings))


def series(letter: str, name: str, words: str, start: int = 10) -> list[Row]:
    return [
        {
            "well": f"{letter}{i:02d}",
            "sample_name": name,
            "task": "unknown",
            "dilution": start * 2**i,
            "vendor_status": w,
        }
        for i, w in enumerate(words.split())
    ]


def test_results_are_rows_as_a_laboratory_table_gives_them() -> None:
    rows = [
        *standards(),
        *sample("C01 C02", "S1 d0", od(50), od(52), dilution=10),
        *sample("C03", "S1 d7", 0.01),
        *sample("C04", "S2 d0", 3.5),
    ]
    found = assembled(tables_of("p1", rows)).results.set_index(["subject_id", "day"])
    one = found.loc[("S1", 0.0)]
    assert one["value"] == one["lower"] == one["upper"] == pytest.approx(510, rel=1e-3)
    assert one[["unit", "analyte", "assay", "matrix"]].tolist() == ["ng/mL", "soluble_bcma", "elisa", "serum"]
    assert one[["censoring", "status", "n_replicates"]].tolist() == ["none", "accepted", 2]
    assert one["sd"] == pytest.approx(10 * math.sqrt(2), rel=1e-2)
    assert one[["source_file", "source_row", "source_column"]].tolist() == ["p1", 16, "C01, C02 / sBCMA"]
    below, above = found.loc[("S1", 7.0)], found.loc[("S2", 0.0)]
    assert below[["detection", "censoring", "lower", "upper"]].tolist() == ["BLQ", "left", 0, 3]
    assert above[["detection", "censoring", "lower"]].tolist() == ["above_uloq", "right", 3000]
    assert found[["printed", "rounding", "ratios"]].isna().all(axis=None)
    assert pd.isna(below["value"])
    assert pd.isna(above["upper"])


def test_titres_arrive_in_the_antibody_stage_as_their_intervals() -> None:
    rows = [
        *series("A", "S1 d-5", "+ + + + -"),
        *series("B", "S1 d30", "+ - - - -"),
        *series("C", "S1 d90", "- - - - -"),
        *series("D", "S1 d180", "- - - - -"),
    ]
    results = assembled(tables_of("p1", rows, titre_assay())).results
    assert results["unit"].tolist() == ["titre"] * 4
    assert results["value"].fillna(0).tolist() == [80, 10, 0, 0]
    assert results["lloq"].tolist() == [10] * 4
    assert results["lower"].tolist() == [80, 10, 0, 0]
    assert results["upper"].tolist() == [160, 20, 10, 10]
    assert results["n_replicates"].tolist() == [1] * 4
    measured = results.assign(
        infusion=1, study_day=results["day"], sample_id=results["source_column"], visit=None
    )[list(MEASUREMENTS.names)]
    metrics, _ = compute_antibody(tables.conform(measured, MEASUREMENTS), None, Antibody())
    fall = metrics[metrics["metric"] == "time_to_seronegative"].iloc[0]
    # Negative on day 90 and still positive on day 30.
    assert fall[["lower", "upper"]].tolist() == [30, 90]


def test_the_samples_sheet_gives_matrix_and_subject() -> None:
    of = assay(samples={})
    rows = [*standards(), *sample("C01", "X17", od(50))]
    sheet = [
        {
            "sample_id": "X17",
            "subject_id": "S1",
            "matrix": "csf",
            "infusion": 1,
            "day": 3.0,
            "study_day": 3.0,
        }
    ]
    made = assembled(tables_of("p1", rows, of), sheet=sheet)
    assert made.results[["sample_id", "matrix"]].iloc[0].tolist() == ["X17", "csf"]
    # The sheet's matrix is asked for by the sample; without either, intake looks the sample up.
    assert assembled(tables_of("p1", rows, of)).results["matrix"].isna().all()


def test_a_sample_of_a_subject_without_a_matrix_has_no_result() -> None:
    of = assay(samples={"pattern": r"(?P<subject>S\d+) d(?P<day>-?\d+)"})
    made = assembled(tables_of("p1", [*standards(), *sample("C01", "S1 d0", od(50))], of))
    assert made.results.empty
    assert made.qc["check"].tolist().count("matrix_unknown") == 1


def test_a_changed_starting_dilution_is_flagged() -> None:
    rows = [
        *series("A", "S1 d0", "+ + -"),
        *series("B", "S1 d30", "+ - -"),
        *series("C", "S1 d60", "- - -", start=20),
        *series("D", "S2 d0", "- - -", start=20),
    ]
    made = assembled(tables_of("p1", rows, titre_assay()))
    flagged = made.samples.set_index("sample")["flags"].fillna("")
    assert flagged["S1 d60"] == "start_changed;start_unexpected"
    assert flagged["S1 d0"] == flagged["S1 d30"] == ""
    assert "start_changed" not in flagged["S2 d0"]
    told = made.qc[made.qc["check"] == "start_changed"].iloc[0]
    assert told[["value", "limit"]].tolist() == ["1:20", "1:10, as the subject's other samples"]
    results = made.results.set_index(["subject_id", "day"])
    assert results.loc[("S1", 60.0), ["status", "upper", "lloq"]].tolist() == ["flagged", 20, 20]


def test_a_changed_start_may_reject_or_be_ignored() -> None:
    rows = [*series("A", "S1 d0", "+ -"), *series("B", "S1 d30", "- -", start=20)]
    plates = tables_of("p1", rows, titre_assay())
    reject = assembled(plates, acceptance={"anchored_dilution": {"consequence": "reject"}})
    assert set(reject.results["status"]) == {"rejected"}
    ignore = assembled(plates, acceptance={"anchored_dilution": {"consequence": "ignore"}})
    assert "start_changed" not in ignore.samples["flags"].fillna("").str.cat()
    assert (ignore.qc["check"] == "start_changed").sum() == 2


def test_what_is_above_the_range_or_rejected_is_to_be_repeated() -> None:
    rows = [
        *standards(),
        *sample("C01", "S1 d0", 3.5, dilution=4),
        *sample("C02 C03", "S2 d0", od(50), od(90)),
        *sample("C04", "S3 d0", math.nan),
        *sample("C05", "S4 d0", od(50)),
    ]
    made = assembled(tables_of("p1", rows)).samples.set_index("sample")
    reasons = made["repeat_reason"].fillna("")
    assert reasons["S1 d0"] == "Above the upper limit of quantification: dilute 1:20 and repeat."
    assert reasons["S2 d0"] == "The replicates disagree: repeat in all replicates."
    assert reasons["S3 d0"] == "The file has no reading of the wells: export again, or repeat."
    assert reasons["S4 d0"] == ""
    assert made["repeat"].tolist() == [True, True, True, False]


def test_a_repeat_that_another_plate_answers_is_not_asked_for() -> None:
    bad = tables_of("p1", [*standards(), *sample("C01", "S1 d0", 3.5)])
    good = tables_of("p2", [*standards(), *sample("C01", "S1 d0", od(500), dilution=10)])
    assert assembled(bad).samples["repeat"].tolist() == [True]
    assert assembled(bad, good).samples["repeat"].tolist() == [False, False]


def test_titres_are_repeated_in_words_of_titres() -> None:
    rows = [
        *series("A", "S1 d0", "+ + +"),
        *series("B", "S2 d0", "+ - -"),
        *series("C", "S2 d0", "+ + +"),
    ]
    reasons = assembled(tables_of("p1", rows, titre_assay())).samples.set_index("sample")["repeat_reason"]
    assert reasons["S1 d0"] == "Positive at every dilution: repeat with dilutions beyond 1:40."
    assert reasons["S2 d0"].startswith("The readings are more than one step apart: read it again")


def test_controls_and_curves_are_charted_over_plates() -> None:
    of = assay(controls={"QC": {"task": "control", "concentration": {"sBCMA": 100}}})
    good = (100, 101, 99, 102, 98, 100, 116)
    plates = [tables_of(f"p{i}", [*standards(), *sample("D01", "QC", od(x))], of) for i, x in enumerate(good)]
    made = assembled(*plates)
    qc = made.controls[made.controls["control"] == "QC (100)"]
    assert qc["value"].tolist() == pytest.approx([math.log10(x) for x in good], rel=1e-3)
    assert qc["verdict"].tolist() == ["note"] * 5 + ["pass", "fail"]
    assert "1_3s" in qc["rules"].iloc[-1]
    assert (made.qc["check"] == "control_chart").sum() == 1
    assert set(made.controls["quantity"]) == {"log10 concentration", "log10 ec50", "log10 top"}


def test_the_control_of_an_index_is_charted_by_its_signal() -> None:
    target = {"analyte": "aqp4_igg", "unit": "index", "readout": "index", "index_control": "Cal"}
    of = assay(targets={"AQP4": target}, controls={"Cal": {"task": "control"}})
    read = (1.0, 1.1, 0.5)
    plates = [
        tables_of(f"p{i}", [*sample("A01", "Cal", x), *sample("C01", "S1 d0", 2.0)], of)
        for i, x in enumerate(read)
    ]
    charts = assembled(*plates).controls.set_index("quantity")["value"]
    assert charts["log10 signal"].tolist() == pytest.approx([math.log10(x) for x in read])
    assert charts["log10 index"].tolist() == pytest.approx([0, 0, 0])


def test_the_same_run_under_two_names_is_told() -> None:
    rows = [*standards(), *sample("C01", "S1 d0", od(50))]
    made = assembled(tables_of("p1", rows), tables_of("p2", rows))
    assert made.qc.loc[made.qc["check"] == "plate_twice", "value"].tolist() == ["p1"]


def test_no_plates_give_empty_tables() -> None:
    made = assembled()
    assert made.results.empty
    assert made.results.columns.tolist() == RESULTS.names
    assert made.controls.empty
