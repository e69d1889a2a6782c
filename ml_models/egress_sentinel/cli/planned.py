"""The command `planned`, and the option by which others take a calendar of planned events."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from egress_alerts.planned import PlannedEvent

PlannedFile = Annotated[
    Path | None,
    typer.Option(
        "--planned",
        metavar="FILE",
        help="A calendar of expected transfers (planned.toml or .json; `egress-sentinel planned` checks it): what "
        "keeps to the plan is quiet, and training leaves its hours out.",
    ),
]


def events(path: Path | None) -> list[PlannedEvent]:
    """Return the events of a calendar; none where no file is given."""
    from egress_sentinel.pipeline.planned import read_planned

    return read_planned(path) if path else []


def planned(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A planned.toml or .json.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else on stdout, for Terraform's planned_events.")
    ] = False,
) -> None:
    """Check a calendar of planned events, and show what it would keep quiet.

    An event has note, from, to (a day: its end), max_gb or max_usd above what is usual; and account, region,
    egress_class, resource (with * and ?), where what is left out is any.
    """
    found = [event.record() for event in events(file)]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table("from (UTC)", "to", "account", "region", "class", "resource", "at most", "note")
    for event in found:
        limits = [f"{event['max_gb']:,g} GB"] if "max_gb" in event else []
        limits += [f"${event['max_usd']:,g}"] if "max_usd" in event else []
        about = [event.get(name, "any") for name in ("account", "region", "egress_class", "resource")]
        times = [event[name][:16].replace("T", " ") for name in ("from", "to")]
        table.add_row(*times, *about, ", ".join(limits), event["note"])
    Console(width=None if sys.stdout.isatty() else 160).print(table)
