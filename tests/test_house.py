"""The rules of the house that a machine can hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "ml_models").rglob("*.py"), *(ROOT / "lambdas").rglob("*.py")])


def test_rooms_import_only_whom_they_may() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_package_is_installed_by_the_project_file() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(p.parent.relative_to(ROOT / "ml_models").parts) for p in (ROOT / "ml_models").rglob("__init__.py")
    }
    functions = {path.parent.name for path in (ROOT / "lambdas").glob("*/__init__.py")}
    assert found | functions == listed


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_path_of_a_machine_and_no_catch_all(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|Users|work)/", text)
    assert not re.search(r"except( Exception| BaseException)?:\s*\n\s*(pass|return)\b", text)


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_help_lists_every_command() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("demo", "test", "test-fast", "test-all", "lint", "package", "bench", "clean"):
        assert re.search(rf"^{command}\s+\w", listed, re.MULTILINE), command
