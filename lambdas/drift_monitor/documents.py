"""A day's files: statistics.json and constraint_violations.json in Model Monitor's layout, and the measures. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from drift_monitor.day import Day
    from drift_monitor.judge import Measure
    from drift_monitor.reference import Reference

BUCKETS = 10
SHOWN_VALUES = 100


def statistics(day: Day) -> dict[str, Any]:
    """Return statistics.json: every feature, the scores and the keys of a day."""
    numbers = [_numerical(name, values) for name, values in (day.columns | {"anomaly_score": day.scores}).items()]
    texts = [_categorical(name, values) for name, values in day.categories.items()]
    return {"version": 0.0, "dataset": {"item_count": day.rows}, "features": [*numbers, *texts]}


def _numerical(name: str, values: np.ndarray) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    common = {"num_present": int(known.size), "num_missing": int(values.size - known.size)}
    found: dict[str, Any] = {"common": common}
    if known.size:
        counts, edges = np.histogram(known, BUCKETS)
        buckets = [
            {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        found |= {
            "mean": float(known.mean()),
            "sum": float(known.sum()),
            "std_dev": float(known.std()),
            "min": float(known.min()),
            "max": float(known.max()),
            "distribution": {"kll": {"buckets": buckets}},
        }
    return {"name": name, "inferred_type": "Fractional", "numerical_statistics": found}


def _categorical(name: str, values: np.ndarray) -> dict[str, Any]:
    counts = Counter("" if value is None else str(value) for value in values.tolist())
    missing = counts.pop("", 0)
    buckets = [{"value": value, "count": float(count)} for value, count in counts.most_common(SHOWN_VALUES)]
    found = {
        "common": {"num_present": len(values) - missing, "num_missing": missing},
        "distinct_count": float(len(counts)),
        "distribution": {"categorical": {"buckets": buckets}},
    }
    return {"name": name, "inferred_type": "String", "string_statistics": found}


def violations(day: Day, measures: list[Measure]) -> dict[str, Any]:
    """Return constraint_violations.json: each feature and check with the first of its violated measures."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for measure in measures:
        if measure.is_violated:
            entry = {"feature_name": measure.feature, "constraint_check_type": measure.check}
            found.setdefault(measure.key, entry | {"description": measure.described(day.day)})
    return {"violations": list(found.values())}


def measured(day: Day, measures: list[Measure], drifted: list[Measure], reference: Reference) -> dict[str, Any]:
    """Return measures.json: every number with its limit, and what has drifted."""
    return {
        "day": day.day,
        "rows": day.rows,
        "telling_rows": int(day.is_telling.sum()),
        "flagged_share": day.flagged_share,
        "unread_records": day.unread,
        "model_id": reference.model_id,
        "reference": {"first_day": reference.days[0], "last_day": reference.days[-1], "days": len(reference.days)},
        "measures": [
            {
                "feature": measure.feature,
                "statistic": measure.statistic or measure.check,
                "value": measure.value,
                "limit": measure.limit,
                "is_violated": measure.is_violated,
            }
            for measure in measures
        ],
        "drifted": sorted({measure.feature for measure in drifted}),
    }
