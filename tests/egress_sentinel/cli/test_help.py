"""The help: its numbers are the code's, and asking for it imports nothing heavy."""

import inspect
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

import egress_sentinel.cli
from anomaly_detection.time_series.detector import LEARNING_SHARE, MOST_LEARNING_ROWS, SeriesSettings
from anomaly_detector.settings import Policy
from egress_sentinel.cli.app import app
from egress_sentinel.cli.backtest import backtest
from egress_sentinel.pipeline.backtest import Timing
from egress_sentinel.pipeline.backtest.deliveries import DEFAULT_EVERY_HOURS
from egress_sentinel.pipeline.time_range import MIN_TRAINING_DAYS, TRAINING_SHARE

HEAVY = {"boto3", "duckdb", "flask", "moto", "numpy", "pandas", "plotly", "pyarrow", "sklearn", "sqlglot", "waitress"}

MADE_ONCE = ("Console", "Table", "Reporter")


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "egress_sentinel.cli", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "300"},
    )
    return " ".join(done.stdout.replace("│", " ").split())


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


def letters(text: str) -> str:
    return re.sub(r"[^\w\[\]]", "", text)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_shows_its_texts_and_the_defaults_of_the_code(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "-h"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert done.exit_code == 0
    shown = letters(done.stdout)
    for parameter in COMMANDS[path].params:
        text = getattr(parameter, "help", None) or ""
        plain = text.replace("\\", "")
        assert Text.from_markup(text).plain == plain, parameter.name  # nothing is eaten as markup
        assert letters(plain) in shown, parameter.name
        default = parameter.default
        is_shown = getattr(parameter, "show_default", False) and not isinstance(default, bool)
        if is_shown and default != "" and isinstance(default, str | int | float | Path):
            assert letters(f"[default: {default}]") in shown, (parameter.name, default)


def test_the_help_names_the_table_of_overrides() -> None:
    assert "([[overrides]]; the most specific one wins)" in help_of("run")


def test_commands_are_grouped_by_what_they_are_for() -> None:
    shown = help_of()
    _, *parts = re.split(r"─ (Analyze a bill|Deploy and operate|Develop and inspect) ─", shown)
    groups = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(groups) == ["Analyze a bill", "Deploy and operate", "Develop and inspect"]
    for name, text in zip(("run", "verify", "features"), groups.values(), strict=True):
        assert re.match(rf"─+╮ {name} ", text), text
    assert "models List, approve" in groups["Deploy and operate"]
    assert "--install-completion" in shown


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == version("egress-sentinel")


def test_models_without_a_region_is_one_sentence(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "egress_sentinel.cli", "models", "list"],
        capture_output=True, text=True, check=False, env=environment | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "egress-sentinel: no AWS region is configured; give --terraform-dir, or set AWS_DEFAULT_REGION"
    ]


@pytest.mark.parametrize("command", ["run", "score", "backtest"])
def test_the_floors_in_the_help_are_the_policys(command: str) -> None:
    shown, policy = help_of(command), Policy()
    assert f"more than expected in 24 hours (default: {policy.min_excess_usd:g})" in shown
    assert f"as in a free tier (default: {policy.min_excess_gb:g})" in shown
    assert f"percent above expected (default: {policy.min_excess_percent:g})" in shown


def test_the_other_defaults_in_the_help_are_the_codes() -> None:
    share, days = f"{TRAINING_SHARE:.0%}".replace("%", " %"), f"{MIN_TRAINING_DAYS} days"
    assert f"Default: {share} of the time range, at least {days}" in help_of("train")
    shown = help_of("backtest")
    assert f"with {days} to learn from" in shown
    assert f"Hours between deliveries (default: {DEFAULT_EVERY_HOURS})" in shown
    defaults = {name: parameter.default for name, parameter in inspect.signature(backtest).parameters.items()}
    assert all(defaults[name] == value for name, value in asdict(Timing()).items())
    series = help_of("series")
    assert f"(default {SeriesSettings.threshold})" in series
    assert f"(default {LEARNING_SHARE:.0%}".replace("%", " %") + f" of them, at most {MOST_LEARNING_ROWS})" in series


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['egress-sentinel', '--help']\n"
        "from egress_sentinel.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"


def test_one_module_makes_consoles_and_tables() -> None:
    """Width, colour and the stream are decided once; a second console would decide otherwise."""
    folder = Path(egress_sentinel.cli.__file__).parent
    makers = [
        path.name for path in folder.glob("*.py") if " Console(" in (text := path.read_text()) or " Table(" in text
    ]
    assert makers == ["output.py"]


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if command.help], ids=" ".join)
def test_a_help_fills_the_lines_of_a_narrow_terminal(path: tuple[str, ...]) -> None:
    """A paragraph breaks where the terminal ends, and not where the line of a docstring does."""
    done = CliRunner().invoke(app, [*path, "-h"], env={"COLUMNS": "80", "TERM": "dumb"})
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = [line.strip() for line in itertools.takewhile(lambda line: "╭" not in line, lines)]
    for line, following in itertools.pairwise(text):
        if line and following and not line.startswith("Usage:"):
            assert len(f"{line} {following.split()[0]}") > 78, line
