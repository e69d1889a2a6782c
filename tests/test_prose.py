"""Plain English: no idiom in docs, help, messages, docstrings and comments, and no long sentence in a help.

The idioms are words that the docs used too often. A word of the list may be correct; rephrase the sentence even then.
"""

import ast
import io
import re
import tokenize
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
SOURCES = ("benchmarks", "lambdas", "ml_models", "tests")
# The keys of the benchmark's caches are hashes of these sources: a new wording would invalidate the caches.
KEYS_OF_CACHES = ("benchmarks/incidents/detectors", "benchmarks/incidents/grouping.py")
# The descriptions of features are part of the schema's hash.
HASHED = ROOT / "ml_models" / "egress_features" / "schema.py"
WORDS_OF_A_SENTENCE = 30


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def idioms_in(text: str) -> list[str]:
    return [
        f"{name}: ...{text[max(found.start() - 40, 0) : found.end() + 40]}..."
        for name, pattern in IDIOMS.items()
        for found in re.finditer(pattern, text, flags=re.IGNORECASE)
    ]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|``[^`\n]*``|`[^`\n]*`", "CODE", text, flags=re.DOTALL)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield each text of a command's help and of those below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below_name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {below_name}")


HELP = dict(commands(typer.main.get_command(app), "egress-sentinel"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_are_in_plain_english(page: Path) -> None:
    assert idioms_in(without_code(page.read_text(encoding="utf-8"))) == []


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


def docstrings_of(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the docstrings of a module, and the strings after its constants and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def messages_of(tree: ast.Module) -> Iterator[str]:
    """Yield the strings of a module, except docstrings."""
    docstrings = {id(node) for node in docstrings_of(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def notes_of(source: str) -> Iterator[str]:
    """Yield the docstrings and comments of a module."""
    yield from (str(node.value) for node in docstrings_of(ast.parse(source)))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


PLACES = sorted(
    path
    for source in SOURCES
    for path in (ROOT / source).iterdir()
    if (path.is_dir() and any(path.rglob("*.py"))) or (path.suffix == ".py" and path != Path(__file__))
)


def modules_of(place: Path) -> list[Path]:
    found = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return [path for path in found if not name_of(path).startswith(KEYS_OF_CACHES)]


@pytest.mark.parametrize(
    "place", [place for place in PLACES if place.parent.name in ("lambdas", "ml_models")], ids=name_of
)
def test_messages_are_in_plain_english(place: Path) -> None:
    found = {
        name_of(path): idioms
        for path in modules_of(place)
        if path != HASHED
        and (idioms := [i for text in messages_of(ast.parse(path.read_text("utf-8"))) for i in idioms_in(text)])
    }
    assert found == {}


@pytest.mark.parametrize("place", PLACES, ids=name_of)
def test_docstrings_and_comments_are_in_plain_english(place: Path) -> None:
    modules = modules_of(place)
    assert modules
    found = {
        name_of(path): idioms
        for path in modules
        if (idioms := [i for note in notes_of(path.read_text("utf-8")) for i in idioms_in(without_code(note))])
    }
    assert found == {}


TEXT_OF_TERRAFORM = re.compile(
    r'#.*|\b(?:description|alarm_description|error_message|Comment|Cause) *= *"(?:[^"\\]|\\.)*"'
)
TERRAFORM = sorted(path for path in (ROOT / "terraform").rglob("*.tf") if ".terraform" not in path.parts)


@pytest.mark.parametrize("path", TERRAFORM, ids=name_of)
def test_terraform_is_in_plain_english(path: Path) -> None:
    texts = TEXT_OF_TERRAFORM.findall(path.read_text(encoding="utf-8"))
    assert [idiom for part in texts for idiom in idioms_in(without_code(part))] == []


def test_notes_are_docstrings_and_comments() -> None:
    source = '"""Module."""\nA = 1  # comment\n"""Constant."""\ndef f():\n    """Function."""\n    return "message"\n'
    assert sorted(notes_of(source)) == ["# comment", "Constant.", "Function.", "Module."]


def test_the_linter_finds_what_it_looks_for() -> None:
    assert len(idioms_in("What is told goes on; nobody says so of its own.")) == 6
    assert idioms_in("Check the flow logs. A quiet hour is outstanding.") == []
