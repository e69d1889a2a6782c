"""The whole job on one bill: exports, features, model, scores, alerts, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_alerts.policy import Policy
from egress_features import build_features
from egress_features.sources.labels import WANTED_TAGS
from egress_sentinel.pipeline.alerts import suppressed_line
from egress_sentinel.pipeline.scoring import score
from egress_sentinel.pipeline.time_range import Split, check_midnight, rows_text, series_text, split
from egress_sentinel.pipeline.training import train
from egress_sentinel.report import write_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_alerts.changes import FindChanges
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.routing import OwnerRule
    from egress_features import FlowLogs
    from egress_sentinel.progress import Reporter

FEATURES_FILE = "processed_features.parquet"
MODEL_FILE = "model.tar.gz"
REPORT_FILE = "report.html"
_MAX_FILES = 5


@dataclass(frozen=True)
class JobResult:
    """The alerts, worst first, and the time range that was learned from and scored."""

    alerts: list[Alert]
    split: Split


def run_job(
    exports: Sequence[Path],
    output_dir: Path,
    reporter: Reporter,
    *,
    flow_logs: FlowLogs | None = None,
    train_until: datetime | None = None,
    hyperparameters: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    labels: Sequence[Mapping[str, Any]] | None = None,
    feedback: Sequence[Mapping[str, Any]] = (),
    planned: Sequence[PlannedEvent] = (),
    owners: Sequence[OwnerRule] = (),
    find_changes: FindChanges | None = None,
    tags: Sequence[str] | None = None,
) -> JobResult:
    """Run all steps from billing exports to alerts and a report. Each step writes a file to `output_dir`.

    Parameters
    ----------
    exports : sequence of Path
        Billing export files.
    output_dir : Path
        An existing directory, which gets `processed_features.parquet`, `model.tar.gz`, `scored/`, `alerts.json`,
        `messages.txt` and `report.html`.
    reporter : Reporter
        Reports the progress.
    flow_logs : FlowLogs, optional
        For the hours that the bill has not reached yet, or instead of a bill.
    train_until : datetime, optional
        The first hour to score, as in `time_range.split`.
    hyperparameters : mapping, optional
        For the training script.
    policy : Policy, optional
        For the detector.
    labels : sequence of mapping, optional
        Incidents known beforehand, drawn in the report.
    feedback : sequence of mapping
        Verdicts on earlier alerts: training leaves their hours out, and repeats are suppressed.
    planned : sequence of PlannedEvent
        Expected transfers: training leaves their hours out, and incidents that keep to the plan are suppressed.
    owners : sequence of OwnerRule
        Who owns an alert, besides tags.
    find_changes : callable, optional
        Looks for the changes before an incident.
    tags : sequence of str, optional
        Names of the resource tags that alerts show.

    Raises
    ------
    BadInputError, UserError
        Whatever a step refuses, each with one sentence.
    """
    features = output_dir / FEATURES_FILE
    with reporter.step("features") as step:
        summary = build_features(exports, features, flow_logs=flow_logs, tags=tags or WANTED_TAGS)
        step.result = (
            f"{summary.input_lines:,} lines, {summary.egress_lines:,} of them egress, "
            f"are {rows_text(summary.rows, is_daily=summary.is_daily)} of {series_text(summary.series, summary.levels)}"
        )
    for note in summary.notes:
        reporter.note(note)
    if summary.is_daily and train_until is not None:
        check_midnight(train_until, "--train-until")
    times = split(summary.start_hour_utc, summary.end_hour_utc, train_until)
    model_tar = output_dir / MODEL_FILE
    with reporter.step("train") as step:
        metrics = train(
            features, model_tar, until=times.until, hyperparameters=hyperparameters, feedback=feedback, planned=planned
        )
        learned = rows_text(metrics["rows"], is_daily=summary.is_daily)
        learned += f" before {times.until:{'%Y-%m-%d' if summary.is_daily else '%Y-%m-%d %H:%M'}} UTC"
        step.result = learned
    with reporter.step("score") as step:
        result = score(
            features,
            output_dir,
            model_tar=model_tar,
            start=times.until,
            end=times.end,
            policy=policy,
            feedback=feedback,
            planned=planned,
            owners=owners,
            find_changes=find_changes,
            track=reporter.track,
        )
        step.result = result.in_words()
    for alert in result.suppressed:
        reporter.note(suppressed_line(alert))
    with reporter.step("report") as step:
        write_report(
            result.alerts,
            features,
            output_dir / REPORT_FILE,
            scored=output_dir / "scored",
            labels=labels,
            scored_from=times.until,
            suppressed=result.suppressed,
            bill_usd=summary.bill_usd,
            made_from=describe_inputs(exports, policy or Policy()) | {"Learned from": learned},
        )
        step.result = REPORT_FILE
    return JobResult(result.alerts, times)


def describe_inputs(exports: Sequence[Path], policy: Policy) -> dict[str, str]:
    """Return the files and the policy behind a report, by label, for a person."""
    names = [f"{path.parent.name}/{path.name}" for path in exports[:_MAX_FILES]]
    more = [f"{len(exports) - _MAX_FILES} more"] if len(exports) > _MAX_FILES else []
    return {"Files": ", ".join([*names, *more]) or "flow logs", "Policy": _policy_text(policy)}


def _policy_text(policy: Policy) -> str:
    medium, high, critical = policy.severity_usd_per_day
    scopes = f"; {len(policy.overrides)} overrides" if policy.overrides else ""
    return (
        f"alerts from ${policy.min_excess_usd:,.2f} a day and {policy.min_excess_percent:g} % above expected (from "
        f"{policy.min_excess_gb:g} GB where the bill has $0), medium from ${medium:,.0f} a day, "
        f"high from ${high:,.0f}, critical from ${critical:,.0f}{scopes}"
    )
