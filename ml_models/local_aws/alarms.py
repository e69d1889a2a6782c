"""Metrics of functions and queues, and evaluation of alarms on request.

Closes these gaps of moto 5.2: functions and queues have no metrics, log lines in CloudWatch's embedded metric format
create no metrics, alarms never change their state, and EventBridge receives no event when a state changes.
The format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local_aws.account import client
from local_aws.jobs import emit

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMPARE = {
    "GreaterThanOrEqualToThreshold": float.__ge__,
    "GreaterThanThreshold": float.__gt__,
    "LessThanOrEqualToThreshold": float.__le__,
    "LessThanThreshold": float.__lt__,
}
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
# The only supported metric math: the values of a metric without zeros.
_ABOVE_ZERO = re.compile(r"IF\((\w+) > 0, \1\)")


def publish_run(function: str, log_lines: Iterable[str], *, failed: bool) -> None:
    """Publish the metrics of one invocation: those of Lambda, and those in the function's log."""
    dimensions = {"FunctionName": function}
    _put("AWS/Lambda", {"Invocations": 1.0, "Errors": float(failed)}, dimensions)
    for line in log_lines:
        if line.startswith('{"_aws"'):
            _put_embedded(json.loads(line))


def evaluate() -> dict[str, str]:
    """Evaluate all metric alarms, run the actions of those whose state changes, and return the states by name."""
    _publish_queues()
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {alarm["AlarmName"]: _evaluate(alarm) for alarm in alarms}


def _evaluate(alarm: dict[str, Any]) -> str:
    state = _state(alarm)
    if state != alarm["StateValue"]:
        name = alarm["AlarmName"]
        client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="evaluated")
        detail = {"alarmName": name, "state": {"value": state}, "previousState": {"value": alarm["StateValue"]}}
        emit("CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail, source="aws.cloudwatch")
        for action in alarm[_ACTIONS[state]]:
            message = {"AlarmName": name, "NewStateValue": state, "AlarmDescription": alarm.get("AlarmDescription", "")}
            client("sns").publish(TopicArn=action, Subject=f"{state}: {name}", Message=json.dumps(message))
    return state


def _state(alarm: dict[str, Any]) -> str:
    """Return ALARM if all periods breach. The alarm's TreatMissingData decides on periods without data."""
    values = [_value(alarm, periods_ago) for periods_ago in range(alarm["EvaluationPeriods"])]
    missing = {"breaching": True, "notBreaching": False}.get(alarm.get("TreatMissingData", ""))
    if all(value is None for value in values) and missing is None:
        return "INSUFFICIENT_DATA"
    breaches = _COMPARE[alarm["ComparisonOperator"]]
    hits = [bool(missing) if value is None else breaches(value, float(alarm["Threshold"])) for value in values]
    return "ALARM" if all(hits) else "OK"


def _value(alarm: dict[str, Any], periods_ago: int) -> float | None:
    if alarm.get("Metrics"):
        metric, expression = _metric_and_expression(alarm)
        value = _metric_value(metric, periods_ago)
        return value if value is not None and (value > 0 or not expression) else None
    if "Statistic" not in alarm:  # percentiles, which moto does not compute
        return None
    return _metric_value(alarm, periods_ago)


def _metric_and_expression(alarm: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the metric of a metric math alarm, in the form of an ordinary alarm, and its expression."""
    metrics = {query["Id"]: query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query}
    expressions = [query["Expression"] for query in alarm["Metrics"] if query.get("Expression")]
    found = [_ABOVE_ZERO.fullmatch(expression) for expression in expressions]
    if len(metrics) != 1 or not all(found):
        raise ValueError(f"the local AWS does not evaluate the expression of {alarm['AlarmName']}: {expressions}")
    ((_, stat),) = metrics.items()
    return {**stat["Metric"], "Period": stat["Period"], "Statistic": stat["Stat"]}, "".join(expressions)


def _metric_value(metric: dict[str, Any], periods_ago: int) -> float | None:
    period = timedelta(seconds=metric["Period"])
    end = datetime.now(UTC) + timedelta(seconds=1) - periods_ago * period
    statistic = metric["Statistic"]
    points = client("cloudwatch").get_metric_statistics(
        Namespace=metric["Namespace"],
        MetricName=metric["MetricName"],
        Dimensions=metric["Dimensions"],
        StartTime=end - period,
        EndTime=end,
        Period=metric["Period"],
        Statistics=[statistic],
    )["Datapoints"]
    values = [float(point[statistic]) for point in points]
    if not values:
        return None
    return sum(values) if statistic == "Sum" else max(values)


def _publish_queues() -> None:
    sqs = client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        name = "ApproximateNumberOfMessages"
        count = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
        _put("AWS/SQS", {f"{name}Visible": float(count)}, {"QueueName": url.rpartition("/")[2]})


def _put_embedded(record: dict[str, Any]) -> None:
    for directive in record["_aws"]["CloudWatchMetrics"]:
        values = {metric["Name"]: record[metric["Name"]] for metric in directive["Metrics"]}
        flat = {name: float(value[-1] if isinstance(value, list) else value) for name, value in values.items()}
        for names in directive["Dimensions"]:
            _put(directive["Namespace"], flat, {name: record[name] for name in names})


def _put(namespace: str, values: dict[str, float], dimensions: dict[str, str]) -> None:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    data = [{"MetricName": name, "Value": value, "Dimensions": named} for name, value in values.items()]
    client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
