from __future__ import annotations

from pathlib import Path

import pytest
from tests.loading import load_module

from cartrace.problems import InputError
from cartrace.tables import MEASUREMENTS, METRICS, empty, read_table, write_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "efficacy" / "compute_efficacy.py"


def test_it_writes_the_metrics_and_refuses_unknown_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_module(SCRIPT)
    write_table(empty(MEASUREMENTS), tmp_path / "m.parquet", MEASUREMENTS)
    arguments = ["--measurements", str(tmp_path / "m.parquet"), "--metrics", str(tmp_path / "out.parquet")]
    with pytest.raises(InputError, match="did you mean 'scores'"):
        script.main([*arguments, "--settings", '{"efficacy": {"score": []}}'])
    assert not (tmp_path / "out.parquet").exists()
    script.main(arguments)
    assert len(read_table(tmp_path / "out.parquet", METRICS)) == 0
    assert capsys.readouterr().out == "0 courses of a score, 0 metrics\n"
