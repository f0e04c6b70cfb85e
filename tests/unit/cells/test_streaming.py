"""Sums of cells and features in one pass, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tests.unit.cells.hand_matrix import COUNTS, GENES, IDS, write_10x

from cartrace.cells.matrices import Features, open_matrix
from cartrace.cells.streaming import Roles, Sums, add_up, add_up_empties, empty_limit, roles_of

TYPES = ["Gene Expression"] * 6
CAR = np.array([False, False, False, False, True, False])
NONE = np.zeros(6, bool)


def features(genes: list[str] = GENES, types: list[str] = TYPES) -> Features:
    return Features(np.array(IDS[: len(genes)]), np.array(genes), np.array(types))


def in_blocks(counts: Any, size: int) -> Iterator[tuple[int, csr_array]]:
    for first in range(0, len(counts), size):
        yield first, csr_array(np.asarray(counts[first : first + size], dtype=np.int32))


def sums_of(counts: Any, roles: Roles, size: int = 2, **sets: Any) -> Sums:
    return add_up((b for _, b in in_blocks(counts, size)), roles, sets or None)


def test_the_car_counts_apart_and_is_in_no_sum_of_genes() -> None:
    found = sums_of(COUNTS, roles_of(features(), CAR, NONE))
    assert found.umis.tolist() == [6, 0, 10]
    assert found.genes.tolist() == [2, 0, 4]
    assert found.mito.tolist() == [1, 0, 3]
    assert found.ribo.tolist() == [0, 0, 2]
    assert found.haemoglobin.tolist() == [0, 0, 1]
    assert found.car.tolist() == [2, 0, 0]
    assert found.vendor_umis.tolist() == [8, 0, 10]
    assert found.vendor_genes.tolist() == [3, 0, 4]
    assert found.feature_umis.tolist() == [5, 4, 2, 1, 2, 4]
    assert found.feature_cells.tolist() == [1, 2, 1, 1, 1, 1]


def test_surface_tags_are_no_genes() -> None:
    types = [*TYPES[:5], "Antibody Capture"]
    tag = np.array([False] * 5 + [True])
    found = sums_of(COUNTS, roles_of(features(types=types), CAR, tag))
    assert found.umis.tolist() == [6, 0, 6]
    assert found.genes.tolist() == [2, 0, 3]
    assert found.tag.tolist() == [0, 0, 4]
    assert found.vendor_umis.tolist() == [8, 0, 6]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=15),
    st.integers(1, 15),
)
@settings(max_examples=30, deadline=None)
def test_sums_do_not_depend_on_blocks_and_car_counts_change_nothing_else(
    table: list[list[int]], size: int
) -> None:
    counts = np.array(table)
    roles = roles_of(features(), CAR, NONE)
    one, other = sums_of(counts, roles, len(counts)), sums_of(counts, roles, size)
    more = sums_of(counts + 7 * CAR, roles, size)
    for name in ("umis", "genes", "mito", "ribo", "haemoglobin"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist() == getattr(more, name).tolist()
    assert (more.car - one.car).tolist() == [7] * len(counts)
    assert one.umis.tolist() == counts[:, ~CAR].sum(axis=1).tolist()
    assert one.genes.tolist() == (counts[:, ~CAR] > 0).sum(axis=1).tolist()


def test_sets_of_genes_are_added_up_for_each_cell_without_the_car() -> None:
    t = np.array([False, False, False, False, True, True])
    found = sums_of(COUNTS, roles_of(features(), CAR, NONE), t=t, blood=np.array(GENES) == "HBB")
    assert {k: v.tolist() for k, v in found.sets.items()} == {"t": [0, 0, 4], "blood": [0, 0, 1]}


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("MT-ND4L", "mito"),
        ("mt-Co1", "mito"),
        ("GRCh38_MT-CO1", "mito"),
        ("MTRNR2L1", ""),
        ("RPL10A", "ribo"),
        ("RPL36AL", "ribo"),
        ("RPS4Y1", "ribo"),
        ("RPLP0", "ribo"),
        ("RPSA", "ribo"),
        ("RPS6KA1", ""),
        ("RPS19BP1", ""),
        ("RPL34-AS1", ""),
        ("HBA2", "haemoglobin"),
        ("HBG1", "haemoglobin"),
        ("HBEGF", ""),
        ("HBP1", ""),
    ],
)
def test_genes_are_known_by_their_symbols(symbol: str, kind: str) -> None:
    roles = roles_of(features([symbol], ["Gene Expression"]), NONE[:1], NONE[:1])
    assert {"mito": roles.has_mito, "ribo": roles.has_ribo, "haemoglobin": roles.has_haemoglobin} == {
        k: k == kind for k in ("mito", "ribo", "haemoglobin")
    }


def test_empty_droplets_are_barcodes_with_few_umis_that_are_no_cells() -> None:
    counts = [
        [50, 0, 0, 0, 5, 0],  # a cell
        [2, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 9, 0],  # CAR alone: no gene says that there is a droplet
        [0, 0, 0, 0, 0, 0],
        [8, 0, 0, 0, 0, 0],  # above the limit
        [0, 0, 0, 1, 0, 4],
    ]
    cells = np.array([True, False, False, False, False, False])
    found = add_up_empties(in_blocks(counts, 2), cells, 5, roles_of(features(), CAR, NONE))
    assert found.droplets == 2
    assert found.feature_umis.tolist() == [2, 0, 0, 1, 1, 4]


def test_the_limit_of_empty_droplets_follows_the_cells_down() -> None:
    roles = roles_of(features(), CAR, NONE)
    deep, shallow, failed = (sums_of([[n, 0, 0, 0, 0, 0]] * 3, roles) for n in (5000, 430, 2))
    assert [empty_limit(s, 100) for s in (deep, shallow, failed)] == [100, 43, 0]


def test_a_file_and_its_sums_agree(tmp_path: Path) -> None:
    matrix = open_matrix(write_10x(tmp_path / "a.h5"))
    found = add_up((b for _, b in matrix.blocks()), roles_of(matrix.features, CAR, NONE))
    assert found.umis.tolist() == [6, 0, 10]
