"""Two rivals that are rules: a fixed factor, and an imitation of AWS Cost Anomaly Detection.

**Fixed factor**: the measures that Egress Sentinel decides by, without a model. Three excesses of a series are divided
by the largest of their references: the excess of three days, the steady one of 18 hours, and the one that repeats on
each of three days. An hour counts where the largest of the three ratios is at least 2.5.

**AWS Cost Anomaly Detection, an imitation.** AWS documents how to use the service and not its model. This is what the
documentation says, with the simplest model that fits it. It is not the service, and its figures are not the service's.
Sources: https://docs.aws.amazon.com/cost-management/latest/userguide/manage-ad.html, the questions at
https://aws.amazon.com/aws-cost-management/aws-cost-anomaly-detection/faqs/, and the announcement of November 2025,
https://aws.amazon.com/about-aws/whats-new/2025/11/aws-cost-anomaly-detection-accelerates-anomaly/.

- A monitor of AWS services adds up the spend of each service over all accounts of the payer. A rise and a fall of the
  same size cancel.
- It runs about three times a day on a rolling window of 24 hours, and compares it with the same hours of earlier days
  and with weekly patterns.
- A service needs ten days of history.
- An alert is sent when the impact reaches the subscription's threshold. The customer sets it; here it is $100 and 40 %.
- Causes are named by account, region and usage type, up to ten of them, never by resource.

What AWS does not document is chosen here: the expected spend is the median of the same windows of the last four weeks
(of the same weekday where there are three). A window is anomalous when it is several deviations above that (1.4826 MAD,
at least 5 %). A cause is named when it holds 5 % of the excess. The bills hold data transfer alone: easier still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from benchmarks.incidents import grouping
from benchmarks.incidents.alert import ALL, Alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.panel import Panel

    Setting = tuple[float, ...]

LIST_PRICES = {"internet": 0.09, "nat_gateway": 0.045, "inter_region": 0.02, "inter_az": 0.01}
OTHER_PRICE = 0.02
FACTOR, FLOOR_USD, LASTING_HOURS, GAP_HOURS = 2.5, 5.0, 12, 72
ENOUGH_USD, MATERIAL_USD_PER_DAY, MATERIAL_SHARE = 0.25, 0.5, 0.3
HABIT_HOURS, RECENT_HOURS, WEEK = 840, 72, 168
SERIES_AT_ONCE = 256

RUN_EVERY_HOURS, HISTORY_DAYS, LEARNED_DAYS = 8, 10, 28
LEAST_DEVIATION = 0.05
MOST_CAUSES, LEAST_SHARE = 10, 0.05
DEVIATIONS, IMPACTS_USD, PERCENTS = (2.0, 3.0, 4.0, 6.0), (5.0, 20.0, 100.0), (0.0, 0.4)


def fixed_factor(panel: Panel) -> dict[Setting, list[Alert]]:
    """Return the alerts of the fixed factor, for its one setting."""
    ratio, excess_usd = _largest_ratio(panel)
    flagged = ratio >= FACTOR
    alerts = grouping.group(
        panel, flagged, excess_usd, floor_usd=FLOOR_USD, gap_hours=GAP_HOURS, lasting_hours=LASTING_HOURS
    )
    return {(): alerts}


def _largest_ratio(panel: Panel) -> tuple[Floats, Floats]:
    """Return the largest of the three ratios, 0 where an hour is not material, and the dollars above the expected."""
    rows = panel.rows
    expected = panel.matrix(rows["expected_usage_gb"].to_numpy(), 0.0)
    excess_usd = panel.usd - panel.matrix(rows["expected_cost_usd"].to_numpy(), 0.0)
    price = panel.series["egress_class"].map(LIST_PRICES).fillna(OTHER_PRICE).to_numpy()[:, None]
    above = panel.gb - expected
    peers, ratio = _peers(panel, above), np.zeros_like(above)
    for first in range(0, len(above), SERIES_AT_ONCE):
        some = slice(first, first + SERIES_AT_ONCE)
        ratio[some] = _ratio_of(above[some], expected[some], peers[some], price[some])
    return ratio, excess_usd


def _ratio_of(above: Floats, expected: Floats, peers: Floats, price: Floats) -> Floats:
    enough = ENOUGH_USD / price
    net_day, usual_day = _sum(above, 24), _sum(expected, 24)
    day, three_days = np.maximum(net_day, 0), np.maximum(_sum(above, 72), 0)
    steady = np.maximum(minimum_filter1d(_sum(above, 3), 16, axis=1, origin=7), 0) / 3
    repeated = np.maximum(np.minimum.reduce([net_day, _late(net_day, 24), _late(net_day, 48)]), 0)
    ratios = [
        (three_days + enough) / (np.maximum.reduce([_habit(three_days), peers, 0.6 * usual_day]) + enough),
        (steady + enough / 24) / (np.maximum.reduce([_habit(steady), peers / 24, 0.1 * usual_day / 24]) + enough / 24),
        (repeated + enough) / (np.maximum.reduce([_habit(repeated), peers, 0.1 * usual_day]) + enough),
    ]
    material = (above > 0) & (above >= MATERIAL_SHARE * expected) & (day * price >= MATERIAL_USD_PER_DAY)
    return np.where(material, np.maximum.reduce(ratios), 0.0)


def _sum(values: Floats, hours: int) -> Floats:
    """Return the sum of the last hours, of each hour."""
    total = np.cumsum(values, axis=1)
    return total - _late(total, hours)


def _late(values: Floats, hours: int) -> Floats:
    """Return what was so many hours before, 0 before the start."""
    late = np.zeros_like(values)
    late[:, hours:] = values[:, :-hours]
    return late


def _habit(values: Floats) -> Floats:
    """Return the largest from five weeks to three days before."""
    size = HABIT_HOURS - RECENT_HOURS + 1
    largest = maximum_filter1d(values, size, axis=1, origin=(size - 1) // 2, mode="constant", cval=0.0)
    return _late(np.asarray(largest), RECENT_HOURS)


def _peers(panel: Panel, above: Floats) -> Floats:
    """Return an eighth of the largest day of account, region and class, in the first week of a series, else 0."""
    place = panel.series.groupby(["account_id", "region", "egress_class"], sort=False).ngroup().to_numpy()
    habit = _habit(np.maximum(_sum(above, 24), 0))
    largest = np.zeros((place.max() + 1, above.shape[1]))
    np.maximum.at(largest, place, habit)
    first = np.where((panel.gb > 0).any(axis=1), (panel.gb > 0).argmax(axis=1), above.shape[1])
    is_new = np.arange(above.shape[1]) < first[:, None] + WEEK
    return np.where(is_new, 0.125 * largest[place], 0.0)


def cost_anomaly_detection(panel: Panel) -> dict[Setting, list[Alert]]:
    """Return the alerts of the imitation of AWS Cost Anomaly Detection, by deviation, dollars and share of impact."""
    keys = ["service", "account_id", "region", "usage_type"]
    spend = pd.DataFrame(panel.usd).groupby([panel.series[key].to_numpy() for key in keys]).sum()
    services = spend.index.get_level_values(0)
    by_cause = {service: spend[services == service].droplevel(0) for service in services.unique()}
    return {
        (deviation, usd, percent): [
            alert
            for service in by_cause.values()
            for alert in _of_service(service, panel.train_hours, deviation, usd, percent)
        ]
        for deviation in DEVIATIONS
        for usd in IMPACTS_USD
        for percent in PERCENTS
    }


def _of_service(spend: pd.DataFrame, train_hours: int, deviation: float, usd: float, percent: float) -> list[Alert]:
    """Return the alerts on a service, of which `spend` has a row for each account, region and usage type."""
    total = np.concatenate([[0.0], np.cumsum(spend.to_numpy().sum(axis=0))])
    alerts: list[Alert] = []
    since: int | None = None
    course: list[tuple[int, float]] = []
    names: list[tuple[str, str, str]] = []

    def finish() -> None:
        if course and since is not None:
            accounts, regions, usage_types = zip(*names, strict=True)
            alerts.append(
                Alert(accounts, regions, (ALL,) * len(names), usage_types, since, course[-1][0], tuple(course))
            )

    for now in range(train_hours, len(total), RUN_EVERY_HOURS):
        expected, spread = _expected(total, now)
        if expected is None or total[now] - total[now - 24] <= expected + deviation * spread:
            finish()
            since, course = None, []
            continue
        since = now - 24 if since is None else since
        usual = expected / 24 * (now - since)
        impact = total[now] - total[since] - usual
        if not course and impact >= max(usd, percent * usual):
            names = _causes(spend, now)
        if course or (impact >= max(usd, percent * usual) and names):
            course.append((now - 1, max(impact, course[-1][1] if course else 0.0)))
    finish()
    return alerts


def _expected(total: Floats, now: int) -> tuple[float | None, float]:
    """Return what a window of 24 hours that ends now is expected to cost, and how far such windows deviate."""
    ends = np.arange(now - 24, max(now - 24 * LEARNED_DAYS - 1, 23), -24)
    windows = total[ends] - total[ends - 24]
    windows = windows[: int(np.max(np.flatnonzero(windows), initial=-1)) + 1]  # since the service is there
    if len(windows) < HISTORY_DAYS:
        return None, 0.0
    same = windows[6::7]
    level = float(np.median(same if len(same) >= 3 else windows))
    spread = 1.4826 * float(np.median(np.abs(windows - np.median(windows))))
    return level, max(spread, LEAST_DEVIATION * level)


def _causes(spend: pd.DataFrame, now: int) -> list[tuple[str, str, str]]:
    """Return account, region and usage type of what makes up the excess, the largest first."""
    usd = spend.to_numpy()
    ends = range(now - 24, max(now - 24 * LEARNED_DAYS - 1, 23), -24)
    before = np.mean([usd[:, end - 24 : end].sum(axis=1) for end in ends], axis=0)
    excess = pd.Series(usd[:, now - 24 : now].sum(axis=1) - before, index=spend.index)
    ranked = excess.sort_values(ascending=False, kind="stable")
    above = ranked[ranked > 0]
    kept = above[above >= LEAST_SHARE * above.sum()].head(MOST_CAUSES)
    return [(str(account), str(region), str(usage)) for account, region, usage in kept.index]


RULES: dict[str, Callable[[Panel], dict[Setting, list[Alert]]]] = {
    "fixed factor": fixed_factor,
    "imitation of AWS Cost Anomaly Detection": cost_anomaly_detection,
}
ON_OUR_EXPECTATION = ("fixed factor",)
# As it comes: the one setting, and for the imitation three deviations, $100 and 40 %.
AS_IT_COMES: dict[str, tuple[float, ...]] = {
    "fixed factor": (),
    "imitation of AWS Cost Anomaly Detection": (3.0, 100.0, 0.4),
}
