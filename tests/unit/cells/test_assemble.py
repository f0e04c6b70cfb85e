"""All libraries together: checks across libraries, and what the metrics make of their results."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.unit.cells.hand_libraries import USUAL, Cell, assemble, library, sample, sheet_row

from cartrace.cells.assemble import Assembled
from cartrace.config import Config
from cartrace.depletion.course import compute_depletion
from cartrace.intake.assemble import assemble as assemble_measurements
from cartrace.intake.sheet_tables import SheetTables
from cartrace.kinetics.course import compute_metrics
from cartrace.tables import INFUSIONS, QC, SAMPLES, SUBJECTS, rows


def findings(made: Assembled, check: str) -> pd.DataFrame:
    return made.qc[made.qc["check"] == check].reset_index(drop=True)


def two(first: dict[str, Any], second: dict[str, Any], sexes: tuple[str, str]) -> Assembled:
    return assemble(
        [library("L1", **first), library("L2", **second)],
        [sheet_row("L1"), sheet_row("L2", "S2")],
        [sample(), sample("S2", subject_id="B")],
        subjects=[{"subject_id": s, "sex": sex} for s, sex in zip("AB", sexes, strict=True)],
    )


FEMALE, MALE = {"xist_umis": 500, "y_umis": 3}, {"xist_umis": 1, "y_umis": 700}


def test_libraries_that_fit_each_other_s_sex_look_exchanged() -> None:
    made = two(FEMALE, MALE, ("male", "F"))
    told = findings(made, "sex_contradicts")
    assert told["suggestion"].tolist() == ["perhaps exchanged with L2", "perhaps exchanged with L1"]
    assert told["subject_id"].tolist() == ["A", "B"]
    assert set(made.results["flags"]) == {"sex_contradicts"}


@pytest.mark.parametrize(
    ("first", "sexes"),
    [
        (FEMALE, ("female", "m")),
        # Nobody said it, or in words that are not known; too few UMIs; genes that are not in the matrix.
        (FEMALE, ("", "m")),
        (FEMALE, ("?", "m")),
        ({"xist_umis": 10, "y_umis": 0}, ("m", "m")),
        ({}, ("m", "m")),
    ],
)
def test_sexes_that_fit_or_are_not_known_are_no_finding(
    first: dict[str, Any], sexes: tuple[str, str]
) -> None:
    assert len(findings(two(first, MALE, sexes), "sex_contradicts")) == 0


def test_cells_of_both_sexes_are_told_as_such() -> None:
    told = findings(two({"xist_umis": 300, "y_umis": 200}, MALE, ("f", "m")), "sex_contradicts")
    assert told["message"].tolist() == ["the genes of L1 are those of both sexes, and the subject is female"]
    assert told["suggestion"].tolist() == ["cells of two people, or a transplant"]


def test_fewer_cars_after_the_infusion_than_before_look_exchanged() -> None:
    none = {"fraction": None, "lower": 0.0, "upper": 0.3, "detection": "BLD"}

    def made(before: Any, after: Any, matrix: str = "blood") -> Assembled:
        return assemble(
            [library("L1", fraction=before), library("L2", fraction=after)],
            [sheet_row("L1"), sheet_row("L2", "S2")],
            [sample("S1", -7, matrix=matrix), sample("S2", 10)],
        )

    told = findings(made({}, none), "library_exchanged")
    assert told[["source_file", "value", "sample_id"]].to_numpy().tolist() == [["L1", "L2", "S1"]]
    assert "at least 16 % of T cells" in told["message"].iloc[0]
    for before, after in ((none, {}), (none, none), ({}, {})):
        assert len(findings(made(before, after), "library_exchanged")) == 0
    assert len(findings(made({}, none, "infusion_product"), "library_exchanged")) == 0


def test_molecules_of_another_construct_flag_the_numbers() -> None:
    usual = {"library": "L1", "reads_fetched": 100, "reads_used": 80, "chimeric_molecules": 0} | {
        "cells": 10,
        "from_index": True,
    }
    reads = [
        usual | {"construct": "ours", "molecules": 2, "support": 0.1, "in_product": True},
        usual | {"construct": "theirs", "molecules": 30, "support": 0.9, "in_product": False},
    ]
    assert set(assemble([library()], car_reads=reads).results["flags"]) == {"wrong_construct"}
    reads[0]["support"], reads[1]["support"] = 0.9, 0.1
    assert assemble([library()], car_reads=reads).results["flags"].isna().all()


@pytest.mark.parametrize(("evidence", "flagged"), [("counts", True), ("molecules", False)])
def test_a_matrix_without_the_car_is_no_fault_of_numbers_from_reads(evidence: str, flagged: bool) -> None:
    made = assemble([library(fraction={"evidence": evidence}, verdict="flagged", flags="car_features")])
    assert set(made.results["flags"].fillna("")) == {"car_features" if flagged else ""}
    assert set(made.results["status"]) == {"flagged" if flagged else "accepted"}


def test_findings_of_the_libraries_find_their_subject() -> None:
    own = rows([{"check": "odd", "verdict": "note", "source_file": "L1", "message": "odd"}], QC)
    made = assemble([library()], findings=[own])
    assert findings(made, "odd")[["sample_id", "subject_id"]].to_numpy().tolist() == [["S1", "A"]]


def test_no_libraries_give_empty_tables() -> None:
    made = assemble([])
    assert [len(t) for t in (made.results, made.composition, made.libraries, made.qc)] == [0, 0, 0, 0]


def test_the_order_of_the_libraries_changes_no_number() -> None:
    libraries = [library("L1"), library("L2", sort="t_cells"), library("L3")]
    sheet = [sheet_row("L1"), sheet_row("L2", sort="t_cells"), sheet_row("L3", "S2")]
    samples = [sample(), sample("S2", 20)]
    keys = ["sample_id", "analyte", "unit"]
    first, second = (
        assemble(made, sheet, samples).results.sort_values(keys, ignore_index=True)
        for made in (libraries, libraries[::-1])
    )
    pd.testing.assert_frame_equal(first, second)


# --- the waist -------------------------------------------------------------------------------


def blood(b_cells: int, share: float | None) -> tuple[dict[Cell, int], dict[str, Any]]:
    cells = {c: n for c, n in USUAL.items() if c[0] != "switched_memory_b"}
    cells[("naive_b", "", "not_assessed")] = b_cells
    if share is None:
        return cells, {"fraction": None, "lower": 0.0, "upper": 0.5, "detection": "BLD"}
    return cells, {"fraction": share, "lower": share * 0.8, "upper": share * 1.2}


COURSE = {-7.0: (100, None), 7.0: (40, 20.0), 14.0: (0, 50.0), 28.0: (0, 10.0), 90.0: (60, None)}


def test_a_course_of_libraries_feeds_kinetics_and_depletion_like_any_other() -> None:
    made = assemble(
        [
            library(f"L{day:g}", *blood(b, None)[:1], fraction=blood(b, share)[1])
            for day, (b, share) in COURSE.items()
        ],
        [sheet_row(f"L{day:g}", f"S{day:g}", lymphocytes=1000) for day in COURSE],
        [sample(f"S{day:g}", day) for day in COURSE],
    )
    tables = SheetTables(
        rows([{"subject_id": "A"}], SUBJECTS),
        rows(
            [{"subject_id": "A", "infusion": 1, "study_day": 0, "product": "P", "vector": "lentiviral"}],
            INFUSIONS,
        ),
        rows([sample(f"S{day:g}", day) for day in COURSE], SAMPLES),
    )
    config = Config()
    measurements, qc = assemble_measurements([made.results], [made.qc], tables, config)
    assert len(measurements) == len(made.results)
    assert set(measurements["status"]) == {"accepted"}
    assert not qc["verdict"].isin(["warn", "fail"]).any()

    kinetics = compute_metrics(measurements, tables.infusions, config.kinetics)
    kinetics = kinetics[kinetics["infusion"] == 1].set_index(["analyte", "course_unit", "metric"])
    assert kinetics.loc[("car_t_fraction", "%", "cmax"), "value"] == 50
    assert kinetics.loc[("car_t_fraction", "%", "tmax"), "value"] == 14
    # Present on day 28 and below detection on day 90.
    last = kinetics.loc[("car_t_cells", "cells/uL", "time_to_loss")]
    assert (last["lower"], last["upper"]) == (28, 90)
    assert ("car_cd4_cells", "cells/uL", "cmax") in kinetics.index

    depleted = compute_depletion(measurements, tables.infusions, None, config.depletion).metrics
    of_b = depleted[(depleted["analyte"] == "b_cells") & (depleted["course_unit"] == "%")].set_index("metric")
    # No B cell of 900: a bound, and never the number 0.
    assert pd.isna(of_b.loc["nadir", "value"])
    assert (of_b.loc["nadir", "lower"], of_b.loc["nadir", "upper"]) == pytest.approx(
        (0, 100 * (1 - 0.05 ** (1 / 900)))
    )
    assert of_b.loc["baseline", "value"] == pytest.approx(10)
