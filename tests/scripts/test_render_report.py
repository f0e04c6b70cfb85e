from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts.report.render_report import CLONE_INPUTS, INPUTS, main
from tests.unit.report.clone_trial import clone_tables
from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.config import load
from cartrace.problems import InputError


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    data = full_trial(3)
    listed = []
    for name in INPUTS:
        path = tmp_path / f"{name}.parquet"
        tables.write_table(getattr(data, name), path, tables.TABLES[name])
        listed += [f"--{name.replace('_', '-')}", str(path)]
    return [*listed, "--output", str(tmp_path / "out" / "report.html")]


def test_the_page_is_written_from_the_tables(arguments: list[str], tmp_path: Path) -> None:
    settings = load({"trial": {"title": "Three patients"}}).model_dump_json()
    assert main([*arguments, "--settings", settings]) == 0
    written = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<title>Three patients</title>" in written
    assert "<code>half_life</code>" in written
    assert '"id":"P03"' in written
    assert '"kind":"ivig"' in written
    assert "Did the antibody fall four-fold?" in written
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


def test_clones_and_sites_are_shown_where_their_tables_are_given(
    arguments: list[str], tmp_path: Path
) -> None:
    data = clone_tables()
    given = []
    for name, table in CLONE_INPUTS.items():
        path = tmp_path / f"{name}.parquet"
        tables.write_table(getattr(data, name), path, table)
        given += [f"--{name.replace('_', '-')}", str(path)]
    # The workflow names no file where a trial has no integration site.
    assert main([*arguments, *given[:-6], "--site-samples", "--site-alarms", "--settings", "{}"]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<a href="#/clones">Clones</a>' in page
    assert "<h2>Clones: tracking</h2>" in page
    assert "<h2>Integration sites</h2>" not in page


def test_two_runs_write_the_same_bytes(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.html"
    main([*arguments, "--settings", "{}"])
    first = path.read_bytes()
    main([*arguments, "--settings", "{}"])
    assert path.read_bytes() == first


def test_bad_settings_write_nothing(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'trial'"):
        main([*arguments, "--settings", json.dumps({"trail": {}})])
    assert not (tmp_path / "out").exists()


def test_a_broken_table_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    tables.read_table(tmp_path / "qc.parquet", tables.QC).drop(columns="verdict").to_parquet(
        tmp_path / "qc.parquet"
    )
    with pytest.raises(tables.TableError, match="missing column 'verdict'"):
        main([*arguments, "--settings", "{}"])
    assert not (tmp_path / "out").exists()
