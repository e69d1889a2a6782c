"""What a bill's past would have told: history replayed delivery by delivery, and what it would have saved."""

from egress_sentinel.pipeline.backtest.deliveries import Delivery, Timing
from egress_sentinel.pipeline.backtest.job import run_backtest
from egress_sentinel.pipeline.backtest.result import Backtest

__all__ = ["Backtest", "Delivery", "Timing", "run_backtest"]
