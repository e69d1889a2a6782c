"""Plain English where people read: no idiom that docs and messages used to be full of, and no long sentence in a help.

The list is that of the style guide. A word that a list forbids is right now and then: then say it otherwise.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from egress_sentinel.cli.app import app

ROOT = Path(__file__).parents[1]
IDIOMS = {
    "what is ...": r"\bwhat (?:is|are|was|were|they|it|we|one)\b",
    "tell": r"\b(?:tells?|told|telling)\b",
    "of its own": r"\bof (?:one's|its|their|our|your) own\b",
    "nobody, somebody": r"\b(?:nobody|somebody)\b",
    "stand": r"\b(?:stands?|stood)\b",
    "mend": r"\bmend(?:s|ed|ing)?\b",
    "bear": r"\bbears?\b",
    "say": r"\b(?:says?|said)\b",
    "go on": r"\b(?:goes|went|go) on\b",
    "even so": r"\beven so\b",
    "pass over": r"\bpass(?:es|ed) over\b",
}
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "terraform" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Packages whose messages people read. The texts of the others change the hash of every features file or model.
PACKAGES = ("egress_alerts", "egress_sentinel")
WORDS_OF_A_SENTENCE = 30


def idioms_in(text: str) -> list[str]:
    return [
        f"{name}: ...{text[max(found.start() - 40, 0) : found.end() + 40]}..."
        for name, pattern in IDIOMS.items()
        for found in re.finditer(pattern, text, flags=re.IGNORECASE)
    ]


def prose_of(page: Path) -> str:
    """Return a page without code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "CODE", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield each text of a command's help and of those below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below_name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {below_name}")


HELP = dict(commands(typer.main.get_command(app), "egress-sentinel"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_in_plain_english(page: Path) -> None:
    assert idioms_in(prose_of(page)) == []


def test_the_help_is_in_plain_english() -> None:
    assert {name: found for name, text in HELP.items() if (found := idioms_in(text))} == {}


def test_sentences_of_the_help_are_short() -> None:
    long = [
        sentence
        for text in HELP.values()
        for sentence in re.split(r"(?<=[.:])\s+|\n\n", text)
        if len(sentence.split()) > WORDS_OF_A_SENTENCE
    ]
    assert long == []


def messages_of(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings."""
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, scopes) and has_docstring(node)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_are_in_plain_english(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): idioms
        for path in sorted((ROOT / "ml_models" / package).rglob("*.py"))
        if (idioms := [i for text in messages_of(ast.parse(path.read_text("utf-8"))) for i in idioms_in(text)])
    }
    assert found == {}


def test_the_linter_finds_what_it_looks_for() -> None:
    assert len(idioms_in("What is told goes on; nobody says so of its own.")) == 6
    assert idioms_in("Check the flow logs. A quiet hour is outstanding.") == []
