"""The command `feedback`: what a person says of an alert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from egress_alerts.alert import Alert

FeedbackFile = Annotated[
    Path | None,
    typer.Option(
        "--feedback",
        metavar="FILE",
        help="Verdicts that `egress-sentinel feedback` wrote: repeats of what was called false or planned are quiet, "
        "and training leaves out the hours of what was called true or planned.",
    ),
]
AlertsFile = Annotated[
    Path | None,
    typer.Option(
        "--alerts",
        metavar="FILE",
        help="The alerts.json of an earlier run: training leaves their hours out, unless they were called false.",
    ),
]


def records(path: Path | None) -> list[dict[str, Any]]:
    """Return the verdicts of a feedback file; none where no file is given."""
    from egress_sentinel.pipeline.feedback import read_feedback

    return read_feedback(path) if path else []


def alerts_of(path: Path | None) -> list[Alert]:
    """Return the alerts of a file; none where no file is given."""
    from egress_sentinel.pipeline.alerts import read_alerts

    return read_alerts(path) if path else []


def feedback(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID", help="As the alert says it in its last line.")],
    verdict: Annotated[
        str, typer.Argument(metavar="VERDICT", help="true (an incident), false (a false alarm) or planned.")
    ],
    note: Annotated[str, typer.Option(help="Why, for whoever reads it next.")] = "",
    alerts: Annotated[Path, typer.Option(help="The alerts.json of a run on this machine.")] = Path(
        "egress-sentinel-output/alerts.json"
    ),
    file: Annotated[Path, typer.Option(help="Where verdicts on runs of this machine are kept.")] = Path(
        "feedback.json"
    ),
    terraform_dir: Annotated[
        Path | None,
        typer.Option(help="The folder in which `terraform apply` ran: the verdict goes to its alerts table."),
    ] = None,
) -> None:
    """Say of an alert that it was true, false or planned; repeats of the same cause are then quiet.

    A new alert is quiet where the same series cause it and each carries at most twice as much, in all and in its
    largest day: for thirteen months after `false`, for 60 days after `planned`.
    """
    from egress_sentinel.pipeline import feedback as verdicts

    if terraform_dir is None:
        verdicts.add_to_file(file, verdicts.judge(verdicts.alert_in_file(alerts, alert_id), verdict, note))
        where = f"{file}; give it to the next run with --feedback {file}"
    else:
        where = f"the table {_judge_in_aws(terraform_dir, alert_id, verdict, note)}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"{alert_id}: {verdict}, kept in {where}", markup=False)


def _judge_in_aws(terraform_dir: Path, alert_id: str, verdict: str, note: str) -> str:
    import boto3

    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs
    from egress_sentinel.pipeline import feedback as verdicts

    table = str(read_outputs(terraform_outputs(terraform_dir))["alerts_table"])
    dynamodb = boto3.client("dynamodb")
    verdicts.put_in_table(
        dynamodb, table, [verdicts.judge(verdicts.alert_in_table(dynamodb, table, alert_id), verdict, note)]
    )
    return table
