"""The whole suite, in processes side by side: `python -m tests [ARGUMENTS OF PYTEST]`.

The tests of Terraform mostly wait, for the provider and for services that come up; meanwhile the others compute. One
process is shown as it runs, those beside it at the end. They are not pytest-xdist's workers, which ignore SIGINT.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest")
BESIDE = (("tests/terraform",), ("tests/egress_sentinel", "tests/local_aws", "tests/notebooks", "tests/benchmarks"))


def main(arguments: list[str]) -> int:
    # In the background of a script SIGINT is ignored, and would be by what the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as temporary:
        printed = {folders: Path(temporary, str(number)) for number, folders in enumerate(BESIDE)}
        running = []
        for folders, path in printed.items():
            # Each remembers its own failures.
            command = [*PYTEST, *folders, "--override-ini", f"cache_dir=.pytest_cache/{path.name}", *arguments]
            with path.open("wb") as file:
                running.append(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT))
        ignored = [f"--ignore={folder}" for folders in BESIDE for folder in folders]
        running.append(subprocess.Popen([*PYTEST, *ignored, *arguments]))
        # Ctrl-C reaches them as well; what they have started, they take down.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        statuses = [process.wait() for process in running]
        for path in printed.values():
            sys.stdout.buffer.write(path.read_bytes())
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
