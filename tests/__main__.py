"""The whole suite, in two processes side by side: `python -m tests [ARGUMENTS OF PYTEST]`.

The tests of Terraform mostly wait, for the provider and for services that come up; the others compute. These are shown
as they run, those at the end. Processes of their own and not pytest-xdist's workers, which ignore SIGINT.
"""

import shutil
import signal
import subprocess
import sys
import tempfile

PYTEST = (sys.executable, "-m", "pytest")
WAITING = "tests/terraform"


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryFile() as printed:
        # Each remembers its own failures.
        command = [*PYTEST, WAITING, "--override-ini", "cache_dir=.pytest_cache/terraform", *arguments]
        waiting = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        computing = subprocess.Popen([*PYTEST, f"--ignore={WAITING}", *arguments])
        # Ctrl-C reaches both as well; what they have started, they take down.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        computed, waited = computing.wait(), waiting.wait()
        printed.seek(0)
        shutil.copyfileobj(printed, sys.stdout.buffer)
    return computed or waited


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
