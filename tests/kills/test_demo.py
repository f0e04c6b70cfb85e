"""The demo trial under many kills: `make test-kill`. A few kills of a small trial: tests/workflow/test_kills.py.

Jobs run as forks of one Python (tests/workflow/forked_python.py), which spares their imports only: what
is proven of runs, their files and what they leave does not rest on how a job's Python starts.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.kills.chain import Chain, check
from tests.workflow.forked_python import forked_python

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("CARTRACE_KILLS", "0"))
SEED = int(os.environ.get("CARTRACE_SEED", "9"))
DEMO = Path(os.environ.get("CARTRACE_DEMO", REPOSITORY / "demo"))
"""A demo trial that ran undisturbed, with the present code."""


@pytest.mark.slow
@pytest.mark.skipif(not KILLS, reason="takes minutes: make test-kill")
def test_the_demo_trial_comes_out_the_same_after_many_kills(tmp_path: Path) -> None:
    made = ("results", "logs", "benchmarks", ".snakemake", ".cartrace.lock")
    trial = tmp_path / "trial"
    shutil.copytree(DEMO, trial, ignore=lambda folder, _: made if Path(folder) == DEMO else (), symlinks=True)
    jobs = len(list((DEMO / "benchmarks").rglob("*.tsv")))
    with forked_python() as programs:
        chain = Chain(REPOSITORY, trial, jobs, SEED, programs / "python3")
        try:
            chain.run(KILLS)
        finally:
            print(chain.told())
        check(chain, DEMO)
