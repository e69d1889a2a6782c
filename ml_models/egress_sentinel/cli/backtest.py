"""The command `backtest`: what a bill's past would have told, when, and what it would have saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from egress_sentinel.cli.feedback import FeedbackFile, records
from egress_sentinel.cli.planned import PlannedFile, events
from egress_sentinel.cli.policy import MinExcessGb, MinExcessPercent, MinExcessUsd, PolicyFile, policy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egress_sentinel.pipeline.backtest import Backtest


def backtest(
    exports: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPORT...",
            help="Billing exports as `run` takes them. A folder of an export that keeps every delivery (create new), "
            "with its manifests, is replayed delivery by delivery; anything else with the usual lag.",
        ),
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where everything is written; replaced as a whole, on success.")
    ] = Path("egress-sentinel-backtest"),
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Pretend that it is this hour (UTC), such as 2026-10-16: what arrived later is not seen. Default: "
            "when the bill has arrived as a whole.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="When it would have been switched on; default: with 14 days to learn from."
        ),
    ] = None,
    lag_hours: Annotated[
        int, typer.Option(min=0, help="How old usage is when the bill has all of it, where deliveries have no times.")
    ] = 24,
    every_hours: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Hours between deliveries (default: 8); where deliveries have times, the last one of each so many.",
        ),
    ] = None,
    retrain_days: Annotated[int, typer.Option(min=1, help="Days from one training to the next.")] = 7,
    react_hours: Annotated[
        int, typer.Option(min=0, help="Hours from an alert until somebody has ended the incident.")
    ] = 4,
    policy: PolicyFile = None,
    min_excess_usd: MinExcessUsd = None,
    min_excess_gb: MinExcessGb = None,
    min_excess_percent: MinExcessPercent = None,
    planned: PlannedFile = None,
    feedback: FeedbackFile = None,
    n_estimators: Annotated[int, typer.Option(min=1, help="Trees of the Isolation Forest.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Replay a bill's history as it would have arrived: which alerts, when, and what they would have saved.

    At each delivery only what had arrived is known: a model is trained on it every week, new hours are scored by the
    deployed code, and an alert counts from the delivery that brought it. Costs until the alert and from --react-hours
    after it are added up; the assumptions are printed with the result.
    """
    from egress_features import dated_deliveries, find_exports
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.backtest import Timing, run_backtest
    from egress_sentinel.pipeline.job import REPORT_FILE
    from egress_sentinel.pipeline.time_range import parse_hour
    from egress_sentinel.progress import Reporter

    moments = {"--as-of": as_of, "--from": start}
    hours = {name: parse_hour(text, name) if text else None for name, text in moments.items()}
    calendar, verdicts = events(planned), records(feedback)
    dated = dated_deliveries(exports) if all(Path(argument).is_dir() for argument in exports) else []
    dated = dated if len(dated) > 1 else []
    files = [] if dated else find_exports(exports)
    with replaced_directory(output_dir) as directory:
        result = run_backtest(
            files,
            directory,
            Reporter(Console(stderr=True)),
            dated=dated,
            as_of=hours["--as-of"],
            start=hours["--from"],
            timing=Timing(lag_hours, every_hours, retrain_days, react_hours),
            hyperparameters={"n_estimators": str(n_estimators), "contamination": "0.01", "random_state": "42"},
            policy=policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent),
            planned=calendar,
            feedback=verdicts,
        )
    if as_json:
        print(json.dumps(result.record(), indent=2, allow_nan=False))
    else:
        _print(result)
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"report: {output_dir / REPORT_FILE}", markup=False)


def _print(result: Backtest) -> None:
    from egress_sentinel.report.backtest import headline_of

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    if result.alerts:
        table = Table(show_lines=True, pad_edge=False)
        for name in ("alert came (UTC)", "severity", "account_id\nregion", "egress_class\nresource_id"):
            table.add_column(name, overflow="fold")
        table.add_column("incident from\nto (UTC)", no_wrap=True)
        for name in ("hours until\nthe alert", "above expected", "before the alert", "avoidable"):
            table.add_column(name, justify="right", no_wrap=True)
        for alert in result.alerts:
            table.add_row(*_cells(alert))
        console.print(table)
    console.print(headline_of(result), markup=False)
    for sentence in result.assumptions:
        console.print(f"- {sentence}", markup=False)


def _cells(alert: Mapping[str, Any]) -> list[str]:
    def time(name: str) -> str:
        return str(alert[name])[:16].replace("T", " ")

    resource = alert["resource_id"].rpartition(":")[2] or "no resource in the bill"
    return [
        time("alerted_at_utc"),
        alert["as_told"]["severity"].upper(),
        f"{alert['account_id']}\n{alert['region']}",
        f"{alert['egress_class']}\n{escape(resource)}",
        f"{time('start_hour_utc')}\n{time('end_hour_utc')}",
        f"{alert['hours_until_alert']:,.0f}",
        f"${alert['excess_usd']:,.2f}\n{alert['usage_gb'] - alert['expected_usage_gb']:,.1f} GB",
        *(f"${alert[name]:,.2f}" for name in ("excess_before_alert_usd", "avoidable_usd")),
    ]
