"""Small legacy CURs, line by line."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2026, 9, 1, tzinfo=UTC)
CSV_NAMES = {
    "identity_line_item_id": "identity/LineItemId",
    "identity_time_interval": "identity/TimeInterval",
    "bill_invoice_id": "bill/InvoiceId",
    "line_item_usage_account_id": "lineItem/UsageAccountId",
    "line_item_line_item_type": "lineItem/LineItemType",
    "line_item_usage_start_date": "lineItem/UsageStartDate",
    "line_item_usage_end_date": "lineItem/UsageEndDate",
    "line_item_product_code": "lineItem/ProductCode",
    "line_item_usage_type": "lineItem/UsageType",
    "line_item_operation": "lineItem/Operation",
    "line_item_resource_id": "lineItem/ResourceId",
    "line_item_usage_amount": "lineItem/UsageAmount",
    "line_item_currency_code": "lineItem/CurrencyCode",
    "line_item_unblended_cost": "lineItem/UnblendedCost",
}


def line(hour: int, gb: float, usd: float | None = None, **other: Any) -> dict[str, Any]:
    """Return one line item; `other` replaces columns by their name without `line_item_`."""
    start = START + timedelta(hours=hour)
    row: dict[str, Any] = {
        "identity_line_item_id": f"id-{hour}-{sorted(other.items())}",
        "identity_time_interval": f"{start:%Y-%m-%dT%H:00:00Z}/{start + timedelta(hours=1):%Y-%m-%dT%H:00:00Z}",
        "bill_invoice_id": "1234",
        "line_item_usage_account_id": "011122223333",
        "line_item_line_item_type": "Usage",
        "line_item_usage_start_date": start,
        "line_item_usage_end_date": start + timedelta(hours=1),
        "line_item_product_code": "AmazonS3",
        "line_item_usage_type": "DataTransfer-Out-Bytes",
        "line_item_operation": "GetObject",
        "line_item_resource_id": "media-prod",
        "line_item_usage_amount": gb,
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": gb * 0.09 if usd is None else usd,
    }
    return row | {name if name in row else f"line_item_{name}": value for name, value in other.items()}


def steady(hours: int = 240, gb: float = 2.0) -> list[dict[str, Any]]:
    """Return a line for every hour."""
    return [line(hour, gb) for hour in range(hours)]


def write_parquet(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a legacy CUR in parquet."""
    pq.write_table(pa.Table.from_pylist(lines), path)
    return path


def write_csv(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a legacy CUR in CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([CSV_NAMES.get(name, name) for name in lines[0]])
        for row in lines:
            writer.writerow([f"{v:%Y-%m-%dT%H:%M:%SZ}" if isinstance(v, datetime) else v for v in row.values()])
    return path


def rewrite_csv(path: Path, encoding: str = "utf-8", separator: str = ",") -> Path:
    """Write a CSV file of UTF-8 again, in another encoding or with another separator."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path
