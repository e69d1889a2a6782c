"""Turns AWS billing exports into hourly egress features for an Isolation Forest.

Start with `build_features` and `reconcile`. The module `schema` describes the file that they write.
"""

from egress_features.build import MIN_HISTORY_DAYS, FeaturesSummary, build_features
from egress_features.engines import open_engine
from egress_features.errors import BadInputError
from egress_features.exports import find_exports
from egress_features.flow_logs import FlowLogs, find_flow_logs, write_flow_hours
from egress_features.manifests import dated_deliveries
from egress_features.reconciliation import FileReconciliation, Reconciliation, reconcile
from egress_features.schema import FEATURES, KEYS, LABELS, MEASURES, schema_hash, schema_json

__all__ = [
    "FEATURES",
    "KEYS",
    "LABELS",
    "MEASURES",
    "MIN_HISTORY_DAYS",
    "BadInputError",
    "FeaturesSummary",
    "FileReconciliation",
    "FlowLogs",
    "Reconciliation",
    "build_features",
    "dated_deliveries",
    "find_exports",
    "find_flow_logs",
    "open_engine",
    "reconcile",
    "schema_hash",
    "schema_json",
    "write_flow_hours",
]
