"""A file that conforms to a version of FOCUS is read, whatever the version."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from egress_features import BadInputError, reconcile
from egress_features.charge_descriptions import usage_type_of
from egress_features.sources import read_export
from tests.support.focus import COLUMNS, MANDATORY, MANDATORY_COLUMNS, OUT, charge, write_focus
from tests.support.line_items import line_items

SIZES = {"1.0 preview": 39, "1.0": 43, "1.1": 50, "1.2": 57, "1.3": 65, "1.4": 65}
CHARGES = [charge(0), charge(1), charge(2, "Microsoft", ServiceName="Bandwidth", BilledCost=Decimal("3"))]
# Versions differ in whether they have an invoice, and in how many columns have tags.
DIFFERENT = {"has_invoice", "tags"}


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: cell for name, cell in row.items() if name not in DIFFERENT} for row in rows]


def test_the_lists_have_as_many_columns_as_the_specification() -> None:
    assert {version: len(set(names)) for version, names in COLUMNS.items()} == SIZES


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("version", COLUMNS)
def test_every_version_has_the_same_lines(version: str, suffix: str, tmp_path: Path) -> None:
    bill = write_focus(tmp_path / f"bill.{suffix}", COLUMNS[version], CHARGES)
    expected = write_focus(tmp_path / "expected.parquet", COLUMNS["1.0"], CHARGES)
    found = line_items(bill)
    assert comparable(found) == comparable(line_items(expected))
    first = found[0]
    assert (first["provider"], first["account_id"], first["payer_account_id"]) == (
        "AWS",
        "011122223333",
        "999900001111",
    )
    assert (first["service"], first["region_id"], first["resource_id"]) == ("AmazonS3", "eu-west-1", "media-prod")
    assert (first["usage_amount"], first["cost_usd"], first["currency"]) == (Decimal("2.5"), Decimal("0.225"), "USD")
    assert (first["line_item_type"], first["is_transfer"]) == ("Usage", True)
    assert (first["usage_type"], usage_type_of(first["charge_description"])) == ("", "DataTransfer-Out-Bytes")
    assert read_export(bill).kind == f"FOCUS {version}"


@pytest.mark.parametrize("version", COLUMNS)
def test_every_version_reconciles(version: str, tmp_path: Path) -> None:
    (file,) = reconcile([write_focus(tmp_path / "bill.csv", COLUMNS[version], CHARGES)]).files
    assert file.is_met
    assert (file.traffic, file.other_providers) == ((2, Decimal("0.45")), (1, Decimal("3")))


@pytest.mark.parametrize("version", MANDATORY_COLUMNS)
def test_the_mandatory_columns_are_enough(version: str, tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", MANDATORY_COLUMNS[version], CHARGES)
    (row, _, other) = line_items(bill)
    assert (row["account_id"], row["resource_id"], row["usage_amount"]) == ("999900001111", "", Decimal("2.5"))
    assert (row["provider"], other["provider"]) == ("AWS", "Microsoft")
    assert read_export(bill).kind == {"1.4": "FOCUS 1.3 or 1.4"}.get(version, f"FOCUS {version}")


def test_0_5_is_read_where_it_has_usage_types(tmp_path: Path) -> None:
    names = ["x_UsageType", "ChargeType", "AmortizedCost", "Region", "UsageQuantity", "UsageUnit"]
    others = ["BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargePeriodStart"]
    row = charge(x_UsageType="DataTransfer-Out-Bytes", ChargeType="Usage", AmortizedCost=Decimal(0))
    names += [*others, "ChargePeriodEnd", "ProviderName", "ServiceName", "SubAccountId", "ResourceId"]
    bill = write_focus(tmp_path / "bill.csv", names, [row])
    assert read_export(bill).kind == "FOCUS 0.5"
    assert [(r["usage_type"], r["line_item_type"]) for r in line_items(bill)] == [("DataTransfer-Out-Bytes", "Usage")]


def test_the_most_trusted_provider_that_is_given_counts(tmp_path: Path) -> None:
    names = [*COLUMNS["1.3"], "Provider"]
    order = ["ServiceProviderName", "HostProviderName", "ProviderName", "Provider"]
    rows = [charge(**dict(zip(order, providers, strict=True))) for providers in (
        ("AWS", "Other", "Other", "Other"), ("Snowflake", "AWS", "AWS", "AWS"), ("", "AWS", "Other", "Other"),
        (None, None, "AWS", "Other"), (None, "", None, "AWS"), (None, None, None, None))]  # fmt: skip
    bill = write_focus(tmp_path / "bill.parquet", names, rows)
    assert [row["provider"] for row in line_items(bill)] == ["AWS", "Snowflake", "AWS", "AWS", "AWS", ""]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("AWS", "AWS"), ("aws", "AWS"), ("Amazon Web Services", "AWS"), ("Amazon Web Services, Inc.", "AWS"),
        ("amazon web services (AWS)", "AWS"), (" AWS ", "AWS"), ("Amazon Web Services EMEA SARL", "AWS"),
        ("Amazon", "AWS"), ("Amazonia Cloud", "Amazonia Cloud"), ("AWSome", "AWSome"), ("Microsoft", "Microsoft"),
        ("Google Cloud", "Google Cloud"),
    ],
)  # fmt: skip
def test_spellings_of_aws(name: str, provider: str, tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", COLUMNS["1.2"], [charge(provider=name)])
    assert [row["provider"] for row in line_items(bill)] == [provider]


NO_PROVIDER = [name for name in COLUMNS["1.2"] if name not in {"ProviderName", "PublisherName"}]


def test_without_a_provider_the_columns_say_that_it_is_aws(tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", [*NO_PROVIDER, "x_ServiceCode"], [charge(ServiceName="Bandwidth")])
    assert [row["provider"] for row in line_items(bill)] == ["AWS"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_a_provider_the_services_say_which_lines_are_aws(suffix: str, tmp_path: Path) -> None:
    names = ["Bandwidth", "Amazon Simple Storage Service", "AWS Lambda", "Elastic Load Balancing", "Compute Engine"]
    bill = write_focus(tmp_path / f"b.{suffix}", NO_PROVIDER, [charge(ServiceName=name) for name in names])
    assert [row["provider"] for row in line_items(bill)] == ["", "AWS", "AWS", "AWS", ""]


def test_without_a_provider_and_without_aws_services_the_bill_is_rejected(tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", NO_PROVIDER, [charge(ServiceName="Bandwidth")])
    with pytest.raises(BadInputError, match=r"bill\.csv does not show which provider's bill it is.*add ProviderName"):
        read_export(bill)


@pytest.mark.parametrize(
    "spell", [str.lower, str.upper, lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()]
)
def test_names_in_any_case(spell: Callable[[str], str], tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", COLUMNS["1.4"], CHARGES)
    expected = line_items(bill)
    header, *lines = bill.read_text().splitlines()
    bill.write_text("\n".join([",".join(map(spell, header.split(","))), *lines, ""]))
    assert line_items(bill) == expected
    assert read_export(bill).kind == "FOCUS 1.4"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_priced_quantity_stands_in_for_a_consumed_one_that_is_missing(suffix: str, tmp_path: Path) -> None:
    missing = charge(ConsumedQuantity=None, ConsumedUnit=None, PricingQuantity=Decimal(7000), PricingUnit="MB")
    bill = write_focus(tmp_path / f"bill.{suffix}", COLUMNS["1.2"], [missing, charge(PricingQuantity=Decimal(9))])
    assert [row["usage_amount"] for row in line_items(bill)] == [7, Decimal("2.5")]


def test_a_meter_that_is_a_usage_type_is_taken_and_a_phrase_is_not(tmp_path: Path) -> None:
    meters = ["EU-DataTransfer-Out-Bytes", "Data Transfer", None]
    rows = [charge(SkuMeter=meter) for meter in meters]
    bill = write_focus(tmp_path / "bill.csv", COLUMNS["1.2"], rows)
    assert [(row["usage_type"], row["charge_description"]) for row in line_items(bill)] == [
        ("EU-DataTransfer-Out-Bytes", ""), ("", OUT), ("", OUT)]  # fmt: skip


def test_what_the_export_calls_data_transfer(tmp_path: Path) -> None:
    rows = [charge(ChargeDescription=text) for text in (OUT, "DATA TRANSFER in", "Linux hours", None)]
    bill = write_focus(tmp_path / "bill.parquet", COLUMNS["1.4"], rows)
    assert [row["is_transfer"] for row in line_items(bill)] == [True, True, False, False]


def test_a_correction_is_no_usage(tmp_path: Path) -> None:
    bill = write_focus(tmp_path / "bill.csv", MANDATORY, [charge(ChargeClass="Correction"), charge()])
    assert [row["line_item_type"] for row in line_items(bill)] == ["Correction", "Usage"]
