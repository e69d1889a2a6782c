"""Patches of moto 5.2. Each closes the gap that its docstring names."""

from __future__ import annotations

import copy
import json
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_aws import object_versions, state_machines
from local_aws.account import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable

_SCALING_ROLE = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def apply() -> None:
    """Patch moto's classes. Called once, before the server starts."""
    object_versions.patch()
    _tls_only_is_met()
    _delete_markers_go()
    _flow_logs_keep_their_options()
    _scalable_targets_have_a_role()
    _budgets_are_listed_as_aws_lists_them()
    _security_group_rules_keep_their_descriptions()
    _builds_keep_their_key_and_can_be_changed()


def _budgets_are_listed_as_aws_lists_them() -> None:
    """Remove `nextToken` from a list of budgets, as in AWS."""
    from moto.budgets.responses import BudgetsResponse

    describe = BudgetsResponse.describe_budgets

    def describe_budgets(self: Any) -> str:
        return json.dumps({"Budgets": json.loads(describe(self))["Budgets"]})

    BudgetsResponse.describe_budgets = describe_budgets  # type: ignore[method-assign]


def _delete_markers_go() -> None:
    """Allow deletion of a key's last version if it is a delete marker. moto raises an exception."""
    from moto.s3.models import FakeDeleteMarker

    FakeDeleteMarker.dispose = lambda _: None  # type: ignore[attr-defined]


def _flow_logs_keep_their_options() -> None:
    """Store the file format and the folder options of a flow log, which moto ignores."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.responses.flow_logs import FlowLogs

    create = FlowLogs.create_flow_logs

    def create_flow_logs(self: Any) -> Any:
        answer: Any = create(self)
        for flow_log_id in answer.result["FlowLogIds"]:
            flow_log: Any = ec2_backends[ACCOUNT_ID][self.region].flow_logs[flow_log_id]
            flow_log.destination_options = self._get_param("DestinationOptions")
        return answer

    FlowLogs.create_flow_logs = create_flow_logs  # type: ignore[method-assign]


def _security_group_rules_keep_their_descriptions() -> None:
    """Store descriptions of rules for groups and prefix lists. moto reads only those of address ranges."""
    from moto.ec2.models.security_groups import SecurityGroupRule

    def description(self: Any) -> Any:
        kept = self.ip_range or self.source_group or self.prefix_list
        return kept.get("Description")

    make = SecurityGroupRule.__init__

    def init(self: Any, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        # The eighth argument, after the backend.
        self.prefix_list = named.get("prefix_list_id") or (given[7] if len(given) > 7 else None) or {}

    SecurityGroupRule.__init__ = init  # type: ignore[method-assign]
    SecurityGroupRule.description = property(description)  # type: ignore[assignment]


def _builds_keep_their_key_and_can_be_changed() -> None:
    """Store the KMS key of a CodeBuild project, and allow its update, and its deletion by the ARN."""
    from moto.codebuild.models import CodeBuildBackend
    from moto.codebuild.responses import CodeBuildResponse
    from moto.core.responses import ActionResult

    create = CodeBuildResponse.create_project

    def keep(self: Any) -> Any:
        name = self._get_param("name").rpartition("/")[2]
        project = self.codebuild_backend.codebuild_projects[name].project_metadata
        given = json.loads(self.body)
        project |= {name: value for name, value in given.items() if name not in {"name", "tags"}}
        return ActionResult({"project": project})

    def create_project(self: Any) -> Any:
        create(self)
        return keep(self)

    delete = CodeBuildBackend.delete_project

    def delete_project(self: Any, project_name: str) -> None:
        delete(self, project_name.rpartition("/")[2])

    CodeBuildBackend.delete_project = delete_project  # type: ignore[method-assign]
    CodeBuildResponse.create_project = create_project  # type: ignore[method-assign]
    CodeBuildResponse.update_project = keep  # type: ignore[attr-defined]


def _scalable_targets_have_a_role() -> None:
    """Use the service-linked role for a scalable target without a role, as AWS does."""
    from moto.applicationautoscaling.models import FakeScalableTarget

    make = FakeScalableTarget.__init__

    def init(self: Any, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self.role_arn = self.role_arn or _SCALING_ROLE

    FakeScalableTarget.__init__ = init  # type: ignore[method-assign]


def _tls_only_is_met() -> None:
    """Ignore policy statements that deny plain HTTP. moto ignores their condition and denies every request."""
    from moto.iam.access_control import IAMPolicy, PermissionResult
    from moto.s3.models import FakeBucket

    def get_permission(self: Any, action: str, resource: str) -> Any:
        document = json.loads(self.policy) if self.policy else {"Statement": []}
        statements = [s for s in document["Statement"] if "aws:SecureTransport" not in json.dumps(s)]
        if not statements:
            return PermissionResult.NEUTRAL
        return IAMPolicy(json.dumps({**document, "Statement": statements})).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def report_notifications(report: Callable[[str, str, str], None]) -> None:
    """Call `report` with topic, subject ("" for none) and message of each notification that SNS publishes."""
    from moto.sns.models import Topic

    publish = Topic.publish

    def publish_and_report(self: Any, message: str, subject: str | None = None, *rest: Any, **named: Any) -> str:
        message_id = publish(self, message, subject, *rest, **named)
        texts = json.loads(message) if named.get("message_structure") == "json" else {"default": message}
        report(self.name, subject or "", texts.get("email", texts["default"]))
        return message_id

    Topic.publish = publish_and_report  # type: ignore[method-assign]


def send_notifications_to_functions(invoke_later: Callable[[str, Any], None]) -> None:
    """Run a function that subscribes to a topic in the background, each message with a new id."""
    from moto.awslambda.models import LambdaBackend

    def send_sns_message(_self: Any, function_name: str, message: str, subject: str | None = None, **_: Any) -> None:
        sns = {"Type": "Notification", "MessageId": str(uuid.uuid4()), "Subject": subject, "Message": message}
        invoke_later(function_name, {"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "Sns": sns}]})

    LambdaBackend.send_sns_message = send_sns_message  # type: ignore[assignment,method-assign]


def send_events_to_functions(invoke_later: Callable[[str, Any], None]) -> None:
    """Send events to functions and state machines, each with a new id. Rules with a schedule match no event."""
    from moto.events.models import Rule

    send = Rule.send_to_targets

    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
        if self.scheduled_expression or not self.event_pattern.matches_event(original_event):
            return
        event = {**original_event, "id": str(uuid.uuid4()), "time": _iso_time(original_event.get("time"))}
        event["detail"] = _as_s3_names_it(event["detail"])
        for target in self.targets:
            if ":function:" in target["Arn"]:
                invoke_later(target["Arn"].rpartition(":")[2], event)
            elif ":stateMachine:" in target["Arn"]:
                state_machines.start(target["Arn"], event)
        # moto raises an exception at the first unknown target.
        known = copy.copy(self)
        known.targets = [t for t in self.targets if not re.search(":(function|stateMachine):", t["Arn"])]
        send(known, event, transform_input)  # type: ignore[arg-type]

    Rule.send_to_targets = send_to_targets  # type: ignore[method-assign]


def _as_s3_names_it(detail: dict[str, Any]) -> dict[str, Any]:
    """Use S3's name of an object's ETag in an event."""
    entry = detail.get("object", {})
    if "eTag" not in entry:
        return detail
    return {**detail, "object": {**entry, "etag": entry["eTag"]}}


class ScalingTags:
    """Tags of scalable targets. moto cannot list them."""

    def __init__(self) -> None:
        self._tags: dict[str, dict[str, str]] = {}

    def learn(self, body: bytes, response: Response) -> None:
        """Store the tags of a registered target."""
        given = json.loads(body or b"{}")
        answer = json.loads(response.get_data() or b"{}") if response.status_code == 200 else {}
        if "ScalableTargetARN" in answer and "Tags" in given:
            self._tags[answer["ScalableTargetARN"]] = given["Tags"]

    def answer(self, request: Request, body: bytes) -> Response | None:
        """List them."""
        if not request.headers.get("X-Amz-Target", "").endswith(".ListTagsForResource"):
            return None
        tags = self._tags.get(json.loads(body)["ResourceARN"], {})
        return Response(json.dumps({"Tags": tags}), mimetype="application/x-amz-json-1.1")


def _iso_time(moment: Any) -> str:
    """Format an event's time as EventBridge does. moto has seconds since 1970."""
    when = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else datetime.now(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def completed(request: Request, response: Response) -> Response:
    """Correct moto's response: add a bucket's EventBridge configuration, and remove the creators of listed rules."""
    if request.headers.get("X-Amz-Target") == "AWSEvents.ListRules" and response.status_code == 200:
        answer = json.loads(response.get_data())
        rules = [{name: value for name, value in rule.items() if name != "CreatedBy"} for rule in answer["Rules"]]
        response.set_data(json.dumps({**answer, "Rules": rules}))
    if request.method == "GET" and "notification" in request.args and response.status_code == 200:
        bucket = _bucket(request.path.strip("/"))
        if bucket is not None and getattr(bucket.notification_configuration, "event_bridge", None) is not None:
            text = response.get_data(as_text=True)
            if "EventBridgeConfiguration" not in text:
                response.set_data(_with_event_bridge(text))
    return response


def _bucket(name: str) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT_ID]["aws"].buckets.get(name)


def _with_event_bridge(text: str) -> str:
    flag = "<EventBridgeConfiguration/>"
    if text.rstrip().endswith("/>"):
        return text.rstrip()[:-2] + f">{flag}</NotificationConfiguration>"
    return text.replace("</NotificationConfiguration>", f"{flag}</NotificationConfiguration>")
