"""Training: `python -m benchmarks.speed.training [--quick]`.

The rival reads the parquet file and fits with `contamination=0.01`, as tutorials do. Both use 100 trees on 20 features;
CPU seconds and peak memory are those of a whole process. The two forests differ, since ours sees a sample of the rows;
what must agree is the share of all rows that each flags. The full size needs 8 GB of memory and some minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detection.forest import FlatForest
from benchmarks.speed.common import measured_process, report, rows

FEATURES, TREES, ASKED = 20, 100, 0.01
PARTS = 10
OURS = """
import sys
from anomaly_detection.training_script import main
if main(sys.argv[1:]):
    sys.exit(1)
"""
TUTORIAL = """
import sys, joblib, pandas as pd
from sklearn.ensemble import IsolationForest
data = pd.read_parquet(sys.argv[1])
forest = IsolationForest(n_estimators=int(sys.argv[3]), contamination=0.01, random_state=42).fit(data)
joblib.dump(forest, sys.argv[2])
"""


def write_channel(channel: Path, count: int) -> None:
    """Write parts whose rows drift with time, as a bill does."""
    channel.mkdir()
    for part in range(PARTS):
        values = rows(count // PARTS, seed=part, width=FEATURES) + np.float32(part / PARTS)
        table = pa.table({f"feature_{i}": values[:, i] for i in range(FEATURES)})
        pq.write_table(table, channel / f"part-{part}.parquet", row_group_size=100_000)


def share_flagged(model_dir: Path, channel: Path) -> float:
    """Return the share of all rows that a model flags."""
    forest = FlatForest.load(model_dir / "forest.npz")
    flagged = count = 0
    for path in sorted(channel.iterdir()):
        for batch in pq.ParquetFile(path).iter_batches(100_000):
            values = np.column_stack([column.to_numpy() for column in batch.columns])
            flagged += int((forest.scores(values) < 0).sum())
            count += len(values)
    return flagged / count


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="500,000 rows in place of ten million")
    count = 500_000 if parser.parse_args().quick else 10_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_channel(folder / "train", count)
        arguments = ["--train", str(folder / "train"), "--model-dir", str(folder / "model")]
        ours = measured_process(OURS, [*arguments, "--n_estimators", str(TREES)])
        theirs = measured_process(TUTORIAL, [str(folder / "train"), str(folder / "tutorial.joblib"), str(TREES)])
        share = share_flagged(folder / "model", folder / "train")
    report(f"training on {count:,} rows, CPU", theirs.cpu_seconds, ours.cpu_seconds, 10)
    report(f"training on {count:,} rows, peak memory", theirs.peak_bytes, ours.peak_bytes, 6, unit="MB")
    print(f"share of all rows flagged: {share:.3%}, asked for {ASKED:.1%} (target: within 0.05 points)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
