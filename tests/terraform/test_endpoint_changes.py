"""What SageMaker does not change in place, changed by Terraform: the endpoint's module alone, on a local AWS.

The tests of this file build on each other.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.cli.aws import OVERRIDE, write_override
from local_aws import LocalAws
from tests.support.terraform import checkout, environment, require_terraform, terraform

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MAIN = """
provider "aws" {
  region = "us-east-1"
}

variable "serverless" {
  type = object({ memory_mb = number, max_concurrency = number })
}

variable "realtime" {
  type = any
}

module "endpoint" {
  source = "./terraform/modules/endpoint"

  name               = "scores"
  image              = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
  model_data_url     = "s3://models/model.tar.gz"
  model_object_arns  = ["arn:aws:s3:::models/*"]
  bucket_arn         = "arn:aws:s3:::models"
  model_package_arn  = null
  environment        = {}
  serverless         = var.serverless
  realtime           = var.realtime
  network            = null
  data_capture       = null
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  log_retention_days = 365
  max_latency_ms     = 10000
  alarm_actions      = []
}
"""
DEPLOYMENT = {"type": "canary", "step_percent": 50, "bake_seconds": 0}
SERVERLESS = {"memory_mb": 2048, "max_concurrency": 5}


class Endpoint:
    """The module in a separate folder."""

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        self._folder = folder
        self._env = environment() | aws.environment()
        self.aws = aws
        terraform(folder, "init", "-input=false", env=self._env)

    def apply(self, serverless: dict[str, Any] | None, realtime: dict[str, Any] | None) -> dict[str, Any]:
        """Apply, and apply nothing the second time; return the endpoint."""
        given = [f"-var=serverless={json.dumps(serverless)}", f"-var=realtime={json.dumps(realtime)}"]
        terraform(self._folder, "apply", "-auto-approve", "-input=false", *given, env=self._env)
        printed = terraform(
            self._folder, "plan", "-detailed-exitcode", "-input=false", *given, env=self._env, accept=(0, 2)
        )
        assert "No changes." in printed, printed
        found: dict[str, Any] = self.aws.client("sagemaker").describe_endpoint(EndpointName="scores")
        return found

    def variant(self) -> dict[str, Any]:
        sagemaker = self.aws.client("sagemaker")
        name = sagemaker.describe_endpoint(EndpointName="scores")["EndpointConfigName"]
        found: dict[str, Any] = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0]
        return found


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    require_terraform()
    folder = tmp_path_factory.mktemp("endpoint")
    command = [sys.executable, "-m", "egress_sentinel.pipeline.starting_model", folder / "model.tar.gz"]
    subprocess.run(command, check=True, capture_output=True)
    checkout(folder)
    (folder / "main.tf").write_text(MAIN, encoding="utf-8")
    write_override(folder / OVERRIDE)
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket="models")
        aws.client("s3").upload_file(str(folder / "model.tar.gz"), "models", "model.tar.gz")
        yield Endpoint(folder, aws)


def realtime(instance_type: str, **more: int) -> dict[str, Any]:
    given = {"instance_type": instance_type, "instance_count": 1, "invocations_per_instance": 600, **more}
    return {**given, "deployment": DEPLOYMENT}


def test_a_scaled_endpoint_gets_another_instance_type(endpoint: Endpoint) -> None:
    endpoint.apply(None, realtime("ml.m5.large", max_instance_count=3))
    before = endpoint.aws.client("sagemaker").describe_endpoint(EndpointName="scores")["CreationTime"]
    after = endpoint.apply(None, realtime("ml.c6i.large", max_instance_count=3))
    assert endpoint.variant()["InstanceType"] == "ml.c6i.large"
    assert after["CreationTime"] == before  # updated in place
    scaling = endpoint.aws.client("application-autoscaling")
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    assert len(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 1


def test_a_real_time_endpoint_becomes_serverless(endpoint: Endpoint) -> None:
    before = endpoint.aws.client("sagemaker").describe_endpoint(EndpointName="scores")["CreationTime"]
    after = endpoint.apply(SERVERLESS, None)
    assert endpoint.variant()["ServerlessConfig"]["MemorySizeInMB"] == 2048
    assert after["CreationTime"] > before  # replaced
    endpoint.apply(None, realtime("ml.m5.large"))
    assert endpoint.variant()["InstanceType"] == "ml.m5.large"
