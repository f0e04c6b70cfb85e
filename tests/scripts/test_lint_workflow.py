"""The linter's text is read finding by finding."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/lint_workflow.py"


def test_each_finding_comes_with_its_place() -> None:
    report = (
        "Lints for snakefile /x/common.smk:\n    * Mixed rules and functions in same snakefile.:\n      Small\n\n"
        "Lints for rule a (line 1, /x/a.smk):\n    * No log directive defined:\n      Without\n"
        "    * Specify a conda environment or container for each rule.:\n      This way\n"
    )
    program = runpy.run_path(str(SCRIPT))
    found = list(program["lints"](report))
    assert found == [
        ("snakefile /x/common.smk", "Mixed rules and functions in same snakefile."),
        ("rule a (line 1, /x/a.smk)", "No log directive defined"),
        ("rule a (line 1, /x/a.smk)", "Specify a conda environment or container for each rule."),
    ]
    assert found[2][1] in program["EXCUSED"]
