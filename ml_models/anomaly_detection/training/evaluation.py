"""Evaluates a new model on held-out rows, compares it with the serving model, and runs the quality checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

INJECTED = 200
TIMES_AS_MUCH = 3.0
# Number of small incidents for the ranking metrics.
_RANKED = 1000
_TIMES_AT_LEAST = 1.1
_WIDTHS = (0.1, 1.0)
_CALM_PERCENT = 99
LOGARITHMIC = "ln("
MOVED_SHARE = 1 / 2
SEED = 20_260_101
PERCENTS = (1, 99)
MIN_HOLDOUT_ROWS = 20


@dataclass(frozen=True)
class Limits:
    """The limits of the quality checks.

    Parameters
    ----------
    min_recall : float
        Least share of the injected incidents that the model must detect.
    max_share_flagged : float
        Largest share of the unchanged holdout rows that may be anomalous.
    max_flags_changed : float
        Largest share of the holdout rows for which the model and the serving model may disagree.
    min_rank_correlation : float
        Least Spearman correlation between the scores of the two models.
    """

    min_recall: float = 0.9
    max_share_flagged: float = 0.05
    max_flags_changed: float = 0.05
    min_rank_correlation: float = 0.5


def evaluate(
    training: NDArray[np.float32],
    holdout: NDArray[np.float32],
    score: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    serving: Callable[[NDArray[np.float32]], NDArray[np.float64]] | None = None,
    *,
    units: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure a model on held-out rows.

    Parameters
    ----------
    training, holdout : ndarray of shape (n_rows, n_features), float32
        The rows that the model was fitted on, and held-out rows with the same columns.
    score : callable
        Returns the model's `anomaly_score` of rows.
    serving : callable, optional
        Returns the serving model's `anomaly_score` of rows.
    units : sequence of str
        The features' units in the schema; see `inject`.

    Returns
    -------
    dict
        ``holdout_rows``, ``share_flagged``, ``injected`` and ``serving`` (None, or ``share_flagged``,
        ``flags_changed_share``, ``rank_correlation``). ``injected`` has ``incidents`` and ``recall`` for the incidents
        of `inject`, which the quality checks use, and ``auc`` and ``average_precision`` for those of `inject_small`
        against ordinary rows, to compare models.
    """
    scores = score(holdout)
    quiet = scores >= 0
    incidents = inject(training, holdout[quiet], units)
    found = score(incidents) if len(incidents) else np.empty(0)
    return {
        "holdout_rows": len(holdout),
        "share_flagged": float(np.mean(scores < 0)),
        "injected": {
            "incidents": len(incidents),
            "recall": float(np.mean(found < 0)) if len(incidents) else None,
            **_ranking(training, holdout, scores, score, units),
        },
        "serving": None if serving is None else _beside(scores, serving(holdout)),
    }


def _ranking(
    training: NDArray[np.float32],
    holdout: NDArray[np.float32],
    scores: NDArray[np.float64],
    score: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    units: Sequence[str],
) -> dict[str, float | None]:
    """Measure how well a model ranks small incidents above the ordinary rows that they were made from."""
    from sklearn.metrics import average_precision_score

    calm = _calm(training, holdout)
    incidents = inject_small(training, holdout[calm], units)
    if not len(incidents):
        return {"auc": None, "average_precision": None}
    found, quiet = score(incidents), scores[calm]
    is_incident = np.concatenate([np.ones(len(found), bool), np.zeros(len(quiet), bool)])
    precision = average_precision_score(is_incident, -np.concatenate([found, quiet]))
    return {"auc": _auc(found, quiet), "average_precision": float(precision)}


def _calm(training: NDArray[np.float32], holdout: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Select held-out rows without any value among the largest of training. Other rows may be incidents already.

    Zero rows are left out if there are enough other rows, since every model distinguishes them from incidents.
    """
    nonzero = training[(training != 0).any(axis=1)]
    with np.errstate(all="ignore"):
        largest = np.nanpercentile(nonzero if len(nonzero) else training, _CALM_PERCENT, axis=0)
    calm: NDArray[np.bool_] = ~np.asarray((holdout > largest).any(axis=1))
    both: NDArray[np.bool_] = calm & (holdout != 0).any(axis=1)
    return both if both.sum() >= MIN_HOLDOUT_ROWS else calm


def inject_small(
    training: NDArray[np.float32], rows: NDArray[np.float32], units: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Create incidents of many sizes, each visible in some features only. The same rows give the same incidents.

    If features are logarithms of ratios, about half of them, and at least one, increase by the logarithm of one factor
    between 1.1 and 3. In any other table, about a quarter of the features increases by one share, between 0.1 and 1, of
    the ordinary range.

    Returns
    -------
    ndarray of shape (at most 1000, n_features), float32
    """
    random = np.random.default_rng(SEED)
    made = rows[random.permutation(len(rows))[:_RANKED]].copy()
    places = np.flatnonzero([LOGARITHMIC in unit for unit in units])
    if len(places):
        sizes, share = random.uniform(np.log(_TIMES_AT_LEAST), np.log(TIMES_AS_MUCH), len(made)), 0.5
        steps = np.ones(len(places))
    else:
        places = np.arange(rows.shape[1])
        least, largest = _WIDTHS
        sizes, share = np.exp(random.uniform(np.log(least), np.log(largest), len(made))), 0.25
        with np.errstate(all="ignore"):
            low, high = np.nanpercentile(training, PERCENTS, axis=0)
        steps = np.where(high > low, high - low, 1.0)
    chosen = random.random((len(made), len(places))) < share
    chosen[np.arange(len(made)), random.integers(0, len(places), len(made))] = True
    made[:, places] += (chosen * sizes[:, None] * steps).astype(np.float32)
    return made


def inject(training: NDArray[np.float32], quiet: NDArray[np.float32], units: Sequence[str] = ()) -> NDArray[np.float32]:
    """Create incidents from ordinary rows. The same rows give the same incidents.

    Features whose unit is a logarithm of a ratio increase by ln 3, as in an hour with three times the expected GB. In
    any other table, half of the features move above the largest training value by the width of the ordinary range (1st
    to 99th percentile), or by 1 if that range has no width.

    Returns
    -------
    ndarray of shape (at most 200, n_features), float32
    """
    random = np.random.default_rng(SEED)
    rows = quiet[random.permutation(len(quiet))[:INJECTED]].copy()
    logarithms = np.array([LOGARITHMIC in unit for unit in units], bool)
    if logarithms.any():
        rows[:, logarithms] += np.float32(np.log(TIMES_AS_MUCH))
    else:
        _move_half(training, rows, random)
    return rows


def _move_half(training: NDArray[np.float32], rows: NDArray[np.float32], random: np.random.Generator) -> None:
    features = training.shape[1]
    with np.errstate(all="ignore"):
        low, high = np.nanpercentile(training, PERCENTS, axis=0)
        width = np.where(high > low, high - low, 1.0)
        beyond = (np.nanmax(training, axis=0) + width).astype(np.float32)
    moved = math.ceil(features * MOVED_SHARE)
    for row in rows:
        chosen = random.permutation(features)[:moved]
        row[chosen] = beyond[chosen]


def why_not(evaluation: dict[str, Any] | None, limits: Limits) -> list[str]:
    """Return the failed quality checks of a model. Empty if all pass.

    Parameters
    ----------
    evaluation : dict or None
        The result of `evaluate`, with ``serving_problem`` if the serving model could not score the rows.
    limits : Limits
    """
    if evaluation is None:
        return ["it was not evaluated: no rows were held out"]
    reasons = _of_itself(evaluation, limits)
    if problem := evaluation.get("serving_problem"):
        reasons.append(f"it could not be compared with the serving model: {problem}")
    return reasons + (_beside_serving(evaluation["serving"], limits) if evaluation["serving"] else [])


def _of_itself(evaluation: dict[str, Any], limits: Limits) -> list[str]:
    reasons = []
    if evaluation["holdout_rows"] < MIN_HOLDOUT_ROWS:
        reasons.append(
            f"only {evaluation['holdout_rows']} rows were held out; at least {MIN_HOLDOUT_ROWS} are required"
        )
    recall = evaluation["injected"]["recall"]
    if recall is None or recall < limits.min_recall:
        found = "no" if recall is None else f"{recall:.0%} of the"
        reasons.append(f"it finds {found} injected incidents; at least {limits.min_recall:.0%} are required")
    if evaluation["share_flagged"] > limits.max_share_flagged:
        share = evaluation["share_flagged"]
        reasons.append(f"it flags {share:.1%} of the held-out rows; at most {limits.max_share_flagged:.1%} are allowed")
    return reasons


def _beside_serving(serving: dict[str, float], limits: Limits) -> list[str]:
    reasons = []
    changed, correlation = serving["flags_changed_share"], serving["rank_correlation"]
    if changed > limits.max_flags_changed:
        reasons.append(
            f"it disagrees with the serving model on {changed:.1%} of the held-out rows; "
            f"at most {limits.max_flags_changed:.1%} are allowed"
        )
    if correlation < limits.min_rank_correlation:
        reasons.append(
            f"it ranks the held-out rows differently from the serving model (Spearman {correlation:.2f}); "
            f"at least {limits.min_rank_correlation:.2f} is required"
        )
    return reasons


def _beside(scores: NDArray[np.float64], serving: NDArray[np.float64]) -> dict[str, float]:
    return {
        "share_flagged": float(np.mean(serving < 0)),
        "flags_changed_share": float(np.mean((scores < 0) != (serving < 0))),
        "rank_correlation": _rank_correlation(scores, serving),
    }


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation. 1 if both are constant, 0 if only one is."""
    first, second = _ranks(one), _ranks(other)
    spreads = (float(first.std()), float(second.std()))
    if not all(spreads):
        return float(not any(spreads))
    return float(np.corrcoef(first, second)[0, 1])


def _auc(incidents: NDArray[np.float64], quiet: NDArray[np.float64]) -> float:
    """Return the share of pairs in which the incident scores lower than the ordinary row. Equal scores count half."""
    ranks = _ranks(np.concatenate([incidents, quiet]))[: len(incidents)]
    above = ranks.sum() - len(incidents) * (len(incidents) + 1) / 2.0
    return float(1.0 - above / (len(incidents) * len(quiet)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks. Equal values have the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2.0)[inverse]
    return ranks


def holdout_mask(hours: NDArray[np.datetime64] | None, rows: int, share: float) -> NDArray[np.bool_]:
    """Select the last share of the time range for the holdout. Without hours, select the last share of the rows.

    Parameters
    ----------
    hours : ndarray of shape (rows,), datetime64, or None
        All rows of an hour are on the same side.
    rows : int
    share : float
        From 0 (none) to below 1.
    """
    if share == 0:
        return np.zeros(rows, bool)
    if hours is None:
        return np.arange(rows) >= round(rows * (1 - share))
    known = np.unique(hours[~np.isnat(hours)])
    if not len(known):
        return np.arange(rows) >= round(rows * (1 - share))
    first = known[min(len(known) - 1, round(len(known) * (1 - share)))]
    return np.asarray(hours >= first)


def label_metrics(labels: NDArray[np.float64] | None, scores: NDArray[np.float64]) -> dict[str, Any] | None:
    """Measure how well scores rank labelled anomalies before other rows. None without labels of both kinds.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), float64, or None
        0 for ordinary rows, NaN for rows without a label, any other value for anomalies.
    scores : ndarray of shape (n_rows,), float64
        Lower is more anomalous.

    Returns
    -------
    dict or None
        `rows` (with a label), `anomalies`, `auroc` and `average_precision`.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if labels is None:
        return None
    known = ~np.isnan(labels)
    is_anomaly, rank = labels[known] != 0, -scores[known]
    if is_anomaly.all() or not is_anomaly.any():
        return None
    return {
        "rows": int(known.sum()),
        "anomalies": int(is_anomaly.sum()),
        "auroc": float(roc_auc_score(is_anomaly, rank)),
        "average_precision": float(average_precision_score(is_anomaly, rank)),
    }
