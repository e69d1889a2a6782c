"""The features of `egress_features/sql/features.sql` as one writes them in pandas: the rival of `features.py`.

Columns that are needed are read, month by month, and cut down to billed egress at once. Lags are `groupby.shift`,
windows are `groupby.rolling` on a frame sorted by series and hour, and medians of few lags are sorted by numpy. Nothing
is checked (duplicates, currency, restatements, completeness), which `build_features` does as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from egress_features.schema import LIST_USD_PER_GB
from egress_features.usage_types import classify

KEYS = ["account_id", "region", "service", "egress_class", "resource_id"]
GROUP = ["account_id", "region", "egress_class", "hour_utc"]
COLUMNS = {
    "line_item_usage_start_date": "hour_utc",
    "line_item_usage_account_id": "account_id",
    "line_item_product_code": "service",
    "line_item_usage_type": "usage_type",
    "line_item_operation": "operation",
    "line_item_resource_id": "resource_id",
    "line_item_line_item_type": "line_item_type",
    "line_item_usage_amount": "u",
    "line_item_unblended_cost": "c",
}
BILLIONTHS = 1e9


def egress(path: Path) -> pd.DataFrame:
    """Read the billed egress of a month, added up by series and hour."""
    lines = pd.read_parquet(path, columns=list(COLUMNS)).rename(columns=COLUMNS)
    lines = lines[lines["line_item_type"] == "Usage"]
    kinds = lines[["usage_type", "service", "operation"]].drop_duplicates()
    known = [classify(*kind) for kind in kinds.itertuples(index=False)]
    meanings = [meaning if meaning and meaning.charge != "free" else None for meaning in known]
    kinds["region"] = [meaning.region if meaning else None for meaning in meanings]
    kinds["egress_class"] = [meaning.egress_class if meaning else None for meaning in meanings]
    kinds = kinds.dropna(subset="egress_class")
    lines = lines[lines["usage_type"].isin(kinds["usage_type"])]
    lines = lines.merge(kinds, on=["usage_type", "service", "operation"])
    return lines.groupby([*KEYS, "hour_utc"], as_index=False, sort=False)[["u", "c"]].sum()


def dense(lines: pd.DataFrame) -> pd.DataFrame:
    """One row for each series and hour from the series' first one on, sorted by both."""
    lines["series"] = lines.groupby(KEYS).ngroup()
    series = lines.groupby("series").agg({**dict.fromkeys(KEYS, "first"), "hour_utc": "min"})
    hours = pd.date_range(lines["hour_utc"].min(), lines["hour_utc"].max(), freq="h", unit="us")
    grid = pd.MultiIndex.from_product([series.index, hours], names=["series", "hour_utc"])
    rows = lines.set_index(["series", "hour_utc"])[["u", "c"]].reindex(grid, fill_value=0.0).reset_index()
    rows["n"] = np.tile(np.arange(len(hours)), len(series))
    rows = rows[rows["hour_utc"] >= rows["series"].map(series["hour_utc"])].reset_index(drop=True)
    for key in KEYS:
        rows[key] = rows["series"].map(series[key].astype("category"))
    return rows


class Windows:
    """Lags and windows within a group, on rows that are sorted by group and hour."""

    def __init__(self, group: pd.Series) -> None:
        self._group = group

    def lag(self, values: pd.Series, hours: int) -> pd.Series:
        """Return the value so many rows before, or 0 if there is none."""
        return values.groupby(self._group, sort=False).shift(hours, fill_value=0)

    def total(self, values: pd.Series, size: int, ago: int = 0) -> pd.Series:
        """Add up `size` rows, of which the last is `ago` rows before this one, in whole billionths."""
        exact = (values * BILLIONTHS).round()
        if ago:
            exact = self.lag(exact, ago)
        sums = exact.groupby(self._group, sort=False).rolling(size, min_periods=1).sum()
        return pd.Series(sums.to_numpy() / BILLIONTHS, values.index)

    def least(self, values: pd.Series, size: int) -> pd.Series:
        """Return the least of the last `size` rows, or NaN if there are fewer."""
        return pd.Series(values.groupby(self._group, sort=False).rolling(size).min().to_numpy(), values.index)

    def largest(self, values: pd.Series, size: int, ago: int) -> pd.Series:
        """Return the largest of `size` rows, of which the last is `ago` rows before this one; none is below 0."""
        found = self.lag(values, ago).groupby(self._group, sort=False).rolling(size, min_periods=1).max()
        return pd.Series(found.to_numpy(), values.index)


def median(lags: list[pd.Series], periods: list[int], n: pd.Series) -> pd.Series:
    """Return the median of the lags that are known, or NaN if none is."""
    values = np.column_stack([np.where(n >= period, lag, np.inf) for lag, period in zip(lags, periods, strict=True)])
    values.sort(axis=1)
    known = sum((n >= period).to_numpy().astype(int) for period in periods)
    row = np.arange(len(values))
    middle = (values[row, np.maximum(known + 1, 2) // 2 - 1] + values[row, np.minimum(known // 2, len(lags) - 1)]) / 2
    return pd.Series(np.where(known > 0, middle, np.nan), n.index)


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the expectations and the features."""
    u, c, n = rows["u"], rows["c"], rows["n"]
    own = Windows(rows["series"])
    days, weeks = list(range(24, 169, 24)), list(range(168, 673, 168))
    expected_day = median([own.lag(u, day) for day in days], days, n)
    expected_week = median([own.lag(u, week) for week in weeks], weeks, n)
    around = [pd.concat([own.lag(u, week + shift) for shift in (-1, 0, 1)], axis=1).max(axis=1) for week in weeks]
    around_week = median(around, weeks, n)
    alone = pd.Series(np.where(n >= 336, np.maximum(expected_week, np.minimum(u, around_week)), expected_day), n.index)
    alone = alone.where(n >= 24, u)
    e = alone + moved(rows, u, alone)
    deviation = own.total((u - e).abs(), 168, 1)
    spread = (deviation / n.clip(upper=168)).where(n > 0, 0)
    net24 = own.total(u - e, 24)
    e3, e24 = own.total(e, 3), own.total(e, 24)
    x3, x24, x72 = (own.total(u - e, hours).clip(lower=0) for hours in (3, 24, 72))
    steady = own.least(own.total(u - e, 3), 18).clip(lower=0).fillna(0) / 3
    repeated = pd.concat([net24, own.lag(net24, 24), own.lag(net24, 48)], axis=1).min(axis=1).clip(lower=0)
    usual_x3, usual_x24, usual_x72, usual_steady, usual_repeated = (
        own.largest(values, 769, 72) for values in (x3, x24, x72, steady, repeated)
    )
    peers = borrowed(rows, usual_x24)
    usd_per_gb = rows["egress_class"].map(LIST_USD_PER_GB).astype(float).fillna(0.02)
    enough, above = 0.25 / usd_per_gb, u - e
    rises = (above > 0) & (above >= 0.3 * e)
    rising = own.total((rises & (above * usd_per_gb >= 0.01)).astype(float), 24)
    age = rows.groupby("series").cumcount() + 1
    of_3h = log_ratio(x3, 2 * largest(usual_x3, peers / 8, 0.6 * e3), enough).where(above * usd_per_gb >= 20, 0)
    ratios = [
        log_ratio(x72, largest(usual_x72, peers, 0.6 * e24), enough),
        log_ratio(steady, largest(usual_steady, peers / 24, 0.1 * e24 / 24), enough / 24),
        log_ratio(repeated, largest(usual_repeated, peers, 0.1 * e24), enough),
    ]
    beyond = pd.concat([*ratios, of_3h], axis=1).max(axis=1)
    u_week, c_week = own.total(u, 168, 1), own.total(c, 168, 1)
    price = (c / u).where(u > 0, (c_week / u_week).where(u_week > 0, 0))
    rows["expected_usage_gb"], rows["expected_cost_usd"], rows["expected_spread_gb"] = e, e * price, spread
    is_material = (n >= 192) & rises & (x24 * usd_per_gb >= 0.5)
    names = ("excess_3d_log", "steady_18h_log", "repeated_3d_log", "beyond_habit_log", "persistence")
    for name, values in zip(names, (*ratios, beyond, rising / age.clip(upper=24)), strict=True):
        rows[name] = values.clip(lower=0).where(is_material, 0).astype(np.float32)
    return rows


def largest(one: pd.Series, two: pd.Series, three: pd.Series) -> pd.Series:
    """Return the largest of three."""
    return np.maximum(np.maximum(one, two), three)


def moved(rows: pd.DataFrame, u: pd.Series, alone: pd.Series) -> pd.Series:
    """Return the GB that have moved to a series from others of its account, region and class."""
    changes = rows[GROUP].assign(vanished=(alone - u).where(u < 0.5 * alone, 0), risen=(u - alone).clip(lower=0))
    sums = changes.groupby(GROUP, observed=True)[["vanished", "risen"]].transform("sum")
    share = (sums["vanished"] / sums["risen"]).clip(upper=1).where(sums["risen"] > 0, 0)
    return (u - alone).clip(lower=0) * share


def borrowed(rows: pd.DataFrame, usual: pd.Series) -> pd.Series:
    """Return, for a series in its first week, an eighth of the largest habit of its older peers."""
    is_young = rows.groupby("series").cumcount() < 168
    peers = rows[GROUP].assign(usual=usual.where(~is_young))
    largest = peers.groupby(GROUP, observed=True)["usual"].transform("max")
    return (0.125 * largest.fillna(0)).where(is_young, 0)


def log_ratio(value: pd.Series, usual: pd.Series, floor: pd.Series | float) -> pd.Series:
    """Return ln((value + floor) / (usual + floor))."""
    return np.log((value + floor) / (usual + floor))


def main(bill: str, output: str) -> None:
    """Read a folder's months and write the rows."""
    months = [egress(path) for path in sorted(Path(bill).glob("*.parquet"))]
    lines = pd.concat(months, ignore_index=True).groupby([*KEYS, "hour_utc"], as_index=False)[["u", "c"]].sum()
    rows = features(dense(lines)).drop(columns=["series", "n"])
    rows = rows.rename(columns={"u": "usage_gb", "c": "cost_usd"})
    rows.sort_values(["hour_utc", *KEYS]).to_parquet(output, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
