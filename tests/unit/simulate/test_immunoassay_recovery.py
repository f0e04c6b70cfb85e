"""From the simulated plates back to their truth: concentrations, titres, and every planted fault."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.immunoassays import Calibrated, calibrate

from cartrace.problems import holds_date
from cartrace.simulate.immunoassay_core import OPERATOR
from cartrace.simulate.trial import simulate_trial


@pytest.fixture(scope="module")
def demo() -> Calibrated:
    return calibrate(simulate_trial(2024, plates=False, tubes=False, bedside=False, libraries=False))


def good(run: Calibrated) -> pd.DataFrame:
    """Samples in which nothing was planted that moves a result."""
    return run.found[run.found["planted"].isin(["", "above_the_curve", "changed_start"])]


def quantified(run: Calibrated) -> pd.DataFrame:
    rows = good(run)
    rows = rows[rows["readout"].eq("concentration") & rows["detection_found"].eq("quantified")]
    return rows.assign(away=np.log((rows["result"] / rows["true_value"]).astype(float)))


def of_sample(run: Calibrated, kind: str) -> pd.Series:
    fault = run.fault(kind)
    rows = run.found[run.found["file_id"].eq(fault["file_id"]) & run.found["sample_id"].eq(fault["samples"])]
    assert len(rows) == 1
    return rows.iloc[0]


def check_concentrations(run: Calibrated) -> None:
    rows = quantified(run)
    assert len(rows) > 150
    assert rows["away"].abs().median() < 0.06
    assert rows["away"].abs().quantile(0.95) < 0.2
    assert abs(rows["away"].mean()) < 0.03
    inside = rows["lower_found"].le(rows["true_value"]) & rows["upper_found"].ge(rows["true_value"])
    assert inside.mean() > 0.85


def check_titres(run: Calibrated) -> None:
    rows = good(run)
    rows = rows[rows["readout"].eq("titre")]
    assert len(rows) >= 30
    # What both readers saw is what comes out: the last positive and the first negative dilution.
    assert rows["lower_found"].fillna(0).eq(rows["lower"]).all()
    assert rows["upper_found"].fillna(np.inf).eq(rows["upper"]).all()
    # The titration itself scatters by 0.2 doublings, so the truth is at most a step away.
    lower, upper = rows["lower"] / 2, rows["upper"] * 2
    assert (lower.le(rows["true_value"]) & upper.gt(rows["true_value"])).all()


def check_planted_faults(run: Calibrated) -> None:
    for fault in run.raw.faults:
        if fault.kind not in {"above_the_curve", "infused_immunoglobulin"}:
            found = run.findings(fault.check)
            assert fault.file_id in set(found["source_file"]), fault.kind


def check_false_alarms(run: Calibrated) -> None:
    """Where nothing was planted, hardly anything is told, and nothing is rejected."""
    rows = run.found[run.found["planted"].eq("") & run.found["verdict"].eq("accepted")]
    assert not rows["verdict_found"].eq("rejected").any()
    assert rows["verdict_found"].eq("flagged").mean() < 0.05
    assert run.made.curves["verdict"].isin(["accepted", "flagged"]).all()


def test_concentrations_come_back_within_six_percent(demo: Calibrated) -> None:
    check_concentrations(demo)


def test_titres_come_back_as_the_readers_saw_them(demo: Calibrated) -> None:
    check_titres(demo)


def test_what_lies_below_the_standards_is_no_number(demo: Calibrated) -> None:
    rows = good(demo)
    # Within a factor of 1.5 of the limit it is a matter of noise.
    far = rows[
        rows["detection"].eq("below")
        & rows["readout"].eq("concentration")
        & (rows["true_value"] < rows["lloq"].astype(float) / 1.5)
    ]
    assert len(far) >= 10
    assert far["detection_found"].isin(["BLQ", "BLD"]).all()


def test_each_sample_and_target_has_one_result_that_counts(demo: Calibrated) -> None:
    results = demo.made.results
    counted = results[results["status"] != "rejected"]
    assert not counted.duplicated(["sample_id", "analyte", "assay", "unit"]).any()
    wanted = demo.found[["sample_id", "analyte", "assay", "unit"]].drop_duplicates()
    assert len(wanted) == len(counted)
    assert set(counted["matrix"]) == {"serum"}


def test_every_planted_fault_is_found_by_its_check(demo: Calibrated) -> None:
    check_planted_faults(demo)


def test_hardly_anything_else_is_told(demo: Calibrated) -> None:
    check_false_alarms(demo)
    # The blood of nobody in the results of the plates: names, dates, operators of the files.
    told = "".join(
        frame.to_csv() for frame in (demo.made.results, demo.made.wells, demo.made.samples, demo.made.qc)
    )
    assert not holds_date(told)
    assert OPERATOR not in told


def test_past_the_hook_a_dilution_gives_the_result(demo: Calibrated) -> None:
    row = of_sample(demo, "hook")
    assert row["verdict_found"] == "flagged"
    assert "hook" in row["flags"].split(";")
    assert row["dilution_used"] in {5, 20}
    assert row["result"] == pytest.approx(row["true_value"], rel=0.15)
    wells = demo.made.wells
    undiluted = wells[wells["plate"].eq(row["file_id"]) & wells["sample"].eq(row["sample_id"])]
    undiluted = undiluted[undiluted["dilution"] == 1]
    assert set(undiluted["range"]) == {"hook"}
    # Believed, it would be less than half the truth.
    assert (undiluted["concentration"] < row["true_value"] / 2).all()


def test_a_bad_standard_leaves_the_fit_and_the_results_stay(demo: Calibrated) -> None:
    fault = demo.fault("bad_standard")
    standards = demo.made.standards
    mine = standards[standards["plate"].eq(fault["file_id"])]
    lost = mine[mine["n_used"] == 0]
    assert lost["nominal"].tolist() == [1.25]
    assert (mine.loc[mine["n_used"] > 0, "verdict"] == "accepted").all()
    rows = quantified(demo)
    rows = rows[rows["file_id"] == fault["file_id"]]
    assert rows["away"].abs().median() < 0.06


def test_a_drifting_plate_is_rejected_whole_and_answered_by_the_next(demo: Calibrated) -> None:
    fault = demo.fault("plate_drift")
    mine = demo.found[demo.found["file_id"] == fault["file_id"]]
    assert (mine["verdict_found"] == "rejected").all()
    again = demo.found[demo.found["file_id"] == "sbcma_elisa_03"]
    assert set(again["sample_id"]) == set(mine["sample_id"]) == set(fault["samples"].split(";"))
    assert again["verdict_found"].isin(["accepted", "flagged"]).all()
    assert not mine["repeat"].any()


def test_a_bad_duplicate_is_flagged_and_asked_for_again(demo: Calibrated) -> None:
    row = of_sample(demo, "bad_duplicate")
    assert (row["verdict_found"], row["flags"]) == ("flagged", "replicate_cv")
    assert row["repeat"]
    assert "replicates disagree" in row["repeat_reason"]


def test_few_beads_are_told_of_every_cytokine_of_the_sample(demo: Calibrated) -> None:
    fault = demo.fault("few_beads")
    rows = demo.found[
        demo.found["file_id"].eq(fault["file_id"]) & demo.found["sample_id"].eq(fault["samples"])
    ]
    assert len(rows) == 4
    assert rows["flags"].str.contains("bead_count").all()
    assert len(demo.findings("bead_count")) == 4


def test_above_the_curve_the_dilution_rescues_the_sample(demo: Calibrated) -> None:
    row = of_sample(demo, "above_the_curve")
    assert (row["verdict_found"], row["dilution_used"]) == ("accepted", 10)
    assert row["result"] == pytest.approx(row["true_value"], rel=0.15)
    wells = demo.made.wells
    undiluted = wells[wells["plate"].eq(row["file_id"]) & wells["sample"].eq(row["sample_id"])]
    undiluted = undiluted[undiluted["dilution"] == 1]
    assert undiluted["range"].isin(["above_curve", "above_uloq"]).all()


def test_only_the_changed_start_is_flagged_as_one(demo: Calibrated) -> None:
    fault = demo.fault("changed_start")
    assert sorted(demo.findings("start_changed")["sample_id"]) == fault["samples"].split(";")
    mine = demo.found[demo.found["planted"] == "changed_start"]
    assert (mine["lloq"] == 20).all()
    assert (mine["verdict_found"] == "flagged").all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5])
def test_other_seeds_come_back_as_well(seed: int) -> None:
    run = calibrate(simulate_trial(seed, plates=False, tubes=False, bedside=False, libraries=False))
    check_concentrations(run)
    check_titres(run)
    check_planted_faults(run)
    check_false_alarms(run)
