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

from egress_features.usage_types import classify

KEYS = ["account_id", "region", "service", "egress_class", "resource_id"]
CLASS = ["account_id", "egress_class", "hour_utc"]
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
        """Return the value so many rows before; 0 where there is none."""
        return values.groupby(self._group, sort=False).shift(hours, fill_value=0)

    def total(self, values: pd.Series, size: int, ago: int = 0) -> pd.Series:
        """Add up `size` rows, of which the last is `ago` rows before this one, in whole billionths."""
        exact = (values * BILLIONTHS).round()
        if ago:
            exact = self.lag(exact, ago)
        sums = exact.groupby(self._group, sort=False).rolling(size, min_periods=1).sum()
        return pd.Series(sums.to_numpy() / BILLIONTHS, values.index)

    def least(self, values: pd.Series, size: int) -> pd.Series:
        """Return the least of the last `size` rows; NaN where there are fewer."""
        return pd.Series(values.groupby(self._group, sort=False).rolling(size).min().to_numpy(), values.index)

    def largest(self, values: pd.Series, size: int, ago: int) -> pd.Series:
        """Return the largest of `size` rows, of which the last is `ago` rows before this one; none is below 0."""
        found = self.lag(values, ago).groupby(self._group, sort=False).rolling(size, min_periods=1).max()
        return pd.Series(found.to_numpy(), values.index)


def median(lags: list[pd.Series], periods: list[int], n: pd.Series) -> pd.Series:
    """Return the median of the lags that are known; NaN where none is."""
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
    u3, u24, u168 = own.total(u, 3), own.total(u, 24), own.total(u, 168)
    e3, e24 = own.total(e, 3), own.total(e, 24)
    excess = (u - e).clip(lower=0)
    x3, x24, x168 = own.total(excess, 3), own.total(excess, 24), own.total(u - e, 168).clip(lower=0)
    usual_x3, usual_x24 = own.largest(x3, 769, 72), own.largest(x24, 769, 72)
    usual_x168 = own.largest(x168, 673, 168)
    x72 = own.total(u - e, 72).clip(lower=0)
    usual_x72 = own.largest(x72, 769, 72)
    steady = own.least(u3 - e3, 18).clip(lower=0).fillna(0) / 3
    usual_steady = own.largest(steady, 769, 72)
    peers_habit = borrowed(rows, usual_x24)
    busy = (u >= 0.1).astype(float)
    busy_share = own.total(busy, 649, 24) / (n - 23).clip(1, 649)
    largest = own.largest(u, 649, 24)
    u_week, c_week = own.total(u, 168, 1), own.total(c, 168, 1)
    n3, n24, n24_before = (n + 1).clip(upper=3), (n + 1).clip(upper=24), (n - 2).clip(0, 24)
    far_above = own.total((u > e + 2 * spread + 0.1).astype(float), 24)
    account = rows.assign(e=e).groupby(["account_id", "hour_utc"], observed=True)[["u", "e"]].transform("sum")
    week = [own.lag(u168, lag) for lag in (168, 336, 504)]
    usual_week = pd.concat(week, axis=1).median(axis=1)
    peers = classes(rows, u24, e24)
    busy_hours = regions(rows, busy)
    ratio_week, ratio_day = log_ratio(u, expected_week, 0.1).fillna(0), log_ratio(u, expected_day, 0.1).fillna(0)
    smallest = pd.Series(np.minimum(ratio_week, ratio_day), n.index).where(expected_week.notna(), ratio_day)
    price = (c / u).where(u > 0, (c_week / u_week).where(u_week > 0, 0))
    found = {
        "expected_usage_gb": e,
        "expected_cost_usd": e * price,
        "expected_spread_gb": spread,
        "three_day_excess_gb": x72,
        "usual_three_day_excess_gb": np.maximum(np.maximum(usual_x72, peers_habit), 0.6 * e24),
        "steady_excess_gb": steady,
        "usual_steady_excess_gb": np.maximum(usual_steady, peers_habit / 24),
        "three_hour_excess_gb": x3,
        "usual_three_hour_excess_gb": np.maximum(np.maximum(usual_x3, peers_habit / 8), 0.6 * e3),
        "residual_spread": np.log(1 + excess / (spread + 0.1 * e + 0.1)),
        "ratio_week_log": ratio_week,
        "ratio_day_log": ratio_day,
        "ratio_smallest_log": smallest,
        "ratio_3h_log": np.log((u3 + 0.1 * n3) / (e3 + 0.1 * n3)),
        "ratio_24h_log": np.log((u24 + 0.1 * n24) / (e24 + 0.1 * n24)),
        "ratio_7d_log": log_ratio(u168, usual_week, 16.8).where(n >= 504, 0),
        "above_habit_3h_log": log_ratio(x3, usual_x3, 0.3 + 0.1 * e3).where(n >= 96, 0),
        "above_habit_24h_log": log_ratio(x24, usual_x24, 2.4 + 0.05 * e24).where(n >= 96, 0),
        "above_habit_7d_log": log_ratio(x168, usual_x168, 16.8 + 0.05 * u168).where(n >= 504, 0),
        "above_habit_steady_log": log_ratio(steady, usual_steady, 0.1 + 0.05 * e24 / n24).where(n >= 96, 0),
        "above_range_log": log_ratio(u, largest, 0.1).where(n >= 24, 0),
        "acceleration_log": log_ratio(u3 / n3, own.total(u, 24, 3) / n24_before.clip(1), 0.1).where(n24_before > 0, 0),
        "persistence": far_above / n24,
        "account_share_change": u / (account["u"] + 0.1) - e / (account["e"] + 0.1),
        "novelty": (busy - busy_share).where(n >= 24, 0),
        "region_novelty": (1 / (1 + busy_hours)).where((u >= 0.1) & (n >= 48), 0),
        "above_peers_log": log_ratio(u24, peers["usual_largest"], 2.4).where(n >= 96, 0),
        "class_ratio_24h_log": log_ratio(peers["u24"], peers["e24"], 2.4).where(u >= 0.1, 0),
        "class_excess_log": np.log(1 + (u24 - e24).clip(lower=0) / (peers["e24"] + 2.4)),
    }
    for name, values in found.items():
        is_feature = not name.endswith(("_gb", "_usd"))
        rows[name] = values.clip(lower=0).astype(np.float32) if is_feature else values
    return rows


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


def classes(rows: pd.DataFrame, u24: pd.Series, e24: pd.Series) -> pd.DataFrame:
    """Return, for each row, the sums of its account and class, and the largest series' day of the weeks before."""
    table = rows[CLASS].assign(u24=u24, e24=e24, largest=u24)
    table = table.groupby(CLASS, observed=True, as_index=False).agg({"u24": "sum", "e24": "sum", "largest": "max"})
    group = table.groupby(CLASS[:2], observed=True).ngroup()
    table["usual_largest"] = Windows(group).largest(table["largest"], 769, 72)
    return rows[CLASS].merge(table, on=CLASS, how="left")


def regions(rows: pd.DataFrame, busy: pd.Series) -> pd.Series:
    """Return in how many hours of the weeks before the account was busy in the row's region."""
    key = ["account_id", "region", "hour_utc"]
    table = rows[key].assign(busy=busy).groupby(key, observed=True, as_index=False)["busy"].max()
    group = table.groupby(key[:2], observed=True).ngroup()
    table["busy_hours"] = Windows(group).total(table["busy"], 649, 24)
    return rows[key].merge(table, on=key, how="left")["busy_hours"]


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
