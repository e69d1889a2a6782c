"""Training jobs that run: source bundle, channels from S3, and the script as in the container.

Closes this gap of moto 5.2: a training job is Completed at once and writes no output. As in AWS, the source bundle is
unpacked, its program runs as a module with the container's variables, and its output becomes
OUTPUT/JOB/output/model.tar.gz and output.tar.gz. If the script fails, the reason has only its exit code, and the log
has the traceback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from egress_sentinel.errors import UserError
from egress_sentinel.serving.program import unpack
from local_aws.account import ApiError, client, download, key_of_role, objects_under
from local_aws.jobs import JobTable

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class TrainingError(Exception):
    """The job failed. The message is the job's FailureReason."""


class TrainingJobs:
    """The API of training jobs."""

    def __init__(self) -> None:
        self.jobs = JobTable("TrainingJob", "training-job", "SageMaker Training Job State Change")

    def _CreateTrainingJob(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802 - the API's name
        if not given.get("RoleArn", "").startswith("arn:"):
            raise ApiError("1 validation error detected: Value at 'roleArn' failed to satisfy constraint")
        where = f"{given['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{given['TrainingJobName']}/output"
        created = self.jobs.create({**given, "ModelArtifacts": {"S3ModelArtifacts": f"{where}/model.tar.gz"}})
        threading.Thread(target=self._run, args=(given["TrainingJobName"], where), daemon=True).start()
        return created

    def _DescribeTrainingJob(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        job = self.jobs.get(given["TrainingJobName"])
        secondary = {"InProgress": "Training"}.get(job["TrainingJobStatus"], job["TrainingJobStatus"])
        return {**job, "SecondaryStatus": secondary}

    def _StopTrainingJob(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.jobs.change(given["TrainingJobName"], "Stopped")
        return {}

    def _ListTrainingJobs(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"TrainingJobSummaries": self.jobs.summaries()}

    def _run(self, name: str, where: str) -> None:
        job = self.jobs.get(name)
        self.jobs.times(name, TrainingStartTime=time.time())
        try:
            with tempfile.TemporaryDirectory(prefix="egress-sentinel-training-") as folder:
                _train(job, Path(folder), where)
        except (TrainingError, UserError) as error:
            self.jobs.change(name, "Failed", str(error))
        else:
            self.jobs.times(name, TrainingEndTime=time.time())
            self.jobs.change(name, "Completed")


def _train(job: dict[str, Any], folder: Path, where: str) -> None:
    role = key_of_role(job["RoleArn"])
    for name in ("code", "model", "output", "input"):
        (folder / name).mkdir()
    given = {name: _plain(value) for name, value in job.get("HyperParameters", {}).items()}
    environment = {
        "SM_MODEL_DIR": str(folder / "model"),
        "SM_OUTPUT_DATA_DIR": str(folder / "output"),
        "SM_HPS": json.dumps({name: value for name, value in given.items() if not name.startswith("sagemaker_")}),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        **job.get("Environment", {}),
    }
    for channel in job.get("InputDataConfig", []):
        target = folder / "input" / channel["ChannelName"]
        _download_channel(channel, target, role)
        environment[f"SM_CHANNEL_{channel['ChannelName'].upper()}"] = str(target)
    if "sagemaker_program" not in given or "sagemaker_submit_directory" not in given:
        raise TrainingError("AlgorithmError: no sagemaker_program and sagemaker_submit_directory were given")
    download(given["sagemaker_submit_directory"], folder / "sourcedir.tar.gz", role)
    unpack(folder / "sourcedir.tar.gz", folder / "code")
    _run_program(job["TrainingJobName"], given, folder, environment)
    _upload(folder / "model", f"{where}/model.tar.gz", role)
    _upload(folder / "output", f"{where}/output.tar.gz", role)


def _plain(value: str) -> str:
    """Remove the quotes that the SageMaker SDK adds to a text."""
    try:
        decoded = json.loads(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value


def _download_channel(channel: Mapping[str, Any], target: Path, role: str) -> None:
    source = channel["DataSource"]["S3DataSource"]["S3Uri"]
    address = urlparse(source)
    prefix = address.path.lstrip("/")
    keys = objects_under(source, role)
    if not keys:
        name = channel["ChannelName"]
        raise TrainingError(f"ClientError: Data download failed: no objects for channel {name} under {source}")
    for key in keys:
        path = target / (key.removeprefix(prefix).lstrip("/") or Path(key).name)
        path.parent.mkdir(parents=True, exist_ok=True)
        client("s3", role).download_file(address.netloc, key, str(path))


def _run_program(name: str, given: Mapping[str, str], folder: Path, environment: Mapping[str, str]) -> None:
    words = [
        word for key, value in sorted(given.items()) if not key.startswith("sagemaker_") for word in (f"--{key}", value)
    ]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SM_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", given["sagemaker_program"].removesuffix(".py"), *words],
        cwd=folder / "code",
        env={**kept, "PYTHONPATH": str(folder / "code"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    _log(name, done.stdout + done.stderr)
    if done.returncode:
        # As in AWS, only the job's log has the traceback.
        raise TrainingError(f"AlgorithmError: ExecuteUserScriptError: ExitCode {done.returncode}")


def _log(name: str, text: str) -> None:
    logs = client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]
    if not any(group["logGroupName"] == LOG_GROUP for group in groups):
        logs.create_log_group(logGroupName=LOG_GROUP)
    stream = f"{name}/algo-1"
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
    if events:
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def _upload(folder: Path, url: str, role: str) -> None:
    packed = folder.with_suffix(".tar.gz")
    with tarfile.open(packed, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    address = urlparse(url)
    client("s3", role).upload_file(str(packed), address.netloc, address.path.lstrip("/"))
