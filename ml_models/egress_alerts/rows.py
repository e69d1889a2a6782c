"""Tables of feature rows and scored rows, and the anomalous hours in them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from egress_alerts.hours import Hour
from egress_alerts.series import SUMMED, Series, hour_number, parse_hour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egress_alerts.policy import Policy
    from egress_alerts.series import Window

KEYS = ("hour_utc", "account_id", "region", "service", "egress_class", "resource_id")
MEASURES = (
    "usage_type",
    "operation",
    "usage_gb",
    "egress_gb",
    "cost_usd",
    "expected_usage_gb",
    "expected_egress_gb",
    "expected_cost_usd",
    "expected_spread_gb",
    "is_provisional",
    "is_estimated",
    "is_complete",
    "is_daily",
)
_SCORES = ("is_anomaly", "anomaly_score", "p_value", "model_id")
_SCHEMA = b"egress_sentinel.schema"
# A resource has risen from this share of the expected on, and is new while less than that of its GB was expected.
_RISEN, _NEXT_TO_NOTHING = 0.3, 0.02
_NAMED = 3
# The feature that also says by how much an hour goes beyond habit.
_BEYOND_HABIT = "beyond_habit_log"


def feature_names(table: pa.Table) -> list[str]:
    """Return the names of the feature columns: the float columns that are neither keys, measures nor scores."""
    others = {*KEYS, *MEASURES, *_SCORES}
    return [field.name for field in table.schema if pa.types.is_floating(field.type) and field.name not in others]


def feature_descriptions(table: pa.Table) -> dict[str, str] | None:
    """Return what each feature means, from the schema in the file's metadata; None when it has none.

    The rows of a daily bill have descriptions of their own.
    """
    raw = (table.schema.metadata or {}).get(_SCHEMA)
    if raw is None:
        return None
    is_daily = "is_daily" in table.column_names and pc.any(table["is_daily"]).as_py()
    text = "daily_description" if is_daily else "description"
    return {item["name"]: item.get(text, item["description"]) for item in json.loads(raw)["features"]}


def without_levels(table: pa.Table) -> pa.Table:
    """Return the rows of resources alone: only they can be added up, since a level's row is a sum of theirs."""
    return table.filter(pc.not_equal(table["resource_id"], SUMMED))


def expected_usd_per_day(table: pa.Table) -> dict[str, float]:
    """Return by account what data transfer is expected to cost in a day, from the hours that are there; * is all."""
    if table.num_rows == 0:
        return {}
    rows = without_levels(table).group_by("account_id", use_threads=False)
    sums = rows.aggregate([("expected_cost_usd", "sum"), ("hour_utc", "count_distinct")]).to_pylist()
    found = {row["account_id"]: 24 * row["expected_cost_usd_sum"] / row["hour_utc_count_distinct"] for row in sums}
    return found | {SUMMED: math.fsum(found.values())}


def in_hours(table: pa.Table, start: int, end: int) -> pa.Table:
    """Return the rows of the hours [start, end), as hour numbers."""
    if table.num_rows == 0:
        return table
    hour = pc.cast(table["hour_utc"], pa.timestamp("us", tz="UTC"))
    first, last = (pa.scalar(number * 3_600_000_000, hour.type) for number in (start, end))
    return table.filter(pc.and_(pc.greater_equal(hour, first), pc.less(hour, last)))


def sort_rows(table: pa.Table) -> pa.Table:
    """Return the rows sorted by hour and series."""
    return table.sort_by([(name, "ascending") for name in KEYS])


def replace_hours(old: pa.Table | None, new: pa.Table, window: Window, day: str) -> pa.Table:
    """Return a day's rows after those of the window were replaced by new ones; the day's other hours stay.

    Parameters
    ----------
    old : pa.Table or None
        The day's rows so far.
    new : pa.Table
        The window's rows, of any day.
    window : Window
    day : str
        A UTC day, such as 2026-10-17.
    """
    start = parse_hour(f"{day}T00:00:00Z")
    rows = in_hours(new, start, start + 24)
    if old is not None:
        before, after = in_hours(old, start, window.start), in_hours(old, window.end, start + 24)
        rows = pa.concat_tables([before, rows, after], promote_options="default")
    return sort_rows(rows) if rows.num_rows else rows


def add_scores(
    features: pa.Table, is_anomaly: np.ndarray, anomaly_score: np.ndarray, p_value: np.ndarray | None, model_id: str
) -> pa.Table:
    """Return the rows with their scores, joined by position, and the id of the model that gave them.

    `p_value` is null when the model gives none, NaN when it cannot know, and `model_id` empty when it has none.
    """
    columns = {
        "is_anomaly": pa.array(is_anomaly, pa.int8()),
        "anomaly_score": pa.array(anomaly_score, pa.float64()),
        "p_value": pa.nulls(len(features), pa.float64()) if p_value is None else pa.array(p_value, pa.float64()),
        "model_id": pa.array([model_id] * len(features), pa.string()),
    }
    for name, column in columns.items():
        features = features.append_column(name, column)
    return features


def anomalous_hours(scored: pa.Table, policy: Policy) -> list[Hour]:
    """Return the rows that are above expected and unusual to the model."""
    rows = anomalous_rows(scored, policy).to_pylist()
    # Rows that an earlier version scored have other features; they count for nothing.
    return [_hour(row) for row in rows if row.get(_BEYOND_HABIT) is not None]


def anomalous_features(scored: pa.Table, policy: Policy) -> Iterator[tuple[tuple[int, Series], dict[str, float]]]:
    """Yield (hour number, series) and the features of each anomalous row."""
    names = feature_names(scored)
    for row in anomalous_rows(scored, policy).to_pylist():
        yield (hour_number(row["hour_utc"]), _series(row)), {name: row[name] for name in names}


def spread_of(table: pa.Table, hour: int, level: Series) -> str:
    """Say in words how a level's excess in an hour is spread over its resources; "" where the table lacks them."""
    rows = without_levels(in_hours(table, hour, hour + 1))
    for name, value in zip(level._fields, level, strict=True):
        rows = rows if value == SUMMED else rows.filter(pc.equal(rows[name], value))
    usage, expected = (rows[name].to_numpy() for name in ("usage_gb", "expected_usage_gb"))
    above = usage - expected
    risen = np.flatnonzero((above > 0) & (above >= _RISEN * expected))
    if not len(risen):
        return ""
    largest = risen[np.argsort(-above[risen], kind="stable")]
    known = largest[expected[largest] > _NEXT_TO_NOTHING * usage[largest]]
    times = f", {np.median(usage[known] / expected[known]):.1f} times their usual (median)" if len(known) else ""
    new = len(risen) - len(known)
    parts = above[largest[:_NAMED]] / above[risen].sum()
    names = [rows["resource_id"][int(place)].as_py().rpartition(":")[2] for place in largest[:_NAMED]]
    named = ", ".join(
        f"{name or 'no resource in the bill'} ({part:.0%})" for name, part in zip(names, parts, strict=True)
    )
    return (
        f"spread over {len(risen)} of {np.count_nonzero(usage)} resources{times}"
        f"{f', {new} of them new' if new else ''}; the largest: {named}"
    )


def anomalous_rows(scored: pa.Table, policy: Policy) -> pa.Table:
    """Keep the rows above expected whose p-value is low; without a p-value the model's own threshold decides.

    A p-value that is NaN keeps the row: the model has seen too little to object.
    """
    if scored.num_rows == 0:
        return scored
    above = pc.greater(scored["usage_gb"], scored["expected_usage_gb"])
    is_unusual = pc.equal(scored["is_anomaly"], 1)
    if "p_value" in scored.column_names:
        is_rare = pc.or_(pc.less_equal(scored["p_value"], policy.max_p_value), pc.is_nan(scored["p_value"]))
        is_unusual = pc.coalesce(is_rare, is_unusual)
    return scored.filter(pc.and_(is_unusual, above))


def _hour(row: dict[str, Any]) -> Hour:
    return Hour(
        hour=hour_number(row["hour_utc"]),
        series=_series(row),
        usage_gb=round(row["usage_gb"], 6),
        expected_usage_gb=round(row["expected_usage_gb"], 6),
        egress_gb=round(row["egress_gb"], 6),
        expected_egress_gb=round(row["expected_egress_gb"], 6),
        cost_usd=round(row["cost_usd"], 6),
        expected_cost_usd=round(row["expected_cost_usd"], 6),
        anomaly_score=row["anomaly_score"],
        usage_type=row["usage_type"],
        operation=row["operation"],
        is_provisional=row["is_provisional"],
        is_estimated=bool(row["is_estimated"]),
        times_habit=round(math.exp(row[_BEYOND_HABIT]), 6),
        p_value=_known(row.get("p_value")),
        # Rows from before daily bills have no such column.
        is_daily=bool(row.get("is_daily")),
    )


def _known(p_value: float | None) -> float | None:
    return None if p_value is None or math.isnan(p_value) else p_value


def _series(row: dict[str, Any]) -> Series:
    return Series(row["account_id"], row["region"], row["service"], row["egress_class"], row["resource_id"])


def material(features: pa.Table) -> np.ndarray:
    """Return which rows of feature columns are not 0 throughout, as booleans of shape (n,)."""
    found = np.zeros(features.num_rows, bool)
    for column in features.columns:
        found |= column.to_numpy() != 0
    return found
