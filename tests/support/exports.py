"""The same bill as other kinds of export: a legacy CUR's lines rewritten column by column."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

KINDS = ("CUR 2.0", "FOCUS 1.0", "FOCUS 1.2")
CATEGORIES = {
    "Usage": "Usage",
    "DiscountedUsage": "Usage",
    "SavingsPlanCoveredUsage": "Usage",
    "Credit": "Credit",
    "Tax": "Tax",
    "Refund": "Adjustment",
    "Fee": "Purchase",
    "RIFee": "Purchase",
}
FOCUS_NAMES = {
    "bill_payer_account_id": "BillingAccountId",
    "line_item_usage_account_id": "SubAccountId",
    "line_item_usage_account_name": "SubAccountName",
    "line_item_usage_start_date": "ChargePeriodStart",
    "line_item_usage_end_date": "ChargePeriodEnd",
    "bill_billing_period_start_date": "BillingPeriodStart",
    "bill_billing_period_end_date": "BillingPeriodEnd",
    "line_item_currency_code": "BillingCurrency",
    "line_item_unblended_cost": "BilledCost",
    "line_item_usage_amount": "ConsumedQuantity",
    "line_item_resource_id": "ResourceId",
    "product_region": "RegionId",
    "line_item_line_item_description": "ChargeDescription",
    "line_item_operation": "x_Operation",
    "line_item_product_code": "x_ServiceCode",
    "product_product_name": "ServiceName",
}


def as_kind(table: pa.Table, kind: str) -> pa.Table:
    """Return a legacy CUR's table as CUR 2.0, FOCUS 1.0 or FOCUS 1.2."""
    return _cur_2_0(table) if kind == "CUR 2.0" else _focus(table, kind)


def write_as(source: Path, kind: str, target: Path) -> Path:
    """Write a legacy CUR's parquet file as another kind, in parquet or CSV by the target's name."""
    table = as_kind(pq.read_table(source, partitioning=None), kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name.endswith(".parquet"):
        pq.write_table(table, target)
    else:
        _write_csv(table, target)
    return target


def _cur_2_0(table: pa.Table) -> pa.Table:
    names = [name for name in table.column_names if name.startswith(("identity_", "bill_", "line_item_", "pricing_"))]
    products = [name for name in ("product_region", "product_transfer_type") if name in table.column_names]
    columns = {name: table[name] for name in names}
    rows = zip(*(table[name].to_pylist() for name in products), strict=True)
    keys = [name.removeprefix("product_") for name in products]
    entries = [[(key, value) for key, value in zip(keys, row, strict=True) if value] for row in rows]
    columns["product"] = pa.array(entries, pa.map_(pa.string(), pa.string()))
    columns["resource_tags"] = pa.array(_tags(table, "user_"), pa.map_(pa.string(), pa.string()))
    return pa.table(columns)


def _focus(table: pa.Table, kind: str) -> pa.Table:
    columns = {focus: table[name] for name, focus in FOCUS_NAMES.items() if name in table.column_names}
    types = table["line_item_line_item_type"].to_pylist()
    columns["ChargeCategory"] = pa.array([CATEGORIES[name] for name in types])
    columns["ChargeClass"] = pa.array(["Correction" if name == "Refund" else None for name in types], pa.string())
    columns["ProviderName"] = pa.array(["AWS"] * len(types))
    columns["Tags"] = pa.array(_tags(table, "user:"), pa.map_(pa.string(), pa.string()))
    if kind == "FOCUS 1.0":
        columns["x_UsageType"] = table["line_item_usage_type"]
    else:
        columns["SkuMeter"] = table["line_item_usage_type"]
        columns["InvoiceId"] = table["bill_invoice_id"]
        columns["BillingAccountType"] = pa.array(["Account"] * len(types))
    return pa.table(columns)


def _tags(table: pa.Table, prefix: str) -> list[list[tuple[str, str]]]:
    """Return the tags of each line that has a value, with a prefix before their keys."""
    start = "resource_tags_user_"
    names = [name for name in table.column_names if name.startswith(start)]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True) if names else [()] * len(table)
    keys = [prefix + name.removeprefix(start) for name in names]
    return [[(key, value) for key, value in zip(keys, row, strict=True) if value] for row in rows]


def _write_csv(table: pa.Table, target: Path) -> None:
    frame = table.to_pandas()
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif name in {"product", "resource_tags", "Tags"}:
            frame[name] = [json.dumps(dict(entries)) for entries in frame[name]]
    frame.to_csv(target, index=False)
