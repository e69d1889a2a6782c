"""What AWS refuses although each value is valid: changes in place, and limits that no service model states."""

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws

ROLE = "arn:aws:iam::123456789012:role/r"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    folder = tmp_path_factory.mktemp("model")
    (folder / "serve.py").write_text("def model_fn(model_dir):\n    return None\n")
    artifact = folder / "model.tar.gz"
    with tarfile.open(artifact, "w:gz") as tar:
        tar.add(folder / "serve.py", "code/serve.py")
    with LocalAws() as aws:
        s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
        s3.create_bucket(Bucket="models")
        s3.upload_file(str(artifact), "models", "model.tar.gz")
        program = {"SAGEMAKER_PROGRAM": "serve.py"}
        container: Any = {"Image": "local", "ModelDataUrl": "s3://models/model.tar.gz", "Environment": program}
        sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        for name, settings in {
            "large": {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
            "xlarge": {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1},
            "serverless": {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
        }.items():
            variant: Any = {"VariantName": "v", "ModelName": "m", **settings}
            sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="large")
        yield aws


def update(aws: LocalAws, configuration: str) -> None:
    aws.client("sagemaker").update_endpoint(EndpointName="e", EndpointConfigName=configuration)


def test_a_real_time_endpoint_does_not_become_serverless(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="cannot convert your instance-based, real-time endpoint"):
        update(aws, "serverless")


def test_a_scaled_variant_keeps_its_instance_type(aws: LocalAws) -> None:
    scaling = aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/v",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="must be deregistered as scalable target"):
        update(aws, "xlarge")
    scaling.deregister_scalable_target(**target)
    update(aws, "xlarge")
    update(aws, "large")


@pytest.mark.parametrize("instance_type", ["ml.m5d.large", "ml.c6gd.xlarge", "ml.g5.xlarge", "ml.p4d.24xlarge"])
def test_instances_with_local_storage_take_no_key(aws: LocalAws, instance_type: str) -> None:
    variant: Any = {"VariantName": "v", "ModelName": "m", "InstanceType": instance_type, "InitialInstanceCount": 1}
    make = aws.client("sagemaker").create_endpoint_config
    with pytest.raises(ClientError, match="whose storage is local"):
        make(EndpointConfigName=instance_type.replace(".", "-"), ProductionVariants=[variant], KmsKeyId=KEY)
    make(EndpointConfigName=instance_type.replace(".", "-"), ProductionVariants=[variant])


def test_a_deployment_has_time_for_its_waits(aws: LocalAws) -> None:
    routing = {
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 600,
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 10},
    }
    policy: Any = {"TrafficRoutingConfiguration": routing, "MaximumExecutionTimeoutInSeconds": 3600}
    with pytest.raises(ClientError, match="larger than all waits of the deployment, 6000 seconds"):
        aws.client("sagemaker").update_endpoint(
            EndpointName="e", EndpointConfigName="large", DeploymentConfig={"BlueGreenUpdatePolicy": policy}
        )


@pytest.mark.parametrize("expression", ["rate(1 hours)", "rate(2 hour)", "cron(0 6 * * * *)", "cron(0 6 * * MON)"])
def test_a_rule_has_a_schedule_that_eventbridge_knows(aws: LocalAws, expression: str) -> None:
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        aws.client("events").put_rule(Name="r", ScheduleExpression=expression)
    aws.client("events").put_rule(Name="r", ScheduleExpression="cron(0 6 ? * MON *)")


def test_an_alarm_looks_back_one_day_at_most(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="across more than a day"):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="a",
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=3600,
            EvaluationPeriods=25,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
        )


def test_a_function_has_4_kb_of_environment(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        aws.client("lambda").create_function(
            FunctionName="f",
            Role=ROLE,
            Runtime="python3.12",
            Handler="a.b",
            Code={"ZipFile": b"zip"},
            Environment={"Variables": {"LONG": "x" * 4097}},
        )
