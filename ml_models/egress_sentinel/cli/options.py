"""The options and arguments that several commands take, and what their values are read into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_alerts.policy import Policy
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egress_alerts.alert import Alert
    from egress_alerts.changes import FindChanges
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.routing import OwnerRule
    from egress_features import FlowLogs

DEFAULT_TREES = 200
DEFAULT_CONTAMINATION = "0.01"
DEFAULT_SEED = 42
DEFAULT_OUTPUT_DIR = Path("egress-sentinel-output")

Exports = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXPORT...",
        help="Files, globs or folders of billing exports, local or s3://BUCKET/...: legacy CUR, CUR 2.0, FOCUS 1.0 "
        "preview to 1.4, also mixed (.parquet, .csv, .csv.gz). Hourly lines with resource ids give the best alerts. In "
        "a folder as AWS delivers it, its manifests list the files to read.",
    ),
]
Features = Annotated[Path, typer.Argument(metavar="FEATURES", help="A processed_features.parquet.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model.tar.gz.")]
TerraformDir = Annotated[
    Path | None, typer.Option(help="The folder in which `terraform apply` ran; its outputs are read.")
]
Bucket = Annotated[str | None, typer.Option(help="The bucket of a deployment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
OutputDir = Annotated[
    Path, typer.Option("--output-dir", "-o", help="The output folder. It is replaced as a whole, on success.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
TrainUntil = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="The first hour (UTC) to score, such as 2026-10-16 or 2026-10-16T08:00Z. "
        "Default: 60 % of the time range, at least 14 days.",
    ),
]
Trees = Annotated[int, typer.Option(min=1, help="Trees of the Isolation Forest.")]
Contamination = Annotated[
    str, typer.Option(help="Share of the training hours that the forest calls anomalous (0 to 0.5), or auto.")
]
Seed = Annotated[int, typer.Option(min=0, help="random_state of the Isolation Forest.")]

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="A policy.toml with the values of Terraform's alert_policy: floors, severity_usd_per_day, "
        "incident_gap_hours and others. An account or egress class can have its own floors ([\\[overrides]]; the most "
        "specific one wins).",
    ),
]
MinExcessUsd = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="An incident must cost this many dollars more than expected in 24 hours "
        f"(default: {Policy.min_excess_usd:g}), or ...",
    ),
]
MinExcessGb = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="... move this many GB more than expected if they are billed at $0, as in a free tier "
        f"(default: {Policy.min_excess_gb:g}).",
    ),
]
MinExcessPercent = Annotated[
    float | None,
    typer.Option(
        min=0,
        help=f"An hour counts if it is this many percent above expected (default: {Policy.min_excess_percent:g}).",
    ),
]

FeedbackFile = Annotated[
    Path | None,
    typer.Option(
        "--feedback",
        metavar="FILE",
        help="Verdicts that `egress-sentinel feedback` wrote. Alerts like one that was judged false or planned are "
        "suppressed. Training leaves out the hours of alerts that were judged true or planned.",
    ),
]
AlertsFile = Annotated[
    Path | None,
    typer.Option(
        "--alerts",
        metavar="FILE",
        help="The alerts.json of an earlier run. Training leaves out their hours, except of those judged false.",
    ),
]
PlannedFile = Annotated[
    Path | None,
    typer.Option(
        "--planned",
        metavar="FILE",
        help="A calendar of planned transfers (planned.toml or .json; `egress-sentinel planned` checks it). Alerts "
        "within the plan are suppressed, and training leaves out their hours.",
    ),
]

OwnersFile = Annotated[
    Path | None,
    typer.Option(
        "--owners",
        metavar="FILE",
        help="Rules that give each alert an owner, by tag, account, region, class or resource (owners.toml or .json; "
        "`egress-sentinel owners` checks it). Without a rule that matches, a tag owner or team is the owner.",
    ),
]

CloudTrailLogs = Annotated[
    list[Path] | None,
    typer.Option(
        "--cloudtrail",
        metavar="PATH",
        help="Log files of CloudTrail (.json or .json.gz), or folders of them. Each alert names up to three changes "
        "that may have caused it. Repeatable.",
    ),
]

FlowLogPaths = Annotated[
    list[str] | None,
    typer.Option(
        "--flow-logs",
        metavar="PATH",
        help="Files, globs or folders of VPC Flow Logs: S3's text or parquet, exports of CloudWatch Logs, Firehose's "
        "JSON, Athena's CSV. They fill the hours that the bill has not reached, estimated at list prices, or replace "
        "the bill. Repeatable.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="NAME",
        help="A resource tag that alerts show, in any case and with any separators. Repeatable; replaces the default "
        "list (docs/your-bill.md). Cost categories are always shown.",
    ),
]
Network = Annotated[
    list[Path] | None,
    typer.Option(
        "--network",
        metavar="JSON",
        help="The output of `aws ec2 describe-network-interfaces` or `describe-subnets`: owners of interfaces, and "
        "zones of addresses. Repeatable.",
    ),
]
Prices = Annotated[
    Path | None, typer.Option("--prices", metavar="JSON", help="A price table for estimates. Default: list prices.")
]
CompleteUntil = Annotated[
    str | None,
    typer.Option(
        "--bill-complete-until",
        metavar="TIME",
        help="The first hour (UTC) that is estimated from flow logs. Default: 24 hours before the bill's last EC2 "
        "line.",
    ),
]
FlowLogFormat = Annotated[
    str | None,
    typer.Option(
        "--flow-log-format",
        metavar="FORMAT",
        help="The fields of flow logs that do not name them (exports of CloudWatch Logs, Firehose, text without a "
        "header line): '${version} ${account-id} ...' in single quotes, as `aws ec2 describe-flow-logs` shows it, or "
        "default.",
    ),
]


def outputs_of(terraform_dir: Path) -> dict[str, Any]:
    """Return the outputs of the deployment that was applied in a folder."""
    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs

    return read_outputs(terraform_outputs(terraform_dir))


def alerts_table_of(outputs: Mapping[str, Any]) -> str:
    """Return the name of a deployment's alerts table.

    Raises
    ------
    UserError
        The deployment has none.
    """
    table = outputs["alerts_table"]
    if table is None:
        raise UserError("this deployment has no endpoint (endpoint = null), and so no alerts")
    return str(table)


def session_of(outputs: Mapping[str, Any]) -> Any:
    """Return a boto3 session in the deployment's region; where the outputs have none, in the environment's.

    Raises
    ------
    UserError
        There is no region.
    """
    import boto3

    session = boto3.session.Session(region_name=outputs.get("region"))
    if not session.region_name:
        raise UserError("no AWS region is configured; give --terraform-dir, or set AWS_DEFAULT_REGION")
    return session


def hour(text: str | None, option: str) -> datetime | None:
    """Return the hour that an option names; None where it was not given."""
    from egress_sentinel.pipeline.time_range import parse_hour

    return parse_hour(text, option) if text else None


def hyperparameters(n_estimators: int, contamination: str, random_state: int) -> dict[str, str]:
    """Return the forest's hyperparameters as the training script takes them."""
    return {"n_estimators": str(n_estimators), "contamination": contamination, "random_state": str(random_state)}


def policy_of(
    policy: Path | None, min_excess_usd: float | None, min_excess_gb: float | None, min_excess_percent: float | None
) -> Policy:
    """Return the policy; options come before the file, and the file's overrides before both."""
    from egress_sentinel.pipeline.policy import read_policy

    floors = {
        "min_excess_usd": min_excess_usd,
        "min_excess_gb": min_excess_gb,
        "min_excess_percent": min_excess_percent,
    }
    return read_policy(policy, floors)


def feedback_of(path: Path | None) -> list[dict[str, Any]]:
    """Return the verdicts of a feedback file; none where no file is given."""
    from egress_sentinel.pipeline.feedback import read_feedback

    return read_feedback(path) if path else []


def alerts_of(path: Path | None) -> list[Alert]:
    """Return the alerts of a file; none where no file is given."""
    from egress_sentinel.pipeline.alerts import read_alerts

    return read_alerts(path) if path else []


def planned_of(path: Path | None) -> list[PlannedEvent]:
    """Return the events of a calendar; none where no file is given."""
    from egress_sentinel.pipeline.planned import read_planned

    return read_planned(path) if path else []


def owners_of(path: Path | None) -> list[OwnerRule]:
    """Return the owner rules of a file; none where no file is given."""
    from egress_sentinel.pipeline.owners import read_owners

    return read_owners(path) if path else []


def changes_of(paths: list[Path] | None) -> FindChanges | None:
    """Return what looks for changes in log files of CloudTrail; None where no file is given."""
    from egress_sentinel.pipeline.cloudtrail import changes_in

    return changes_in(paths) if paths else None


def flow_logs_of(
    exports: list[str] | None,
    paths: list[str] | None,
    network: list[Path] | None,
    prices: Path | None,
    complete_until: str | None,
    log_format: str | None,
) -> FlowLogs | None:
    """Return the flow logs that the options name; None where they name none.

    Raises
    ------
    UserError
        Neither an export nor flow logs, or options of flow logs without them.
    BadInputError
        A path that names no flow log.
    """
    from egress_features import FlowLogs, find_flow_logs

    if not paths:
        if network or prices or complete_until or log_format is not None:
            raise UserError(
                "--network, --prices, --bill-complete-until and --flow-log-format are about flow logs: give "
                "--flow-logs PATH"
            )
        if not exports:
            raise UserError("nothing to read: give billing exports (EXPORT...), flow logs (--flow-logs PATH), or both")
        return None
    until = hour(complete_until, "--bill-complete-until")
    return FlowLogs(find_flow_logs(paths), network or (), prices, until, log_format)


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises
    ------
    UserError
        The file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
