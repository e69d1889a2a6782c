"""Scoring alone: `python -m benchmarks.speed.scoring [--quick]`.

The rival is what tutorials call for each batch: scikit-learn's `predict` and `decision_function`, on the float32
matrix itself. 20 features and 100 trees; seconds are CPU seconds, but for two threads those of the clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from sklearn.ensemble import IsolationForest

from anomaly_detection.forest import FlatForest
from benchmarks.speed.common import best, report, rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEATURES, TREES = 20, 100


def tutorial_scores(forest: IsolationForest, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score as tutorials do: once for the flags, once for the scores."""
    forest.predict(values)
    scores: NDArray[np.float64] = forest.decision_function(values)
    return scores


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50,000 rows in place of a million")
    count = 50_000 if parser.parse_args().quick else 1_000_000
    values = rows(count, width=FEATURES)
    forest = IsolationForest(n_estimators=TREES, contamination=0.01, random_state=0).fit(values[:50_000])
    flat = FlatForest.from_sklearn(forest)
    cpu, clock = time.process_time, time.perf_counter

    def measure(what: str, target: float, threads: int = 1) -> None:
        timer = cpu if threads == 1 else clock
        ours, scores = best(lambda: flat.scores(values, threads), 3, timer)
        # Back to back, so that a busy machine is busy for both.
        seconds, expected = best(lambda: tutorial_scores(forest, values), 1, timer)
        if scores.tobytes() != expected.tobytes():
            raise ValueError("the two gave different scores")
        report(f"{count:,} rows, {what}", seconds, ours, target)

    measure("one core", 2.5)
    measure("two threads", 5, threads=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
