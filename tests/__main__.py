"""The suite in processes side by side: `python -m tests [ARGUMENTS OF PYTEST]`.

Each process takes the next part when it is done with one, the longest first. The tests of Terraform mostly wait, for
the provider and for services that come up; meanwhile the others compute. A part is printed when it ends. The processes
are not pytest-xdist's workers, which ignore SIGINT.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROCESSES = 3
PARTS = (
    ("tests/terraform/applied",),
    ("tests/egress_sentinel/pipeline", "tests/egress_sentinel/demo"),
    ("tests/egress_features",),
    ("tests/egress_sentinel",),
    ("tests/terraform",),
    ("tests/simulation",),
    ("tests/lambdas",),
    ("tests/anomaly_detection",),
    ("tests/notebooks", "tests/benchmarks", "tests/local_aws"),
    ("tests",),
)
NOTHING_SELECTED = 5  # a part that has no test of the chosen lane


def main(arguments: list[str]) -> int:
    stopped = threading.Event()
    # Ctrl-C also reaches the child processes, which stop their own. Unlike SIG_IGN, a handler is not inherited.
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(PROCESSES) as pool:
        counts = [Path(temporary, f"{number}.json") for number in range(len(PARTS))]

        def run(number: int) -> int:
            return signal.SIGINT if stopped.is_set() else _run(number, arguments, counts[number])

        statuses = set(pool.map(run, range(len(PARTS))))
        total = Counter[str]()
        for path in counts:
            total.update(json.loads(path.read_text()) if path.exists() else {})
    print(", ".join(f"{number:,} {what}" for what, number in total.items() if number), flush=True)
    statuses -= {0, NOTHING_SELECTED} if 0 in statuses else {0}
    return next(iter(statuses), 0)


def _run(number: int, arguments: list[str], counts: Path) -> int:
    """Run one part in isolation from the others, and print its output."""
    folders = PARTS[number]
    others = {folder for part in PARTS for folder in part} - set(folders)
    ignored = [f"--ignore={other}" for other in others if any(other.startswith(f"{folder}/") for folder in folders)]
    # Each remembers its own failures.
    own = ["--override-ini", f"cache_dir=.pytest_cache/{number}"]
    environment = os.environ | {"EGRESS_SENTINEL_TEST_COUNTS": str(counts)}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *folders, *ignored, *own, *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    took = f"== {' '.join(folders)}: {time.monotonic() - started:.0f} s\n"
    sys.stdout.buffer.write(done.stdout + took.encode())
    sys.stdout.buffer.flush()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
