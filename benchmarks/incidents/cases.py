"""Cases by seed: a bill on disk with its truth, made once and kept."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import traffic
from benchmarks.incidents.bill import priced, write_legacy_cur
from benchmarks.incidents.injection import KINDS, SIZES, Scene, inject, truth
from benchmarks.incidents.ordinary import add_ordinary, finish_bill
from benchmarks.incidents.truth import Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.incidents.bill import Bill

SEEDS = {"dev": tuple(range(1, 7)), "reported": tuple(range(101, 109))}
# How often each size comes; every kind comes at least once in a bill.
SIZE_SHARES = {"large": 0.2, "medium": 0.35, "small": 0.35, "faint": 0.1}
# Bills come a few times a day, and an hour's lines are in the first one that is made this long after it.
REFRESHES_A_DAY = (1, 2, 3)
LINE_LAG_HOURS = (4, 12)


def generated_case(seed: int, folder: Path) -> Case:
    """Return the case of a seed; the same seed gives the same bytes."""
    return _kept(folder / f"generated-{seed}", lambda home: _generate(seed, home))


def _kept(home: Path, make: Callable[[Path], Case]) -> Case:
    kept = home / "case.pickle"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        case = make(home)
        beside = kept.with_suffix(".part")
        beside.write_bytes(pickle.dumps(case))
        beside.replace(kept)
    case = pickle.loads(kept.read_bytes())  # noqa: S301 - our own file
    return case if isinstance(case, Case) else _kept(home, make)


def _generate(seed: int, home: Path) -> Case:
    bill, rng, _ = traffic.new_bill(seed)
    scene = Scene(bill, rng, traffic.TRAINING_DAYS * 24)
    return finished_case(f"generated {seed}", scene, home)


def finished_case(name: str, scene: Scene, home: Path) -> Case:
    """Inject incidents and hard negatives into a scene's bill, price it and write it."""
    bill = scene.bill
    # Each stage draws from its own stream, so that a bill without its incidents is the same bill for the rest.
    scene.rng, for_incidents, for_the_end = scene.rng.spawn(3)
    ordinary = add_ordinary(scene)
    scene.rng = for_incidents
    placed: list[tuple[str, str]] = []
    for kind in scene.rng.permutation(list(KINDS)):
        size = str(scene.rng.choice(list(SIZE_SHARES), p=list(SIZE_SHARES.values())))
        try:
            inject(scene, str(kind), size, len(placed) + 1)
        except LookupError:
            continue  # a small account has no line of this kind left
        placed.append((str(kind), size))
    scene.rng = for_the_end
    ordinary += finish_bill(scene)
    lines = priced(bill)
    files = write_legacy_cur(bill, lines, home)
    incidents = [truth(scene, lines, number, kind, size) for number, (kind, size) in enumerate(placed, start=1)]
    return Case(
        name=name,
        exports=tuple(files),
        start=bill.start,
        hours=bill.hours,
        train_hours=scene.train_hours,
        accounts=tuple(sorted({flow.account for flow in bill.flows})),
        arrival=_arrival(bill, scene.rng),
        incidents=tuple(incidents),
        ordinary=tuple(ordinary),
    )


def _arrival(bill: Bill, rng: np.random.Generator) -> NDArray[np.int64]:
    every = 24 // int(rng.choice(REFRESHES_A_DAY))
    first, lag = int(rng.integers(every)), int(rng.integers(*LINE_LAG_HOURS))
    ready = np.arange(bill.hours) + 1 + lag
    return np.asarray(first + np.ceil((ready - first) / every) * every, dtype=np.int64)


__all__ = ["SEEDS", "SIZES", "finished_case", "generated_case"]
