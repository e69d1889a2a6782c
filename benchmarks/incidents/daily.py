"""`python -m benchmarks.incidents.daily`: what is found in a daily export, beside the same bill by the hour.

The policy is the one that ships, without a budget of false alerts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from benchmarks.incidents.cases import generated_case
from benchmarks.incidents.detectors import ours
from benchmarks.incidents.score import Score, explain, score
from benchmarks.incidents.seeds import SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.incidents.truth import Case

_START, _END = "line_item_usage_start_date", "line_item_usage_end_date"
_INTERVAL = "strftime({day}, '%Y-%m-%dT%H:%M:%SZ') || '/' || strftime({day} + INTERVAL 1 DAY, '%Y-%m-%dT%H:%M:%SZ')"


def daily_exports(exports: Sequence[Path], folder: Path) -> list[Path]:
    """Write each legacy CUR or CUR 2.0 in parquet with a line for each day in the place of those of its hours.

    A day's lines that agree in all but id, time and amounts become one.
    """
    files = []
    for number, export in enumerate(exports):
        file = folder / f"{number:02d}-{export.name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            lines = connection.read_parquet(str(export))
            amounts = [name for name, kind in zip(lines.columns, lines.types, strict=True) if kind == "DOUBLE"]
            connection.execute(f"COPY ({_by_day(lines.columns, amounts, export)}) TO '{file}' (FORMAT parquet)")
        files.append(file)
    return files


def _by_day(columns: Sequence[str], amounts: Sequence[str], export: Path) -> str:
    day = f"DATE_TRUNC('day', {_START})"
    values = {
        "identity_line_item_id": "MIN(identity_line_item_id)",
        "identity_time_interval": _INTERVAL.format(day=day),
        _START: f"CAST({day} AS TIMESTAMPTZ)",
        _END: f"CAST({day} + INTERVAL 1 DAY AS TIMESTAMPTZ)",
        **{name: f"SUM({name})" for name in amounts},
    }
    selected = ", ".join(f'{values.get(name, name)} AS "{name}"' for name in columns)
    kept = ", ".join(name for name in columns if name not in values)
    return f"SELECT {selected} FROM '{export}' GROUP BY {day}, {kept} ORDER BY {_START}, {_END}, 1"  # noqa: S608


def daily_case(case: Case, cache: Path) -> Case:
    """Return a case whose exports are daily."""
    folder = cache / f"daily-{case.exports[0].parent.name}"
    kept = sorted(folder.glob("*.parquet"))
    return replace(case, name=f"{case.name} daily", exports=tuple(kept or daily_exports(case.exports, folder)))


def main() -> int:
    """Print a line for each bill and kind of export, and what they add up to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents.daily", description="Daily exports.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="dev")
    parser.add_argument("--cases", type=int, help="take that many seeds only")
    parser.add_argument("--explain", action="store_true", help="say what was found, missed and false, one by one")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "egress-sentinel-incidents")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    wholes = {"hourly": Score(), "daily": Score()}
    for seed in SEEDS[options.seeds][: options.cases]:
        hourly = generated_case(seed, options.cache)
        for name, case in (("hourly", hourly), ("daily", daily_case(hourly, options.cache))):
            alerts = ours.alerts(case, options.cache)
            one = score(case, alerts)
            wholes[name] += one
            print(f"{seed} {name}: {_summary(one)}", flush=True)
            if options.explain:
                print("\n".join(explain(case, alerts)))
    for name, whole in wholes.items():
        print(f"{name}: {_summary(whole)}; {_by_size(whole)}")
    return 0


def _summary(one: Score) -> str:
    figures = one.figures()
    return (
        f"{one.found} of {one.incidents} incidents found, {one.false} false alerts, F1 {one.f1:.2f}, "
        f"median delay {figures['delay_hours']} h, {one.in_time:.0%} of the dollars before half of the damage"
    )


def _by_size(one: Score) -> str:
    tally: dict[str, list[int]] = {}
    for (_, size), (asked, found) in one.by.items():
        before = tally.setdefault(size, [0, 0])
        tally[size] = [before[0] + asked, before[1] + found]
    return ", ".join(f"{size} {found} of {asked}" for size, (asked, found) in sorted(tally.items()))


if __name__ == "__main__":
    sys.exit(main())
