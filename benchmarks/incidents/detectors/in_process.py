"""The detector of the deployed service on a case's features: what an account's alerts are after some hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.dataset as ds

from egress_alerts.series import Window, hour_number
from egress_sentinel.pipeline.scoring import LocalRun, model_in_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from egress_alerts.policy import Policy


class Account:
    """A detector with its memory, and a case's features from an hour on."""

    def __init__(self, features: Path, start: datetime, policy: Policy) -> None:
        self._table = ds.dataset(features, format="parquet").to_table(filter=ds.field("hour_utc") >= start)
        self._run = LocalRun(policy)

    def run(self, model: Path | None, start: datetime, end: datetime) -> None:
        """Score [start, end) with a model.tar.gz, or with every hour called anomalous.

        By the hour, by the day or at once: a test of the detector holds that the incidents are the same.
        """
        scorer = _AllAnomalous() if model is None else model_in_memory(model)
        self._run.detect(scorer, self._table, Window(hour_number(start), hour_number(end)))

    def judge(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Keep verdicts as `egress-sentinel feedback` does."""
        self._run.alerts.give(verdicts)

    def records(self) -> list[dict[str, Any]]:
        """Return the alerts so far, each with its incident's hours: (hour, excess_usd, excess_gb)."""
        stored = sorted(self._run.alerts.all(), key=lambda s: (s.incident.detected, s.incident.alert_id))
        return [{**s.alert, "hours": [(h.hour, h.excess_usd, h.excess_gb) for h in s.incident.hours]} for s in stored]


class _AllAnomalous:
    """A model that calls every row anomalous."""

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(features), np.int8), np.full(len(features), -0.5)

    def manifest(self, _row: pa.Table) -> dict[str, Any]:
        return {}

    def attributions(self, _features: pa.Table) -> None:
        return None
