"""What the central laboratory of the simulated trial sends, and what was planted in it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cartrace.config import PcrAcceptance
from cartrace.intake.plan import Plan, load_plan
from cartrace.pcr.assay import load_assay
from cartrace.problems import holds_date
from cartrace.simulate.central_laboratory import ASSAYS, FAILURES
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import files, write_trial

CENTRAL = ["NMO-002", "NMO-004", "NMO-005", "NMO-007", "NMO-010", "NMO-011"]


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate_trial(2024, tubes=False, immunoassays=False, libraries=False)


@pytest.fixture(scope="module")
def clean() -> Trial:
    return simulate_trial(2024, plant_errors=False, tubes=False, immunoassays=False, libraries=False)


@pytest.fixture(scope="module")
def plan(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("trial") / "demo"
    write_trial(trial, folder)
    return load_plan(yaml.safe_load((folder / "config.yaml").read_text("utf-8")), folder)


def test_half_of_the_subjects_have_their_blood_at_the_central_laboratory(trial: Trial) -> None:
    sent = trial.truth["pcr_samples"]
    assert sent["subject_id"].unique().tolist() == CENTRAL
    tabled = trial.truth["samples"].query("analyte == 'transgene' and matrix == 'blood'")
    assert set(tabled["subject_id"]).isdisjoint(CENTRAL)
    assert set(tabled["subject_id"]) | set(CENTRAL) == set(trial.sheets["subjects"]["subject_id"])


def test_the_other_results_are_those_of_a_trial_without_plates(trial: Trial) -> None:
    without = simulate_trial(2024, plates=False, tubes=False, immunoassays=False, libraries=False).truth[
        "samples"
    ]
    key = ["subject_id", "infusion", "matrix", "visit", "study_day", "analyte", "assay", "unit"]
    both = trial.truth["samples"].merge(without, on=key, suffixes=("", "_alone"))
    assert len(both) == len(trial.truth["samples"])
    assert (both["right_cell"] == both["right_cell_alone"]).all()
    sent = without.query("assay == 'qpcr' and matrix == 'blood' and unit == 'copies/ug'")
    sent = sent[sent["subject_id"].isin(CENTRAL)].set_index(["subject_id", "study_day"])["true_value"]
    found = trial.truth["pcr_samples"].query("assay == 'qpcr'").set_index(["subject_id", "study_day"])
    assert set(found.index) == set(sent.index)
    assert (found["copies_per_ug"] == sent.reindex(found.index)).all()


@pytest.mark.parametrize("name", ASSAYS)
def test_the_assay_files_keep_the_contract(name: str) -> None:
    assay = load_assay(ASSAYS[name], name)
    assert assay.targets["CAR"].names == ("CAR-BBz",)


def test_the_trial_folder_is_a_valid_plan(plan: Plan) -> None:
    assert list(plan.plates) == [f"qpcr_run_{i:02d}" for i in range(1, 8)] + ["ddpcr_run_01", "ddpcr_run_02"]
    assert plan.sheet_paths["samples"] == "sheets/samples.tsv"
    assert [len(p.amplitudes) for p in plan.plates.values()] == [0] * 7 + [2, 0]


def test_every_name_on_a_qpcr_plate_fits_the_pattern_but_the_planted_one(trial: Trial) -> None:
    pattern = re.compile(ASSAYS["car_qpcr_plate"]["samples"]["pattern"])
    on_plates = trial.truth["pcr_samples"].query("assay == 'qpcr'")
    matches = {row.sample: (pattern.fullmatch(row.sample), row) for row in on_plates.itertuples()}
    assert [name for name, (match, _) in matches.items() if match is None] == ["rack 3 tube 12"]
    for match, row in matches.values():
        if match is not None:
            infusion = int(match["infusion"] or 1)
            told = (match["subject"], infusion, match["visit"], int(match["day"]))
            assert told == (row.subject_id, row.infusion, row.visit, row.day)
    assert {m["infusion"] for m, _ in matches.values() if m} == {None, "2"}


def test_every_sample_has_an_extraction_and_every_tube_a_row_of_the_samples_sheet(trial: Trial) -> None:
    on_plates = trial.truth["pcr_samples"]
    extracted = trial.sheets["extractions"]["sample"]
    assert extracted.is_unique
    assert set(on_plates["sample"]) - {"rack 3 tube 12"} <= set(extracted)
    tubes = on_plates.query("assay == 'ddpcr'")["sample"]
    assert tubes.tolist() == trial.sheets["samples"]["sample_id"].tolist()


def test_every_sample_has_exactly_one_accepted_qpcr_result(trial: Trial) -> None:
    accepted = trial.truth["pcr_samples"].query("assay == 'qpcr' and verdict == 'accepted'")
    assert not accepted.duplicated(["subject_id", "infusion", "study_day"]).any()
    rejected = trial.truth["pcr_samples"].query("verdict == 'rejected'")
    again = accepted[accepted["file_id"].isin(["qpcr_run_06", "qpcr_run_07"])]
    assert len(rejected) == len(again) == 43
    assert set(rejected["study_day"]) == set(again["study_day"])


def test_eight_failures_are_planted_each_where_it_says(trial: Trial) -> None:
    failures = trial.truth["planted_pcr_failures"]
    assert sorted(failures["kind"]) == sorted(FAILURES)
    own_names = {"sample_unmapped", "sample_mismatch"}
    assert set(failures["check"]) <= set(PcrAcceptance.model_fields) | own_names
    assert set(failures["file_id"]) | set(failures["repeated_on"]) - {""} <= {
        f["file_id"] for f in trial.plates.files
    }


def test_a_trial_without_errors_has_five_plates_and_two_and_no_repeats(clean: Trial) -> None:
    assert [f["file_id"] for f in clean.plates.files] == [
        *(f"qpcr_run_{i:02d}" for i in range(1, 6)),
        *(f"ddpcr_run_{i:02d}" for i in (1, 2)),
    ]
    assert len(clean.truth["planted_pcr_failures"]) == 0
    assert set(clean.truth["pcr_samples"]["verdict"]) == {"accepted"}


def test_planting_changes_only_the_spoilt_plates(trial: Trial, clean: Trial) -> None:
    same = {
        name
        for name, content in clean.plates.contents.items()
        if name.startswith("data/") and trial.plates.contents[name] == content
    }
    # The outlier, the unknown name and the inhibited sample stand on 1, 3 and 5, whole failures on 2 and 4.
    assert {n for n in clean.plates.contents if n.startswith("data/")} - same == {
        *(f"data/plates/qpcr_run_{i:02d}.txt" for i in range(1, 6)),
        "data/plates/ddpcr_run_01.csv",
        "data/plates/ddpcr_run_02.csv",
    }
    ours, theirs = (
        t.plates.contents["data/plates/qpcr_run_01.txt"].decode().split("[Results]")[1].splitlines()
        for t in (trial, clean)
    )
    changed = {a.split("\t")[1] for a, b in zip(ours, theirs, strict=True) if a != b}
    assert changed == {"G10", "G11", "G12"}


def test_the_swapped_wells_are_swapped_in_the_plate_map_only(trial: Trial) -> None:
    failure = trial.truth["planted_pcr_failures"].set_index("kind").loc["swapped_wells"]
    rows = trial.plates.contents["plate_maps/ddpcr_run_01.tsv"].decode().splitlines()[1:]
    in_map = dict(row.split("\t") for row in rows)
    file = trial.plates.contents["data/plates/ddpcr_run_01.csv"].decode().splitlines()[1:]
    in_file = {line.split(",")[0]: line.split(",")[1] for line in file}
    one, other = failure["wells"].split(";")
    assert (in_map[one], in_map[other]) == (in_file[other], in_file[one])
    assert {w for w in in_file if in_file[w] != in_map[w]} == {one, other}


def test_the_inhibited_sample_is_repeated_1_in_5(trial: Trial) -> None:
    rows = trial.plates.contents["plate_maps/qpcr_run_06.tsv"].decode().splitlines()
    failure = trial.truth["planted_pcr_failures"].set_index("kind").loc["inhibited_sample"]
    assert rows[0] == "well\tsample\tdilution"
    assert {row.split("\t", 1)[1] for row in rows[1:]} == {f"{failure['sample']}\t5"}
    both = trial.truth["pcr_samples"].query("sample == @failure['sample']").set_index("file_id")
    assert both.loc["qpcr_run_06", "dna_ng"] == pytest.approx(both["dna_ng"].max() / 5)


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_failure_finds_its_place_whatever_the_seed(seed: int) -> None:
    assert sorted(
        simulate_trial(seed, tubes=False, immunoassays=False, libraries=False).truth["planted_pcr_failures"][
            "kind"
        ]
    ) == sorted(FAILURES)


def test_a_larger_trial_holds_the_plates_of_the_first_twelve_unchanged(trial: Trial) -> None:
    larger = simulate_trial(2024, 16, tubes=False, immunoassays=False, libraries=False).plates
    for name, content in trial.plates.contents.items():
        assert larger.contents[name] == content, name
    assert len(larger.files) > len(trial.plates.files)


@pytest.mark.parametrize("n", [1, 2, 4, 11])
def test_a_small_trial_has_plates_without_failures(n: int) -> None:
    trial = simulate_trial(7, n, tubes=False, immunoassays=False, libraries=False)
    assert trial.plates.failures == []
    assert bool(trial.plates.files) == (n > 1)


def test_without_plates_everything_comes_as_tables(tmp_path: Path) -> None:
    written = files(simulate_trial(7, 4, plates=False, tubes=False, immunoassays=False, libraries=False))
    assert not [name for name in written if "plate" in name or "extraction" in name]
    assert "truth/pcr_samples.tsv" not in written


def test_dates_stand_in_the_headers_of_the_instruments_and_nowhere_in_ids_or_truth(trial: Trial) -> None:
    text = trial.plates.contents["data/plates/qpcr_run_01.txt"].decode()
    head, body = text.split("[Sample Setup]")
    assert holds_date(head)
    assert not holds_date(body)
    for name in ("pcr_samples", "planted_pcr_failures"):
        assert not holds_date(trial.truth[name].to_csv(index=False))
    assert not any(holds_date(name) for name in trial.plates.contents)


def test_what_the_plates_weigh_stays_below_a_megabyte(trial: Trial) -> None:
    assert sum(len(content) for content in trial.plates.contents.values()) < 1_000_000


def test_equal_seeds_give_equal_plates_and_others_do_not(trial: Trial) -> None:
    assert (
        simulate_trial(2024, tubes=False, immunoassays=False, libraries=False).plates.contents
        == trial.plates.contents
    )
    name = "data/plates/qpcr_run_01.txt"
    assert (
        simulate_trial(2025, tubes=False, immunoassays=False, libraries=False).plates.contents[name]
        != trial.plates.contents[name]
    )


def test_the_truth_of_a_sample_is_one_and_the_same_in_both_assays(trial: Trial) -> None:
    key = ["subject_id", "infusion", "study_day"]
    truth = trial.truth["pcr_samples"]
    both = truth.query("assay == 'qpcr' and verdict == 'accepted'").merge(
        truth.query("assay == 'ddpcr'"), on=key, suffixes=("", "_ddpcr")
    )
    assert len(both) == truth["assay"].eq("ddpcr").sum()
    pd.testing.assert_series_equal(both["copies_per_ug"], both["copies_per_ug_ddpcr"], check_names=False)
