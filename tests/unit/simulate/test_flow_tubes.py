"""What the flow core of the simulated trial sends, and what was planted in it."""

from __future__ import annotations

import io
from pathlib import Path

import flowio
import numpy as np
import pandas as pd
import pytest
import yaml

from cartrace.flow.fcs import FcsData, read_fcs
from cartrace.flow.markers import match_markers
from cartrace.flow.panel import load_panel
from cartrace.intake.plan import Plan, load_plan
from cartrace.problems import InputError, holds_date
from cartrace.simulate.fcs_file import fcs_bytes
from cartrace.simulate.flow_core import ANALYTES, FAULTS, OPERATOR, PATIENT
from cartrace.simulate.flow_panel import (
    CHANNELS,
    DETECTORS,
    MARKERS,
    PANEL,
    POPULATIONS,
    TOP,
    spillover_matrix,
)
from cartrace.simulate.flow_tubes import (
    CLOGGED,
    DOUBLETS,
    NAMES,
    Acquired,
    Blood,
    Staining,
    acquire,
    clog,
    compensate,
    detect,
    stored,
)
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import files, write_trial

BLOOD = Blood(
    t_cells=700,
    car_share=0.2,
    b_cells=160,
    naive_b_cells=104,
    memory_b_cells=40,
    plasmablasts=2.5,
    plasma_cells=1.6,
)
COLOURS = slice(3, 17)
CAR = MARKERS.index("CAR")


@pytest.fixture(scope="module")
def tube() -> Acquired:
    return acquire(np.random.default_rng(1), BLOOD, Staining(beads_per_blood_ul=204), 30_000)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate_trial(2024, plates=False, immunoassays=False, libraries=False)


@pytest.fixture(scope="module")
def clean() -> Trial:
    return simulate_trial(2024, plates=False, immunoassays=False, plant_errors=False, libraries=False)


@pytest.fixture(scope="module")
def folder(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("flow") / "demo"
    write_trial(trial, out)
    return out


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return load_plan(yaml.safe_load((folder / "config.yaml").read_text("utf-8")), folder)


def opened(folder: Path, file_id: str) -> FcsData:
    return read_fcs(folder / f"data/flow_fcs/{file_id}.fcs", file_id)


def truth_of(trial: Trial, analyte: str) -> pd.DataFrame:
    truth = trial.truth["flow_tubes"]
    return truth[truth["analyte"] == analyte].set_index("file_id")


def test_the_subsets_of_a_sample_add_up() -> None:
    per_ul = BLOOD.concentrations()

    def counted(analyte: str) -> float:
        return sum(c for name, c in per_ul.items() if analyte in POPULATIONS[name].counts_as)

    assert counted("t_cells") == pytest.approx(700)
    assert counted("car_t_cells") == pytest.approx(140)
    assert counted("car_cd4_cells") == pytest.approx(140 * 0.45)
    assert counted("cd4_cells") + counted("cd8_cells") == pytest.approx(700)
    assert counted("b_cells") == pytest.approx(160)
    assert counted("double_negative_b_cells") == pytest.approx(16)
    assert BLOOD.lymphocytes == pytest.approx(700 + 160 + 4.1 + 135)


def test_events_are_as_many_as_concentration_and_volume_say(tube: Acquired) -> None:
    for i, name in enumerate(NAMES):
        alone = 1 if name == "bead" else 1 - DOUBLETS
        expected = tube.cells_per_ul[name] * tube.blood_ul * alone
        found = int((tube.population == i).sum())
        assert abs(found - expected) < 5 * np.sqrt(expected) + 1, name
    assert tube.events("car_t_cells") == tube.events("car_cd4_cells") + tube.events("car_cd8_cells")
    assert tube.true_count("car_t_cells") == pytest.approx(140)


def test_a_tube_never_gives_more_blood_than_it_holds() -> None:
    empty = Blood(5, 0.0, 0.1, 0.05, 0.01, 0.0, 0.0)
    tube = acquire(np.random.default_rng(2), empty, Staining(), 30_000)
    assert tube.blood_ul == 80
    assert tube.population.size < 30_000


def test_without_noise_the_inverse_of_the_matrix_gives_back_the_signal(tube: Acquired) -> None:
    seen = detect(tube.signal, np.zeros(tube.signal.shape))
    assert np.allclose(seen @ np.linalg.inv(spillover_matrix()), tube.signal, atol=1e-6)


def test_with_noise_it_does_so_on_average_and_goes_below_zero(tube: Acquired) -> None:
    cells = tube.population == NAMES.index("CD4 naive")
    found = tube.observed[cells, COLOURS] @ np.linalg.inv(spillover_matrix())
    error = found - tube.signal[cells]
    assert (np.abs(error.mean(axis=0)) < 5 * error.std(axis=0) / np.sqrt(cells.sum())).all()
    assert (found[:, CAR] < 0).mean() > 0.05


def test_a_row_of_the_matrix_is_a_dye() -> None:
    matrix = spillover_matrix()
    order = list(DETECTORS.values())
    assert matrix[order.index("PE-A"), order.index("PE-CF594-A")] == 0.25
    assert matrix[order.index("PE-CF594-A"), order.index("PE-A")] == 0
    assert (np.diag(matrix) == 1).all()
    assert np.linalg.cond(matrix) < 5


def test_a_pair_of_cells_is_larger_than_its_height_says(tube: Acquired) -> None:
    height_of = tube.observed[:, 1] / tube.observed[:, 0]
    on_scale = tube.observed[:, 0] < TOP
    pairs, single = tube.population == -1, tube.population >= 0
    assert np.median(height_of[pairs & on_scale]) < 0.75
    assert np.median(height_of[single & on_scale]) == pytest.approx(0.9, rel=0.01)


def test_events_come_at_a_steady_rate(tube: Acquired) -> None:
    time = tube.observed[:, -1]
    assert (np.diff(time) >= 0).all()
    tenths = np.diff(time[:: time.size // 10])
    assert tenths.max() / tenths.min() < 1.15


def test_stored_events_are_cut_off_at_the_top_of_the_scale(tube: Acquired) -> None:
    events = stored(tube)
    assert events.dtype == np.float32
    assert events.max() == TOP - 1
    assert 0 < (events[:, 0] == TOP - 1).mean() < 0.02


@pytest.mark.parametrize("staining", [Staining(left_out="CAR"), Staining(isotype="CAR")])
def test_a_control_has_no_car_and_all_other_markers(staining: Staining) -> None:
    control = acquire(np.random.default_rng(3), BLOOD, staining, 10_000)
    cells = control.population == NAMES.index("CAR CD8 effector")
    assert np.quantile(control.signal[cells, CAR], 0.99) < 400
    assert np.median(control.signal[cells, MARKERS.index("CD3")]) == pytest.approx(9_060, rel=0.1)


def test_a_covered_antigen_is_dark_on_every_cell() -> None:
    masked = acquire(np.random.default_rng(3), BLOOD, Staining(masked="CD38"), 10_000)
    plasma = np.isin(masked.population, [NAMES.index("plasmablast"), NAMES.index("plasma cell")])
    assert plasma.sum() > 10
    assert masked.signal[plasma, MARKERS.index("CD38")].max() < 500


def test_a_clog_slows_and_dims_a_third_of_the_events(tube: Acquired) -> None:
    clogged = clog(tube)
    n = tube.population.size
    start, end = (int(n * share) for share in CLOGGED)
    rate = np.diff(clogged.observed[:, -1])
    assert np.mean(rate[start : end - 1]) / np.mean(rate[:start]) == pytest.approx(5, rel=0.1)
    assert clogged.observed[start:end, 0] == pytest.approx(0.6 * tube.observed[start:end, 0])
    assert (clogged.observed[:start, :-1] == tube.observed[:start, :-1]).all()
    assert (clogged.observed[end:, :-1] == tube.observed[end:, :-1]).all()


def test_events_that_are_compensated_twice_go_far_below_zero(tube: Acquired) -> None:
    inverse = np.linalg.inv(spillover_matrix())
    once = tube.observed[:, COLOURS] @ inverse
    assert np.allclose(compensate(tube).observed[:, COLOURS], once)
    # What the bright CD3 shines into the next detector is taken off a second time.
    cells = tube.population == NAMES.index("CD4 effector")
    twice = (once @ inverse)[cells]
    next_one = MARKERS.index("CD45RA")
    slope = np.polyfit(once[cells, MARKERS.index("CD3")], twice[:, next_one], 1)[0]
    assert slope == pytest.approx(-0.18, abs=0.02)


def test_flowio_reads_what_was_written() -> None:
    events = np.arange(12, dtype=np.float32).reshape(4, 3)
    matrix = np.array([[1.0, 0.125], [0.0, 1.0]])
    content = fcs_bytes(
        ["FSC-A", "PE-A", "APC-A"],
        ["", "CD3", "CD4"],
        events,
        top=1024,
        spillover=(["PE-A", "APC-A"], matrix),
        keywords={"$OP": "somebody"},
    )
    data = flowio.FlowData(io.BytesIO(content))
    assert np.reshape(data.events, (-1, 3)).tolist() == events.tolist()
    assert data.pnn_labels == ["FSC-A", "PE-A", "APC-A"]
    assert data.pns_labels == ["", "CD3", "CD4"]
    assert data.text["spillover"] == "2,PE-A,APC-A,1,0.125,0,1"
    assert data.text["op"] == "somebody"


@pytest.mark.parametrize("word", ["", "two\x0cwords"])
def test_a_keyword_that_would_break_the_text_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="keyword"):
        fcs_bytes(
            ["A"],
            [""],
            np.zeros((1, 1), np.float32),
            top=1,
            spillover=(["A"], np.eye(1)),
            keywords={"$OP": word},
        )


def test_every_tube_is_read_with_its_matrix_its_volume_and_its_events(
    folder: Path, trial: Trial, plan: Plan
) -> None:
    events = truth_of(trial, "t_cells")["all_events"]
    blood = truth_of(trial, "t_cells")["blood_ul"]
    assert list(plan.tubes) == list(events.index)
    for file_id in plan.tubes:
        data = opened(folder, file_id)
        assert data.names == CHANNELS
        assert data.n_events == events[file_id]
        assert data.remarks == ()
        assert data.spillover is not None
        assert data.spillover.matrix == pytest.approx(spillover_matrix())
        assert data.timestep == 0.01
        if file_id.startswith("flow_s02"):
            assert data.volume_ul == pytest.approx(5 * blood[file_id], rel=0.08)
        else:
            assert data.volume_ul is None


def test_every_batch_has_a_control_and_a_sample_from_before_the_infusion(trial: Trial, plan: Plan) -> None:
    tubes = trial.sheets["tubes"]
    kinds = tubes.groupby("batch")["kind"].agg(lambda k: sorted(set(k)))
    assert kinds.to_dict() == {
        "S01": ["fmo", "sample"],
        "S02": ["fmo", "sample"],
        "S03": ["isotype", "sample"],
    }
    days = trial.truth["flow_tubes"].groupby("batch")["study_day"].min()
    assert (days < 0).all()
    assert plan.tubes["flow_s01_03"].controls == ("flow_s01_01", "flow_s01_02")
    assert set(tubes["sample_id"]) <= set(trial.sheets["samples"]["sample_id"])


def test_beads_are_counted_in_two_batches_and_the_volume_in_one(trial: Trial) -> None:
    samples = trial.sheets["tubes"].query("kind == 'sample'")
    beads = samples["beads_per_ul"] != ""
    assert samples.loc[beads, "batch"].unique().tolist() == ["S01", "S03"]
    assert samples.loc[~beads, "dilution"].unique().tolist() == ["5"]
    found = truth_of(trial, "beads").loc[samples["file_id"]]
    # 1,020 a microlitre, 20 uL of them in 100 uL of blood.
    assert found.loc[beads.to_numpy(), "cells_per_ul"].unique().tolist() == [204.0]
    assert (found.loc[beads.to_numpy(), "events"] > 3_000).all()
    assert (found.loc[~beads.to_numpy(), "events"] == 0).all()


def test_the_true_counts_are_those_of_the_trial(clean: Trial) -> None:
    tabled = clean.truth["samples"].query("infusion == 1 and matrix == 'blood'")
    tabled = tabled.set_index(["subject_id", "visit", "analyte", "unit"])["true_value"]
    for row in clean.truth["flow_tubes"].itertuples():
        key = (row.subject_id, row.visit, row.analyte, "cells/uL")
        if row.visit != "Pre-LD" and key in tabled.index:
            assert row.cells_per_ul == pytest.approx(tabled[key]), key
    assert truth_of(clean, "car_t_cells").query("study_day < 0")["cells_per_ul"].eq(0).all()


def test_the_panel_file_keeps_the_contract_and_reports_what_the_truth_tells() -> None:
    panel = load_panel(PANEL, "flow_panel.yaml")
    assert panel.assay == "flow_fcs"
    analytes = {p.analyte for p in panel.populations.values()}
    assert analytes - {"car_t_fraction"} == set(ANALYTES) - {"beads"}


def test_every_kind_of_fault_is_planted_where_it_says(trial: Trial, clean: Trial) -> None:
    faults = trial.truth["planted_flow_faults"]
    assert set(faults["kind"]) == set(FAULTS)
    planted = trial.truth["flow_tubes"].drop_duplicates("file_id").set_index("file_id")["planted"]
    in_data = faults[faults["kind"] != "missing_marker"]
    assert planted[planted != ""].to_dict() == in_data.set_index("file_id")["kind"].to_dict()
    assert len(clean.truth["planted_flow_faults"]) == 0


def test_planting_changes_only_the_spoilt_tubes(trial: Trial, clean: Trial) -> None:
    ours, theirs = trial.tubes.contents, clean.tubes.contents
    changed = {Path(name).stem for name, content in ours.items() if theirs.get(name) != content}
    assert changed == set(trial.truth["planted_flow_faults"]["file_id"])


def test_swapped_tubes_hold_each_others_events_under_their_own_names(trial: Trial, clean: Trial) -> None:
    ours, theirs = truth_of(trial, "car_t_cells"), truth_of(clean, "car_t_cells")
    pair, swapped = ["flow_s03_02", "flow_s03_03"], ["flow_s03_03", "flow_s03_02"]
    assert ours.loc[pair, "events"].tolist() == theirs.loc[swapped, "events"].tolist()
    assert ours.loc[pair, "study_day"].tolist() == theirs.loc[pair, "study_day"].tolist()
    # A third of the T cells of day 10, and the sheet says that they are from before the infusion.
    assert ours.loc["flow_s03_02", "study_day"] < 0
    assert ours.loc["flow_s03_02", "events"] > 1_000
    blood = trial.sheets["tubes"].set_index("file_id")["lymphocytes_per_ul"]
    assert (
        blood[pair].tolist()
        == clean.sheets["tubes"].set_index("file_id").loc[pair].lymphocytes_per_ul.tolist()
    )


def test_the_tube_without_car_reagent_is_refused_and_stands_beside_the_data(folder: Path, plan: Plan) -> None:
    path = folder / "faults/missing_marker.fcs"
    data = read_fcs(path, "missing_marker.fcs")
    with pytest.raises(InputError, match="CAR"):
        match_markers(load_panel(PANEL, "flow_panel.yaml"), data.channels, "missing_marker.fcs")
    assert not any("missing_marker" in file.path for file in plan.files.values())


def test_names_and_dates_are_in_the_fcs_files_and_nowhere_else(trial: Trial) -> None:
    for name, content in files(trial).items():
        if not name.endswith((".fcs", ".xlsx")):
            assert PATIENT.encode() not in content, name
            assert OPERATOR.encode() not in content, name
    for name, content in trial.tubes.contents.items():
        text = content[:20_000].decode("latin-1")
        assert PATIENT in text
        assert OPERATOR in text
        assert holds_date(text)
        assert not holds_date(name)
    for name in ("flow_tubes", "planted_flow_faults"):
        assert not holds_date(trial.truth[name].to_csv(index=False))


def test_a_larger_trial_holds_the_tubes_of_a_smaller_one_unchanged(trial: Trial) -> None:
    for n in (1, 4, 16):
        other = simulate_trial(2024, n, plates=False, immunoassays=False, libraries=False)
        # A spoilt tube of a trial of one is spoilt in a trial of twelve, too.
        smaller, larger = sorted((other.tubes.contents, trial.tubes.contents), key=len)
        for name, content in smaller.items():
            assert larger[name] == content, name
    assert len(trial.tubes.files) == 17


def test_other_seeds_give_other_tubes_and_equal_seeds_equal_ones() -> None:
    one, again, other = (
        simulate_trial(seed, 1, plates=False, immunoassays=False, libraries=False).tubes.contents
        for seed in (5, 5, 6)
    )
    assert one == again
    assert one.keys() == other.keys()
    assert not any(one[name] == other[name] for name in one)


def test_without_tubes_there_is_no_trace_of_a_flow_core() -> None:
    written = files(
        simulate_trial(5, 2, plates=False, immunoassays=False, tubes=False, bedside=False, libraries=False)
    )
    assert not [name for name in written if "flow_fcs" in name or "tubes" in name or "faults" in name]
    assert b"tubes" not in written["config.yaml"]
