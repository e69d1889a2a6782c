"""Run worlds: `python -m tests.simulation [--worlds N] [--first SEED] [--processes N]`, or one with `--seed SEED`.

A world that breaks an invariant is named by its seed, which replays it exactly, call by call.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter

from tests.simulation.world import run_world

_SHOWN_EVERY = 500


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="replay one world, with its log")
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _replay(options.seed)
    return _run(range(options.first, options.first + options.worlds), options.processes)


def _replay(seed: int) -> int:
    result = run_world(seed)
    print("\n".join(result.log) or f"seed {seed}: all invariants hold; {dict(result.counts)}")
    return int(bool(result.violation))


def _run(seeds: range, processes: int) -> int:
    started = time.monotonic()
    counts, failed = Counter[str](), []
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for done, result in enumerate(pool.imap_unordered(run_world, seeds, chunksize=8), start=1):
            counts.update(result.counts)
            if done % _SHOWN_EVERY == 0:
                print(f"{done:,} of {len(seeds):,} worlds", file=sys.stderr, flush=True)
            if result.violation:
                failed.append(result.seed)
                print(f"seed {result.seed}: {result.violation[:300]}", flush=True)
    seconds = time.monotonic() - started
    print(f"{len(seeds):,} worlds in {seconds:.0f} s, {len(failed)} of them break an invariant: {sorted(failed)[:50]}")
    print(", ".join(f"{number:,} {what}" for what, number in sorted(counts.items())))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
