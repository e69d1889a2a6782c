"""The commands of `egress-sentinel`, a module for each group; `app.py` puts them together."""

from egress_sentinel.cli import (
    aws,
    backtest,
    batch,
    cost,
    drift,
    feedback,
    flow_logs,
    load,
    models,
    planned,
    policy,
    series,
    sources,
    training,
)

__all__ = [
    "aws",
    "backtest",
    "batch",
    "cost",
    "drift",
    "feedback",
    "flow_logs",
    "load",
    "models",
    "planned",
    "policy",
    "series",
    "sources",
    "training",
]
