"""Cases by seed: a bill on disk with its truth, made once and kept."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import real, traffic
from benchmarks.incidents.bill import by_day, priced, write_exports
from benchmarks.incidents.injection import KINDS, Scene, inject, truth
from benchmarks.incidents.ordinary import add_ordinary, finish_bill, what_goes_on
from benchmarks.incidents.truth import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.incidents.bill import Bill

# How often each size comes; every kind comes at least once in a bill.
SIZE_SHARES = {"large": 0.2, "medium": 0.35, "small": 0.35, "faint": 0.1}
# Bills come a few times a day, and an hour's lines are in the first one that is made this long after it.
REFRESHES_A_DAY = (1, 2, 3)
LINE_LAG_HOURS = (4, 12)
REAL_INCIDENTS = 6
EXPORTS = ("legacy CUR", "CUR 2.0")  # in turn, by seed
GENERATOR = ("bill", "traffic", "real", "injection", "ordinary", "truth", "cases")


def generated_case(seed: int, folder: Path) -> Case:
    """Return the case of a seed; the same seed gives the same bytes."""
    return _kept(folder / f"generated-{seed}-{_source()}", lambda home: _generate(seed, home))


def real_case(seed: int, folder: Path, real_bills: Path) -> Case:
    """Return the case of a seed that is made of the real bills in a folder (legacy CUR in parquet)."""
    return _kept(folder / f"real-{seed}-{_source()}", lambda home: _from_real(seed, home, real_bills))


def daily_case(seed: int, folder: Path) -> Case:
    """Return the generated case of a seed as a bill with a line for each day: the same traffic and the same truth."""
    return _kept(folder / f"daily-{seed}-{_source()}", lambda home: _generate(seed, home, "daily", 24))


def daily_real_case(seed: int, folder: Path, real_bills: Path) -> Case:
    """Return the real case of a seed as a bill with a line for each day."""
    return _kept(
        folder / f"daily-real-{seed}-{_source()}", lambda home: _from_real(seed, home, real_bills, "daily-real", 24)
    )


def _source() -> str:
    """Return a hash of the generator: a case is kept for as long as what made it is the same."""
    digest = hashlib.sha256()
    for name in GENERATOR:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:10]


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


def _generate(seed: int, home: Path, base: str = "generated", step_hours: int = 1) -> Case:
    bill, rng, _ = traffic.new_bill(seed)
    scene = Scene(bill, rng, traffic.TRAINING_DAYS * 24)
    return _finished(base, seed, scene, home, list(KINDS), step_hours=step_hours)


def _from_real(seed: int, home: Path, real_bills: Path, base: str = "real", step_hours: int = 1) -> Case:
    bill, rng = real.real_bill(real.read_series(real_bills), seed)
    scene = Scene(bill, rng, real.TRAINING_DAYS * 24)
    # Two accounts and four weeks: with as many incidents as in the generated bills, every day would have one.
    kinds = [str(kind) for kind in rng.choice(list(KINDS), REAL_INCIDENTS, replace=False)]
    return _finished(base, seed, scene, home, kinds, step_hours=step_hours)


def _finished(
    base: str,
    seed: int,
    scene: Scene,
    home: Path,
    kinds: list[str],
    *,
    placed: Sequence[tuple[str, str]] = (),
    step_hours: int = 1,
) -> Case:
    """Inject incidents and hard negatives into a scene's bill, price it and write it.

    `placed` are kind and size of incidents that are in the bill already, numbered from 1.
    """
    bill = scene.bill
    # Each stage draws from its own stream, so that a bill without its incidents is the same bill for the rest.
    scene.rng, for_incidents, for_the_end = scene.rng.spawn(3)
    ordinary = add_ordinary(scene)
    scene.rng = for_incidents
    placed = list(placed)
    for kind in scene.rng.permutation(kinds):
        size = str(scene.rng.choice(list(SIZE_SHARES), p=list(SIZE_SHARES.values())))
        try:
            inject(scene, str(kind), size, len(placed) + 1)
        except LookupError:
            continue  # a small account has no line of this kind left
        placed.append((str(kind), size))
    scene.rng = for_the_end
    ordinary += [*finish_bill(scene), *what_goes_on(scene)]
    lines = priced(bill)
    written = by_day(lines) if step_hours == 24 else lines
    files = write_exports(bill, written, home, EXPORTS[seed % len(EXPORTS)], step_hours)
    incidents = [truth(scene, lines, number, kind, size) for number, (kind, size) in enumerate(placed, start=1)]
    return Case(
        name=f"{base} {seed}",
        exports=tuple(files),
        start=bill.start,
        hours=bill.hours,
        train_hours=scene.train_hours,
        accounts=tuple(sorted({flow.account for flow in bill.flows})),
        arrival=_arrival(bill, scene.rng)[np.arange(bill.hours) // step_hours * step_hours + step_hours - 1],
        incidents=tuple(incidents),
        ordinary=tuple(ordinary),
        step_hours=step_hours,
    )


def _arrival(bill: Bill, rng: np.random.Generator) -> NDArray[np.int64]:
    every = 24 // int(rng.choice(REFRESHES_A_DAY))
    first, lag = int(rng.integers(every)), int(rng.integers(*LINE_LAG_HOURS))
    ready = np.arange(bill.hours) + 1 + lag
    return np.asarray(first + np.ceil((ready - first) / every) * every, dtype=np.int64)
