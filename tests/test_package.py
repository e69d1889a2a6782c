"""The package as `pipx install` has it: a wheel of the files that Dockerfile.cli copies, away from the repository."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.integration]

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "Dockerfile.cli").read_text(encoding="utf-8")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `source`, `venv` with the wheel, and the empty `home` and `work`."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("source", "home", "work"):
        (folder / name).mkdir()
    for line in re.findall(r"^COPY (?!--from)(.+)$", RECIPE, re.MULTILINE):
        *names, _ = line.split()
        for name in names:
            copy_sources(ROOT / name, folder / "source" / name)
    pip("wheel", "--no-deps", "--wheel-dir", folder / "wheels", folder / "source")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    install(folder)
    return folder


def copy_sources(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, target)


def pip(command: str, *arguments: object, python: Path = Path(sys.executable)) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", command, *quiet, *map(str, arguments)], check=True)


def install(folder: Path, extra: str = "") -> None:
    (wheel,) = (folder / "wheels").glob("*.whl")
    pip("install", f"{wheel}{extra}", python=folder / "venv" / "bin" / "python")


def environment(folder: Path) -> dict[str, str]:
    """Return a newcomer's: no AWS account, no PYTHONPATH."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(folder / "home"), "CHECKPOINT_DISABLE": "1"}


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [folder / "venv" / "bin" / "egress-sentinel", *arguments],
            cwd=folder / "work", env=environment(folder), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Iterator[str]]:
    """Run a command until the end of the block; give the lines that it prints."""
    command = [folder / "venv" / "bin" / "egress-sentinel", *arguments]
    with subprocess.Popen(
        command, cwd=folder / "work", env=environment(folder), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield iter(process.stdout)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def test_it_is_the_wheel_that_runs(folder: Path, run: Run) -> None:
    python = folder / "venv" / "bin" / "python"
    where = "import egress_sentinel, anomaly_detector; print(egress_sentinel.__file__, anomaly_detector.__file__)"
    done = subprocess.run(
        [python, "-c", where], cwd=folder / "work", env=environment(folder), capture_output=True, text=True, check=True
    )
    assert str(ROOT) not in done.stdout
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert run("--version").stdout.strip() == version[1]
    assert "egress-sentinel run EXPORT" in run("--help").stdout


def test_the_demo_and_each_step_by_itself(folder: Path, run: Run) -> None:
    assert "7 of 7 labelled incidents found" in (done := run("demo", "--output-dir", "demo-output")).stderr, done.stderr
    output = folder / "work" / "demo-output"
    assert json.loads((output / "alerts.json").read_text(encoding="utf-8"))
    assert "</html>" in (output / "report.html").read_text(encoding="utf-8")
    features = str(output / "processed_features.parquet")
    run("report", str(output / "alerts.json"), "--features", features)
    run("train", features, "--output", "model.tar.gz", "--until", "2026-10-01")
    with serving(folder, "serve", "model.tar.gz", "--port", "0") as lines:
        address = next(found[0] for line in lines if (found := re.search(r"http://127.0.0.1:\d+", line)))
        with urllib.request.urlopen(f"{address}/ping") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "command", ["verify", "cost", "models list", "drift", "batch rows.csv", "feedback 0123456789abcdef true"]
)
def test_a_command_about_a_deployment_needs_one(run: Run, command: str) -> None:
    said = run(*command.split(), "--terraform-dir", "nowhere", status=2).stderr
    assert re.fullmatch(r"egress-sentinel: [^\n]+\n", said), said
    assert "terraform" in said.lower()


def test_the_local_aws_needs_its_extra(folder: Path, run: Run) -> None:
    assert "egress-sentinel[local]" in run("local", "up", status=2).stderr
    install(folder, "[local]")
    with serving(folder, "local", "up", "--port", "0") as lines:
        assert any(line.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:") for line in lines)
