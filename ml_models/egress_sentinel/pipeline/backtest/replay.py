"""Passes deliveries to the detector one after another. The detector never sees later data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_alerts.model import ScorerError
from egress_alerts.series import Window, hour_number
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.memory import excess_usd_by_hour
from egress_sentinel.pipeline.scoring import LocalRun, model_in_memory
from egress_sentinel.pipeline.training import train

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_alerts.model import Scorer
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.policy import Policy
    from egress_sentinel.pipeline.backtest.features import Arrived

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Replayed:
    """The results of a replay.

    `raised` maps alert ids to the time and the first record of the alert. `alerts` are the final records of all alerts,
    including suppressed ones. `excess_usd` is by alert id and hour. `trainings` have times and ranges.
    """

    alerts: list[Alert] = field(default_factory=list)
    raised: dict[str, tuple[datetime, Alert]] = field(default_factory=dict)
    excess_usd: dict[str, dict[datetime, float]] = field(default_factory=dict)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0


def replay(
    arrivals: Iterable[Arrived],
    output_dir: Path,
    *,
    retrain_days: int,
    hyperparameters: Mapping[str, str],
    policy: Policy,
    planned: Sequence[PlannedEvent],
    feedback: Sequence[Mapping[str, Any]] = (),
) -> Replayed:
    """Train on the arrived hours, score new ones, and train again every `retrain_days`.

    A delivery is scored with the model of its time. Training leaves out the hours of earlier alerts, unless an earlier
    verdict called them false.

    Parameters
    ----------
    arrivals : iterable of Arrived
        In time order. The first delivery is used for training, and later hours are scored.
    output_dir : Path
        The folder for `alerts.json`, `messages.txt`, `scored/` and the last `model.tar.gz`.
    retrain_days : int
        Days between trainings.
    hyperparameters : mapping
        Hyperparameters of the training script.
    policy : Policy
    planned : sequence of PlannedEvent
    feedback : sequence of mapping
        Records of `egress-sentinel feedback`. Each one counts from the first delivery at or after its time.
    """
    found = Replayed()
    run = LocalRun(policy, planned)
    scorer: Scorer | None = None
    trained_at, scored_until = datetime.min.replace(tzinfo=UTC), None
    for arrived in arrivals:
        given = [record for record in feedback if datetime.fromisoformat(record["judged_at"]) <= arrived.moment]
        run.alerts.give(given)
        if scorer is not None and scored_until is not None:
            _take(run, scorer, arrived, scored_until, found)
        scored_until = max(scored_until or arrived.visible_until, arrived.visible_until)
        if arrived.moment - trained_at < timedelta(days=retrain_days):
            continue
        trained_at = arrived.moment
        metrics = train(
            arrived.features,
            output_dir / "model.tar.gz",
            until=arrived.visible_until,
            hyperparameters=hyperparameters,
            feedback=given,
            planned=planned,
            alerts=run.records(),
        )
        found.trainings.append(_training(arrived, metrics["rows"]))
        scorer = model_in_memory(output_dir / "model.tar.gz")
    found.alerts = run.records()
    found.excess_usd = {
        alert_id: {_EPOCH + timedelta(hours=hour): usd for hour, usd in by_hour.items()}
        for alert_id, by_hour in excess_usd_by_hour(run.alerts.all()).items()
    }
    run.write(output_dir)
    return found


def _take(run: LocalRun, scorer: Scorer, arrived: Arrived, start: datetime, found: Replayed) -> None:
    """Score the new and the restated hours of a delivery, and record new alerts."""
    first = start - timedelta(hours=arrived.restated_hours)
    rows = arrived.rows(first)
    if rows.num_rows == 0:
        return
    try:
        outcome = run.detect(scorer, rows, Window(hour_number(first), hour_number(arrived.visible_until)))
    except ScorerError as error:
        raise UserError(str(error)) from error
    found.rows += outcome.rows_scored
    if outcome.new_alerts or outcome.updated_alerts:
        for alert in run.records():
            if not alert["suppressed_by"]:
                found.raised.setdefault(alert["alert_id"], (arrived.moment, alert))


def _training(arrived: Arrived, rows: int) -> dict[str, Any]:
    return {
        "trained_at_utc": f"{arrived.moment:%Y-%m-%dT%H:%M:%SZ}",
        "until_utc": f"{arrived.visible_until:%Y-%m-%dT%H:%M:%SZ}",
        "rows": rows,
    }
