"""Every antibody from a titre plate, an ELISA plate and a laboratory's table to its metrics and means."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.unit.immunoassay.hand_elisa import PATTERN, Row, od, plate, sample, standards

from cartrace import tables
from cartrace.antibody.course import compute_antibody
from cartrace.antibody.titre_means import estimate_means
from cartrace.config import Antibody, Config, Immunoassay
from cartrace.immunoassay.assay import load_assay
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.results import PlateTables, assemble_immunoassays
from cartrace.intake.assemble import assemble
from cartrace.intake.laboratory_table import Grid, read_results
from cartrace.intake.mapping import load_mapping
from cartrace.intake.sheet_tables import SheetTables

ANTIBODIES = ("aqp4_igg", "anti_srp", "mog_igg", "achr_antibody", "anti_dsdna")
SUBJECTS = [f"S{i}" for i in range(1, 6)]
DAYS = (-5, 28, 90)
UNIT = {
    "achr_antibody": "nmol/L",
    "anti_dsdna": "IU/mL",
    "mog_igg": "RU/mL",
    "anti_srp": "U/mL",
    "aqp4_igg": "U/mL",
}


def measured(results: pd.DataFrame) -> pd.DataFrame:
    """Put results on the clock, as the workflow does."""
    infusions = tables.rows(
        [
            {"subject_id": s, "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
            for s in SUBJECTS
        ],
        tables.INFUSIONS,
    )
    people = tables.rows([{"subject_id": s} for s in SUBJECTS], tables.SUBJECTS)
    sheets = SheetTables(people, infusions, tables.empty(tables.SAMPLES), tables.empty(tables.EVENTS))
    made, qc = assemble([results], [], sheets, Config())
    assert not len(qc[qc["verdict"] == "fail"])
    return made


def from_plate(rows: list[Row], target: dict[str, Any], **more: Any) -> pd.DataFrame:
    raw = {"samples": {"pattern": PATTERN, "matrix": "serum"}, "targets": {"T": target}} | more
    assay = load_assay(raw, "assay.yaml")
    made = quantify_plate(plate(rows), assay, Immunoassay(), file_id="p1", sha256="a" * 64)
    tables_ = PlateTables("p1", assay, made.wells, made.standards, made.curves, made.samples, made.qc)
    return measured(assemble_immunoassays([tables_], None, Immunoassay()).results)


def titre_rows(positive: dict[int, int]) -> list[Row]:
    """Series of 6 two-fold wells from 1:10 for every subject and day; so many of them positive."""
    return [
        {
            "well": f"{chr(65 + n % 8)}{1 + w + 6 * (n // 8):02d}",
            "sample_name": f"{s} d{day}",
            "task": "unknown",
            "dilution": 10 * 2**w,
            "vendor_status": "+" if w < positive[day] else "-",
        }
        for n, (s, day) in enumerate((s, d) for s in SUBJECTS for d in DAYS)
        for w in range(6)
    ]


def elisa_rows() -> list[Row]:
    level = {-5: 1000.0, 28: 250.0, 90: 0.2}
    return [
        *standards(),
        *(
            row
            for n, (s, day) in enumerate((s, d) for s in SUBJECTS for d in DAYS)
            for row in sample(
                f"C{1 + n % 12:02d}" if n < 12 else f"D{n - 11:02d}", f"{s} d{day}", od(level[day])
            )
        ),
    ]


def course_of(made: pd.DataFrame, analyte: str) -> pd.DataFrame:
    metrics, qc = compute_antibody(made, None, Antibody.model_validate({"confirm_negative": 1}))
    assert set(metrics["analyte"]) == {analyte}
    assert not len(qc)
    return metrics[metrics["subject_id"] == "S1"].set_index("metric")


def change_of(made: pd.DataFrame) -> Any:
    people = tables.rows([{"subject_id": s} for s in SUBJECTS], tables.SUBJECTS)
    means = estimate_means(made, None, people, Antibody()).set_index(["cohort", "quantity", "visit"])
    return means.loc[("all", "change", "M1")]


@pytest.mark.parametrize("analyte", ANTIBODIES)
def test_a_titre_plate_gives_fall_seronegativity_and_mean_change(analyte: str) -> None:
    target = {
        "analyte": analyte, "unit": "titre", "readout": "titre", "titre": {"start": 10, "step": 2},
    }  # fmt: skip
    made = from_plate(titre_rows({-5: 5, 28: 3, 90: 0}), target, assay="cba", signal="fluorescence")
    m = course_of(made, analyte)
    assert m.loc["antibody_baseline", ["value", "lower", "upper"]].tolist() == [160, 160, 320]
    assert m.loc["log2_fall_at_M1", ["value", "lower", "upper"]].tolist() == [2, 1, 3]
    assert m.loc["time_to_seronegative", ["lower", "upper"]].tolist() == [28, 90]
    # Five subjects, each from 160 to 40.
    assert change_of(made)["mean_log2"] == pytest.approx(-2, abs=1e-6)


@pytest.mark.parametrize("analyte", ANTIBODIES)
def test_an_elisa_plate_gives_the_same_in_the_unit_of_its_standards(analyte: str) -> None:
    made = from_plate(elisa_rows(), {"analyte": analyte, "unit": UNIT[analyte]})
    assert set(made["unit"]) == {UNIT[analyte]}
    m = course_of(made, analyte)
    assert m.loc["antibody_baseline", "value"] == pytest.approx(1000, rel=1e-2)
    assert m.loc["log2_fall_at_M1", "value"] == pytest.approx(2, abs=0.02)
    assert m.loc["time_to_seronegative", ["lower", "upper"]].tolist() == [28, 90]
    assert change_of(made)["mean_log2"] == pytest.approx(-2, abs=0.02)


@pytest.mark.parametrize("analyte", ANTIBODIES)
@pytest.mark.parametrize("unit", ["titre", "index"])
def test_a_table_gives_the_same(analyte: str, unit: str) -> None:
    cells = {-5: "1:160", 28: "1:40", 90: "<1:10"} if unit == "titre" else {-5: "16", 28: "4", 90: "<1"}
    lines = tuple((s, day, cells[day]) for s in SUBJECTS for day in DAYS)
    value = {"column": "result", "analyte": analyte, "assay": "cba", "unit": unit}
    value["lloq"] = 10 if unit == "titre" else 1
    mapping = load_mapping({"subject": "id", "matrix": "serum", "day": "day", "values": [value]}, "m.yaml")
    grid = Grid("t.csv", ("id", "day", "result"), lines, tuple(range(2, len(lines) + 2)))
    results, _ = read_results(grid, mapping, file_id="t", sha256="0" * 64)
    made = measured(results)
    m = course_of(made, analyte)
    assert m.loc["log2_fall_at_M1", "value"] == 2
    assert m.loc["time_to_seronegative", ["lower", "upper"]].tolist() == [28, 90]
    assert change_of(made)["mean_log2"] == pytest.approx(-2, abs=1e-6)


def test_a_three_fold_plate_beside_a_two_fold_configuration_is_found_with_its_row() -> None:
    plan = titre_rows({-5: 5, 28: 3, 90: 0})
    rows = [row | {"dilution": 10 * 3 ** (n % 6)} for n, row in enumerate(plan)]
    target = {"analyte": "mog_igg", "unit": "titre", "readout": "titre", "titre": {"start": 10, "step": 3}}
    made = from_plate(rows, target, assay="cba", signal="fluorescence")
    metrics, qc = compute_antibody(made, None, Antibody())
    assert qc["check"].tolist() == ["titre_step_differs"]
    assert qc.loc[0, ["source_file", "value", "limit"]].tolist() == ["p1", "3-fold", "2-fold"]
    base = metrics[(metrics["metric"] == "antibody_baseline")].iloc[0]
    assert base[["value", "lower", "upper"]].tolist() == [810, 810, 2430]
