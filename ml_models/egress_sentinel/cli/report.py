"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import reporter


def report(
    alerts: Annotated[Path, typer.Argument(metavar="ALERTS", help="An alerts.json as `score` and `run` write it.")],
    features: Annotated[Path, typer.Option(help="The processed_features.parquet that was scored.")],
    scored: Annotated[Path | None, typer.Option(help="The scored/ folder, to show scores over time.")] = None,
    output: options.Output = Path("report.html"),
) -> None:
    """Write one self-contained HTML page of alerts and features."""
    from egress_sentinel.pipeline.alerts import read_alerts
    from egress_sentinel.report import write_report

    with reporter().step("report") as step:
        found = read_alerts(alerts)
        suppressed = [alert for alert in found if alert["suppressed_by"]]
        notified = [alert for alert in found if not alert["suppressed_by"]]
        made_from = {"Alerts": str(alerts), "Features": str(features)}
        write_report(notified, features, output, scored=scored, suppressed=suppressed, made_from=made_from)
        step.result = str(output)
