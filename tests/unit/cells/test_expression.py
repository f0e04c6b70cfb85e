"""Pseudobulks by hand, planted fold changes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from tests.unit.cells.hand_libraries import library, sample

from cartrace.cells.expression import allowed_genes, contrast_findings, expression_rows
from cartrace.cells.pseudobulk import CONTRASTS, Chosen, choose, left_out_rows, sum_counts
from cartrace.cells.settings import Expression
from cartrace.cells.stored import Genes
from cartrace.cells.tables import EXPRESSION, OBS
from cartrace.tables import concat, rows

POST = r"(?i)\bpost\b"
RULES = Expression(min_cells=2)
CARS = {
    ("cd4_t", "naive", "positive"): 3,
    ("cd8_t", "naive", "negative"): 2,
    ("cd8_t", "naive", "undetermined"): 4,
}
B = {("naive_b", "", "not_assessed"): 2, ("plasma_cell", "", "not_assessed"): 1}


def obs_of(name: str, cells: dict[Any, int], day: float, subject: str = "A", **more: Any) -> pd.DataFrame:
    made = library(name, cells)
    joined = made.types.merge(made.cars, on=["library", "cell"])
    about = sample("S", day, subject_id=subject) | {
        "chemistry": "5p",
        "sort": "none",
        "library_verdict": "accepted",
    }
    counted = {"umis": 1, "genes": 1, "passed": True}
    return rows(joined.assign(**(about | counted | more)).to_dict("records"), OBS)  # type: ignore[arg-type]


def chosen(name: str, *parts: pd.DataFrame) -> Chosen:
    made = choose(concat(parts, OBS), RULES, POST)
    return next(c for c in made if c.contrast.name == name)


def genes(symbols: list[str], cars: tuple[str, ...] = ()) -> Genes:
    words = np.array(symbols, dtype=object)
    return Genes(words, words, np.array(["Gene Expression"] * len(words)), np.isin(words, cars))


def test_car_positive_cells_are_compared_with_negative_ones_of_the_same_library() -> None:
    found = chosen("car_positive_vs_negative_peak", obs_of("L1", CARS, 10), obs_of("L2", CARS, 14, "B"))
    assert found.subjects == ("A", "B")
    assert found.code.tolist() == [0, 0, 0, 1, 1, -1, -1, -1, -1, 2, 2, 2, 3, 3, -1, -1, -1, -1]
    assert found.libraries == {"L1", "L2"}


def test_a_library_of_sorted_car_cells_is_not_compared_with_another_one() -> None:
    positive = {("cd4_t", "naive", "positive"): 9}
    found = chosen("car_positive_vs_negative_peak", obs_of("L1", CARS, 10), obs_of("L2", positive, 10))
    assert found.libraries == {"L1"}
    only = chosen(
        "car_positive_vs_negative_peak",
        obs_of("L1", {("cd8_t", "naive", "negative"): 9}, 10),
        obs_of("L2", positive, 10),
    )
    assert only.subjects == ()


@pytest.mark.parametrize(
    ("day", "more", "phases"),
    [
        (-5, {}, {"before"}),
        (0, {"visit": "Day 0 pre"}, {"before"}),
        (0, {"visit": "Day 0 post"}, set()),
        (7, {}, {"peak"}),
        (15, {}, set()),
        (28, {}, {"late"}),
        (90, {}, {"after"}),
        (10, {"matrix": "csf"}, set()),
        (10, {"infusion": 2}, set()),
        (0, {"matrix": "infusion_product"}, {"product"}),
        (10, {"library_verdict": "rejected"}, {"peak"}),
    ],
)
def test_the_days_of_a_sample_say_its_part_of_the_course(day: float, more: Any, phases: set[str]) -> None:
    from cartrace.cells.pseudobulk import kinds_of, phases_of

    obs = obs_of("L1", CARS, day, **({"study_day": day} | more))
    assert {name for name, cells in phases_of(obs, RULES, POST).items() if cells.any()} == phases
    assert kinds_of(obs)["car_positive"].any() == ("library_verdict" not in more)


def test_subjects_with_one_side_or_two_chemistries_are_left_out_with_a_reason() -> None:
    made = choose(
        concat(
            [
                *(obs_of(f"P{s}", B, -5, s) for s in "ABC"),
                obs_of("QA", B, 90, "A"),
                obs_of("QB", {("naive_b", "", "not_assessed"): 1}, 90, "B"),
                obs_of("QC", B, 90, "C", chemistry="3p"),
            ],
            OBS,
        ),
        RULES,
        POST,
    )
    found = next(c for c in made if c.contrast.name == "b_after_vs_before")
    assert found.subjects == ("A",)
    assert [r["message"] for r in left_out_rows([found])] == [
        "b_after_vs_before: subject B is left out: 1 and 3 cells, and 2 are asked of each side",
        "b_after_vs_before: subject C is left out: the two sides were read with different chemistries",
    ]


def test_counts_are_summed_over_blocks_for_each_side_of_each_subject() -> None:
    code = np.array([0, 1, -1, 0, 2, 3])
    choice = Chosen(CONTRASTS[0], ("A", "B"), code, frozenset({"L1"}), {})
    counts = csr_array(np.array([[1, 0], [2, 1], [9, 9], [3, 4], [0, 5], [6, 0]]))
    whole = sum_counts([(0, counts)], [choice], 2)[0]
    assert whole.tolist() == [[4, 4], [2, 1], [0, 5], [6, 0]]
    parts = [(0, counts[:2]), (2, counts[2:5]), (5, counts[5:])]
    assert sum_counts(parts, [choice], 2)[0].tolist() == whole.tolist()


def test_genes_that_a_library_lacks_and_partners_of_the_car_are_not_tested() -> None:
    named = genes(["CD247", "IL2", "CAR", "NEW"], cars=("CAR",))
    measured = np.array([[True, True], [True, True], [True, True], [True, False]])
    of_cars = Chosen(CONTRASTS[0], ("A",), np.zeros(1, int), frozenset({"L1"}), {})
    assert allowed_genes(of_cars, named, measured, ["L1", "L2"], RULES).tolist() == [False, True, False, True]
    over_time = Chosen(CONTRASTS[-2], ("A",), np.zeros(1, int), frozenset({"L1", "L2"}), {})
    assert allowed_genes(over_time, named, measured, ["L1", "L2"], RULES).tolist() == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("subjects", "sums", "reason"),
    [
        (("A", "B"), None, "2 subjects with both sides, fewer than 3"),
        (("A", "B", "C"), np.zeros((6, 2), int), "no gene that all its libraries measured has enough counts"),
        (
            ("A", "B", "C"),
            np.array([[9, 0], [9, 0], [0, 9], [9, 0], [0, 9], [0, 9]]),
            "no gene has counts in every",
        ),
    ],
)
def test_a_contrast_that_can_t_be_tested_is_a_row_with_a_reason(
    subjects: tuple[str, ...], sums: Any, reason: str
) -> None:
    choice = Chosen(CONTRASTS[0], subjects, np.zeros(1, int), frozenset({"L1"}), {})
    made = expression_rows(choice, sums, genes(["a", "b"]), np.ones(2, bool), RULES)
    assert len(made) == 1
    assert (made[0]["gene"], made[0]["status"]) == ("", "not_estimable")
    assert made[0]["reason"].startswith(reason)
    assert next(contrast_findings(made, 0.05))["check"] == "contrast_refused"
    assert len(rows(made, EXPRESSION)) == 1


def planted(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return pseudobulks of 5 subjects with 150 genes, and their true log2 fold changes."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(4, 1, 150)
    change = np.zeros(150)
    change[:15], change[15:30] = 2.0, -2.0
    subject = rng.lognormal(0, 0.5, (5, 150))
    depth = rng.uniform(0.5, 2, 10)
    expected = np.repeat(subject * mean, 2, axis=0) * depth[:, None]
    expected[::2] *= 2 ** (change / 2)
    expected[1::2] *= 2 ** (-change / 2)
    size = 20.0
    return rng.negative_binomial(size, size / (size + expected)), change


@pytest.mark.slow
# Of the plain call: what anndata asks of pandas, and few residual degrees of freedom.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_planted_fold_changes_come_out_as_plain_pydeseq2_tells_them() -> None:
    counts, change = planted()
    choice = Chosen(CONTRASTS[0], tuple("ABCDE"), np.zeros(1, int), frozenset({"L1"}), {})
    named = genes([f"g{i}" for i in range(150)])
    allowed = np.ones(150, bool)
    allowed[149] = False
    made = rows(expression_rows(choice, counts, named, allowed, RULES), EXPRESSION).set_index("gene")
    assert len(made) == 149
    found = made["log2_fold_change"].to_numpy()
    assert (np.abs(found - change[:149]) / made["se"]).max() < 4.5
    assert np.corrcoef(found[:30], change[:30])[0, 1] > 0.98
    differ = made["q"] < 0.05
    assert differ.iloc[:30].mean() > 0.95
    assert differ.iloc[30:].mean() < 0.02
    # Standard errors are honest: z of genes without a change is about standard normal.
    z = (found / made["se"])[30:]
    assert 0.8 < z.std() < 1.25

    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.ds import DeseqStats

    names = [f"{s}{side}" for s in "ABCDE" for side in (1, 2)]
    about = pd.DataFrame({"donor": [n[0] for n in names], "cells": [n[1] for n in names]}, index=names)
    frame = pd.DataFrame(counts[:, :149], index=names, columns=made.index)
    plain = DeseqDataSet(counts=frame, metadata=about, design="~donor + cells", quiet=True, n_cpus=1)
    plain.deseq2()
    stats = DeseqStats(plain, contrast=["cells", "1", "2"], quiet=True, n_cpus=1)
    stats.summary()
    expected = stats.results_df
    for ours, theirs in (
        ("log2_fold_change", "log2FoldChange"),
        ("se", "lfcSE"),
        ("p", "pvalue"),
        ("q", "padj"),
    ):
        np.testing.assert_allclose(made[ours], expected[theirs], rtol=1e-4, atol=1e-12)

    told = next(contrast_findings(made.reset_index().to_dict("records"), 0.05))  # type: ignore[arg-type]
    assert f"{int(differ.sum())} of 149 genes differ" in str(told["message"])
