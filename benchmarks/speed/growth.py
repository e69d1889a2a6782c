"""How CPU time grows: `python -m benchmarks.speed.growth [--quick] [PART...]`.

Each part doubles its input four times. The fit is a constant (start-up, the training's sample) plus a power of the
size. The power's exponent is 1 for linear growth. Beside it is the exponent that the same fit finds for n log n over
the same sizes. The exit status is 2 if a part is 0.15 or more above that. Parts are features (line items), training
(rows), scoring (rows) and detector (rows of a week in which every hour is anomalous, the most work for a decision).
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
import time
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import IsolationForest

from anomaly_detection import training_script
from anomaly_detection.forest import FlatForest
from benchmarks.incidents.detectors import in_process
from benchmarks.speed.bill import write_bill
from benchmarks.speed.common import rows
from benchmarks.speed.training import write_channel
from egress_alerts.policy import Policy
from egress_features import build_features
from egress_features.engines import DuckDBEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOUBLINGS = 4
# Allowed above the exponent of n log n, for busy machines and for data that no longer fits into caches.
TOLERANCE = 0.15
TREES = 100
DETECTOR_DAYS = 7
SIZES = {"features": 160_000, "training": 250_000, "scoring": 50_000, "detector": 160_000}
QUICK_SIZES = {"features": 80_000, "training": 220_000, "scoring": 20_000, "detector": 80_000}


def cpu_seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Return the least CPU seconds of some repeats, over all threads."""
    found = []
    for _ in range(repeats):
        started = time.process_time()
        with redirect_stdout(io.StringIO()):
            work()
        found.append(time.process_time() - started)
    return min(found)


def features(folder: Path, sizes: list[int]) -> Iterator[tuple[int, float]]:
    """Bills of six months with more and more resources, on one core."""
    for size in sizes:
        bill = write_bill(folder / f"bill-{size}", size)
        lines = sum(pq.read_metadata(path).num_rows for path in bill)

        def work(bill: list[Path] = bill) -> None:
            with DuckDBEngine(threads=1) as engine:
                build_features(bill, folder / "features.parquet", engine=engine)

        yield lines, cpu_seconds(work, 2)


def training(folder: Path, sizes: list[int]) -> Iterator[tuple[int, float]]:
    """More rows than the sample that a forest is fitted on, else that grows as well."""
    for size in sizes:
        channel = folder / f"train-{size}"
        write_channel(channel, size)
        arguments = ["--train", str(channel), "--model-dir", str(folder / f"model-{size}"), "--n_estimators", "50"]
        yield size, cpu_seconds(lambda arguments=arguments: training_script.main(arguments))


def scoring(_folder: Path, sizes: list[int]) -> Iterator[tuple[int, float]]:
    """By numpy on one core."""
    flat = FlatForest.from_sklearn(IsolationForest(n_estimators=TREES, random_state=0).fit(rows(20_000)))
    for size in sizes:
        matrix = rows(size, seed=1)
        yield size, cpu_seconds(lambda matrix=matrix: flat.scores(matrix), 3)


def detector(folder: Path, sizes: list[int]) -> Iterator[tuple[int, float]]:
    """One invocation for a week of more and more series, with the local stores in memory."""
    for size in sizes:
        path = folder / f"features-{size}.parquet"
        done = build_features(write_bill(folder / f"bill-{size}", size), path)
        end = done.end_hour_utc + timedelta(hours=1)
        start = end - timedelta(days=DETECTOR_DAYS)
        account = in_process.Account(path, start, Policy())
        taken = cpu_seconds(lambda account=account, start=start, end=end: account.run(None, start, end))
        yield (done.series + done.levels) * DETECTOR_DAYS * 24, taken


PARTS: dict[str, Callable[[Path, list[int]], Iterator[tuple[int, float]]]] = {
    "features": features,
    "training": training,
    "scoring": scoring,
    "detector": detector,
}


def exponent(sizes: list[int], values: list[float]) -> float:
    """Return the k of the best fit of constant + factor * size**k by least squares."""
    scaled = np.array(sizes) / sizes[-1]

    def squares(k: float) -> float:
        terms = np.column_stack([np.ones_like(scaled), scaled**k])
        found = np.linalg.lstsq(terms, values, rcond=None)[0]
        return float(((terms @ found - values) ** 2).sum())

    return float(min(np.arange(0.2, 3, 0.01), key=squares))


def main() -> int:
    """Print the exponents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs: two minutes")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    options = parser.parse_args()
    is_within = True
    for part in options.parts or PARTS:
        first = (QUICK_SIZES if options.quick else SIZES)[part]
        with tempfile.TemporaryDirectory() as temporary:
            found = list(PARTS[part](Path(temporary), [first * 2**i for i in range(DOUBLINGS + 1)]))
        sizes, seconds = [size for size, _ in found], [taken for _, taken in found]
        slope, limit = exponent(sizes, seconds), exponent(sizes, [size * math.log(size) for size in sizes])
        is_within &= slope < limit + TOLERANCE
        course = ", ".join(f"{size:,}: {taken:.2f} s" for size, taken in found)
        print(f"{part:<9} exponent {slope:.2f} (n log n: {limit:.2f})   {course}", flush=True)
    return 0 if is_within else 2


if __name__ == "__main__":
    sys.exit(main())
