"""docs/remedies.md: every snippet applies without changes, and all of them apply together."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from egress_alerts import remedies
from egress_sentinel.cli.aws import OVERRIDE, write_override
from local_aws import LocalAws
from tests.support.stack import Stack
from tests.support.terraform import ROOT, require_terraform, terraform

PAGE = (ROOT / "docs" / "remedies.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```hcl\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROVIDER = 'provider "aws" {\n  region = var.region\n}\n'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    require_terraform()
    folder: Path = tmp_path_factory.mktemp("remedies")
    (folder / "main.tf").write_text("\n".join([*SNIPPETS, PROVIDER]), encoding="utf-8")
    write_override(folder / OVERRIDE)
    with LocalAws() as aws:
        ec2, s3 = aws.client("ec2"), aws.client("s3")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=of_vpc)["Subnets"]]
        tables = [table["RouteTableId"] for table in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]]
        for bucket in ("media-prod", "media-replica"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        variables = {
            "region": "us-east-1",
            "vpc_id": vpc,
            "private_route_table_ids": json.dumps(tables),
            "private_subnet_ids": json.dumps(subnets[:2]),
            "bucket": "media-prod",
            "replica_bucket": "media-replica",
            "replication_role_arn": "arn:aws:iam::123456789012:role/replication",
        }
        stack = Stack("remedies", folder, aws, variables)
        stack.run("init", "-input=false")
        stack.apply()
        yield stack


def test_the_snippets_are_formatted(tmp_path: Path) -> None:
    require_terraform()
    for number, snippet in enumerate(SNIPPETS):
        (tmp_path / f"{number}.tf").write_text(snippet, encoding="utf-8")
    terraform(tmp_path, "fmt", "-check", "-diff")


def test_every_snippet_is_in_aws_after_the_apply(stack: Stack) -> None:
    """Read from the AWS itself: endpoints with routes, a target group, a policy, a distribution, a replication rule."""
    ec2, s3 = stack.aws.client("ec2"), stack.aws.client("s3")
    endpoints = {
        (each["ServiceName"].removeprefix("com.amazonaws.us-east-1."), each["VpcEndpointType"]): each
        for each in ec2.describe_vpc_endpoints()["VpcEndpoints"]
    }
    assert set(endpoints) == {
        ("s3", "Gateway"), ("dynamodb", "Gateway"), ("ecr.api", "Interface"), ("ecr.dkr", "Interface"),
    }  # fmt: skip
    assert endpoints["s3", "Gateway"]["RouteTableIds"] == json.loads(stack.variables["private_route_table_ids"])
    assert sorted(endpoints["ecr.dkr", "Interface"]["SubnetIds"]) == sorted(
        json.loads(stack.variables["private_subnet_ids"])
    )
    balancers = stack.aws.client("elbv2")
    (group,) = balancers.describe_target_groups()["TargetGroups"]
    attributes = balancers.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
    assert {"Key": "load_balancing.cross_zone.enabled", "Value": "false"} in attributes
    (statement,) = json.loads(s3.get_bucket_policy(Bucket="media-prod")["Policy"])["Statement"]
    assert statement["Condition"] == {"StringLike": {"aws:Referer": "https://www.example.com/*"}}
    resources = json.loads(stack.run("show", "-json"))["values"]["root_module"]["resources"]
    (distribution,) = [each["values"] for each in resources if each["type"] == "aws_cloudfront_distribution"]
    assert distribution["origin"][0]["domain_name"] == "media-prod.s3.us-east-1.amazonaws.com"
    (rule,) = s3.get_bucket_replication(Bucket="media-prod")["ReplicationConfiguration"]["Rules"]
    assert (rule["Status"], rule["Destination"]["Bucket"]) == ("Enabled", "arn:aws:s3:::media-replica")


def test_every_fix_has_a_section_with_a_snippet() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert {fix.anchor for fix in remedies._FIXES.values()} == anchors
    sections = PAGE.split("\n## ")[1:]
    assert all("```hcl\n" in section for section in sections)
