"""Deliveries one after the other through the detector; nothing of what comes later is seen."""

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
    """What a replay found.

    `raised` has, by alert id, when the alert came and its record then; `alerts` are all of them as they are in the end,
    the suppressed ones too; `excess_usd` is by alert id and hour; `trainings` have times and ranges.
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

    A delivery is scored by the model that was there when it came. Training leaves out the hours of the alerts that have
    come, unless a verdict had called them false by then.

    Parameters
    ----------
    arrivals : iterable of Arrived
        By time. The first one is trained on, and hours after it are scored.
    output_dir : Path
        Gets `alerts.json`, `messages.txt`, `scored/` and `model.tar.gz` (the last one).
    retrain_days : int
        Days from one training to the next.
    hyperparameters : mapping
        For the training script.
    policy : Policy
    planned : sequence of PlannedEvent
    feedback : sequence of mapping
        Records as `egress-sentinel feedback` writes them; each counts from the first delivery at or after the moment at
        which it was given.
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
    """Score a delivery's new hours, and those that it restates, and keep the alerts that come for the first time."""
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
