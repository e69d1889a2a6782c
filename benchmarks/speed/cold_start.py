"""From a process's start to its first answer: `python -m benchmarks.speed.cold_start [--quick]`.

Both load the same forest and answer one record; CPU seconds and resident memory are those of a whole process, the
interpreter included, with compiled .pyc files there. The rival is a tutorial's inference script (tutorial.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.common import NAMES, check_equal, measured_process, report, rows, trained_model

FIRST_ANSWER = """
import importlib, sys
script = importlib.import_module(sys.argv[1])
body = open(sys.argv[3]).read()
model = script.model_fn(sys.argv[2])
print(script.output_fn(script.predict_fn(script.input_fn(body, "application/json"), model), "application/json")[0])
"""


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 2 if parser.parse_args().quick else 7
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model_dir = trained_model(folder)
        record = dict(zip(NAMES, rows(1, seed=2)[0].tolist(), strict=True))
        (folder / "body.json").write_text(json.dumps([record]))
        found = []
        for module in ("benchmarks.speed.tutorial", "anomaly_detection.inference_script"):
            arguments = [module, str(model_dir), str(folder / "body.json")]
            runs = [measured_process(FIRST_ANSWER, arguments) for _ in range(repeats)]
            found.append((min(run.cpu_seconds for run in runs), min(run.peak_bytes for run in runs), runs[0].output))
    (seconds, memory, theirs), (our_seconds, our_memory, ours) = found
    check_equal(json.loads(ours)[0]["anomaly_score"], json.loads(theirs)[0]["anomaly_score"])
    report("process start to first answer, CPU", seconds, our_seconds, 5)
    report("resident memory", memory, our_memory, 2, unit="MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
