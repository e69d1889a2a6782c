"""The commands that make and read features: `features`, `features get` and `flow-hours`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.models import DEFAULT_GROUP
from egress_sentinel.cli.output import print_json, print_table, reporter
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.progress import Reporter

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
    bucket: options.Bucket = None,
    terraform_dir: options.TerraformDir = None,
    tag: options.Tags = None,
    as_json: options.AsJson = False,
) -> None:
    """Build features from billing exports: one row per series and hour, with measures and expected values.

    With --bucket or --terraform-dir, also upload them into a deployment's bucket. The detector scores each day that
    arrives, and notifies of its incidents. Days that are there already with the same content are left alone.
    """
    from egress_features import build_features, open_engine
    from egress_features.sources.labels import WANTED_TAGS
    from egress_sentinel.pipeline.exports import open_exports
    from egress_sentinel.pipeline.time_range import rows_text, series_text

    seen = options.flow_logs_of(exports, flow_logs, network, prices, bill_complete_until, flow_log_format)
    if terraform_dir is not None:
        bucket = bucket or str(options.outputs_of(terraform_dir)["bucket"])
    progress = reporter()
    with open_exports(exports or [], progress) as found:
        files = found.files()
        with progress.step("features") as step, open_engine(engine) as runner:
            summary = build_features(files, output, engine=runner, flow_logs=seen, tags=tag or WANTED_TAGS)
            rows = rows_text(summary.rows, is_daily=summary.is_daily)
            step.result = f"{rows} of {series_text(summary.series, summary.levels)} in {output}"
        for note in summary.notes:
            progress.note(note)
        uploaded = _uploaded(bucket, output, progress) if bucket else {}
        if as_json:
            shown = json.loads(found.shown(json.dumps(asdict(summary), default=str, ensure_ascii=False)))
            print_json(shown | uploaded)


def _uploaded(bucket: str, features: Path, progress: Reporter) -> dict[str, Any]:
    """Upload features by day, and return what a person or a program is shown of it."""
    import boto3

    from egress_sentinel.deployment.feature_upload import upload_days
    from egress_sentinel.pipeline.s3_errors import s3_errors_as_sentences

    with progress.step("upload") as step:
        with s3_errors_as_sentences(f"s3://{bucket}"):
            s3 = boto3.client("s3")
        done = upload_days(s3, bucket, features, progress.track)
        step.result = f"{done.days} days under {done.address} ({done.unchanged} of them were there already)"
    return {"uploaded": done._asdict()}


def get_features(
    keys: Annotated[
        list[str],
        typer.Argument(metavar="KEY...", help="Series, each as ACCOUNT#REGION#SERVICE#EGRESS_CLASS#RESOURCE."),
    ],
    group: Annotated[
        str | None, typer.Option(help=f"The feature group. Default: that of --terraform-dir, or {DEFAULT_GROUP}.")
    ] = None,
    terraform_dir: options.TerraformDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Read the latest features of series from the deployment's Feature Store (feature_store in Terraform)."""
    from egress_sentinel.deployment.feature_store import read_features

    outputs = options.outputs_of(terraform_dir) if terraform_dir else {"feature_group": DEFAULT_GROUP}
    group = group or outputs.get("feature_group")
    if not group:
        raise UserError("the deployment has no feature group; set feature_store = {} in Terraform and apply it")
    runtime = options.session_of(outputs).client("sagemaker-featurestore-runtime")
    found = read_features(runtime, group, keys)
    if as_json:
        print_json(found)
        return
    for values in found.values():
        print_table(["feature", "value"], [[name, _shown(value)] for name, value in values.items()])


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


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
