"""The program for one tube: a sample tube and its FMO, written here, with counts that are known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.loading import load_module
from tests.unit.flow import test_workspace as flowjo
from tests.unit.flow.hand_fcs import write_fcs

from cartrace.flow.tables import TABLES
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "flow" / "gate_tube.py"
NAMES = ["FSC-A", "FSC-H", "SSC-A", "B1-A", "B2-A", "Time"]
STAINS = ["", "", "", "CD3", "CAR", ""]
PANEL: dict[str, Any] = {
    "assay": "flow",
    "car_marker": "CAR",
    "markers": {
        "FSC-A": {"linear": True},
        "FSC-H": {"linear": True},
        "SSC-A": {"linear": True},
        "CD3": None,
        "CAR": None,
    },
    "thresholds": {"CD3": {"method": "valley"}, "CAR": {"method": ["fmo", "fixed"], "value": 3000}},
    "gates": {
        "singlets": {"kind": "singlets"},
        "T": {"parent": "singlets", "where": {"CD3": "above"}},
        "CAR+": {"parent": "T", "where": {"CAR": "above"}},
    },
    "populations": {
        "CAR T": {"gate": "CAR+", "analyte": "car_t_cells"},
        "CAR share": {"gate": "CAR+", "analyte": "car_t_fraction", "of": "T"},
    },
}
SPILL = np.array([[1.0, 0.2], [0.05, 1.0]])
N, T, CAR = 12_000, 6_000, 600


def events(car: int, seed: int = 1) -> np.ndarray:
    """Events of which half are T cells, and ``car`` of these CAR+; all apart by decades."""
    rng = np.random.default_rng(seed)
    area = rng.normal(100_000, 8_000, N)
    colours = rng.normal(0, 150, (N, 2))
    colours[:T, 0] += rng.lognormal(np.log(20_000), 0.2, T)
    colours[:car, 1] += rng.lognormal(np.log(30_000), 0.2, car)
    colours = colours @ SPILL
    order = rng.permutation(N)
    return (
        np.column_stack(
            [area, area * rng.normal(0.9, 0.01, N), rng.normal(40_000, 5_000, N), colours, np.zeros(N)]
        )[order]
        + np.eye(6)[5] * np.arange(N)[:, None]
    )


def write_tube(path: Path, car: int, stains: list[str] | None = None, **more: Any) -> None:
    write_fcs(
        path,
        NAMES,
        events(car),
        stains=stains or STAINS,
        timestep=0.01,
        spillover=(["B1-A", "B2-A"], SPILL),
        volume_nl=50_000,
        **more,
    )


def program() -> ModuleType:
    return load_module(SCRIPT)


def run(folder: Path, *more: str, tube: dict[str, Any] | None = None, sha256: str = "") -> int:
    path = folder / "tube.fcs"
    arguments = ["--file-id", "t1", "--path", str(path), "--panel", str(folder / "panel.yaml")]
    arguments += ["--sha256", sha256 or hashlib.sha256(path.read_bytes()).hexdigest()]
    arguments += ["--tube", json.dumps(tube or {"kind": "sample"})]
    for name in (*(n.removeprefix("flow_") for n in TABLES if n != "flow_populations"), "qc"):
        arguments += [f"--{name}", str(folder / "out" / f"{name}.parquet")]
    return int(program().main([*arguments, "--gating-ml", str(folder / "out" / "gates.xml"), *more]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tube(tmp_path / "tube.fcs", CAR)
    write_tube(tmp_path / "fmo.fcs", 0)
    (tmp_path / "panel.yaml").write_text(yaml.safe_dump(PANEL, sort_keys=False))
    return tmp_path


FMO = {"file_id": "f1", "kind": "fmo", "marker": "CAR", "data_set": None}


def table(folder: Path, name: str) -> pd.DataFrame:
    contract = QC if name == "qc" else TABLES[f"flow_{name}"]
    return read_table(folder / "out" / f"{name}.parquet", contract)


def test_the_gates_hold_the_cells_that_were_written(folder: Path) -> None:
    tube = {"kind": "sample", "controls": [FMO], "unreadable": []}
    assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 0
    gates = table(folder, "gates").set_index("name")
    assert gates.loc["T", "events"] == pytest.approx(T, rel=0.03)
    # A tail of 0.1 % of the FMO is allowed above the threshold.
    assert gates.loc["CAR+", "events"] == pytest.approx(CAR, abs=20)
    assert gates.loc["CAR+", "parent_events"] == gates.loc["T", "events"]
    assert gates.loc["CAR+", "lower"] < gates.loc["CAR+", "percent_of_parent"] < gates.loc["CAR+", "upper"]
    row = table(folder, "tubes").iloc[0]
    assert row["verdict"] == "accepted"
    assert row["events"] == N
    assert row["volume_ul"] == pytest.approx(50)
    assert row["compensation"] == "file"
    assert len(row["gates_sha256"]) == 64
    background = table(folder, "background").set_index("gate")
    assert background.loc["singlets / T / CAR+", "events"] <= 20
    assert background.loc["singlets / T / CAR+", "control_marker"] == "CAR"
    thresholds = table(folder, "thresholds").set_index("threshold")
    assert thresholds.loc["CAR", "method"] == "fmo"
    assert thresholds.loc["CAR", "control"] == "f1"
    assert thresholds.loc["CD3", "method"] == "valley"


def test_every_set_gate_has_a_picture_and_the_gate_set_can_be_read_again(folder: Path) -> None:
    from cartrace.flow.engine import apply_strategy
    from cartrace.flow.fcs import read_fcs
    from cartrace.flow.gating_ml import read_gating_ml

    (folder / "panel.yaml").write_text(yaml.safe_dump({**PANEL, "remove": []}, sort_keys=False))
    assert run(folder) == 0
    gates, plots = table(folder, "gates"), table(folder, "plots")
    assert list(plots["gate"]) == list(gates["gate"])
    assert plots["fullest"].min() > 0
    again = read_gating_ml((folder / "out" / "gates.xml").read_bytes(), "gates.xml")
    data = read_fcs(folder / "tube.fcs", "tube.fcs")
    counts = {" / ".join(p): int(m.sum()) for p, m in apply_strategy(data, again).items()}
    assert counts == dict(zip(gates["gate"], gates["events"], strict=True))


def test_the_exported_gates_count_the_same_as_drawn_gates(folder: Path) -> None:
    assert run(folder) == 0
    own = table(folder, "gates").set_index("gate")["events"].to_dict()
    drawn = {
        **{k: PANEL[k] for k in ("assay", "car_marker", "markers", "populations")},
        "drawn": {"gating_ml": "gates.xml"},
        "remove": ["unstable_time", "margin"],
    }
    (folder / "out" / "gates.xml").rename(folder / "gates.xml")
    (folder / "panel.yaml").write_text(yaml.safe_dump(drawn, sort_keys=False))
    assert run(folder, "--drawn", str(folder / "gates.xml")) == 0
    assert table(folder, "gates").set_index("gate")["events"].to_dict() == own


def test_gates_with_a_matrix_of_their_own_are_not_compensated_with_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    (folder / "out" / "gates.xml").rename(folder / "gates.xml")
    drawn = {
        **{k: PANEL[k] for k in ("assay", "car_marker", "markers", "populations")},
        "drawn": {"gating_ml": "gates.xml"},
        "compensation": {"source": "file"},
    }
    (folder / "panel.yaml").write_text(yaml.safe_dump(drawn, sort_keys=False))
    assert run(folder, "--drawn", str(folder / "gates.xml")) == 2
    assert "source: gates" in capsys.readouterr().err
    drawn["compensation"] = {"source": "gates"}
    (folder / "panel.yaml").write_text(yaml.safe_dump(drawn, sort_keys=False))
    assert run(folder, "--drawn", str(folder / "gates.xml")) == 0
    assert table(folder, "tubes").iloc[0]["compensation"] == "gates"


def test_a_drawn_gate_on_a_channel_that_a_control_lacks_is_an_error_that_names_the_control(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    drawn = {
        **{k: PANEL[k] for k in ("assay", "car_marker", "markers", "populations")},
        "drawn": {"gating_ml": "gates.xml"},
    }
    gates = (folder / "out" / "gates.xml").read_text().replace('"FSC-H"', '"Time"')
    (folder / "gates.xml").write_text(gates)
    (folder / "panel.yaml").write_text(yaml.safe_dump(drawn, sort_keys=False))
    write_fcs(
        folder / "fmo.fcs",
        NAMES[:5],
        events(0)[:, :5],
        stains=STAINS[:5],
        spillover=(["B1-A", "B2-A"], SPILL),
    )
    more = ["--drawn", str(folder / "gates.xml"), "--controls", str(folder / "fmo.fcs")]
    assert run(folder, *more, tube={"kind": "sample", "controls": [FMO]}) == 2
    error = capsys.readouterr().err
    assert "gates.xml: found in the control 'f1', gate 'singlets': no channel 'Time'" in error


@pytest.mark.parametrize(("second", "fault"), [("other.fcs", False), ("at the cytometer.fcs", True)])
def test_a_tube_that_a_workspace_holds_under_two_names_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], second: str, fault: bool
) -> None:
    write_tube(folder / "tube.fcs", CAR, extra={"$FIL": "at the cytometer.fcs"})
    lows = (("TUBE.fcs", 0.0), (second, 1e9), ("", 1e9))
    samples = [
        flowjo.sample(name, flowjo.rectangle("T", "FSC-A", low=low), number=i)
        for i, (name, low) in enumerate(lows)
    ]
    (folder / "panel.wsp").write_bytes(flowjo.workspace(*samples))
    drawn = {
        "markers": PANEL["markers"],
        "drawn": {"flowjo": "panel.wsp"},
        "populations": {"T": {"gate": "T"}},
    }
    (folder / "panel.yaml").write_text(yaml.safe_dump(drawn, sort_keys=False))
    assert run(folder, "--drawn", str(folder / "panel.wsp")) == (2 if fault else 0)
    if fault:
        assert "two samples for the tube tube.fcs" in capsys.readouterr().err
    else:
        assert table(folder, "gates")["events"].tolist() == [N]


def test_without_its_control_a_threshold_is_set_by_the_next_method_and_told(folder: Path) -> None:
    assert run(folder) == 0
    row = table(folder, "thresholds").set_index("threshold").loc["CAR"]
    assert row["method"] == "fixed"
    assert row["value"] == pytest.approx(3000)
    assert "fmo" in row["reason"].lower()
    told = table(folder, "qc").set_index("check").loc[["threshold_fallback"]]
    assert told["message"].tolist() == ["thresholds: 'CAR' by fixed (fmo: no fmo tube of CAR)"]


def test_the_gates_of_a_control_are_not_held_against_it(folder: Path) -> None:
    panel = {**PANEL, "thresholds": {**PANEL["thresholds"], "CAR": {"method": "fmo"}}}
    (folder / "panel.yaml").write_text(yaml.safe_dump(panel, sort_keys=False))
    assert run(folder, tube={"kind": "fmo", "marker": "CAR"}) == 0
    assert table(folder, "gates").set_index("name")["reason"].notna()["CAR+"]
    assert {"gate_not_set", "threshold_fallback"}.isdisjoint(table(folder, "qc")["check"])


def test_an_unreadable_marker_leaves_its_gates_without_a_count(folder: Path) -> None:
    tube = {"kind": "sample", "unreadable": [["CAR", "blocked by a drug"]]}
    assert run(folder, tube=tube) == 0
    told = table(folder, "qc")
    assert "gate_not_set" not in told["check"].tolist(), "told with the marker"
    assert told[told["verdict"] == "warn"]["check"].tolist() == ["unreadable_staining"]
    gates = table(folder, "gates").set_index("name")
    assert pd.isna(gates.loc["CAR+", "events"])
    assert "blocked by a drug" in gates.loc["CAR+", "reason"]
    assert gates.loc["T", "events"] > 0
    assert "unreadable_staining" in set(table(folder, "qc")["check"])


def test_a_missing_marker_is_an_error_before_any_gating(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tube(folder / "tube.fcs", CAR, stains=["", "", "", "CD3", "", ""])
    assert run(folder) == 2
    error = capsys.readouterr().err
    assert "CAR" in error
    assert "tube.fcs" in error
    assert not (folder / "out").exists()


def test_a_control_without_the_stain_of_the_marker_that_it_leaves_out_sets_its_threshold(
    folder: Path,
) -> None:
    tube = {"kind": "sample", "controls": [FMO]}
    assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 0
    named = table(folder, "thresholds").set_index("threshold").loc["CAR"]
    for stain in ("", "IgG1 isotype"):
        write_tube(folder / "fmo.fcs", 0, stains=[*STAINS[:4], stain, ""])
        assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 0
        threshold = table(folder, "thresholds").set_index("threshold").loc["CAR"]
        assert threshold["method"] == "fmo"
        assert threshold["value"] == named["value"]


def test_a_control_with_a_marker_in_another_channel_tells_nothing(folder: Path) -> None:
    swapped = [*NAMES[:3], "B2-A", "B1-A", "Time"]
    other = [*NAMES[:4], "B3-A", "Time"]
    for names in (swapped, other):
        spillover = ([names[3], names[4]], SPILL)
        write_fcs(folder / "fmo.fcs", names, events(0), stains=STAINS, spillover=spillover)
        tube = {"kind": "sample", "controls": [FMO]}
        assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 0
        assert table(folder, "background").empty
        assert table(folder, "thresholds").set_index("threshold").loc["CAR", "method"] == "fixed"
        qc = table(folder, "qc").set_index("check")
        assert "'f1' has 'C" in qc.loc["control", "message"]


def test_a_control_itself_is_gated_without_the_marker_that_no_channel_names(folder: Path) -> None:
    write_tube(folder / "tube.fcs", 0, stains=["", "", "", "CD3", "", ""])
    assert run(folder, tube={"kind": "fmo", "marker": "CAR"}) == 0
    gates = table(folder, "gates").set_index("name")
    assert gates.loc["T", "events"] == pytest.approx(T, rel=0.03)
    assert "this tube leaves it out" in gates.loc["CAR+", "reason"]
    write_tube(folder / "tube.fcs", 0, stains=[""] * 6)
    assert run(folder, tube={"kind": "unstained"}) == 0
    gates = table(folder, "gates").set_index("name")
    assert gates.loc["singlets", "events"] > 0
    assert gates.loc[["T", "CAR+"], "events"].isna().all()
    qc = table(folder, "qc").set_index("check")
    assert qc.loc["left_out", "message"] == "no channel for 'CD3', 'CAR', which this tube leaves out"
    assert "unreadable_staining" not in qc.index


@pytest.mark.parametrize("n", [0, 1, 50])
def test_a_tube_in_which_no_gate_can_be_set_is_a_result_with_reasons(folder: Path, n: int) -> None:
    write_fcs(folder / "tube.fcs", NAMES, events(CAR)[:n], stains=STAINS, spillover=(["B1-A", "B2-A"], SPILL))
    tube = {"kind": "sample", "controls": [FMO]}
    assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 0
    gates = table(folder, "gates")
    assert gates["events"].isna().all()
    assert gates["reason"].str.contains(f"{n} events in all; at least 200 are needed").all()
    assert "events" in table(folder, "tubes").iloc[0]["flags"].split(";")
    assert "no gate could be set" in (folder / "out" / "gates.xml").read_text()


def test_faults_of_tube_and_control_are_told_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tube(folder / "tube.fcs", CAR, stains=["", "", "", "CD3", "", ""])
    write_tube(folder / "fmo.fcs", 0, stains=["", "", "", "", "CAR", ""])
    assert run(folder, "--controls", str(folder / "fmo.fcs"), tube={"kind": "sample", "controls": [FMO]}) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("tube.fcs: found no channel for marker 'CAR'" in line for line in lines)
    assert any("fmo.fcs: found no channel for marker 'CD3'" in line for line in lines)


def test_every_unreadable_file_is_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tube.fcs").write_bytes(b"FCS3.1")
    (folder / "fmo.fcs").write_bytes(b"no FCS")
    tube = {"kind": "sample", "controls": [FMO]}
    assert run(folder, "--controls", str(folder / "fmo.fcs"), tube=tube) == 2
    error = capsys.readouterr().err
    assert "2 problems" in error


def test_a_file_that_changed_since_the_plan_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, sha256="0" * 64) == 2
    assert "changed" in capsys.readouterr().err


def test_a_control_is_gated_and_its_verdict_is_control(folder: Path) -> None:
    assert run(folder, tube={"kind": "fmo", "marker": "CAR"}) == 0
    assert table(folder, "tubes").iloc[0]["verdict"] == "control"


def test_names_and_dates_of_the_file_reach_no_table(folder: Path) -> None:
    write_tube(
        folder / "tube.fcs",
        CAR,
        extra={"$OP": "Jane Secretname", "$DATE": "03-MAY-2021", "$SRC": "Secretname"},
    )
    assert run(folder) == 0
    written = b"".join(p.read_bytes() for p in (folder / "out").iterdir())
    assert b"Secretname" not in written
    assert b"MAY-2021" not in written


def test_the_same_gates_have_the_same_hash_and_others_another(folder: Path) -> None:
    assert run(folder) == 0
    first = table(folder, "tubes").iloc[0]["gates_sha256"]
    assert run(folder) == 0
    assert table(folder, "tubes").iloc[0]["gates_sha256"] == first
    changed = {**PANEL, "thresholds": {**PANEL["thresholds"], "CAR": {"method": "fixed", "value": 3001}}}
    (folder / "panel.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    assert run(folder) == 0
    assert table(folder, "tubes").iloc[0]["gates_sha256"] != first
