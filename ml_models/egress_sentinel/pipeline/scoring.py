"""Replays hours of features through the Lambda handler, the endpoint and a local AWS, as they would have arrived."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.alerts import alerts_from_table, quiet, told, worst_first
from egress_sentinel.pipeline.feedback import put_in_table
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from local_aws import LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from local_aws import DetectorResources

HANDLER = "anomaly_detector.handler.lambda_handler"
ENDPOINT_NAME = "egress-sentinel"
CALENDAR_KEY = "config/planned_events.json"


def score(
    features: Path,
    output_dir: Path,
    *,
    model_tar: Path | None = None,
    endpoint_url: str | None = None,
    endpoint_name: str = ENDPOINT_NAME,
    start: datetime | None = None,
    end: datetime | None = None,
    policy: Mapping[str, str] | None = None,
    feedback: Sequence[Mapping[str, Any]] = (),
    planned: Sequence[Mapping[str, Any]] = (),
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> ScoreResult:
    """Score [start, end) day by day and return the alerts.

    The Lambda decides hour by hour from what it had until then, so a day at a time gives what every hour alone
    would have given (a test holds this).

    Parameters
    ----------
    features : Path
        A processed_features.parquet.
    output_dir : Path
        Gets `alerts.json`, `messages.txt` (what would have been sent), `scored/day=.../scores.parquet` and
        `detector.log`.
    model_tar : Path, optional
        The artifact to serve locally for this run; or
    endpoint_url : str, optional
        an endpoint that is already up, such as one that `egress-sentinel serve` started.
    endpoint_name : str
        The endpoint's name there.
    start, end : datetime, optional
        Half-open range of UTC hours; by default all hours of the features.
    policy : mapping, optional
        The Lambda's policy variables, such as MIN_EXCESS_USD.
    feedback : sequence of mapping
        Verdicts on earlier alerts, as `egress-sentinel feedback` writes them.
    planned : sequence of mapping
        Expected transfers, as `read_planned` gives them: what keeps to the plan is quiet.
    track : callable
        Wraps the days, to show progress.

    Raises
    ------
    UserError
        Unreadable features, nothing to score in the range, or an endpoint that is not there.
    """
    table = _read_range(features, start, end)
    with ExitStack() as stack:
        if endpoint_url is None:
            if model_tar is None:
                raise UserError("scoring needs a model (--model) or a running endpoint (--endpoint-url)")
            endpoint = stack.enter_context(LocalEndpoint(model_tar, endpoint_name=endpoint_name))
            endpoint_url = endpoint.url
        aws = stack.enter_context(LocalAws(sagemaker_runtime_url=endpoint_url))
        resources = create_detector_resources(aws)
        put_in_table(aws.client("dynamodb"), resources.alerts_table, feedback)
        days = put_features(aws, resources, table)
        environment = aws.environment() | resources.environment(endpoint_name) | dict(policy or {})
        environment |= put_calendar(aws, resources, planned)
        detector = stack.enter_context(
            LambdaProcess(HANDLER, environment=environment, log_file=output_dir / "detector.log")
        )
        rows = sum(detector.invoke(_day_event(day, start, end))["rows_scored"] for day in track("score", days))
        alerts = worst_first(alerts_from_table(aws, resources.alerts_table))
        write_results(aws, resources, alerts, output_dir)
    return ScoreResult(told(alerts), quiet(alerts), rows, len(days))


class ScoreResult:
    """What a replay found: the alerts (worst first), those that are quiet, the rows scored and the days replayed."""

    def __init__(self, alerts: list[dict[str, Any]], quiet: list[dict[str, Any]], rows: int, days: int) -> None:
        self.alerts = alerts
        self.quiet = quiet
        self.rows = rows
        self.days = days

    def in_words(self) -> str:
        """Return one line for whoever waits."""
        quiet = f", {len(self.quiet)} quiet by feedback or plan" if self.quiet else ""
        return f"{self.rows:,} hours over {self.days} days, {len(self.alerts)} alerts{quiet}"


def put_calendar(aws: LocalAws, resources: DetectorResources, planned: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Put planned events where the detector reads them, and return the variable that says where."""
    if not planned:
        return {}
    aws.client("s3").put_object(Bucket=resources.bucket, Key=CALENDAR_KEY, Body=json.dumps(list(planned)).encode())
    return {"PLANNED_EVENTS_KEY": CALENDAR_KEY}


def _read_range(features: Path, start: datetime | None, end: datetime | None) -> pa.Table:
    hour = ds.field("hour_utc")
    keep = ds.scalar(True)
    if start is not None:
        keep = keep & (hour >= start)
    if end is not None:
        keep = keep & (hour < end)
    try:
        table = ds.dataset(features, format="parquet").to_table(filter=keep)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error
    if table.num_rows == 0:
        raise UserError(f"{features} has no hours from {start or 'its start'} to {end or 'its end'}: nothing to score")
    return table


def put_features(aws: LocalAws, resources: DetectorResources, table: pa.Table) -> list[str]:
    """Lay the features out by day, as the features step does in S3; return the days."""
    s3 = aws.client("s3")
    day_of_row = pc.strftime(table["hour_utc"], format="%Y-%m-%d")
    days: list[str] = sorted(pc.unique(day_of_row).to_pylist())
    for day in days:
        body = io.BytesIO()
        pq.write_table(table.filter(pc.equal(day_of_row, day)), body)
        s3.put_object(Bucket=resources.bucket, Key=f"features/day={day}/features.parquet", Body=body.getvalue())
    return days


def _day_event(day: str, start: datetime | None, end: datetime | None) -> dict[str, str]:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    first = max(midnight, start or midnight)
    last = midnight + timedelta(days=1)
    last = min(last, end or last)
    return {"start": first.isoformat(), "end": last.isoformat()}


def write_results(aws: LocalAws, resources: DetectorResources, alerts: list[dict[str, Any]], output_dir: Path) -> None:
    """Write alerts.json, messages.txt and scored/ into a folder."""
    (output_dir / "alerts.json").write_text(json.dumps(alerts, indent=2) + "\n", encoding="utf-8")
    (output_dir / "messages.txt").write_text("\n\n".join(resources.messages()) + "\n", encoding="utf-8")
    s3 = aws.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=resources.bucket, Prefix="scored/")
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        path = output_dir / entry["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(resources.bucket, entry["Key"], str(path))
