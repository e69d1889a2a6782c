"""The registrar and the command line around it: a trained model becomes a package that a person may let serve."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from anomaly_detection.artifact import pack
from anomaly_detection.training.exclusions import read_exclusions
from egress_alerts.exclusions import build_exclusions
from egress_alerts.planned import read_calendar
from egress_sentinel.pipeline.feedback import judge, put_in_table
from local_aws import LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaError, LambdaProcess
from model_registrar.failure import job_name, reason_of
from tests.support.alerts import alert_record
from tests.support.models import matrix, run_training_script, write_part

pytestmark = pytest.mark.integration

GROUP, BUCKET = "egress-sentinel", "models-bucket"
IMAGE = "141502667606.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


class World:
    """A registry with a separate bucket, the function, and an endpoint that serves a model."""

    def __init__(self, aws: LocalAws, function: LambdaProcess, folder: Path) -> None:
        self.aws, self.function, self.folder = aws, function, folder
        self.sagemaker = aws.client("sagemaker")

    def artifact(self, name: str, *arguments: str) -> str:
        """Train a model and upload it; return its S3 address."""
        path = self.folder / name / "train" / "a.parquet"
        write_part(path, matrix(800, seed=len(name)), with_schema=False)
        folder = self.folder / name
        done = run_training_script(folder / "train", folder / "model", "--n_estimators", "50", *arguments)
        assert done.returncode == 0, done.stderr
        pack(folder / "model", folder / "model.tar.gz")
        self.aws.client("s3").upload_file(str(folder / "model.tar.gz"), BUCKET, f"models/{name}/model.tar.gz")
        return f"s3://{BUCKET}/models/{name}/model.tar.gz"

    def register(self, url: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.function.invoke({"action": "register", "artifact": url})
        return answer

    def plan(self, events: list[dict[str, Any]]) -> None:
        """Put the calendar of planned events at the key that Terraform uses."""
        self.aws.client("s3").put_object(Bucket=BUCKET, Key="config/planned_events.json", Body=json.dumps(events))

    def serve(self, **container: str) -> None:
        """Let the endpoint serve, as Terraform's apply does."""
        name = f"m{len(self.sagemaker.list_models()['Models'])}"
        role = "arn:aws:iam::123456789012:role/r"
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "ServerlessConfig": {"MemorySizeInMB": 2048}}
        variant["ServerlessConfig"]["MaxConcurrency"] = 5  # type: ignore[index]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        if self.sagemaker.list_endpoints()["Endpoints"]:
            self.sagemaker.update_endpoint(EndpointName=GROUP, EndpointConfigName=name)
        else:
            self.sagemaker.create_endpoint(EndpointName=GROUP, EndpointConfigName=name)

    def models(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "egress_sentinel.cli", "models", *arguments]
        env = {**os.environ, **self.aws.environment()}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("registry")
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        tables = create_detector_resources(aws, prefix=GROUP)
        aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        environment = aws.environment() | {
            "BUCKET": BUCKET,
            "MODEL_PACKAGE_GROUP": GROUP,
            "ENDPOINT_NAME": GROUP,
            "IMAGE": IMAGE,
            "ALERTS_TABLE": tables.alerts_table,
            "CONTAINER_ENVIRONMENT": json.dumps({"SAGEMAKER_PROGRAM": "anomaly_detection.inference_script"}),
        }
        handler = "model_registrar.handler.lambda_handler"
        with LambdaProcess(handler, environment=environment, log_file=folder / "log") as function:
            yield World(aws, function, folder)


def test_a_model_is_registered_with_all_that_one_should_know(world: World) -> None:
    url = world.artifact("good", "--holdout_share", "0.2")
    world.serve(Image=IMAGE, ModelDataUrl=url)
    result = world.register(url)
    assert result["blocked_by"] == []
    assert world.register(url)["model_package_arn"] == result["model_package_arn"]
    package = world.sagemaker.describe_model_package(ModelPackageName=result["model_package_arn"])
    manifest = json.loads((world.folder / "good" / "model" / "manifest.json").read_text())
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == url
    facts = package["CustomerMetadataProperties"]
    assert facts["model_id"] == manifest["files"]["model.joblib"][:16] == result["model_id"]
    assert facts["schema_hash"] == manifest["schema_hash"]
    assert facts["data_sha256"] == manifest["training"]["data_sha256"]
    assert facts["rows"] == "640"
    s3 = world.aws.client("s3")
    for statistics in (package["ModelMetrics"]["ModelQuality"], package["ModelMetrics"]["ModelDataQuality"]):
        key = statistics["Statistics"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
        assert json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    sample = package["SamplePayloadUrl"].removeprefix(f"s3://{BUCKET}/")
    s3.download_file(BUCKET, sample, str(world.folder / "sample.tar.gz"))
    subprocess.run(["tar", "-xzf", "sample.tar.gz"], cwd=world.folder, check=True)
    runtime = world.aws.client("sagemaker-runtime")
    body = (world.folder / "payload.csv").read_bytes()
    answer = runtime.invoke_endpoint(
        EndpointName=GROUP, Body=body, ContentType="text/csv", Accept="text/csv;output=scores"
    )
    assert answer["Body"].read().decode().count("\n") == 4


def test_an_artifact_without_a_description_is_refused(world: World) -> None:
    (world.folder / "empty").mkdir()
    (world.folder / "empty" / "weights.bin").write_bytes(b"1")
    pack(world.folder / "empty", world.folder / "empty.tar.gz")
    world.aws.client("s3").upload_file(str(world.folder / "empty.tar.gz"), BUCKET, "models/empty.tar.gz")
    with pytest.raises(LambdaError, match=r"has no manifest\.json .* give --content-type with a type that it accepts"):
        world.register(f"s3://{BUCKET}/models/empty.tar.gz")
    with pytest.raises(LambdaError, match="use prepare, register or explain"):
        world.function.invoke({"action": "dance"})


def test_from_registered_to_serving_and_back(world: World, tmp_path: Path) -> None:
    """The test before has registered version 1, and its artifact serves."""
    assert "serves no registered model" in world.models("rollback").stderr
    second = world.register(world.artifact("plain"))
    assert second["blocked_by"] == ["it was not evaluated: no rows were held out"]
    listed = json.loads(world.models("list", "--json").stdout)
    assert [(package["version"], package["status"]) for package in listed] == [
        (2, "PendingManualApproval"),
        (1, "PendingManualApproval"),
    ]
    assert "no model is approved" in world.models("promote").stderr
    assert "version 1 is PendingManualApproval, not Approved" in world.models("promote", "1").stderr
    assert world.models("approve", "1").returncode == 0
    refused = world.models("approve", "2")
    assert refused.returncode == 2
    assert "version 2 failed its quality checks: it was not evaluated: no rows were held out" in refused.stderr
    assert "requires a --note" in world.models("approve", "2", "--force").stderr
    assert world.models("approve", "2", "--force", "--note", "seen by hand").returncode == 0
    promoted = world.models("promote").stdout.strip()
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/{GROUP}/2"
    assert promoted == f"terraform apply -var model_package_arn={arn}"
    world.serve(ModelPackageName=arn)
    assert world.sagemaker.describe_endpoint(EndpointName=GROUP)["EndpointStatus"] == "InService"
    assert [package["serves"] for package in json.loads(world.models("list", "--json").stdout)] == [True, False]
    assert "version 2 serves" in world.models("delete", "2").stderr
    world.plan([])
    assert world.function.invoke({"action": "prepare", "execution": "e"})["artifact"].endswith("plain/model.tar.gz")
    assert world.models("rollback").stdout.strip().endswith(f"{GROUP}/1")
    assert world.models("reject", "1", "--note", "drifted").returncode == 0
    assert "no approved model is older than version 2" in world.models("rollback").stderr
    (one,) = [p for p in json.loads(world.models("list", "--json").stdout) if p["version"] == 1]
    assert (one["status"], one["note"]) == ("Rejected", "drifted")
    found = json.loads(world.models("lineage", second["model_id"]).stdout)
    assert found["model_package_arn"] == arn
    assert re.fullmatch("[0-9a-f]{64}", found["data_sha256"])
    assert found["training_job"] is None


HOURS = {"start_hour_utc": "2026-10-17T22:00:00Z", "end_hour_utc": "2026-10-19T01:00:00Z"}


def alert(name: str, **other: str) -> dict[str, Any]:
    """Return an alert on a bucket that has its name."""
    record = alert_record(name, **HOURS, **other)
    row = {**record["contributors"][0], "resource_id": f"bucket-{name}"}
    return {**record, "contributors": [row]}


def test_training_in_aws_and_on_this_machine_exclude_the_same_hours(world: World) -> None:
    """Alerts that were called true or planned or nothing, a verdict whose alert is gone, and the calendar."""
    alerts = [alert(name) for name in ("false", "planned", "true", "unjudged")]
    alerts += [alert("repeat", suppressed_by="false"), alert("wave", suppressed_by="planned")]
    verdicts = [judge(one, one["alert_id"]) for one in alerts[:3]] + [judge(alert("gone"), "true")]
    events = [
        {"note": "moves", "from": "2026-10-14T00:00:00Z", "to": "2026-10-16T00:00:00Z", "resource": "*x*", "max_gb": 5}
    ]
    world.plan(events)
    calendar = read_calendar(json.dumps(events))
    dynamodb, table = world.aws.client("dynamodb"), f"{GROUP}-alerts"
    for one in alerts:
        item = json.loads(json.dumps(one), parse_float=Decimal)
        dynamodb.put_item(TableName=table, Item={n: TypeSerializer().serialize(v) for n, v in item.items()})
    put_in_table(dynamodb, table, verdicts)
    url = world.function.invoke({"action": "prepare", "execution": "weekly"})["exclude"]
    key = f"{url.removeprefix(f's3://{BUCKET}/')}exclude.jsonl"
    text = world.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    lines = [json.loads(line) for line in text.splitlines()]
    assert sorted(lines, key=str) == sorted(build_exclusions(alerts, verdicts, calendar), key=str)
    named = {line["why"]: line.get("resource_id") for line in lines}
    assert named == {
        "alert gone, true": "bucket-gone",
        "alert planned, planned": "bucket-planned",
        "alert true, true": "bucket-true",
        "alert unjudged, no verdict": "bucket-unjudged",
        "alert wave, planned": "bucket-wave",
        "planned: moves": "*x*",
    }
    assert [line["end_hour_utc"] for line in lines if line["why"] == "planned: moves"] == ["2026-10-15T23:00:00Z"]
    (world.folder / "exclude").mkdir()
    (world.folder / "exclude" / "exclude.jsonl").write_text(text)
    assert len(read_exclusions(world.folder / "exclude")) == len(lines)


def test_a_model_that_failed_its_checks_is_registered_with_the_reasons(world: World) -> None:
    """AWS accepts few signs in a package's metadata; people read the sentences as the training job wrote them."""
    result = world.register(world.artifact("flagging", "--holdout_share", "0.02", "--contamination", "0.4"))
    reasons = result["blocked_by"]
    assert len(reasons) >= 2
    assert any("%" in reason and ";" in reason for reason in reasons)
    version = result["model_package_arn"].rpartition("/")[2]
    package = world.sagemaker.describe_model_package(ModelPackageName=result["model_package_arn"])
    facts = package["CustomerMetadataProperties"]
    assert facts["blocked_by_1"] == reasons[0].replace("%", "=25").replace(";", "=3B")
    assert all(reason in package["ModelPackageDescription"] for reason in reasons)
    (listed,) = [p for p in json.loads(world.models("list", "--json").stdout) if str(p["version"]) == version]
    assert listed["facts"]["blocked_by"] == "; ".join(reasons)
    assert "; ".join(reasons) in world.models("approve", version).stderr


def test_reasons_of_models_that_were_registered_earlier_are_read(world: World) -> None:
    """Earlier registrars wrote all reasons into one property."""
    reason = "it was not evaluated: no rows were held out"
    created = world.sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        CustomerMetadataProperties={"model_id": "ab", "blocked_by": reason},
    )
    version = created["ModelPackageArn"].rpartition("/")[2]
    assert f"version {version} failed its quality checks: {reason};" in world.models("approve", version).stderr
    assert world.models("delete", version).returncode == 0


def test_an_alert_leads_to_its_model_and_the_jobs_data(world: World) -> None:
    url = world.artifact("led", "--holdout_share", "0.2")
    model_id = world.register(url)["model_id"]
    for alert_id, model in (("a1b2", model_id), ("old", "ff")):
        item = json.loads(json.dumps(alert_record(alert_id, model_id=model, **HOURS)), parse_float=Decimal)
        world.aws.client("dynamodb").put_item(
            TableName=f"{GROUP}-alerts", Item={n: TypeSerializer().serialize(v) for n, v in item.items()}
        )
    # The script reads its job's name from the environment, so this is the name in the manifest.
    world.sagemaker.create_training_job(
        TrainingJobName="egress-2026-11-01",
        RoleArn="arn:aws:iam::123456789012:role/r",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/features/"}},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    (by_alert, by_model) = (json.loads(world.models("lineage", name).stdout) for name in ("a1b2", model_id))
    assert by_alert.pop("alert")["scored"] == [f"scored/day=2026-10-{day}/scores.parquet" for day in (17, 18, 19)]
    assert by_alert == by_model
    assert by_alert["artifact"] == url
    assert by_alert["training_job"]["channels"] == {"train": f"s3://{BUCKET}/features/"}
    assert "comes from the model ff, which is not registered" in world.models("lineage", "old").stderr
    refused = world.models("lineage", "0000").stderr
    assert "no registered model has the id 0000, and the table egress-sentinel-alerts has no alert 0000" in refused


def test_a_promotion_that_is_applied_stays(world: World, tmp_path: Path) -> None:
    """The setting that a later plain apply reads is written, and restored if the apply fails."""
    fake = tmp_path / "bin" / "terraform"
    fake.parent.mkdir()
    outputs = {"endpoint_name": GROUP, "model_package_group": GROUP, "region": "us-east-1"}
    shown = json.dumps({name: {"value": value} for name, value in outputs.items()})
    for status in (1, 0):
        fake.write_text(
            f"#!/bin/sh\nif [ $1 = output ]; then echo '{shown}'; exit 0; fi\necho $@ > ../called\nexit {status}\n"
        )
        fake.chmod(0o755)
        (tmp_path / "tf").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "egress_sentinel.cli", "models", "promote", "2", "--apply"]
        # The region is that of the deployment.
        env = {**os.environ, **world.aws.environment(), "PATH": f"{fake.parent}:{os.environ['PATH']}"}
        env.pop("AWS_DEFAULT_REGION")
        done = subprocess.run(
            [*command, "--terraform-dir", str(tmp_path / "tf")], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == (2 if status else 0), done.stderr
        assert (tmp_path / "called").read_text().strip() == "apply"
        kept = tmp_path / "tf" / "model_package.auto.tfvars.json"
        assert kept.exists() == (not status)
    assert json.loads(kept.read_text())["model_package_arn"].endswith(f"{GROUP}/2")


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        ("States.Timeout", "", "States.Timeout: "),
        ("FeatureError", '{"errorMessage": "no features", "errorType": "FeatureError"}', "no features"),
        ("States.TaskFailed", '{"FailureReason": "AlgorithmError: ExitCode 2"}', "AlgorithmError: ExitCode 2"),
        ("States.TaskFailed", '{"QueryExecution": {"Status": {"StateChangeReason": "SYNTAX"}}}', "SYNTAX"),
        ("Sagemaker.ResourceLimitExceeded", "The account-level limit", "Sagemaker.ResourceLimitExceeded: The account"),
        ("E", "[1]", "E: [1]"),
        ("States.TaskFailed", '{"ExecutionArn": "arn", "Error": "NoLines", "Cause": "no line"}', "NoLines: no line"),
        ("States.TaskFailed", '{"ExecutionArn": "arn", "Status": "TIMED_OUT"}', "States.TaskFailed: {"),
        (
            "States.TaskFailed",
            '{"ExecutionArn": "arn", "Error": "E", "Cause": "{\\"errorMessage\\": \\"inner\\"}"}',
            "inner",
        ),
    ],
)
def test_a_failure_is_one_sentence(error: str, cause: str, reason: str) -> None:
    assert reason_of(error, cause).startswith(reason)


def test_a_job_has_a_name_that_sagemaker_takes() -> None:
    name = job_name("a" * 31 + "-retraining", "x" * 80)
    assert re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name == job_name("a" * 31 + "-retraining", "x" * 80)
