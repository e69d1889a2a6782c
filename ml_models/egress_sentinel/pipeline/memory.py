"""Stores of a run on this machine, in the place of S3, DynamoDB and SNS in a deployment."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_alerts.model import ScorerError
from egress_alerts.rows import in_hours, replace_hours
from egress_alerts.series import day_of, iso_hour
from egress_alerts.verdicts import read_verdict
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from anomaly_detection.model import Model
    from egress_alerts.detector import StoredAlert
    from egress_alerts.notification import Notification
    from egress_alerts.series import Window
    from egress_alerts.verdicts import Verdict


def load_model(model_tar: Path) -> Model:
    """Load a model.tar.gz.

    Raises
    ------
    UserError
        It cannot be read.
    """
    from anomaly_detection.artifact import unpack
    from anomaly_detection.errors import ArtifactError
    from anomaly_detection.model import load

    with tempfile.TemporaryDirectory(prefix="egress-sentinel-model-") as folder:
        try:
            with tarfile.open(model_tar) as archive:
                unpack(archive, Path(folder))
            return load(Path(folder))
        except (OSError, EOFError, tarfile.TarError, ArtifactError) as error:
            raise UserError(f"cannot read the model {model_tar}: {error}") from error


class ModelInMemory:
    """Scores rows with an artifact in this process. The scores equal those of an endpoint to the bit."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Return `is_anomaly` and `anomaly_score` of the rows."""
        scores = self._model.forest.scores(self._matrix(features))
        return (scores < 0).astype(np.int8), scores

    def manifest(self, _row: pa.Table) -> Mapping[str, Any]:
        """Return the artifact's manifest."""
        return self._model.manifest

    def attributions(self, features: pa.Table) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return `anomaly_score` and each feature's attributions of the rows."""
        matrix = self._matrix(features)
        by_feature = self._model.forest.attributions(matrix).T
        return self._model.forest.scores(matrix), dict(zip(self._model.feature_names, by_feature, strict=True))

    def _matrix(self, features: pa.Table) -> np.ndarray:
        names = self._model.feature_names
        absent = [name for name in names if name not in features.column_names]
        if absent:
            raise ScorerError(f"the features have no column {absent[0]}, which the model needs; make the features anew")
        matrix = np.stack([_values(features[name]) for name in names], axis=1).astype(np.float32)
        with_gaps = [names[place] for place in np.flatnonzero(np.isnan(matrix).any(axis=0))]
        refused = [name for name in with_gaps if name not in self._model.may_be_missing]
        if refused:
            raise ScorerError(f"the feature {refused[0]} has missing values, which the model did not see in training")
        return matrix


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers, null as NaN. `to_numpy` would import pandas, which takes longer than scoring."""
    return np.from_dlpack(pc.fill_null(column, float("nan")).combine_chunks())


class RowsInMemory:
    """Scored rows by day."""

    def __init__(self) -> None:
        self._days: dict[str, pa.Table] = {}

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Replace all rows of the window."""
        for day in window.days:
            new = replace_hours(self._days.get(day), rows, window, day)
            if new.num_rows:
                self._days[day] = new

    def between(self, start: int, end: int) -> pa.Table:
        """Return the rows of the hours [start, end)."""
        days = [day_of(hour) for hour in range(start - start % 24, end, 24)]
        tables = [self._days[day] for day in days if day in self._days]
        return in_hours(pa.concat_tables(tables, promote_options="default"), start, end) if tables else pa.table({})

    def write(self, folder: Path) -> None:
        """Write `day=YYYY-MM-DD/scores.parquet` for each day."""
        for day, rows in self._days.items():
            path = folder / f"day={day}" / "scores.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
            pq.write_table(rows, path, compression="zstd", use_dictionary=texts)


class AlertsInMemory:
    """Alerts by id, and people's verdicts. There is only one writer."""

    bucket = ""

    def __init__(self) -> None:
        self._alerts: dict[str, StoredAlert] = {}
        self._verdicts: dict[str, Mapping[str, Any]] = {}

    def give(self, verdicts: Iterable[Mapping[str, Any]]) -> None:
        """Add verdict records. A later one on the same alert replaces an earlier one."""
        self._verdicts |= {record["judged_alert_id"]: record for record in verdicts}

    def all(self) -> list[StoredAlert]:
        """Return all alerts."""
        return list(self._alerts.values())

    def since(self, places: Iterable[tuple[str, str]], hour: int) -> list[StoredAlert]:
        """Return the alerts of these (account, region) that ended at `hour` or later."""
        wanted = set(places)
        found = [s for s in self._alerts.values() if _place(s) in wanted and s.incident.end >= hour]
        return sorted(found, key=lambda stored: (stored.incident.detected, stored.incident.alert_id))

    def verdicts(self, places: Iterable[tuple[str, str]], hour: int) -> list[Verdict]:
        """Return the verdicts on alerts of these (account, region) that ended at `hour` or later."""
        wanted, since = set(places), iso_hour(hour)
        records = sorted(
            self._verdicts.values(), key=lambda record: (record["end_hour_utc"], record["judged_alert_id"])
        )
        return [
            read_verdict(record)
            for record in records
            if (record["account_id"], record["region"]) in wanted and record["end_hour_utc"] >= since
        ]

    def put(self, stored: StoredAlert) -> None:
        """Keep an alert."""
        stored.version += 1
        self._alerts[stored.incident.alert_id] = stored

    def keep_list(self, _folder: str, _records: Sequence[Mapping[str, Any]]) -> str:
        """Keep nothing: there is no bucket."""
        return ""

    def claim(self, _stored: StoredAlert) -> bool:
        """Claim it: there is one process."""
        return True

    def release(self, _stored: StoredAlert) -> None:
        """Do nothing: no other process waits."""

    def mark_notified(self, stored: StoredAlert) -> None:
        """Keep the alert with its notification."""
        self._alerts[stored.incident.alert_id] = stored


class Outbox:
    """Keeps notifications instead of sending them: the subject and the text of each."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def publish(self, notification: Notification) -> None:
        """Keep a notification."""
        self.messages.append(f"{notification.subject}\n{notification.text}")


def _place(stored: StoredAlert) -> tuple[str, str]:
    first = stored.incident.hours[0].series
    return first.account_id, first.region


def excess_usd_by_hour(stored: Sequence[StoredAlert]) -> dict[str, dict[int, float]]:
    """Return the dollars above expected by alert id and hour number."""
    found: dict[str, dict[int, float]] = {}
    for alert in stored:
        by_hour = found.setdefault(alert.incident.alert_id, {})
        if alert.alert["state"] == "withdrawn":
            continue
        for hour in alert.incident.hours:
            by_hour[hour.hour] = by_hour.get(hour.hour, 0.0) + hour.cost_usd - hour.expected_cost_usd
    return found
