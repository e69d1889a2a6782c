"""VPC Flow Logs: the traffic of each interface by the hour, and an estimate of its lines in the bill.

Flow logs reach S3 in about ten minutes, bills within a day or two. With `FlowLogs`, `build_features` fills the hours
that the bill has not reached yet. `write_flow_hours` writes the traffic itself, with statistics of its destinations.
"""

from egress_features.flow_logs.files import find_flow_logs
from egress_features.flow_logs.hours import FlowHoursSummary, write_flow_hours
from egress_features.flow_logs.options import FlowLogs
from egress_features.flow_logs.prices import DEFAULT_PRICES, PriceTable, read_prices

__all__ = [
    "DEFAULT_PRICES",
    "FlowHoursSummary",
    "FlowLogs",
    "PriceTable",
    "find_flow_logs",
    "read_prices",
    "write_flow_hours",
]
