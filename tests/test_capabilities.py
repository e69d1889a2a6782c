"""docs/capabilities.md: every test that it names is there, and every command."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from egress_sentinel.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| capability")
]
NAMED = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_capability_has_a_test_or_is_not_there(row: tuple[str, ...]) -> None:
    named = row[1]
    if named == "not there":
        return
    (test,) = NAMED.findall(named)
    path, _, function = test.partition("::")
    assert (ROOT / path).is_file(), test
    assert re.search(rf"^def {function}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test


COMMANDS = sorted({command for row in ROWS if len(row) > 2 for command in NAMED.findall(row[2])})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_there_with_its_options(command: str) -> None:
    program, *words = command.split()
    if program == "terraform":
        assert words in (["apply"], ["destroy"])
        return
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return
    assert program == "egress-sentinel"
    found: Any = typer.main.get_command(app)
    while words and not words[0].startswith("-"):
        assert hasattr(found, "commands"), command
        both = " ".join(words[:2])
        name = both if both in found.commands else words[0]
        assert name in found.commands, command
        found, words = found.commands[name], words[len(name.split()) :]
    options = {option for parameter in found.params for option in parameter.opts}
    assert set(words) <= options, command
