"""The command `digest`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_alerts.digest import Digest
    from egress_alerts.series import Window


def digest(
    alerts: Annotated[Path, typer.Option(help="The alerts.json of a run on this machine.")] = (
        options.DEFAULT_OUTPUT_DIR / "alerts.json"
    ),
    features: Annotated[Path, typer.Option(help="The processed_features.parquet of that run.")] = (
        options.DEFAULT_OUTPUT_DIR / "processed_features.parquet"
    ),
    feedback: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The verdicts that `egress-sentinel feedback` wrote.")
    ] = None,
    terraform_dir: Annotated[
        Path | None,
        typer.Option(help="The folder in which `terraform apply` ran: the digest of that deployment's alerts table."),
    ] = None,
    week: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="A day of the week (Monday to Sunday, UTC). Default: the last whole week."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Summarize a week: new, ongoing and ended incidents, owners, missing verdicts, and costs by class and account."""
    from egress_alerts.digest import render_digest
    from egress_sentinel.pipeline.digest import digest_of_run, parse_week

    asked = parse_week(week) if week else None
    if terraform_dir is not None:
        found = _of_deployment(terraform_dir, asked)
    else:
        found = digest_of_run(options.alerts_of(alerts), features, options.feedback_of(feedback), asked)
    if as_json:
        print_json(found)
    else:
        print(render_digest(found))


def _of_deployment(terraform_dir: Path, week: Window | None) -> Digest:
    from botocore.exceptions import BotoCoreError, ClientError

    from anomaly_detector.digest import read_digest
    from egress_alerts.digest import last_whole_week
    from egress_sentinel.deployment.backfill import PREFIX

    outputs = options.outputs_of(terraform_dir)
    name, session = options.alerts_table_of(outputs), options.session_of(outputs)
    week = week or last_whole_week(int(time.time()) // 3600)
    try:
        table = session.resource("dynamodb").Table(name)
        return read_digest(session.client("s3"), str(outputs["bucket"]), PREFIX, table, week)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read the alerts table {name} and the bucket {outputs['bucket']}: {error}") from error
