"""Records AWS's answers to calls that the local AWS imitates, without text that identifies the account.

All calls are reads. Each answer keeps its members, their types, and the words that AWS itself uses: values of
enumerations, names of services, regions and operations, times and numbers. A pseudonym replaces every other word. The
same word always has the same pseudonym, so an ARN still names the resource that another answer describes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"[\w-]+")
_ACCOUNT = re.compile(r"\d{12}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2})?|\d{1,4}Z?")
_SERVICES = (
    *("application-autoscaling", "athena", "cloudwatch", "dynamodb", "events", "glue", "iam", "kms", "lambda", "logs"),
    *("s3", "sagemaker", "scheduler", "sns", "sqs", "stepfunctions"),
)
_OF_A_BUCKET = (
    *("GetBucketLocation", "GetBucketVersioning", "GetPublicAccessBlock", "GetBucketOwnershipControls"),
    *("GetBucketTagging", "GetBucketLifecycleConfiguration", "GetBucketNotificationConfiguration", "GetBucketPolicy"),
)
# Of policies, ARNs and addresses, which no model lists.
_WORDS = """
arn aws aws-cn aws-us-gov amazonaws com cn http https email role policy root alias key table topic queue function
layer alarm dashboard workgroup database catalog rule schedule default endpoint endpoint-config model
model-package-group model-package stateMachine log-group log-stream Version Statement Sid Effect Allow Deny
Principal Service AWS Action Resource Condition StringEquals StringLike ArnLike ArnEquals Bool
SecureTransport SourceAccount SourceArn false true
"""


def record(outputs: dict[str, Any]) -> dict[str, Any]:
    """Ask AWS about what Terraform made, with boto3's own credentials and addresses.

    Parameters
    ----------
    outputs : dict
        The module's outputs, as `read_outputs` returns them.

    Returns
    -------
    dict
        The region, and for each call its name, its parameters, and the answer or the error's code.

    Raises
    ------
    UserError
        There are no credentials, or AWS cannot be reached.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    recorder = _Recorder(boto3.session.Session(region_name=outputs.get("region")))
    given = {name: value for name, value in outputs.items() if value}
    try:
        for part in (_sagemaker, _functions, _bucket, _stores, _machines, _queries, _watching):
            part(recorder, given)
    except BotoCoreError as error:
        raise UserError(f"A call that the recording requires failed: {error}") from error
    return {"region": outputs.get("region"), "calls": recorder.calls}


class _Recorder:
    """Calls AWS and keeps the answers."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._redactor = _Redactor()
        self.calls: list[dict[str, Any]] = []

    def __call__(self, service: str, operation: str, **asked: Any) -> dict[str, Any]:
        """Return the answer unchanged and keep it redacted. After an error, keep its code and return nothing."""
        from botocore import xform_name
        from botocore.exceptions import ClientError

        client = self._session.client(service)
        model = client.meta.service_model.operation_model(operation)
        kept = {"call": f"{service}:{operation}", "asked": self._redactor.of(model.input_shape, asked)}
        try:
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**asked)
        except ClientError as error:
            self.calls.append({**kept, "error": error.response["Error"]["Code"]})
            return {}
        answer.pop("ResponseMetadata", None)
        self.calls.append({**kept, "answer": self._redactor.of(model.output_shape, answer)})
        return answer


class _Redactor:
    """Replaces words that identify an account by pseudonyms."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = defaultdict(dict)

    def of(self, shape: Any, value: Any, *, is_the_users: bool = False) -> Any:
        """Return a value of a shape without what identifies the account."""
        if shape is None or value is None or isinstance(value, bool | int | float):
            return value
        if shape.type_name == "structure":
            is_tag = is_the_users or shape.name.startswith("Tag")
            return {
                name: self.of(shape.members[name], member, is_the_users=is_tag)
                for name, member in value.items()
                if name in shape.members
            }
        if shape.type_name == "list":
            return [self.of(shape.member, item, is_the_users=is_the_users) for item in value]
        if shape.type_name == "map":
            return self._of_map(shape, value)
        if shape.type_name == "timestamp":
            return value.isoformat() if hasattr(value, "isoformat") else value
        return self.text(value, is_the_users=is_the_users) if isinstance(value, str) else "not recorded"

    def _of_map(self, shape: Any, value: dict[str, Any]) -> dict[str, Any]:
        """Keep the keys that AWS names. Others, as of variables and tags, are the user's, and so are their values."""
        has_names = bool(getattr(shape.key, "enum", None)) or shape.name.endswith("AttributesMap")
        return {
            (key if has_names else self.text(key, is_the_users=True)): self.of(
                shape.value, item, is_the_users=not has_names
            )
            for key, item in value.items()
        }

    def text(self, text: str, *, is_the_users: bool = False) -> str:
        """Return a text whose words are AWS's or pseudonyms."""
        return _TOKEN.sub(lambda found: self._word(found[0], is_the_users=is_the_users), text)

    def _word(self, word: str, *, is_the_users: bool) -> str:
        if _ACCOUNT.fullmatch(word):
            return self._pseudonym("account", word, "{:012d}")
        if _UUID.fullmatch(word):
            return self._pseudonym("uuid", word, "00000000-0000-0000-0000-{:012d}")
        if _TIME.fullmatch(word) or (not is_the_users and word in _vocabulary()):
            return word
        return "0" * len(word) if word.isdigit() else self._pseudonym("name", word, "name-{}")

    def _pseudonym(self, kind: str, word: str, form: str) -> str:
        known = self._known[kind]
        return known.setdefault(word, form.format(len(known) + 1))


@cache
def _vocabulary() -> frozenset[str]:
    """Return the words that AWS's models have: services, regions, operations, values of enumerations."""
    from botocore.session import get_session

    session = get_session()
    words = {*_WORDS.split(), *session.get_available_services()}
    for partition in session.get_available_partitions():
        words |= set(session.get_available_regions("s3", partition))
    for service in _SERVICES:
        model = session.get_service_model(service)
        words |= {model.signing_name, *model.operation_names}
        for name in model.shape_names:
            words |= {word for value in _values(model, name) for word in _TOKEN.findall(value)}
    return frozenset(words)


def _values(model: Any, shape: str) -> list[str]:
    found: list[str] = getattr(model.shape_for(shape), "enum", None) or []
    return found


def _sagemaker(ask: _Recorder, outputs: dict[str, Any]) -> None:
    if name := outputs.get("endpoint_name"):
        _endpoint(ask, name)
    if "model_name" in outputs:
        model = ask("sagemaker", "DescribeModel", ModelName=outputs["model_name"])
        _role(ask, model.get("ExecutionRoleArn", ""))
    if "model_package_group" in outputs:
        group = outputs["model_package_group"]
        ask("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=group)
        ask("sagemaker", "ListModelPackages", ModelPackageGroupName=group)
    if group := outputs.get("feature_group"):
        ask("sagemaker", "DescribeFeatureGroup", FeatureGroupName=group)


def _endpoint(ask: _Recorder, name: str) -> None:
    endpoint = ask("sagemaker", "DescribeEndpoint", EndpointName=name)
    for variant in endpoint.get("ProductionVariants", []):
        place = f"endpoint/{name}/variant/{variant['VariantName']}"
        of = {"ServiceNamespace": "sagemaker"}
        ask("application-autoscaling", "DescribeScalableTargets", **of, ResourceIds=[place])
        ask("application-autoscaling", "DescribeScalingPolicies", **of, ResourceId=place)
    if endpoint:
        ask("sagemaker", "DescribeEndpointConfig", EndpointConfigName=endpoint["EndpointConfigName"])
        ask("sagemaker", "ListTags", ResourceArn=endpoint["EndpointArn"])


def _role(ask: _Recorder, arn: str) -> None:
    if role := arn.rpartition("/")[2]:
        ask("iam", "GetRole", RoleName=role)
        ask("iam", "ListAttachedRolePolicies", RoleName=role)
        for policy in ask("iam", "ListRolePolicies", RoleName=role).get("PolicyNames", []):
            ask("iam", "GetRolePolicy", RoleName=role, PolicyName=policy)


def _functions(ask: _Recorder, outputs: dict[str, Any]) -> None:
    for name in _outputs_named(outputs, "_function_name"):
        function = ask("lambda", "GetFunction", FunctionName=name)
        for operation in ("GetPolicy", "GetFunctionEventInvokeConfig", "ListVersionsByFunction"):
            ask("lambda", operation, FunctionName=name)
        _role(ask, function.get("Configuration", {}).get("Role", ""))
        ask("logs", "DescribeLogGroups", logGroupNamePrefix=f"/aws/lambda/{name}")
        for rule in ask("events", "ListRules", NamePrefix=name).get("Rules", []):
            ask("events", "DescribeRule", Name=rule["Name"])
            ask("events", "ListTargetsByRule", Rule=rule["Name"])
        if url := ask("sqs", "GetQueueUrl", QueueName=f"{name}-dead-letters").get("QueueUrl"):
            ask("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
            ask("sqs", "ListQueueTags", QueueUrl=url)


def _outputs_named(outputs: dict[str, Any], ending: str) -> Iterator[str]:
    return (value for name, value in outputs.items() if name.endswith(ending))


def _bucket(ask: _Recorder, outputs: dict[str, Any]) -> None:
    if bucket := outputs.get("bucket"):
        for operation in _OF_A_BUCKET:
            ask("s3", operation, Bucket=bucket)
        found = ask("s3", "GetBucketEncryption", Bucket=bucket).get("ServerSideEncryptionConfiguration", {"Rules": []})
        for rule in found["Rules"]:
            _key(ask, rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID"))
    if artifact := outputs.get("model_artifact"):
        address = urlparse(artifact)
        ask("s3", "HeadObject", Bucket=address.netloc, Key=address.path.lstrip("/"))


def _key(ask: _Recorder, key: str | None) -> None:
    if key:
        for operation in ("DescribeKey", "GetKeyRotationStatus", "ListResourceTags"):
            ask("kms", operation, KeyId=key)
        ask("kms", "GetKeyPolicy", KeyId=key, PolicyName="default")


def _stores(ask: _Recorder, outputs: dict[str, Any]) -> None:
    if table := outputs.get("alerts_table"):
        described = ask("dynamodb", "DescribeTable", TableName=table)
        ask("dynamodb", "DescribeTimeToLive", TableName=table)
        ask("dynamodb", "DescribeContinuousBackups", TableName=table)
        if described:
            ask("dynamodb", "ListTagsOfResource", ResourceArn=described["Table"]["TableArn"])
    if topic := outputs.get("topic_arn"):
        ask("sns", "GetTopicAttributes", TopicArn=topic)
        ask("sns", "ListSubscriptionsByTopic", TopicArn=topic)
        ask("sns", "ListTagsForResource", ResourceArn=topic)


def _machines(ask: _Recorder, outputs: dict[str, Any]) -> None:
    for arn in _outputs_named(outputs, "_state_machine_arn"):
        ask("stepfunctions", "DescribeStateMachine", stateMachineArn=arn)
        ask("stepfunctions", "ListTagsForResource", resourceArn=arn)


def _queries(ask: _Recorder, outputs: dict[str, Any]) -> None:
    if group := outputs.get("athena_workgroup"):
        ask("athena", "GetWorkGroup", WorkGroup=group)
        named = ask("athena", "ListNamedQueries", WorkGroup=group).get("NamedQueryIds", [])
        for query in islice(named, 1):
            database = ask("athena", "GetNamedQuery", NamedQueryId=query).get("NamedQuery", {}).get("Database")
            if database:
                ask("glue", "GetDatabase", Name=database)
                ask("glue", "GetTables", DatabaseName=database)


def _watching(ask: _Recorder, outputs: dict[str, Any]) -> None:
    if url := outputs.get("dashboard_url"):
        ask("cloudwatch", "GetDashboard", DashboardName=url.rpartition("/")[2])
    # The prefix of all names: the endpoint's, which is also that of the model packages.
    name = outputs.get("endpoint_name") or outputs.get("model_package_group")
    if not name:
        return
    ask("cloudwatch", "DescribeAlarms", AlarmNamePrefix=f"{name}-")
    for schedule in ask("scheduler", "ListSchedules", NamePrefix=f"{name}-").get("Schedules", []):
        ask("scheduler", "GetSchedule", Name=schedule["Name"])
