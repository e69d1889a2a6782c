"""Scores hours of features as they would have arrived, a day at a time, with the detector of the deployed service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_alerts.alert import worst_first
from egress_alerts.detector import Detector
from egress_alerts.model import ScorerError
from egress_alerts.policy import Policy
from egress_alerts.rows import KEYS, MEASURES, feature_descriptions, in_hours, sort_rows
from egress_alerts.series import Window, hour_number
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.memory import AlertsInMemory, ModelInMemory, Outbox, RowsInMemory, load_model
from egress_sentinel.pipeline.time_range import check_midnight, rows_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_alerts.changes import FindChanges
    from egress_alerts.detector import Outcome
    from egress_alerts.model import Scorer
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.routing import OwnerRule

ENDPOINT_NAME = "egress-sentinel"
_NO_END = hour_number(datetime(9999, 1, 1, tzinfo=UTC))
_MAX_BODY_BYTES = 3_500_000  # below the 4 MB of a serverless endpoint


@dataclass(frozen=True)
class ScoreResult:
    """The alerts, worst first, those that are suppressed, the rows scored and the days replayed."""

    alerts: list[Alert]
    suppressed: list[Alert]
    rows: int
    days: int
    is_daily: bool = False

    def in_words(self) -> str:
        """Return one line about the progress."""
        suppressed = f", {len(self.suppressed)} suppressed by a verdict or a plan" if self.suppressed else ""
        rows = rows_text(self.rows, is_daily=self.is_daily)
        return f"{rows} over {self.days} days, {len(self.alerts)} alerts{suppressed}"


def score(
    features: Path,
    output_dir: Path,
    *,
    model_tar: Path | None = None,
    endpoint_url: str | None = None,
    endpoint_name: str = ENDPOINT_NAME,
    start: datetime | None = None,
    end: datetime | None = None,
    policy: Policy | None = None,
    feedback: Sequence[Mapping[str, Any]] = (),
    planned: Sequence[PlannedEvent] = (),
    owners: Sequence[OwnerRule] = (),
    find_changes: FindChanges | None = None,
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> ScoreResult:
    """Score [start, end) day by day and return the alerts.

    The detector decides hour by hour from earlier data. So scoring by the day gives the same alerts as scoring by the
    hour (a test checks this).

    Parameters
    ----------
    features : Path
        A processed_features.parquet.
    output_dir : Path
        Gets `alerts.json`, `messages.txt` (the text of the notifications) and `scored/day=.../scores.parquet`.
    model_tar : Path, optional
        The artifact to score with, in this process; or
    endpoint_url : str, optional
        an endpoint that is already up, such as one that `egress-sentinel serve` started.
    endpoint_name : str
        The endpoint's name there.
    start, end : datetime, optional
        Half-open range of UTC hours; by default all hours of the features.
    policy : Policy, optional
        The default policy if None.
    feedback : sequence of mapping
        Verdicts on earlier alerts, as `egress-sentinel feedback` writes them.
    planned : sequence of PlannedEvent
        Expected transfers: incidents that keep to the plan are suppressed.
    owners : sequence of OwnerRule
        Who owns an alert, besides tags.
    find_changes : callable, optional
        Looks for the changes before an incident.
    track : callable
        Wraps the days, to show progress.

    Raises
    ------
    UserError
        The features or the model cannot be read, there is nothing to score in the range, or the endpoint refuses.
    """
    table = _read_range(features, start, end)
    is_daily = bool(pc.any(table["is_daily"]).as_py())
    for moment, option in ((start, "--start"), (end, "--end")):
        if is_daily and moment is not None:
            check_midnight(moment, option)
    run = LocalRun(policy or Policy(), planned, owners, find_changes)
    run.alerts.give(feedback)
    scorer = _scorer(model_tar, endpoint_url, endpoint_name)
    descriptions = feature_descriptions(table) or {}
    days: list[str] = sorted(pc.unique(pc.strftime(table["hour_utc"], format="%Y-%m-%d")).to_pylist())
    try:
        detector = run.detector(scorer)
        # Scored at once, which is cheaper, and decided day by day, as the rows would have arrived.
        scored = detector.score(sort_rows(table))
        for day in track("score", days):
            window = _window(day, start, end)
            detector.decide(window, in_hours(scored, window.start, window.end), descriptions, planned)
    except ScorerError as error:
        raise UserError(str(error)) from error
    run.write(output_dir)
    alerts = run.records()
    return ScoreResult(
        [alert for alert in alerts if not alert["suppressed_by"]],
        [alert for alert in alerts if alert["suppressed_by"]],
        table.num_rows,
        len(days),
        is_daily,
    )


@dataclass
class LocalRun:
    """The detector's memory during a run on this machine: scored rows, alerts and notifications."""

    policy: Policy
    planned: Sequence[PlannedEvent] = ()
    owners: Sequence[OwnerRule] = ()
    find_changes: FindChanges | None = None
    rows: RowsInMemory = field(default_factory=RowsInMemory)
    alerts: AlertsInMemory = field(default_factory=AlertsInMemory)
    outbox: Outbox = field(default_factory=Outbox)

    def detect(self, scorer: Scorer, features: pa.Table, window: Window) -> Outcome:
        """Let the detector decide on the rows of a window, as one invocation of the Lambda function does."""
        rows = sort_rows(in_hours(features, window.start, window.end))
        return self.detector(scorer).run(window, rows, feature_descriptions(rows) or {}, self.planned)

    def detector(self, scorer: Scorer) -> Detector:
        """Return the detector that keeps its results here."""
        return Detector(self.policy, scorer, self.rows, self.alerts, self.outbox, self.owners, self.find_changes)

    def records(self) -> list[Alert]:
        """Return all alerts so far, suppressed ones too, worst first."""
        return worst_first(stored.alert for stored in self.alerts.all())

    def write(self, output_dir: Path) -> None:
        """Write `alerts.json`, `messages.txt` and `scored/` into a folder."""
        (output_dir / "alerts.json").write_text(json.dumps(self.records(), indent=2) + "\n", encoding="utf-8")
        (output_dir / "messages.txt").write_text("\n\n".join(self.outbox.messages) + "\n", encoding="utf-8")
        self.rows.write(output_dir / "scored")


def model_in_memory(model_tar: Path) -> ModelInMemory:
    """Load an artifact to score with in this process.

    Raises
    ------
    UserError
        It cannot be read, or is not one of the training script.
    """
    return ModelInMemory(load_model(model_tar))


def _scorer(model_tar: Path | None, endpoint_url: str | None, endpoint_name: str) -> Scorer:
    if endpoint_url is not None:
        return _endpoint(endpoint_url, endpoint_name)
    if model_tar is None:
        raise UserError("scoring needs a model (--model) or a running endpoint (--endpoint-url)")
    return model_in_memory(model_tar)


def _endpoint(url: str, name: str) -> Scorer:
    import boto3
    from botocore.config import Config

    from anomaly_detector.endpoint import Endpoint

    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        # A local endpoint checks no signature.
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=65, proxies={}),
    )
    return Endpoint(runtime, name, _MAX_BODY_BYTES)


def _read_range(features: Path, start: datetime | None, end: datetime | None) -> pa.Table:
    first = 0 if start is None else hour_number(start)
    last = _NO_END if end is None else hour_number(end)
    try:
        # Row group by row group, so that a long history costs no more memory than the range. pyarrow.dataset would do
        # the same, but it imports pandas, which costs more CPU than the rest of a run.
        with pq.ParquetFile(features) as file:
            groups = (file.read_row_group(number) for number in range(file.num_row_groups))
            parts = [file.schema_arrow.empty_table(), *(in_hours(group, first, last) for group in groups)]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error
    table = pa.concat_tables(parts)
    missing = [name for name in (*KEYS, *MEASURES) if name not in table.column_names]
    if missing:
        raise UserError(f"{features} has no column {missing[0]}; make the features anew")
    if table.num_rows == 0:
        raise UserError(f"{features} has no hours from {start or 'its start'} to {end or 'its end'}: nothing to score")
    return table


def _window(day: str, start: datetime | None, end: datetime | None) -> Window:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    last = midnight + timedelta(days=1)
    return Window(hour_number(max(midnight, start or midnight)), hour_number(min(last, end or last)))
