"""The order of the tests, and how many threads their linear algebra takes."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Other processes may hold the cores: how long an example takes proves nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Before NumPy is imported, here and in the processes that tests start. Each test process fills
# a core; more threads for matrices of seven rows only wait for each other (docs/numerics.md).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of reruns first.

    All of them wait for one run of a small trial. At the front one process makes it while the
    others work; at the end all would stand before its lock.
    """
    items.sort(key=lambda item: "test_reruns" not in item.nodeid)
