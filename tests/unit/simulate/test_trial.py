from __future__ import annotations

import re
from itertools import pairwise

import pandas as pd
import pytest

from cartrace.problems import holds_date
from cartrace.simulate.laboratory import LabTable, flow_cells
from cartrace.simulate.trial import MAY_BE_MISSED, VISITS, Trial, simulate_trial


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate_trial(2024, plates=False, tubes=False, immunoassays=False, bedside=False, libraries=False)


@pytest.fixture(scope="module")
def clean() -> Trial:
    return simulate_trial(
        2024,
        plant_errors=False,
        plates=False,
        tubes=False,
        immunoassays=False,
        bedside=False,
        libraries=False,
    )


def test_the_cohorts_are_those_of_the_nmosd_phase_1(trial: Trial) -> None:
    doses = trial.sheets["infusions"].query("infusion == '1'")["dose"]
    assert doses.value_counts().to_dict() == {"500000": 3, "1000000": 9}
    assert trial.sheets["subjects"]["cohort"].value_counts().tolist() == [6, 3, 3]
    assert (trial.sheets["subjects"]["sex"] == "female").sum() == 10


def test_two_of_twelve_persist_beyond_six_months(trial: Trial) -> None:
    truth = trial.truth["courses"].query("unit == 'copies/ug' and matrix == 'blood' and infusion == 1")
    assert (truth["time_to_loss"] > 180).sum() == 2


def test_one_subject_each_has_a_second_infusion_and_a_csf_course(trial: Trial) -> None:
    infusions = trial.sheets["infusions"]
    assert infusions.loc[infusions["infusion"] == "2", "subject_id"].tolist() == ["NMO-007"]
    samples = trial.truth["samples"]
    assert samples.loc[samples["matrix"] == "csf", "subject_id"].unique().tolist() == ["NMO-008"]


def test_a_second_infusion_starts_its_own_clock(trial: Trial) -> None:
    second = trial.truth["samples"].query("infusion == 2 and unit == 'copies/ug'")
    assert second["day"].min() == 0
    started = set(second["study_day"] - second["day"])
    assert len(started) == 1
    assert started <= set(range(187, 194))


def test_the_subject_lost_early_has_no_sample_after_day_31(trial: Trial) -> None:
    assert trial.truth["samples"].query("subject_id == 'NMO-010'")["day"].max() in range(28, 32)


def test_one_subject_is_never_quantifiable(trial: Trial) -> None:
    cells = trial.truth["samples"].query("subject_id == 'NMO-002' and unit == 'copies/ug'")["right_cell"]
    assert not cells.str.strip().str.isdigit().any()


def test_the_late_maximum_is_measured_at_day_42_or_60(trial: Trial) -> None:
    course = trial.truth["samples"].query("subject_id == 'NMO-005' and unit == 'copies/ug'")
    assert course.loc[course["measured_value"].idxmax(), "visit"] in {"D42", "D60"}


def test_some_visits_are_missed_but_never_two_in_a_row(sixty: Trial) -> None:
    samples = sixty.truth["samples"].query("unit == 'copies/ug' and infusion == 1")
    names = [name for name, _, _ in VISITS]
    missed_any = 0
    for _, course in samples[samples["matrix"] == "blood"].groupby("subject_id"):
        seen = [names.index(v) for v in course["visit"]]
        gaps = [b - a for a, b in pairwise(seen)]
        missed = set(range(max(seen))) - set(seen)
        missed_any += len(missed)
        assert max(gaps) <= 2
        assert {names[i] for i in missed} <= set(MAY_BE_MISSED)
    assert missed_any > 0


def test_a_clean_trial_stays_within_its_visit_windows(clean: Trial) -> None:
    blood = clean.truth["samples"].query("matrix == 'blood'")
    windows = {name: window for name, _, window in VISITS}
    late = (blood["day"] - blood["nominal_day"]).abs()
    assert (late <= blood["visit"].map(windows)).all()
    assert (late > 0).any()


def test_a_larger_trial_holds_the_smaller_one_unchanged(trial: Trial) -> None:
    larger = simulate_trial(
        2024, 20, plates=False, tubes=False, immunoassays=False, bedside=False, libraries=False
    )
    smaller = trial.truth["samples"]
    shared = larger.truth["samples"].merge(smaller[["subject_id"]].drop_duplicates())
    columns = ["subject_id", "visit", "study_day", "analyte", "unit", "measured_value", "right_cell"]
    pd.testing.assert_frame_equal(
        shared[columns].sort_values(columns[:5], ignore_index=True),
        smaller[columns].sort_values(columns[:5], ignore_index=True),
    )


def test_planting_errors_changes_nothing_else(trial: Trial, clean: Trial) -> None:
    pd.testing.assert_frame_equal(trial.truth["courses"], clean.truth["courses"])
    assert len(clean.truth["planted_errors"]) == 0
    changed = {
        (with_errors.file_id, with_errors.row_number(i))
        for with_errors, without in zip(trial.tables, clean.tables, strict=True)
        for i, (a, b) in enumerate(zip(with_errors.rows, without.rows, strict=False))
        if a != b
    }
    # Twelve errors; the swap changes two rows, and three of the rest add a row or stand in the repeats.
    assert len(changed) == 11


def test_noise_of_the_pcr_has_a_cv_of_25_percent(sixty: Trial) -> None:
    samples = sixty.truth["samples"].query("unit == 'copies/ug' and true_value > 0")
    ratio = samples["measured_value"] / samples["true_value"]
    assert ratio.median() == pytest.approx(1.0, abs=0.03)
    assert ratio.std() / ratio.mean() == pytest.approx(0.25, abs=0.02)


def test_the_second_unit_is_the_first_times_0_0066(trial: Trial) -> None:
    samples = trial.truth["samples"].query("assay == 'qpcr' and matrix == 'blood' and true_value > 0")
    wide = samples.set_index(["subject_id", "infusion", "visit", "unit"])["measured_value"].sort_index()
    ratio = wide.xs("copies/1000 cells", level="unit") / wide.xs("copies/ug", level="unit")
    assert ratio.to_numpy() == pytest.approx(0.0066)


def test_counts_are_the_product_of_the_printed_share_and_the_printed_t_cells() -> None:
    assert flow_cells(12.345, 400.4) == ("12,35", "400", "49,40")
    assert flow_cells(0.07, 800.0) == ("<0,1", "800", "<1")
    assert flow_cells(0.01, 800.0) == ("n.n.", "800", "n.n.")


def test_no_id_and_no_truth_holds_a_calendar_date(trial: Trial) -> None:
    for name, frame in trial.truth.items():
        text = frame.to_csv(index=False)
        assert not holds_date(text), name
    assert trial.sheets["subjects"]["subject_id"].map(holds_date).sum() == 0
    assert not any(holds_date(t.path) for t in trial.tables)


def test_two_header_rows_are_joined_as_the_reader_joins_them() -> None:
    table = LabTable("x", "x.xlsx", "qpcr", (("Sample", "", "PCR", ""), ("Id", "Day", "copies", "")))
    assert [table.column_name(i) for i in range(4)] == [
        "Sample / Id",
        "Sample / Day",
        "PCR / copies",
        "PCR",
    ]


@pytest.mark.parametrize(("seed", "n"), [(-1, 12), (1, 0), (1, 10_000)])
def test_impossible_arguments_are_refused(seed: int, n: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        simulate_trial(seed, n, libraries=False)


@pytest.mark.parametrize("n", [1, 5, 6, 11, 13, 25])
def test_any_number_of_subjects_works(n: int) -> None:
    trial = simulate_trial(3, n, tubes=False, libraries=False)
    assert len(trial.sheets["subjects"]) == n
    assert all(re.fullmatch(r"NMO-\d{3}", s) for s in trial.sheets["subjects"]["subject_id"])
