"""Backtest: replays the history of a bill delivery by delivery, and returns its alerts and possible savings."""

from egress_sentinel.pipeline.backtest.deliveries import Delivery, Timing
from egress_sentinel.pipeline.backtest.job import run_backtest
from egress_sentinel.pipeline.backtest.result import Backtest

__all__ = ["Backtest", "Delivery", "Timing", "run_backtest"]
