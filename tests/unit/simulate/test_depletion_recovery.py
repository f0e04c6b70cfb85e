"""From the simulated files to the depletion metrics, compared with the truth.

A truth that is nan does not happen before the last contact: then the metric has to
be right-censored, or say why there is none.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.simulate.reading import Read

from cartrace.config import Depletion
from cartrace.depletion.course import Depletion as Found
from cartrace.depletion.course import compute_depletion
from cartrace.simulate.humoral import LINEAGES

KEY = ["subject_id", "infusion", "analyte"]
ANALYTES = (
    "b_cells",
    "naive_b_cells",
    "memory_b_cells",
    "plasmablasts",
    "plasma_cells",
    "igg",
    "iga",
    "igm",
    "soluble_bcma",
)


def compute(read: Read, events: pd.DataFrame | None) -> Found:
    found = compute_depletion(read.measurements, read.tables.infusions, events, Depletion())
    return Found(*(table.astype({"infusion": "int64"}) for table in found))


@pytest.fixture(scope="module")
def demo_found(demo: Read) -> Found:
    return compute(demo, demo.tables.events)


@pytest.fixture(scope="module")
def found(clean: Read) -> Found:
    return compute(clean, clean.tables.events)


def beside(read: Read, found: Found, metric: str, analyte: str) -> pd.DataFrame:
    """One metric of one analyte with its truth, one row for each course."""
    chosen = found.metrics[(found.metrics["metric"] == metric) & (found.metrics["analyte"] == analyte)]
    truth = read.trial.truth["depletion"].set_index(KEY).drop(columns=["matrix", "unit"])
    # The truth has columns of the same names as metrics (baseline, nadir).
    return chosen.set_index(KEY)[["value", "lower", "upper", "status", "reason"]].join(truth)


def held(rows: pd.DataFrame, true: str) -> pd.Series:
    """Whether the interval of each timed course holds its true day, for courses that have one."""
    timed = rows[rows[true].notna() & rows["lower"].notna()]
    return (timed["lower"] <= timed[true]) & (timed["upper"].fillna(np.inf) >= timed[true])


@pytest.mark.parametrize("analyte", ANALYTES)
def test_the_interval_of_the_onset_holds_the_true_day(clean: Read, found: Found, analyte: str) -> None:
    inside = held(beside(clean, found, "time_to_depletion", analyte), "depleted_day")
    assert len(inside) >= 50
    assert inside.mean() >= 0.8


@pytest.mark.parametrize("analyte", ANALYTES)
def test_the_interval_of_reconstitution_holds_the_true_day(clean: Read, found: Found, analyte: str) -> None:
    rows = beside(clean, found, "time_to_reconstitution_threshold", analyte)
    inside = held(rows, "above_threshold_day")
    assert len(inside) >= 20
    assert inside.mean() >= 0.8


def test_b_cells_are_normal_again_and_back_at_the_baseline_when_they_truly_are(
    clean: Read, found: Found
) -> None:
    assert held(beside(clean, found, "time_to_reconstitution_normal", "b_cells"), "normal_day").mean() >= 0.8
    # The baseline is one result with its noise.
    inside = held(beside(clean, found, "time_to_reconstitution_baseline", "b_cells"), "back_to_baseline_day")
    assert inside.mean() >= 0.8


@pytest.mark.parametrize("analyte", ["b_cells", "igg"])
def test_what_did_not_happen_is_never_a_day(clean: Read, found: Found, analyte: str) -> None:
    rows = beside(clean, found, "time_to_reconstitution_threshold", analyte)
    absent = rows[rows["above_threshold_day"].isna()]
    assert len(absent) > 10
    assert set(absent["status"]) <= {"right_censored", "not_estimable"}
    assert absent["reason"].notna().all()


@pytest.mark.parametrize("analyte", ANALYTES)
def test_baselines_are_recovered_within_the_noise(clean: Read, found: Found, analyte: str) -> None:
    rows = beside(clean, found, "baseline", analyte)
    chosen = found.metrics[(found.metrics["metric"] == "baseline") & (found.metrics["analyte"] == analyte)]
    value = chosen.set_index(KEY)["value"]
    assert np.median(np.abs(np.log(value / rows["baseline"]).dropna())) < 0.2


@pytest.mark.parametrize("analyte", ["b_cells", "igg"])
def test_the_number_of_episodes_is_the_true_one(clean: Read, found: Found, analyte: str) -> None:
    rows = beside(clean, found, "n_depletion_episodes", analyte)
    assert (rows["value"] == rows["n_episodes"]).mean() >= 0.95


# --- the special cases, in the trial with its planted errors --------------------------------


def special(role: str) -> str:
    return f"NMO-{LINEAGES.index(role) + 1:03d}"


def metric(found: Found, subject: str, analyte: str, name: str) -> pd.Series:
    chosen = found.metrics[
        (found.metrics["subject_id"] == subject)
        & (found.metrics["infusion"] == 1)
        & (found.metrics["analyte"] == analyte)
        & (found.metrics["metric"] == name)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def episodes(found: Found, subject: str, analyte: str) -> pd.DataFrame:
    e = found.episodes
    return e[(e["subject_id"] == subject) & (e["infusion"] == 1) & (e["analyte"] == analyte)]


def test_who_falls_again_has_two_episodes_around_the_true_days(demo: Read, demo_found: Found) -> None:
    subject = special("falls_again")
    two = episodes(demo_found, subject, "b_cells")
    assert two["episode"].tolist() == [1, 2]
    truth = demo.trial.truth["depletion"].set_index(KEY).loc[(subject, 1, "b_cells")]
    first, second = two.iloc[0], two.iloc[1]
    assert first["end_lower"] <= truth["above_threshold_day"] <= first["end_upper"]
    assert second["start_lower"] <= truth["depleted_again_day"] <= second["start_upper"]
    assert "depleted again" in metric(demo_found, subject, "b_cells", "depletion_duration")["reason"]


@pytest.mark.parametrize("analyte", ["b_cells", "plasma_cells", "igg", "soluble_bcma"])
def test_who_never_reconstitutes_is_right_censored(demo_found: Found, analyte: str) -> None:
    subject = special("never_back")
    assert episodes(demo_found, subject, analyte)["status"].tolist() == ["open"]
    for name in ("depletion_duration", "time_to_reconstitution_threshold", "time_to_reconstitution_baseline"):
        row = metric(demo_found, subject, analyte, name)
        assert row["status"] == "right_censored"
        assert row["lower"] > 300


def test_who_is_lost_early_is_right_censored_at_the_last_sample(demo_found: Found) -> None:
    row = metric(demo_found, "NMO-010", "b_cells", "time_to_reconstitution_threshold")
    assert row["status"] == "right_censored"
    assert 28 <= row["lower"] <= 31


def test_who_was_low_before_has_an_episode_without_a_start(demo_found: Found) -> None:
    subject = special("low_before")
    first = episodes(demo_found, subject, "b_cells").iloc[0]
    assert pd.isna(first["start_lower"])
    assert metric(demo_found, subject, "b_cells", "time_to_depletion")["status"] == "not_estimable"


def test_who_was_never_depleted_is_told_apart_from_who_was_not_seen(demo_found: Found) -> None:
    subject = special("not_depleted")
    assert len(episodes(demo_found, subject, "b_cells")) == 0
    row = metric(demo_found, subject, "b_cells", "time_to_reconstitution_threshold")
    assert row["status"] == "not_estimable"
    assert "depleted" in row["reason"]


def test_igg_after_infused_immunoglobulin_is_no_reconstitution(demo: Read, demo_found: Found) -> None:
    subject = special("ivig")
    masked = metric(demo_found, subject, "igg", "time_to_reconstitution_threshold")
    naive = metric(compute(demo, None), subject, "igg", "time_to_reconstitution_threshold")
    doses = demo.tables.events.query("kind == 'ivig'")["study_day"]
    # Without the mask the infused immunoglobulin looks like the subject's own.
    assert naive["status"] == "interval_censored"
    assert naive["lower"] < doses.min() < naive["upper"]
    assert masked["lower"] > doses.max()
    assert "masked after ivig" in masked["reason"]


def test_an_igg_in_mg_dl_enters_no_metric(demo_found: Found) -> None:
    assert metric(demo_found, "NMO-006", "igg", "baseline")["value"] < 20
    igg = demo_found.metrics[
        demo_found.metrics["analyte"].eq("igg") & demo_found.metrics["metric"].eq("nadir")
    ]
    assert igg["value"].max() < 20
