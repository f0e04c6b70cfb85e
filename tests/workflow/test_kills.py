"""A few kills of a scheduled run on a small trial; `make test-kill` does many on the demo trial."""

from __future__ import annotations

import shutil

import pytest
from tests.kills.chain import Chain, check
from tests.workflow.conftest import Workplace

pytestmark = pytest.mark.slow


def test_after_kills_of_entry_snakemake_job_and_all_the_results_are_the_same(
    finished: Workplace, workplace: Workplace
) -> None:
    results = workplace.trial / "results"
    for name in ("tables", "cohort/summary.parquet", "cohort/key_results.parquet", "report.html"):
        if (results / name).is_dir():
            shutil.rmtree(results / name)
        else:
            (results / name).unlink()
    chain = Chain(workplace.repo, workplace.trial, jobs=4, seed=9)
    try:
        chain.run(kills=4)
    finally:
        print(chain.told())
    assert len(chain.done) == 4
    check(chain, finished.trial)
