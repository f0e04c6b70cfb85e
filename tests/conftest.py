"""The order of the tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of reruns first.

    All of them wait for one run of a small trial. At the front one process makes it while the
    others work; at the end all would stand before its lock.
    """
    items.sort(key=lambda item: "test_reruns" not in item.nodeid)
