"""Writes the latest features of each series to SageMaker Feature Store, so that others can read them by key."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from egress_alerts.rows import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS_AT_ONCE = 10
_SERIES = KEYS[1:]
_LONGEST_AGE = timedelta(hours=1) - timedelta(milliseconds=1)


class FeatureStore:
    """A feature group with one record for each series.

    Parameters
    ----------
    sagemaker : SageMaker client
        Reads the group's feature definitions.
    runtime : sagemaker-featurestore-runtime client
        A client that retries throttled requests.
    group : str
        The feature group's name.
    """

    def __init__(self, sagemaker: Any, runtime: Any, group: str) -> None:
        self._sagemaker = sagemaker
        self._runtime = runtime
        self._group = group

    def ingest(self, table: pa.Table, now: float) -> None:
        """Write the last hour of each series. A later hour that is already in the store stays.

        Parameters
        ----------
        table : pyarrow.Table
            Feature rows.
        now : float
            The second of the epoch at which the rows were read.
        """
        records = list(self._records(_last_hours(table), datetime.fromtimestamp(now, UTC)))
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            # A list, so that the first error is raised.
            list(pool.map(self._put, records))

    def _put(self, record: list[dict[str, str]]) -> None:
        self._runtime.put_record(FeatureGroupName=self._group, Record=record)

    @cached_property
    def _types(self) -> dict[str, str]:
        types: dict[str, str] = {}
        token: dict[str, str] = {}
        while True:
            page = self._sagemaker.describe_feature_group(FeatureGroupName=self._group, **token)
            types |= {feature["FeatureName"]: feature["FeatureType"] for feature in page["FeatureDefinitions"]}
            if not page.get("NextToken"):
                return types
            token = {"NextToken": page["NextToken"]}

    def _records(self, table: pa.Table, now: datetime) -> Iterator[list[dict[str, str]]]:
        """Yield each row as a record of the group's features, without missing values."""
        for row in table.to_pylist():
            hour = row["hour_utc"]
            row["series"] = "#".join(row[name] for name in _SERIES)
            row["hour_utc"] = f"{hour:%Y-%m-%dT%H:%M:%SZ}"
            row["event_time"] = _event_time(hour, now)
            texts = ((name, _text(row.get(name))) for name in self._types)
            yield [{"FeatureName": name, "ValueAsString": text} for name, text in texts if text]


def _last_hours(table: pa.Table) -> pa.Table:
    """Return the row of each series with its last hour."""
    if table.num_rows == 0:
        return table
    ordered = table.sort_by("hour_utc")
    numbered = ordered.select(_SERIES).append_column("row", pa.array(range(ordered.num_rows)))
    return ordered.take(numbered.group_by(list(_SERIES)).aggregate([("row", "max")])["row_max"])


def _event_time(hour: datetime, now: datetime) -> str:
    """Return an event time that orders records by hour, and records of the same hour by the time they were read.

    The store accepts a record only if its event time is greater than that of the record that it has. A restated bill
    changes an hour that is already in the store. So every ten seconds since the hour began add a millisecond, for a
    year.
    """
    age = min(max((now - hour) / 10_000, timedelta()), _LONGEST_AGE)
    return f"{(hour + age).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)
