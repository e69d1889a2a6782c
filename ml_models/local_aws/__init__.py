"""A local AWS: moto's server in a separate process, and the resources that the detector uses."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egress_sentinel.serving.server_process import LOOPBACK, ServerProcess, ServerStartError
from local_aws.account import CREDENTIAL, REGION

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_START_SECONDS = 60.0


class LocalAws:
    """A local AWS that runs during a `with` block. Its state is in memory.

    Parameters
    ----------
    sagemaker_runtime_url : str, optional
        The URL that the environment sets for `sagemaker-runtime`. By default, only endpoints that were created in the
        local AWS can be invoked.

    Attributes
    ----------
    url : str
        The `endpoint_url` for boto3.

    Raises
    ------
    RuntimeError
        The server does not start when the block is entered.
    """

    def __init__(self, *, sagemaker_runtime_url: str | None = None) -> None:
        self.url = ""
        self._sagemaker_runtime_url = sagemaker_runtime_url
        self._process = ServerProcess(__name__, [])
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> LocalAws:
        try:
            self.url = self._process.start(_START_SECONDS)["url"]
        except ServerStartError as error:
            raise RuntimeError(f"the local AWS {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._process.stop()

    def log_tail(self) -> str:
        """Return the end of the server's log, which has the traceback of a response with status 500."""
        return self._process.log_tail()

    def environment(self) -> dict[str, str]:
        """Return environment variables with which boto3, the AWS CLI and Terraform use only this AWS."""
        variables = environment_of(self.url)
        if self._sagemaker_runtime_url is not None:
            variables["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = self._sagemaker_runtime_url
        return variables

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service, such as "s3". It is created once and closed with this AWS."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            runtime = self._sagemaker_runtime_url if service == "sagemaker-runtime" else None
            self._clients[service] = boto3.session.Session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=runtime or self.url,
                region_name=REGION,
                aws_access_key_id=CREDENTIAL,
                aws_secret_access_key=CREDENTIAL,
                config=Config(proxies={}),
            )
        return self._clients[service]


def environment_of(url: str) -> dict[str, str]:
    """Return environment variables with which a process uses only the local AWS at this URL."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        # The user's profile must be neither used nor required.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{LOOPBACK},localhost",
    }


@dataclass(frozen=True)
class DetectorResources:
    """Names of the resources that the anomaly detector uses."""

    bucket: str
    alerts_table: str
    topic_arn: str
    queue_url: str
    aws: LocalAws = field(repr=False)

    def environment(self, endpoint_name: str) -> dict[str, str]:
        """Return the Lambda's environment variables, with the default policy."""
        return {
            "BUCKET": self.bucket,
            "FEATURES_PREFIX": "features/",
            "SCORED_PREFIX": "scored/",
            "ENDPOINT_NAME": endpoint_name,
            "ALERTS_TABLE": self.alerts_table,
            "TOPIC_ARN": self.topic_arn,
            "POWERTOOLS_SERVICE_NAME": "anomaly-detector",
            "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
        }

    def notifications(self) -> list[dict[str, Any]]:
        """Receive all notifications since the last call from the queue: SNS envelopes, in order."""
        sqs = self.aws.client("sqs")
        taken: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            taken += [json.loads(message["Body"]) for message in messages]
            handles = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=handles)
        return taken

    def messages(self) -> list[str]:
        """Take the notifications as text, each with its subject, if any, as the first line."""
        return ["\n".join(filter(None, (n.get("Subject"), n["Message"]))) for n in self.notifications()]


def create_detector_resources(local_aws: LocalAws, *, prefix: str = "egress-sentinel") -> DetectorResources:
    """Create the bucket, the table and the topic, and a queue that is subscribed to the topic.

    Parameters
    ----------
    local_aws : LocalAws
        The local AWS to create them in.
    prefix : str
        Prefix of all names.

    Returns
    -------
    DetectorResources
    """
    bucket = f"{prefix}-data"
    local_aws.client("s3").create_bucket(Bucket=bucket)
    alerts_table = f"{prefix}-alerts"
    _create_alerts_table(local_aws, alerts_table)
    topic_arn, queue_url = _create_topic(local_aws, f"{prefix}-alerts")
    return DetectorResources(bucket, alerts_table, topic_arn, queue_url, local_aws)


def create_model(local_aws: LocalAws, bucket: str, model_tar: Path, name: str) -> None:
    """Upload an artifact to a bucket and create a SageMaker model from it.

    Parameters
    ----------
    local_aws : LocalAws
        The local AWS to create them in.
    bucket : str
        An existing bucket. The artifact's key is `models/model.tar.gz`.
    model_tar : Path
        A model.tar.gz.
    name : str
        The model's name.
    """
    key = "models/model.tar.gz"
    local_aws.client("s3").upload_file(str(model_tar), bucket, key)
    local_aws.client("sagemaker").create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/local",
        PrimaryContainer={"Image": "local", "ModelDataUrl": f"s3://{bucket}/{key}"},
    )


def _create_alerts_table(local_aws: LocalAws, name: str) -> None:
    keys = ("alert_id", "account_region", "end_hour_utc")
    by_account = {
        "IndexName": "account-region",
        "KeySchema": [
            {"AttributeName": "account_region", "KeyType": "HASH"},
            {"AttributeName": "end_hour_utc", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    local_aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": "alert_id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[by_account],
    )


def _create_topic(local_aws: LocalAws, name: str) -> tuple[str, str]:
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
    topic_arn = sns.create_topic(Name=name)["TopicArn"]
    queue_url = sqs.create_queue(QueueName=f"{name}-reader")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
    return topic_arn, queue_url
