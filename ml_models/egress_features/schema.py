"""The definition of the columns of processed_features.parquet.

The file's metadata holds the schema. Training copies it into the artifact, and serving selects columns by its names.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple


class Feature(NamedTuple):
    """A float32 column for the model. It is never null, NaN or infinite, and it is 0 in an hour that is not material.

    An hour is material if it is 30 % above its expectation, and the 24 hours up to it are $0.50 above theirs at list
    price. `daily_description` describes the column in a daily bill.
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
    "is_provisional",
    "is_estimated",
    "is_complete",
    "is_daily",
)

# Names of a series for people. No model reads them, so they are no part of the schema and its hash.
LABELS = ("account_name", "tags")

# Dollars per GB in us-east-1, first paid tier, from the pages that `usage_types` lists for each class. Prices of S3
# acceleration and of the accelerators are from their price pages. These prices only decide how many GB are material in
# an hour for which the bill has no price, as within a free tier. The cost in an alert comes from the bill.
LIST_USD_PER_GB = {
    "internet": 0.09,
    "cloudfront": 0.085,
    "vpn": 0.09,
    "nat_gateway": 0.045,
    "s3_acceleration": 0.04,
    "vpc_lattice": 0.025,
    "inter_region": 0.02,
    "transit_gateway": 0.02,
    "direct_connect": 0.02,
    "global_accelerator": 0.015,
    "s3_replication_time_control": 0.015,
    "inter_az": 0.01,
    "vpc_endpoint": 0.01,
    "classic_load_balancer": 0.008,
    "s3_mrap": 0.0033,
}
OTHER_LIST_USD_PER_GB = 0.02

FEATURES = (
    Feature(
        "excess_3d_log",
        "ln(ratio), at least 0",
        "the excess of the last three days against that of any three days of the past five weeks",
        "the excess of the last three days against that of any three days of the past five weeks",
    ),
    Feature(
        "steady_18h_log",
        "ln(ratio), at least 0",
        "what the last 18 hours had throughout above what was expected, against the same in the past five weeks",
        "always 0: a daily bill does not show whether the hours of a day were above what was expected throughout",
    ),
    Feature(
        "repeated_3d_log",
        "ln(ratio), at least 0",
        "what each of the last three days had above what was expected, against the same in the past five weeks",
        "what each of the last three days had above what was expected, against the same in the past five weeks",
    ),
    Feature(
        "beyond_habit_log",
        "ln(ratio), at least 0",
        "the largest excess against its own past five weeks, be it of three hours, 18 hours or three days",
        "the larger excess against its own past five weeks, of three days or of each of them",
    ),
    Feature(
        "persistence",
        "share of hours",
        "the share of the last 24 hours that were 30 % above what was expected",
        "whether the day was 30 % above what was expected",
    ),
)


def schema_json() -> str:
    """Return the schema as canonical JSON (sorted keys, no blanks, ASCII).

    `version` is the version of the document's form, which training and serving check. A change of a column changes only
    the hash.
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
