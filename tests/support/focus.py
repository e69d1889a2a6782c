"""Files that conform to each version of FOCUS: its columns, with their types and values that the specification allows.

Columns and feature levels: https://focus.finops.org/focus-specification/ (v1-0 to v1-4), its changelog, and for the
versions' differences CHANGELOG.md of https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec.
"""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Feature level "Mandatory" since 1.0; the other lists are what applies to a cloud provider such as AWS.
MANDATORY = [
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
]  # fmt: skip
IN_1_0 = [
    *MANDATORY, "AvailabilityZone", "ChargeFrequency", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity",
    "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "RegionId", "RegionName",
    "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
]  # fmt: skip
NOT_IN_PREVIEW = {
    "ChargeClass", "CommitmentDiscountStatus", "ContractedCost", "ContractedUnitPrice", "RegionId", "RegionName",
    "ConsumedQuantity", "ConsumedUnit",
}  # fmt: skip
IN_1_1 = [
    *IN_1_0, "CapacityReservationId", "CapacityReservationStatus", "CommitmentDiscountQuantity",
    "CommitmentDiscountUnit", "ServiceSubcategory", "SkuMeter", "SkuPriceDetails",
]  # fmt: skip
IN_1_2 = [
    *IN_1_1, "BillingAccountType", "InvoiceId", "PricingCurrency", "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "SubAccountType",
]  # fmt: skip
NAMED_IN_1_3 = ["HostProviderName", "ServiceProviderName"]
IN_1_3 = [
    *IN_1_2, *NAMED_IN_1_3, "AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId",
    "AllocatedResourceName", "AllocatedTags", "ContractApplied",
]  # fmt: skip
DROPPED_IN_1_4 = {"ProviderName", "PublisherName"}
COLUMNS = {
    "1.0 preview": [
        *(name for name in IN_1_0 if name not in NOT_IN_PREVIEW),
        *("ChargeSubcategory", "Region", "UsageQuantity", "UsageUnit"),
    ],
    "1.0": IN_1_0,
    "1.1": IN_1_1,
    "1.2": IN_1_2,
    "1.3": IN_1_3,
    "1.4": [
        *(name for name in IN_1_3 if name not in DROPPED_IN_1_4),
        *("CommitmentProgramEligibilityDetails", "InvoiceDetailId"),
    ],
}
MANDATORY_COLUMNS = {
    "1.0": MANDATORY,
    "1.3": [*MANDATORY, *NAMED_IN_1_3],
    "1.4": [*(name for name in MANDATORY if name not in DROPPED_IN_1_4), *NAMED_IN_1_3],
}
NUMBERS = ("Cost", "Quantity", "UnitPrice")
MOMENTS = ("PeriodStart", "PeriodEnd")
OUT = "$0.090 per GB - first 10 TB / month data transfer out beyond the global free tier"


def charge(hour: int = 0, provider: str = "AWS", **columns: Any) -> dict[str, Any]:
    """Return a charge for 2.5 GB of data transfer with the columns of every version; `columns` replaces some."""
    start = datetime(2026, 9, 1, hour, tzinfo=UTC)
    cost, quantity = Decimal("0.225"), Decimal("2.5")
    costs = ["BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost"]
    quantities = ["ConsumedQuantity", "PricingQuantity", "UsageQuantity"]
    return {
        **dict.fromkeys(costs, cost),
        **dict.fromkeys(quantities, quantity),
        **dict.fromkeys(["ConsumedUnit", "PricingUnit", "UsageUnit"], "GB"),
        **dict.fromkeys(["ProviderName", "PublisherName", "InvoiceIssuerName", *NAMED_IN_1_3], provider),
        "BillingAccountId": "999900001111",
        "BillingAccountName": "payer",
        "BillingCurrency": "USD",
        "BillingPeriodStart": datetime(2026, 9, 1, tzinfo=UTC),
        "BillingPeriodEnd": datetime(2026, 10, 1, tzinfo=UTC),
        "ChargeCategory": "Usage",
        "ChargeDescription": OUT,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start.replace(hour=hour + 1),
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "Region": "eu-west-1",
        "RegionId": "eu-west-1",
        "ResourceId": "media-prod",
        "ServiceCategory": "Storage",
        "ServiceName": "Amazon Simple Storage Service",
        "ServiceSubcategory": "Object Storage",
        # The specification's own example of a meter.
        "SkuMeter": "Data Transfer",
        "SubAccountId": "011122223333",
        "Tags": "{}",
        **columns,
    }


def write_focus(path: Path, names: list[str], charges: list[dict[str, Any]]) -> Path:
    """Write charges with the columns of a version, in parquet or CSV by the file's name."""
    rows = [{name: row.get(name) for name in names} for row in charges]
    if path.name.endswith(".csv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, _type(name)) for name in names])), path)
    return path


def _cell(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def _type(name: str) -> pa.DataType:
    if name.endswith(NUMBERS):
        return pa.decimal128(30, 15)
    return pa.timestamp("ms", "UTC") if name.endswith(MOMENTS) else pa.string()
