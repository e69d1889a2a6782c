"""Prints at the end of each run how many tests were left out, and how to run them."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

LEFT_OUT = pytest.StashKey[Counter[str]]()
LANES = {"slow": "make test-all", "integration": "make test"}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        lane = next((name for name in LANES if item.get_closest_marker(name)), None)
        if lane and not item.config.option.keyword:
            item.config.stash[LEFT_OUT][lane] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash[LEFT_OUT]
    for lane, number in left_out.items():
        terminalreporter.write_line(f"{number} {lane} tests left out: `{LANES[lane]}` runs them")
    if path := os.environ.get("EGRESS_SENTINEL_TEST_COUNTS"):
        found = {name: len(terminalreporter.getreports(name)) for name in ("passed", "skipped", "failed", "error")}
        Path(path).write_text(json.dumps(found | {f"{lane} left out": n for lane, n in left_out.items()}))
