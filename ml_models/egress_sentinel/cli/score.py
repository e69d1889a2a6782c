"""The command `score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.cli.output import reporter


def score(
    features: options.Features,
    model: Annotated[Path | None, typer.Option(help="A model.tar.gz to score with.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The URL of an endpoint that `serve` started.")] = None,
    endpoint_name: Annotated[str, typer.Option(help="The endpoint's name there.")] = "egress-sentinel",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="First hour (UTC); default: the first there is.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Hour (UTC) to stop before; default: the last there is.")
    ] = None,
    output_dir: options.OutputDir = options.DEFAULT_OUTPUT_DIR,
    policy: options.PolicyFile = None,
    min_excess_usd: options.MinExcessUsd = None,
    min_excess_gb: options.MinExcessGb = None,
    min_excess_percent: options.MinExcessPercent = None,
    feedback: options.FeedbackFile = None,
    planned: options.PlannedFile = None,
    owners: options.OwnersFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Score the hours of a features file in order and print the alerts."""
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.alerts import suppressed_line
    from egress_sentinel.pipeline.scoring import score as score_features

    progress = reporter()
    with replaced_directory(output_dir) as directory, progress.step("score") as step:
        result = score_features(
            features,
            directory,
            model_tar=model,
            endpoint_url=endpoint_url,
            endpoint_name=endpoint_name,
            start=options.hour(start, "--start"),
            end=options.hour(end, "--end"),
            policy=options.policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent),
            feedback=options.feedback_of(feedback),
            planned=options.planned_of(planned),
            owners=options.owners_of(owners),
            track=progress.track,
        )
        step.result = result.in_words()
    for alert in result.suppressed:
        progress.note(suppressed_line(alert))
    print_alerts(result.alerts, as_json=as_json, file=output_dir / "alerts.json")
