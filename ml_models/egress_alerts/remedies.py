"""What the fix of an incident saves, from the alert alone.

The arithmetic is GB times price. Both come from the bill: the GB above expected of the leading series' egress class,
and the dollars that they cost. A month is 30 days at the rate of the last 24 hours, and only an open incident has one.
For an ended incident, the saving is in the past. An incident that the bill prices at $0 has none.

List prices of the alternatives are those of us-east-1 on 30 November 2026:

- Gateway endpoints for S3 are free: https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
- An interface endpoint costs $0.01 an hour in each zone: https://aws.amazon.com/privatelink/pricing/
- S3 does not bill requests that it refuses: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egress_alerts.series import parse_hour

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE = "docs/remedies.md"
_DAYS = 30
_ENDPOINT_USD_PER_HOUR, _ENDPOINTS, _ZONES = 0.01, 2, 2
_LEAST_USD = 1.0


class _Fix(NamedTuple):
    """The kind of charge for the bytes of a cause, and their cost after the fix.

    `is_limit` is true if the fix may save less, because a part of the traffic may be intended. The fix is for the
    service `service` only, or for any if it is empty.
    """

    anchor: str
    meter: str
    afterwards: str
    is_limit: bool = True
    endpoint_usd_per_hour: float = 0.0
    service: str = ""


_FIXES = {
    "s3_through_nat": _Fix("s3-through-nat", "NAT processing", "a gateway endpoint is free", is_limit=False),
    "image_pulls": _Fix(
        "image-pulls-through-nat",
        "NAT processing",
        "image layers take the free gateway endpoint of S3",
        is_limit=False,
        endpoint_usd_per_hour=_ENDPOINT_USD_PER_HOUR * _ENDPOINTS * _ZONES,
    ),
    "zone_chatter": _Fix(
        "traffic-between-zones", "transfer between zones", "traffic that stays within its zone is free"
    ),
    "hot_link": _Fix(
        "hot-links",
        "transfer to the internet",
        "requests that the bucket refuses are free",
        service="AmazonS3",
    ),
    "cdn_miss": _Fix("cdn-misses", "transfer from the origin", "an object in the cache is not fetched again"),
    "new_replica": _Fix("new-replicas", "transfer between regions", "objects that are not copied cost nothing"),
}


def remedy_of(alert: Mapping[str, Any]) -> dict[str, str | float]:
    """Return an alert's `remedy_page`, `saving` and `saving_usd_per_month` by its cause, state and amounts."""
    fix = _FIXES.get(alert["incident_class"])
    if fix is None or alert["state"] == "withdrawn" or fix.service not in ("", alert["service"]):
        return _remedy()
    page = f"{_PAGE}#{fix.anchor}"
    excess_usd, price = _excess(alert)
    if price <= 0:
        return _remedy(page)
    share = excess_usd / max(alert["cost_usd"] - alert["expected_cost_usd"], excess_usd)
    is_open = alert["state"] == "open"
    billed = _DAYS * alert["current_usd_per_day"] * share if is_open else excess_usd
    hours = _DAYS * 24 if is_open else parse_hour(alert["end_hour_utc"]) - parse_hour(alert["start_hour_utc"]) + 1
    endpoints = hours * fix.endpoint_usd_per_hour
    saved = billed - endpoints
    if saved < _LEAST_USD:
        return _remedy(page)
    about = "at most" if fix.is_limit else "about"
    amount = f"{about.capitalize()} {_usd(saved)} a month" if is_open else f"Would have saved {about} {_usd(saved)}"
    less = f" less {_usd(endpoints)} for {_ENDPOINTS} interface endpoints in {_ZONES} zones" if endpoints else ""
    text = f"{amount}: {_gb(billed / price)} x {_price(price)} per GB of {fix.meter}{less}; {fix.afterwards}."
    return _remedy(page, text, round(saved, 2) if is_open else 0.0)


def _remedy(page: str = "", saving: str = "", usd_per_month: float = 0.0) -> dict[str, str | float]:
    return {"remedy_page": page, "saving": saving, "saving_usd_per_month": usd_per_month}


def _excess(alert: Mapping[str, Any]) -> tuple[float, float]:
    """Return the dollars above expected of the leading class, and the price of a GB of them."""
    rows = [row for row in alert["contributors"] if row["egress_class"] == alert["egress_class"]]
    usd, gb = sum(row["excess_usd"] for row in rows), sum(row["excess_gb"] for row in rows)
    price = usd / gb if gb > 0 else 0.0
    # The contributors are the five largest series: the class may have more.
    return max(price * (alert["usage_gb"] - alert["expected_usage_gb"]), 0.0), price


def _usd(amount: float) -> str:
    return f"${_rounded(amount, 3):,.0f}" if amount >= 10 else f"${amount:.2f}"


def _gb(gb: float) -> str:
    number, unit = (gb / 1000, "TB") if gb >= 1000 else (gb, "GB")
    return f"{_rounded(number, 3):,g} {unit}" if number < 1000 else f"{number:,.0f} {unit}"


def _price(usd: float) -> str:
    text = f"{usd:.4f}".rstrip("0")
    return f"${text}{'0' * max(2 - len(text.partition('.')[2]), 0)}"


def _rounded(number: float, figures: int) -> float:
    return float(f"{number:.{figures}g}")
