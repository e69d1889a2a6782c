"""The commands that suppress alerts: `feedback` and `planned`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import minute, print_json, print_table, say


def feedback(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID", help="The id in the last line of the alert.")],
    verdict: Annotated[
        str, typer.Argument(metavar="VERDICT", help="true (an incident), false (a false alarm) or planned.")
    ],
    note: Annotated[str, typer.Option(help="The reason, for the next reader.")] = "",
    alerts: Annotated[Path, typer.Option(help="The alerts.json of a run on this machine.")] = (
        options.DEFAULT_OUTPUT_DIR / "alerts.json"
    ),
    file: Annotated[Path, typer.Option(help="Where verdicts on runs of this machine are kept.")] = Path(
        "feedback.json"
    ),
    terraform_dir: Annotated[
        Path | None,
        typer.Option(help="The folder in which `terraform apply` ran: the verdict goes to its alerts table."),
    ] = None,
) -> None:
    """Record a verdict on an alert: true, false or planned. Similar alerts are then suppressed.

    A new alert is suppressed when the same series cause it and each carries at most twice as much, in all and in its
    largest day: for thirteen months after `false`, for 60 days after `planned`.
    """
    from egress_sentinel.pipeline import feedback as verdicts

    if terraform_dir is None:
        verdicts.add_to_file(file, verdicts.judge(verdicts.alert_in_file(alerts, alert_id), verdict, note))
        where = f"{file}; give it to the next run with --feedback {file}"
    else:
        where = f"the table {_judge_in_aws(terraform_dir, alert_id, verdict, note)}"
    say(f"{alert_id}: {verdict}, kept in {where}")


def planned(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A planned.toml or .json.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else on stdout, for Terraform's planned_events.")
    ] = False,
) -> None:
    """Check a calendar of planned events and list them.

    An event has a note, from, to (a day counts as a whole), and max_gb or max_usd above expected. Optional filters are
    account, region, egress_class and resource (with * and ?).
    """
    found = [event.record() for event in options.planned_of(file)]
    if as_json:
        print_json(found)
        return
    columns = ["from (UTC)", "to", "account", "region", "class", "resource", "at most", "note"]
    print_table(columns, [_event_cells(event) for event in found])


def _event_cells(event: dict[str, Any]) -> list[str]:
    limits = [f"{event['max_gb']:,g} GB"] if "max_gb" in event else []
    limits += [f"${event['max_usd']:,g}"] if "max_usd" in event else []
    about = [str(event.get(name, "any")) for name in ("account", "region", "egress_class", "resource")]
    return [minute(event["from"]), minute(event["to"]), *about, ", ".join(limits), event["note"]]


def _judge_in_aws(terraform_dir: Path, alert_id: str, verdict: str, note: str) -> str:
    from egress_sentinel.pipeline import feedback as verdicts

    outputs = options.outputs_of(terraform_dir)
    table = options.alerts_table_of(outputs)
    dynamodb = options.session_of(outputs).client("dynamodb")
    verdicts.put_in_table(
        dynamodb, table, [verdicts.judge(verdicts.alert_in_table(dynamodb, table, alert_id), verdict, note)]
    )
    return table
