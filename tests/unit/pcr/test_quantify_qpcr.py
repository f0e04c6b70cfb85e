"""qPCR plates written by hand: Cq = 40 - 10/3 log10(copies), so that every number is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.unit.pcr.hand_plates import (
    LEVELS,
    Row,
    assay,
    cq,
    flags,
    ntc,
    plate,
    qpcr,
    rule_rows,
    standards,
)

from cartrace.config import Pcr
from cartrace.pcr.plate import Remark
from cartrace.pcr.quantify import PlateResult, quantify_plate
from cartrace.pcr.replicates import counting_bound, qpcr_estimate
from cartrace.pcr.standard_curve import Curve, fit_curve, inverse_interval, master_curve
from cartrace.problems import InputError

GOOD = [*standards(), ntc(), qpcr("C01", "S1", 1000), qpcr("D01", "S1", 4000)]


def run(rows: list[Row], setting: Pcr | None = None, **more: Any) -> PlateResult:
    chosen = {k: more.pop(k) for k in ("stored", "plate_map") if k in more}
    made = plate(rows, method="qpcr", **{k: more.pop(k) for k in ("remarks",) if k in more})
    return quantify_plate(made, assay(**more), setting or Pcr(), file_id="p", sha256="0" * 64, **chosen)


def sample(result: PlateResult, name: str = "S1", target: str = "CAR") -> Any:
    mine = result.samples[(result.samples["sample"] == name) & (result.samples["target"] == target)]
    assert len(mine) == 1
    return mine.iloc[0]


def test_an_exact_plate_gives_the_curve_that_made_it() -> None:
    result = run(GOOD)
    curve = result.curves.iloc[0]
    assert curve["slope"] == pytest.approx(-10 / 3)
    assert curve["intercept"] == pytest.approx(40)
    assert curve["r2"] == pytest.approx(1)
    assert curve["efficiency_percent"] == pytest.approx(99.5262, abs=1e-4)
    assert curve[["n_standards", "n_used", "n_levels"]].tolist() == [12, 12, 6]
    assert curve[["lowest", "highest"]].tolist() == pytest.approx([10, 1e6])
    assert curve["verdict"] == "accepted"


def test_a_sample_is_the_mean_of_its_wells() -> None:
    s1 = sample(run(GOOD, acceptance={"replicate_cv": {"consequence": "ignore"}}))
    assert s1["copies"] == pytest.approx(2500)
    assert s1["sd"] == pytest.approx(3000 / math.sqrt(2))
    assert s1["cv_percent"] == pytest.approx(84.8528, abs=1e-4)
    assert s1["cq_mean"] == pytest.approx((cq(1000) + cq(4000)) / 2)
    assert s1["cq_sd"] == pytest.approx((cq(1000) - cq(4000)) / math.sqrt(2))
    assert s1[["wells", "n_wells", "n_used", "task", "method"]].tolist() == [
        "C01, D01",
        2,
        2,
        "unknown",
        "qpcr",
    ]


def test_wells_carry_residual_and_recovery() -> None:
    rows = [qpcr("C03", "S1", 100), qpcr("C04", "S1", 100), ntc(), *standards()]
    rows[4] = rows[4] | {"cq": rows[4]["cq"] - 0.1}
    wells = run(rows).wells
    curve = fit_curve(np.log10(np.repeat(LEVELS, 2)), [r["cq"] for r in rows if r["task"] == "standard"])
    std = wells[wells["task"] == "standard"].sort_values("source_row")
    assert std["residual"].to_numpy() == pytest.approx(
        [r["cq"] - curve.intercept - curve.slope * math.log10(r["nominal"]) for r in rows[3:]]
    )
    assert std["recovery_percent"].iloc[1] == pytest.approx(100 * float(curve.predict(rows[4]["cq"])) / 10)
    assert wells.loc[wells["task"] == "unknown", "residual"].isna().all()


def noisy() -> list[Row]:
    noise = [0.1, -0.1, -0.05, 0.05, 0.1, -0.1, 0.02, -0.02, 0.04, 0.03, -0.06, -0.04]
    return [s | {"cq": s["cq"] + e} for s, e in zip(standards(), noise, strict=True)]


def fitted(rows: list[Row]) -> Curve:
    return fit_curve(np.log10([r["nominal"] for r in rows]), [r["cq"] for r in rows])


def test_with_many_copies_the_limits_are_those_of_the_curve_read_backwards() -> None:
    result = run([*noisy(), ntc(), qpcr("C01", "S1", 1e6), qpcr("D01", "S1", 1e6)])
    curve = fitted(noisy())
    well = result.wells[result.wells["well"] == "C01"].iloc[0]
    for found, n in ((sample(result), 2), (well, 1)):
        lower, upper = inverse_interval(curve, cq(1e6), n)
        assert found["lower"] == pytest.approx(float(lower), rel=1e-3)
        assert found["upper"] == pytest.approx(float(upper), rel=1e-3)


def test_with_few_copies_the_limits_are_those_of_counting() -> None:
    # Two wells of 4 copies: 8 molecules, 3.4538 to 15.7632 by Garwood's limits of a Poisson count.
    s1 = sample(run([*standards(), ntc(), qpcr("C01", "S1", 4), qpcr("D01", "S1", 4)]))
    assert s1[["copies", "lower", "upper"]].tolist() == pytest.approx([4, 1.7269, 7.8816], abs=1e-4)
    well = run([*standards(), ntc(), qpcr("C01", "S1", 8)]).wells.iloc[-1]
    assert well[["copies", "lower", "upper"]].tolist() == pytest.approx([8, 3.4538, 15.7632], abs=1e-4)


def test_curve_and_counting_widen_the_limits_together() -> None:
    s1 = sample(run([*noisy(), ntc(), qpcr("C01", "S1", 50), qpcr("D01", "S1", 50)]))
    curve = fitted(noisy())
    found = float(curve.predict(cq(50)))
    of_curve = math.log(found / float(inverse_interval(curve, cq(50), 2)[0]))
    # The exact lower limit of n events is half the 2.5 % quantile of chi-square with 2 n degrees of freedom.
    counting = math.log(2 * found / (stats.chi2.ppf(0.025, 2 * 2 * found) / 2))
    assert s1["lower"] == pytest.approx(found * math.exp(-math.hypot(of_curve, counting)))


@pytest.mark.parametrize("copies", [3, 10, 100, 10_000])
def test_nineteen_of_twenty_intervals_hold_the_true_copies(copies: int) -> None:
    # Standards and samples in triplicate, Poisson molecules, 0.12 cycles of noise.
    rng = np.random.default_rng(copies)

    def cqs(mean: float) -> np.ndarray[Any, Any]:
        molecules = rng.poisson(mean, 3)
        noise = 0.12 * rng.standard_normal(3)
        return np.array(
            [
                math.nan if m == 0 else 38 - 3.36 * math.log10(m) + e
                for m, e in zip(molecules, noise, strict=True)
            ]
        )

    levels = (1e6, 1e5, 1e4, 1e3, 100.0, 25.0)
    held = 0
    for _ in range(400):
        curve = fit_curve(np.repeat(np.log10(levels), 3), np.concatenate([cqs(x) for x in levels]))
        found = qpcr_estimate(cqs(copies), curve, 0.95)
        held += bool(found.lower <= copies <= found.upper)
    # The curve's interval alone holds 10 copies in 61 of 100.
    assert held >= 0.93 * 400


def test_undetermined_is_zero_copies_with_an_upper_limit() -> None:
    s1 = sample(run([*standards(), ntc(), qpcr("C01", "S1", 0), qpcr("D01", "S1", 0)]))
    # The plate has shown amplification from 10 copies on; Poisson alone would allow 3 / 2.
    assert s1[["copies", "lower", "upper"]].tolist() == pytest.approx([0, 0, 10])
    assert s1["verdict"] == "accepted"


def test_a_silent_replicate_counts_as_zero_and_is_told() -> None:
    result = run([*standards(), ntc(), qpcr("C01", "S1", 8), qpcr("D01", "S1", 0)])
    s1 = sample(result)
    # 8 molecules in two wells: the limits of counting 8, halved.
    assert s1[["copies", "lower", "upper"]].tolist() == pytest.approx([4, 1.7269, 7.8816], abs=1e-4)
    assert rule_rows(result.qc, "replicates_disagree")["verdict"].tolist() == ["note"]


def test_a_silent_replicate_above_the_standards_is_rejected() -> None:
    s1 = sample(run([*standards(), ntc(), qpcr("C01", "S1", 500), qpcr("D01", "S1", 0)]))
    assert s1["verdict"] == "rejected"
    assert "replicate_cq_sd" in s1["flags"].split(";")


# --- rules of the curve ---------------------------------------------------------------------


def curve_with(slope: float = -10 / 3, levels: tuple[float, ...] = LEVELS) -> list[Row]:
    return [s | {"cq": 40 + slope * math.log10(s["nominal"])} for s in standards(levels=levels)]


def with_curve(rows: list[Row]) -> list[Row]:
    return [*rows, ntc(), qpcr("G01", "S1", 1000), qpcr("G02", "S1", 1000)]


@pytest.mark.parametrize(
    ("slope", "broken"),
    [
        (-3.33, set()),
        (-3.7, {"slope", "efficiency"}),
        (-3.05, {"slope", "efficiency"}),
        (-3.59, {"efficiency"}),
    ],
)
def test_the_slope_and_efficiency_reject_the_target(slope: float, broken: set[str]) -> None:
    # 100 (10^(1/3.59) - 1) = 89.9 %.
    result = run(with_curve(curve_with(slope)))
    assert flags(result.curves) == [broken]
    assert sample(result)["verdict"] == ("rejected" if broken else "accepted")
    told = result.qc[result.qc["check"].isin(["slope", "efficiency"])].set_index("check")["verdict"]
    assert told.to_dict() == {c: "fail" if c in broken else "pass" for c in ("slope", "efficiency")}


def test_a_scattered_curve_breaks_r2() -> None:
    rows = [s | {"cq": s["cq"] + (1.6 if s["well"][0] == "A" else -1.6)} for s in standards()]
    result = run(with_curve(rows))
    # Sum of squares: 12 x 1.6^2 around the line, 12 (10/3)^2 35/12 along it.
    assert result.curves["r2"].iloc[0] == pytest.approx(1 - 30.72 / (30.72 + 388.888889))
    assert "r2" in flags(result.curves)[0]
    assert sample(result)["verdict"] == "rejected"


def test_too_few_levels_are_rejected_and_enough_are_not() -> None:
    assert flags(run(with_curve(curve_with(levels=LEVELS[:4]))).curves) == [{"standard_levels"}]
    assert flags(run(with_curve(curve_with(levels=LEVELS[:5]))).curves) == [set()]


def test_a_level_outside_tolerance_flags_and_two_of_six_reject() -> None:
    rows = curve_with()
    off = [r | {"cq": r["cq"] - 0.6} if r["nominal"] == 1e3 else r for r in rows]
    result = run(with_curve(off))
    assert flags(result.curves) == [{"standard_recovery"}]
    assert sample(result)["verdict"] == "flagged"
    assert "1000 copies (A03, B03)" in rule_rows(result.qc, "standard_recovery")["message"].iloc[0]
    worse = [r | {"cq": r["cq"] + 0.7} if r["nominal"] == 1e4 else r for r in off]
    result = run(with_curve(worse))
    assert {"standard_recovery", "standards_within", "standard_levels"} <= flags(result.curves)[0]
    assert sample(result)["verdict"] == "rejected"
    assert rule_rows(result.qc, "standards_within")["value"].tolist() == ["66.67 %"]


def test_standards_without_amplification_count_against_their_level() -> None:
    rows = [
        s | ({"cq": math.nan, "cq_kind": "undetermined"} if s["nominal"] == 10 else {}) for s in standards()
    ]
    result = run(with_curve(rows))
    assert result.curves[["n_standards", "n_used", "n_levels"]].iloc[0].tolist() == [12, 10, 5]
    assert "0 % at 10 copies (A01, B01)" in rule_rows(result.qc, "standard_recovery")["message"].iloc[0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "0 standard wells"),
        (standards(levels=(100.0,)) + standards(levels=(100.0,), sample_name="x"), ""),
    ],
)
def test_without_a_curve_nothing_is_quantified(rows: list[Row], reason: str) -> None:
    wells = [r | {"well": f"E{i:02d}"} for i, r in enumerate(rows, 1)]
    result = run([*wells, ntc(), qpcr("G01", "S1", 1000)])
    s1 = sample(result)
    assert s1["verdict"] == "rejected"
    assert "curve_missing" in s1["flags"].split(";")
    assert math.isnan(s1["copies"])
    told = rule_rows(result.qc, "curve_missing")
    assert told["verdict"].tolist() == ["fail"]
    assert reason in told["message"].iloc[0]
    assert len(result.curves) == bool(rows)


def test_a_standard_without_quantity_is_left_out_and_told() -> None:
    rows = standards()
    rows[0] = rows[0] | {"nominal": math.nan}
    result = run(with_curve(rows))
    assert result.curves[["n_standards", "n_used"]].iloc[0].tolist() == [11, 11]
    assert rule_rows(result.qc, "standard_without_quantity")["source_row"].tolist() == [2]


def test_standards_in_copies_per_ul_are_multiplied_by_the_template() -> None:
    result = run(
        GOOD, targets={"CAR": {"curve": {"standard_unit": "copies/uL"}}}, reaction={"template_ul": 5}
    )
    assert sample(result)["copies"] == pytest.approx(5 * 2500)
    assert result.curves["lowest"].iloc[0] == pytest.approx(50)


def test_standards_may_be_named_in_the_assay_file() -> None:
    rows = [r | {"task": "unknown", "nominal": math.nan} for r in standards()]
    controls = {f"STD{i}": {"task": "standard", "copies": {"CAR": x}} for i, x in enumerate(LEVELS, 1)}
    result = run(with_curve(rows), controls=controls)
    assert result.curves["slope"].iloc[0] == pytest.approx(-10 / 3)
    assert sample(result)["copies"] == pytest.approx(1000)


# --- stored curves ------------------------------------------------------------------------------

STORED = {"targets": {"CAR": {"curve": {"source": "stored", "file": "curves/car.yaml"}}}}


def stored() -> dict[str, Any]:
    x = np.log10(np.repeat(LEVELS, 2))
    shift = np.tile([0.05, -0.05], len(LEVELS))
    curve = master_curve({p: (x, 40 + d - 10 / 3 * x + shift) for p, d in (("a", 0.02), ("b", -0.02))})
    return {"curves/car.yaml": curve}


def test_a_stored_curve_quantifies_a_plate_without_standards() -> None:
    result = run([ntc(), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)], stored=stored(), **STORED)
    assert sample(result)["copies"] == pytest.approx(1000)
    assert result.curves["source"].tolist() == ["car"]
    assert rule_rows(result.qc, "stored_curve_unchecked")["verdict"].tolist() == ["warn"]
    assert (sample(result)["verdict"], sample(result)["flags"]) == ("flagged", "stored_curve_unchecked")


def test_a_stored_curve_is_checked_by_the_controls_of_the_plate() -> None:
    rows = [ntc(), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000), qpcr("D01", "PC", 200)]
    controls = {"PC": {"task": "accuracy_control", "copies": {"CAR": 100}}}
    result = run(rows, stored=stored(), controls=controls, **STORED)
    assert rule_rows(result.qc, "stored_curve_unchecked").empty
    assert rule_rows(result.qc, "control_recovery")["value"].tolist() == ["200 %"]
    assert sample(result)["verdict"] == "rejected"


# --- blanks and controls ----------------------------------------------------------------------


@pytest.mark.parametrize(("copies", "verdict"), [(0.0, "accepted"), (0.3, "accepted"), (0.4, "rejected")])
def test_a_blank_stays_five_cycles_behind_the_lowest_standard(copies: float, verdict: str) -> None:
    # 5 cycles are 1.5 decades here: 10 copies x 10^-1.5 = 0.316.
    result = run([*standards(), ntc(copies=copies), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)])
    assert sample(result)["verdict"] == verdict
    blank = result.wells[result.wells["task"] == "ntc"].iloc[0]
    assert blank["verdict"] == verdict
    told = rule_rows(result.qc, "ntc_cq_margin")
    assert told["verdict"].tolist() == ["pass" if verdict == "accepted" else "fail"]
    assert "H12" in told["message"].iloc[0]


def test_a_known_lloq_is_what_the_blank_is_measured_against() -> None:
    limits = {"targets": {"CAR": {"limits": {"lloq": 100}}}}
    rows = [*standards(), ntc(copies=3), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)]
    assert sample(run(rows, **limits))["verdict"] == "accepted"
    limits = {"targets": {"CAR": {"limits": {"lloq": 100, "unit": "copies/ug"}}}, "reaction": {"dna_ng": 100}}
    assert sample(run(rows, **limits))["verdict"] == "rejected"


def test_dna_without_the_transgene_is_a_blank_of_the_transgene_only() -> None:
    rows = [
        *standards(),
        *standards("RPP30"),
        ntc(),
        ntc(target="RPP30"),
        qpcr("C01", "NEG", 50, task="negative_control"),
        qpcr("C01", "NEG", 60000, target="RPP30", task="negative_control"),
        *(qpcr(w, "S1", 1000, target=t) for w in ("C02", "C03") for t in ("CAR", "RPP30")),
    ]
    result = run(rows, targets={"CAR": {}, "RPP30": {"role": "reference"}})
    assert sample(result)["verdict"] == "rejected"
    assert sample(result, target="RPP30")["verdict"] == "accepted"


def test_a_plate_without_blank_is_told_and_flagged() -> None:
    result = run([*standards(), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)])
    assert rule_rows(result.qc, "ntc_missing")["verdict"].tolist() == ["warn"]
    assert (sample(result)["verdict"], sample(result)["flags"]) == ("flagged", "ntc_missing")


@pytest.mark.parametrize(
    ("copies", "verdict"),
    [(100, "accepted"), (126, "rejected"), (124, "accepted"), (74, "rejected"), (0, "rejected")],
)
def test_an_accuracy_control_answers_for_its_target(copies: float, verdict: str) -> None:
    controls = {"pc low": {"task": "accuracy_control", "copies": {"CAR": 100}}}
    rows = [*GOOD[:-2], qpcr("E01", "PC LOW", copies), qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)]
    result = run(rows, controls=controls)
    assert sample(result)["verdict"] == verdict
    control = sample(result, "pc low")
    assert control["task"] == "accuracy_control"
    assert control["nominal"] == 100
    assert control["recovery_percent"] == pytest.approx(copies)
    assert rule_rows(result.qc, "control_recovery")["verdict"].tolist() == [
        "pass" if verdict == "accepted" else "fail"
    ]


def test_a_positive_control_in_which_nothing_is_found_rejects() -> None:
    rows = [*GOOD[:-2], qpcr("C01", "S1", 1000), qpcr("C02", "S1", 1000)]
    good = run([*rows, qpcr("E01", "PC", 500, task="positive_control")])
    assert sample(good)["verdict"] == "accepted"
    assert rule_rows(good.qc, "control_recovery").empty
    silent = run([*rows, qpcr("E01", "PC", 0, task="positive_control")])
    assert sample(silent)["verdict"] == "rejected"
    assert sample(silent)["flags"] == "control_recovery"


# --- inhibition ----------------------------------------------------------------------------------

IPC = {"targets": {"CAR": {}, "IPC": {"role": "inhibition_control", "reporter": "VIC"}}}


def spiked(shift: float | None) -> list[Row]:
    def ipc(well: str, sample: str, at: float | None, task: str = "unknown") -> Row:
        found = {"cq_kind": "undetermined"} if at is None else {"cq_kind": "quantified", "cq": at}
        return {
            "well": well,
            "sample_name": sample,
            "target": "IPC",
            "reporter": "VIC",
            "task": task,
        } | found

    late = None if shift is None else 28 + shift
    return [
        *standards(),
        ntc(),
        ipc("H12", "NTC", 28.2, "inhibition_control"),
        ipc("A01", "STD1", 27.8, "inhibition_control"),
        *(qpcr(w, s, 1000) for w, s in (("C01", "S1"), ("C02", "S1"), ("D01", "S2"), ("D02", "S2"))),
        *(ipc(w, s, 28) for w, s in (("C01", "S1"), ("D01", "S2"), ("D02", "S2"))),
        ipc("C02", "S1", late),
    ]


@pytest.mark.parametrize(("shift", "broken"), [(0.9, False), (1.1, True), (None, True), (-2.0, False)])
def test_an_inhibited_well_is_left_out_of_its_sample(shift: float | None, broken: bool) -> None:
    result = run(spiked(shift), **IPC)
    s1 = sample(result)
    assert s1[["n_wells", "n_used"]].tolist() == [2, 1 if broken else 2]
    assert s1["verdict"] == ("flagged" if broken else "accepted")
    assert flags(result.samples[result.samples["sample"] == "S1"])[0] == ({"replicates"} if broken else set())
    well = result.wells[(result.wells["well"] == "C02") & (result.wells["target"] == "CAR")].iloc[0]
    assert well["verdict"] == ("rejected" if broken else "accepted")
    assert sample(result, "S2")["verdict"] == "accepted"
    assert len(rule_rows(result.qc, "inhibition_shift")) == broken


def test_an_inhibited_sample_has_no_well_left_and_keeps_the_reason() -> None:
    rows = [
        r | ({"cq": 30.5} if r["target"] == "IPC" and r["sample_name"] == "S1" else {}) for r in spiked(0)
    ]
    s1 = sample(run(rows, **IPC))
    assert s1["verdict"] == "rejected"
    assert set(s1["flags"].split(";")) == {"inhibition_shift", "no_well_left"}
    assert math.isnan(s1["copies"])


def test_a_spike_in_wells_of_its_own_answers_for_all_wells_of_the_sample() -> None:
    rows = [r | ({"well": r["well"].replace("C", "F")} if r["target"] == "IPC" else {}) for r in spiked(3)]
    s1 = sample(run(rows, **IPC))
    assert s1["verdict"] == "rejected"
    assert s1["n_used"] == 0


def test_without_a_reading_of_the_spike_in_blanks_inhibition_is_unchecked_and_flagged() -> None:
    rows = [r for r in spiked(5) if r["task"] != "inhibition_control"]
    result = run(rows, **IPC)
    assert rule_rows(result.qc, "inhibition_unchecked")["verdict"].tolist() == ["warn"]
    assert (sample(result)["verdict"], sample(result)["flags"]) == ("flagged", "inhibition_unchecked")


# --- replicates and the range of the standards -------------------------------------------------------


def test_a_single_well_is_flagged() -> None:
    s1 = sample(run([*standards(), ntc(), qpcr("C01", "S1", 1000)]))
    assert (s1["verdict"], s1["flags"]) == ("flagged", "replicates")
    assert math.isnan(s1["cv_percent"])


@pytest.mark.parametrize(("apart", "broken"), [(0.7, set()), (0.72, {"replicate_cq_sd"})])
def test_replicates_lie_within_half_a_cycle(apart: float, broken: set[str]) -> None:
    # SD of two wells = distance / sqrt 2.
    ratio = 10 ** (apart / (10 / 3))
    rows = [*standards(), ntc(), qpcr("C01", "S1", 1e4), qpcr("C02", "S1", 1e4 * ratio)]
    result = run(rows, acceptance={"replicate_cv": {"consequence": "ignore"}})
    assert flags(result.samples[result.samples["sample"] == "S1"]) == [broken]


def test_below_the_standards_the_scatter_of_cq_is_counting() -> None:
    result = run([*standards(), ntc(), qpcr("C01", "S1", 2), qpcr("C02", "S1", 6)])
    assert flags(result.samples[result.samples["sample"] == "S1"]) == [{"below_standards"}]


def test_the_cv_is_judged_beyond_counting() -> None:
    far = sample(run([*standards(), ntc(), qpcr("C01", "S1", 10000), qpcr("C02", "S1", 15000)]))
    assert far["cv_percent"] == pytest.approx(28.2843, abs=1e-4)
    assert far["flags"] == "replicate_cv"
    # At 12.5 copies counting alone gives 28 %, and up to 73 % in two wells.
    few = sample(run([*standards(), ntc(), qpcr("C01", "S1", 10), qpcr("C02", "S1", 15)]))
    assert few["cv_percent"] == pytest.approx(28.2843, abs=1e-4)
    assert few["verdict"] == "accepted"


@pytest.mark.parametrize("wells", [2, 3])
def test_counting_alone_seldom_makes_replicates_disagree(wells: int) -> None:
    # Poisson counts and 8 % of pipetting; the rule allows 25 % beyond counting.
    rng = np.random.default_rng(0)
    for mean in (0.5, 2, 5, 20, 100, 1000):
        counts = rng.poisson(mean, (20_000, wells)) * np.exp(0.08 * rng.standard_normal((20_000, wells)))
        counts = counts[counts.sum(axis=1) > 0]
        average = counts.mean(axis=1)
        cv = 100 * counts.std(axis=1, ddof=1) / average
        excess = cv**2 - (counting_bound(1.0, wells) * 100) ** 2 / average
        assert (excess > 25**2).mean() < 0.01


def test_above_and_below_the_standards_are_flagged() -> None:
    rows = [*standards(), ntc(), *(qpcr(w, "S1", 2e6) for w in ("C01", "C02"))]
    rows += [qpcr(w, "S2", 5) for w in ("D01", "D02")] + [qpcr(w, "S3", 1e6) for w in ("E01", "E02")]
    rows += [qpcr(w, "S4", 10) for w in ("F01", "F02")]
    result = run(rows)
    assert [sample(result, s)["flags"] for s in ("S1", "S2")] == ["above_standards", "below_standards"]
    assert [sample(result, s)["verdict"] for s in ("S3", "S4")] == ["accepted", "accepted"]
    # Below a known LLOQ the result is an interval, and the number behind it no matter.
    result = run(rows, targets={"CAR": {"limits": {"lloq": 20}}})
    assert sample(result, "S2")["verdict"] == "accepted"


# --- what is never used ------------------------------------------------------------------------------


def test_omitted_wells_never_enter() -> None:
    rows = [
        *GOOD,
        qpcr("E01", "S1", 9e5, omitted=True),
        qpcr("E02", "STD9", 5, task="standard", nominal=1e6, omitted=True),
        ntc("E03", 1e5, omitted=True),
    ]
    result = run(rows, acceptance={"replicate_cv": {"consequence": "ignore"}})
    s1 = sample(result)
    assert (s1["copies"], s1["n_wells"], s1["n_used"]) == (pytest.approx(2500), 3, 2)
    assert result.curves["n_standards"].iloc[0] == 12
    left = result.wells[result.wells["well"].str.startswith("E")]
    assert (
        left[["verdict", "exclusion", "flags"]].to_numpy().tolist()
        == [["not_used", "omitted", "omitted"]] * 3
    )


def test_a_plate_with_everything_omitted_rejects_its_samples() -> None:
    result = run([r | {"omitted": True} for r in GOOD])
    assert sample(result)["verdict"] == "rejected"
    assert sample(result)["n_used"] == 0
    assert set(sample(result)["flags"].split(";")) == {"curve_missing", "no_well_left", "omitted"}
    assert set(result.wells["verdict"]) == {"not_used"}


def test_a_plate_of_blanks_only_has_no_sample_to_report() -> None:
    result = run([*standards(), ntc("H11"), ntc("H12")])
    assert result.samples[["sample", "task", "n_used"]].to_numpy().tolist() == [["NTC", "ntc", 2]]
    result = run([ntc("H11"), ntc("H12")])
    assert rule_rows(result.qc, "curve_missing")["verdict"].tolist() == ["fail"]


def test_a_plate_of_standards_only_has_a_curve_and_no_sample() -> None:
    result = run(standards())
    assert result.samples.empty
    assert result.curves["verdict"].tolist() == ["accepted"]


def test_a_well_without_reading_is_rejected_and_leaves_its_sample() -> None:
    result = run([*GOOD, qpcr("E01", "S1", math.nan)], acceptance={"replicate_cv": {"consequence": "ignore"}})
    assert sample(result)["n_used"] == 2
    assert result.wells.loc[result.wells["well"] == "E01", ["verdict", "flags"]].to_numpy().tolist() == [
        ["rejected", "reading_missing"]
    ]


def test_a_well_that_stands_twice_in_the_file_counts_for_nothing() -> None:
    result = run([*GOOD, qpcr("C01", "S1", 500)])
    assert sample(result)["n_used"] == 1
    assert result.wells.loc[result.wells["well"] == "C01", "flags"].tolist() == ["well_twice"] * 2


def test_targets_are_known_by_name_whatever_the_spaces_and_case() -> None:
    rows = [r | {"target": " car  t"} for r in GOOD]
    result = run(rows, targets={"CAR": {"names": ["CAR-T", "CAR T"]}})
    assert set(result.wells["target"]) == {"CAR"}


def test_a_reporter_tells_two_targets_of_one_name_apart() -> None:
    targets = {
        "CAR": {"names": ["duplex"], "reporter": "FAM"},
        "RPP30": {"names": ["duplex"], "reporter": "VIC", "role": "reference"},
    }
    rows = [
        *standards("duplex", reporter="FAM"),
        *standards("duplex", reporter="VIC"),
        qpcr("C01", "S1", 100, target="duplex", reporter="fam"),
        qpcr("C01", "S1", 9000, target="duplex", reporter="Vic"),
    ]
    result = run(rows, targets=targets)
    assert sample(result)["copies"] == pytest.approx(100)
    assert sample(result, target="RPP30")["copies"] == pytest.approx(9000)


def test_unlisted_targets_keep_their_rows_and_are_told() -> None:
    result = run([*GOOD, qpcr("C01", "S1", 7, target="GAPDH")])
    other = result.wells[result.wells["target"] == "GAPDH"].iloc[0]
    assert other["verdict"] == "not_used"
    assert pd.isna(other["role"])
    assert rule_rows(result.qc, "target_not_in_assay")["value"].tolist() == ["GAPDH"]


def test_a_plate_without_any_target_of_the_assay_is_refused() -> None:
    with pytest.raises(InputError, match=r"found the targets CAR; allowed: .* BCMA-CAR"):
        run(GOOD, targets={"B": {"names": ["BCMA-CAR"]}})


def test_what_the_reader_noticed_is_in_qc() -> None:
    remarks = (Remark("cut_file", "the file ends early", row=40, column="CT"),)
    told = rule_rows(run(GOOD, remarks=remarks).qc, "cut_file")
    assert told[["verdict", "source_row", "source_column"]].to_numpy().tolist() == [["note", 40, "CT"]]


# --- the instrument's own numbers -----------------------------------------------------------------------


def test_the_curve_of_the_instrument_is_kept_and_agreement_is_silent() -> None:
    vendor = {
        "vendor_slope": -3.333,
        "vendor_intercept": 40.0,
        "vendor_r2": 1.0,
        "vendor_efficiency_percent": 99.53,
    }
    result = run([r | vendor for r in GOOD])
    assert result.curves["vendor_slope"].iloc[0] == -3.333
    assert rule_rows(result.qc, "vendor_curve").empty


def test_another_curve_of_the_instrument_is_told() -> None:
    rows = [
        r | {"vendor_slope": -3.4, "vendor_quantity": 1000.0 if r["well"] == "D01" else math.nan}
        for r in GOOD
    ]
    told = rule_rows(run(rows).qc, "vendor_curve").iloc[0]
    assert told["verdict"] == "warn"
    assert "slope -3.333 here, -3.4 there" in told["message"]
    assert "first D01: 4000 here, 1000 there" in told["message"]


# --- invariants -----------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(len(spiked(1.5)))))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    rows = [r | {"source_row": i} for i, r in enumerate(spiked(1.5), 2)]
    straight, mixed = run(rows, **IPC), run([rows[i] for i in order], **IPC)
    for name in ("wells", "curves", "samples", "qc"):
        pd.testing.assert_frame_equal(getattr(straight, name), getattr(mixed, name))


@settings(max_examples=6, deadline=None)
@given(st.floats(1e-2, 1e2), st.lists(st.floats(1, 1e6), min_size=1, max_size=4))
def test_standards_of_ten_times_as_many_copies_give_ten_times_as_many(
    scale: float, copies: list[float]
) -> None:
    rows = [*standards(), ntc(), *(qpcr(f"C{i:02d}", "S1", c) for i, c in enumerate(copies, 1))]
    scaled = [r | ({"nominal": r["nominal"] * scale} if "nominal" in r else {}) for r in rows]
    one, other = sample(run(rows)), sample(run(scaled))
    assert one["copies"] == pytest.approx(np.mean(copies))
    assert other["copies"] == pytest.approx(scale * one["copies"], rel=1e-6)
    for s1 in (one, other):
        assert s1["lower"] <= s1["copies"] <= s1["upper"]
