"""The deployed path on the demo: the built zip, an endpoint and a local AWS give the alerts of a run in one process."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from anomaly_detector.alert_store import AlertStore
from egress_alerts.alert import worst_first
from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.scoring import ENDPOINT_NAME, score
from egress_sentinel.pipeline.training import train
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from local_aws import DetectorResources, LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaProcess
from tests.support.zips import link_runtime

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@dataclass
class Demo:
    """The demo's features and model, and a run in this process."""

    features: Path
    model: Path
    start: datetime
    output: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    bill = write_demo_bill(folder, seed=7)
    found = Demo(folder / "features.parquet", folder / "model.tar.gz", bill.score_from, folder / "here")
    build_features(bill.files, found.features)
    train(found.features, found.model, until=found.start)
    found.output.mkdir()
    score(found.features, found.output, model_tar=found.model, start=found.start)
    return found


@dataclass
class Deployed:
    """What the function left behind after the same days."""

    aws: LocalAws
    resources: DetectorResources
    messages: list[str]

    def alerts(self) -> list[dict[str, Any]]:
        dynamodb = boto3.resource(
            "dynamodb",
            endpoint_url=self.aws.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        table = dynamodb.Table(self.resources.alerts_table)
        items = [item for item in table.scan()["Items"] if "account_region" in item]
        places = {tuple(item["account_region"].split("#")) for item in items}
        return worst_first(dict(stored.alert) for stored in AlertStore(table).since(places, 0))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def deployed(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    subprocess.run([sys.executable, ROOT / "lambdas" / "build.py", folder], check=True, capture_output=True)
    with zipfile.ZipFile(folder / "anomaly_detector.zip") as archive:
        archive.extractall(folder / "task")
    (folder / "runtime").mkdir()
    with LocalEndpoint(demo.model, endpoint_name=ENDPOINT_NAME) as endpoint, LocalAws() as aws:
        resources = create_detector_resources(aws)
        days = _put_days(aws, resources, demo)
        environment = aws.environment() | resources.environment(ENDPOINT_NAME)
        environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = endpoint.url
        with LambdaProcess(
            "anomaly_detector.handler.lambda_handler",
            environment=environment,
            log_file=folder / "log",
            only_from=[folder / "task", link_runtime(folder / "runtime")],
        ) as function:
            for day in days:
                start = datetime.fromisoformat(day).replace(tzinfo=UTC)
                event = {"start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat()}
                function.invoke(event)
        yield Deployed(aws, resources, resources.messages())


def _put_days(aws: LocalAws, resources: DetectorResources, demo: Demo) -> list[str]:
    """Put the scored days into the folder of the features step."""
    table = pq.read_table(demo.features)
    table = table.filter(pc.greater_equal(table["hour_utc"], demo.start))
    day_of_row = pc.strftime(table["hour_utc"], format="%Y-%m-%d")
    days = sorted(pc.unique(day_of_row).to_pylist())
    for day in days:
        body = io.BytesIO()
        pq.write_table(table.filter(pc.equal(day_of_row, day)), body)
        key = f"features/day={day}/features.parquet"
        aws.client("s3").put_object(Bucket=resources.bucket, Key=key, Body=body.getvalue())
    return days


def test_the_alerts_are_the_same_in_every_field(demo: Demo, deployed: Deployed) -> None:
    here = json.loads((demo.output / "alerts.json").read_text())
    assert len(here) == 7
    assert deployed.alerts() == here


def test_the_notifications_are_the_same(demo: Demo, deployed: Deployed) -> None:
    assert "\n\n".join(deployed.messages) + "\n" == (demo.output / "messages.txt").read_text()


def test_the_scored_rows_are_the_same(demo: Demo, deployed: Deployed) -> None:
    files = sorted((demo.output / "scored").glob("day=*/scores.parquet"))
    assert len(files) == 14
    for file in files:
        key = f"scored/{file.parent.name}/scores.parquet"
        answer = deployed.aws.client("s3").get_object(Bucket=deployed.resources.bucket, Key=key)
        assert pq.read_table(io.BytesIO(answer["Body"].read())).equals(pq.read_table(file))
