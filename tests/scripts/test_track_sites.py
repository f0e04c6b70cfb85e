"""scripts/repertoire/track_sites.py: the site sets of a subject in, their course and alarms out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.loading import load_module
from tests.unit.repertoire.hand_sites import site_set, sites_of

from cartrace.repertoire.tables import DIVERSITY, OVERLAP, SITE_ALARM, SITE_SAMPLES, SITES
from cartrace.tables import QC, Table, read_table, write_table

SCRIPT = load_module(Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "track_sites.py")

TABLES: dict[str, Table] = {
    "samples": SITE_SAMPLES,
    "diversity": DIVERSITY,
    "overlap": OVERLAP,
    "alarms": SITE_ALARM,
    "qc": QC,
}


def run(folder: Path, plan: object, *more: str) -> int:
    out = [text for name in TABLES for text in (f"--{name}", str(folder / f"{name}.parquet"))]
    given = ["--subject", "P1", "--plan", json.dumps(plan), "--folder", str(folder)]
    status = SCRIPT.main([*given, *more, *out])
    assert isinstance(status, int)
    return status


def write_sets(folder: Path) -> list[dict[str, object]]:
    genes = {"chr3+500": ("LMO2", 10)}
    others = {f"chr1+{100 * i}": 4.0 for i in range(1, 21)}
    for name, cells in (("prod", 1.0), ("d90", 60.0)):
        sites = sites_of(name, others | {"chr3+500": cells}, genes)
        write_table(sites, folder / f"{name}.sites.parquet", SITES)
    return [site_set("d90", day=90), site_set("prod", day=0, matrix="infusion_product")]


def test_sets_become_a_course_with_alarms(tmp_path: Path) -> None:
    plan = write_sets(tmp_path)
    (tmp_path / "genes.txt").write_text("lmo2\n")
    assert run(tmp_path, plan, "--genes", str(tmp_path / "genes.txt")) == 0
    found = {name: read_table(tmp_path / f"{name}.parquet", table) for name, table in TABLES.items()}
    assert len(found["samples"]) == 42
    assert found["alarms"]["alarm"].tolist() == ["dominant", "gene_of_concern"]
    assert found["overlap"]["shared"].tolist() == [21]
    assert set(found["diversity"]["unit"]) == {"site"}
    checks = set(found["qc"]["check"])
    assert checks - {"genes_of_concern_not_known"} == {
        "dominant_site",
        "site_near_gene_of_concern",
        "site_growth",
    }


def test_without_a_list_nothing_is_of_concern(tmp_path: Path) -> None:
    assert run(tmp_path, write_sets(tmp_path), "--genes") == 0
    assert read_table(tmp_path / "samples.parquet", SITE_SAMPLES)["of_concern"].isna().all()


def test_a_list_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "genes.txt").write_text("LMO2 CCND2\n")
    plan = write_sets(tmp_path)
    assert run(tmp_path, plan, "--genes", str(tmp_path / "genes.txt")) == 2
    assert "row 1" in capsys.readouterr().err
