"""The program for one plate: a QuantStudio file and a QuantaSoft file with amplitudes, written here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from tests.loading import load_module

from cartrace.pcr.standard_curve import dump_stored_curve, master_curve
from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "pcr" / "quantify_plate.py"
TABLES = {"wells": WELLS, "curves": CURVES, "samples": SAMPLES, "droplets": DROPLETS, "qc": QC}
LEVELS = (10, 100, 1000, 10_000, 100_000)


def program() -> ModuleType:
    return load_module(SCRIPT)


def quantstudio() -> str:
    """A plate with Cq = 40 - 10/3 log10(copies): standards in duplicate, a blank, 1,000 copies of S1."""
    wells = [(f"{r}{i}", f"STD{i}", "STANDARD", 40 - 10 / 3 * i, 10.0**i) for i in range(1, 6) for r in "AB"]
    wells += [(f"C{i}", "S1", "UNKNOWN", 30.0, None) for i in (1, 2)]
    lines = ["* Experiment Type = Standard Curve", "* Instrument Type = QuantStudio(TM) 7 Flex System", ""]
    lines += ["[Results]"]
    lines += [
        "\t".join(("Well", "Well Position", "Omit", "Sample Name", "Target Name", "Task", "CT", "Quantity"))
    ]
    for n, (well, name, task, cq, quantity) in enumerate(wells, 1):
        typed = "" if quantity is None else f"{quantity:,.3f}"
        lines.append("\t".join((str(n), well, "false", name, "CAR", task, f"{cq:.6f}", typed)))
    lines.append("\t".join(("99", "H12", "false", "", "CAR", "NTC", "Undetermined", "")))
    return "\n".join(lines) + "\n"


def quantasoft() -> str:
    head = (
        "Well,ExptType,Experiment,Sample,TargetType,Target,Status,Concentration,Supermix,Positives,Negatives"
    )
    head += ",AcceptedDroplets,Threshold"
    row = "{},Absolute Quantification,ABS,{},Ch1Unknown,CAR,Manual,{},ddPCR Supermix for Probes,{},{},20000,3000"
    wells = [("A01", "S1", 11.8, 200), ("A02", "S1", 11.8, 200)]
    return "\n".join([head, *(row.format(w, s, c, k, 20_000 - k) for w, s, c, k in wells)]) + "\n"


def run(folder: Path, *more: str, sha256: str = "") -> int:
    raw = folder / "plate.txt"
    arguments = ["--file-id", "p1", "--path", str(raw), "--mapping", str(folder / "assay.yaml")]
    arguments += ["--sha256", sha256 or hashlib.sha256(raw.read_bytes()).hexdigest(), *more]
    for name in TABLES:
        arguments += [f"--{name}", str(folder / "out" / f"{name}.parquet")]
    return int(program().main(arguments))


def tables(folder: Path) -> dict[str, Any]:
    return {name: read_table(folder / "out" / f"{name}.parquet", t) for name, t in TABLES.items()}


def write(folder: Path, text: str, **assay: Any) -> Path:
    (folder / "plate.txt").write_text(text, encoding="utf-8")
    (folder / "assay.yaml").write_text(yaml.safe_dump({"targets": {"CAR": {}}} | assay))
    return folder


def test_a_qpcr_plate_becomes_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(tmp_path, quantstudio()), "--plate-map", "--amplitudes", "--curve") == 0
    found = tables(tmp_path)
    assert found["curves"]["slope"].tolist() == pytest.approx([-10 / 3], rel=1e-6)
    s1 = found["samples"].set_index("sample").loc["S1"]
    assert s1["copies"] == pytest.approx(1000, rel=1e-5)
    assert s1["verdict"] == "accepted"
    assert s1["source_sha256"] == hashlib.sha256((tmp_path / "plate.txt").read_bytes()).hexdigest()
    assert len(found["wells"]) == 13
    assert capsys.readouterr().out.startswith("p1: 13 wells, 2 samples (0 rejected), 1 curves")


def test_settings_and_plate_map_are_used(tmp_path: Path) -> None:
    write(tmp_path, quantstudio())
    (tmp_path / "map.tsv").write_text("well\tsample\texclude\nC01\tS1\tbubble in the well\nC02\tS1\t\n")
    settings = json.dumps({"pcr": {"acceptance": {"replicates": {"lower": 1}}}})
    assert run(tmp_path, "--plate-map", str(tmp_path / "map.tsv"), "--settings", settings) == 0
    found = tables(tmp_path)
    s1 = found["samples"].set_index("sample").loc["S1"]
    assert s1[["n_wells", "n_used", "verdict"]].tolist() == [2, 1, "accepted"]
    left = found["wells"].set_index("well").loc["C01"]
    assert left["exclusion"] == "excluded by the plate map: bubble in the well"


def test_a_digital_plate_with_amplitudes_becomes_tables(tmp_path: Path) -> None:
    write(tmp_path, quantasoft(), reaction={"volume_ul": 20}, platform="qx200")
    drops = tmp_path / "run_A01_Amplitude.csv"
    amplitudes = np.r_[np.full(50, 8000.0), np.linspace(900, 1100, 150)]
    drops.write_text("Ch1 Amplitude,Ch2 Amplitude\n" + "\n".join(f"{a:.1f},500.0" for a in amplitudes) + "\n")
    assert run(tmp_path, "--amplitudes", str(drops)) == 0
    found = tables(tmp_path)
    assert found["samples"]["copies"].tolist() == pytest.approx([236.478], abs=1e-3)
    car = found["droplets"][found["droplets"]["target"] == "CAR"]
    assert car["count"].sum() == 200
    assert car.loc[car["low"] > 3000, "count"].sum() == 50
    assert set(car["threshold"]) == {3000}


def test_a_stored_curve_is_read(tmp_path: Path) -> None:
    x = np.log10(np.repeat(LEVELS, 2))
    bend = np.tile([0.02, -0.02], len(LEVELS))
    curve = master_curve({p: (x, 40 + d - 10 / 3 * x + bend) for p, d in (("a", 0.1), ("b", -0.1))})
    stored = tmp_path / "car.yaml"
    stored.write_text(dump_stored_curve(curve, "car_curve", "CAR"))
    write(tmp_path, quantstudio(), targets={"CAR": {"curve": {"source": "stored", "file": str(stored)}}})
    assert run(tmp_path, "--curve", str(stored)) == 0
    assert tables(tmp_path)["curves"]["source"].tolist() == ["car_curve"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plate": "nothing that an instrument writes"}, "a file that no reader knows"),
        ({"sha256": "0" * 64}, "a file that changed"),
        ({"assay": {"targets": {"BCMA": {}}}}, "at least one target of the assay file: BCMA"),
        ({"assay": {"targets": {"CAR": {}}, "reactions": {}}}, "did you mean 'reaction'"),
        ({"map": "well\tsampel\nC01\tS1\n"}, "did you mean 'sample'"),
        ({"map": None}, "no file that can be read"),
        ({"curve": "name: x\n"}, "car.yaml"),
        ({"amplitudes": "run.csv"}, "a name without its well"),
        ({"settings": '{"pcr": {"confidense": 0.9}}'}, "did you mean 'confidence'"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], told: str
) -> None:
    assay = change.get("assay", {})
    more: list[str] = []
    if "map" in change:
        if change["map"]:
            (tmp_path / "map.tsv").write_text(change["map"])
        more += ["--plate-map", str(tmp_path / "map.tsv")]
    if "curve" in change:
        (tmp_path / "car.yaml").write_text(change["curve"])
        more += ["--curve", str(tmp_path / "car.yaml")]
        assay = {"targets": {"CAR": {"curve": {"source": "stored", "file": str(tmp_path / "car.yaml")}}}}
    if "amplitudes" in change:
        more += ["--amplitudes", str(tmp_path / change["amplitudes"])]
    if "settings" in change:
        more += ["--settings", change["settings"]]
    write(tmp_path, change.get("plate", quantstudio()), **assay)
    assert run(tmp_path, *more, sha256=change.get("sha256", "")) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_curve_of_another_target_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.log10(np.repeat(LEVELS, 2))
    bend = np.tile([0.02, -0.02], len(LEVELS))
    curve = master_curve({p: (x, 40 + d - 10 / 3 * x + bend) for p, d in (("a", 0.1), ("b", -0.1))})
    stored = tmp_path / "car.yaml"
    stored.write_text(dump_stored_curve(curve, "c", "RPP30"))
    write(tmp_path, quantstudio(), targets={"CAR": {"curve": {"source": "stored", "file": str(stored)}}})
    assert run(tmp_path, "--curve", str(stored)) == 2
    assert "a curve of the target 'RPP30'" in capsys.readouterr().err
    assert run(tmp_path) == 2
    assert "a stored curve that was not given" in capsys.readouterr().err
