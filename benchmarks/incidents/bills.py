"""The kinds of bills by name, each made by seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.incidents.cases import daily_case, daily_real_case, generated_case, real_case
from benchmarks.incidents.crowds import crowd_case
from benchmarks.incidents.customers import CUSTOMERS, customer_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.truth import Case

REAL_BILLS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cur_legacy"


def _customer(kind: str) -> Callable[[int, Path, Path], Case]:
    return lambda seed, folder, _real: customer_case(kind, seed, folder)


# Name to a function of the seed, the folder in which cases are kept, and the folder of a real bill.
BILLS: dict[str, Callable[[int, Path, Path], Case]] = {
    "generated": lambda seed, folder, _real: generated_case(seed, folder),
    "real": real_case,
    "crowds": lambda seed, folder, _real: crowd_case(seed, folder),
    **{kind: _customer(kind) for kind in CUSTOMERS},
    "daily": lambda seed, folder, _real: daily_case(seed, folder),
    "daily-real": daily_real_case,
}
TITLES = {"real": "real, rescaled", "daily": "generated, by day", "daily-real": "real, rescaled, by day"}
OF_A_REAL_BILL = ("real", "daily-real")
HOURLY = tuple(name for name in BILLS if not name.startswith("daily"))
# Settings are chosen on the development seeds of these bills. The other kinds show how well the settings generalise.
TUNED_ON = ("generated", "real")
