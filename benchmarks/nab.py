"""Egress Sentinel's series detector and a tutorial's Isolation Forest on the Numenta Anomaly Benchmark.

    git clone --depth 1 https://github.com/numenta/NAB
    python -m benchmarks.nab NAB

Both read one file at a time, without labels. The rival follows tutorials: scikit-learn's IsolationForest on the value,
fitted once on the rows that NAB leaves for learning. `--detector MODULE:CALLABLE` adds another detector. It gets a
table of `timestamp` and `value` and returns a score for each row, higher for more anomalous.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import IsolationForest

from anomaly_detection.time_series.data import seconds_of
from anomaly_detection.time_series.detector import SeriesSettings, find_incidents, learning_rows
from benchmarks.nab_scoring import PROFILES, LabelledSeries, Report, read_corpus, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

OURS, TUTORIAL = "benchmarks.nab:detect", "benchmarks.nab:tutorial"


def detect(table: pd.DataFrame, **settings: Any) -> NDArray[np.float64]:
    """Score a series as `egress-sentinel series` does. Rows of an incident that has an alert already score 0."""
    seconds = seconds_of(table["timestamp"])
    return find_incidents(seconds, table["value"].to_numpy(float), SeriesSettings(**settings)).alerting


def tutorial(table: pd.DataFrame) -> NDArray[np.float64]:
    """Score a series by an Isolation Forest on its value alone."""
    values = table[["value"]].to_numpy(float)
    forest = IsolationForest(random_state=0).fit(values[: learning_rows(len(values))])
    scores: NDArray[np.float64] = -forest.score_samples(values)
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores of both."""
    options = _parse(argv)
    try:
        corpus = read_corpus(options.nab)
    except (OSError, ValueError) as error:
        print(f"nab: {options.nab} is no clone of github.com/numenta/NAB: {error}", file=sys.stderr)
        return 2
    corpus = {name: series for name, series in corpus.items() if name.startswith(tuple(options.only or [""]))}
    reports: dict[str, dict[str, Report]] = {}
    for name in dict.fromkeys([options.detector, TUTORIAL]):
        started = time.perf_counter()
        scores = _scores(name, corpus, options)
        reports[name] = {profile: score(corpus, scores, weights) for profile, weights in PROFILES.items()}
        print(f"{name}: {len(corpus)} files in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        for group in dict.fromkeys(series.split("/")[0] for series in corpus):
            part = {series: corpus[series] for series in corpus if series.startswith(group)}
            if any(series.windows for series in part.values()):
                reports[name][group] = score(part, scores, PROFILES["standard"])
    if options.json:
        document = {name: {k: report._asdict() for k, report in found.items()} for name, found in reports.items()}
        print(json.dumps(document, indent=2))
    else:
        _print(reports)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nab", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("nab", type=Path, help="a clone of github.com/numenta/NAB")
    parser.add_argument("--detector", default=OURS, metavar="MODULE:CALLABLE")
    parser.add_argument("--only", action="append", metavar="PREFIX", help="groups or files, such as realTweets/")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--trees", type=int, default=SeriesSettings.n_estimators, help="of our detector")
    parser.add_argument("--seed", type=int, default=SeriesSettings.random_state, help="of our detector")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def _scores(
    detector: str, corpus: Mapping[str, LabelledSeries], options: argparse.Namespace
) -> dict[str, NDArray[np.float64]]:
    settings = {"n_estimators": options.trees, "random_state": options.seed} if detector == OURS else {}
    tables = [series.table for series in corpus.values()]
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(_run, detector, table, settings) for table in tables]
        return dict(zip(corpus, (job.result() for job in jobs), strict=True))


def _run(detector: str, table: pd.DataFrame, settings: Mapping[str, Any]) -> NDArray[np.float64]:
    module, _, name = detector.partition(":")
    return np.asarray(getattr(importlib.import_module(module), name)(table, **settings), float)


def _print(reports: Mapping[str, Mapping[str, Report]]) -> None:
    table = Table("detector", "profile or group", "score", "threshold left out", "labels found", "false rows")
    for name, found in reports.items():
        for what, report in found.items():
            table.add_row(
                name,
                what,
                f"{report.score:.1f}",
                f"{report.score_left_out:.1f}",
                f"{report.found} of {report.windows}",
                str(report.false_rows),
            )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())
