"""The command `backtest`: the alerts of a bill's past, and the dollars that they would have saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from egress_alerts.alert import period
from egress_sentinel.cli import options
from egress_sentinel.cli.output import minute, print_json, print_line, print_table, reporter, resource_name, right, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egress_sentinel.pipeline.backtest import Backtest


def backtest(
    exports: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPORT...",
            help="Billing exports as `run` takes them. The folder of an export that keeps every delivery is replayed "
            "by delivery, from its manifests. Other exports are replayed with the usual lag.",
        ),
    ],
    output_dir: options.OutputDir = Path("egress-sentinel-backtest"),
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Ignore data that arrived after this hour (UTC), such as 2026-10-16. Default: ignore none.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The first hour (UTC) to replay. Default: with 14 days to learn from."
        ),
    ] = None,
    lag_hours: Annotated[
        int, typer.Option(min=0, help="Hours from usage to its bill, for exports without delivery times.")
    ] = 24,
    every_hours: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Hours between deliveries (default: 8). With delivery times, the last delivery of each interval.",
        ),
    ] = None,
    retrain_days: Annotated[int, typer.Option(min=1, help="Days from one training to the next.")] = 7,
    react_hours: Annotated[int, typer.Option(min=0, help="Hours from an alert to the end of the incident.")] = 4,
    policy: options.PolicyFile = None,
    min_excess_usd: options.MinExcessUsd = None,
    min_excess_gb: options.MinExcessGb = None,
    min_excess_percent: options.MinExcessPercent = None,
    planned: options.PlannedFile = None,
    feedback: options.FeedbackFile = None,
    n_estimators: options.Trees = options.DEFAULT_TREES,
    as_json: options.AsJson = False,
) -> None:
    """Replay a bill's history as it arrived: alerts, delays, and the dollars that they would have saved.

    At each delivery only what had arrived is known: a model is trained on it every week, new hours are scored by the
    deployed code, and an alert counts from the delivery that brought it. Costs until the alert and from --react-hours
    after it are added up; the assumptions are printed with the result.
    """
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.backtest import Timing, run_backtest
    from egress_sentinel.pipeline.backtest.deliveries import thinned
    from egress_sentinel.pipeline.exports import open_exports
    from egress_sentinel.pipeline.job import REPORT_FILE

    until, first = options.hour(as_of, "--as-of"), options.hour(start, "--from")
    calendar, verdicts = options.planned_of(planned), options.feedback_of(feedback)
    rules = options.policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent)
    progress = reporter()
    with replaced_directory(output_dir) as directory, open_exports(exports, progress) as found:
        dated = found.deliveries()
        dated = dated if len(dated) > 1 else []
        found.download(path for delivery in thinned(dated, until, every_hours) for path in delivery.files)
        result = run_backtest(
            [] if dated else found.files(),
            directory,
            progress,
            dated=dated,
            as_of=until,
            start=first,
            timing=Timing(lag_hours, every_hours, retrain_days, react_hours),
            hyperparameters=options.hyperparameters(n_estimators, options.DEFAULT_CONTAMINATION, options.DEFAULT_SEED),
            policy=rules,
            planned=calendar,
            feedback=verdicts,
        )
    if as_json:
        print_json(result.record())
    else:
        _print(result)
    say(f"report: {output_dir / REPORT_FILE}")


def _print(result: Backtest) -> None:
    from egress_sentinel.report.backtest import headline_of

    if result.alerts:
        columns = [
            *(Column(name, overflow="fold") for name in ("alert came (UTC)", "severity", "account_id\nregion")),
            Column("egress_class\nresource_id", overflow="fold"),
            Column("from (UTC)\nto\nlength", no_wrap=True),
            *(right(name, no_wrap=True) for name in ("hours until\nthe alert", "above expected")),
            *(right(name, no_wrap=True) for name in ("before the alert", "avoidable")),
        ]
        print_table(columns, [_cells(alert) for alert in result.alerts], show_lines=True, pad_edge=False)
    print_line(headline_of(result))
    for sentence in result.assumptions:
        print_line(f"- {sentence}")


def _cells(alert: Mapping[str, Any]) -> list[str]:
    return [
        minute(alert["alerted_at_utc"]),
        alert["as_told"]["severity"].upper(),
        f"{alert['account_id']}\n{alert['region']}",
        f"{alert['egress_class']}\n{resource_name(alert['resource_id'])}",
        "\n".join(period(alert)),
        f"{alert['hours_until_alert']:,.0f}",
        f"${alert['excess_usd']:,.2f}\n{alert['usage_gb'] - alert['expected_usage_gb']:,.1f} GB",
        *(f"${alert[name]:,.2f}" for name in ("excess_before_alert_usd", "avoidable_usd")),
    ]
