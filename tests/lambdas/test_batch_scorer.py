"""Batch scoring as it is deployed, in a local AWS, and the command that scores the same in process."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local_aws.lambda_runner import LambdaProcess
from tests.support.batch import HANDLER, DeployedScorer, deployed_scorer
from tests.support.fraud import COLUMNS, FRAUDS, fraud_matrix, fraud_model
from tests.support.in_process import run_in_process
from tests.support.models import named

pytestmark = pytest.mark.integration

ROWS = 1500


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fraud_model(tmp_path_factory.mktemp("fraud"))


@pytest.fixture(scope="module")
def expected(model: Path) -> tuple[np.ndarray, np.ndarray]:
    values = fraud_matrix(ROWS, seed=1)
    forest = joblib.load(model.parent / "model" / "model.joblib")
    return values, forest.decision_function(named(forest, values.astype(np.float32)))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_in_process("batch", *arguments)


def write_csv(path: Path, values: np.ndarray, *, header: bool = True, extra: bool = False) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        if header:
            writer.writerow([*(["Time"] if extra else []), *COLUMNS, *(["Class"] if extra else [])])
        for number, row in enumerate(values.tolist()):
            cells = [*([f"2026-01-01 row {number}"] if extra else []), *map(repr, row), *(["?"] if extra else [])]
            writer.writerow(cells)
    return path


@pytest.mark.slow
def test_the_command_line_scores_files_of_every_kind(
    model: Path, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    values, scores = expected
    table = pa.table({name: values[:, place] for place, name in enumerate(COLUMNS)})
    pq.write_table(table, tmp_path / "columns.parquet")
    files = [
        write_csv(tmp_path / "named.csv", values, extra=True),
        write_csv(tmp_path / "bare.csv", values, header=False),
        tmp_path / "columns.parquet",
    ]
    done = run(*files, "--model", model, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [Path(result).name.partition("-")[2] for result in results] == [
        "named.csv",
        "bare.csv",
        "columns.parquet.csv",
    ]
    for result in results:
        with Path(result).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["anomaly_score"]) for row in rows] == scores.tolist()
        assert [[float(row[name]) for name in COLUMNS] for row in rows] == values.tolist()
        assert [int(row["is_anomaly"]) for row in rows] == (scores < 0).astype(int).tolist()
    flagged = scores < 0
    assert flagged[-FRAUDS:].all()
    assert flagged[:-FRAUDS].mean() < 0.05


def test_the_command_line_names_the_line_that_was_wrong(model: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "f.csv", fraud_matrix(30))
    path.write_text(path.read_text() + ",".join(["oops"] * 29) + "\n")
    done = run(path, "--model", model, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.strip() == "egress-sentinel: f.csv was not scored: line 32: V1 is 'oops', not a number"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [(), ("--model", "m.tar.gz", "--bucket", "b"), ("--model", "nowhere.tar.gz")])
def test_the_command_line_names_the_accepted_files(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = write_csv(tmp_path / "f.csv", fraud_matrix(30))
    done = run(path, *arguments, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "batch takes either --model or --bucket" in done.stderr or "there is no model nowhere.tar.gz" in done.stderr


class World:
    """A bucket, a table, a topic, a model, and the function."""

    def __init__(self, deployed: DeployedScorer) -> None:
        self.aws, self.resources = deployed.aws, deployed.resources
        self.scorer, self.environment = deployed.function, deployed.environment
        self.table = self.environment["JOBS_TABLE"]
        self.s3 = self.aws.client("s3")

    def drop(self, name: str, body: bytes, **metadata: str) -> dict[str, Any]:
        key = f"batch/input/{name}"
        answer = self.s3.put_object(Bucket=self.resources.bucket, Key=key, Body=body, Metadata=metadata)
        etag = answer["ETag"].strip('"')
        entry = {"key": f"batch/input/{name}", "etag": etag, "sequencer": str(time.monotonic_ns())}
        return {"detail-type": "Object Created", "time": "2026-11-25T13:30:05Z", "detail": {"object": entry}}

    def ended(self, job_id: str) -> dict[str, Any]:
        sagemaker = self.aws.client("sagemaker")
        name = f"egress-sentinel-batch-{job_id}"
        while (job := sagemaker.describe_transform_job(TransformJobName=name))["TransformJobStatus"] == "InProgress":
            time.sleep(0.2)
        return self.change(name, job["TransformJobStatus"], job.get("FailureReason", ""))

    @staticmethod
    def change(name: str, status: str, reason: str = "") -> dict[str, Any]:
        detail = {"TransformJobName": name, "TransformJobStatus": status, "FailureReason": reason}
        return {"detail-type": "SageMaker Transform Job State Change", "detail": detail}

    def keys(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.resources.bucket, Prefix=f"batch/{prefix}")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def job(self, job_id: str) -> dict[str, Any]:
        key = {"job_id": {"S": job_id}}
        item = self.aws.client("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        return {name: next(iter(value.values())) for name, value in item.items()}


@pytest.fixture(scope="module")
def world(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with deployed_scorer(model, tmp_path_factory.mktemp("log") / "log") as deployed:
        yield World(deployed)


def body(tmp_path: Path, rows: int = 40) -> bytes:
    return write_csv(tmp_path / "f.csv", fraud_matrix(rows)).read_bytes()


def test_the_same_event_twice_is_one_job(world: World, tmp_path: Path) -> None:
    event = world.drop("twice.csv", body(tmp_path))
    first, second = world.scorer.invoke(event), world.scorer.invoke(event)
    assert first == second
    assert first["status"] == "running"
    ended = world.ended(first["job_id"])
    assert world.scorer.invoke(ended) == world.scorer.invoke(ended) == {"job_id": first["job_id"], "status": "done"}
    assert world.keys("output/") == ["batch/output/20261125T133005Z-twice.csv"]
    job = world.job(first["job_id"])
    assert (job["status"], job["rows"], job["model_name"]) == ("done", "40", "egress-sentinel")
    names = [
        summary["TransformJobName"]
        for summary in world.aws.client("sagemaker").list_transform_jobs()["TransformJobSummaries"]
    ]
    assert names.count(f"egress-sentinel-batch-{first['job_id']}") == 1


@pytest.mark.parametrize("name", ["named.csv", "bare.csv", "columns.parquet"])
def test_the_deployed_path_and_the_command_line_write_the_same_bytes(
    world: World, model: Path, tmp_path: Path, name: str
) -> None:
    # The model writes numbers in another way from 4,000 rows of a request on.
    values = np.tile(fraud_matrix(ROWS, seed=1), (4, 1)) * 1e-5
    path = tmp_path / name
    if path.suffix == ".parquet":
        columns = {column: values[:, place] for place, column in enumerate(COLUMNS)}
        hours = np.datetime64("2026-11-25T00", "us") + np.arange(len(values)) * np.timedelta64(1, "h")
        more = {"hour_utc": pa.array(hours, pa.timestamp("us", "UTC")), "is_it": values[:, 0] > 0}
        pq.write_table(pa.table(columns | more | {"note": ['a "b", c', None] * (len(values) // 2)}), path)
    else:
        write_csv(path, values, header=name == "named.csv", extra=name == "named.csv")
    started = world.scorer.invoke(world.drop(name, path.read_bytes()))
    assert world.scorer.invoke(world.ended(started["job_id"]))["status"] == "done"
    (key,) = [key for key in world.keys("output/") if key.endswith(f"-{name.removesuffix('.csv')}.csv")]
    deployed = world.s3.get_object(Bucket=world.resources.bucket, Key=key)["Body"].read()
    done = run(path, "--model", model, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)[0]).read_bytes() == deployed


def test_a_model_package_needs_a_deployment(model: Path, tmp_path: Path) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/egress-sentinel/1"
    done = run(write_csv(tmp_path / "f.csv", fraud_matrix(30)), "--model", model, "--model-package", arn)
    assert done.returncode == 2
    assert "--model-package needs --bucket" in done.stderr


def test_files_of_one_stem_have_a_result_each(model: Path, tmp_path: Path) -> None:
    values = fraud_matrix(30)
    one = write_csv(tmp_path / "same.csv", values)
    pq.write_table(pa.table({name: values[:5, place] for place, name in enumerate(COLUMNS)}), tmp_path / "same.parquet")
    done = run(one, tmp_path / "same.parquet", "--model", model, "-o", tmp_path / "out", "--json")
    assert [len(Path(path).read_text().splitlines()) for path in json.loads(done.stdout)] == [31, 6]


def test_each_file_has_a_result_of_its_own_whatever_it_is_called(world: World, tmp_path: Path) -> None:
    columns = {column: fraud_matrix(30)[:20, place] for place, column in enumerate(COLUMNS)}
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    files = {
        "own/a/b.csv": body(tmp_path, 30),
        "own/a-b.csv": body(tmp_path, 31),
        "own/a-b.parquet": (tmp_path / "f.parquet").read_bytes(),
        "own/joined.csv": body(tmp_path, 32),
        "own/part-00000.csv": body(tmp_path, 33),
        "own/../up.csv": body(tmp_path, 34),
        "own/=1+1 [x].csv": body(tmp_path, 35),
    }
    started = [world.scorer.invoke(world.drop(name, content)) for name, content in files.items()]
    assert [world.scorer.invoke(world.ended(each["job_id"]))["status"] for each in started] == ["done"] * len(files)
    results = {}
    for each in started:
        key = world.job(each["job_id"])["output_key"]
        content = world.s3.get_object(Bucket=world.resources.bucket, Key=key)["Body"].read()
        results[key] = len(content.splitlines()) - 1
    assert results == {
        "batch/output/own/a/20261125T133005Z-b.csv": 30,
        "batch/output/own/20261125T133005Z-a-b.csv": 31,
        "batch/output/own/20261125T133005Z-a-b.parquet.csv": 20,
        "batch/output/own/20261125T133005Z-joined.csv": 32,
        "batch/output/own/20261125T133005Z-part-00000.csv": 33,
        "batch/output/own/../20261125T133005Z-up.csv": 34,
        "batch/output/own/20261125T133005Z-=1+1 [x].csv": 35,
    }


def test_an_attempt_that_died_half_way_is_taken_up_again(world: World, tmp_path: Path) -> None:
    event = world.drop("again.csv", body(tmp_path))
    first = world.scorer.invoke(event)
    world.aws.client("dynamodb").update_item(
        TableName=world.table,
        Key={"job_id": {"S": first["job_id"]}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "preparing"}},
    )
    assert world.scorer.invoke(event) == first
    assert world.scorer.invoke(world.ended(first["job_id"]))["status"] == "done"


def test_a_file_that_cannot_be_scored_is_moved_with_a_message(world: World, tmp_path: Path) -> None:
    event = world.drop("bad.csv", body(tmp_path) + b"1,2\n")
    world.resources.messages()
    result = world.scorer.invoke(event)
    reason = "line 42 has 2 values, where the first line has 29"
    assert (result["status"], result["reason"]) == ("failed", reason)
    assert world.scorer.invoke(event) == result
    (message,) = world.resources.messages()
    bucket = world.resources.bucket
    assert message.splitlines()[:3] == [
        "Batch scoring failed: bad.csv",
        f"s3://{bucket}/batch/input/bad.csv was not scored: {reason}",
        f"It is now s3://{bucket}/batch/failed/bad.csv.",
    ]
    assert "batch/input/bad.csv" not in world.keys("input/")
    assert world.keys("failed/bad.csv") == ["batch/failed/bad.csv"]
    assert world.job(result["job_id"])["status"] == "failed"


def test_a_transform_job_that_fails_ends_in_a_message(world: World, tmp_path: Path) -> None:
    event = world.drop("down.csv", body(tmp_path))
    started = world.scorer.invoke(event)
    world.ended(started["job_id"])
    name = f"egress-sentinel-batch-{started['job_id']}"
    world.resources.messages()
    result = world.scorer.invoke(world.change(name, "Failed", "AlgorithmError: See job logs for more information"))
    assert (
        result["reason"] == f"transform job {name} ended as Failed: AlgorithmError: See job logs for more information"
    )
    (message,) = world.resources.messages()
    assert "AlgorithmError" in message
    assert world.keys("failed/down.csv")


def test_a_file_that_was_replaced_meanwhile_is_not_mixed_up(world: World, tmp_path: Path) -> None:
    started = world.scorer.invoke(world.drop("new.csv", body(tmp_path)))
    world.drop("new.csv", body(tmp_path, 50))
    result = world.scorer.invoke(world.ended(started["job_id"]))
    assert result["reason"] == "it was removed or replaced while it was being scored"
    assert world.keys("input/new.csv") == ["batch/input/new.csv"]


def test_a_registered_model_scores(world: World, tmp_path: Path) -> None:
    sagemaker = world.aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="fraud")
    container = {"Image": "local", "ModelDataUrl": f"s3://{world.resources.bucket}/models/model.tar.gz"}
    specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
    specification["SupportedResponseMIMETypes"] = ["text/csv"]
    package = sagemaker.create_model_package(ModelPackageGroupName="fraud", InferenceSpecification=specification)
    arn, role = package["ModelPackageArn"], "arn:aws:iam::123456789012:role/r"
    sagemaker.create_model(ModelName="packaged", ExecutionRoleArn=role, PrimaryContainer={"ModelPackageName": arn})
    environment = world.environment | {"MODEL_NAME": "packaged"}
    with LambdaProcess(HANDLER, environment=environment, log_file=tmp_path / "log") as scorer:
        started = scorer.invoke(world.drop("packaged.csv", body(tmp_path)))
        assert scorer.invoke(world.ended(started["job_id"]))["status"] == "done"
    assert world.job(started["job_id"])["model_name"] == "packaged"


GROUP = "egress-sentinel"


def register(world: World) -> str:
    """Register the deployment's artifact, and return the package's ARN."""
    sagemaker = world.aws.client("sagemaker")
    container = {"Image": "local", "ModelDataUrl": f"s3://{world.resources.bucket}/models/model.tar.gz"}
    specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
    specification["SupportedResponseMIMETypes"] = ["text/csv"]
    package = sagemaker.create_model_package(ModelPackageGroupName=GROUP, InferenceSpecification=specification)
    return str(package["ModelPackageArn"])


@pytest.fixture(scope="module")
def by_package(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaProcess]:
    """A function whose own model does not exist: whatever it scores, a package's model scores."""
    world.aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    environment = world.environment | {
        "MODEL_NAME": "nobody",
        "MODEL_PACKAGE_GROUP": GROUP,
        "MODEL_ROLE_ARN": "arn:aws:iam::123456789012:role/models",
        "MODEL_NETWORK": '{"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}',
    }
    log = tmp_path_factory.mktemp("package") / "log"
    with LambdaProcess(HANDLER, environment=environment, log_file=log) as function:
        yield function


def test_a_file_is_scored_with_the_approved_model_package_that_it_names(
    world: World, by_package: LambdaProcess, tmp_path: Path
) -> None:
    sagemaker, arn = world.aws.client("sagemaker"), register(world)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    event = world.drop("approved.csv", body(tmp_path), **{"model-package": arn})
    started = by_package.invoke(event)
    assert started["status"] == "running", started
    name = f"egress-sentinel-batch-{started['job_id']}"
    model = sagemaker.describe_model(ModelName=name)
    assert model["PrimaryContainer"]["ModelPackageName"] == arn
    assert model["ExecutionRoleArn"] == "arn:aws:iam::123456789012:role/models"
    assert model["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert by_package.invoke(world.ended(started["job_id"]))["status"] == "done"
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=name)  # it was this job's own
    assert world.keys("output/20261125T133005Z-approved.csv")


@pytest.mark.parametrize("fault", ["pending", "missing", "another group"])
def test_a_file_that_names_another_package_than_an_approved_one_is_moved(
    world: World, by_package: LambdaProcess, tmp_path: Path, fault: str
) -> None:
    arn = register(world)
    reason = f"the model package {arn} is PendingManualApproval, not Approved; approve it with `egress-sentinel "
    if fault == "missing":
        arn = f"{arn}99"
        reason = f"there is no model package {arn}"
    elif fault == "another group":
        arn = arn.replace(f"/{GROUP}/", "/others/")
        reason = f"{arn} is not a model package of the group {GROUP}"
    result = by_package.invoke(world.drop(f"{fault}.csv", body(tmp_path), **{"model-package": arn}))
    assert result["status"] == "failed"
    assert result["reason"].startswith(reason)
    assert world.keys(f"failed/{fault}.csv")


LARGE_BYTES = 100_000


@pytest.fixture(scope="module")
def in_aws_batch(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaProcess]:
    """A function whose files of 100,000 bytes and more go to AWS Batch."""
    batch = world.aws.client("batch")
    network = {"subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    environment = batch.create_compute_environment(
        computeEnvironmentName="e", type="MANAGED", computeResources={"type": "FARGATE", "maxvCpus": 4, **network}
    )["computeEnvironmentArn"]
    order = [{"order": 1, "computeEnvironment": environment}]
    queue = batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)["jobQueueArn"]
    container = {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/ours:1",
        "command": ["/opt/python", "-m", "egress_sentinel.deployment.batch_job", "Ref::job"],
        "jobRoleArn": "arn:aws:iam::123456789012:role/jobs",
    }
    batch.register_job_definition(jobDefinitionName="d", type="container", containerProperties=container)
    settings = {"AWS_BATCH_QUEUE": queue, "AWS_BATCH_JOB_DEFINITION": "d"}
    settings |= {"AWS_BATCH_FROM_BYTES": str(LARGE_BYTES), "AWS_BATCH_MAX_BYTES": str(10 * LARGE_BYTES)}
    log = tmp_path_factory.mktemp("aws-batch") / "log"
    with LambdaProcess(HANDLER, environment=world.environment | settings, log_file=log) as function:
        yield function


def ended_in_aws_batch(world: World, job_id: str) -> dict[str, Any]:
    """Wait for a job, and return its event."""
    batch = world.aws.client("batch")
    while True:
        (job,) = batch.describe_jobs(jobs=[world.job(job_id)["aws_batch_job_id"]])["jobs"]
        if job["status"] in {"SUCCEEDED", "FAILED"}:
            return {"detail-type": "Batch Job State Change", "detail": job}
        time.sleep(0.2)


def test_aws_batch_writes_what_a_transform_job_writes(
    world: World, in_aws_batch: LambdaProcess, model: Path, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "large.csv", fraud_matrix(ROWS))
    assert path.stat().st_size >= LARGE_BYTES
    event = world.drop("large.csv", path.read_bytes())
    event["detail"]["object"]["size"] = path.stat().st_size
    started = in_aws_batch.invoke(event)
    assert started["status"] == "running", started
    change = ended_in_aws_batch(world, started["job_id"])
    assert change["detail"]["container"]["exitCode"] == 0
    assert in_aws_batch.invoke(change) == {"job_id": started["job_id"], "status": "done"}
    assert world.job(started["job_id"])["runner"] == "aws_batch"
    (key,) = (key for key in world.keys("output/") if key.endswith("-large.csv"))
    found = world.s3.get_object(Bucket=world.resources.bucket, Key=key)
    done = run(path, "--model", model, "-o", tmp_path / "out", "--json")
    assert found["Body"].read() == Path(json.loads(done.stdout)[0]).read_bytes()
    assert found["Metadata"]["input-etag"] == event["detail"]["object"]["etag"]


def test_a_small_file_stays_with_sagemaker(world: World, in_aws_batch: LambdaProcess, tmp_path: Path) -> None:
    event = world.drop("small.csv", body(tmp_path))
    event["detail"]["object"]["size"] = LARGE_BYTES - 1
    started = in_aws_batch.invoke(event)
    assert in_aws_batch.invoke(world.ended(started["job_id"]))["status"] == "done"
    assert "runner" not in world.job(started["job_id"])


@pytest.mark.parametrize("fault", ["a wrong line", "too long"])
def test_a_large_file_that_cannot_be_scored_is_moved(
    world: World, in_aws_batch: LambdaProcess, tmp_path: Path, fault: str
) -> None:
    content = write_csv(tmp_path / "f.csv", fraud_matrix(ROWS)).read_bytes() + b"1,2\n"
    event = world.drop(f"{fault}.csv", content)
    event["detail"]["object"]["size"] = len(content) if fault == "a wrong line" else 10 * LARGE_BYTES + 1
    result = in_aws_batch.invoke(event)
    if fault == "a wrong line":
        change = ended_in_aws_batch(world, result["job_id"])
        assert change["detail"]["container"]["exitCode"] == 2
        result = in_aws_batch.invoke(change)
        assert result["reason"] == f"line {ROWS + 2} has 2 values, where the first line has 29"
    else:
        assert result["reason"] == "it is 1,000,001 bytes long; 1,000,000 are accepted: split it"
    assert result["status"] == "failed"
    assert world.keys(f"failed/{fault}.csv")


def test_a_job_of_aws_batch_scores_no_later_upload_of_the_same_key(world: World, tmp_path: Path) -> None:
    bucket = world.resources.bucket
    world.drop("later.csv", body(tmp_path))
    job = {"bucket": bucket, "input_key": "batch/input/later.csv", "input_etag": "0" * 32}
    job |= {"failure_key": "batch/jobs/later/failure.txt"}
    world.s3.put_object(Bucket=bucket, Key="batch/jobs/later/job.json", Body=json.dumps(job).encode())
    command = [sys.executable, "-m", "egress_sentinel.deployment.batch_job", f"s3://{bucket}/batch/jobs/later/job.json"]
    env = os.environ | world.aws.environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    reason = world.s3.get_object(Bucket=bucket, Key="batch/jobs/later/failure.txt")["Body"].read().decode()
    assert reason == "it was removed or replaced while it was being scored"


def test_a_job_of_aws_batch_that_did_not_start_ends_in_a_message(
    world: World, in_aws_batch: LambdaProcess, tmp_path: Path
) -> None:
    event = world.drop("unstarted.csv", write_csv(tmp_path / "f.csv", fraud_matrix(ROWS)).read_bytes())
    event["detail"]["object"]["size"] = LARGE_BYTES
    started = in_aws_batch.invoke(event)
    ended_in_aws_batch(world, started["job_id"])
    name = f"egress-sentinel-batch-{started['job_id']}"
    failed = {"jobName": name, "status": "FAILED", "statusReason": "CannotPullContainerError: not found"}
    result = in_aws_batch.invoke({"detail-type": "Batch Job State Change", "detail": failed})
    assert result["reason"] == f"AWS Batch job {name} ended as Failed: CannotPullContainerError: not found"


def test_the_local_transform_job_keeps_sagemakers_rules(world: World) -> None:
    sagemaker = world.aws.client("sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{world.resources.bucket}/nothing/"}}
    job = {
        "TransformJobName": "by-hand",
        "ModelName": "egress-sentinel",
        "TransformInput": {"DataSource": source},
        "TransformOutput": {"S3OutputPath": f"s3://{world.resources.bucket}/out/"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    with pytest.raises(sagemaker.exceptions.ClientError, match="must not exceed 100 MB"):
        sagemaker.create_transform_job(**job, MaxPayloadInMB=26, MaxConcurrentTransforms=4)
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not find model"):
        sagemaker.create_transform_job(**job | {"ModelName": "nobody"})
    sagemaker.create_transform_job(**job)
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_transform_job(**job)
    while (seen := sagemaker.describe_transform_job(TransformJobName="by-hand"))["TransformJobStatus"] == "InProgress":
        time.sleep(0.2)
    assert seen["TransformJobStatus"] == "Failed"
    assert "No objects were found" in seen["FailureReason"]
