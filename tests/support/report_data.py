"""A made-up but life-like month or two of features, scores, alerts and labels, for the report's tests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 9, 1, tzinfo=UTC)
ACCOUNTS = ("210000000001", "210000000002")
EPS = 0.1
USD_PER_GB = {"internet": 0.09, "inter_region": 0.02, "inter_az": 0.01, "cloudfront": 0.085, "nat_gateway": 0.045}
FEATURES = {
    "excess_3d_log": ("ln(ratio)", "the excess of the last three days against that of any three days before"),
    "steady_18h_log": ("ln(ratio)", "what the last 18 hours had throughout, against the same before"),
    "repeated_3d_log": ("ln(ratio)", "what each of the last three days had, against the same before"),
    "beyond_habit_log": ("ln(ratio)", "the largest of these ratios"),
    "persistence": ("share of hours", "the share of the last 24 hours that were 30 % above what was expected"),
}
KEYS = ("hour_utc", "account_id", "region", "service", "egress_class", "resource_id")


@dataclass(frozen=True)
class Incident:
    """A burst of `factor` times the usual in one series, from an hour of the data on."""

    series: int
    first_hour: int
    hours: int
    factor: float
    severity: str


@dataclass
class World:
    """What `write_report` is given."""

    features: pa.Table
    scored: pa.Table
    alerts: list[dict[str, Any]]
    labels: list[dict[str, Any]] = field(default_factory=list)
    scored_from: datetime = START

    def write_scored(self, folder: Path) -> Path:
        """Write the scored rows as the Lambda does, a folder for each day."""
        days = np.asarray(self.scored["hour_utc"]).astype("datetime64[D]")
        for day in np.unique(days):
            target = folder / f"day={day}"
            target.mkdir(parents=True)
            pq.write_table(self.scored.filter(pa.array(days == day)), target / "scores.parquet")
        return folder


INCIDENTS = (
    Incident(0, 24 * 48 + 2, 9, 16, "high"),
    Incident(6, 24 * 41 + 8, 70, 6, "medium"),
    Incident(13, 24 * 57 + 14, 58, 30, "critical"),
    Incident(9, 24 * 52 + 20, 4, 40, "low"),
)


def make_world(
    *,
    days: int = 60,
    series: int = 20,
    incidents: tuple[Incident, ...] = INCIDENTS,
    accounts: tuple[str, ...] = ACCOUNTS,
    seed: int = 7,
) -> World:
    """Make `series` x `days` * 24 rows with daily and weekly cycles and the incidents on top."""
    random = np.random.default_rng(seed)
    hours = days * 24
    keys = [_key(number, accounts) for number in range(series)]
    usage = np.stack([_usage(random, number, hours) for number in range(series)])
    for incident in incidents:
        burst = slice(incident.first_hour, incident.first_hour + incident.hours)
        usage[incident.series, burst] *= incident.factor * random.uniform(0.8, 1.1, usage[0, burst].size)
    expected = _expected(usage)
    spread = np.stack([_trailing_mean(row, 168) for row in np.abs(usage - expected)])
    features = _table(keys, usage, expected, spread)
    scored_from = START + timedelta(days=days * 0.6 // 1)
    return World(
        features,
        _scored(features, scored_from),
        [_alert(features, keys, incident, hours) for incident in incidents],
        [_label(keys, incident) for incident in incidents if incident.severity != "low"],
        scored_from,
    )


def make_crowd(*, accounts: int = 75, alerts: int = 100) -> World:
    """Make the bill of an organization in which almost everything happens at once."""
    severities = ("low", "medium", "high", "critical")
    incidents = tuple(
        Incident(number, 24 * 14 + number % 90, 3 + number % 40, 8 + number % 30, severities[number % 4])
        for number in range(alerts)
    )
    names = tuple(f"{310_000_000_000 + number}" for number in range(accounts))
    return make_world(days=21, series=2 * alerts, incidents=incidents, accounts=names)


def _key(number: int, accounts: tuple[str, ...]) -> tuple[str, str, str, str, str]:
    account, region = accounts[number % len(accounts)], ("us-east-1", "eu-west-1", "ap-southeast-2")[number % 3]
    kind = number % 5
    ec2 = f"arn:aws:ec2:{region}:{account}"
    return (
        (account, region, "AmazonS3", "internet", f"arn:aws:s3:::media-{number:02d}"),
        (account, region, "AmazonEC2", "inter_az", f"{ec2}:instance/i-{number:017x}"),
        (account, region, "AmazonEC2", "inter_region", f"arn:aws:s3:::replica-{number:02d}"),
        (account, region, "AmazonEC2", "nat_gateway", f"{ec2}:natgateway/nat-{number:017x}"),
        (account, region, "AmazonCloudFront", "cloudfront", ""),
    )[kind]


def _usage(random: np.random.Generator, number: int, hours: int) -> np.ndarray:
    clock = np.arange(hours)
    day = 1 + 0.5 * np.sin(2 * np.pi * (clock - 8 - number) / 24)
    week = np.where((clock // 24) % 7 < 5, 1.0, 0.6)
    usage = random.lognormal(2, 1) * day * week * random.lognormal(0, 0.12, hours)
    return np.where(random.random(hours) < (0.9 if number % 7 == 4 else 0.0), 0.0, usage)


def _expected(usage: np.ndarray) -> np.ndarray:
    lagged = np.full((4, *usage.shape), np.nan)
    for number in range(1, 5):
        lagged[number - 1, :, 168 * number :] = usage[:, : -168 * number]
    known = ~np.isnan(lagged).all(axis=0)
    return np.where(known, np.nanmedian(np.where(known, lagged, 0.0), axis=0), usage)


def _trailing_mean(row: np.ndarray, hours: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(row)])
    first = np.maximum(np.arange(row.size) - hours, 0)
    return (sums[np.arange(row.size)] - sums[first]) / np.maximum(np.arange(row.size) - first, 1)


def _table(keys: list[tuple[str, ...]], usage: np.ndarray, expected: np.ndarray, spread: np.ndarray) -> pa.Table:
    count, hours = usage.shape
    clock = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(hours) * np.timedelta64(3600, "s")
    columns: dict[str, Any] = {"hour_utc": pa.array(np.tile(clock, count), pa.timestamp("us", tz="UTC"))}
    for place, name in enumerate(KEYS[1:]):
        columns[name] = pa.array(np.repeat([key[place] for key in keys], hours))
    fee = np.repeat([key[3] == "nat_gateway" for key in keys], hours)
    price = np.repeat([USD_PER_GB[key[3]] for key in keys], hours)
    flat, flat_expected = usage.ravel(), expected.ravel()
    columns |= {
        "usage_type": pa.array(np.repeat([_usage_type(key[3]) for key in keys], hours)),
        "operation": pa.array(np.repeat(["GetObject" if key[2] == "AmazonS3" else "" for key in keys], hours)),
        "usage_gb": flat,
        "egress_gb": np.where(fee, 0.0, flat),
        "cost_usd": flat * price,
        "expected_usage_gb": flat_expected,
        "expected_egress_gb": np.where(fee, 0.0, flat_expected),
        "expected_cost_usd": flat_expected * price,
        "expected_spread_gb": spread.ravel(),
        "is_provisional": np.tile(np.arange(hours) >= hours - 48, count),
        "is_estimated": np.tile(np.arange(hours) >= hours - 6, count),
        "is_complete": np.full(hours * count, True),
        "is_daily": np.full(hours * count, False),
    }
    columns |= {name: column.astype(np.float32).ravel() for name, column in _features(usage, expected).items()}
    schema = {
        "version": 1,
        "keys": list(KEYS),
        "measures": [name for name in columns if name not in KEYS and name not in FEATURES],
        "features": [
            {"name": name, "unit": unit, "description": text, "dtype": "float32"}
            for name, (unit, text) in FEATURES.items()
        ],
    }
    raw = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    return pa.table(columns).replace_schema_metadata(
        {"egress_sentinel.schema": raw, "egress_sentinel.schema_hash": hashlib.sha256(raw.encode()).hexdigest()}
    )


def _usage_type(egress_class: str) -> str:
    return {
        "internet": "DataTransfer-Out-Bytes",
        "inter_region": "USE1-EUW1-AWS-Out-Bytes",
        "inter_az": "DataTransfer-Regional-Bytes",
        "cloudfront": "EU-DataTransfer-Out-Bytes",
        "nat_gateway": "NatGateway-Bytes",
    }[egress_class]


def _features(usage: np.ndarray, expected: np.ndarray) -> dict[str, np.ndarray]:
    def trailing(values: np.ndarray, hours: int) -> np.ndarray:
        return np.stack([_trailing_mean(np.append(row, 0.0), hours)[1:] for row in values])

    above = np.maximum(usage - expected, 0) * (usage >= 1.3 * expected)
    ratios = [np.log1p(trailing(above, hours) / (trailing(expected, hours) + EPS)) for hours in (72, 18, 24)]
    rows = dict(
        zip(FEATURES, [*ratios, np.maximum.reduce(ratios), trailing((above > 0).astype(float), 24)], strict=True)
    )
    return {name: np.where(above > 0, values, 0) for name, values in rows.items()}


def _scored(features: pa.Table, scored_from: datetime) -> pa.Table:
    rows = features.filter(
        pa.array(np.asarray(features["hour_utc"]) >= np.datetime64(scored_from.replace(tzinfo=None)))
    )
    far = np.asarray(rows["beyond_habit_log"], dtype=float) + np.asarray(rows["persistence"], dtype=float)
    score = 0.17 - 0.2 * far
    return rows.append_column("is_anomaly", pa.array((score < 0).astype(np.int8))).append_column(
        "anomaly_score", pa.array(score)
    )


def _iso(hour: int) -> str:
    return f"{START + timedelta(hours=hour):%Y-%m-%dT%H:00:00Z}"


def _alert(features: pa.Table, keys: list[tuple[str, ...]], incident: Incident, hours: int) -> dict[str, Any]:
    first, last = incident.first_hour, incident.first_hour + incident.hours - 1
    rows = features.slice(incident.series * hours + first, incident.hours)

    def total(name: str) -> float:
        return float(np.asarray(rows[name]).sum())

    account, region, service, egress_class, resource = keys[incident.series]
    excess = total("cost_usd") - total("expected_cost_usd")
    identity = f"{account}|{region}|{service}|{egress_class}|{resource}|{first}"
    return {
        "alert_id": hashlib.sha256(identity.encode()).hexdigest()[:24],
        "account_id": account,
        "region": region,
        "service": service,
        "egress_class": egress_class,
        "usage_type": _usage_type(egress_class),
        "resource_id": resource,
        "start_hour_utc": _iso(first),
        "end_hour_utc": _iso(last),
        "detected_hour_utc": _iso(first + 1),
        **{name: total(name) for name in MEASURES_OF_ALERT},
        "excess_cost_usd_per_day": excess / incident.hours * 24,
        "severity": incident.severity,
        "state": "ended",
        "current_usd_per_day": 0.0,
        "anomaly_score": -0.21,
        "reasons": [
            f"{total('usage_gb'):,.0f} GB in {incident.hours} hours, {total('expected_usage_gb'):,.0f} expected",
            f"{incident.factor:g} times the same hours of the last four weeks",
            "the price per GB is unchanged",
        ],
        "contributors": [
            _contributor(keys[incident.series], excess * 0.92, total("usage_gb") * 0.92, 0.92),
            _contributor(keys[(incident.series + 5) % len(keys)], excess * 0.08, total("usage_gb") * 0.08, 0.08),
        ],
        "anomalous_hours": incident.hours,
        "is_provisional": last >= hours - 48,
        "is_estimated": last >= hours - 6,
        "likely_cause": "a hot-linked object",
        "next_step": "Look at the bucket's access log by key; then put a CDN or signed URLs in front.",
    }


MEASURES_OF_ALERT = (
    "cost_usd",
    "expected_cost_usd",
    "egress_gb",
    "expected_egress_gb",
    "usage_gb",
    "expected_usage_gb",
)


def _contributor(key: tuple[str, ...], excess_usd: float, excess_gb: float, share: float) -> dict[str, Any]:
    _, region, service, egress_class, resource = key
    return {
        "region": region,
        "service": service,
        "egress_class": egress_class,
        "usage_type": _usage_type(egress_class),
        "operation": "GetObject" if service == "AmazonS3" else "",
        "resource_id": resource,
        "excess_usd": excess_usd,
        "excess_gb": excess_gb,
        "share": share,
    }


def _label(keys: list[tuple[str, ...]], incident: Incident) -> dict[str, Any]:
    account, region, _, egress_class, resource = keys[incident.series]
    return {
        "name": f"{egress_class} burst",
        "account_id": account,
        "region": region,
        "egress_class": egress_class,
        "resource_id": resource,
        "start_hour_utc": _iso(incident.first_hour),
        "end_hour_utc": _iso(incident.first_hour + incident.hours - 1),
    }
