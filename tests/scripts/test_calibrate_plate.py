"""The program for one immunoassay plate: a plain grid with a layout, written here."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from tests.loading import load_module
from tests.unit.immunoassay.hand_elisa import LEVELS, PATTERN, od

from cartrace.immunoassay.tables import CURVES, SAMPLES, STANDARDS, WELLS
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "immunoassay" / "calibrate_plate.py"
TABLES = {"wells": WELLS, "standards": STANDARDS, "curves": CURVES, "samples": SAMPLES, "qc": QC}
ASSAY = {
    "samples": {"pattern": PATTERN, "matrix": "serum"},
    "targets": {"sBCMA": {"analyte": "soluble_bcma", "unit": "ng/mL"}},
}


def program() -> ModuleType:
    return load_module(SCRIPT)


def grid(cells: dict[str, str]) -> str:
    """Write a plate of 96 wells as a csv; wells that are not named are empty."""
    lines = [",".join(["", *map(str, range(1, 13))])]
    lines += [",".join([r, *(cells.get(f"{r}{c}", "") for c in range(1, 13))]) for r in "ABCDEFGH"]
    return "\n".join(lines) + "\n"


def elisa() -> tuple[str, str]:
    """A grid of ODs and its layout: standards in A and B, S1 d0 at 1:10 in C1 and C2."""
    cells, said = {}, ["well\tsample\ttask\tnominal\tdilution"]
    for i, level in enumerate(LEVELS, 1):
        for row, off in (("A", 1.005), ("B", 0.995)):
            cells[f"{row}{i}"] = f"{od(level) * off:.6f}"
            said.append(f"{row}{i}\tSTD{i}\tstandard\t{level:g}\t")
    for well in ("C1", "C2"):
        cells[well] = f"{od(50):.6f}"
        said.append(f"{well}\tS1 d0\t\t\t10")
    return grid(cells), "\n".join(said) + "\n"


def write(folder: Path, text: str, layout: str, **assay: Any) -> Path:
    (folder / "plate.csv").write_text(text, encoding="utf-8")
    (folder / "layout.tsv").write_text(layout, encoding="utf-8")
    (folder / "assay.yaml").write_text(yaml.safe_dump(ASSAY | assay))
    return folder


def run(folder: Path, *more: str, sha256: str = "", layout: bool = True, file_id: str = "p1") -> int:
    raw = folder / "plate.csv"
    arguments = ["--file-id", file_id, "--path", str(raw), "--mapping", str(folder / "assay.yaml")]
    arguments += ["--sha256", sha256 or hashlib.sha256(raw.read_bytes()).hexdigest()]
    arguments += ["--layout", *([str(folder / "layout.tsv")] if layout else []), *more]
    for name in TABLES:
        arguments += [f"--{name}", str(folder / "out" / f"{file_id}.{name}.parquet")]
    return int(program().main(arguments))


def tables(folder: Path, file_id: str = "p1") -> dict[str, Any]:
    return {name: read_table(folder / "out" / f"{file_id}.{name}.parquet", t) for name, t in TABLES.items()}


def test_a_plate_and_its_layout_become_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(tmp_path, *elisa())) == 0
    found = tables(tmp_path)
    s1 = found["samples"].set_index("sample").loc["S1 d0"]
    assert s1["result"] == pytest.approx(500, rel=1e-3)
    assert s1[["verdict", "subject_id", "n_used"]].tolist() == ["accepted", "S1", 2]
    assert s1["source_sha256"] == hashlib.sha256((tmp_path / "plate.csv").read_bytes()).hexdigest()
    assert found["curves"]["ec50"].tolist() == pytest.approx([100], rel=1e-3)
    assert len(found["standards"]) == len(LEVELS)
    assert capsys.readouterr().out.startswith("p1: 16 wells, 1 samples (0 rejected), 1 curves")


def test_settings_are_used(tmp_path: Path) -> None:
    write(tmp_path, *elisa())
    settings = json.dumps({"immunoassay": {"acceptance": {"standard_levels": {"lower": 8}}}})
    assert run(tmp_path, "--settings", settings) == 0
    assert tables(tmp_path)["samples"]["verdict"].tolist() == ["rejected"]


def test_the_assay_file_says_how_the_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, layout = elisa()
    # A second read of 0.04 everywhere, and decimal commas.
    first = re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]) + 0.04:.6f}", text)
    second = re.sub(r"\d+\.\d+", "0.04", text)
    both = f"450\n{first}650\n{second}".replace(",", ";").replace(".", ",")
    reading = {"wavelength": "450-650", "read": {"decimal": ","}}
    write(tmp_path, both, layout, **reading)
    assert run(tmp_path) == 0
    found = tables(tmp_path)
    assert found["wells"]["signal"].tolist() == pytest.approx(
        [float(c) for c in re.findall(r"\d+\.\d+", text)]
    )
    assert found["samples"]["result"].tolist() == pytest.approx([500], rel=1e-3)
    write(tmp_path, both, layout, read={"decimal": ","})
    assert run(tmp_path) == 2
    assert "2 reads of the plate: '450', '650'" in capsys.readouterr().err


def test_signs_on_a_plate_become_titres(tmp_path: Path) -> None:
    target = {"analyte": "aqp4_igg", "unit": "titre", "readout": "titre", "titre": {"start": 10, "step": 2}}
    signs = ("+", "+", "(+)", "-", "-")
    said = ["well\tsample\tdilution"] + [f"A{i}\tS1 d0\t{10 * 2 ** (i - 1)}" for i in range(1, 6)]
    cells = {f"A{i}": sign for i, sign in enumerate(signs, 1)}
    write(tmp_path, grid(cells), "\n".join(said) + "\n", targets={"AQP4": target}, assay="cba")
    assert run(tmp_path) == 0
    s1 = tables(tmp_path)["samples"].iloc[0]
    assert s1[["result", "lower", "upper", "lloq"]].tolist() == [40, 40, 80, 10]


def test_a_plate_without_a_layout_names_no_sample(tmp_path: Path) -> None:
    write(tmp_path, *elisa())
    assert run(tmp_path, layout=False) == 0
    assert tables(tmp_path)["samples"].empty


def test_a_file_that_changed_since_the_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(tmp_path, *elisa()), sha256="0" * 64) == 2
    assert "a file that changed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plate.csv": "no plate at all\n"}, "a file that no reader knows"),
        ({"assay.yaml": "targets: {X: {analyte: soluble_bcma, unit: g}}\n"}, "soluble_bcma is followed in"),
        ({"layout.tsv": "well\tsample\tdilutoin\nA1\tS\t3\n"}, "did you mean 'dilution'"),
    ],
)
def test_what_can_t_be_read_is_told_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], told: str
) -> None:
    write(tmp_path, *elisa())
    for name, text in change.items():
        (tmp_path / name).write_text(text)
    assert run(tmp_path) == 2
    assert told in capsys.readouterr().err
