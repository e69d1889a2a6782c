"""Why the model calls an hour anomalous: what its score would be had one feature been as usual.

Each feature in turn is set to 0, which the schema defines as "as usual", and the endpoint scores again. It is simple
and true of the model that serves, and says nothing of features that only matter together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomaly_detector.endpoint import Endpoint

NAMED_FEATURES = 2


def model_reasons(
    endpoint: Endpoint, rows: Sequence[Mapping[str, float]], descriptions: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each row of features (name to value), all asked for in one go.

    Raises
    ------
    EndpointError
    """
    if not rows:
        return []
    names = list(rows[0])
    values = np.array([[row[name] for name in names] for row in rows], dtype=np.float32)
    variants = np.repeat(values, len(names) + 1, axis=0)
    for number in range(len(names)):
        variants[number + 1 :: len(names) + 1, number] = 0
    _, scores = endpoint.score(pa.table({name: variants[:, i] for i, name in enumerate(names)}))
    by_row = scores.reshape(len(rows), len(names) + 1)
    return [_sentence(row, names, descriptions) for row in by_row]


def _sentence(scores: np.ndarray, names: list[str], descriptions: Mapping[str, str]) -> str:
    rise = scores[1:] - scores[0]
    best = [i for i in np.argsort(-rise, kind="stable")[:NAMED_FEATURES] if rise[i] > 0]
    if not best:
        return f"the model's score is {scores[0]:+.3f}, and no single feature makes it: they do together"
    parts = [f"{scores[i + 1]:+.3f} if {names[i]} were as usual ({descriptions.get(names[i], names[i])})" for i in best]
    return f"the model's score is {scores[0]:+.3f}; it would be {', or '.join(parts)}"
