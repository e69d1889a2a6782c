"""FOCUS 1.0 to 1.2 as AWS Data Exports and others write it, in parquet and in CSV.

Specification: https://focus.finops.org/focus-specification/. The usage type stands in `x_UsageType` (1.0) or
`SkuMeter` (from 1.1); a file with neither is read by `ChargeDescription` (`charge_descriptions.py`). The cost is
`BilledCost`, what legacy CUR calls unblended. FOCUS has no line item id: see `restatement.py` for what that means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.focus_services import service_sql
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
    share_known,
)

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

NULL_TEXTS = ("NULL",)
_METERS = ("x_UsageType", "SkuMeter")
_SINCE_1_2 = frozenset({"InvoiceId", "BillingAccountType", "PricingCurrency", "SubAccountType"})
_SINCE_1_1 = frozenset({"SkuMeter", "ServiceSubcategory", "CapacityReservationId", "CommitmentDiscountQuantity"})
_COLUMNS = (
    Column("line_item_id", (), TEXT, EMPTY),
    Column("time_interval", (), TEXT, EMPTY),
    Column("start_utc", ("ChargePeriodStart",), TIME),
    Column("end_utc", ("ChargePeriodEnd",), TIME),
    Column("payer_account_id", ("BillingAccountId",)),
    Column("billing_period_start", ("BillingPeriodStart", "ChargePeriodStart"), TIME),
    Column("provider", ("ProviderName",), TEXT, "'AWS'"),
    Column("account_id", ("SubAccountId",)),
    Column("usage_type", _METERS, TEXT, EMPTY),
    Column("operation", ("x_Operation",), TEXT, EMPTY),
    Column("region_id", ("RegionId", "Region"), TEXT, EMPTY),
    Column("resource_id", ("ResourceId",)),
    Column("usage_amount", ("ConsumedQuantity", "PricingQuantity"), AMOUNT),
    Column("cost_usd", ("BilledCost",), AMOUNT),
    Column("currency", ("BillingCurrency",)),
    Column("has_invoice", ("InvoiceId",), IS_GIVEN, UNKNOWN),
)


def kind_of(file: ExportFile) -> str | None:
    """Return such as "FOCUS 1.2" where the file has at least half of the columns that are read, None otherwise."""
    names = set(file.names)
    if not {"ChargeCategory", "ChargePeriodStart"} & names or share_known(_COLUMNS, names) * 2 < 1:
        return None
    return "FOCUS 1.2" if names & _SINCE_1_2 else "FOCUS 1.1" if names & _SINCE_1_1 else "FOCUS 1.0"


def columns(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns."""
    names = set(file.names)
    meter = next((f'"{name}"' for name in _METERS if name in names), None)
    described = f"CASE WHEN COALESCE(CAST({meter} AS VARCHAR), '') = '' THEN {TEXT} ELSE '' END" if meter else TEXT
    corrected = """CASE WHEN "ChargeClass" = 'Correction' THEN 'Correction' ELSE """ + TEXT + " END"
    return (
        *_COLUMNS,
        Column("charge_description", ("ChargeDescription",), described, EMPTY if meter else None),
        Column("service", ("ServiceName",), service_sql(has_code="x_ServiceCode" in names)),
        # A correction moves dollars of an earlier period: it is left out as a refund is.
        Column("line_item_type", ("ChargeCategory",), corrected if "ChargeClass" in names else TEXT),
        computed("is_transfer", any_sql(_transfer_conditions(names))),
    )


def _transfer_conditions(names: set[str]) -> list[str]:
    families = ["\"x_ProductFamily\" = 'Data Transfer'"] if "x_ProductFamily" in names else []
    described = ["STRPOS(LOWER(\"ChargeDescription\"), 'data transfer') > 0"] if "ChargeDescription" in names else []
    return families + described
