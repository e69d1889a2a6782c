"""Why the model calls an hour anomalous: the features that make the forest isolate it sooner, by their shares.

The endpoint gives exact credits along the trees' paths, in splits; they add up to how much sooner than usual the forest
isolates the hour. What counts here is their share among those that speak for an anomaly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from anomaly_detector.endpoint import EndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomaly_detector.endpoint import Endpoint

NAMED_FEATURES = 2
WORTH_NAMING = 0.05


def model_reasons(
    endpoint: Endpoint, rows: Sequence[Mapping[str, float]], descriptions: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each row of features (name to value), all asked for in one go.

    An endpoint that gives no attributions (one with an image of one's own may refuse in any way) gives "" for each: an
    alert does not wait for its reasons.
    """
    if not rows:
        return []
    names = list(rows[0])
    table = pa.table({name: np.array([row[name] for row in rows], dtype=np.float32) for name in names})
    try:
        scores, by_name = endpoint.attributions(table)
    except EndpointError:
        return [""] * len(rows)
    credited = np.column_stack([by_name[name] for name in names])
    return [_sentence(score, row, names, descriptions) for score, row in zip(scores, credited, strict=True)]


def _sentence(score: float, row: np.ndarray, names: list[str], descriptions: Mapping[str, str]) -> str:
    positive = np.maximum(row, 0)
    shares = positive / positive.sum() if positive.any() else positive
    best = [i for i in np.argsort(-shares, kind="stable")[:NAMED_FEATURES] if shares[i] >= WORTH_NAMING]
    if not best:
        return f"the model's score is {score:+.3f}, and no feature stands out: many do a little"
    parts = [f"{descriptions.get(names[i], names[i])} ({shares[i]:.0%})" for i in best]
    return f"the model's score is {score:+.3f} (below 0 is anomalous), most by {' and '.join(parts)}"
