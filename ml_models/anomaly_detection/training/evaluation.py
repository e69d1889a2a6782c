"""How a new model does on hours that it did not see, beside the one that serves, and why it may not take its place."""

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
# Incidents that models are ranked by: small ones, which only some of the features show.
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
    """What the gate lets through.

    Parameters
    ----------
    min_recall : float
        Least share of the injected incidents that the model must flag.
    max_share_flagged : float
        Largest share of the holdout rows that it may flag as they are.
    max_flags_changed : float
        Largest share of the holdout rows on which it and the serving model may disagree.
    min_rank_correlation : float
        Least Spearman correlation of their scores.
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
        What it was fitted on, and what it was not; the same columns.
    score : callable
        The model's `anomaly_score` of rows.
    serving : callable, optional
        That of the model that serves.
    units : sequence of str
        Of the features, as their schema has them; see `inject`.

    Returns
    -------
    dict
        ``holdout_rows``, ``share_flagged``, ``injected`` (``incidents``, ``recall``: of those of `inject`, for the
        gate; ``auc``, ``average_precision``: how well the model ranks those of `inject_small` above calm rows, for
        comparing models) and ``serving`` (None, or ``share_flagged``, ``flags_changed_share``, ``rank_correlation``).
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
    """Measure how a model ranks small incidents above the calm rows they are made of, which are no model's choice."""
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
    """Choose held-out rows of which no value is among the largest of training: the others may be incidents already.

    Rows of zeros are left out where enough others are there: every model tells an incident from these.
    """
    telling = training[(training != 0).any(axis=1)]
    with np.errstate(all="ignore"):
        largest = np.nanpercentile(telling if len(telling) else training, _CALM_PERCENT, axis=0)
    calm: NDArray[np.bool_] = ~np.asarray((holdout > largest).any(axis=1))
    both: NDArray[np.bool_] = calm & (holdout != 0).any(axis=1)
    return both if both.sum() >= MIN_HOLDOUT_ROWS else calm


def inject_small(
    training: NDArray[np.float32], rows: NDArray[np.float32], units: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Make incidents of many sizes, each of which only some features show; the same ones for the same rows.

    About half of the logarithms of ratios, at least one, are raised by the logarithm of one factor between 1.1 and 3.
    In any other table about a quarter of the features is moved up by one share between 0.1 and 1 of the usual range.

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
    """Make incidents out of quiet rows, the same ones for the same rows.

    Where features are logarithms of ratios, as their units say, these are raised by ln 3: an hour that carries three
    times what is usual. In any other table half of the features is moved beyond anything that training had: above
    the largest value by the width of the usual range (1st to 99th percent), or by 1 where it has none.

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
    """Return the reasons why a model may not serve; none where it may.

    Parameters
    ----------
    evaluation : dict or None
        As `evaluate` gives it, with ``serving_problem`` where the serving model could not be asked.
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
            f"only {evaluation['holdout_rows']} rows were held out; at least {MIN_HOLDOUT_ROWS} tell something"
        )
    recall = evaluation["injected"]["recall"]
    if recall is None or recall < limits.min_recall:
        found = "no" if recall is None else f"{recall:.0%} of the"
        reasons.append(f"it finds {found} injected incidents; at least {limits.min_recall:.0%} are expected")
    if evaluation["share_flagged"] > limits.max_share_flagged:
        share = evaluation["share_flagged"]
        reasons.append(
            f"it flags {share:.1%} of the held-out rows; at most {limits.max_share_flagged:.1%} are expected"
        )
    return reasons


def _beside_serving(serving: dict[str, float], limits: Limits) -> list[str]:
    reasons = []
    changed, correlation = serving["flags_changed_share"], serving["rank_correlation"]
    if changed > limits.max_flags_changed:
        reasons.append(
            f"it disagrees with the serving model on {changed:.1%} of the held-out rows; "
            f"at most {limits.max_flags_changed:.1%} are expected"
        )
    if correlation < limits.min_rank_correlation:
        reasons.append(
            f"it ranks the held-out rows differently from the serving model (Spearman {correlation:.2f}); "
            f"at least {limits.min_rank_correlation:.2f} is expected"
        )
    return reasons


def _beside(scores: NDArray[np.float64], serving: NDArray[np.float64]) -> dict[str, float]:
    return {
        "share_flagged": float(np.mean(serving < 0)),
        "flags_changed_share": float(np.mean((scores < 0) != (serving < 0))),
        "rank_correlation": _rank_correlation(scores, serving),
    }


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's; 1 where both rank nothing, 0 where only one does."""
    first, second = _ranks(one), _ranks(other)
    spreads = (float(first.std()), float(second.std()))
    if not all(spreads):
        return float(not any(spreads))
    return float(np.corrcoef(first, second)[0, 1])


def _auc(incidents: NDArray[np.float64], quiet: NDArray[np.float64]) -> float:
    """Share of the pairs in which the incident scores below the quiet row, half of the equal ones with them."""
    ranks = _ranks(np.concatenate([incidents, quiet]))[: len(incidents)]
    above = ranks.sum() - len(incidents) * (len(incidents) + 1) / 2.0
    return float(1.0 - above / (len(incidents) * len(quiet)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2.0)[inverse]
    return ranks


def holdout_mask(hours: NDArray[np.datetime64] | None, rows: int, share: float) -> NDArray[np.bool_]:
    """Choose the last share of the time range (or of the rows, where they have no hours) for the holdout.

    Parameters
    ----------
    hours : ndarray of shape (rows,), datetime64, or None
        An hour is never cut in two.
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
    """Return how well scores rank labelled anomalies before other rows; None without labels of both kinds.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), float64, or None
        0 for a row that is no anomaly, NaN for one without a label, anything else for an anomaly.
    scores : ndarray of shape (n_rows,), float64
        Lower is more anomalous.

    Returns
    -------
    dict or None
        `rows` with a label, `anomalies` among them, `auroc` and `average_precision`.
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
