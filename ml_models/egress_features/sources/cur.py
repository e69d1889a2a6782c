"""What legacy CUR and CUR 2.0 call the same columns: parquet and CUR 2.0 `a_b`, legacy CSV `a/B`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.line_items import (
    AMOUNT,
    EMPTY,
    IS_GIVEN,
    TEXT,
    TIME,
    UNKNOWN,
    Column,
    any_sql,
    computed,
)
from egress_features.sources.maps import entry_sql

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

COLUMNS = (
    Column("line_item_id", ("identity_line_item_id", "identity/LineItemId")),
    Column("time_interval", ("identity_time_interval", "identity/TimeInterval")),
    Column("start_utc", ("line_item_usage_start_date", "lineItem/UsageStartDate"), TIME),
    Column("end_utc", ("line_item_usage_end_date", "lineItem/UsageEndDate"), TIME),
    Column("payer_account_id", ("bill_payer_account_id", "bill/PayerAccountId"), TEXT, EMPTY),
    Column(
        "billing_period_start",
        (
            "bill_billing_period_start_date",
            "bill/BillingPeriodStartDate",
            "line_item_usage_start_date",
            "lineItem/UsageStartDate",
        ),
        TIME,
    ),
    Column("provider", (), TEXT, "'AWS'"),
    Column("account_id", ("line_item_usage_account_id", "lineItem/UsageAccountId")),
    Column("service", ("line_item_product_code", "lineItem/ProductCode")),
    Column("usage_type", ("line_item_usage_type", "lineItem/UsageType")),
    Column("operation", ("line_item_operation", "lineItem/Operation")),
    Column("charge_description", (), TEXT, EMPTY),
    Column("region_id", ("product_region_code", "product/regionCode", "product_region", "product/region"), TEXT, EMPTY),
    Column("resource_id", ("line_item_resource_id", "lineItem/ResourceId")),
    Column("line_item_type", ("line_item_line_item_type", "lineItem/LineItemType")),
    Column("usage_amount", ("line_item_usage_amount", "lineItem/UsageAmount"), AMOUNT),
    Column("cost_usd", ("line_item_unblended_cost", "lineItem/UnblendedCost"), AMOUNT),
    Column("currency", ("line_item_currency_code", "lineItem/CurrencyCode")),
    Column("has_invoice", ("bill_invoice_id", "bill/InvoiceId"), IS_GIVEN, UNKNOWN),
)
_FAMILIES = ("product_product_family", "product/productFamily")
_TRANSFER_TYPES = ("product_transfer_type", "product/transferType")


def is_transfer(file: ExportFile) -> Column:
    """Return the column that says whether a line is data transfer, by its product family or its transfer type."""
    conditions = [f"\"{name}\" = 'Data Transfer'" for name in _FAMILIES if name in file.names]
    conditions += [f"\"{name}\" <> ''" for name in _TRANSFER_TYPES if name in file.names]
    encoding = file.map_encoding("product")
    if encoding is not None:
        conditions.append(entry_sql('"product"', encoding, "transfer_type") + " <> ''")
    return computed("is_transfer", any_sql(conditions))
