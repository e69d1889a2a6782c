"""The result of a backtest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from egress_alerts.alert import Alert


@dataclass(frozen=True)
class Backtest:
    """The alerts in the order of their times, totals, and assumptions of a backtest."""

    as_of: datetime
    replayed_from: datetime
    deliveries: int
    assumptions: list[str]
    trainings: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    suppressed: list[Alert]
    totals: dict[str, Any]
    course: list[tuple[str, float, float]]

    def record(self) -> dict[str, Any]:
        """Return the output of `--json`. Times are ISO 8601 in UTC."""
        return {
            "as_of_utc": f"{self.as_of:%Y-%m-%dT%H:%M:%SZ}",
            "replayed_from_utc": f"{self.replayed_from:%Y-%m-%dT%H:%M:%SZ}",
            "deliveries": self.deliveries,
            "assumptions": self.assumptions,
            "trainings": self.trainings,
            "totals": self.totals,
            "alerts": self.alerts,
            "suppressed": self.suppressed,
        }
