"""Deliveries one after the other through the endpoint and the Lambda; nothing of what comes later is seen."""

from __future__ import annotations

import json
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_sentinel.pipeline.alerts import alerts_from_table, told, worst_first
from egress_sentinel.pipeline.feedback import put_in_table
from egress_sentinel.pipeline.scoring import ENDPOINT_NAME, HANDLER, put_calendar, put_features, write_results
from egress_sentinel.pipeline.training import train
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from local_aws import LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from egress_sentinel.pipeline.backtest.features import Arrived
    from local_aws import DetectorResources

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Where the Lambda packs an incident's hours: (hour, series, usage, expected, egress, expected, cost, expected, ...).
_HOUR, _COST, _EXPECTED_COST = 0, 6, 7


@dataclass
class Replayed:
    """What a replay found.

    `raised` has, by alert id, when it came and what it said then; `alerts` are all of them as they stand in the end,
    the quiet ones too; `excess_usd` is by alert id and hour; `trainings` say when and on what.
    """

    alerts: list[dict[str, Any]] = field(default_factory=list)
    raised: dict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)
    excess_usd: dict[str, dict[datetime, float]] = field(default_factory=dict)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0


def replay(
    arrivals: Iterable[Arrived],
    output_dir: Path,
    *,
    retrain_days: int,
    hyperparameters: Mapping[str, str],
    policy: Mapping[str, str],
    planned: Sequence[Mapping[str, Any]],
    feedback: Sequence[Mapping[str, Any]] = (),
) -> Replayed:
    """Train on what has arrived, score what is new, and train again every `retrain_days`.

    A delivery is scored by the model that was there when it came; training leaves out the hours of the alerts that have
    come, unless they were called false by then.

    Parameters
    ----------
    arrivals : iterable of Arrived
        By time. The first one is trained on, and hours after it are scored.
    output_dir : Path
        Gets `alerts.json`, `messages.txt`, `scored/`, `model.tar.gz` (the last one) and `detector.log`.
    retrain_days : int
        Days from one training to the next.
    hyperparameters, policy : mapping
        For the training script and for the Lambda.
    planned : sequence of mapping
        Events as `read_planned` gives them.
    feedback : sequence of mapping
        Records as `egress-sentinel feedback` writes them; each counts from the first delivery at or after the moment at
        which it was given.
    """
    found = Replayed()
    with LocalAws() as aws:
        resources = create_detector_resources(aws)
        variables = aws.environment() | resources.environment(ENDPOINT_NAME) | dict(policy)
        variables |= put_calendar(aws, resources, planned)
        with ExitStack() as serving:
            detector: LambdaProcess | None = None
            trained_at, scored_until = datetime.min.replace(tzinfo=UTC), None
            for arrived in arrivals:
                given = [record for record in feedback if datetime.fromisoformat(record["judged_at"]) <= arrived.moment]
                put_in_table(aws.client("dynamodb"), resources.alerts_table, given)
                if detector is not None and scored_until is not None:
                    _take(aws, resources, detector, arrived, scored_until, found)
                scored_until = max(scored_until or arrived.visible_until, arrived.visible_until)
                if arrived.moment - trained_at < timedelta(days=retrain_days):
                    continue
                trained_at = arrived.moment
                model = output_dir / "model.tar.gz"
                metrics = train(
                    arrived.features,
                    model,
                    until=arrived.visible_until,
                    hyperparameters=hyperparameters,
                    feedback=given,
                    planned=planned,
                    alerts=alerts_from_table(aws, resources.alerts_table),
                )
                found.trainings.append(_training(arrived, metrics["rows"]))
                serving.close()
                detector = _serve(serving, model, variables, output_dir)
        found.alerts = worst_first(alerts_from_table(aws, resources.alerts_table))
        found.excess_usd = _excess_usd(aws, resources.alerts_table)
        write_results(aws, resources, found.alerts, output_dir)
    return found


def _serve(serving: ExitStack, model: Path, variables: Mapping[str, str], output_dir: Path) -> LambdaProcess:
    endpoint = serving.enter_context(LocalEndpoint(model, endpoint_name=ENDPOINT_NAME))
    environment = {**variables, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url}
    return serving.enter_context(LambdaProcess(HANDLER, environment=environment, log_file=output_dir / "detector.log"))


def _take(
    aws: LocalAws,
    resources: DetectorResources,
    detector: LambdaProcess,
    arrived: Arrived,
    start: datetime,
    found: Replayed,
) -> None:
    """Score a delivery's new hours, and those that it restates, and keep what is told for the first time."""
    first = start - timedelta(hours=arrived.restated_hours)
    table = arrived.rows(first)
    if table.num_rows == 0:
        return
    put_features(aws, resources, arrived.rows(first.replace(hour=0)))
    result = detector.invoke({"start": first.isoformat(), "end": arrived.visible_until.isoformat()})
    found.rows += result["rows_scored"]
    if result["alerts"] or result["updated"]:
        for alert in told(alerts_from_table(aws, resources.alerts_table)):
            found.raised.setdefault(alert["alert_id"], (arrived.moment, alert))


def _training(arrived: Arrived, rows: int) -> dict[str, Any]:
    return {
        "trained_at_utc": f"{arrived.moment:%Y-%m-%dT%H:%M:%SZ}",
        "until_utc": f"{arrived.visible_until:%Y-%m-%dT%H:%M:%SZ}",
        "rows": rows,
    }


def _excess_usd(aws: LocalAws, table: str) -> dict[str, dict[datetime, float]]:
    """Read the incidents' hours as the Lambda keeps them: dollars above what was expected, by alert and hour."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    found: dict[str, dict[datetime, float]] = {}
    for item in (item for page in pages for item in page["Items"] if "hours" in item):
        by_hour = found.setdefault(item["alert_id"]["S"], {})
        for row in json.loads(zlib.decompress(item["hours"]["B"]))["hours"]:
            hour = _EPOCH + timedelta(hours=row[_HOUR])
            by_hour[hour] = by_hour.get(hour, 0.0) + row[_COST] - row[_EXPECTED_COST]
    return found
