"""The batch scorer as it is deployed, in a local AWS: its Lambda, and a transform job with a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_aws import DetectorResources, LocalAws, create_detector_resources, create_model
from local_aws.lambda_runner import LambdaProcess

HANDLER = "batch_scorer.handler.lambda_handler"
_MODEL_NAME = "egress-sentinel"


@dataclass(frozen=True)
class DeployedScorer:
    aws: LocalAws
    resources: DetectorResources
    function: LambdaProcess
    environment: dict[str, str]


@contextmanager
def deployed_scorer(model_tar: Path, log_file: Path) -> Iterator[DeployedScorer]:
    with LocalAws() as aws:
        resources = create_detector_resources(aws)
        create_model(aws, resources.bucket, model_tar, _MODEL_NAME)
        table = "egress-sentinel-batch-jobs"
        aws.client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        )
        environment = aws.environment() | {
            "BUCKET": resources.bucket,
            "ENDPOINT_NAME": "none",
            "MODEL_NAME": _MODEL_NAME,
            "JOBS_TABLE": table,
            "TOPIC_ARN": resources.topic_arn,
            "POWERTOOLS_SERVICE_NAME": "batch-scorer",
            "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
        }
        with LambdaProcess(HANDLER, environment=environment, log_file=log_file) as function:
            yield DeployedScorer(aws, resources, function, environment)
