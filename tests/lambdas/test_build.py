"""The zip: the same bytes each time, and whole."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six", "numpy", "pyarrow")


def build(folder: Path) -> Path:
    subprocess.run([sys.executable, ROOT / "lambdas" / "build.py", folder], check=True, capture_output=True)
    return folder / "anomaly_detector.zip"


def test_the_same_bytes_and_an_import_with_the_runtime_alone(tmp_path: Path) -> None:
    one, two = build(tmp_path / "one"), build(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size < 5_000_000
    with zipfile.ZipFile(one) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]
        archive.extractall(tmp_path / "task")
    layer = tmp_path / "layer"
    layer.mkdir()
    for name in RUNTIME:
        found = find_spec(name)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin)
        (layer / (name if source.stem == "__init__" else source.name)).symlink_to(
            source.parent if source.stem == "__init__" else source
        )
        for libs in source.parents[1].glob(f"{name}.libs"):
            (layer / libs.name).symlink_to(libs)
    for package in ("jmespath",):
        assert (tmp_path / "task" / package).is_dir()
    names = ("BUCKET", "ENDPOINT_NAME", "ALERTS_TABLE", "IDEMPOTENCY_TABLE", "TOPIC_ARN")
    environment = dict.fromkeys(names, "x") | {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
    }
    code = f"import sys; sys.path[:0] = {[str(tmp_path / 'task'), str(layer)]!r}; "
    code += "from anomaly_detector.handler import lambda_handler; print(lambda_handler.__name__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "lambda_handler"), done.stderr
