"""The command `demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.cli.output import reporter, say


def demo(
    output_dir: options.OutputDir = Path("demo-output"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the generated bill.")] = 7,
    as_json: options.AsJson = False,
) -> None:
    """Analyze a generated 60-day bill with seven known incidents, and compare the alerts with them."""
    from egress_sentinel.demo import write_demo_bill
    from egress_sentinel.demo.outcome import compare, outcome_lines
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.job import REPORT_FILE, run_job

    progress = reporter()
    with replaced_directory(output_dir) as directory:
        with progress.step("bill") as step:
            bill = write_demo_bill(directory, seed=seed)
            step.result = f"{bill.lines:,} lines, {bill.incidents} labelled incidents"
        labels = json.loads(bill.labels.read_text(encoding="utf-8"))
        result = run_job(bill.files, directory, progress, train_until=bill.score_from, labels=labels)
    print_alerts(result.alerts, as_json=as_json, file=output_dir / "alerts.json")
    for line in outcome_lines(compare(result.alerts, labels)):
        say(line)
    say(f"report: {(output_dir / REPORT_FILE).absolute()}")
