"""What the simulated immunoassay laboratory sends: wells, files, layouts, sheets."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from tests.unit.simulate.immunoassays import workbook

from cartrace.immunoassay.readers import read_plate
from cartrace.problems import holds_date
from cartrace.simulate.cytokines import Cytokine, draw_cytokines
from cartrace.simulate.immunoassay_core import CORE, FAULTS, MOVED, OPERATOR, PlantedFault
from cartrace.simulate.immunoassay_kits import SBCMA, SRP
from cartrace.simulate.immunoassay_plates import (
    DoseCurve,
    Noise,
    Well,
    read_signals,
    software_concentrations,
    standards_and_controls,
)
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import files

CALM = Noise(0.0, 0.0)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate_trial(2024, plates=False, tubes=False, bedside=False, libraries=False)


def of_kind(trial: Trial, kind: str) -> PlantedFault:
    (fault,) = (f for f in trial.immunoassays.faults if f.kind == kind)
    return fault


# -- wells ---------------------------------------------------------------------------------------


def test_half_way_up_a_4pl_lies_the_ec50() -> None:
    curve = DoseCurve(bottom=0.1, top=2.1, ec50=3.0, slope=1.3)
    assert curve([0.0, 3.0]) == pytest.approx([0.1, 1.1])
    assert curve(1e9) == pytest.approx(2.1)


def test_a_5pl_has_its_own_share_at_the_ec50() -> None:
    # (1 + 1)^-2: a quarter of the way is left.
    assert DoseCurve(0.0, 4.0, 3.0, 1.3, asymmetry=2.0)(3.0) == pytest.approx(3.0)


def test_past_the_hook_the_signal_falls() -> None:
    curve = DoseCurve(0.0, 2.0, 1.0, 1.0, hook=10.0)
    assert curve(10.0) == pytest.approx(2 * 10 / 11 / 2)
    assert curve(40.0) < curve(10.0) < curve(3.0)


def test_a_drift_takes_its_share_at_the_last_column_and_nothing_at_the_first() -> None:
    wells = [Well(w, "x", "unknown", {"T": 3.0}) for w in ("A01", "A12")]
    curve = DoseCurve(0.0, 2.0, 3.0, 1.0)
    read = read_signals(np.random.default_rng(1), wells, "T", curve, CALM, lost_at_end=0.4)
    assert read == pytest.approx([1.0, 0.6])


def test_few_beads_scatter_more() -> None:
    rng = np.random.default_rng(1)
    spread = {
        beads: np.std(
            read_signals(
                rng,
                [Well("A01", "x", "unknown", {"T": 3.0}, beads=beads)] * 4000,
                "T",
                DoseCurve(0.0, 2.0, 3.0, 1.0),
                Noise(0.05, 0.0),
            )
        )
        for beads in (25.0, 100.0, 400.0)
    }
    assert spread[25.0] / spread[100.0] == pytest.approx(2.0, rel=0.1)
    assert spread[400.0] == pytest.approx(spread[100.0], rel=0.1)


def test_controls_and_blanks_stand_at_both_ends_and_no_well_is_filled_twice() -> None:
    wells, pairs = standards_and_controls(
        {f"S{n}": {"T": 1.0} for n in range(8)},
        {"K1": {"T": 1.0}, "K2": {"T": 2.0}},
        "B",
        too_much={"S3": 2.0},
    )
    assert [w.well for w in wells if w.name == "S3"] == ["D01", "D02"]
    assert {w.amounts["T"] for w in wells if w.name == "S3"} == {2.0}
    assert [w.well for w in wells if w.name == "K1"] == ["A03", "H12"]
    assert [w.column for w in wells if w.task == "blank"] == [4, 4, 11, 11]
    filled = [w.well for w in wells] + [w for pair in pairs for w in pair]
    assert len(filled) == len(set(filled)) == 96


def test_the_software_reads_its_standards_back() -> None:
    curve = DoseCurve(0.1, 2.5, 4.0, 1.2)
    nominal = np.array([0.25, 0.5, 1, 2, 4, 8, 16, 32.0])
    wanted = np.array([*curve([1.0, 10.0]), 3.0])
    found = software_concentrations(nominal, curve(nominal), wanted)
    assert found[:2] == pytest.approx([1.0, 10.0], rel=1e-4)
    assert math.isnan(found[2])


def test_a_serum_in_the_well_is_its_level_over_the_dilution() -> None:
    assert SBCMA.in_well(30.0, 5.0) == pytest.approx(6.0)
    # Standards diluted as the samples are: the routine dilution changes nothing.
    assert SRP.in_well(100.0, 100.0) == pytest.approx(100.0)


def test_a_cytokine_peaks_on_its_day_and_returns() -> None:
    course = Cytokine(baseline=3.0, peak=300.0, peak_day=6.0, width=2.0)
    assert course([6.0, 60.0, -5.0]) == pytest.approx([300.0, 3.0, 3.0], rel=1e-3)
    # One width away: exp(-1/2) of the way on the logarithm.
    assert course(8.0) == pytest.approx(3.0 * 100 ** math.exp(-0.5))


def test_a_higher_grade_means_a_higher_peak_and_none_hardly_any() -> None:
    none, mild, severe = (draw_cytokines(np.random.default_rng(7), 4, 8, g)["il6"] for g in (0, 1, 2))
    assert none.peak / none.baseline < 4
    assert mild.peak / severe.peak == pytest.approx(120 / 900)


# -- files ---------------------------------------------------------------------------------------


def test_results_of_the_core_leave_the_tables_and_no_others(trial: Trial) -> None:
    core = {f"NMO-{place + 1:03d}" for place in CORE}
    without = simulate_trial(
        2024, plates=False, tubes=False, bedside=False, immunoassays=False, libraries=False
    )
    keys = ["subject_id", "infusion", "visit", "analyte", "unit", "measured_value"]
    before = set(map(tuple, without.truth["samples"][keys].to_numpy().tolist()))
    after = set(map(tuple, trial.truth["samples"][keys].to_numpy().tolist()))
    assert after < before
    assert {(k[0], k[3]) for k in before - after} == {
        (s, a) for s in core for a in MOVED if a != "anti_srp" or s in {"NMO-003", "NMO-006"}
    }
    # The infused immunoglobulin of NMO-004 is masked as ever: its table and the events are the same.
    one, other = ({t.file_id: t.rows for t in x.tables}["immunoglobulins"] for x in (trial, without))
    assert one == other
    assert trial.sheets["events"].equals(without.sheets["events"])
    assert "NMO-004" in core


def test_no_date_and_no_operator_of_a_file_leaves_its_reader(trial: Trial) -> None:
    for row in trial.immunoassays.files:
        content = trial.immunoassays.contents[f"data/{row['path']}"]
        raw = str(workbook(content)) if row["path"].endswith("xlsx") else content.decode()
        assert holds_date(raw), row["path"]
        assert OPERATOR in raw
        plate = read_plate(content, row["path"])
        told = plate.wells.to_csv() + repr((plate.remarks, plate.instrument, plate.software_version))
        assert not holds_date(told)
        assert OPERATOR not in told


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("sbcma_elisa_01.txt", "softmax_pro"),
        ("srp_elisa_01.xlsx", "plain_grid"),
        ("cytokines_luminex_01.csv", "xponent"),
        ("aqp4_cba_01.csv", "plain_grid"),
    ],
)
def test_each_file_is_that_of_its_instrument(trial: Trial, name: str, family: str) -> None:
    plate = read_plate(trial.immunoassays.contents[f"data/immunoassays/{name}"], name)
    assert plate.family == family
    assert not [r for r in plate.remarks if r.verdict != "note"]


def test_the_software_of_the_reader_prints_what_its_own_curve_gives(trial: Trial) -> None:
    name = "data/immunoassays/aqp4_elisa_01.txt"
    wells = read_plate(trial.immunoassays.contents[name], name).wells
    standards = wells[wells["task"].eq("standard") & wells["vendor_concentration"].notna()]
    ratio = standards["vendor_concentration"] / standards["nominal"]
    assert np.median(np.abs(np.log(ratio.astype(float)))) < 0.1


def test_names_on_the_plates_are_those_of_the_samples_sheet(trial: Trial) -> None:
    sheet = trial.sheets["samples"]
    assert sheet["sample_id"].is_unique
    truth = trial.truth["immunoassay_samples"]
    assert set(truth["sample_id"]) == set(sheet["sample_id"])
    assert set(sheet["matrix"]) == {"serum"}
    assert not truth.duplicated(["file_id", "sample_id", "target"]).any()


def test_every_planted_fault_is_listed_with_what_must_follow(trial: Trial) -> None:
    assert [f.kind for f in trial.immunoassays.faults] == list(
        dict.fromkeys(f.kind for f in trial.immunoassays.faults)
    )
    assert {f.kind for f in trial.immunoassays.faults} == set(FAULTS)
    assert of_kind(trial, "few_beads").wells.count(";") == 1


def test_two_readers_stand_beside_each_other_and_grow_weaker_down_the_plate(trial: Trial) -> None:
    content = trial.immunoassays.contents["data/immunoassays/aqp4_cba_01.csv"].decode()
    rows = [line.split(";")[1:] for line in content.splitlines()[4:]]
    order = ["++", "+", "(+)", "-"]
    for column in zip(*rows[:8], strict=True):
        assert all(order.index(a) <= order.index(b) for a, b in pairwise(column))
    layout = trial.immunoassays.contents["plate_maps/aqp4_cba_01.tsv"].decode().splitlines()
    assert layout[1].split("\t") == ["A01", "E2001", "10"]
    assert layout[2].split("\t") == ["A02", "E2001", "10"]


def test_the_same_seed_gives_the_same_plates_and_a_larger_trial_keeps_them(trial: Trial) -> None:
    larger = simulate_trial(2024, 14, plates=False, tubes=False, bedside=False, libraries=False)
    assert larger.immunoassays.contents == trial.immunoassays.contents
    assert (
        simulate_trial(7, 4, tubes=False, plates=False, libraries=False).immunoassays.contents
        != trial.immunoassays.contents
    )


def test_a_trial_without_the_laboratory_has_no_trace_of_it() -> None:
    written = files(
        simulate_trial(5, 4, plates=False, tubes=False, bedside=False, immunoassays=False, libraries=False)
    )
    assert not [
        name for name in written if "immunoassay" in name or "plate_maps" in name or "sheets/samples" in name
    ]


def test_faults_need_all_subjects_of_the_core() -> None:
    some = simulate_trial(5, 5, plates=False, tubes=False, bedside=False, libraries=False).immunoassays
    assert [f["file_id"] for f in some.files] == [
        "sbcma_elisa_01",
        "aqp4_elisa_01",
        "srp_elisa_01",
        "cytokines_luminex_01",
        "aqp4_cba_01",
    ]
    assert not some.faults
    assert {row["verdict"] for row in some.truth} <= {"accepted", "flagged"}
