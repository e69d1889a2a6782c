"""Turns AWS billing exports into hourly egress features for an Isolation Forest.

The door is `build_features`; what it writes is described by `schema`.
"""

from egress_features.build import MIN_HISTORY_DAYS, FeaturesSummary, build_features
from egress_features.errors import BadInputError
from egress_features.exports import find_exports
from egress_features.schema import FEATURES, KEYS, MEASURES, schema_hash, schema_json

__all__ = [
    "FEATURES",
    "KEYS",
    "MEASURES",
    "MIN_HISTORY_DAYS",
    "BadInputError",
    "FeaturesSummary",
    "build_features",
    "find_exports",
    "schema_hash",
    "schema_json",
]
