"""Says what of a day is unlike the days that the model was trained on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from drift_monitor.distance import stability_index
from drift_monitor.reference import DISTANCES, FLAGGED, SCORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drift_monitor.day import Day
    from drift_monitor.limits import LimitTable
    from drift_monitor.reference import Category, Column, Distance, Reference

# Fewer rows than that say nothing of shares.
MIN_ROWS = 100
# What Model Monitor calls the checks.
MISSING_COLUMN, DATA_TYPE, COMPLETENESS = "missing_column_check", "data_type_check", "completeness_check"
DRIFT, RANGE = "baseline_drift_check", "numeric_range_check"
# A broken schema is no matter of chance: it counts on its first day.
AT_ONCE = (MISSING_COLUMN, DATA_TYPE, COMPLETENESS)
IN_WORDS = {
    "psi": "its distribution has moved: PSI {value:.3g} against the reference's {weekday}s, {limit:.3g} are allowed",
    "ks": "its distribution has moved: Kolmogorov-Smirnov {value:.3g} against the reference's {weekday}s, {limit:.3g} "
    "are allowed",
    "missing_share": "{value:.1%} of the rows have no value, {limit:.1%} are allowed",
    "out_of_range_share": "{value:.1%} of the rows lie outside what training saw, {limit:.1%} are allowed",
    FLAGGED: "{value:.1%} of the rows of ordinary series are flagged, {limit:.1%} are allowed",
}


@dataclass(frozen=True)
class Measure:
    """A number of a day, its limit (None: not limited), and what it is a measure of."""

    feature: str
    check: str
    statistic: str
    value: float
    limit: float | None
    words: str = ""

    @property
    def is_violated(self) -> bool:
        """Whether the limit is passed."""
        return self.limit is not None and self.value > self.limit

    @property
    def key(self) -> tuple[str, str]:
        """What must be violated on two days running."""
        return self.feature, self.check

    def described(self, day: str) -> str:
        """Return a sentence."""
        weekday = f"{date.fromisoformat(day):%A}"
        return self.words or IN_WORDS[self.statistic].format(value=self.value, limit=self.limit or 0.0, weekday=weekday)


def measures_of(day: Day, reference: Reference, limits: LimitTable) -> list[Measure]:
    """Measure all that a day with enough rows tells.

    Parameters
    ----------
    day : Day
    reference : Reference
    limits : LimitTable

    Returns
    -------
    list of Measure
        Of a feature that is not there or not a number that alone.
    """
    return [*_schema(day, reference), *_columns(day, reference, limits), *_categories(day, reference, limits)]


def _schema(day: Day, reference: Reference) -> Iterator[Measure]:
    for name in reference.features:
        if name in day.wrong_types:
            yield Measure(name, DATA_TYPE, "", 1.0, 0.0, f"it is {day.wrong_types[name]}, where numbers are expected")
        elif name not in day.columns:
            yield Measure(name, MISSING_COLUMN, "", 1.0, 0.0, "the day's rows have no such column")


def _columns(day: Day, reference: Reference, limits: LimitTable) -> Iterator[Measure]:
    weekday = date.fromisoformat(day.day).weekday()
    is_telling, is_common = day.is_telling, day.is_common
    for name in reference.features:
        if name in day.columns and day.rows >= MIN_ROWS:
            column = reference.columns[name]
            yield from _column(name, day.columns[name], is_telling, is_common, column, weekday, limits)
    told = is_telling & ~np.isnan(day.scores)
    if told.sum() >= MIN_ROWS:
        yield from _distances(SCORE, day.scores, told, is_common, reference.columns[SCORE], weekday, limits)
        least = limits.of(SCORE).flagged_share
        limit = None if least is None else max(least, reference.usual_flagged_limit)
        share = _smaller(lambda kept: float(np.mean(day.scores[kept] < 0)), told, is_common)
        yield Measure(SCORE, DRIFT, FLAGGED, share, limit)


def _column(
    name: str,
    values: np.ndarray,
    is_telling: np.ndarray,
    is_common: np.ndarray,
    column: Column,
    weekday: int,
    limits: LimitTable,
) -> Iterator[Measure]:
    least = limits.of(name)
    missing = np.isnan(values)
    limit = None if least.missing_share is None else least.missing_share + column.missing_share
    yield Measure(name, COMPLETENESS, "missing_share", float(missing.mean()), limit)
    outside = (values < column.least) | (values > column.largest)
    share = _smaller(lambda kept: float(outside[kept].mean()), np.ones(len(values), bool), is_common)
    yield Measure(name, RANGE, "out_of_range_share", share, least.out_of_range_share)
    told = is_telling & ~missing
    if told.sum() >= MIN_ROWS:
        yield from _distances(name, values, told, is_common, column, weekday, limits)


def _distances(
    name: str,
    values: np.ndarray,
    told: np.ndarray,
    is_common: np.ndarray,
    column: Column,
    weekday: int,
    limits: LimitTable,
) -> Iterator[Measure]:
    expected = column.counts.expected(weekday)
    for statistic, distance in DISTANCES.items():
        least: float | None = getattr(limits.of(name), statistic)
        limit = None if least is None else max(least, column.usual_limits[statistic])

        def measure(kept: np.ndarray, distance: Distance = distance) -> float:
            return distance(column.binned(values[kept]), expected)

        value = _smaller(measure, told, is_common)
        yield Measure(name, DRIFT, statistic, value, limit)


def _smaller(measure: Callable[[np.ndarray], float], kept: np.ndarray, is_common: np.ndarray) -> float:
    """Measure rows, and again without the outlying series: what these explain is an incident, and no drift."""
    common = kept & is_common
    return min(measure(kept), measure(common)) if common.sum() >= MIN_ROWS else measure(kept)


def _categories(day: Day, reference: Reference, limits: LimitTable) -> Iterator[Measure]:
    weekday = date.fromisoformat(day.day).weekday()
    is_telling, is_common = day.is_telling, day.is_common
    if is_telling.sum() < MIN_ROWS:
        return
    for name, category in reference.categories.items():
        if name in day.categories:
            values, expected = day.categories[name], category.counts.expected(weekday)
            least = limits.of(name).psi
            limit = None if least is None else max(least, category.usual_limit)

            def distance(
                kept: np.ndarray, values: np.ndarray = values, of: Category = category, then: np.ndarray = expected
            ) -> float:
                return stability_index(of.binned(values[kept]), then)

            value = _smaller(distance, is_telling, is_common)
            counts = category.binned(values[is_telling])
            yield Measure(name, DRIFT, "psi", value, limit, _other_mix(category, counts, expected, value, limit))


def _other_mix(category: Category, counts: np.ndarray, expected: np.ndarray, value: float, limit: float | None) -> str:
    """Return a sentence that names the value whose share has risen most."""
    now, then = counts / counts.sum(), expected / max(expected.sum(), 1)
    place = int(np.argmax(now - then))
    named = category.values[place] if place < len(category.values) else "what training did not have"
    return (
        f"another mix of values: {named} is {now[place]:.0%} of the rows, where it was {then[place]:.0%} "
        f"(PSI {value:.3g}, {limit or 0:.3g} are allowed)"
    )


def drifted(today: list[Measure], yesterday: list[Measure]) -> list[Measure]:
    """Return what is violated today and was yesterday, or counts at once.

    A day that is odd by itself is an incident, which the detector tells of; drift stays.
    """
    before = {measure.key for measure in yesterday if measure.is_violated}
    return [m for m in today if m.is_violated and (m.check in AT_ONCE or m.key in before)]
