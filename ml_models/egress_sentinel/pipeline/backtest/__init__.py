"""The alerts and savings of a bill's past: its history replayed delivery by delivery."""

from egress_sentinel.pipeline.backtest.deliveries import Delivery, Timing
from egress_sentinel.pipeline.backtest.job import run_backtest
from egress_sentinel.pipeline.backtest.result import Backtest

__all__ = ["Backtest", "Delivery", "Timing", "run_backtest"]
