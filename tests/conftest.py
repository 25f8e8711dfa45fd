"""For all tests: the files that take longest begin first, so that no process is left alone with one at the end."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by how many slow tests they hold; within a file nothing changes."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
