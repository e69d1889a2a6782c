"""The local AWS refuses and completes what AWS refuses and completes."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws

VIEW = "arn:aws:billing::123456789012:billingview/primary"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="models")
        yield aws


def register(aws: LocalAws, **facts: str) -> str:
    sagemaker = aws.client("sagemaker")
    # The description has characters that a fact may not have.
    created = sagemaker.create_model_package(
        ModelPackageGroupName="models", ModelPackageDescription="40% (new);", CustomerMetadataProperties=facts
    )
    package: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=created["ModelPackageArn"])
    assert package["CustomerMetadataProperties"] == facts
    return str(created["ModelPackageArn"])


@pytest.mark.parametrize("value", ["it finds 40=25", "arn:aws:iam::1:role/a-b_c.d+e@f", "naïve Größe 模型 ٣"])
def test_a_model_package_has_facts_of_letters_numbers_and_some_signs(aws: LocalAws, value: str) -> None:
    register(aws, blocked_by=value)


@pytest.mark.parametrize("value", ["it finds 40%", "one; two", "one, two", "(Spearman 0.3)", "two\nlines"])
def test_a_fact_with_another_sign_is_refused(aws: LocalAws, value: str) -> None:
    with pytest.raises(ClientError, match=r"'customerMetadataProperties\.blocked_by' failed to satisfy constraint"):
        register(aws, blocked_by=value)
    arn = register(aws, blocked_by="nothing")
    with pytest.raises(ClientError, match="regular expression pattern"):
        aws.client("sagemaker").update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"note": value})


@pytest.mark.parametrize(("given", "expected"), [({}, VIEW), ({"BILLING_VIEW_ARN": f"{VIEW}-2"}, f"{VIEW}-2")])
def test_an_export_has_a_billing_view(aws: LocalAws, given: dict[str, str], expected: str) -> None:
    exports = aws.client("bcm-data-exports")
    tables = {"COST_AND_USAGE_REPORT": {"TIME_GRANULARITY": "HOURLY", **given}}
    output = {"OutputType": "CUSTOM", "Format": "PARQUET", "Compression": "PARQUET", "Overwrite": "OVERWRITE_REPORT"}
    destination = {"S3Bucket": "b", "S3Prefix": "exports", "S3Region": "us-east-1", "S3OutputConfigurations": output}
    created = exports.create_export(
        Export={
            "Name": "egress",
            "DataQuery": {"QueryStatement": "SELECT product FROM COST_AND_USAGE_REPORT", "TableConfigurations": tables},
            "DestinationConfigurations": {"S3Destination": destination},
            "RefreshCadence": {"Frequency": "SYNCHRONOUS"},
        }
    )
    query = exports.get_export(ExportArn=created["ExportArn"])["Export"]["DataQuery"]
    assert query["TableConfigurations"] == {
        "COST_AND_USAGE_REPORT": {"TIME_GRANULARITY": "HOURLY", "BILLING_VIEW_ARN": expected}
    }
