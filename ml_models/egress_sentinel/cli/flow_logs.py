"""What the command line takes about VPC Flow Logs, and the command that shows their hours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_features import FlowLogs

Paths = Annotated[
    list[str] | None,
    typer.Option(
        "--flow-logs",
        metavar="PATH",
        help="Files, globs or folders of VPC Flow Logs (.parquet, .log.gz, .txt): they fill the hours that the bill "
        "has not reached, estimated at list prices, or stand alone without a bill. Repeatable.",
    ),
]
Network = Annotated[
    list[Path] | None,
    typer.Option(
        "--network",
        metavar="JSON",
        help="The output of `aws ec2 describe-network-interfaces` or `describe-subnets`: whose the interfaces are, and "
        "in which zones addresses lie. Repeatable.",
    ),
]
Prices = Annotated[
    Path | None, typer.Option("--prices", metavar="JSON", help="A price table to estimate with; default: list prices.")
]
CompleteUntil = Annotated[
    str | None,
    typer.Option(
        "--bill-complete-until",
        metavar="TIME",
        help="The first hour (UTC) for which the bill is not complete and flow logs speak. Default: the last 24 hours "
        "of its EC2 lines.",
    ),
]


def flow_logs_of(
    exports: list[str] | None,
    paths: list[str] | None,
    network: list[Path] | None,
    prices: Path | None,
    complete_until: str | None,
) -> FlowLogs | None:
    """Return what was said about flow logs; None where nothing was.

    Raises
    ------
    UserError
        Neither an export nor flow logs, or options of flow logs without them.
    BadInputError
        A path that names no flow log.
    """
    from egress_features import FlowLogs, find_flow_logs
    from egress_sentinel.pipeline.time_range import parse_hour

    if not paths:
        if network or prices or complete_until:
            raise UserError("--network, --prices and --bill-complete-until are about flow logs: give --flow-logs PATH")
        if not exports:
            raise UserError("nothing to read: give billing exports (EXPORT...), flow logs (--flow-logs PATH), or both")
        return None
    until = parse_hour(complete_until, "--bill-complete-until") if complete_until else None
    return FlowLogs(find_flow_logs(paths), network or (), prices, until)


def flow_hours(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, globs or folders of VPC Flow Logs.")],
    network: Network = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path("flow_hours.parquet"),
) -> None:
    """Add flow logs up by hour, interface, destination class and path, with the shape of the destinations."""
    from egress_features import FlowLogs, find_flow_logs, write_flow_hours
    from egress_sentinel.progress import Reporter

    reporter = Reporter(Console(stderr=True))
    with reporter.step("flow hours") as step:
        summary = write_flow_hours(FlowLogs(find_flow_logs(paths), network or ()), output)
        step.result = f"{summary.rows:,} rows of {summary.records:,} records in {output}"
    for note in summary.notes:
        reporter.note(note)
