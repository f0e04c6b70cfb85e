from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from tests.loading import load_module

from cartrace.pcr.limits import limits_from_json
from cartrace.pcr.standard_curve import read_stored_curve
from cartrace.pcr.tables import WELLS
from cartrace.tables import write_table

SCRIPTS = Path(__file__).parents[2] / "scripts" / "pcr"


def _load(name: str) -> ModuleType:
    return load_module(SCRIPTS / f"{name}.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trial folder with a dilution series of counts, 60 blanks and three plates of past runs."""
    rng = np.random.default_rng(6)
    level = np.tile(np.repeat([0.3, 1.0, 3.0, 10.0, 100.0, 1000.0], 12), 2)
    series = pd.DataFrame(
        {"level": level, "copies": rng.poisson(level), "plate": np.repeat(["P1", "P2"], len(level) // 2)}
    )
    series.to_csv(tmp_path / "series.tsv", sep="\t", index=False)
    pd.DataFrame({"copies": [0] * 58 + [1, 1]}).to_csv(tmp_path / "blanks.tsv", sep="\t", index=False)
    nominal = np.repeat([10.0, 100.0, 1e3, 1e4, 1e5], 3)
    for k, offset in enumerate([0.0, 0.2, -0.1]):
        cq = 38 + offset - 3.4 * np.log10(nominal) + rng.normal(0, 0.05, len(nominal))
        standards = pd.DataFrame({"nominal": nominal, "cq": cq, "task": "standard", "cq_kind": "quantified"})
        blanks = pd.DataFrame({"task": ["ntc"] * 10, "cq_kind": "undetermined"})
        plate = pd.concat([standards, blanks], ignore_index=True).assign(
            plate=f"plate{k}",
            well=[f"A{i:02d}" for i in range(25)],
            target="CAR",
            method="qpcr",
            verdict="accepted",
            source_row=np.arange(25) + 2,
        )
        write_table(plate, tmp_path / f"plate{k}.wells.parquet", WELLS)
    return tmp_path


def _limits(folder: Path, *more: str) -> list[str]:
    return [
        *("--dilutions", str(folder / "series.tsv"), "--name", "car"),
        *("--output", str(folder / "out" / "car.json"), *more),
    ]


def _settings(**changes: object) -> str:
    base = {"target": "CAR", "dilutions": "series.tsv"}
    return json.dumps({"pcr": {"detection_limits": {"car": base | changes}}})


def test_limits_are_estimated_as_the_configuration_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = _load("estimate_detection_limits")
    arguments = _limits(folder, "--blanks", str(folder / "blanks.tsv"))
    assert script.main([*arguments, "--settings", _settings(max_cv_percent=20)]) == 0
    limits = limits_from_json((folder / "out" / "car.json").read_text(), "car.json")
    assert (limits.name, limits.target, limits.lob, limits.n_blanks) == ("car", "CAR", 0, 60)
    assert limits.lod_lower is not None
    assert limits.lod_upper is not None
    assert limits.lod_lower < 3 < limits.lod_upper
    # Counts alone: CV 20 % at 25 copies.
    assert limits.lloq == pytest.approx(25, rel=0.3)
    assert "CV <= 20 %" in limits.lloq_method
    assert f"LLOQ: {limits.lloq:.4g} copies/reaction" in capsys.readouterr().out


def test_the_target_is_enough_by_hand(folder: Path) -> None:
    assert _load("estimate_detection_limits").main(_limits(folder, "--target", "CAR")) == 0
    limits = limits_from_json((folder / "out" / "car.json").read_text(), "car.json")
    assert limits.lob is None
    assert limits.reasons[0].startswith("lob: no blanks given")


def test_no_template_controls_of_past_runs_join_the_blanks(folder: Path) -> None:
    wells = [str(folder / f"plate{k}.wells.parquet") for k in range(3)]
    arguments = _limits(folder, "--target", "CAR", "--blanks", str(folder / "blanks.tsv"), *wells)
    assert _load("estimate_detection_limits").main(arguments) == 0
    limits = limits_from_json((folder / "out" / "car.json").read_text(), "car.json")
    assert (limits.n_blanks, limits.lob) == (90, 0)


def test_the_rule_passes_an_empty_list_where_there_are_no_blanks(folder: Path) -> None:
    arguments = _limits(folder, "--settings", _settings())
    assert _load("estimate_detection_limits").main([*arguments, "--blanks"]) == 0


def test_faults_of_all_files_are_told_at_once_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "series.tsv").write_text("level\tcopies\n1\tneg\n-1\t2\n")
    (folder / "blanks.tsv").write_bytes(b"copies\n\xff\n")
    (folder / "other.parquet").write_bytes(b"PAR1 no table")
    pd.DataFrame({"a": [1]}).to_parquet(folder / "alien.parquet")
    blanks = [str(folder / n) for n in ("blanks.tsv", "other.parquet", "alien.parquet", "none.tsv")]
    assert (
        _load("estimate_detection_limits").main(_limits(folder, "--target", "CAR", "--blanks", *blanks)) == 2
    )
    told = capsys.readouterr().err
    assert "6 problems" in told
    assert "series.tsv, row 2, column 'copies': found 'neg'" in told
    assert "bytes that are not UTF-8" in told
    assert told.count("no table of PCR wells") == 2
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "no pcr.detection_limits.car; allowed: that key, or --target"),
        (["--settings", "{"], "no JSON"),
        (["--settings", _settings(probability=2)], "probability"),
    ],
)
def test_settings_that_say_nothing_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert _load("estimate_detection_limits").main(_limits(folder, *more)) == 2
    assert told in capsys.readouterr().err


def _store(folder: Path, *wells: str, target: str = "CAR") -> list[str]:
    return [
        *("--wells", *(str(folder / w) for w in wells)),
        *("--target", target, "--name", "car_curve", "--output", str(folder / "curves" / "car.yaml")),
    ]


PLATES = tuple(f"plate{k}.wells.parquet" for k in range(3))


def test_a_curve_is_stored_from_the_standards_of_three_plates(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _load("store_master_curve").main(_store(folder, *PLATES)) == 0
    curve = read_stored_curve((folder / "curves" / "car.yaml").read_text(), "car.yaml")
    assert (curve.name, curve.target, curve.n_used, len(curve.lines)) == ("car_curve", "CAR", 45, 3)
    assert curve.slope == pytest.approx(-3.4, abs=0.03)
    assert curve.intercept == pytest.approx(38.033, abs=0.1)
    assert "3 plates, 45 standards, 0 left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wells", "target", "told"),
    [
        (PLATES[:1], "CAR", "1 plates; a stored curve needs at least 2"),
        (PLATES, "RPP30", "standards of the target 'RPP30'"),
        ((PLATES[0], *PLATES), "CAR", "plate 'plate0' again"),
        (("series.tsv",), "CAR", "no table of PCR wells"),
        (("none.parquet",), "CAR", "no table of PCR wells (FileNotFoundError)"),
    ],
)
def test_plates_that_make_no_curve_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], wells: tuple[str, ...], target: str, told: str
) -> None:
    assert _load("store_master_curve").main(_store(folder, *wells, target=target)) == 2
    assert told in capsys.readouterr().err
    assert not (folder / "curves").exists()
