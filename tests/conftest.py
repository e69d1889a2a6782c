"""The order in which the suite runs."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the applied stacks first: they wait most of their time, while the second process does the rest."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/terraform/test_applied"))
