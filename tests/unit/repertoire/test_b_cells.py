"""B cells that return: shares counted by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.repertoire.b_cells import NO_BEFORE, NO_CELLS, b_return
from cartrace.repertoire.samples import PlannedLibrary, planned
from cartrace.repertoire.settings import BCells
from cartrace.repertoire.tables import B_RETURN, CLONE_CELLS
from cartrace.tables import conform, empty, records, rows

SETTINGS = BCells(min_cells=4)
BEFORE, AFTER = "S0", "S1"


def library(name: str, sample: str, day: float, **more: Any) -> PlannedLibrary:
    (made,) = planned(
        [
            {
                "library_id": name,
                "sample_id": sample,
                "sort": "none",
                "matrix": "blood",
                "infusion": 1,
                "day": day,
                "study_day": day,
                "visit": None,
                "pre_infusion": day < 0,
                "cells": True,
                "bcr": True,
            }
            | more
        ]
    )
    return made


PLAN = (library("L0", BEFORE, -7.0), library("L1", AFTER, 90.0))


def cells(
    name: str, sample: str, made: Iterable[tuple[str, str | None, float | None]], **more: Any
) -> pd.DataFrame:
    """Return B cells by clone, constant gene and mutation frequency."""
    facts = {"subject_id": "P1", "receptor": "B", "counts": True, "lineage": "b"} | more
    return rows(
        [
            {
                "library": name,
                "sample_id": sample,
                "cell": f"C{i}",
                "clonotype": clone,
                "isotype": isotype,
                "mutation_frequency": frequency,
                **facts,
            }
            for i, (clone, isotype, frequency) in enumerate(made)
        ],
        CLONE_CELLS,
    )


EARLY = cells("L0", BEFORE, [("B-old", "IGHG1", 0.08)] * 3 + [("B-older", "IGHA2*01", 0.05)] * 2)
LATE = cells(
    "L1",
    AFTER,
    [
        ("B-a", "IGHM", 0.0),
        ("B-b", "IGHD", 0.02),
        ("B-c", "IGHM", 0.0),
        ("B-d", "IGHM", 0.03),
        ("B-old", "IGHG3", 0.09),
        ("B-e", "IGHG4", 0.04),
    ],
)


def told(*frames: pd.DataFrame, plan: Iterable[PlannedLibrary] = PLAN) -> dict[tuple[str, str], Any]:
    stacked = pd.concat(frames, ignore_index=True)
    made = b_return("P1", stacked, tuple(plan), SETTINGS, 0.95)
    return {(r["sample_id"], r["measure"]): r for r in records(made)}


def counts(row: dict[str, Any]) -> tuple[int, int]:
    return row["cells"], row["total"]


def test_naive_is_an_unswitched_and_unmutated_heavy_chain():
    found = told(EARLY, LATE)
    # The limit itself (2 %) is not above it.
    assert counts(found[AFTER, "naive"]) == (3, 6)
    assert counts(found[AFTER, "mutated"]) == (3, 6)
    assert counts(found[BEFORE, "naive"]) == (0, 5)
    assert counts(found[BEFORE, "mutated"]) == (5, 5)
    assert found[AFTER, "naive"]["percent"] == 50
    # Clopper and Pearson for 3 of 6, as any table of it prints.
    assert found[AFTER, "naive"]["lower"] == pytest.approx(11.81, abs=0.01)
    assert found[AFTER, "naive"]["upper"] == pytest.approx(88.19, abs=0.01)
    assert found[AFTER, "naive"]["verdict"] == "accepted"


def test_subclasses_are_one_isotype():
    found = told(EARLY, LATE)
    isotypes = {m: counts(found[AFTER, m]) for m in ("ighm", "ighd", "ighg", "igha", "ighe")}
    assert isotypes == {"ighm": (3, 6), "ighd": (1, 6), "ighg": (2, 6), "igha": (0, 6), "ighe": (0, 6)}
    assert counts(found[BEFORE, "igha"]) == (2, 5)
    assert found[AFTER, "igha"]["percent"] == 0


def test_old_clones_are_those_from_before_the_infusion():
    found = told(EARLY, LATE)
    assert counts(found[AFTER, "old_clones"]) == (1, 6)
    assert (BEFORE, "old_clones") not in found


def test_without_b_cells_from_before_nothing_is_called_new():
    for early, plan in ((EARLY[:0], PLAN), (EARLY, PLAN[1:])):
        row = told(early, LATE, plan=plan)[AFTER, "old_clones"]
        assert (row["verdict"], row["reason"], row["percent"]) == ("rejected", NO_BEFORE, None)


def test_few_cells_from_before_are_told():
    row = told(EARLY[:3], LATE)[AFTER, "old_clones"]
    assert (row["verdict"], row["reason"]) == ("flagged", "3 B cells from before the infusion, fewer than 4")


def test_a_fact_that_no_file_tells_is_no_zero():
    unaligned = conform(LATE.drop(columns="mutation_frequency"), CLONE_CELLS)
    found = told(EARLY, unaligned)
    for measure, fact in (
        ("naive", "constant gene and mutation frequency"),
        ("mutated", "mutation frequency"),
    ):
        row = found[AFTER, measure]
        assert row["reason"] == f"the {fact} of none of 6 B cells is known"
        assert (row["verdict"], row["percent"], row["total"]) == ("rejected", None, 0)
    assert counts(found[AFTER, "ighm"]) == (3, 6)


def test_a_fact_that_few_cells_tell_is_flagged():
    partly = LATE.assign(isotype=["IGHM"] * 4 + [None, "IGHD3-10"])
    row = told(EARLY, partly)[AFTER, "ighm"]
    assert counts(row) == (4, 4)
    assert (row["verdict"], row["reason"]) == ("flagged", "the constant gene is known of 4 of 6 B cells")


def test_few_cells_are_flagged_and_none_are_rejected():
    few = told(EARLY, LATE[:2])[AFTER, "mutated"]
    assert (few["verdict"], few["reason"], few["percent"]) == ("flagged", "2 B cells, fewer than 4", 0)
    none = told(EARLY)
    assert {none[AFTER, m]["reason"] for m in ("naive", "ighm", "old_clones")} == {NO_CELLS}


def test_libraries_of_other_cells_and_the_product_tell_nothing():
    product = library("P", "SP", 0.0, matrix="infusion_product")
    sorted_t = library("T", AFTER, 90.0, sort="t_cells")
    assert told(
        EARLY,
        LATE,
        cells("P", "SP", [("B-old", "IGHM", 0.0)]),
        cells("T", AFTER, [("B-old", "IGHM", 0.0)]),
        plan=(*PLAN, product, sorted_t),
    ) == told(EARLY, LATE)


def test_a_library_without_b_cell_contigs_tells_no_absence():
    assert told(EARLY[:0], plan=[library("L1", AFTER, 90.0, bcr=False)]) == {}
    assert told(EARLY[:0], plan=[library("L1", AFTER, 90.0, bcr=None)]) == {}
    assert told(LATE, plan=[library("L1", AFTER, 90.0, bcr=None)])[AFTER, "ighm"]["cells"] == 3


def test_cells_that_do_not_count_are_left_out():
    doublet = cells("L1", AFTER, [("B-old", "IGHM", 0.0)] * 2, counts=False).assign(cell=["D0", "D1"])
    assert told(EARLY, LATE, doublet) == told(EARLY, LATE)


def test_a_subject_without_anything_has_no_rows():
    assert b_return("P1", empty(CLONE_CELLS), (), SETTINGS, 0.95).equals(empty(B_RETURN))


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(11)), st.integers(0, 6))
def test_neither_the_order_of_cells_nor_a_split_library_changes_anything(order, cut):
    split = LATE.assign(library=["L1"] * cut + ["L2"] * (6 - cut))
    stacked = pd.concat([EARLY, split], ignore_index=True).iloc[list(order)]
    assert told(stacked, plan=(*PLAN, library("L2", AFTER, 90.0))) == told(EARLY, LATE)
