"""Clones that two subjects share: cohorts by hand, each with one thing wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from cartrace.repertoire.settings import Sharing
from cartrace.repertoire.sharing import barcodes_of, shared_clones, suspects
from cartrace.repertoire.tables import CLONE_CELLS
from cartrace.tables import concat

RULES = Sharing()
BASES = np.array(list("ACGT"))


def barcodes(rng: np.random.Generator, n: int) -> list[str]:
    return ["".join(b) + "-1" for b in BASES[rng.integers(4, size=(n, 16))]]


def library(
    name: str,
    clones: Mapping[str, int],
    *,
    seed: int = 0,
    cells: list[str] | None = None,
    sample: str | None = None,
    receptor: str = "T",
) -> pd.DataFrame:
    """Make the cells of one library; the subject is the first letter of its name."""
    named = [c for c, n in clones.items() for _ in range(n)]
    seeded = np.random.default_rng([seed, *name.encode()])
    return pd.DataFrame(
        {
            "subject_id": name[0],
            "library": name,
            "cell": cells or barcodes(seeded, len(named)),
            "sample_id": sample or name,
            "receptor": receptor,
            "clonotype": named,
            "counts": True,
        }
    )


def own(subject: str, n: int = 100, large: int = 20) -> dict[str, int]:
    """Clones of one subject: one large, the others of one cell."""
    return {f"{subject}{i}": large if i == 0 else 1 for i in range(n)}


def judge(*libraries: pd.DataFrame, rules: Sharing = RULES) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    return shared_clones(concat(libraries, CLONE_CELLS), rules)


def checks(qc: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(q["check"], q.get("source_file")) for q in qc]


def the(shared: pd.DataFrame, a: str, b: str) -> Any:
    found = shared[(shared["library_a"] == a) & (shared["library_b"] == b)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_public_clone_in_all_subjects_is_no_finding() -> None:
    shared, qc = judge(*(library(f"{s}1", own(s) | {"public": 2}) for s in "ABCDE"))
    assert len(shared) == 10
    row = the(shared, "A1", "B1")
    assert (row["clones_a"], row["clones_b"], row["shared"], row["clones"]) == (101, 101, 1, "public")
    # Each of the nine other pairs shares one of as many: one is expected, and half of all tables have more.
    assert row["expected"] == pytest.approx(1)
    assert row["p"] == pytest.approx(1 - 0.9**10)
    assert set(shared["taken_for"]) == {"as_expected"}
    assert not qc


def test_more_shared_clones_than_between_the_others_are_told() -> None:
    common = {f"hla{i}": 1 for i in range(8)}
    cohort = [library(f"{s}1", own(s) | {"public": 1} | (common if s in "AB" else {})) for s in "ABCDE"]
    shared, qc = judge(*cohort)
    row = the(shared, "A1", "B1")
    assert (row["shared"], row["shared_barcodes"], row["taken_for"]) == (9, 0, "public")
    # The nine other pairs share one each; their clones are 109 * 101 (6 pairs) and 101 * 101 (3).
    area = 6 * 109 * 101 + 3 * 101**2
    assert row["expected"] == pytest.approx(9 / area * 109**2)
    assert set(shared["taken_for"]) == {"public", "as_expected"}
    assert checks(qc) == [("public_clones", "A1")]
    assert qc[0]["verdict"] == "note"
    assert "share 9 T-cell clones, where the other subjects let 1.1 expect" in qc[0]["message"]
    # The pair that is beyond it is no measure for the others, and none is its own.
    assert the(shared, "C1", "D1")["expected"] == pytest.approx(8 / (area - 101**2) * 101**2)


def test_the_same_barcodes_behind_the_same_clones_are_index_hopping() -> None:
    source = library("A1", own("A"))
    strays = source.iloc[:6].assign(subject_id="B", library="B1", sample_id="B1")
    shared, qc = judge(source, library("B1", own("B")), strays, *(library(f"{s}1", own(s)) for s in "CD"))
    row = the(shared, "A1", "B1")
    # Six cells of the large clone of A.
    assert (row["shared"], row["shared_barcodes"], row["clones"]) == (1, 6, "A0")
    assert row["taken_for"] == "index_hopping"
    assert checks(qc) == [("index_hopping", "A1")]
    assert "6 barcodes that stand for the same T-cell clone" in qc[0]["message"]


def test_what_hopped_is_no_second_finding_in_the_other_libraries_of_the_subject() -> None:
    source = library("A1", own("A"))
    strays = source.iloc[15:25].assign(subject_id="B", library="B1", sample_id="B1")
    cohort = [library(f"{s}1", own(s)) for s in "BCDE"]
    shared, qc = judge(source, library("A2", own("A")), strays, *cohort)
    # The clones that came from A1 are in A2 as well, behind other barcodes.
    assert (the(shared, "A2", "B1")["shared"], the(shared, "A2", "B1")["shared_barcodes"]) == (6, 0)
    assert the(shared, "A2", "B1")["taken_for"] == "index_hopping"
    assert checks(qc) == [("index_hopping", "A1")]


def test_a_few_hopped_cells_do_not_hide_a_swap() -> None:
    source = library("A1", own("A"))
    strays = source.iloc[15:25].assign(subject_id="B", library="B1", sample_id="B1")
    # B1 is a sample of A; the cells that also hopped into it are few beside its own.
    swapped = library("B1", own("A"))
    cohort = [library("A2", own("A")), library("B2", own("B")), library("C1", own("C"))]
    shared, qc = judge(source, swapped, strays, *cohort)
    assert the(shared, "A1", "B1")["shared_barcodes"] == 10
    assert the(shared, "A1", "B1")["taken_for"] == the(shared, "A2", "B1")["taken_for"] == "swap"
    assert checks(qc) == [("sample_swap", "B1")]


def test_cells_that_a_file_only_numbers_are_no_index_hopping() -> None:
    # One clone makes up nearly all of both: the same number stands for it in both by chance.
    numbered = [
        library(f"{s}1", {"public": 90, **own(s, 10, 1)}, cells=[f"cell{i}" for i in range(100)])
        for s in "ABC"
    ]
    shared, qc = judge(*numbered)
    assert the(shared, "A1", "B1")["shared_barcodes"] == 90
    assert "index_hopping" not in set(shared["taken_for"])
    assert not [q for q in qc if q["check"] == "index_hopping"]


def test_a_sample_under_the_wrong_subject_is_told_once() -> None:
    big = {"0": 20, "1": 10, "2": 10}

    def sample(name: str, of: str, seed: int) -> pd.DataFrame:
        return library(name, {of + c: n for c, n in big.items()} | {f"{of}{seed}x{i}": 1 for i in range(40)})

    # B3 is a sample of A.
    cohort = [sample(f"{s}{i}", "A" if (s, i) == ("B", 3) else s, i + 10) for s in "ABC" for i in (1, 2, 3)]
    shared, qc = judge(*cohort)
    assert set(zip(shared["library_a"], shared["library_b"], strict=True)) == {
        (f"A{i}", "B3") for i in (1, 2, 3)
    }
    assert set(shared["taken_for"]) == {"swap"}
    assert checks(qc) == [("sample_swap", "B3")]
    assert (qc[0]["subject_id"], qc[0]["sample_id"], qc[0]["verdict"]) == ("B", "B3", "warn")
    assert "the best with another sample of its own subject is 0" in qc[0]["message"]
    assert qc[0]["suggestion"].startswith("perhaps a sample of subject A")


def test_one_library_under_two_names_is_told_of_both() -> None:
    first = library("A1", own("A"))
    second = first.assign(subject_id="B", library="B1", sample_id="B1")
    shared, qc = judge(first, second, library("C1", own("C")))
    assert the(shared, "A1", "B1")["morisita_horn"] == pytest.approx(1)
    assert the(shared, "A1", "B1")["taken_for"] == "swap"
    assert checks(qc) == [("sample_swap", "A1"), ("sample_swap", "B1")]
    assert {q["suggestion"] for q in qc} == {
        "the same cells behind the same barcodes: perhaps one library was given twice"
    }
    assert "no other sample of its own subject has clones" in qc[0]["message"]


def test_two_libraries_of_one_sample_are_no_comparison() -> None:
    first = library("A1", own("A"), sample="A")
    twin = library("A2", own("A"), sample="A")
    _, qc = judge(first, twin, library("B1", own("A")), library("B2", own("B")), library("C1", own("C")))
    # A1 and A2 agree because they are one sample, which does not clear them.
    assert [(c, f) for c, f in checks(qc) if c == "sample_swap"] == [
        ("sample_swap", "A1"),
        ("sample_swap", "A2"),
        ("sample_swap", "B1"),
    ]


@pytest.mark.parametrize(
    ("overlap", "of_own", "doubted"),
    [
        (0.4, (0.0, 0.5), [0]),
        (0.4, (float("nan"), 0.5), [0]),
        (0.4, (float("nan"), float("nan")), [0, 1]),
        (0.4, (0.3, 0.35), [0]),
        (0.4, (0.5, 0.6), []),
        (0.4, (0.01, 0.02), [0, 1]),
    ],
)
def test_who_is_in_doubt(overlap: float, of_own: tuple[float, float], doubted: list[int]) -> None:
    assert suspects(overlap, of_own) == doubted


def test_two_subjects_tell_not_what_is_usual() -> None:
    common = {f"p{i}": 1 for i in range(5)}
    shared, qc = judge(library("A1", own("A") | common), library("B1", own("B") | common))
    row = the(shared, "A1", "B1")
    assert (row["shared"], row["taken_for"]) == (5, "unknown")
    assert pd.isna(row["expected"])
    assert pd.isna(row["p"])
    assert checks(qc) == [("public_clones", None)]
    assert "can't be told from 2 subjects" in qc[0]["message"]


def test_one_subject_and_none() -> None:
    shared, qc = judge(library("A1", own("A")), library("A2", own("A")))
    assert shared.empty
    assert "can't be told from 1 subject" in qc[0]["message"]
    shared, qc = judge(library("A1", {}))
    assert shared.empty
    assert not qc


def test_t_and_b_cells_are_looked_at_apart() -> None:
    b_cells = [library(f"{s}1", {"same": 5, f"B-{s}": 5}, receptor="B", seed=1) for s in "AB"]
    shared, qc = judge(*(library(f"{s}1", own(s)) for s in "ABC"), *b_cells)
    assert shared["receptor"].tolist() == ["B"]
    assert "B-cell clones" in qc[0]["message"]


def test_barcodes_are_compared_without_what_tells_libraries_apart() -> None:
    named = pd.Series(["ACGTACGTACGTACGT-1", "L2_ACGTACGTACGTACGT", "ACGTACGTACGTACGT", "cell7"])
    assert barcodes_of(named).tolist() == ["ACGTACGTACGTACGT"] * 3 + ["cell7"]


def test_at_most_twenty_clones_are_named_the_largest_first() -> None:
    common = {f"p{i:02d}": i + 1 for i in range(25)}
    shared, _ = judge(library("A1", common), library("B1", common), library("C1", own("C")))
    assert the(shared, "A1", "B1")["clones"].split(";") == [f"p{i:02d}" for i in range(24, 4, -1)]


@given(st.randoms(use_true_random=False), st.integers(0, 100))
@trials(max_examples=5)
def test_the_order_of_cells_changes_nothing(order: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cohort = pd.concat(
        [
            library(f"{s}{i}", {f"c{k}": int(n) for k, n in enumerate(rng.integers(0, 3, 20))}, seed=seed)
            for s in "ABC"
            for i in (1, 2)
        ],
        ignore_index=True,
    )
    places = list(range(len(cohort)))
    order.shuffle(places)
    here, there = (shared_clones(c, RULES) for c in (cohort, cohort.iloc[places]))
    pd.testing.assert_frame_equal(here[0], there[0], check_exact=True)
    assert here[1] == there[1]
    counts = cohort.groupby("library")["clonotype"].agg(set)
    for row in here[0].to_dict("records"):
        both = counts[row["library_a"]] & counts[row["library_b"]]
        assert (row["shared"], set(row["clones"].split(";"))) == (len(both), both)
