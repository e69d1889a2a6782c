"""The columns of processed_features.parquet, written down once.

The schema travels in the file's metadata: training copies it into the artifact, and serving selects by its names.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple


class Feature(NamedTuple):
    """A float32 column for the model. 0 means "as usual" or quieter; never null, NaN or infinite.

    `daily_description` says what it is where the bill is daily.
    """

    name: str
    unit: str
    description: str
    daily_description: str


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
    "three_day_excess_gb",
    "usual_three_day_excess_gb",
    "steady_excess_gb",
    "usual_steady_excess_gb",
    "three_hour_excess_gb",
    "usual_three_hour_excess_gb",
    "is_provisional",
    "is_estimated",
    "is_complete",
    "is_daily",
)

FEATURES = (
    Feature(
        "residual_spread",
        "ln(1 + multiples of the usual deviation)",
        "how far the hour is above what was expected, in units of the last week's mean deviation",
        "how far the day is above what was expected, in units of the last week's mean deviation",
    ),
    Feature(
        "ratio_week_log",
        "ln(ratio), at least 0",
        "the hour against the same hour of the last four weeks",
        "the day against the same weekday of the last four weeks",
    ),
    Feature(
        "ratio_day_log",
        "ln(ratio), at least 0",
        "the hour against the same hour of the last seven days",
        "the day against the last seven days",
    ),
    Feature(
        "ratio_smallest_log",
        "ln(ratio), at least 0",
        "the smaller one of ratio_week_log and ratio_day_log",
        "the smaller one of ratio_week_log and ratio_day_log",
    ),
    Feature(
        "ratio_3h_log",
        "ln(ratio), at least 0",
        "the last 3 hours against what was expected of them",
        "the day against what was expected of it",
    ),
    Feature(
        "ratio_24h_log",
        "ln(ratio), at least 0",
        "the last 24 hours against what was expected of them",
        "the day against what was expected of it",
    ),
    Feature(
        "ratio_7d_log",
        "ln(ratio), at least 0",
        "the last 7 days against the median of the three weeks before",
        "the last 7 days against the median of the three weeks before",
    ),
    Feature(
        "above_habit_3h_log",
        "ln(ratio), at least 0",
        "the excess of the last 3 hours against the largest of any 3 hours of the five weeks before",
        "the excess of the day against the largest of any day of the five weeks before",
    ),
    Feature(
        "above_habit_24h_log",
        "ln(ratio), at least 0",
        "the excess of the last 24 hours against the largest of any day of the five weeks before",
        "the excess of the day against the largest of any day of the five weeks before",
    ),
    Feature(
        "above_habit_7d_log",
        "ln(ratio), at least 0",
        "the excess of the last 7 days against the largest of any 7 days of the five weeks before",
        "the excess of the last 7 days against the largest of any 7 days of the five weeks before",
    ),
    Feature(
        "above_habit_steady_log",
        "ln(ratio), at least 0",
        "what every 3 hours of the last 18 were above what was expected, against the same in the five weeks before",
        "always 0: a day of a daily bill does not show whether it was above what was expected throughout",
    ),
    Feature(
        "above_range_log",
        "ln(ratio), at least 0",
        "the hour above the largest hour of the four weeks before",
        "the day above the largest day of the four weeks before",
    ),
    Feature(
        "acceleration_log",
        "ln(ratio), at least 0",
        "the mean of the last 3 hours against that of the 24 hours before",
        "the day against the day before",
    ),
    Feature(
        "persistence",
        "share of hours",
        "share of the last 24 hours that were far above what was expected",
        "whether the day was far above what was expected",
    ),
    Feature(
        "account_share_change",
        "share of GB",
        "the rise of the series' share of the account's GB over the expected share",
        "the rise of the series' share of the account's GB over the expected share",
    ),
    Feature(
        "novelty",
        "share of hours",
        "traffic now, and in how few hours of the four weeks before",
        "traffic now, and on how few days of the four weeks before",
    ),
    Feature(
        "region_novelty",
        "1 / (1 + hours)",
        "traffic now, and in how few hours the account used the region before",
        "traffic now, and on how few days the account used the region before",
    ),
    Feature(
        "above_peers_log",
        "ln(ratio), at least 0",
        "the last 24 hours against the largest day of any series of the account and class in the five weeks before",
        "the day against the largest day of any series of the account and class in the five weeks before",
    ),
    Feature(
        "class_ratio_24h_log",
        "ln(ratio), at least 0",
        "the last 24 hours of all series of the account and class against what was expected of them",
        "the day of all series of the account and class against what was expected of it",
    ),
    Feature(
        "class_excess_log",
        "ln(1 + share)",
        "the excess of the last 24 hours against what was expected of all series of the account and class",
        "the excess of the day against what was expected of all series of the account and class",
    ),
)


def schema_json() -> str:
    """Return the schema as canonical JSON (sorted keys, no blanks, ASCII).

    `version` is that of this document's form, which training and serving check; what changes with a column is the hash.
    """
    schema = {
        "version": 1,
        "keys": KEYS,
        "measures": MEASURES,
        "features": [{**feature._asdict(), "dtype": "float32"} for feature in FEATURES],
    }
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def schema_hash() -> str:
    """Return the SHA-256 of `schema_json` in hexadecimal digits."""
    return hashlib.sha256(schema_json().encode("ascii")).hexdigest()
