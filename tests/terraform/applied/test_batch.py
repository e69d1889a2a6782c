"""Files under batch/input/ come back scored, by transform jobs."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from egress_sentinel.deployment.backfill import model_id_of
from egress_sentinel.pipeline.training import train
from tests.support.applied import wait_for
from tests.support.stack import Stack
from tests.support.terraform import ROOT, environment

# It knows nothing of this project: amounts above 90 are anomalous. A batch job sends lines without a header.
OTHER_PROGRAM = """
def model_fn(model_dir):
    return 90.5


def input_fn(body, content_type):
    return [float(line.split(",")[0]) for line in body.splitlines()]


def predict_fn(amounts, threshold):
    return [threshold - amount for amount in amounts]


def output_fn(scores, accept):
    lines = ["is_anomaly,anomaly_score", *(f"{int(score < 0)},{score}" for score in scores)]
    return "\\n".join(lines), "text/csv"
"""


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "egress_sentinel.cli", *arguments],
        env=os.environ | stack.aws.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def run_batch(stack: Stack, *files: Path, output: Path) -> subprocess.CompletedProcess[str]:
    where = ["--bucket", stack.outputs()["bucket"], "--json", "-o", str(output)]
    return run(stack, "batch", *map(str, files), *where)


def job_of(stack: Stack, name: str) -> dict[str, str]:
    """Return the item of the file's job in the job table."""
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["batch_jobs_table"])["Items"]
    (found,) = (item for item in items if item["input_key"]["S"] == f"batch/input/{name}")
    return {key: str(next(iter(value.values()))) for key, value in found.items()}


def id_of(stack: Stack, done: subprocess.CompletedProcess[str]) -> str:
    """Return which model scored the one file of a command."""
    assert done.returncode == 0, done.stderr
    return model_id_of(stack.aws.client("s3"), stack.outputs()["bucket"], Path(done.stdout.strip()))


def test_a_dropped_file_is_scored_by_a_transform_job(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The bucket, EventBridge, the Lambda, the model that the endpoint serves, and the event of the job's end."""
    stack = stacks["serverless"]
    table = pq.read_table(features[0]).slice(0, 500)
    pq.write_table(table, tmp_path / "history.parquet")
    done = run_batch(stack, tmp_path / "history.parquet", Path("--scored-rows"), output=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "500 scored rows of 1 days added" in done.stderr
    first = table["hour_utc"][0].as_py().date()
    body = stack.aws.client("s3").get_object(Bucket=stack.outputs()["bucket"], Key=f"scored/day={first}/scores.parquet")
    (model_id,) = set(pq.read_table(io.BytesIO(body["Body"].read()))["model_id"].to_pylist())
    assert re.fullmatch("[0-9a-f]{16}", model_id)
    (result,) = json.loads(done.stdout)
    with Path(result).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["resource_id"] for row in rows] == table["resource_id"].to_pylist()
    assert all((float(row["anomaly_score"]) < 0) == (row["is_anomaly"] == "1") for row in rows)
    assert job_of(stack, "history.parquet")["model_name"] == stack.outputs()["model_name"]


def test_a_dropped_file_that_cannot_be_scored_is_moved(stacks: dict[str, Stack], tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    done = run_batch(stacks["serverless"], tmp_path / "wrong.csv", output=tmp_path / "out")
    assert done.returncode == 2
    assert "wrong.csv was not scored: the column " in done.stderr
    assert "/batch/failed/wrong.csv" in done.stderr


def test_train_register_approve_batch(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Without an endpoint: the approved package scores a file that names it, and then, promoted, every file."""
    stack = stacks["batch"]
    bucket, key = stack.outputs()["bucket"], "models/trained/model.tar.gz"
    train(features[0], tmp_path / "model.tar.gz", hyperparameters={"random_state": "7"})
    stack.aws.client("s3").upload_file(str(tmp_path / "model.tar.gz"), bucket, key)
    registered = run(stack, "models", "register", f"s3://{bucket}/{key}")
    assert registered.returncode == 0, registered.stderr
    arn = registered.stdout.strip()
    listed = json.loads(run(stack, "models", "list", "--json").stdout)
    assert [(model["arn"], model["status"], model["serves"]) for model in listed] == [
        (arn, "PendingManualApproval", False)
    ]

    for name, rows in (("early", 200), ("approved", 200), ("before", 100), ("after", 100)):
        pq.write_table(pq.read_table(features[0]).slice(0, rows), tmp_path / f"{name}.parquet")
    where = ("--bucket", bucket, "--model-package", arn, "-o", str(tmp_path / "out"))
    refused = run(stack, "batch", str(tmp_path / "early.parquet"), *where)
    assert refused.returncode == 2
    assert "PendingManualApproval, not Approved" in refused.stderr

    approved = run(stack, "models", "approve", "1", "--force", "--note", "a test")
    assert approved.returncode == 0, approved.stderr
    done = run(stack, "batch", str(tmp_path / "approved.parquet"), *where)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        model_id = json.load(tar.extractfile("manifest.json"))["files"]["model.joblib"][:16]  # type: ignore[arg-type]
    assert id_of(stack, done) == model_id
    assert job_of(stack, "approved.parquet")["model_package_arn"] == arn

    before = run(stack, "batch", str(tmp_path / "before.parquet"), "--bucket", bucket, "-o", str(tmp_path / "before"))
    assert id_of(stack, before) != model_id  # the starting model
    stack.apply(model_package_arn=arn)
    after = run(stack, "batch", str(tmp_path / "after.parquet"), "--bucket", bucket, "-o", str(tmp_path / "after"))
    assert id_of(stack, after) == model_id
    # `terraform destroy` refuses a group that holds models.
    del stack.variables["model_package_arn"]
    stack.apply()
    assert run(stack, "models", "delete", "1").returncode == 0


def test_an_artifact_of_another_training_script_is_registered_approved_and_scores(
    stacks: dict[str, Stack], tmp_path: Path
) -> None:
    """Its archive has a program and no manifest: the program is found, the content type is given, a person approves."""
    stack, artifact = stacks["batch"], tmp_path / "own.tar.gz"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "serve.py").write_text(OTHER_PROGRAM)
    with tarfile.open(artifact, "w:gz") as tar:
        tar.add(tmp_path / "code" / "serve.py", "code/serve.py")
    refused = run(stack, "models", "register", str(artifact))
    assert refused.returncode == 2
    assert "has no manifest.json of anomaly_detection.training_script; to register it as it is, give" in refused.stderr
    registered = run(stack, "models", "register", str(artifact), "--content-type", "text/csv")
    assert registered.returncode == 0, registered.stderr
    assert "serve.py serves it" in registered.stderr
    arn = registered.stdout.strip()
    version = arn.rpartition("/")[2]
    refused = run(stack, "models", "approve", version)
    assert "it was not evaluated: another program trained it" in refused.stderr
    assert run(stack, "models", "approve", version, "--force", "--note", "a test").returncode == 0

    (tmp_path / "rows.csv").write_text("amount,hour\n" + "".join(f"{amount},{amount % 24}\n" for amount in range(100)))
    where = ("--bucket", stack.outputs()["bucket"], "--model-package", arn, "-o", str(tmp_path / "out"))
    done = run(stack, "batch", str(tmp_path / "rows.csv"), *where)
    assert done.returncode == 0, done.stderr
    with Path(done.stdout.strip()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["amount"], float(row["anomaly_score"])) for row in rows] == [(str(n), 90.5 - n) for n in range(100)]
    assert run(stack, "models", "delete", version).returncode == 0


def test_the_sample_is_dropped_and_its_result_is_shown(stacks: dict[str, Stack]) -> None:
    stack = stacks["serverless"]
    port = stack.aws.url.rpartition(":")[2]
    command = ["make", "-o", ".venv/.installed-local", "sample", f"BIN={Path(sys.executable).parent}"]
    command += [f"LOCAL_PORT={port}", f"SAMPLE_DIR={stack.folder}"]
    env = environment() | {"COLUMNS": "160"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if "2026-10-17" in line]
    assert len(shown) == 8
    # The incident of the demo's bill: an instance that sends the data lake to the internet from 02:00 to 07:00.
    assert all("i-0db0e60dc31a6bd22" in line for line in shown[:4])


def large_csv(features: Path, path: Path) -> Path:
    """Write features as a CSV file of more than 1 MB, where the stack's large files begin."""
    pa_csv.write_csv(pq.read_table(features).slice(0, 6000).replace_schema_metadata(None), path)
    assert path.stat().st_size > 1_000_000
    return path


def test_aws_batch_scores_a_large_file_as_a_transform_job_would(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], build: Path, tmp_path: Path
) -> None:
    """The Lambda submits a job; the container's command of its definition runs as a process, with the job's role."""
    stack = stacks["batch"]
    path = large_csv(features[0], tmp_path / "large.csv")
    done = run_batch(stack, path, output=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    here = run(stack, "batch", str(path), "--model", str(build / "model.tar.gz"), "-o", str(tmp_path / "here"))
    assert here.returncode == 0, here.stderr
    (result,) = json.loads(done.stdout)
    assert Path(result).read_bytes() == Path(here.stdout.strip()).read_bytes()
    job = wait_for(lambda: job_of(stack, "large.csv") if job_of(stack, "large.csv")["status"] == "done" else None)
    assert job["runner"] == "aws_batch"
    (ran,) = stack.aws.client("batch").describe_jobs(jobs=[job["aws_batch_job_id"]])["jobs"]
    assert ran["status"] == "SUCCEEDED"
    assert ran["container"]["command"][1:3] == ["-m", "egress_sentinel.deployment.batch_job"]


def test_a_large_file_that_cannot_be_scored_is_moved(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    path = large_csv(features[0], tmp_path / "broken.csv")
    with path.open("a") as file:
        file.write("1,2\n")
    done = run_batch(stacks["batch"], path, output=tmp_path / "out")
    assert done.returncode == 2
    assert "broken.csv was not scored: line 6002 has 2 values, where the first line has 26" in done.stderr
    assert job_of(stacks["batch"], "broken.csv")["reason"].startswith("line 6002 has 2 values")
