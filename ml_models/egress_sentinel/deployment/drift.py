"""Judges days of scored rows for drift on this machine: the deployed Lambda, a local AWS, a model.tar.gz."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.importance import load_model
from egress_sentinel.report.pictures import write_drift
from local_aws import LocalAws, create_detector_resources, create_model
from local_aws.lambda_runner import LambdaProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from local_aws import DetectorResources

HANDLER = "drift_monitor.handler.lambda_handler"
MODEL_NAME = "egress-sentinel"
SCORE = "anomaly_score"


def judge_locally(
    rows: Path,
    model_tar: Path,
    output_dir: Path,
    *,
    limits: str = "{}",
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> list[dict[str, Any]]:
    """Judge every whole day of rows after the model's training.

    Parameters
    ----------
    rows : Path
        A processed_features.parquet, which the model scores here, or scored rows: a file, or the folder `scored/` that
        `egress-sentinel score` writes.
    model_tar : Path
        A model.tar.gz that was trained on rows with hours.
    output_dir : Path
        Gets `day=.../statistics.json`, `constraint_violations.json` and `measures.json`, `messages.txt`,
        `drift.html` (a row for each feature, a column for each day) and `drift_monitor.log`.
    limits : str
        JSON, such as `{"*": {"psi": 0.2}}`; see `drift_monitor.limits`.
    track : callable
        Wraps the days, to show progress.

    Returns
    -------
    list of dict
        What the function returned for each day, in order.

    Raises
    ------
    UserError
        Rows or model that cannot be used, or no whole day after training.
    """
    with LocalAws() as aws:
        resources = create_detector_resources(aws)
        days = _put_days(aws, resources, _whole_days(*_scored(rows, model_tar)))
        environment = local_environment(aws, resources, model_tar) | {"LIMITS": limits}
        log = output_dir / "drift_monitor.log"
        with LambdaProcess(HANDLER, environment=environment, log_file=log, function_name="drift-monitor") as monitor:
            outcomes = [monitor.invoke({"day": day}) for day in track("drift", days)]
        _refuse_unjudged(outcomes)
        _fetch(aws, resources, output_dir)
    title = f"Drift of {days[0]} to {days[-1]} against the days of {model_tar.name}"
    write_drift(output_dir / "drift.html", measures_of(output_dir), title)
    return outcomes


def local_environment(aws: LocalAws, resources: DetectorResources, model_tar: Path) -> dict[str, str]:
    """Make the model beside the detector's resources, and return the function's environment variables."""
    create_model(aws, resources.bucket, model_tar, MODEL_NAME)
    return aws.environment() | {
        "BUCKET": resources.bucket,
        "ENDPOINT_NAME": "none",
        "MODEL_NAME": MODEL_NAME,
        "TOPIC_ARN": resources.topic_arn,
        "POWERTOOLS_SERVICE_NAME": "drift-monitor",
        "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
    }


def _scored(rows: Path, model_tar: Path) -> tuple[pa.Table, datetime | None]:
    """Return the rows, scored, and the last hour that the model was trained on."""
    model = load_model(model_tar)
    try:
        table = ds.dataset(rows, format="parquet").to_table()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read rows from {rows}: {error}") from error
    if "hour_utc" not in table.column_names:
        raise UserError(f"{rows} has no column hour_utc; scored rows or a processed_features.parquet are accepted")
    if SCORE not in table.column_names:
        missing = [name for name in model.feature_names if name not in table.column_names]
        if missing:
            raise UserError(f"{rows} has no column {missing[0]}, which the model needs to score it")
        matrix = np.stack([table[name].to_numpy() for name in model.feature_names], axis=1).astype(np.float32)
        table = table.append_column(SCORE, pa.array(model.forest.scores(matrix)))
    last = model.manifest["training"]["end_hour_utc"]
    return table, None if last is None else datetime.fromisoformat(last)


def _whole_days(table: pa.Table, trained_until: datetime | None) -> dict[str, pa.Table]:
    """Split rows by day, and leave out the days that training saw and a first and a last one that is not whole."""
    ends = pc.min_max(table["hour_utc"].cast(pa.timestamp("us", "UTC"))).as_py()
    if ends["min"] is None:
        raise UserError("there are no rows to judge")
    first = max(ends["min"], trained_until + timedelta(hours=1) if trained_until else ends["min"])
    start = _midnight(first) + timedelta(days=int(first != _midnight(first)))
    end = _midnight(ends["max"] + timedelta(hours=1))
    days = [f"{start + timedelta(days=n):%Y-%m-%d}" for n in range(max((end - start).days, 0))]
    if not days:
        raise UserError(
            f"the rows from {ends['min']:%Y-%m-%dT%H:%MZ} to {ends['max']:%Y-%m-%dT%H:%MZ} have no whole day after the "
            f"model's training, which ended with {trained_until or 'an unknown hour'}"
        )
    day_of_row = pc.strftime(table["hour_utc"], format="%Y-%m-%d")
    return {day: table.filter(pc.equal(day_of_row, day)) for day in days}


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _put_days(aws: LocalAws, resources: DetectorResources, days: dict[str, pa.Table]) -> list[str]:
    s3 = aws.client("s3")
    for day, table in days.items():
        body = io.BytesIO()
        pq.write_table(table, body)
        s3.put_object(Bucket=resources.bucket, Key=f"scored/day={day}/scores.parquet", Body=body.getvalue())
    return list(days)


def _refuse_unjudged(outcomes: list[dict[str, Any]]) -> None:
    reasons = [outcome["reason"] for outcome in outcomes if outcome["status"] == "no reference"]
    if reasons:
        raise UserError(reasons[0])


def _fetch(aws: LocalAws, resources: DetectorResources, output_dir: Path) -> None:
    s3 = aws.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=resources.bucket, Prefix="drift/")
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        path = output_dir / entry["Key"].removeprefix("drift/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(resources.bucket, entry["Key"], str(path))
    (output_dir / "messages.txt").write_text("\n\n".join(resources.messages()) + "\n", encoding="utf-8")


def measures_of(output_dir: Path) -> list[dict[str, Any]]:
    """Return the measures.json of all days that `judge_locally` wrote, in order."""
    paths = sorted(output_dir.glob("day=*/measures.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]
