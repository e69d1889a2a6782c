"""Everything that the configuration can make, applied with a mocked provider: policies, patterns, definitions."""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from egress_features.engines.athena import main as render_for_athena
from egress_features.flow_logs.athena import main as render_flow_logs_for_athena
from tests.support.terraform import TERRAFORM, checkout, environment, terraform

FUNCTIONS = ("anomaly_detector", "batch_scorer", "drift_monitor", "model_registrar", "notification_forwarder")
ZIPS = (*FUNCTIONS, "image_source", "pyarrow_layer")
ARNS = {
    "aws_athena_workgroup": "athena:eu-west-1:111122223333:workgroup/egress-sentinel",
    "aws_sagemaker_feature_group": "sagemaker:eu-west-1:111122223333:feature-group/egress-sentinel",
    "aws_sagemaker_endpoint": "sagemaker:eu-west-1:111122223333:endpoint/egress-sentinel",
}
RUN = """
run "everything" {
  variables {
    serverless                 = null
    realtime                   = { instance_count = 1, max_instance_count = 3 }
    vpc                        = {}
    image_build                = {}
    batch = {
      runner    = "aws_batch"
      image_uri = "999988887777.dkr.ecr.eu-west-1.amazonaws.com/jobs:1"
    }
    data_capture               = { sampling_percentage = 20 }
    owners                     = [{ team = "team-media", tags = { owner = "media*" } }]
    subscriptions = {
      slack = { team_id = "T0123ABCD", channel_id = "C0123ABCD" }
      teams = {
        tenant_id  = "11111111-2222-3333-4444-555555555555"
        team_id    = "11111111-2222-3333-4444-555555555555"
        channel_id = "19%3Aabc%40thread.tacv2"
      }
      chats = {
        media = {
          slack         = { team_id = "T0123ABCD", channel_id = "C0456EFGH" }
          filter_policy = jsonencode({ team = ["team-media"] })
        }
      }
      filtered = [{
        protocol             = "sqs"
        endpoint             = "arn:aws:sqs:eu-west-1:111122223333:media"
        filter_policy        = jsonencode({ team = [{ exists = false }] })
        raw_message_delivery = true
      }]
      pagerduty = { oncall = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:pagerduty-a1b2c3" } }
      webhooks = {
        tickets = {
          secret_arn         = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tickets-a1b2c3"
          secret_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
          filter_policy      = jsonencode({ severity = ["critical"] })
        }
      }
    }
    data_export                = { name = "egress" }
    monthly_budget_usd         = 20
    retraining                 = { start_alarm_names = ["errors"] }
    drift                      = {}
    feature_store              = { offline = true }
    digest                     = {}
    cloudtrail                 = {}
    notebook                   = { repository_url = "https://example.com/egress-sentinel.git" }
    tags                       = { Team = "finops" }
    role_path                  = "/finops/"
    permissions_boundary_arn   = "arn:aws:iam::111122223333:policy/bounds"
    flow_logs                  = { vpc_ids = ["vpc-0a1b2c3d"], account_ids = ["444455556666"] }
    model_artifact             = "s3://models-of-ours/egress/model.tar.gz"
    model_artifact_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-3333-4444-555555555555"
  }
}
"""


def write_build(folder: Path) -> None:
    """Write small files in place of what `make package` writes, and the SQL as it is."""
    folder.mkdir()
    for name in (*(f"{name}.zip" for name in ZIPS), "model.tar.gz", "sourcedir.tar.gz"):
        (folder / name).write_text(name)
    render_for_athena([str(folder / "athena")])
    render_flow_logs_for_athena([str(folder / "athena_flow_logs")])


@cache
def resources() -> tuple[dict[str, Any], ...]:
    """Return every resource with its address, type and values."""
    with TemporaryDirectory() as temporary:
        write_build(Path(temporary) / "build")
        folder = checkout(Path(temporary))
        mocks = _with_arns(
            (TERRAFORM / "tests" / "service.tftest.hcl").read_text(encoding="utf-8").partition('\nrun "')[0]
        )
        (folder / "tests" / "everything.tftest.hcl").write_text(f"{mocks}\n{RUN}", encoding="utf-8")
        terraform(folder, "init", "-backend=false", "-input=false")
        command = ["terraform", "test", "-json", "-verbose", "-filter=tests/everything.tftest.hcl"]
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    output = [json.loads(line) for line in done.stdout.splitlines()]
    states = [line["test_state"]["root_module"] for line in output if line["type"] == "test_state"]
    assert done.returncode == 0, [line["@message"] for line in output if line["@level"] == "error"]
    return tuple(_of_module(states[0]))


def _with_arns(mocks: str) -> str:
    """Add ARNs of resources that policies name."""
    blocks = "".join(
        f'\n  mock_resource "{kind}" {{\n    defaults = {{ arn = "arn:aws:{arn}" }}\n  }}\n'
        for kind, arn in ARNS.items()
    )
    return mocks.rstrip().removesuffix("}") + blocks + "}\n"


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Return the values of the resources of a type by address."""
    return {found["address"]: found["values"] for found in resources() if found["type"] == kind}


def _of_module(module: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [found for child in module.get("child_modules", []) for found in _of_module(child)]
    return [*module.get("resources", []), *inner]
