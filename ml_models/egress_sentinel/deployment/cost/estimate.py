"""A deployment and a month's usage, priced. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egress_sentinel.deployment.cost import usage as measured
from egress_sentinel.deployment.cost.usage import HOURS_A_MONTH

if TYPE_CHECKING:
    from egress_sentinel.deployment.cost.plan import Deployment, Function
    from egress_sentinel.deployment.cost.prices import Prices
    from egress_sentinel.deployment.cost.usage import Usage

_GB = 1e9
_FREE_DISK_GB = 20  # of a job of Fargate
_SECONDS_A_MONTH = HOURS_A_MONTH * 3600
_WRITES_A_RUN = (
    6  # the ledger's number, and a transaction with the ledger and a few alerts (at twice the price) now and then
)


class Line(NamedTuple):
    """One item of cost: its name, the quantity in words, and dollars per month."""

    item: str
    quantity: str
    usd: float


def estimate(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    """Price a month, largest item first; items of less than a hundredth of a cent are left out.

    Raises
    ------
    UserError
        The price table lacks something that the deployment uses.
    """
    lines = [
        *(_endpoint(deployment, usage, prices) if deployment.has_endpoint else []),
        *(_function(function, usage, prices) for function in deployment.functions),
        *_watching(deployment, usage, prices),
        *_keeping(deployment, usage, prices),
        *_extras(deployment, usage, prices),
        *_batch(deployment, usage, prices),
        *_network(deployment, usage, prices),
    ]
    return sorted((line for line in lines if line.usd >= 0.0001), key=lambda line: (-line.usd, line.item))


def break_even(deployment: Deployment, usage: Usage, prices: Prices) -> tuple[str, float, float]:
    """Compare serverless and one instance for the same work.

    Returns
    -------
    (instance_type, usd, times)
        The instance, its dollars a month, and how many times the present work a serverless endpoint of the same
        memory could do for that money.
    """
    instance = deployment.instance_type or "ml.m5.large"
    usd = HOURS_A_MONTH * prices.of_instance("sagemaker_hosting_hour", instance)
    seconds = _endpoint_seconds(deployment, usage)
    price = (deployment.serverless_mb or 2048) / 1024 * prices.of("sagemaker_serverless_gb_second")
    return instance, usd, usd / (seconds * price) if seconds else float("inf")


def _detector(deployment: Deployment) -> float:
    return max((function.scheduled_runs for function in deployment.functions if _is_detector(function)), default=0.0)


def _runs(deployment: Deployment, usage: Usage) -> float:
    return usage.runs(_detector(deployment)) if deployment.has_endpoint else 0.0


def _rows(deployment: Deployment, usage: Usage) -> float:
    return usage.rows(_detector(deployment)) if deployment.has_endpoint else 0.0


def _is_detector(function: Function) -> bool:
    return function.name.endswith("-detector")


def _endpoint_seconds(deployment: Deployment, usage: Usage) -> float:
    scheduled = _detector(deployment)
    return (
        usage.runs(scheduled) * measured.ENDPOINT_SECONDS_A_REQUEST
        + usage.rows(scheduled) / measured.ENDPOINT_ROWS_A_SECOND
    )


def _endpoint(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    rows = _rows(deployment, usage)
    sent = Line(
        "endpoint: data in and out",
        f"{rows:,.0f} rows",
        rows * measured.BYTES_A_ROW_SENT / _GB * prices.of("sagemaker_data_processed_gb"),
    )
    if deployment.serverless_mb is None:
        hours = deployment.instance_count * HOURS_A_MONTH
        usd = hours * prices.of_instance("sagemaker_hosting_hour", str(deployment.instance_type))
        return [Line("endpoint: instances", f"{deployment.instance_count} x {deployment.instance_type}", usd), sent]
    memory_gb = deployment.serverless_mb / 1024
    seconds = _endpoint_seconds(deployment, usage)
    usd = seconds * memory_gb * prices.of("sagemaker_serverless_gb_second")
    kept = deployment.provisioned_concurrency
    warm = kept * _SECONDS_A_MONTH * memory_gb * prices.of("sagemaker_provisioned_gb_second")
    return [
        Line("endpoint: serverless", f"{seconds:,.0f} s at {memory_gb:g} GB", usd),
        Line("endpoint: provisioned concurrency", f"{kept} kept warm", warm),
        sent,
    ]


def _function(function: Function, usage: Usage, prices: Prices) -> Line:
    runs, rows = function.scheduled_runs, 0.0
    if _is_detector(function):
        runs, rows = usage.runs(function.scheduled_runs), usage.rows(function.scheduled_runs)
    seconds = runs * measured.DETECTOR_SECONDS_A_RUN + rows / measured.DETECTOR_ROWS_A_SECOND
    usd = seconds * function.memory_mb / 1024 * prices.of("lambda_gb_second")
    usd += runs / 1e6 * prices.of("lambda_million_requests")
    return Line(f"function {function.name}", f"{runs:,.0f} runs at {function.memory_mb} MB", usd)


def _watching(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    metrics = sum(_metric_months(function, usage) for function in deployment.functions)
    logged = _runs(deployment, usage) * measured.BYTES_LOGGED_A_RUN / _GB
    return [
        Line("alarms", f"{deployment.alarms}", deployment.alarms * prices.of("alarm_month")),
        Line("dashboard", f"{deployment.dashboards}", deployment.dashboards * prices.of("dashboard_month")),
        Line("custom metrics", f"{metrics:.2f} for the whole month", metrics * prices.of("custom_metric_month")),
        Line("logs", f"{logged:.3f} GB", logged * prices.of("log_gb")),
    ]


def _metric_months(function: Function, usage: Usage) -> float:
    """Return a function's metrics, each as the share of the month's hours in which it is sent."""
    runs = usage.runs(function.scheduled_runs) if _is_detector(function) else function.scheduled_runs
    metrics = next((n for ending, n in measured.CUSTOM_METRICS.items() if function.name.endswith(ending)), 0)
    return metrics * min(runs / HOURS_A_MONTH, 1.0)


def _keeping(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    runs = _runs(deployment, usage)
    series = usage.series if deployment.has_endpoint else 0
    kept = series * 24 * deployment.scored_days * measured.BYTES_A_ROW_STORED / _GB
    captured = _rows(deployment, usage) * deployment.capture_percent / 100 * measured.BYTES_A_ROW_SENT / _GB
    return [
        Line("encryption key", f"{deployment.keys}", deployment.keys * prices.of("kms_key_month")),
        Line("scored rows and features", f"{kept:.2f} GB", kept * prices.of("s3_gb_month")),
        Line("captured requests", f"{captured:.2f} GB a month", captured * prices.of("s3_gb_month")),
        Line("S3 requests", f"{runs * 3:,.0f} writes", runs * 3 / 1000 * prices.of("s3_thousand_writes")),
        *_records(deployment, usage, prices),
    ]


def _records(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    lines = []
    if deployment.tables:
        writes = _runs(deployment, usage) * _WRITES_A_RUN
        lines.append(Line("tables", f"{writes:,.0f} writes", writes / 1e6 * prices.of("dynamodb_million_writes")))
    if deployment.feature_groups:
        writes = _runs(deployment, usage) * usage.series
        usd = writes / 1e6 * prices.of("feature_store_million_writes")
        usd += usage.series * measured.BYTES_A_RECORD / _GB * prices.of("feature_store_gb_month")
        lines.append(Line("feature store", f"{writes:,.0f} writes", usd))
    return lines


def _extras(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    lines = []
    if deployment.workgroups:
        scanned = usage.athena_gb / 1000 * prices.of("athena_tb_scanned")
        lines.append(Line("queries", f"{usage.athena_gb:g} GB scanned", scanned))
    transitions = deployment.machine_runs * measured.TRANSITIONS_A_RUN
    usd = transitions / 1e6 * prices.of("step_functions_million_transitions")
    lines.append(Line("state machines", f"{transitions:,.0f} transitions", usd))
    if deployment.retrainings:
        hours = deployment.retrainings * usage.training_minutes / 60
        usd = hours * prices.of_instance("sagemaker_training_hour", "ml.m5.large")
        lines.append(Line("retraining", f"{deployment.retrainings:.1f} jobs on ml.m5.large", usd))
    if deployment.notebook_type:
        usd = usage.notebook_hours * prices.of_instance("sagemaker_notebook_hour", deployment.notebook_type)
        usd += deployment.notebook_gb * prices.of("sagemaker_volume_gb_month")
        lines.append(Line("notebook", f"{usage.notebook_hours:g} h of {deployment.notebook_type}", usd))
    return lines


def _batch(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    """Price the hours of batch jobs, with AWS Batch as if all files were large, and the images of its jobs."""
    lines = []
    if deployment.fargate:
        vcpus, memory_mb, disk_gb = deployment.fargate
        an_hour = vcpus * prices.of("fargate_vcpu_hour") + memory_mb / 1024 * prices.of("fargate_gb_hour")
        an_hour += max(disk_gb - _FREE_DISK_GB, 0) * prices.of("fargate_disk_gb_hour")
        quantity = f"{usage.batch_hours:g} h of {vcpus:g} vCPUs, {memory_mb / 1024:g} GB, {disk_gb} GB of disk"
        lines.append(Line("AWS Batch jobs", quantity, usage.batch_hours * an_hour))
    elif any(function.name.endswith("-batch") for function in deployment.functions):
        usd = usage.batch_hours * prices.of_instance("sagemaker_training_hour", "ml.m5.large")
        lines.append(Line("batch transform jobs", f"{usage.batch_hours:g} h of ml.m5.large", usd))
    if deployment.image_builds:
        usd = usage.build_minutes * prices.of("codebuild_medium_minute")
        lines.append(Line("image builds", f"{usage.build_minutes:g} minutes", usd))
    if deployment.repositories:
        lines.append(Line("image storage", f"{usage.image_gb:g} GB", usage.image_gb * prices.of("ecr_gb_month")))
    return lines


def _network(deployment: Deployment, usage: Usage, prices: Prices) -> list[Line]:
    zones = deployment.endpoint_zones
    usd = zones * HOURS_A_MONTH * prices.of("interface_endpoint_zone_hour")
    lines = [Line("VPC interface endpoints", f"{zones} by availability zone", usd)]
    if deployment.flow_logs:
        usd = usage.flow_log_gb * prices.of("flow_log_gb")
        lines.append(Line("flow logs", f"{usage.flow_log_gb:g} GB delivered", usd))
    return lines
