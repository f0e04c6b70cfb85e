"""Digital plates written by hand: 200 of 20,000 partitions of 0.85 nL in 20 uL are 236.48 copies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pcr.hand_plates import Row, assay, dpcr, flags, plate, rule_rows

from cartrace.config import Pcr
from cartrace.pcr import digital
from cartrace.pcr.plate import AMPLITUDES
from cartrace.pcr.quantify import PlateResult, quantify_plate
from cartrace.tables import conform

REACTION = {"reaction": {"volume_ul": 20}}
PER_LAMBDA = 20_000 / 0.85
"""Partitions of 0.85 nL in a reaction of 20 uL."""
LAMBDA = -math.log(1 - 200 / 20_000)


def run(rows: list[Row], setting: Pcr | None = None, platform: str = "qx200", **more: Any) -> PlateResult:
    made = plate(rows, method="dpcr", platform=platform, software="QX Manager", software_version="2.1")
    return quantify_plate(made, assay(**(REACTION | more)), setting or Pcr(), file_id="p", sha256="0" * 64)


def sample(result: PlateResult, name: str = "S1", target: str = "CAR") -> Any:
    mine = result.samples[(result.samples["sample"] == name) & (result.samples["target"] == target)]
    assert len(mine) == 1
    return mine.iloc[0]


def blank(well: str = "H12", positives: float = 0, **more: Any) -> Row:
    return dpcr(well, "NTC", positives, task="ntc", **more)


def pair(
    positives: float = 200, partitions: float = 20_000, name: str = "S1", row: str = "A", **more: Any
) -> list[Row]:
    return [dpcr(f"{row}{i:02d}", name, positives, partitions, **more) for i in (1, 2)]


def test_one_percent_positive_is_known_by_hand() -> None:
    result = run([*pair(), blank()])
    well = result.wells.iloc[0]
    assert well["copies_per_partition"] == pytest.approx(0.010050336)
    assert well["copies"] == pytest.approx(236.478, abs=1e-3)
    assert well["partition_volume_nl"] == 0.85
    s1 = sample(result)
    assert s1["copies"] == pytest.approx(LAMBDA * PER_LAMBDA)
    assert s1[["partitions", "positives", "n_used"]].tolist() == [40_000, 400, 2]
    assert s1[["sd", "cv_percent"]].tolist() == [0, 0]
    assert s1["verdict"] == "accepted"


def test_the_limits_are_those_of_the_pooled_partitions() -> None:
    lower, upper = digital.poisson_interval(500, 35_000)
    s1 = sample(run([dpcr("A01", "S1", 200), dpcr("A02", "S1", 300, 15_000), blank()]))
    assert s1["copies"] == pytest.approx(-math.log(1 - 500 / 35_000) * PER_LAMBDA)
    assert (s1["lower"], s1["upper"]) == (
        pytest.approx(float(lower) * PER_LAMBDA),
        pytest.approx(float(upper) * PER_LAMBDA),
    )


def test_the_setting_chooses_the_interval() -> None:
    exact, normal = (sample(run([*pair(), blank()], Pcr(digital_interval=m))) for m in ("exact", "normal"))
    assert exact["copies"] == normal["copies"]
    for found, method in ((exact, "exact"), (normal, "normal")):
        low, high = digital.poisson_interval(400, 40_000, "exact" if method == "exact" else "normal")
        assert found["lower"] == pytest.approx(float(low) * PER_LAMBDA)
        assert found["upper"] == pytest.approx(float(high) * PER_LAMBDA)
    assert exact["lower"] != normal["lower"]


def test_nothing_positive_is_zero_with_an_upper_limit() -> None:
    s1 = sample(run([*pair(0), blank()]))
    assert s1[["copies", "lower"]].tolist() == [0, 0]
    assert s1["upper"] == pytest.approx(-math.log(0.05) / 40_000 * PER_LAMBDA)


def test_the_laboratory_s_own_volume_goes_before_the_file_s_and_that_before_the_table() -> None:
    rows = [*pair(partition_volume_nl=0.8), blank(partition_volume_nl=0.8)]
    assert run(rows).wells["partition_volume_nl"].tolist() == [0.8] * 3
    assert run(rows, partition_volume_nl=0.9).wells["partition_volume_nl"].tolist() == [0.9] * 3
    assert run([*pair(), blank()]).wells["partition_volume_nl"].tolist() == [0.85] * 3
    assert (
        run([*pair(), blank()], platform="", partition_volume_nl=0.7).wells["partition_volume_nl"].tolist()
        == [0.7] * 3
    )


def test_an_unknown_volume_makes_no_number() -> None:
    result = run([*pair(), blank()], platform="")
    s1 = sample(result)
    assert math.isnan(s1["copies"])
    assert s1["verdict"] == "rejected"
    assert set(s1["flags"].split(";")) == {"volume_missing", "no_well_left", "ntc_missing"}
    assert "platform" in rule_rows(result.qc, "volume_missing")["message"].iloc[0]


@pytest.mark.parametrize(
    ("droplets", "told"), [({"A01": 30, "A02": 30}, ""), ({"A01": 29, "A02": 30, "B07": 30}, "A01, B07")]
)
def test_droplets_of_another_plate_are_told(droplets: dict[str, int], told: str) -> None:
    made = plate([*pair(3, 30), blank()], method="dpcr", platform="qx200")
    wells = [well for well, n in droplets.items() for _ in range(n)]
    amplitudes = conform(
        pd.DataFrame({"well": wells, "channel": "Ch1", "amplitude": np.arange(len(wells), dtype=float)}),
        AMPLITUDES,
    )
    result = quantify_plate(
        replace(made, amplitudes=amplitudes), assay(**REACTION), Pcr(), file_id="p", sha256="0" * 64
    )
    assert "".join(rule_rows(result.qc, "amplitudes_of_another_plate")["value"]) == told


def test_without_a_volume_of_the_reaction_there_are_no_copies_per_reaction() -> None:
    made = plate([*pair(), blank()], platform="qx200")
    result = quantify_plate(made, assay(), Pcr(), file_id="p", sha256="0" * 64)
    assert sample(result)["verdict"] == "rejected"
    assert rule_rows(result.qc, "volume_missing")["limit"].tolist() == [
        "reaction.volume_ul in the assay file"
    ]
    made = plate([*pair(), blank()], platform="qx200", reaction_ul=40.0)
    result = quantify_plate(made, assay(), Pcr(), file_id="p", sha256="0" * 64)
    assert sample(result)["copies"] == pytest.approx(2 * LAMBDA * PER_LAMBDA)


# --- rules of the well -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "partitions", "broken"),
    [
        ("qx200", 10_000, False),
        ("qx200", 9_999, True),
        ("qiacuity_8.5k", 4_250, False),
        ("qiacuity_8.5k", 4_249, True),
        ("absolute_q", 9_999, True),
    ],
)
def test_too_few_partitions_take_the_well_out(platform: str, partitions: int, broken: bool) -> None:
    rows = [dpcr("A01", "S1", 200, 20_000), dpcr("A02", "S1", partitions // 100, partitions), blank()]
    result = run([r | {"partition_volume_nl": 0.5} for r in rows], platform=platform)
    assert sample(result)["n_used"] == (1 if broken else 2)
    assert result.wells.loc[result.wells["well"] == "A02", "verdict"].item() == (
        "rejected" if broken else "accepted"
    )
    assert len(rule_rows(result.qc, "partitions")) == broken


@pytest.mark.parametrize(("negatives", "broken"), [(135, False), (134, True), (0, True)])
def test_a_saturated_well_is_rejected(negatives: int, broken: bool) -> None:
    # lambda = 5 at 20,000 / e^5 = 134.8 negative partitions.
    result = run([*pair(20_000 - negatives), blank()])
    s1 = sample(result)
    assert s1["verdict"] == ("rejected" if broken else "accepted")
    if broken:
        assert set(s1["flags"].split(";")) == {"copies_per_partition", "no_well_left"}
        assert math.isnan(s1["copies"])


@pytest.mark.parametrize(("volume", "broken"), [(0.85, False), (0.865, False), (0.91, True), (0.80, True)])
def test_the_volume_that_the_instrument_s_concentration_implies_is_audited(
    volume: float, broken: bool
) -> None:
    rows = pair(4000)
    lam = -math.log(0.8)
    rows = [r | {"vendor_concentration": lam / volume * 1000} for r in rows]
    result = run([*rows, blank(vendor_concentration=0.0)])
    assert result.wells["implied_volume_nl"].iloc[:2].tolist() == pytest.approx([volume] * 2)
    assert sample(result)["verdict"] == ("flagged" if broken else "accepted")
    assert flags(result.wells)[:2] == ([{"volume_audit"}] * 2 if broken else [set()] * 2)
    assert len(rule_rows(result.qc, "volume_audit")) == broken
    assert result.wells["vendor_copies"].iloc[0] == pytest.approx(lam / volume * 20_000)


def test_a_well_that_the_software_called_nothing_in_is_rejected() -> None:
    rows = [*pair(), dpcr("A03", "S1", 0, vendor_status="No Call"), blank()]
    result = run(rows)
    assert sample(result)[["n_wells", "n_used", "positives"]].tolist() == [3, 2, 400]
    assert flags(result.wells)[2] == {"vendor_no_call"}
    # A threshold that somebody set by hand is a call.
    rows[2] = rows[2] | {"threshold": 3000.0, "positives": 200}
    assert sample(run(rows))["n_used"] == 3


def test_a_well_without_counts_is_rejected() -> None:
    rows = [*pair(), dpcr("A03", "S1", math.nan, math.nan), dpcr("A04", "S1", 0, 0), blank()]
    rows[2] = {k: v for k, v in rows[2].items() if k not in {"positives", "partitions"}}
    result = run(rows)
    assert sample(result)["n_used"] == 2
    assert flags(result.wells)[2:4] == [{"reading_missing"}] * 2


# --- merged wells -------------------------------------------------------------------------------------


def test_a_merged_well_whose_members_are_in_the_file_counts_nothing_twice() -> None:
    merged = dpcr("M01", "S1", 400, 40_000, pooled_wells="A01;A02")
    result = run([*pair(), merged, blank()])
    assert sample(result)[["n_wells", "partitions", "wells"]].tolist() == [2, 40_000, "A01, A02"]
    row = result.wells[result.wells["well"] == "M01"].iloc[0]
    assert (row["exclusion"], row["verdict"]) == ("pooled", "not_used")


def test_a_merged_well_whose_members_are_absent_is_used() -> None:
    merged = dpcr("M01", "S1", 400, 40_000, pooled_wells="A01;A02")
    s1 = sample(run([merged, blank()]))
    assert s1["copies"] == pytest.approx(LAMBDA * PER_LAMBDA)


def test_a_merged_well_with_some_members_in_the_file_is_left_out_and_told() -> None:
    merged = dpcr("M01", "S1", 600, 60_000, pooled_wells="A01;A02;A03")
    result = run([*pair(), merged, blank()])
    assert sample(result)["partitions"] == 40_000
    assert "A03" in rule_rows(result.qc, "pooled_well_partly_known")["message"].iloc[0]


# --- blanks and controls ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("positives", "verdict"), [(3, "accepted"), (4, "rejected")])
def test_a_blank_holds_at_most_three_positives(positives: int, verdict: str) -> None:
    result = run([*pair(), blank(positives=positives)])
    assert sample(result)["verdict"] == verdict
    assert result.wells[result.wells["task"] == "ntc"]["verdict"].tolist() == [verdict]


def test_a_known_limit_of_blank_counts_instead() -> None:
    limits = {"targets": {"CAR": {"limits": {"lob": 10}}}}
    # 8 positives are 9.41 copies, 9 are 10.6.
    assert sample(run([*pair(), blank(positives=8)], **limits))["verdict"] == "accepted"
    result = run([*pair(), blank(positives=9)], **limits)
    assert sample(result)["verdict"] == "rejected"
    assert rule_rows(result.qc, "ntc_copies")["limit_source"].tolist() == ["assay file, limits.lob"]


def test_a_contaminated_blank_with_few_partitions_is_still_contaminated() -> None:
    result = run([*pair(), blank(positives=500, partitions=5000)])
    assert sample(result)["verdict"] == "rejected"
    assert "ntc_copies" in sample(result)["flags"].split(";")
    assert rule_rows(result.qc, "ntc_missing")["verdict"].tolist() == ["warn"]


def test_the_mean_of_the_blanks_is_taken_off_only_when_asked() -> None:
    rows = [*pair(), blank("H11", 3), blank("H12", 1)]
    off = sample(run(rows, Pcr(subtract_blank=True)))
    mean = -math.log(1 - 4 / 40_000) * PER_LAMBDA
    assert off["blank_copies"] == pytest.approx(mean)
    assert off["copies"] == pytest.approx(LAMBDA * PER_LAMBDA - mean)
    on = sample(run(rows))
    assert math.isnan(on["blank_copies"])
    assert off["lower"] < on["lower"]
    nothing = sample(run([*pair(1), blank("H11", 3), blank("H12", 3)], Pcr(subtract_blank=True)))
    assert nothing[["copies", "lower"]].tolist() == [0, 0]


@pytest.mark.parametrize(("positives", "verdict"), [(200, "accepted"), (240, "accepted"), (260, "rejected")])
def test_an_accuracy_control_answers_for_its_target(positives: int, verdict: str) -> None:
    controls = {"PC": {"task": "accuracy_control", "copies": {"CAR": 236.5}}}
    result = run([*pair(), blank(), dpcr("E01", "PC", positives)], controls=controls)
    assert sample(result)["verdict"] == verdict


def test_the_spike_is_recovered_to_half_of_that_in_the_blanks() -> None:
    targets = {"CAR": {}, "IPC": {"role": "inhibition_control"}}

    def rows(positives: int) -> list[Row]:
        spikes = [
            dpcr(w, n, p, target="IPC", task=t)
            for w, n, p, t in (
                ("A01", "S1", 1000, "unknown"),
                ("A02", "S1", positives, "unknown"),
                ("H12", "NTC", 1000, "ntc"),
            )
        ]
        return [*pair(), blank(), *spikes]

    assert sample(run(rows(600), targets=targets))["n_used"] == 2
    inhibited = run(rows(400), targets=targets)
    assert sample(inhibited)["n_used"] == 1
    assert rule_rows(inhibited.qc, "inhibition_recovery")["value"].str.startswith("A02 39").all()


# --- replicates and the reference gene -----------------------------------------------------------------------


def test_replicates_that_differ_by_counting_are_accepted() -> None:
    few = sample(run([dpcr("A01", "S1", 2), dpcr("A02", "S1", 5), blank()]))
    assert few["cv_percent"] == pytest.approx(60.6, abs=0.1)
    assert few["verdict"] == "accepted"
    many = sample(run([dpcr("A01", "S1", 2000), dpcr("A02", "S1", 3200), blank()]))
    assert many["flags"] == "replicate_cv"
    assert many["sd"] == pytest.approx(
        np.std([-math.log(1 - k / 20_000) * PER_LAMBDA for k in (2000, 3200)], ddof=1)
    )


DUPLEX = {"targets": {"CAR": {}, "RPP30": {"role": "reference"}}}


def duplex(car: int = 200, rpp30: int = 4000) -> list[Row]:
    rows = [*pair(car), *pair(rpp30, target="RPP30"), blank(), blank(target="RPP30")]
    return [*rows, *pair(100, name="S2", row="B"), *pair(2000, name="S2", row="B", target="RPP30")]


def test_copies_per_cell_follow_from_the_reference_gene_in_the_same_wells() -> None:
    s1 = sample(run(duplex(), **DUPLEX))
    assert s1["reference_copies"] == pytest.approx(-math.log(0.8) * PER_LAMBDA)
    assert s1["copies_per_cell"] == pytest.approx(2 * LAMBDA / -math.log(0.8))
    assert s1["cell_source"] == "reference"
    assert s1["copies_per_cell_lower"] < s1["copies_per_cell"] < s1["copies_per_cell_upper"]
    reference = sample(run(duplex(), **DUPLEX), target="RPP30")
    assert pd.isna(reference["copies_per_cell"])


def test_only_wells_that_both_genes_can_use_count() -> None:
    rows = [
        r | ({"positives": 3000, "partitions": 5000} if r["well"] == "A02" and r["target"] == "RPP30" else {})
        for r in duplex()
    ]
    s1 = sample(run(rows, **DUPLEX))
    assert s1["n_used"] == 2
    assert s1["reference_copies"] == pytest.approx(-math.log(0.8) * PER_LAMBDA)


def test_a_contaminated_reference_gene_gives_no_copies_per_cell_and_leaves_the_transgene() -> None:
    rows = [
        r | ({"positives": 50} if r["task"] == "ntc" and r["target"] == "RPP30" else {}) for r in duplex()
    ]
    result = run(rows, **DUPLEX)
    assert sample(result)["verdict"] == "accepted"
    assert sample(result, target="RPP30")["verdict"] == "rejected"
    assert pd.isna(sample(result)["copies_per_cell"])


def test_no_copies_per_cell_without_a_genome() -> None:
    result = run([*pair(), *pair(0, target="RPP30"), blank(), blank(target="RPP30")], **DUPLEX)
    assert pd.isna(sample(result)["copies_per_cell"])
    assert pd.isna(sample(result)["cell_source"])


# --- invariants --------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(len(duplex()))))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    rows = [r | {"source_row": i} for i, r in enumerate(duplex(), 2)]
    straight, mixed = run(rows, **DUPLEX), run([rows[i] for i in order], **DUPLEX)
    for name in ("wells", "curves", "samples", "qc"):
        pd.testing.assert_frame_equal(getattr(straight, name), getattr(mixed, name))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 19_000), min_size=1, max_size=4), st.floats(5, 100))
def test_copies_scale_with_the_reaction_and_lie_within_their_limits(counts: list[int], volume: float) -> None:
    rows = [*(dpcr(f"A{i:02d}", "S1", k) for i, k in enumerate(counts, 1)), blank()]
    one, other = sample(run(rows)), sample(run(rows, reaction={"volume_ul": volume}))
    assert one["lower"] <= one["copies"] <= one["upper"]
    for column in ("copies", "lower", "upper"):
        assert other[column] == pytest.approx(volume / 20 * one[column])
