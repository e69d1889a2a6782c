"""Tables of feature rows and scored rows, and the anomalous hours in them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from egress_alerts.hours import Background, Hour
from egress_alerts.series import SUMMED, Labels, Series, hour_number, parse_hour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

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
# Text columns that older files lack. They are empty if the bill has none.
LABELS = ("account_name", "tags")
_SCORES = ("is_anomaly", "anomaly_score", "p_value", "model_id")
_SCHEMA = b"egress_sentinel.schema"
# A resource has risen if its excess is at least the first share of the expected GB. It is new if less than the second
# share of its GB was expected.
_RISEN, _NEXT_TO_NOTHING = 0.3, 0.02
_NAMED = 3
# The feature that compares the excess of an hour with the largest excess in the past.
_BEYOND_HABIT = "beyond_habit_log"
# Off-hours are hours in which most of the account's steady series expect clearly less than on average over three days.
# A series is steady if it expects something in more than half of them. Fewer series than this have no common rhythm.
_QUIET_LOOK_BACK_HOURS = 72
_QUIET_PERCENT, _QUIET_SERIES_PERCENT, _LEAST_STEADY = 85, 60, 3
# Hours before an incident that are kept. A resource or region is new if its first row is at most a day older than the
# incident, and some hours younger than the first row of its account.
BACKGROUND_HOURS = 48
_NEW_HOURS, _ACCOUNT_HOURS = 24, 6
_CDN = ("cloudfront", "cloudfront_origin")


def feature_names(table: pa.Table) -> list[str]:
    """Return the names of the feature columns: the float columns that are neither keys, measures nor scores."""
    others = {*KEYS, *MEASURES, *_SCORES}
    return [field.name for field in table.schema if pa.types.is_floating(field.type) and field.name not in others]


def feature_descriptions(table: pa.Table) -> dict[str, str] | None:
    """Return the description of each feature from the schema in the file's metadata, or None if it has none.

    The rows of a daily bill have their own descriptions.
    """
    raw = (table.schema.metadata or {}).get(_SCHEMA)
    if raw is None:
        return None
    is_daily = "is_daily" in table.column_names and pc.any(table["is_daily"]).as_py()
    text = "daily_description" if is_daily else "description"
    return {item["name"]: item.get(text, item["description"]) for item in json.loads(raw)["features"]}


def without_levels(table: pa.Table) -> pa.Table:
    """Return only the rows of resources. A level's row is a sum of theirs and must not be added to them."""
    return table.filter(pc.not_equal(table["resource_id"], SUMMED))


def expected_usd_per_day(table: pa.Table) -> dict[str, float]:
    """Return by account the expected cost of data transfer per day, from the available hours. * is all accounts."""
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
    limits = pc.min_max(hour)
    if limits["min"].value >= first.value and limits["max"].value < last.value:
        return table  # a whole day, as it is stored: nothing is copied
    return table.filter(pc.and_(pc.greater_equal(hour, first), pc.less(hour, last)))


def sort_rows(table: pa.Table) -> pa.Table:
    """Return the rows sorted by hour and series."""
    return table.sort_by([(name, "ascending") for name in KEYS])


def replace_hours(old: pa.Table | None, new: pa.Table, window: Window, day: str) -> pa.Table:
    """Return a day's rows with those of the window replaced by new ones. The day's other hours stay.

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
    # Rows that an earlier version scored have other features and do not count.
    return [_hour(row) for row in rows if row.get(_BEYOND_HABIT) is not None]


def with_quiet_hours(hours: Sequence[Hour], between: Callable[[int, int], pa.Table]) -> list[Hour]:
    """Mark the hours of internet traffic in which its account usually sends less than on average.

    Parameters
    ----------
    hours : sequence of Hour
    between : callable
        Returns the rows of the hours [start, end). It is called for a day at a time.
    """
    wanted: dict[str, set[int]] = {}
    for each in hours:
        if each.series.egress_class == "internet" and not each.is_daily:
            wanted.setdefault(each.series.account_id, set()).add(each.hour)
    if not wanted:
        return list(hours)
    first, last = min(map(min, wanted.values())), max(map(max, wanted.values()))
    start = (first - _QUIET_LOOK_BACK_HOURS + 1) // 24 * 24
    days = [_expected(between(day, day + 24), wanted) for day in range(start, last + 1, 24)]
    rows = pa.concat_tables([day for day in days if day is not None] or [_NOTHING_EXPECTED])
    quiet = {(account, hour) for account in wanted for hour in _quiet_hours(rows, account, wanted[account])}
    return [each._replace(is_quiet=(each.series.account_id, each.hour) in quiet) for each in hours]


_NOTHING_EXPECTED = pa.table(
    {"account_id": pa.array([], pa.string()), "hour": [], "series": pa.array([], pa.string()), "micro_gb": []}
).cast(pa.schema([("account_id", "string"), ("hour", "int64"), ("series", "string"), ("micro_gb", "int64")]))


def _expected(table: pa.Table, accounts: Iterable[str]) -> pa.Table | None:
    """Return the expected GB of series of accounts, in whole millionths, whose sums are the same in any order."""
    if table.num_rows == 0:
        return None
    is_wanted = pc.is_in(table["account_id"], pa.array(sorted(accounts)))
    is_series = pc.and_(pc.not_equal(table["resource_id"], SUMMED), pc.greater(table["expected_usage_gb"], 0.0))
    rows = table.filter(pc.and_(is_wanted, is_series))
    keys = [pc.cast(rows[name], pa.string()) for name in KEYS[2:]]
    return pa.table(
        {
            "account_id": pc.cast(rows["account_id"], pa.string()),
            "hour": _hour_numbers(rows),
            "series": pc.binary_join_element_wise(*keys, "\x1f"),
            "micro_gb": pa.array(np.rint(rows["expected_usage_gb"].to_numpy() * 1e6).astype(np.int64)),
        }
    )


def _quiet_hours(rows: pa.Table, account: str, wanted: Set[int]) -> list[int]:
    own = rows.filter(pc.equal(rows["account_id"], account))
    series = pc.cast(own["series"], pa.string()).combine_chunks().dictionary_encode()
    place, hours = series.indices.to_numpy(), own["hour"].to_numpy()
    # Most series of a fleet live for a few hours only.
    is_long = np.bincount(place, minlength=1)[place] > _QUIET_LOOK_BACK_HOURS // 2
    if not is_long.any():
        return []
    _, place = np.unique(place[is_long], return_inverse=True)
    first = int(hours[is_long].min())
    expected = np.zeros((place.max() + 1, int(hours[is_long].max()) - first + 1), np.int64)
    np.add.at(expected, (place, hours[is_long] - first), own["micro_gb"].to_numpy()[is_long])
    ends = {hour: hour - first + 1 for hour in sorted(wanted) if 0 < hour - first + 1 <= expected.shape[1]}
    return [hour for hour, end in ends.items() if _is_quiet(expected[:, max(end - _QUIET_LOOK_BACK_HOURS, 0) : end])]


def _is_quiet(expected: np.ndarray) -> bool:
    """Return whether the last hour of three days is off-hours. `expected` has shape (series, hours)."""
    steady = expected[np.count_nonzero(expected, axis=1) > _QUIET_LOOK_BACK_HOURS // 2]
    if len(steady) < _LEAST_STEADY:
        return False
    is_low = 100 * _QUIET_LOOK_BACK_HOURS * steady[:, -1] <= _QUIET_PERCENT * steady.sum(axis=1)
    return bool(100 * np.count_nonzero(is_low) >= _QUIET_SERIES_PERCENT * len(steady))


def background_of(rows: pa.Table, lead: Series, start: int) -> Background:
    """Return the facts about an incident's leading series that the rows of the hours before it show.

    Parameters
    ----------
    rows : pa.Table
        The rows of the `BACKGROUND_HOURS` before `start`.
    lead : Series
    start : int
        Its first hour in the incident.
    """
    if rows.num_rows == 0:
        # Without history, the expectation alone decides if the resource is new.
        return Background(start, is_new_resource=True)
    of_account = rows.filter(pc.equal(rows["account_id"], lead.account_id))
    of_region = of_account.filter(pc.equal(of_account["region"], lead.region))
    of_resource = of_region.filter(pc.equal(of_region["resource_id"], lead.resource_id))
    own = of_resource
    for name in ("service", "egress_class"):
        own = own.filter(pc.equal(own[name], getattr(lead, name)))
    before = [0.0] * BACKGROUND_HOURS
    excess = own["usage_gb"].to_numpy() - own["expected_usage_gb"].to_numpy()
    for hour, gb in zip(_hour_numbers(own).to_pylist(), excess.tolist(), strict=True):
        before[hour - start + BACKGROUND_HOURS] = round(gb, 6)
    new_from = max(start - _NEW_HOURS, _first_hour(of_account, start) + _ACCOUNT_HOURS)
    return Background(
        start,
        tuple(before),
        is_new_resource=_first_hour(of_resource, start) >= new_from,
        is_new_region=_first_hour(without_levels(of_region), start) >= new_from,
        uses_cloudfront=bool(pc.any(pc.is_in(of_account["egress_class"], pa.array(_CDN))).as_py()),
    )


def _first_hour(rows: pa.Table, otherwise: int) -> int:
    first = pc.min(_hour_numbers(rows)).as_py()
    return otherwise if first is None else int(first)


def _hour_numbers(rows: pa.Table) -> pa.ChunkedArray:
    microseconds = pc.cast(pc.cast(rows["hour_utc"], pa.timestamp("us", tz="UTC")), pa.int64())
    return pc.divide(microseconds, 3_600_000_000)


def anomalous_features(scored: pa.Table, policy: Policy) -> Iterator[tuple[tuple[int, Series], dict[str, float]]]:
    """Yield (hour number, series) and the features of each anomalous row."""
    names = feature_names(scored)
    for row in anomalous_rows(scored, policy).to_pylist():
        yield (hour_number(row["hour_utc"]), _series(row)), {name: row[name] for name in names}


def labels_of(table: pa.Table, hour: int, series: Series) -> Labels:
    """Return the labels of a series in an hour; of a level, what its resources that have risen then have in common."""
    if table.num_rows == 0 or not set(LABELS) <= set(table.column_names):
        return Labels()
    rows = _resources_in(in_hours(table, hour, hour + 1), series)
    rows = rows.take(pa.array(_risen(rows))) if series.is_level else rows
    names, tags = (set(rows[name].to_pylist()) for name in LABELS)
    shared = set.intersection(*(set(_tags_in(text).items()) for text in tags)) if tags else set()
    is_one = series.account_id != SUMMED and len(names) == 1
    return Labels((names.pop() or "") if is_one else "", tuple(sorted(shared)))


def _tags_in(text: str | None) -> dict[str, str]:
    """Read the tags of a row. A text that is no JSON object has none."""
    try:
        found = json.loads(text or "{}", strict=False)
    except ValueError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _resources_in(rows: pa.Table, series: Series) -> pa.Table:
    """Return the rows of the resources that a series sums over, or of the one that it is."""
    rows = without_levels(rows)
    for name, value in zip(series._fields, series, strict=True):
        rows = rows if value == SUMMED else rows.filter(pc.equal(rows[name], value))
    return rows


def _risen(rows: pa.Table) -> np.ndarray:
    """Return the places of the rows that are clearly above expected."""
    usage, expected = (rows[name].to_numpy() for name in ("usage_gb", "expected_usage_gb"))
    return np.flatnonzero((usage > expected) & (usage - expected >= _RISEN * expected))


def spread_of(table: pa.Table, hour: int, level: Series) -> str:
    """Describe how a level's excess in an hour is spread over its resources, or return "" if the table lacks them."""
    rows = _resources_in(in_hours(table, hour, hour + 1), level)
    usage, expected = (rows[name].to_numpy() for name in ("usage_gb", "expected_usage_gb"))
    above, risen = usage - expected, _risen(rows)
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
    """Keep the rows above expected whose p-value is low. Without p-values the model's threshold decides.

    A row whose p-value is NaN is kept: the model has too little data to exclude it.
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
