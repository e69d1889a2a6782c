"""Training jobs by the SageMaker SDK, on the local AWS: the real `ModelTrainer`, the real script."""

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.deployment.training_job import (
    TrainingRequest,
    follow,
    launch,
    result_of,
    scikit_learn_image,
    upload_source,
)
from egress_sentinel.errors import UserError
from local_aws import LocalAws
from tests.support.models import write_hours
from tests.support.sample_data import required_module

pytestmark = pytest.mark.integration

BUCKET = "training-bucket"
ROLE = "arn:aws:iam::123456789012:role/training"

# The SDK's imports raise warnings. Our own warnings are errors.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    required_module("sagemaker")
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield aws


@pytest.fixture
def request_of_job(aws: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TrainingRequest:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    s3 = aws.client("s3")
    s3.upload_file(str(write_hours(tmp_path / "hours.parquet")), BUCKET, "features/day=2026-01-01/features.parquet")
    return TrainingRequest(
        role_arn=ROLE,
        image=scikit_learn_image("us-east-1"),
        train_url=f"s3://{BUCKET}/features/",
        source_url=upload_source(s3, BUCKET),
        output_url=f"s3://{BUCKET}/models/training/",
        hyperparameters={"n_estimators": "30"},
    )


def test_a_job_trains_is_followed_and_brings_a_model(
    aws: LocalAws, request_of_job: TrainingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry: list[Any] = []
    sender = "sagemaker.core.telemetry.telemetry_logging._send_telemetry_request"
    monkeypatch.setattr(sender, lambda *given: telemetry.append(given))
    name = launch(request_of_job)
    lines = list(follow(name, poll_seconds=0.2))
    assert not telemetry
    assert "Completed" in lines
    result = result_of(name)
    recall = result.metrics["evaluation"]["injected"]["recall"]
    assert {f"rows={result.metrics['rows']};", f"recall_injected={recall:.4f};"} <= set(lines)
    assert result.seconds > 0
    assert result.artifact == f"s3://{BUCKET}/models/training/{name}/output/model.tar.gz"
    aws.client("s3").download_file(BUCKET, f"models/training/{name}/output/model.tar.gz", str(tmp_path / "m.tar.gz"))
    with tarfile.open(tmp_path / "m.tar.gz") as tar:
        assert {"forest.npz", "manifest.json"} <= {Path(member).name for member in tar.getnames()}


def test_the_request_is_the_state_machines(aws: LocalAws, request_of_job: TrainingRequest) -> None:
    """The container's own `train` runs: no entry point and no channel of the SDK's."""
    job: dict[str, Any] = aws.client("sagemaker").describe_training_job(TrainingJobName=launch(request_of_job))
    assert "ContainerEntrypoint" not in job["AlgorithmSpecification"]
    assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == ["train"]
    assert job["HyperParameters"] == {
        "n_estimators": "30",
        "holdout_share": "0.2",
        "sagemaker_program": "anomaly_detection.training_script",
        "sagemaker_submit_directory": request_of_job.source_url,
    }
    assert job["AlgorithmSpecification"]["TrainingImage"].endswith("/sagemaker-scikit-learn:1.9-0-cpu-py3")


def test_a_failed_job_has_logged_the_reason(request_of_job: TrainingRequest) -> None:
    name = launch(replace(request_of_job, hyperparameters={"n_estimators": "none"}))
    lines: list[str] = []
    with pytest.raises(UserError, match=f"{name} ended as Failed: AlgorithmError: .*ExitCode 2"):
        lines.extend(follow(name, poll_seconds=0.2))
    assert any("n_estimators" in line for line in lines)
