"""Builds the result files of a day, an hour or a table: three in Model Monitor's layout, and measures.json. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from drift_monitor.limits import EVERY
from drift_monitor.reference import SCORE

if TYPE_CHECKING:
    from datetime import datetime

    from drift_monitor.day import Day
    from drift_monitor.judge import Measure
    from drift_monitor.limits import Limits, LimitTable
    from drift_monitor.reference import Column, Reference

_BUCKETS = 10
_SHOWN_VALUES = 100
# The namespace in which Model Monitor publishes its metrics.
_METRICS_NAMESPACE = "/aws/sagemaker/Endpoints/data-metrics"
_METRICS_AT_ONCE = 100  # the limit of CloudWatch for one log line


def statistics(day: Day) -> dict[str, Any]:
    """Return statistics.json: every feature, the scores and the keys."""
    scores = {} if np.isnan(day.scores).all() else {SCORE: day.scores}
    numbers = [_numerical(name, values) for name, values in (day.columns | scores).items()]
    texts = [_categorical(name, values) for name, values in day.categories.items()]
    return {"version": 0.0, "dataset": {"item_count": day.rows}, "features": [*numbers, *texts]}


def _numerical(name: str, values: np.ndarray) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    common = {"num_present": int(known.size), "num_missing": int(values.size - known.size)}
    found: dict[str, Any] = {"common": common}
    if known.size:
        counts, edges = np.histogram(known, _BUCKETS)
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
    is_integral = bool(known.size) and bool((known == np.rint(known)).all())
    return {"name": name, "inferred_type": _type(is_integral=is_integral), "numerical_statistics": found}


def _type(*, is_integral: bool) -> str:
    return "Integral" if is_integral else "Fractional"


def _categorical(name: str, values: np.ndarray) -> dict[str, Any]:
    counts = Counter("" if value is None else str(value) for value in values.tolist())
    missing = counts.pop("", 0)
    buckets = [{"value": value, "count": float(count)} for value, count in counts.most_common(_SHOWN_VALUES)]
    found = {
        "common": {"num_present": len(values) - missing, "num_missing": missing},
        "distinct_count": float(len(counts)),
        "distribution": {"categorical": {"buckets": buckets}},
    }
    return {"name": name, "inferred_type": "String", "string_statistics": found}


def constraints(reference: Reference, limits: LimitTable) -> dict[str, Any]:
    """Return constraints.json: the statistics of the training rows, and the limits.

    Model Monitor's `comparison_threshold` is the limit of the Kolmogorov-Smirnov distance. A limit for one feature is
    in `monitoringConfigOverrides`.
    """
    numbers = [_constraints_of(name, column, limits) for name, column in reference.columns.items()]
    texts = [
        {
            "name": name,
            "inferred_type": "String",
            "completeness": 1.0 - category.missing_share,
            "string_constraints": {"domains": list(category.values)},
        }
        for name, category in reference.categories.items()
    ]
    return {
        "version": 0.0,
        "features": [*numbers, *texts],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": _comparison(limits.of(EVERY)),
        },
    }


def _constraints_of(name: str, column: Column, limits: LimitTable) -> dict[str, Any]:
    own, every = limits.of(name), limits.of(EVERY)
    allowed = 1.0 if own.missing_share is None else column.missing_share + own.missing_share
    found: dict[str, Any] = {
        "name": name,
        "inferred_type": _type(is_integral=column.is_integral),
        "completeness": max(0.0, 1.0 - allowed),
        "num_constraints": {"is_non_negative": bool(np.isfinite(column.least) and column.least >= 0)},
    }
    if own.ks != every.ks:
        found["monitoringConfigOverrides"] = {"distribution_constraints": _comparison(own)}
    return found


def _comparison(limits: Limits) -> dict[str, Any]:
    if limits.ks is None:
        return {"perform_comparison": "Disabled"}
    return {"perform_comparison": "Enabled", "comparison_threshold": limits.ks, "comparison_method": "Simple"}


def violations(measures: list[Measure]) -> dict[str, Any]:
    """Return constraint_violations.json: each violated check of a feature, with its first violated measure."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for measure in measures:
        if measure.is_violated:
            entry = {"feature_name": measure.feature, "constraint_check_type": measure.check}
            found.setdefault(measure.key, entry | {"description": measure.described()})
    return {"violations": list(found.values())}


def measured(day: Day, measures: list[Measure], drifted: list[Measure], reference: Reference) -> dict[str, Any]:
    """Return measures.json: every measure with its limit, and the drifted features."""
    return {
        "day": day.day,
        "kind": day.kind,
        "rows": day.rows,
        "nonzero_rows": int(day.is_nonzero.sum()),
        "flagged_share": day.flagged_share,
        "unread_records": day.unread,
        "model_id": reference.model_id,
        "reference": _described(reference),
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


def _described(reference: Reference) -> dict[str, Any]:
    if not reference.days:
        return {"rows": int(reference.rows.sum())}
    return {"first_day": reference.days[0], "last_day": reference.days[-1], "days": len(reference.days)}


def metric_lines(measures: list[Measure], endpoint: str, schedule: str, moment: datetime) -> list[str]:
    """Return log lines from which CloudWatch extracts a metric `feature_baseline_drift_<name>` for each feature.

    Parameters
    ----------
    measures : list of Measure
        The Kolmogorov-Smirnov distances among these are published.
    endpoint, schedule : str
        The dimensions `Endpoint` and `MonitoringSchedule`.
    moment : datetime
        When the measures were taken.
    """
    values = {f"feature_baseline_drift_{m.feature}": m.value for m in measures if m.statistic == "ks"}
    names = sorted(values)
    parts = [names[start : start + _METRICS_AT_ONCE] for start in range(0, len(names), _METRICS_AT_ONCE)]
    dimensions = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    return [
        json.dumps(
            {
                "_aws": {
                    "Timestamp": int(moment.timestamp() * 1000),
                    "CloudWatchMetrics": [
                        {
                            "Namespace": _METRICS_NAMESPACE,
                            "Dimensions": [list(dimensions)],
                            "Metrics": [{"Name": name, "Unit": "None"} for name in part],
                        }
                    ],
                }
            }
            | dimensions
            | {name: values[name] for name in part}
        )
        for part in parts
    ]
