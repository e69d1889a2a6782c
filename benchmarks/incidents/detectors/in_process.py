"""The Lambda's own detector in this process, against moto: what an account's alerts table holds after some hours."""

from __future__ import annotations

import os
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

from anomaly_detection import inference_script
from anomaly_detector.alert_store import AlertStore
from anomaly_detector.detector import Detector
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.scored_rows import ScoredRows
from anomaly_detector.settings import Settings
from anomaly_detector.window import window_of
from egress_sentinel.pipeline import scoring
from egress_sentinel.pipeline.feedback import put_in_table
from local_aws import create_detector_resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


class Account:
    """A detector with its tables and buckets, which hold a case's features."""

    def __init__(self, features: Path, start: datetime, policy: Mapping[str, str]) -> None:
        aws: Any = _Aws()
        self._resources = create_detector_resources(aws)
        self._settings = Settings.from_environment(self._resources.environment("sentinel") | policy)
        table = scoring._read_range(features, start, None)
        scoring.put_features(aws, self._resources, table)
        self._places = set(zip(table["account_id"].to_pylist(), table["region"].to_pylist(), strict=True))
        self._store = AlertStore(boto3.resource("dynamodb").Table(self._settings.alerts_table))

    def run(self, model: Path | None, start: datetime, end: datetime) -> None:
        """Score [start, end) with a model.tar.gz, or with every hour called anomalous.

        By the hour, by the day or at once: a test of the Lambda holds that the incidents are the same.
        """
        settings, s3 = self._settings, boto3.client("s3")
        with tempfile.TemporaryDirectory() as folder:
            runtime = _AllAnomalous() if model is None else _Runtime(model, Path(folder))
            detector = Detector(
                settings,
                s3,
                Endpoint(runtime, settings.endpoint_name, settings.max_body_bytes),
                ScoredRows(s3, settings.bucket, settings.scored_prefix),
                self._store,
                boto3.client("sns"),
            )
            event = {"start": start.isoformat(), "end": end.isoformat()}
            detector.run(window_of(event, settings.features_prefix))

    def judge(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Keep verdicts as `egress-sentinel feedback` does."""
        put_in_table(boto3.client("dynamodb"), self._resources.alerts_table, verdicts)

    def records(self) -> list[dict[str, Any]]:
        """Return the alerts so far, each with its incident's hours: (hour, excess_usd, excess_gb)."""
        return [
            stored.alert | {"hours": [(h.hour, h.excess_usd, h.excess_gb) for h in stored.incident.hours]}
            for stored in self._store.since(self._places, 0)
        ]


@contextmanager
def account(features: Path, start: datetime, policy: Mapping[str, str]) -> Iterator[Account]:
    """Give an account in an AWS that lives as long as this."""
    with _mock_environment():
        yield Account(features, start, policy)


class _Aws:
    """What `create_detector_resources` asks for clients, answered by moto in this process."""

    def client(self, service: str) -> Any:
        return boto3.client(service)


class _Runtime:
    """A sagemaker-runtime client that calls the inference script."""

    def __init__(self, model: Path, folder: Path) -> None:
        with tarfile.open(model) as archive:
            archive.extractall(folder, filter="data")
        self._model = inference_script.model_fn(str(folder))

    def invoke_endpoint(self, *, Body: bytes, ContentType: str, Accept: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        rows = inference_script.input_fn(Body, ContentType)
        answer = inference_script.output_fn(inference_script.predict_fn(rows, self._model), Accept)
        return {"Body": _Body(answer)}


class _AllAnomalous:
    """A sagemaker-runtime client that calls every row anomalous."""

    def invoke_endpoint(self, *, Body: bytes, Accept: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if "attributions" in Accept:
            refusal: Any = {
                "Error": {"Code": "ModelError"},
                "OriginalStatusCode": 406,
                "OriginalMessage": "scores alone",
            }
            raise ClientError(refusal, "InvokeEndpoint")
        return {"Body": _Body("is_anomaly,anomaly_score\n" + "1,-0.5\n" * (Body.count(b"\n") - 1))}


class _Body:
    def __init__(self, answer: Any) -> None:
        content = answer[0] if isinstance(answer, tuple) else getattr(answer, "response", answer)
        self._content = content if isinstance(content, bytes) else str(content).encode()

    def read(self) -> bytes:
        return self._content


@contextmanager
def _mock_environment() -> Iterator[None]:
    """Point boto3 at nothing but moto."""
    mine = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        with mock_aws():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
