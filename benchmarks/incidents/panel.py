"""A case's features as matrices of series by hours, for the rivals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from egress_alerts.rows import without_levels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.truth import Case

KEYS = ["account_id", "region", "service", "egress_class", "resource_id"]


@dataclass(frozen=True)
class Panel:
    """GB and dollars of shape (series, hours); an hour without a line is 0.

    `rows` holds the feature file's rows with their place (`series`, `hour`) in the matrices; `features` names the
    columns that are the model's.
    """

    start_weekday: int
    train_hours: int
    series: pd.DataFrame
    gb: Floats
    usd: Floats
    rows: pd.DataFrame
    features: list[str]

    @property
    def price(self) -> Floats:
        """Dollars a GB of each hour; of the series as a whole where an hour has no GB."""
        whole = self.usd.sum(axis=1, keepdims=True) / np.maximum(self.gb.sum(axis=1, keepdims=True), 1e-9)
        return np.where(self.gb > 0, self.usd / np.maximum(self.gb, 1e-9), whole)

    @cached_property
    def names(self) -> list[tuple[str, str, str, str]]:
        """Account, region, resource and usage type of each series."""
        columns = self.series[["account_id", "region", "resource_id", "usage_type"]]
        return list(columns.itertuples(index=False, name=None))

    def matrix(self, values: NDArray[np.generic], fill: float) -> Floats:
        """Lay a value of each of `rows` out as a matrix."""
        laid = np.full(self.gb.shape, fill)
        laid[self.rows["series"], self.rows["hour"]] = values
        return laid


def panel_of(case: Case, features: Path) -> Panel:
    """Read a case's feature file, without levels: no rival has any."""
    table = without_levels(pq.read_table(features))
    schema = json.loads(table.schema.metadata[b"egress_sentinel.schema"])
    rows = table.to_pandas()
    rows["hour"] = ((rows["hour_utc"] - pd.Timestamp(case.start)) // pd.Timedelta(hours=1)).astype(int)
    rows["series"] = rows.groupby(KEYS, sort=True).ngroup()
    largest = rows.loc[rows.groupby("series")["usage_gb"].idxmax()].set_index("series")
    gb = np.zeros((len(largest), case.hours))
    usd = np.zeros_like(gb)
    gb[rows["series"], rows["hour"]] = rows["usage_gb"]
    usd[rows["series"], rows["hour"]] = rows["cost_usd"]
    names = [feature["name"] for feature in schema["features"]]
    series = largest[[*KEYS, "usage_type"]].sort_index()
    return Panel(case.start.weekday(), case.train_hours, series, gb, usd, rows, names)
