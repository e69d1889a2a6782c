"""The commands that make features: `features` and `flow-hours`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json, reporter

Engine = Literal["duckdb", "spark"]


def features(
    exports: options.Exports = None,
    output: options.Output = Path("processed_features.parquet"),
    flow_logs: options.FlowLogPaths = None,
    network: options.Network = None,
    prices: options.Prices = None,
    bill_complete_until: options.CompleteUntil = None,
    flow_log_format: options.FlowLogFormat = None,
    engine: Annotated[
        Engine, typer.Option(help="The query engine: DuckDB, or Spark (requires the extra spark, and Java 17).")
    ] = "duckdb",
    tag: options.Tags = None,
    as_json: options.AsJson = False,
) -> None:
    """Build features from billing exports: one row per series and hour, with measures and expected values."""
    from egress_features import build_features, open_engine
    from egress_features.sources.labels import WANTED_TAGS
    from egress_sentinel.pipeline.exports import open_exports
    from egress_sentinel.pipeline.time_range import rows_text, series_text

    seen = options.flow_logs_of(exports, flow_logs, network, prices, bill_complete_until, flow_log_format)
    progress = reporter()
    with open_exports(exports or [], progress) as found:
        files = found.files()
        with progress.step("features") as step, open_engine(engine) as runner:
            summary = build_features(files, output, engine=runner, flow_logs=seen, tags=tag or WANTED_TAGS)
            rows = rows_text(summary.rows, is_daily=summary.is_daily)
            step.result = f"{rows} of {series_text(summary.series, summary.levels)} in {output}"
        for note in summary.notes:
            progress.note(note)
        if as_json:
            print_json(json.loads(found.shown(json.dumps(asdict(summary), default=str, ensure_ascii=False))))


def flow_hours(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, globs or folders of VPC Flow Logs.")],
    network: options.Network = None,
    flow_log_format: options.FlowLogFormat = None,
    output: options.Output = Path("flow_hours.parquet"),
) -> None:
    """Aggregate flow logs by hour, interface, destination class and path, with destination statistics."""
    from egress_features import FlowLogs, find_flow_logs, write_flow_hours

    progress = reporter()
    with progress.step("flow hours") as step:
        logs = FlowLogs(find_flow_logs(paths), network or (), log_format=flow_log_format)
        summary = write_flow_hours(logs, output)
        step.result = f"{summary.rows:,} rows of {summary.records:,} records in {output}"
    for note in summary.notes:
        progress.note(note)
