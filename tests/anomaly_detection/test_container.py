"""The source bundle, installed and run in an environment with only the packages of the container 1.9-0."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from egress_sentinel.deployment.source_bundle import write_source_bundle
from tests.support.models import matrix, run_training_script, write_part

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# The container's versions where this Python has them; scikit-learn's must be the container's minor version.
PINNED = ["scikit-learn==1.9.0", "pandas==2.2.3", "numpy==2.5.1", "scipy==1.18.0", "joblib==1.5.3", "pyarrow==25.0.0"]
LOOSE = ["scikit-learn==1.9.*", "pandas<3", "numpy", "scipy", "joblib", "pyarrow"]
SERVING = ["flask"]
BUILDING = ["setuptools>=70.1"]  # the first with bdist_wheel; Python 3.11's venv brings 65.5


def container_python() -> str | None:
    """Return a Python 3.12, the container's, from the path, from pyenv or from uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local" / "share" / "uv" / "python"))
    beside = Path(sys.base_prefix).parent  # pyenv and uv install one interpreter beside the other
    folders = [folder for parent in (pyenv, uv, beside) for folder in sorted(parent.glob("*3.12*"), reverse=True)]
    for python in (shutil.which("python3.12"), *(folder / "bin" / "python3.12" for folder in folders)):
        if python and Path(python).exists() and _can_make_environments(python):
            return str(python)
    return None


def _can_make_environments(python: str | Path) -> bool:
    """Try it: a shim of pyenv exists for interpreters that are not switched on, and Debian leaves ensurepip out."""
    return subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the container's packages and the installed source bundle."""
    python = container_python()
    folder = tmp_path_factory.mktemp("container")
    subprocess.run([python or sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Compiling all of it takes longer than installing it; the few modules that are imported are compiled then.
    packages = [*(PINNED if python else LOOSE), *SERVING, *BUILDING]
    subprocess.run([*pip, "--no-compile", *packages], check=True)
    write_source_bundle(folder / "sourcedir.tar.gz")
    with tarfile.open(folder / "sourcedir.tar.gz") as archive:
        archive.extractall(folder / "code", filter="data")
    # With --no-build-isolation the installation asks nothing of the network, as in a VPC without a route out.
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", folder / "code"], check=True)
    return folder


def test_training_and_serving_as_in_the_container(container: Path, tmp_path: Path) -> None:
    python = str(container / "venv" / "bin" / "python")
    values = matrix(600)
    write_part(tmp_path / "train" / "a.parquet", values)
    done = run_training_script(
        tmp_path / "train", tmp_path / "model", "--n_estimators", "20", python=python, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "rows.npy", values[:50])
    served = subprocess.run(
        [python, "-c", SERVE, str(tmp_path / "model"), str(tmp_path / "rows.npy")],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert served.returncode == 0, served.stderr.decode()
    assert served.stdout.decode().startswith("is_anomaly,anomaly_score\n")


SERVE = """
import sys
from pathlib import Path
import joblib
import numpy as np
import pandas as pd
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
import anomaly_detection
assert "site-packages" in anomaly_detection.__file__, anomaly_detection.__file__
body = Path(sys.argv[2]).read_bytes()
model = model_fn(sys.argv[1])
text, content_type = output_fn(predict_fn(input_fn(body, "application/x-npy"), model), "text/csv;output=scores")
bad = output_fn(predict_fn(input_fn("x", "application/xml"), model), None)
assert bad.status_code == 415
scores = [float(line.split(",")[1]) for line in text.splitlines()[1:]]
forest = joblib.load(Path(sys.argv[1]) / "model.joblib")
rows = pd.DataFrame(np.load(sys.argv[2]), columns=forest.feature_names_in_)
assert forest.decision_function(rows).tolist() == scores
sys.stdout.write(text)
"""
