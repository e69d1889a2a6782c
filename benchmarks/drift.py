"""The drift monitor on generated bills: false alarms over 90 days without drift, and days until it detects drifts.

    python -m benchmarks.drift

Each bill comes from the generator of `benchmarks.incidents` without incidents. It has 91 days of training and 90 days
to judge. The rivals judge the same rows, each feature and day against all training days together. One is the textbook's
population stability index above 0.2. The other is Model Monitor's default: a largest difference of the cumulative
shares above 0.1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from anomaly_detection.artifact import unpack
from anomaly_detection.model import load
from benchmarks.incidents import traffic
from benchmarks.incidents.bill import priced, write_exports
from drift_monitor.distance import kolmogorov_smirnov, stability_index
from drift_monitor.judge import Measure, drifted, measures_of
from drift_monitor.limits import LimitTable
from drift_monitor.reference import Reference, reference_of
from drift_monitor.scored import day_of_table
from egress_features import build_features
from egress_sentinel.pipeline.training import train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anomaly_detection.model import Model
    from benchmarks.incidents.bill import Bill

TRAINING_DAYS, QUIET_DAYS = 91, 90
DRIFT_DAY = 30  # of the judged days
WATCHED_DAYS = 14
OURS = "Egress Sentinel"
RIVALS = {
    "any PSI above 0.2": (stability_index, 0.2),
    "any difference above 0.1 (Model Monitor)": (kolmogorov_smirnov, 0.1),
}


@dataclass(frozen=True)
class Judge:
    """A model, its reference days, and the plain baseline that the rivals use."""

    model: Model
    reference: Reference
    baseline: dict[str, Any]

    def scored(self, table: pa.Table) -> pa.Table:
        """Add the model's scores to rows of features."""
        names = self.model.feature_names
        matrix = np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float32)
        # The endpoint refuses missing values; a row that lacks one is scored as if nothing had happened there.
        scores = self.model.forest.scores(np.nan_to_num(matrix))
        return table.append_column("anomaly_score", pa.array(scores))

    def measures(self, day: str, table: pa.Table) -> list[Measure]:
        """Measure a day of scored rows."""
        return measures_of(day_of_table(day, table, self.reference), self.reference, LimitTable({}))

    def is_far(self, day: str, table: pa.Table, distance: Callable[..., float], limit: float) -> bool:
        """Judge a day as a rival does."""
        rows = day_of_table(day, table, self.reference)
        for name, values in rows.columns.items():
            described = self.baseline["features"][name]
            edges, known = np.array(described["bin_edges"]), values[~np.isnan(values)]
            counts = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
            if distance(counts, np.array(described["bin_shares"]) * described["count"]) > limit:
                return True
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--bills", type=int, default=2, help="generated bills; default 2")
    parser.add_argument("--first-seed", type=int, default=201, help="of the bills; 201 for the reported figures")
    parser.add_argument("--cache", type=Path, help="a folder that keeps bills, features and models")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args(argv)
    cache = options.cache or Path(tempfile.gettempdir()) / "egress-sentinel-drift"
    results = []
    for seed in range(options.first_seed, options.first_seed + options.bills):
        print(f"bill {seed} ...", file=sys.stderr, flush=True)
        results.append(measured(seed, cache))
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def measured(seed: int, cache: Path) -> dict[str, Any]:
    """Measure on one bill.

    Returns
    -------
    dict
        ``quiet``: detector to days with an alarm, and alarms. ``drifts``: drift to detector to days until it is
        noticed, None for not within 14.
    """
    features = _features(seed, cache, "quiet", lambda _bill, _rng, _shaper, _hour: None)
    judge = _judge(features, cache / f"model-{seed}.tar.gz")
    days = _days(features, judge, TRAINING_DAYS, QUIET_DAYS)
    changed = {
        name: _days(_features(seed, cache, name, change), judge, TRAINING_DAYS + DRIFT_DAY - 2, WATCHED_DAYS + 2)
        for name, change in BILLS.items()
    }
    before = dict(list(days.items())[DRIFT_DAY - 2 : DRIFT_DAY + WATCHED_DAYS])
    for name, alter in TABLES.items():
        tables = {
            day: judge.scored(alter(table.drop_columns(["anomaly_score"]))) if place >= 2 else table
            for place, (day, table) in enumerate(before.items())
        }
        changed[name] = tables
    return {
        "seed": seed,
        "quiet": {name: _quiet(found) for name, found in _alarms(judge, days).items()},
        "drifts": {
            name: {detector: _noticed(found) for detector, found in _alarms(judge, tables).items()}
            for name, tables in changed.items()
        },
    }


def _alarms(judge: Judge, days: dict[str, pa.Table]) -> dict[str, list[bool]]:
    """Return each detector's verdict on each day."""
    measures = [judge.measures(day, table) for day, table in days.items()]
    ours = [bool(drifted(today, before)) for today, before in zip(measures, [[], *measures], strict=False)]
    rivals = {
        name: [judge.is_far(day, table, distance, limit) for day, table in days.items()]
        for name, (distance, limit) in RIVALS.items()
    }
    return {OURS: ours} | rivals


def _quiet(alarms: list[bool]) -> dict[str, int]:
    starts = sum(now and not before for now, before in zip(alarms, [False, *alarms], strict=False))
    return {"days": sum(alarms), "alarms": starts}


def _noticed(alarms: list[bool]) -> int | None:
    return next((place for place, alarm in enumerate(alarms[2:], start=1) if alarm), None)


def _days(features: Path, judge: Judge, first: int, count: int) -> dict[str, pa.Table]:
    table = pq.read_table(features)
    start = table["hour_utc"][0].as_py() + timedelta(days=first)
    hours = table["hour_utc"]
    kept = pc.and_(pc.greater_equal(hours, pa.scalar(start)), pc.less(hours, pa.scalar(start + timedelta(days=count))))
    scored = judge.scored(table.filter(kept))
    day_of_row = pc.strftime(scored["hour_utc"], format="%Y-%m-%d")
    return {day: scored.filter(pc.equal(day_of_row, day)) for day in sorted(pc.unique(day_of_row).to_pylist())}


def _judge(features: Path, model: Path) -> Judge:
    if not model.exists():
        until = pq.read_table(features, columns=["hour_utc"])["hour_utc"][0].as_py() + timedelta(days=TRAINING_DAYS)
        train(features, model, until=until)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(model) as archive:
            unpack(archive, Path(folder))
        loaded = load(Path(folder))
        baseline = json.loads((Path(folder) / "baseline.json").read_text(encoding="utf-8"))
    return Judge(loaded, reference_of(loaded.manifest, baseline), baseline)


def _features(seed: int, cache: Path, name: str, change: Callable[..., None]) -> Path:
    """Make a bill, change it from the drift's day on, and build its features."""
    home = cache / f"{seed}-{re.sub('[^a-z0-9.]+', '-', name)}"
    path = home / "features.parquet"
    if path.exists():
        return path
    days = TRAINING_DAYS + QUIET_DAYS
    bill, rng, shaper = traffic.new_bill(seed, days)
    hour = (TRAINING_DAYS + DRIFT_DAY) * 24
    change(bill, rng, shaper, hour)
    if name != "quiet":
        _cut(bill, hour + WATCHED_DAYS * 24)
    exports = write_exports(bill, priced(bill), home, "CUR 2.0")
    build_features(exports, path)
    return path


def _cut(bill: Bill, hours: int) -> None:
    bill.hours = hours
    for flow in bill.flows:
        flow.gb = flow.gb[:hours]


def _scale(bill: Bill, _rng: Any, _shaper: Any, hour: int, times: float = 1.5) -> None:
    for flow in bill.flows:
        flow.gb = np.where(np.arange(bill.hours) >= hour, flow.gb * times, flow.gb)


def _unit(bill: Bill, rng: Any, shaper: Any, hour: int) -> None:
    _scale(bill, rng, shaper, hour, 1000.0)


def _new_account(bill: Bill, rng: Any, shaper: Any, hour: int) -> None:
    there = len(bill.flows)
    traffic.add_account(bill, shaper, str(rng.integers(10**11, 10**12)), traffic.ACCOUNT_SIZES[1])
    for flow in bill.flows[there:]:
        flow.gb = np.where(np.arange(bill.hours) >= hour, flow.gb, 0.0)


def _shift(table: pa.Table) -> pa.Table:
    return _set(table, "excess_3d_log", pc.add(table["excess_3d_log"], pa.scalar(0.2, pa.float32())))


def _faint_shift(table: pa.Table) -> pa.Table:
    return _set(table, "excess_3d_log", pc.add(table["excess_3d_log"], pa.scalar(0.02, pa.float32())))


def _missing(table: pa.Table) -> pa.Table:
    is_lost = np.random.default_rng(0).random(table.num_rows) < 0.3
    values = table["excess_3d_log"].to_numpy().copy()
    values[is_lost] = np.nan
    return _set(table, "excess_3d_log", pa.array(values))


def _set(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


# Drifts that change the bill, and drifts that change the rows computed from it.
BILLS: dict[str, Callable[..., None]] = {
    "scale: every series sends 1.5 times as much": _scale,
    "new category share: another account begins": _new_account,
    "unit change: usage in MB, not GB": _unit,
}
TABLES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "shift: 0.2 is added to excess_3d_log": _shift,
    "shift: of 0.02": _faint_shift,
    "missing feature: excess_3d_log is empty in 30 % of the rows": _missing,
}


def _print(results: list[dict[str, Any]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    detectors = [OURS, *RIVALS]
    table = Table("", *detectors, title=f"{len(results)} bills")
    quiet = [
        "{:.2g} alarms, {:.3g} days".format(
            *(np.mean([result["quiet"][name][what] for result in results]) for what in ("alarms", "days"))
        )
        for name in detectors
    ]
    table.add_row(f"false alarms in {QUIET_DAYS} quiet days", *quiet)
    for drift in results[0]["drifts"]:
        found = [[result["drifts"][drift][name] for result in results] for name in detectors]
        table.add_row(drift, *(", ".join("-" if days is None else str(days) for days in each) for each in found))
    console.print(table)
    console.print(f"Days until a drift is noticed, its first day being 1, by bill; - for not within {WATCHED_DAYS}.")


if __name__ == "__main__":
    sys.exit(main())
