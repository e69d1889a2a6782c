"""A trained model, rows to score, and how both are timed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from egress_features import FEATURES, schema_hash, schema_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
NAMES = [feature.name for feature in FEATURES]
RIVAL_MODULE = "tutorial"
# The kernel's figure for this process alone: that of getrusage begins with the parent's.
PEAK = """
import time
print(time.process_time())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
ROOT = Path(__file__).resolve().parents[2]


def rows(count: int, seed: int = 0, width: int = len(NAMES)) -> np.ndarray:
    """Return made-up features: mostly near 0 as usual ones are, some far out; float32, shape (count, width)."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(3, (count, width)).astype(np.float32)


def trained_model(folder: Path, count: int = 20_000, names: Sequence[str] = NAMES) -> Path:
    """Train with the script's own defaults and return the model directory; other names than ours have no schema."""
    (folder / "train").mkdir(parents=True)
    values = rows(count, width=len(names))
    table = pa.table({name: values[:, i] for i, name in enumerate(names)})
    if names == NAMES:
        metadata = {"egress_sentinel.schema": schema_json(), "egress_sentinel.schema_hash": schema_hash()}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, folder / "train" / "part.parquet")
    command = [sys.executable, "-m", "anomaly_detection.training_script", "--train", str(folder / "train")]
    subprocess.run([*command, "--model-dir", str(folder / "model")], check=True, capture_output=True)
    return folder / "model"


def rival_model(model_dir: Path, folder: Path) -> Path:
    """Return a model directory with the same forest and the tutorial's script."""
    (folder / "code").mkdir(parents=True)
    shutil.copyfile(model_dir / "model.joblib", folder / "model.joblib")
    shutil.copyfile(Path(__file__).with_name("tutorial.py"), folder / "code" / f"{RIVAL_MODULE}.py")
    return folder


def best(work: Callable[[], T], repeats: int, clock: Callable[[], float] = time.perf_counter) -> tuple[float, T]:
    """Return the least seconds of several repeats, and the last result; the first run is not counted."""
    result = work()
    seconds = []
    for _ in range(repeats):
        started = clock()
        result = work()
        seconds.append(clock() - started)
    return min(seconds), result


@dataclass(frozen=True)
class Finished:
    """A process that has ended: CPU seconds of user and system, peak resident memory, output."""

    cpu_seconds: float
    peak_bytes: int
    output: str


def measured_process(code: str, arguments: list[str]) -> Finished:
    """Run Python code in a separate process, from the repository's root.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", code + PEAK, *arguments], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    *output, seconds, kilobytes = done.stdout.splitlines()
    return Finished(float(seconds), int(kilobytes) * 1024, "\n".join(output))


def report(what: str, rival: float, ours: float, target: float, unit: str = "s", rival_name: str = "tutorial") -> None:
    """Print one line: of seconds, or of bytes shown as MB."""
    shown = _seconds if unit == "s" else _megabytes
    line = f"{rival_name} {shown(rival)}, Egress Sentinel {shown(ours)}: {rival / ours:.1f}x (target {target:g}x)"
    print(f"{what:<44} {line}", flush=True)


def scores_of(text: str, content_type: str) -> list[float]:
    """Take the anomaly scores out of an answer."""
    if content_type == "text/csv":
        lines = text.splitlines()
        place = lines[0].split(",").index("anomaly_score")
        return [float(line.split(",")[place]) for line in lines[1:]]
    return [record["anomaly_score"] for record in json.loads(text)]


def check_equal(ours: object, theirs: object) -> None:
    """Refuse to print a ratio of unequal work; pandas writes JSON with 15 digits.

    Raises
    ------
    ValueError
        The answers differ.
    """
    if not np.allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=1e-14):
        raise ValueError("the two gave different scores")


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"


def _seconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms"
