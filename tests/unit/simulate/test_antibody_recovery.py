"""From the simulated files to the antibody metrics, compared with the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.reading import Read

from cartrace.antibody.course import compute_antibody
from cartrace.antibody.population import fit_decay
from cartrace.config import Antibody
from cartrace.simulate.humoral import DECLINES, crossings, draw_humoral
from cartrace.simulate.humoral_laboratory import TITRE_SD

KEY = ["subject_id", "infusion", "analyte"]


def compute(read: Read) -> tuple[pd.DataFrame, pd.DataFrame]:
    metrics, qc = compute_antibody(read.measurements, read.tables.infusions, Antibody())
    return metrics.astype({"infusion": "int64"}), qc


@pytest.fixture(scope="module")
def demo_found(demo: Read) -> tuple[pd.DataFrame, pd.DataFrame]:
    return compute(demo)


@pytest.fixture(scope="module")
def found(clean: Read) -> pd.DataFrame:
    return compute(clean)[0]


def beside(read: Read, metrics: pd.DataFrame, name: str, analyte: str) -> pd.DataFrame:
    """One metric of one antibody with its truth, one row for each first infusion."""
    chosen = metrics[
        (metrics["metric"] == name) & (metrics["analyte"] == analyte) & (metrics["infusion"] == 1)
    ]
    truth = read.trial.truth["antibodies"].set_index(KEY).drop(columns=["matrix", "unit"])
    return chosen.set_index(KEY)[["value", "lower", "upper", "status", "reason"]].join(truth)


@pytest.mark.parametrize(("analyte", "least"), [("aqp4_igg", 45), ("anti_srp", 10)])
def test_the_interval_of_seronegativity_holds_the_true_day(
    clean: Read, found: pd.DataFrame, analyte: str, least: int
) -> None:
    rows = beside(clean, found, "time_to_seronegative", analyte)
    timed = rows[rows["seronegative_day"].notna()]
    inside = (timed["lower"] <= timed["seronegative_day"]) & (
        timed["upper"].fillna(np.inf) >= timed["seronegative_day"]
    )
    assert len(inside) >= least
    assert inside.mean() >= 0.8


def test_who_stays_positive_is_right_censored(clean: Read, found: pd.DataFrame) -> None:
    rows = beside(clean, found, "time_to_seronegative", "aqp4_igg")
    positive = rows[rows["seronegative_day"].isna()]
    assert len(positive) == 10  # five that do not fall, five that were lost early
    assert (positive["status"] == "right_censored").all()


def test_a_four_fold_fall_is_right_within_the_step_of_a_titre(clean: Read, found: pd.DataFrame) -> None:
    # Two end points that lie two steps apart stand for titres that lie one to three steps apart.
    rows = beside(clean, found, "time_to_fourfold_fall", "aqp4_igg")
    usual = rows[rows["decline"].isin(["usual", "start_changed"]) & rows["upper"].notna()]
    at_most = usual["lower"].clip(lower=0) / usual["half_life"]
    at_least = usual["upper"] / usual["half_life"]
    room = 2.6 * np.sqrt(2) * TITRE_SD
    assert len(usual) >= 35
    assert ((at_most <= 3 + room) & (at_least >= 1 - room)).mean() >= 0.97


def test_half_lives_are_recovered_within_their_limits(clean: Read, found: pd.DataFrame) -> None:
    rows = beside(clean, found, "antibody_half_life", "aqp4_igg")
    falling = rows[rows["decline"].isin(["usual", "start_changed", "high"]) & rows["value"].notna()]
    inside = (falling["lower"] <= falling["half_life"]) & (falling["upper"] >= falling["half_life"])
    assert len(falling) >= 40
    assert inside.mean() >= 0.9
    assert np.median(np.abs(np.log(falling["value"] / falling["half_life"]))) < 0.2


def test_half_lives_of_an_elisa_are_closer(clean: Read, found: pd.DataFrame) -> None:
    rows = beside(clean, found, "antibody_half_life", "anti_srp")
    assert rows["value"].notna().all()
    assert np.median(np.abs(np.log(rows["value"] / rows["half_life"]))) < 0.08


@pytest.mark.slow
def test_the_decay_of_all_subjects_is_the_true_one(clean: Read) -> None:
    elisa = clean.measurements[clean.measurements["analyte"] == "anti_srp"]
    model = fit_decay(elisa, Antibody()).set_index("parameter")
    rates = clean.trial.truth["antibodies"].query("analyte == 'anti_srp'")["decay_rate"]
    estimate = model.loc["decay_rate"]
    assert abs(estimate["value"] - rates.mean()) < 2 * estimate["se"]


# --- the special cases, in the trial with its planted errors --------------------------------


def special(decline: str) -> str:
    return f"NMO-{DECLINES.index(decline) + 1:03d}"  # type: ignore[arg-type]


def metric(found: tuple[pd.DataFrame, pd.DataFrame], subject: str, name: str) -> pd.Series:
    m = found[0]
    chosen = m[
        (m["subject_id"] == subject)
        & (m["infusion"] == 1)
        & (m["analyte"] == "aqp4_igg")
        & (m["metric"] == name)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_who_is_positive_again_became_seronegative_first_and_is_told(
    demo: Read, demo_found: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    subject = special("rebound")
    row = metric(demo_found, subject, "time_to_seronegative")
    truth = demo.trial.truth["antibodies"].set_index(KEY).loc[(subject, 1, "aqp4_igg")]
    assert row["lower"] <= truth["seronegative_day"] <= row["upper"]
    assert "positive again" in row["reason"]
    assert metric(demo_found, subject, "seronegative_at_M3")["value"] == 1
    assert metric(demo_found, subject, "seronegative_at_M6")["value"] == 0


def test_only_the_changed_start_is_flagged(demo_found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    changed = demo_found[1]
    assert changed["check"].tolist() == ["starting_dilution_changed"]
    assert changed["subject_id"].tolist() == [special("start_changed")]
    assert changed["source_column"].tolist() == ["D90"]


def test_a_titre_above_the_last_well_gives_a_fall_with_a_lower_bound(
    demo_found: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    baseline = metric(demo_found, special("high"), "antibody_baseline")
    assert (baseline["status"], baseline["lower"]) == ("right_censored", 2560)
    fall = metric(demo_found, special("high"), "log2_fall")
    assert fall["status"] == "right_censored"
    assert fall["lower"] >= 8  # from 2560 to below 10


def test_who_does_not_fall_is_neither_negative_nor_fallen(
    demo_found: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    subject = special("no_fall")
    for name in ("time_to_seronegative", "time_to_fourfold_fall"):
        assert metric(demo_found, subject, name)["status"] == "right_censored"


def test_a_titre_with_a_letter_in_it_is_no_result(demo: Read) -> None:
    error = demo.trial.truth["planted_errors"].set_index("kind").loc["letter_in_titre"]
    titres = demo.measurements[demo.measurements["analyte"] == "aqp4_igg"]
    read = titres[(titres["subject_id"] == error["subject_id"]) & (titres["visit"] == error["visit"])]
    assert error["written"].endswith("O")
    assert len(read) == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_rebound_is_negative_at_two_visits_whatever_the_seed(seed: int) -> None:
    drawn = draw_humoral(np.random.default_rng(seed), DECLINES.index("rebound"), (0,))
    found = crossings(drawn.courses["aqp4_igg"], 10.0, -4.0, 200.0)
    assert found.falls[0] < 58
    assert 100 < found.rises[0] < 130
