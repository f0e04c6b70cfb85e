"""The whole way from the instruments' files to measurements: the truth comes back, and every planted failure is found.

Tolerances are stated on the natural log scale (0.10 is 10 %).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.plates import Quantified, quantify

from cartrace.problems import holds_date
from cartrace.simulate.central_laboratory import FAILURES, OPERATOR
from cartrace.simulate.trial import simulate_trial

UNITS = {"copies/ug": "copies_per_ug", "copies/cell": "copies_per_cell", "copies/uL": "copies_per_ul"}
DRAW = ["subject_id", "infusion", "study_day", "assay"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Quantified:
    return quantify(
        simulate_trial(2024, tubes=False, immunoassays=False, bedside=False, libraries=False),
        tmp_path_factory.mktemp("demo") / "trial",
    )


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Quantified:
    trial = simulate_trial(
        2024, 24, plant_errors=False, tubes=False, immunoassays=False, bedside=False, libraries=False
    )
    return quantify(trial, tmp_path_factory.mktemp("clean") / "trial")


def beside(found: Quantified) -> pd.DataFrame:
    """Every sample on a plate, as found and as it is."""
    samples = found.made.samples
    chosen = samples[(samples["role"] == "transgene") & (samples["task"] == "unknown")]
    truth = found.trial.truth["pcr_samples"].rename(columns={"file_id": "plate"})
    return chosen.merge(truth, on=["plate", "sample"], suffixes=("", "_true"), validate="one_to_one")


def log_ratio(found: pd.DataFrame, column: str) -> np.ndarray:
    return np.log(found[column].to_numpy(float) / found[f"{column}_true"].to_numpy(float))


def loud(found: Quantified) -> pd.DataFrame:
    return found.made.qc[found.made.qc["verdict"].isin(["warn", "fail"])]


# --- the truth comes back ------------------------------------------------------------------


def test_every_sample_on_a_plate_of_a_clean_trial_is_accepted(clean: Quantified) -> None:
    found = beside(clean)
    assert len(found) == len(clean.trial.truth["pcr_samples"]) > 200
    assert (found["verdict"] == "rejected").sum() == 0
    assert (found["verdict"] == "accepted").mean() > 0.95


@pytest.mark.parametrize("assay", ["qpcr", "ddpcr"])
@pytest.mark.parametrize("column", UNITS.values())
def test_quantified_results_come_back(clean: Quantified, assay: str, column: str) -> None:
    found = beside(clean)
    quantified = found[(found["assay"] == assay) & (found["detection"] == "quantified")]
    away = log_ratio(quantified, column)
    assert len(away) >= 30
    assert abs(np.median(away)) < 0.03
    # DNA 5 %, three Cq of 0.12 cycles 5 %, the curve, and counting: 100 copies in three wells 6 %.
    strong = quantified["copies_per_ug_true"].to_numpy(float) > 500
    assert np.median(np.abs(away[strong])) < 0.08
    assert np.quantile(np.abs(away[strong]), 0.95) < 0.22
    assert np.quantile(np.abs(away), 0.95) < 0.35


@pytest.mark.parametrize("assay", ["qpcr", "ddpcr"])
def test_the_limits_of_a_result_hold_the_truth(clean: Quantified, assay: str) -> None:
    found = beside(clean)
    found = found[(found["assay"] == assay) & (found["detection"] == "quantified")]
    true = found["copies_per_ug_true"]
    held = (found["copies_per_ug_lower"] <= true) & (found["copies_per_ug_upper"] >= true)
    # Of 95 % limits; the error of the measured mass of DNA is not in them.
    assert held.mean() >= 0.85


def test_results_below_a_limit_are_small_in_truth(clean: Quantified) -> None:
    found = beside(clean)
    qpcr = found[found["assay"] == "qpcr"]
    true = qpcr["copies_per_ug_true"].to_numpy(float)
    detection = qpcr["detection"].to_numpy(str)
    assert set(detection) == {"quantified", "BLQ", "BLD"}
    # LOD 10 and LLOQ 50 copies/ug; 5 and 25 copies in a reaction, of which counting blurs a third and a tenth.
    assert true[detection == "BLD"].max() < 20
    assert true[detection == "BLQ"].max() < 75
    assert true[detection == "quantified"].min() > 30


def test_both_assays_agree_where_both_quantify(clean: Quantified) -> None:
    found = beside(clean)
    found = found[found["detection"] == "quantified"]
    key = ["subject_id_true", "infusion_true", "study_day"]
    both = found[found["assay"] == "qpcr"].merge(found[found["assay"] == "ddpcr"], on=key)
    away = np.log(both["copies_per_ug_x"].to_numpy(float) / both["copies_per_ug_y"].to_numpy(float))
    assert len(away) >= 30
    assert np.median(np.abs(away)) < 0.12


def test_a_clean_trial_rejects_no_plate_and_no_control(clean: Quantified) -> None:
    told = loud(clean)[loud(clean)["check"] != "control_chart"]
    # By chance: a level of standards off by more than 25 %, replicates of a few copies.
    assert set(told["check"]) <= {"standard_recovery", "replicate_cv"}
    assert set(told["verdict"]) <= {"warn"}
    assert len(told) < 0.02 * len(clean.made.samples)
    # Limits of a chart come from five plates at first, whose SD is small now and then.
    assert (clean.made.controls["verdict"] == "fail").mean() < 0.05
    assert (clean.made.curves["verdict"] != "rejected").all()


def test_curves_are_those_of_the_instrument(clean: Quantified) -> None:
    curves = clean.made.curves
    assert len(curves) >= 9
    for name in ("slope", "intercept", "r2", "efficiency_percent"):
        assert curves[name].to_numpy(float) == pytest.approx(curves[f"vendor_{name}"], abs=0.02), name


# --- the planted failures ------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAILURES)
def test_every_planted_failure_is_found_by_its_check_in_its_wells(demo: Quantified, kind: str) -> None:
    failure = demo.trial.truth["planted_pcr_failures"].set_index("kind").loc[kind]
    found = loud(demo)
    hits = found[(found["check"] == failure["check"]) & (found["source_file"] == failure["file_id"])]
    assert len(hits) > 0
    said = " ".join([*hits["message"], *hits["value"].dropna()])
    for well in filter(None, failure["wells"].split(";")):
        assert well in said
    if failure["sample"]:
        for name in failure["sample"].split(";"):
            assert name in said or name == "NTC"


def test_nothing_but_the_planted_failures_is_told(demo: Quantified) -> None:
    failures = demo.trial.truth["planted_pcr_failures"]
    planted = set(zip(failures["file_id"], failures["check"], strict=True))
    # What follows from a planted failure: the same curve, the same wells, wells that are left.
    follows = {
        "slope": {"efficiency"},
        "replicate_cq_sd": {"replicate_cv"},
        "inhibition_shift": {"no_well_left"},
        "partitions": {"replicates"},
        "sample_mismatch": {"replicates"},
    }
    allowed = planted | {(file, more) for file, check in planted for more in follows.get(check, ())}
    found = loud(demo)
    assert set(zip(found["source_file"], found["check"], strict=True)) <= allowed


def test_exactly_the_planted_samples_are_rejected(demo: Quantified) -> None:
    found = beside(demo)
    assert ((found["verdict"] == "rejected") == (found["verdict_true"] == "rejected")).all()
    # The sample without a name is nobody's, so that it is no row of the samples.
    lost = set(demo.trial.truth["pcr_samples"]["sample"]) - set(found["sample"])
    assert lost <= {"rack 3 tube 12"}


def test_a_wrong_droplet_volume_of_the_instrument_changes_no_result(demo: Quantified) -> None:
    found = beside(demo)
    second = found[(found["plate"] == "ddpcr_run_02") & (found["detection"] == "quantified")]
    assert len(second) >= 4
    assert abs(np.median(log_ratio(second, "copies_per_ug"))) < 0.05
    assert second["flags"].str.contains("volume_audit").all()


def test_every_sample_has_one_accepted_result_in_each_unit(demo: Quantified) -> None:
    used = demo.measurements[demo.measurements["status"] != "rejected"]
    assert not used.duplicated([*DRAW, "unit"]).any()
    truth = demo.trial.truth["pcr_samples"]
    for unit in UNITS:
        found = used.loc[used["unit"] == unit, DRAW].astype({"infusion": int, "study_day": int})
        wanted = truth.loc[truth["verdict"] == "accepted", DRAW]
        assert sorted(found.itertuples(index=False, name=None)) == sorted(
            wanted.itertuples(index=False, name=None)
        )


def test_repeats_of_rejected_samples_are_no_duplicates_and_ask_for_no_more(demo: Quantified) -> None:
    assert "duplicates_disagree" not in set(demo.qc["check"])
    samples = demo.made.samples
    again = samples[samples["repeat"].fillna(value=False)]
    assert set(again["plate"]) <= {"ddpcr_run_01"}


def test_no_date_and_no_operator_of_an_instrument_leaves_intake(demo: Quantified) -> None:
    made = demo.made
    for frame in (made.results, made.samples, made.wells, made.curves, made.controls, made.qc):
        text = frame.to_csv(index=False)
        assert not holds_date(text)
        assert OPERATOR not in text


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_every_failure_is_found_whatever_the_seed(seed: int, tmp_path: Path) -> None:
    found = quantify(
        simulate_trial(seed, tubes=False, immunoassays=False, bedside=False, libraries=False),
        tmp_path / "trial",
    )
    told = loud(found)
    failures = found.trial.truth["planted_pcr_failures"]
    for failure in failures.itertuples():
        hits = told[(told["check"] == failure.check) & (told["source_file"] == failure.file_id)]
        assert len(hits) > 0, failure.kind
    both = beside(found)
    assert ((both["verdict"] == "rejected") == (both["verdict_true"] == "rejected")).all()
