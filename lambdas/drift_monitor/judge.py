"""Measures how much a day, an hour or a table differs from the training rows. Pure."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from drift_monitor.distance import stability_index
from drift_monitor.reference import DEVIATIONS, DISTANCES, FLAGGED, SCORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drift_monitor.day import Day
    from drift_monitor.limits import Limits, LimitTable
    from drift_monitor.reference import Category, Column, Counts, Distance, Reference

# With fewer rows, shares are too noisy to compare.
MIN_ROWS = 100
# A relative deviation below this is rounding: the column was constant in training.
_CONSTANT = 1e-6
_NOUNS = {"day": "day", "hour": "hour", "batch": "table"}
# Model Monitor's names of the checks.
MISSING_COLUMN, DATA_TYPE, COMPLETENESS = "missing_column_check", "data_type_check", "completeness_check"
DRIFT, RANGE = "baseline_drift_check", "numeric_range_check"
# A broken schema is not random, so it counts on the first day.
AT_ONCE = (MISSING_COLUMN, DATA_TYPE, COMPLETENESS)
IN_WORDS = {
    "psi": "the distribution differs: PSI {value:.3g} against {against} (limit {limit:.3g})",
    "ks": "the distribution differs: Kolmogorov-Smirnov distance {value:.3g} against {against} (limit {limit:.3g})",
    "mean_deviations": "the mean is {value:.3g} standard deviations from the training mean (limit {limit:.3g})",
    "missing_share": "{value:.1%} of the rows have no value (limit {limit:.1%})",
    "out_of_range_share": "{value:.1%} of the rows are outside the range of training (limit {limit:.1%})",
    FLAGGED: "{value:.1%} of the rows of common series are anomalous (limit {limit:.1%})",
}


@dataclass(frozen=True)
class Measure:
    """One measured value of a day, with its feature, check, statistic and limit (None: no limit)."""

    feature: str
    check: str
    statistic: str
    value: float
    limit: float | None
    words: str = ""
    against: str = "the training rows"

    @property
    def is_violated(self) -> bool:
        """Whether the value exceeds the limit."""
        return self.limit is not None and self.value > self.limit

    @property
    def key(self) -> tuple[str, str]:
        """The feature and check. Drift means that the same key is violated on two days in a row."""
        return self.feature, self.check

    def described(self) -> str:
        """Return a sentence."""
        values = {"value": self.value, "limit": self.limit or 0.0, "against": self.against}
        return self.words or IN_WORDS[self.statistic].format(**values)


def measures_of(day: Day, reference: Reference, limits: LimitTable) -> list[Measure]:
    """Measure a day, an hour or a table. With too few rows, check only the columns and their types.

    Parameters
    ----------
    day : Day
    reference : Reference
    limits : LimitTable

    Returns
    -------
    list of Measure
        A missing or non-numeric feature has only this one measure.
    """
    return [*_schema(day, reference), *_columns(day, reference, limits), *_categories(day, reference, limits)]


def _schema(day: Day, reference: Reference) -> Iterator[Measure]:
    for name in reference.features:
        if name in day.wrong_types:
            yield Measure(name, DATA_TYPE, "", 1.0, 0.0, f"its type is {day.wrong_types[name]}; numbers are expected")
        elif name not in day.columns:
            yield _missing_column(name, day)
    if day.kind == "batch":
        for name in reference.categories:
            if name not in day.categories:
                yield _missing_column(name, day)


def _missing_column(name: str, day: Day) -> Measure:
    return Measure(name, MISSING_COLUMN, "", 1.0, 0.0, f"the rows of the {_NOUNS[day.kind]} have no such column")


def _columns(day: Day, reference: Reference, limits: LimitTable) -> Iterator[Measure]:
    if day.rows < MIN_ROWS:
        return
    rows = _Rows(day, _counted(day, reference), day.is_common)
    for name, column in reference.columns.items():
        if name != SCORE and name in day.columns:
            yield from _column(rows, name, column, limits)
    scored = rows.is_counted & ~np.isnan(day.scores)
    if scored.sum() >= MIN_ROWS and SCORE in reference.columns:
        yield from _distances(rows, SCORE, day.scores, reference.columns[SCORE], limits)
        least = limits.of(SCORE).flagged_share
        limit = None if least is None else max(least, reference.ordinary_flagged(int(scored.sum()), day.weekday))
        share = _smaller(lambda kept: float(np.mean(day.scores[kept] < 0)), scored, rows.is_common)
        yield Measure(SCORE, DRIFT, FLAGGED, share, limit)


class _Rows(NamedTuple):
    """A day, and which of its rows are counted in bins and belong to common series."""

    day: Day
    is_counted: np.ndarray
    is_common: np.ndarray


def _counted(day: Day, reference: Reference) -> np.ndarray:
    """Choose the rows that training also counted: the nonzero rows if training has days, otherwise all rows."""
    return day.is_nonzero if reference.days else np.ones(day.rows, bool)


def _column(rows: _Rows, name: str, column: Column, limits: LimitTable) -> Iterator[Measure]:
    least, values = limits.of(name), rows.day.columns[name]
    missing = np.isnan(values)
    yield Measure(name, COMPLETENESS, "missing_share", float(missing.mean()), _missing_limit(rows, column, least))
    outside = (values < column.least) | (values > column.largest)
    share = _smaller(lambda kept: float(outside[kept].mean()), np.ones(len(values), bool), rows.is_common)
    yield Measure(name, RANGE, "out_of_range_share", share, least.out_of_range_share)
    has_days = len(column.counts.weekdays) > 0
    is_limited = not has_days or limits.sets(name, "mean_deviations")
    yield from _mean(rows, name, column, least.mean_deviations if is_limited else None)
    yield from _distances(rows, name, values, column, limits)


def _missing_limit(rows: _Rows, column: Column, least: Limits) -> float | None:
    if least.missing_share is None:
        return None
    usual = column.missing_share
    # In a small table, the number of missing values varies by chance. A day has no such allowance.
    chance = 0.0 if rows.day.kind == "day" else DEVIATIONS * float(np.sqrt(usual * (1 - usual) / rows.day.rows))
    return least.missing_share + usual + chance


def _mean(rows: _Rows, name: str, column: Column, least: float | None) -> Iterator[Measure]:
    """Measure how far the mean has moved. A column that was constant in training is checked only by its range."""
    values = rows.day.columns[name]
    known = ~np.isnan(values)
    if column.mean is None or column.deviation <= _CONSTANT * max(1.0, abs(column.mean)) or known.sum() < MIN_ROWS:
        return
    mean, deviation = column.mean, column.deviation
    value = _smaller(lambda kept: float(abs(values[kept].mean() - mean) / deviation), known, rows.is_common)
    limit = None
    if least is not None:
        limit = max(least, column.ordinary("mean_deviations", column.binned(values), rows.day.weekday))
    yield Measure(name, DRIFT, "mean_deviations", value, limit)


def _distances(rows: _Rows, name: str, values: np.ndarray, column: Column, limits: LimitTable) -> Iterator[Measure]:
    counted = rows.is_counted & ~np.isnan(values)
    if counted.sum() < MIN_ROWS:
        return
    weekday = rows.day.weekday
    expected, counts = column.counts.expected(weekday), column.binned(values[counted])
    for statistic, distance in DISTANCES.items():
        least: float | None = getattr(limits.of(name), statistic)
        limit = None if least is None else max(least, column.ordinary(statistic, counts, weekday))

        def measure(kept: np.ndarray, distance: Distance = distance) -> float:
            return distance(column.binned(values[kept]), expected)

        value = _smaller(measure, counted, rows.is_common)
        yield Measure(name, DRIFT, statistic, value, limit, against=_against(weekday, column.counts))


def _against(weekday: int | None, counts: Counts) -> str:
    if weekday is None or not counts.knows(weekday):
        return "the training rows"
    return f"the reference's {calendar.day_name[weekday]}s"


def _smaller(measure: Callable[[np.ndarray], float], kept: np.ndarray, is_common: np.ndarray) -> float:
    """Return the smaller measure with and without outlying series, which are an incident and not drift."""
    common = kept & is_common
    return min(measure(kept), measure(common)) if common.sum() >= MIN_ROWS else measure(kept)


def _categories(day: Day, reference: Reference, limits: LimitTable) -> Iterator[Measure]:
    weekday = day.weekday
    is_counted, is_common = _counted(day, reference), day.is_common
    if is_counted.sum() < MIN_ROWS:
        return
    for name, category in reference.categories.items():
        if name in day.categories:
            values, expected = day.categories[name], category.counts.expected(weekday)
            least = limits.of(name).psi
            counts = category.binned(values[is_counted])
            limit = None if least is None else max(least, category.ordinary(counts, weekday))

            def distance(
                kept: np.ndarray, values: np.ndarray = values, of: Category = category, then: np.ndarray = expected
            ) -> float:
                return stability_index(of.binned(values[kept]), then)

            value = _smaller(distance, is_counted, is_common)
            yield Measure(name, DRIFT, "psi", value, limit, _other_mix(category, counts, expected, value, limit))


def _other_mix(category: Category, counts: np.ndarray, expected: np.ndarray, value: float, limit: float | None) -> str:
    """Return a sentence that names the value whose share rose most."""
    now, then = counts / counts.sum(), expected / max(expected.sum(), 1)
    place = int(np.argmax(now - then))
    named = category.values[place] if place < len(category.values) else "a value unknown in training"
    return (
        f"the mix of values differs: {named} is {now[place]:.0%} of the rows instead of {then[place]:.0%} "
        f"(PSI {value:.3g}, limit {limit or 0:.3g})"
    )


def drifted(today: Sequence[Measure], yesterday: Sequence[Measure]) -> list[Measure]:
    """Return the measures that are violated today and were violated yesterday, or that count on the first day.

    A single unusual day is an incident, which the detector reports. Drift persists.
    """
    before = {measure.key for measure in yesterday if measure.is_violated}
    return [m for m in today if m.is_violated and (m.check in AT_ONCE or m.key in before)]
