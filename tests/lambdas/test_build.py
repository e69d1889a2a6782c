"""The zips: the same bytes each time, and whole."""

import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.zips import link_runtime

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


FUNCTIONS = sorted(runpy.run_path(str(ROOT / "lambdas" / "build.py"))["FUNCTIONS"])
# What Terraform sets for any of them.
VARIABLES = ("BUCKET", "ENDPOINT_NAME", "ALERTS_TABLE", "JOBS_TABLE", "TOPIC_ARN")
VARIABLES += ("MODEL_PACKAGE_GROUP", "IMAGE")


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two builds of the same sources."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    for folder in folders:
        subprocess.run([sys.executable, ROOT / "lambdas" / "build.py", folder], check=True, capture_output=True)
    return folders


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runtime and the layer have, and nothing else."""
    return link_runtime(tmp_path_factory.mktemp("layer"))


def test_every_function_has_its_zip() -> None:
    folders = {path.parent.name for path in (ROOT / "lambdas").glob("*/handler.py")}
    assert folders == set(FUNCTIONS)


def test_the_same_bytes_each_time(builds: list[Path]) -> None:
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in builds)
    assert sorted(one) == sorted([*(f"{name}.zip" for name in FUNCTIONS), "image_source.zip", "pyarrow_layer.zip"])
    assert one == two


def test_the_image_has_what_a_job_of_aws_batch_runs(builds: list[Path], tmp_path: Path) -> None:
    """The Dockerfile installs the source; it is installed here without Docker, and beside nothing of this checkout."""
    source, target = tmp_path / "source", tmp_path / "installed"
    with zipfile.ZipFile(builds[0] / "image_source.zip") as archive:
        archive.extractall(source)
    assert "pip install --no-cache-dir /opt/egress-sentinel/source" in (source / "Dockerfile").read_text()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, source]
    subprocess.run(install, check=True, capture_output=True)
    code = "import egress_sentinel.deployment.batch_job as job; print(job.__file__)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(target))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_imports_with_the_runtime_alone(builds: list[Path], layer: Path, tmp_path: Path, function: str) -> None:
    zipped = builds[0] / f"{function}.zip"
    assert zipped.stat().st_size < 5_000_000
    with zipfile.ZipFile(zipped) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]
        archive.extractall(tmp_path / "task")
    assert (tmp_path / "task" / "jmespath").is_dir()
    environment = dict.fromkeys(VARIABLES, "x") | {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
        "DESTINATION": "chat",
    }
    code = f"import sys; sys.path[:0] = {[str(tmp_path / 'task'), str(layer)]!r}; "
    code += f"from {function}.handler import lambda_handler; print(lambda_handler.__name__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "lambda_handler"), done.stderr
