"""The same trial gives the same results, whatever the number of cores and the order of sets."""

from __future__ import annotations

import pytest
from tests.same_results import differences
from tests.workflow.conftest import Workplace
from tests.workflow.forked_python import forked_python

pytestmark = pytest.mark.slow

RULES = (
    "quantify_plate",
    "calibrate_plate",
    "type_cells",
    "embed_cells",
    "track_clones",
    "assemble_measurements",
    "fit_population_decay",
)
"""Rules with fits, random numbers or many threads; all that rests on them runs as well."""


def test_one_core_gives_the_same_results_as_two(finished: Workplace, workplace: Workplace) -> None:
    # Another process than that of the first run, so that sets are in another order, too.
    with forked_python() as programs:
        done = workplace.snakemake("--cores", "1", "--forcerun", *RULES, programs=programs)
    assert done.returncode == 0, done.stdout
    assert differences(finished.trial, workplace.trial) == []
