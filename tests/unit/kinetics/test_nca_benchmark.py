"""The plain implementation of the benchmark is a second opinion on every default metric."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.loading import load_module

PATH = Path(__file__).parents[3] / "benchmarks" / "nca.py"


@pytest.fixture(scope="module")
def benchmark_module():
    return load_module(PATH)


def test_both_implementations_give_the_same_numbers(benchmark_module, tmp_path, capsys):
    results = tmp_path / "results.tsv"
    command = ["--profiles", "300", "--repeat", "1", "--fits", "1", "--results", str(results)]
    assert benchmark_module.main(command) == 0
    assert benchmark_module.main(command) == 0
    with results.open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert len(rows) == 2
    assert float(rows[0]["largest_relative_difference"]) < 1e-8
    assert float(rows[0]["profiles_per_s"]) > 0
    assert "disagree" not in capsys.readouterr().out


def test_a_wrong_number_or_a_missing_one_is_noticed(benchmark_module):
    profiles = benchmark_module.simulate(20)
    kinetics = benchmark_module.Kinetics.model_validate({"half_life": {"tobit": False}})
    table = benchmark_module.nca.compute(profiles, kinetics)
    expected = [
        benchmark_module.plain(t, [None if c != c else c for c in v])
        for t, v in zip(profiles.time.tolist(), profiles.value.tolist(), strict=True)
    ]
    assert benchmark_module.agreement(table, expected) < 1e-8
    expected[3]["auc_last"] *= 1.001
    assert benchmark_module.agreement(table, expected) == pytest.approx(1e-3, rel=0.01)
    del expected[4]["cmax"]
    assert benchmark_module.agreement(table, expected) == float("inf")
