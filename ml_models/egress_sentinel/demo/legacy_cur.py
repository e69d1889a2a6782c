"""Prices usage and writes it as a legacy Cost and Usage Report in AWS's layout."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from egress_sentinel.demo.places import TIER_BOUNDS_GB, TIER_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from egress_sentinel.demo.traffic import Clock, Floats, Stream

    Ints = NDArray[np.int64]

SERVICE_NAMES = {
    "AmazonS3": "Amazon Simple Storage Service",
    "AmazonEC2": "Amazon Elastic Compute Cloud",
    "AmazonRDS": "Amazon Relational Database Service",
    "AmazonCloudFront": "Amazon CloudFront",
    "AWSELB": "Elastic Load Balancing",
}
# Columns of a real export that these lines do not use. They are empty strings.
EMPTY_COLUMNS = (
    "line_item_tax_type", "line_item_availability_zone", "product_group", "product_instance_type",
    "product_location", "product_location_type", "product_operation", "reservation_reservation_a_r_n",
    "resource_tags_user_name",
)  # fmt: skip
# Team and owner of the resources of an account. Resources of the other accounts have no tags.
TAGS = {
    "prod-media": ("media", "media-oncall@example.com"),
    "data-platform": ("data", "data-oncall@example.com"),
    "web-shop": ("shop", "shop-oncall@example.com"),
}
MAX_TIERS = 8


@dataclass(frozen=True)
class Lines:
    """Priced lines in order of hour, stream and tier; all arrays have shape (lines,)."""

    hour: Ints
    stream: Ints
    tier: Ints
    amount: Floats
    rate: Floats
    cost_usd: Floats
    injected_share: Floats


def price(streams: list[Stream], clock: Clock) -> Lines:
    """Convert usage to lines: one per stream and hour with usage, and one more if a price tier ends in the hour.

    Tiers are filled per account over each billing month, in the order of the bill's lines. (AWS fills the priced tiers
    per region, but one count per account is enough here.)
    """
    usage = np.stack([stream.usage for stream in streams]).T
    hour, stream = np.nonzero(usage)
    amount = usage[hour, stream]
    share = np.stack([stream.injected for stream in streams]).T[hour, stream] / amount
    tier = np.zeros(len(hour), np.int64)
    parts = [(hour, stream, tier, amount, share)]
    for bounds, lines in _pools(streams, clock, hour, stream):
        end = np.cumsum(amount[lines])
        start = np.concatenate([[0.0], end[:-1]])
        tier[lines] = np.searchsorted(bounds, start, side="right")
        for line in np.flatnonzero(tier[lines] < np.searchsorted(bounds, end, side="left")):
            parts.append(_split(lines[line], start[line], bounds, parts[0]))
    return _sorted_lines(streams, [np.concatenate(columns) for columns in zip(*parts, strict=True)])


def _pools(streams: list[Stream], clock: Clock, hour: Ints, stream: Ints) -> list[tuple[Floats, Ints]]:
    """Return (tier bounds, indexes of the lines that fill them) for each account, tariff and month."""
    keys = [(line.account_id, line.tariff) for line in streams]
    names = sorted({key for key in keys if key[1]})
    pool = np.array([names.index(key) if key[1] else -1 for key in keys])[stream]
    month = _months_of(clock)[hour]
    return [
        (np.array(TIER_BOUNDS_GB[tariff]), np.flatnonzero((pool == number) & (month == which)))
        for number, (_, tariff) in enumerate(names)
        for which in np.unique(month)
    ]


def _split(line: int, start: float, bounds: Floats, columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Split a line at the tier bounds within it: shorten the line and return the rest as new lines."""
    hour, stream, tier, amount, share = columns
    inside = bounds[(bounds > start) & (bounds < start + amount[line])]
    pieces = np.round(np.diff([start, *inside, start + amount[line]]), 9)
    count = len(inside)
    amount[line] = pieces[0]
    return (
        np.full(count, hour[line]),
        np.full(count, stream[line]),
        tier[line] + 1 + np.arange(count),
        pieces[1:],
        np.full(count, share[line]),
    )


def _sorted_lines(streams: list[Stream], columns: list[Any]) -> Lines:
    order = np.lexsort((columns[2], columns[1], columns[0]))
    hour, stream, tier, amount, share = (column[order] for column in columns)
    rates = np.zeros((len(streams), MAX_TIERS))
    for index, line in enumerate(streams):
        rates[index, : len(line.rates)] = line.rates
    rate = rates[stream, tier]
    return Lines(hour, stream, tier, amount, rate, np.round(amount * rate, 10), share)


def injected_cost(streams: list[Stream], lines: Lines) -> dict[int, float]:
    """Return the dollars of the injected usage by `id` of the stream: each line's cost by its injected share."""
    usd = np.bincount(lines.stream, weights=lines.cost_usd * lines.injected_share, minlength=len(streams))
    return {id(stream): float(usd[index]) for index, stream in enumerate(streams)}


def _months_of(clock: Clock) -> Ints:
    """Return year x 12 + month - 1 of every hour; int64 of shape (hours,)."""
    start = np.datetime64(clock.start.replace(tzinfo=None), "h")
    months = (start + np.arange(clock.hours)).astype("datetime64[M]")
    return np.asarray(months.astype(np.int64) + 1970 * 12)


def write_months(
    directory: Path, streams: list[Stream], lines: Lines, clock: Clock, accounts: Mapping[str, str]
) -> list[Path]:
    """Write one parquet file per billing month to `directory`/year=Y/month=M, and return them in order.

    The last month is open, so none of its lines has an invoice id yet. `accounts` are ids by name. AWS puts the names
    into CUR 2.0 alone; many join them to a legacy report, as here.
    """
    payer = accounts["payer"]
    codes, code_of_line = np.unique(lines.stream * MAX_TIERS + lines.tier, return_inverse=True)
    details = _details(streams, codes, {account_id: name for name, account_id in accounts.items()})
    month_of_line = _months_of(clock)[lines.hour]
    months = np.unique(month_of_line)
    files = []
    for month in months:
        rows = np.flatnonzero(month_of_line == month)
        table = _table(lines, rows, details.take(pa.array(code_of_line[rows])), clock, int(month))
        invoice = (
            "" if month == months[-1] else str(int(hashlib.sha256(f"{payer}{month}".encode()).hexdigest()[:7], 16))
        )
        for name, value in (("bill_invoice_id", invoice), ("bill_payer_account_id", payer)):
            table = table.append_column(name, _repeated(np.zeros(len(rows), np.int32), [value]))
        file = directory / f"year={month // 12}" / f"month={month % 12 + 1}" / "demo-00001.snappy.parquet"
        files.append(_write(table.select(sorted(table.column_names, key=_column_order)), file))
    return files


def _column_order(name: str) -> tuple[int, str]:
    groups = ("identity_", "bill_", "line_item_", "product_", "pricing_", "reservation_", "resource_tags_")
    return next(index for index, group in enumerate(groups) if name.startswith(group)), name


def _write(table: pa.Table, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    # Texts are dictionary-encoded because they repeat. Readers of the file get plain texts, as from AWS.
    pq.write_table(table, beside, compression="snappy", store_schema=False)
    return beside.replace(file)


def _table(lines: Lines, rows: Ints, details: pa.Table, clock: Clock, month: int) -> pa.Table:
    """Join the columns that differ between hours to those that depend only on stream and tier."""
    start = np.datetime64(clock.start.replace(tzinfo=None), "ms") + lines.hour[rows] * np.timedelta64(3_600_000, "ms")
    starts, which = np.unique(start, return_inverse=True)
    hour = np.timedelta64(1, "h")
    intervals = [f"{moment}Z/{moment + hour}Z" for moment in starts.astype("datetime64[s]")]
    cost = lines.cost_usd[rows]
    billed = lines.rate[rows] >= 0
    amount = np.where(billed, lines.amount[rows], 0.0)
    first, after = (np.datetime64(m - 1970 * 12, "M").astype("datetime64[ms]") for m in (month, month + 1))
    columns = {
        "identity_time_interval": _repeated(which.astype(np.int32), intervals),
        "bill_billing_period_start_date": _moments(np.full(len(rows), first)),
        "bill_billing_period_end_date": _moments(np.full(len(rows), after)),
        "line_item_usage_start_date": _moments(start),
        "line_item_usage_end_date": _moments(start + hour),
        "line_item_usage_amount": pa.array(amount),
        "line_item_unblended_cost": pa.array(cost),
        "line_item_blended_cost": pa.array(cost),
        "line_item_normalization_factor": pa.array(np.zeros(len(rows))),
        "line_item_normalized_usage_amount": pa.array(np.zeros(len(rows))),
        "pricing_public_on_demand_cost": pa.array(np.where(billed, cost, 0.0)),
        "reservation_effective_cost": pa.array(np.zeros(len(rows))),
    }
    for name, column in columns.items():
        details = details.append_column(name, column)
    return details


def _moments(values: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(values.astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="UTC"))


def _details(streams: list[Stream], codes: Ints, names: Mapping[str, str]) -> pa.Table:
    """Return the columns that depend only on stream and tier, dictionary-encoded, one row per code."""
    rows = [
        _detail(stream := streams[code // MAX_TIERS], int(code % MAX_TIERS)) | _labels(stream, names) for code in codes
    ]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()).dictionary_encode() for name in rows[0]})


def _repeated(indices: NDArray[np.int32], texts: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(texts, pa.string()))


def _detail(stream: Stream, tier: int) -> dict[str, str]:
    rate = f"{max(stream.rates[tier], 0.0):.10f}"
    what = TIER_NAMES[stream.tariff][tier] if stream.tariff else stream.description
    shown = f"${stream.rates[tier]:.3f} per {stream.unit} - {what}" if stream.line_type == "Usage" else what
    key = (stream.account_id, stream.region, stream.usage_type, stream.operation, stream.resource_id, str(tier))
    own = {
        "identity_line_item_id": _hashed(52, *key, stream.line_type).lower(),
        "bill_billing_entity": "AWS",
        "bill_bill_type": "Anniversary",
        "line_item_usage_account_id": stream.account_id,
        "line_item_line_item_type": stream.line_type,
        "line_item_product_code": stream.service,
        "line_item_usage_type": stream.usage_type,
        "line_item_operation": stream.operation,
        "line_item_resource_id": stream.resource_id,
        "line_item_currency_code": "USD",
        "line_item_unblended_rate": rate,
        "line_item_blended_rate": rate,
        "line_item_line_item_description": shown,
        "line_item_legal_entity": "Amazon Web Services, Inc.",
        "pricing_rate_id": str(int(hashlib.sha256(shown.encode()).hexdigest()[:7], 16)),
        "pricing_public_on_demand_rate": rate,
        "pricing_term": "OnDemand",
        "pricing_unit": stream.unit,
    }
    return own | _product(stream) | dict.fromkeys(EMPTY_COLUMNS, "")


def _labels(stream: Stream, names: Mapping[str, str]) -> dict[str, str]:
    name = names.get(stream.account_id, "")
    team, owner = TAGS.get(name, ("", "")) if stream.resource_id else ("", "")
    tags = {"resource_tags_user_team": team, "resource_tags_user_owner": owner}
    return {"line_item_usage_account_name": name, **tags}


def _product(stream: Stream) -> dict[str, str]:
    priced = stream.line_type == "Usage"
    edge = "AWS Edge Location" if stream.service == "AmazonCloudFront" else "AWS Region"
    ends = {"from": stream.from_location or "", "to": stream.to_location or ""}
    kinds = {end: "" if not place else "Other" if place == "External" else edge for end, place in ends.items()}
    name = SERVICE_NAMES[stream.service]
    return {
        "product_product_name": name,
        "product_product_family": stream.family if priced else "",
        "product_servicecode": stream.servicecode if priced else "",
        "product_servicename": "AWS Data Transfer" if stream.servicecode == "AWSDataTransfer" else name,
        "product_region": stream.region,
        "product_from_location": ends["from"],
        "product_from_location_type": kinds["from"],
        "product_to_location": ends["to"],
        "product_to_location_type": kinds["to"],
        "product_transfer_type": stream.transfer_type or "",
        "product_usagetype": stream.usage_type,
        "product_sku": _hashed(16, stream.usage_type, stream.family),
    }


def _hashed(length: int, *parts: str) -> str:
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return base64.b32encode(digest).decode()[:length]
