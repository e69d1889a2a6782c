"""The status of a deployment's drift monitor: its schedule, last reports, violations and metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "drift/"
_NAMESPACE = "EgressSentinel"
_METRICS = ("RowsJudged", "DriftedFeatures", "WorstDrift", "FlaggedShare")
_METRIC_DAYS = 14
_A_DAY = 86_400


def drift_status(outputs: dict[str, Any], reports: int = 7) -> dict[str, Any]:
    """Read the status from AWS, with boto3's default credentials and endpoints.

    Parameters
    ----------
    outputs : dict
        Terraform's outputs, as `verify.read_outputs` returns them.
    reports : int
        The number of reports to read, newest first.

    Returns
    -------
    dict
        ``schedule`` (`name`, `state`, `expression`), ``alarm`` (its state), ``reports`` (newest first: `folder`, `day`,
        `rows`, `violations`, `drifted`), ``violations`` (of the newest report, as Model Monitor lists them)
        and ``metrics`` (name to the largest value of each of the last 14 days that have one).

    Raises
    ------
    UserError
        The deployment has no drift monitor, or a call to AWS fails.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name = outputs.get("drift_function_name")
    if not name:
        raise UserError("the deployment has no drift monitor; set drift = {} in Terraform and apply it")
    session = boto3.session.Session(region_name=outputs.get("region"))
    s3, cloudwatch = session.client("s3"), session.client("cloudwatch")
    try:
        schedule = session.client("scheduler").get_schedule(Name=name)
        alarms = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        folders = sorted(_folders(s3, outputs["bucket"]), key=lambda folder: folder.partition("=")[2], reverse=True)
        found = [_report(s3, outputs["bucket"], folder) for folder in folders[:reports]]
        latest = _read(s3, outputs["bucket"], f"{folders[0]}/constraint_violations.json") if folders else {}
        metrics = {metric: _values(cloudwatch, metric, name) for metric in _METRICS}
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"The state of the drift monitor {name} cannot be read: {error}") from error
    return {
        "schedule": {"name": name, "state": schedule["State"], "expression": schedule["ScheduleExpression"]},
        "alarm": alarms[0]["StateValue"] if alarms else None,
        "reports": found,
        "violations": latest.get("violations", []),
        "metrics": metrics,
    }


def _folders(s3: Any, bucket: str) -> Iterator[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_PREFIX, Delimiter="/")
    for page in pages:
        for entry in page.get("CommonPrefixes", []):
            folder = entry["Prefix"].rstrip("/")
            if "=" in folder:
                yield folder


def _report(s3: Any, bucket: str, folder: str) -> dict[str, Any]:
    measured = _read(s3, bucket, f"{folder}/measures.json")
    return {
        "folder": f"s3://{bucket}/{folder}/",
        "day": measured["day"],
        "rows": measured["rows"],
        "violations": sum(measure["is_violated"] for measure in measured["measures"]),
        "drifted": measured["drifted"],
    }


def _read(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return document


def _values(cloudwatch: Any, metric: str, function: str) -> list[dict[str, Any]]:
    end = datetime.now(UTC) + timedelta(minutes=1)
    points = cloudwatch.get_metric_statistics(
        Namespace=_NAMESPACE,
        MetricName=metric,
        Dimensions=[{"Name": "service", "Value": function}],
        StartTime=end - timedelta(days=_METRIC_DAYS),
        EndTime=end,
        Period=_A_DAY,
        Statistics=["Maximum"],
    )["Datapoints"]
    by_time = sorted(points, key=lambda point: point["Timestamp"])
    return [{"day": f"{point['Timestamp']:%Y-%m-%d}", "maximum": point["Maximum"]} for point in by_time]
