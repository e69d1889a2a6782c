"""The module as others install it: from a git address, with a release archive, in an account with its own rules."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.cli.aws import OVERRIDE, write_override
from egress_sentinel.deployment.release import write_release
from local_aws import LocalAws
from tests.support.stack import Stack
from tests.support.terraform import ROOT, checkout, environment, terraform

TAGS = {"Project": "Billing", "Team": "finops"}
MAIN = """
provider "aws" {{
  region = "us-east-1"
}}

module "egress_sentinel" {{
  source = "git::file://{repository}//terraform?ref=v1"

  build_dir                = "{build}"
  tags                     = {{ Project = "Billing", Team = "finops" }}
  role_path                = "/finops/"
  permissions_boundary_arn = "{boundary}"
  existing                 = {{ bucket = "bucket-of-ours", kms_key_arn = "{key}" }}
  force_destroy            = true
}}

output "egress_sentinel" {{
  value = module.egress_sentinel
}}
"""
FROM_THE_ARCHIVE = """
module "egress_sentinel" {{
  source = "file://{archive}//terraform"
}}
"""


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def archive(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(ROOT, build, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def stack(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("somebody")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "release", filter="data")
    repository = checkout(folder / "repository").parent
    git(repository, "init", "--quiet")
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "--quiet", "--message", "first")
    git(repository, "tag", "v1")
    infrastructure = folder / "infrastructure"
    infrastructure.mkdir()
    with LocalAws() as aws:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="bucket-of-ours")
        s3.put_bucket_notification_configuration(
            Bucket="bucket-of-ours", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        bounds = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        boundary = aws.client("iam").create_policy(PolicyName="bounds", PolicyDocument=json.dumps(bounds))
        given = {"repository": repository, "build": folder / "release" / "build", "boundary": boundary["Policy"]["Arn"]}
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        (infrastructure / "main.tf").write_text(MAIN.format(**given, key=key), encoding="utf-8")
        write_override(infrastructure / OVERRIDE)
        stack = Stack("installed", infrastructure, aws, {})
        stack.run("init", "-input=false")
        stack.apply()
        yield stack


def resources(module: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [found for child in module.get("child_modules", []) for found in resources(child)]
    return [found for found in module.get("resources", []) if found["mode"] == "managed"] + inner


def test_it_serves_from_the_bucket_and_with_the_key_that_were_there(stack: Stack) -> None:
    assert "No changes." in stack.plan()
    done = stack.verify()
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    found = resources(json.loads(stack.run("show", "-json"))["values"]["root_module"])
    made = {resource["type"] for resource in found}
    assert not {kind for kind in made if kind.startswith(("aws_s3_bucket", "aws_kms_"))}
    statements = stack.outputs()["required_statements"]
    assert {"LogGroups", "CloudwatchAmazonawsCom"} <= {s["Sid"] for s in json.loads(statements["kms_key"])}
    assert {s["Sid"] for s in json.loads(statements["bucket"])} == {"TlsOnly"}


def test_what_it_made_has_the_tags_the_path_and_the_boundary(stack: Stack) -> None:
    """As the provider reads it back, so as AWS has it."""
    found = resources(json.loads(stack.run("show", "-json"))["values"]["root_module"])
    tagged = [r for r in found if "tags_all" in r["values"] and r["type"] != "aws_s3_object"]
    assert len(tagged) > 30
    assert [resource["address"] for resource in tagged if resource["values"]["tags_all"] != TAGS] == []
    for role in stack.aws.client("iam").list_roles(PathPrefix="/finops/")["Roles"]:
        full = stack.aws.client("iam").get_role(RoleName=role["RoleName"])["Role"]
        assert full["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/bounds")
        assert role["RoleName"].endswith("-us-east-1")
    assert len([resource for resource in found if resource["type"] == "aws_iam_role"]) == len(
        stack.aws.client("iam").list_roles(PathPrefix="/finops/")["Roles"]
    )


def test_destroying_it_leaves_the_bucket_and_the_key(stack: Stack) -> None:
    """What came into the bucket meanwhile stays too."""
    stack.aws.client("s3").put_object(Bucket="bucket-of-ours", Key="exports/bill.parquet", Body=b"0")
    stack.destroy()
    assert stack.aws.client("s3").list_objects_v2(Bucket="bucket-of-ours")["KeyCount"] == 1
    keys = [key["KeyId"] for key in stack.aws.client("kms").list_keys()["Keys"]]
    states = {stack.aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys}
    assert states == {"Enabled"}


def test_the_archive_is_whole_and_is_a_source_too(archive: Path, tmp_path: Path) -> None:
    """In the archive, build/ is where the module looks for it."""
    digest, name = archive.with_name(f"{archive.name}.sha256").read_text(encoding="utf-8").split()
    assert (digest, name) == (hashlib.sha256(archive.read_bytes()).hexdigest(), archive.name)
    (tmp_path / "main.tf").write_text(FROM_THE_ARCHIVE.format(archive=archive), encoding="utf-8")
    terraform(tmp_path, "init", "-backend=false", "-input=false", env=environment())
    installed = tmp_path / ".terraform" / "modules" / "egress_sentinel"
    sums = dict(reversed(line.split("  ")) for line in (installed / "SHA256SUMS").read_text("utf-8").splitlines())
    assert {hashlib.sha256((installed / file).read_bytes()).hexdigest() == digest for file, digest in sums.items()} == {
        True
    }
    functions = (
        "anomaly_detector",
        "batch_scorer",
        "drift_monitor",
        "model_registrar",
        "notification_forwarder",
        "pyarrow_layer",
    )
    built = {*(f"{name}.zip" for name in functions), "model.tar.gz", "sourcedir.tar.gz"}
    assert {f"build/{name}" for name in built} | {"terraform/main.tf", "LICENSE"} <= sums.keys()
    assert any(name.startswith("build/athena/") for name in sums)
    assert any(name.startswith("build/athena_flow_logs/") for name in sums)
