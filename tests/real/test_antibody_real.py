"""Antibodies after infections: a published decay, titres as text, and an ELISA over two years.

None of these people was infused: day 0 is the onset of symptoms, or the outbreak.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import data_of

from cartrace.antibody.course import compute_antibody
from cartrace.antibody.population import fit_decay
from cartrace.antibody.titre_means import estimate_means
from cartrace.config import Antibody
from cartrace.tables import SUBJECTS, conform

pytestmark = pytest.mark.real
Of = Callable[[str], Any]

PUBLISHED_K, PUBLISHED_SE = 0.0067, 0.111 * 0.0067
"""Bottino 2021 (Antib Ther 4:144), per day, with its relative standard error of 11.1 %."""


def population(**settings: Any) -> Antibody:
    return Antibody.model_validate({"population": settings})


@pytest.mark.parametrize(
    ("rate", "k", "y0"),
    [("normal", 0.00727, 288), ("log_normal", 0.00675, 286)],
    ids=["normal", "log_normal"],
)
def test_the_decay_of_dan_2021_is_within_the_published_standard_error(
    intake_of: Of, rate: str, k: float, y0: float
) -> None:
    models = fit_decay(intake_of("antibody_dan2021").measurements, population(rate=rate))
    models = models.set_index("parameter")
    assert (models["status"] == "estimated").all()
    assert (models["n_subjects"] == 41).all()
    assert (models["n_points"] == 91).all()
    assert (models["n_censored"] == 8).all()
    assert abs(models.loc["decay_rate", "value"] - PUBLISHED_K) < PUBLISHED_SE
    # The plain likelihood with multivariate normal probabilities gives the same normal fit.
    assert models.loc["decay_rate", "value"] == pytest.approx(k, rel=0.003)
    assert models.loc["y0", "value"] == pytest.approx(y0, rel=0.003)


def test_taking_the_limit_for_a_value_makes_the_decay_of_dan_2021_slower(intake_of: Of) -> None:
    table = intake_of("antibody_dan2021").measurements
    censored = fit_decay(table, population()).set_index("parameter").loc["decay_rate", "value"]
    known = table.copy()
    hidden = known["detection"] == "BLQ"
    known.loc[hidden, ["value", "lower"]] = 20.0
    known.loc[hidden, "detection"] = "quantified"
    pretended = fit_decay(known, population()).set_index("parameter").loc["decay_rate", "value"]
    assert pretended < 0.95 * censored


def test_half_lives_of_dan_2021_are_estimated_where_three_results_decline(intake_of: Of) -> None:
    table = intake_of("antibody_dan2021").measurements
    metrics, qc = compute_antibody(table, None, Antibody())
    rows = metrics[metrics["metric"] == "antibody_half_life"]
    assert len(rows) == 41
    assert not len(qc)
    estimated = rows[rows["status"] == "estimated"]
    assert len(estimated) >= 5
    assert (estimated["lower"] < estimated["value"]).all()
    assert rows.loc[rows["status"] == "not_estimable", "reason"].notna().all()
    falls = metrics[metrics["metric"] == "log2_fall"]
    assert set(falls["reason"]) == {"no result before the infusion"}


def _steps(cell: Any) -> tuple[float, float] | None:
    """Interval of a titre as the workbook writes it, read without cartrace."""
    text = str(cell).strip()
    if text in {"nan", "", "NA"}:
        return None
    if text in {"Neg", "<1:10"}:
        return 0.0, 10.0
    value = float(text.split(":")[1])
    return (value, np.inf) if text[0] == ">" else (value, 2 * value)


def test_the_titre_strings_of_vo_give_the_change_between_two_surveys(intake_of: Of) -> None:
    table = intake_of("antibody_vo_serology").measurements.copy()
    # The first survey stands for the baseline: its people were not infused, so the clock may move.
    table["day"] -= 100.0
    metrics, qc = compute_antibody(table, None, Antibody())
    assert not len(qc)
    got = metrics[metrics["metric"] == "log2_fall_at_M6"].set_index("subject_id")

    raw = pd.read_excel(
        data_of("antibody_vo_serology") / "vo_serology_DB.xlsx", sheet_name="Vo'_June_2021", dtype=str
    )
    both = risen = fallen = 0
    for row in raw.itertuples():
        first, second = _steps(row.Neutralisation_May_2020), _steps(row.Neutralization_november_2020)
        if first is None or second is None or first[0] == 0:
            continue
        both += 1
        mine = got.loc[str(row.INTERNAL_ID_RAND)]
        with np.errstate(divide="ignore"):
            low, high = np.log2(first[0] / second[1]), np.log2(np.divide(first[1], second[0]))
        assert mine["lower"] == pytest.approx(low) or (np.isinf(low) and np.isnan(mine["lower"]))
        assert mine["upper"] == pytest.approx(high) or (np.isinf(high) and np.isnan(mine["upper"]))
        fallen += bool(low >= 0)
        risen += bool(high <= 0)
    assert both > 50
    # From the first to the second survey, before the vaccines, titres fall.
    assert fallen > 3 * risen
    settled = got[got["status"] == "estimated"]
    assert settled["value"].median() >= 0


def test_igg_after_enteric_fever_declines_from_day_28_on(intake_of: Of) -> None:
    table = intake_of("antibody_sees_nepal").measurements
    models = fit_decay(table, population(start_day=28))
    models = models.set_index(["assay", "parameter"])
    igg = models.loc["elisa_hlye_igg"]
    assert (igg["status"] == "estimated").all()
    assert igg.loc["decay_rate", "lower"] > 0
    assert 60 < igg.loc["half_life", "value"] < 250
    # The same, results of the first four weeks included: the rise hides a part of the decay.
    early = fit_decay(table, population()).set_index(["assay", "parameter"])
    assert early.loc[("elisa_hlye_igg", "decay_rate"), "value"] < igg.loc["decay_rate", "value"]
    iga = models.loc["elisa_hlye_iga"]
    assert iga.loc["decay_rate", "lower"] > 0


def test_means_of_vo_lie_half_a_step_above_the_usual_ones_and_fall_between_the_surveys(
    intake_of: Of,
) -> None:
    table = intake_of("antibody_vo_serology").measurements.copy()
    table["day"] -= 100.0
    people = pd.DataFrame({"subject_id": table["subject_id"].unique()})
    means = estimate_means(table, None, conform(people, SUBJECTS), Antibody())
    means = means.set_index(["quantity", "visit"])
    base, later = means.loc[("level", "Baseline")], means.loc[("level", "M6")]
    change = means.loc[("change", "M6")]
    assert (means["status"] == "estimated").all()
    # Titres of one survey differ by more than a step, so that half of one is what end points miss.
    missed = np.log2(base["geometric_mean"] / base["end_point_mean"])
    assert missed == pytest.approx(0.5, abs=0.1)
    assert later["geometric_mean"] < base["geometric_mean"]
    # Certainly fallen, by about the one step of the median of plain differences.
    assert -2 < change["lower_log2"] < change["mean_log2"] < change["upper_log2"] < 0
    assert "negative at baseline" in change["left_out"]


def test_the_means_of_dan_2021_agree_with_lifelines(intake_of: Of) -> None:
    lifelines = pytest.importorskip("lifelines")
    table = intake_of("antibody_dan2021").measurements
    people = pd.DataFrame({"subject_id": table["subject_id"].unique()})
    marks = [{"name": "early", "day": 60, "window": 60}]
    settings = Antibody.model_validate({"landmarks": marks})
    means = estimate_means(table, None, conform(people, SUBJECTS), settings)
    row = means[means["visit"] == "early"].iloc[0]
    assert row["status"] == "estimated"

    near = table[(table["day"] - 60).abs() <= 60].copy()
    near["distance"] = (near["day"] - 60).abs()
    one = near.sort_values(["distance", "day"]).drop_duplicates("subject_id")
    below = (one["detection"] == "BLQ").to_numpy()
    known = one["value"].to_numpy(dtype=float)
    low = np.where(below, 0.0, known)
    high = np.where(below, one["upper"].to_numpy(dtype=float), known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = lifelines.LogNormalFitter().fit_interval_censoring(low, high)
    assert row["n"] == len(one)
    assert row["mean_log2"] == pytest.approx(fit.mu_ / np.log(2), abs=2e-3)
    assert row["sd_log2"] == pytest.approx(fit.sigma_ / np.log(2), rel=5e-3)
