"""FOCUS 0.5, 1.0 preview and 1.0 to 1.4 as AWS Data Exports and others write it, in parquet and in CSV.

Specification: https://focus.finops.org/focus-specification/. The versions differ in:

- **Provider**: `ServiceProviderName` and `HostProviderName` since 1.3, `ProviderName` until 1.3. A file without any of
  them is AWS's if it has columns that only AWS writes (`x_UsageType`, ...). Otherwise the `ServiceName` of each line
  decides.
- **Usage type**: `x_UsageType` (AWS, 1.0) or `SkuMeter` (since 1.1) if that is no phrase such as "Data Transfer". A
  line with neither is classified by `ChargeDescription` (`charge_descriptions.py`).
- **Amount**: `ConsumedQuantity` with `ConsumedUnit`, which 1.0 preview calls `UsageQuantity` and `UsageUnit`; where a
  line has none, `PricingQuantity` with `PricingUnit`.
- **Region**: `RegionId`, which 1.0 preview calls `Region`. **Category**: `ChargeCategory`, in 0.5 `ChargeType`.

The cost is `BilledCost`, which is after discounts. FOCUS has no line item id: see `restatement.py` for what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from egress_features.errors import BadInputError
from egress_features.sources.focus_services import is_aws_sql, service_sql
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
    first_given_sql,
    share_known,
    value_sql,
)
from egress_features.sources.units import amount_in_gb_sql

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

NULL_TEXTS = ("NULL",)
COST = "BilledCost"
NUMBERS = ("ConsumedQuantity", "UsageQuantity", "PricingQuantity", COST)
TIMES = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart")
RESOURCE = "ResourceId"
_CATEGORIES = ("ChargeCategory", "ChargeType")
_PROVIDERS = ("ServiceProviderName", "HostProviderName", "ProviderName", "Provider")
_OF_AWS = ("x_UsageType", "x_Operation", "x_ServiceCode", "x_Discounts")
_UNITS = {"ConsumedQuantity": "ConsumedUnit", "UsageQuantity": "UsageUnit", "PricingQuantity": "PricingUnit"}
_COLUMNS = (
    Column("line_item_id", (), TEXT, EMPTY),
    Column("time_interval", (), TEXT, EMPTY),
    Column("start_utc", ("ChargePeriodStart",), TIME),
    Column("end_utc", ("ChargePeriodEnd",), TIME),
    Column("payer_account_id", ("BillingAccountId",), ACCOUNT),
    Column("billing_period_start", ("BillingPeriodStart", "ChargePeriodStart"), TIME),
    Column("account_id", ("SubAccountId", "BillingAccountId"), ACCOUNT),
    Column("operation", ("x_Operation",), TEXT, EMPTY),
    Column("region_id", ("RegionId", "Region"), TEXT, EMPTY),
    Column("resource_id", (RESOURCE,), TEXT, EMPTY),
    Column("usage_amount", tuple(_UNITS), AMOUNT),
    Column("cost_usd", (COST,), AMOUNT),
    Column("currency", ("BillingCurrency",)),
    Column("has_invoice", ("InvoiceId",), IS_GIVEN, UNKNOWN),
)
# Columns by the version that brought them, the newest first; https://focus.finops.org/focus-specification/changelog/
_SINCE = {
    "1.4": ("CommitmentProgramEligibilityDetails", "InvoiceDetailId"),
    "1.3": (
        "ServiceProviderName",
        "HostProviderName",
        "AllocatedMethodId",
        "AllocatedMethodDetails",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "ContractApplied",
    ),
    "1.2": (
        "InvoiceId",
        "BillingAccountType",
        "SubAccountType",
        "PricingCurrency",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
    ),
    "1.1": (
        "SkuMeter",
        "SkuPriceDetails",
        "ServiceSubcategory",
        "CapacityReservationId",
        "CapacityReservationStatus",
        "CommitmentDiscountQuantity",
        "CommitmentDiscountUnit",
    ),
    "1.0": ("ChargeClass", "ConsumedQuantity", "ContractedCost", "RegionId", "CommitmentDiscountStatus"),
    "1.0 preview": ("ChargeCategory", "EffectiveCost"),
}
_UNTIL_1_3 = ("ProviderName", "PublisherName")


def kind_of(file: ExportFile) -> str | None:
    """Return a name such as "FOCUS 1.2" if the file has at least half of the columns that are read, else None."""
    if file.find(*_CATEGORIES, "ChargePeriodStart") is None or share_known(_COLUMNS, file) * 2 < 1:
        return None
    version = next((version for version, names in _SINCE.items() if file.find(*names)), "0.5")
    # 1.4 has the same columns except two, which it dropped.
    return f"FOCUS {'1.3 or 1.4' if version == '1.3' and not file.find(*_UNTIL_1_3) else version}"


def columns(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns.

    Raises
    ------
    BadInputError
        Nothing in the file shows that it is AWS's.
    """
    found = (
        *_COLUMNS,
        computed("provider", _provider_sql(file)),
        Column("service", ("ServiceName",), service_sql(file.quoted("x_ServiceCode"))),
        *_meter(file),
        _line_item_type(file),
        computed("is_transfer", any_sql(_transfer_conditions(file))),
        Column("account_name", (account_name(file),), TEXT, EMPTY),
    )
    quantities = {name: file.quoted(unit) for wanted, unit in _UNITS.items() if (name := file.find(wanted))}
    if not quantities:
        return found

    def in_gb(name: str) -> str:
        amount, unit = value_sql(file, name, AMOUNT), quantities[name]
        return amount if unit is None else amount_in_gb_sql(amount, unit)

    amount = computed("usage_amount", first_amount_sql(file, list(quantities), in_gb))
    return tuple(amount if column.target == "usage_amount" else column for column in found)


def account_name(file: ExportFile) -> str:
    """Return the column of the names of the accounts that `account_id` has."""
    return "SubAccountName" if file.find("SubAccountId") else "BillingAccountName"


def _provider_sql(file: ExportFile) -> str:
    if file.find(*_PROVIDERS):
        name = first_given_sql(file, _PROVIDERS)
        is_aws = f"REGEXP_MATCHES(UPPER(TRIM({name})), '^(AWS|AMAZON|AMAZONWEBSERVICES)([^A-Z0-9].*)?$')"
        return f"CASE WHEN {name} = 'AWS' OR {is_aws} THEN 'AWS' ELSE {name} END"
    if file.find(*_OF_AWS):
        return "'AWS'"
    service = file.quoted("ServiceName")
    if service is None or not _has_aws_service(file, service):
        raise BadInputError(
            f"{file.path} does not show which provider's bill it is: it has none of the columns "
            f"{', '.join(_PROVIDERS[:3])}, and no AWS service in ServiceName; add ProviderName to the export"
        )
    return f"CASE WHEN {is_aws_sql(service)} THEN 'AWS' ELSE '' END"


def _has_aws_service(file: ExportFile, service: str) -> bool:
    with duckdb.connect() as connection:
        query = f"SELECT COUNT(*) > 0 FROM {file.scan_sql(null_texts=NULL_TEXTS)} WHERE {is_aws_sql(service)}"
        return connection.execute(query).fetchall()[0][0] is True


def _meter(file: ExportFile) -> tuple[Column, Column]:
    """Return the columns of the usage type, and of the description for lines that have only a description."""
    own, meter = file.quoted("x_UsageType"), file.quoted("SkuMeter")
    given = [f"NULLIF(CAST({own} AS VARCHAR), '')"] if own else []
    given += [f"CASE WHEN STRPOS({meter}, ' ') = 0 THEN {meter} END"] if meter else []
    if not given:
        return computed("usage_type", EMPTY), Column("charge_description", ("ChargeDescription",))
    usage_type = f"COALESCE({', '.join([*given, EMPTY])})"
    described = file.quoted("ChargeDescription")
    text = f"CASE WHEN {usage_type} = '' THEN COALESCE(CAST({described} AS VARCHAR), '') ELSE '' END"
    of_type = Column("usage_type", ("x_UsageType",)) if own and not meter else computed("usage_type", usage_type)
    return of_type, computed("charge_description", text if described else EMPTY)


def _line_item_type(file: ExportFile) -> Column:
    category, charge_class = file.find(*_CATEGORIES), file.quoted("ChargeClass")
    if category is None or charge_class is None:
        return Column("line_item_type", _CATEGORIES)
    # A correction moves dollars of an earlier period: it is left out as a refund is.
    text = value_sql(file, category, TEXT)
    return computed("line_item_type", f"CASE WHEN {charge_class} = 'Correction' THEN 'Correction' ELSE {text} END")


def _transfer_conditions(file: ExportFile) -> list[str]:
    family, described = file.quoted("x_ProductFamily"), file.quoted("ChargeDescription")
    conditions = [f"{family} = 'Data Transfer'"] if family else []
    return conditions + ([f"STRPOS(LOWER({described}), 'data transfer') > 0"] if described else [])
