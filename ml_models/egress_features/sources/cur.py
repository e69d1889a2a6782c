"""What legacy CUR and CUR 2.0 have in common: the columns, by their names in parquet.

CSV files of a legacy CUR spell them `lineItem/UsageType`, other tools in lower or upper case, with other separators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.line_items import (
    ACCOUNT,
    AMOUNT,
    EMPTY,
    IS_GIVEN,
    TEXT,
    TIME,
    UNKNOWN,
    Column,
    any_sql,
    computed,
    first_amount_sql,
    value_sql,
)
from egress_features.sources.maps import entry_sql
from egress_features.sources.units import amount_in_gb_sql

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

RESOURCE = "line_item_resource_id"
ACCOUNT_NAME = "line_item_usage_account_name"
# The cost of a line after discounts, if the account has any.
NET_COST = "line_item_net_unblended_cost"
COST = "line_item_unblended_cost"
_AMOUNT = "line_item_usage_amount"
NUMBERS = (_AMOUNT, NET_COST, COST)
TIMES = ("line_item_usage_start_date", "line_item_usage_end_date", "bill_billing_period_start_date")
_UNITS = ("pricing_unit", "product_unit")
COLUMNS = (
    Column("line_item_id", ("identity_line_item_id",)),
    Column("time_interval", ("identity_time_interval",)),
    Column("start_utc", ("line_item_usage_start_date",), TIME),
    Column("end_utc", ("line_item_usage_end_date",), TIME),
    Column("payer_account_id", ("bill_payer_account_id",), ACCOUNT, EMPTY),
    Column("billing_period_start", ("bill_billing_period_start_date", "line_item_usage_start_date"), TIME),
    Column("provider", (), TEXT, "'AWS'"),
    Column("account_id", ("line_item_usage_account_id",), ACCOUNT),
    Column("service", ("line_item_product_code",)),
    Column("usage_type", ("line_item_usage_type",)),
    Column("operation", ("line_item_operation",)),
    Column("charge_description", (), TEXT, EMPTY),
    Column("region_id", ("product_region_code", "product_region"), TEXT, EMPTY),
    Column("resource_id", (RESOURCE,), TEXT, EMPTY),
    Column("line_item_type", ("line_item_line_item_type",)),
    Column("usage_amount", (_AMOUNT,), AMOUNT),
    Column("cost_usd", (COST,), AMOUNT),
    Column("currency", ("line_item_currency_code",)),
    Column("has_invoice", ("bill_invoice_id",), IS_GIVEN, UNKNOWN),
    Column("account_name", (ACCOUNT_NAME,), TEXT, EMPTY),
)


def columns_of(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns, with the parts that depend on other columns of the file."""
    special = {column.target: column for column in (_amount(file), _cost(file), _is_transfer(file)) if column}
    return (*(column for column in COLUMNS if column.target not in special), *special.values())


def _amount(file: ExportFile) -> Column | None:
    amount, unit = file.find(_AMOUNT), file.quoted(*_UNITS)
    if amount is None or unit is None:
        return None
    return computed("usage_amount", amount_in_gb_sql(value_sql(file, amount, AMOUNT), unit))


def _cost(file: ExportFile) -> Column | None:
    net, cost = file.find(NET_COST), file.find(COST)
    if net is None or cost is None or net in file.without_values:
        return None
    return computed("cost_usd", first_amount_sql(file, [net, cost], lambda name: value_sql(file, name, AMOUNT)))


def _is_transfer(file: ExportFile) -> Column:
    """Return whether a line is data transfer by its product family or its transfer type."""
    family, transfer_type, product = (
        file.quoted(name) for name in ("product_product_family", "product_transfer_type", "product")
    )
    conditions = [f"{family} = 'Data Transfer'"] if family else []
    conditions += [f"{transfer_type} <> ''"] if transfer_type else []
    encoding = file.map_encoding("product")
    if product and encoding:
        conditions.append(f"{entry_sql(product, encoding, 'transfer_type')} <> ''")
    return computed("is_transfer", any_sql(conditions))
