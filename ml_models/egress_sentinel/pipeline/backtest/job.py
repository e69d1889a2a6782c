"""Runs the backtest of a bill: features, deliveries, replay, savings, report."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_alerts.policy import Policy
from egress_features import build_features
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.alerts import suppressed_line
from egress_sentinel.pipeline.backtest.deliveries import (
    DEFAULT_EVERY_HOURS,
    Delivery,
    Timing,
    thinned,
    usual_deliveries,
)
from egress_sentinel.pipeline.backtest.features import as_seen, built, cuts
from egress_sentinel.pipeline.backtest.replay import Replayed, replay
from egress_sentinel.pipeline.backtest.result import Backtest
from egress_sentinel.pipeline.backtest.savings import savings
from egress_sentinel.pipeline.job import FEATURES_FILE, REPORT_FILE, describe_inputs
from egress_sentinel.pipeline.time_range import MIN_TRAINING_DAYS, rows_text, series_text
from egress_sentinel.report import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_alerts.planned import PlannedEvent
    from egress_features import FeaturesSummary
    from egress_sentinel.pipeline.backtest.features import Arrived
    from egress_sentinel.progress import Reporter

RESULT_FILE = "backtest.json"
MONTH_DAYS = 30


def run_backtest(
    exports: Sequence[Path],
    output_dir: Path,
    reporter: Reporter,
    *,
    dated: Sequence[tuple[datetime, list[Path]]] = (),
    as_of: datetime | None = None,
    start: datetime | None = None,
    timing: Timing | None = None,
    hyperparameters: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    planned: Sequence[PlannedEvent] = (),
    feedback: Sequence[Mapping[str, Any]] = (),
) -> Backtest:
    """Replay a bill in the order of its arrival.

    Parameters
    ----------
    exports : sequence of Path
        The current billing export files. Ignored if `dated` is given.
    output_dir : Path
        An existing directory for `backtest.json`, `report.html`, `alerts.json`, `messages.txt`, `scored/`,
        `processed_features.parquet` and the last `model.tar.gz`.
    reporter : Reporter
        Reports the progress.
    dated : sequence of (datetime, list of Path)
        Deliveries with times, as `dated_deliveries` lists them. Each one is processed in its original state.
    as_of : datetime, optional
        The end of the replay. Later deliveries are ignored. By default, all deliveries are used.
    start : datetime, optional
        The start of the service. By default, as soon as there are 14 days to learn from.
    timing : Timing, optional
        Lag, deliveries, trainings and reaction time.
    hyperparameters : mapping, optional
        Hyperparameters of the training script.
    policy : Policy, optional
        Policy of the detector.
    planned : sequence of PlannedEvent
        Expected transfers.
    feedback : sequence of mapping
        Verdicts on alerts. Each one counts from its time.

    Raises
    ------
    BadInputError, UserError
        A step rejects its input. The message is one sentence.
    """
    timing = timing or Timing()
    features = output_dir / FEATURES_FILE
    dated_ones = thinned(dated, as_of, timing.every_hours)
    if dated and not dated_ones:
        raise UserError(f"nothing had been delivered by {_day(as_of)}: the first delivery came at {_day(dated[0][0])}")
    files = dated_ones[-1].files if dated_ones else exports
    whole = output_dir / "whole.parquet"
    with reporter.step("features") as step:
        summary = build_features(files, whole)
        rows = rows_text(summary.rows, is_daily=summary.is_daily)
        step.result = f"{rows} of {series_text(summary.series, summary.levels)}"
    for note in summary.notes:
        reporter.note(note)
    deliveries = dated_ones or _usual(summary, as_of, timing)
    taken = _from(deliveries, summary, start, timing)
    last = taken[-1]
    until = last.visible_until or summary.end_hour_utc + timedelta(hours=1)
    as_seen(whole, features, until)
    whole.unlink()
    with reporter.step("replay") as step:
        found = replay(
            _tracked(reporter, taken, features, output_dir),
            output_dir,
            retrain_days=timing.retrain_days,
            hyperparameters=hyperparameters or {},
            policy=policy or Policy(),
            planned=planned,
            feedback=feedback,
        )
        scored = rows_text(found.rows, is_daily=summary.is_daily)
        step.result = f"{len(taken)} deliveries, {len(found.trainings)} trainings, {scored} scored"
    (output_dir / "delivered_features.parquet").unlink(missing_ok=True)
    assumptions = _assumptions(timing, feedback, last.arrived, is_dated=bool(dated_ones))
    result = _result(found, taken, summary, as_of or last.arrived, timing, assumptions)
    for alert in result.suppressed:
        reporter.note(suppressed_line(alert))
    with reporter.step("report") as step:
        (output_dir / RESULT_FILE).write_text(json.dumps(result.record(), indent=2) + "\n", encoding="utf-8")
        write_report(
            result.alerts,
            features,
            output_dir / REPORT_FILE,
            scored=output_dir / "scored",
            scored_from=result.replayed_from,
            title="Egress Sentinel: backtest",
            suppressed=result.suppressed,
            backtest=result,
            made_from=describe_inputs(files, policy or Policy()),
        )
        step.result = REPORT_FILE
    return result


def _usual(summary: FeaturesSummary, as_of: datetime | None, timing: Timing) -> list[Delivery]:
    end = summary.end_hour_utc + timedelta(hours=1)
    every = timing.every_hours or DEFAULT_EVERY_HOURS
    latest = end + timedelta(hours=timing.lag_hours + every)
    deliveries = usual_deliveries(summary.start_hour_utc, end, min(as_of, latest) if as_of else latest, timing)
    return [_by_day(delivery) for delivery in deliveries] if summary.is_daily else deliveries


def _by_day(delivery: Delivery) -> Delivery:
    """Leave out the last day if it is not complete, since in a daily bill its rows show the whole day."""
    until = delivery.visible_until
    return delivery if until is None else replace(delivery, visible_until=until.replace(hour=0))


def _from(
    deliveries: Sequence[Delivery], summary: FeaturesSummary, start: datetime | None, timing: Timing
) -> list[Delivery]:
    """Return the deliveries, starting with the first one that is long enough for training."""
    enough = summary.start_hour_utc + timedelta(days=MIN_TRAINING_DAYS)
    first = max(start, enough) if start else enough
    lag = timedelta(hours=timing.lag_hours)
    taken = [d for d in deliveries if (d.visible_until or d.arrived - lag) >= enough and d.arrived >= first]
    if len(taken) < 2:
        raise UserError(
            f"there is nothing to replay: the bill begins at {_day(summary.start_hour_utc)}, {MIN_TRAINING_DAYS} days "
            f"are needed to learn from, and {len(taken)} of {len(deliveries)} deliveries come after them"
            + (f" and after {_day(start)}" if start else "")
            + "; give more of the bill, or a later --as-of"
        )
    return taken


def _tracked(reporter: Reporter, taken: Sequence[Delivery], features: Path, folder: Path) -> Iterator[Arrived]:
    arrivals = built(taken, folder) if taken[0].files else cuts(features, taken)
    labels = [f"delivery of {delivery.arrived:%Y-%m-%d %H:%M}" for delivery in taken]
    for _, arrived in zip(reporter.track("replay", labels), arrivals, strict=True):
        yield arrived


def _result(
    found: Replayed,
    taken: Sequence[Delivery],
    summary: FeaturesSummary,
    as_of: datetime,
    timing: Timing,
    assumptions: list[str],
) -> Backtest:
    alerts = [_alert(alert, found, timing) for alert in found.alerts if alert["alert_id"] in found.raised]
    alerts.sort(key=lambda alert: (alert["alerted_at_utc"], -alert["excess_usd"], alert["alert_id"]))
    days = (taken[-1].arrived - taken[0].arrived) / timedelta(days=1)
    account_months = len(summary.accounts) * days / MONTH_DAYS
    totals = {
        "alerts": len(alerts),
        "accounts": len(summary.accounts),
        "days": round(days, 2),
        "alerts_per_account_and_month": round(len(alerts) / account_months, 2),
        **{
            name: round(sum(alert[name] for alert in alerts), 2)
            for name in ("excess_usd", "excess_before_alert_usd", "avoidable_usd")
        },
    }
    return Backtest(
        as_of=as_of,
        replayed_from=taken[0].visible_until or taken[0].arrived,
        deliveries=len(taken),
        assumptions=assumptions,
        trainings=found.trainings,
        alerts=alerts,
        suppressed=[a for a in found.alerts if a["suppressed_by"] and a["alert_id"] not in found.raised],
        totals=totals,
        course=_course(found, alerts, timing),
    )


def _alert(alert: Alert, found: Replayed, timing: Timing) -> dict[str, Any]:
    moment, raised = found.raised[alert["alert_id"]]
    start = datetime.fromisoformat(alert["start_hour_utc"])
    return {
        **alert,
        "alerted_at_utc": _iso(moment),
        "hours_until_alert": round((moment - start) / timedelta(hours=1), 2),
        **asdict(savings(found.excess_usd[alert["alert_id"]], moment, timing.react_hours)),
        "as_told": raised,
    }


def _course(found: Replayed, alerts: Sequence[Mapping[str, Any]], timing: Timing) -> list[tuple[str, float, float]]:
    """Return hour, cumulative dollars above expected, and those that remain if each alert is acted on."""
    steps: dict[datetime, tuple[float, float]] = {}
    for alert in alerts:
        acted = datetime.fromisoformat(alert["alerted_at_utc"]) + timedelta(hours=timing.react_hours)
        for hour, usd in found.excess_usd[alert["alert_id"]].items():
            spent, left = steps.get(hour, (0.0, 0.0))
            steps[hour] = (spent + usd, left + (usd if hour < acted else 0.0))
    course, spent, left = [], 0.0, 0.0
    for hour in sorted(steps):
        spent, left = spent + steps[hour][0], left + steps[hour][1]
        course.append((_iso(hour), round(spent, 4), round(left, 4)))
    return course


def _assumptions(timing: Timing, feedback: Sequence[Mapping[str, Any]], last: datetime, *, is_dated: bool) -> list[str]:
    given = sum(datetime.fromisoformat(record["judged_at"]) <= last for record in feedback)
    verdicts = f"{given} of {len(feedback)} verdicts had been given by the last delivery; each counts from then on."
    arrival = (
        "Each delivery is taken as it came, at the time in its folder's name, with the amounts that it had then."
        if is_dated
        else f"The bill is taken to be delivered every {timing.every_hours or DEFAULT_EVERY_HOURS} hours, with all "
        f"usage that is at least {timing.lag_hours} hours old. Amounts are those of the current bill, with later "
        "corrections."
    )
    return [
        arrival,
        f"A model is trained every {timing.retrain_days} days on what had arrived by then, without the hours of the "
        "alerts that had come (unless they had been called false); hours are scored once they arrive. Nothing of what "
        "came later is used.",
        *([verdicts] if feedback else []),
        f"Avoidable is the excess of an incident from {timing.react_hours} hours after its alert to its last anomalous "
        "hour, as if it had been ended then.",
        "Every alert counts as worth acting on; one that you would have called false or planned saves nothing.",
    ]


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "now"
