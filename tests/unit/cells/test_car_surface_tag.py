"""What a surface tag adds to the molecules."""

from __future__ import annotations

import numpy as np
import pytest

from cartrace.cells.surface_tag import TagEvidence, tag_evidence

RNG = np.random.default_rng(1)
T, OTHER, CAR = 400, 100, 120


def evidence(bright: float, *, others: int = OTHER, own: float = 0.3, limit: float = 100.0) -> TagEvidence:
    """The first CAR cells are CAR+, of which the molecules show half."""
    tag = RNG.poisson(5.0, T + others)
    tag[:CAR] = RNG.poisson(bright, CAR)
    posterior = np.full(T + others, own)
    posterior[: CAR // 2], posterior[CAR:T] = 0.99, 0.2
    t_cells = np.arange(T + others) < T
    return tag_evidence(tag, posterior, t_cells, ~t_cells, min_others=50, limit=limit, min_separation=1.5)


@pytest.mark.parametrize("others", [OTHER, 0])
def test_a_bright_tag_finds_the_cells_whose_molecules_were_missed(others: int) -> None:
    found = evidence(200.0, others=others)
    assert found.used
    assert found.separation > 3
    assert (found.log_odds[CAR // 2 : CAR] > 3).all()
    assert (found.log_odds[CAR:T] < 0).mean() > 0.95


def test_one_cell_is_never_decided_by_the_tag_alone_beyond_the_limit() -> None:
    found = evidence(500.0, limit=20.0)
    assert np.abs(found.log_odds).max() == pytest.approx(np.log(20.0))


def test_a_tag_that_parts_nothing_does_not_count() -> None:
    found = evidence(5.0)
    assert not found.used
    assert not found.log_odds.any()


def test_more_tag_is_never_less_evidence() -> None:
    tag = np.concatenate([RNG.poisson(5.0, 300), RNG.poisson(80.0, 100), np.arange(0, 400, 2)])
    posterior = np.concatenate([np.full(300, 0.1), np.full(100, 0.95), np.full(200, 0.3)])
    t_cells = np.arange(600) >= 100
    found = tag_evidence(tag, posterior, t_cells, ~t_cells, min_others=50, limit=100, min_separation=1.5)
    assert (np.diff(found.log_odds[400:]) >= -1e-9).all()
