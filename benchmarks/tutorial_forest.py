"""The demo's incidents against a tutorial's Isolation Forest: `make bench`.

Both get the same made-up bills, learn from the same weeks and are scored by the same rule. The rival follows tutorials:
scikit-learn's IsolationForest on an hour's raw dollars and GB with the hour and the weekday, `predict() == -1`; as
kindly as possible, a run of its anomalous hours of one series with gaps below 24 hours is one alert.

The demo's generator and its detector were written by the same people, so this shows that the parts work together and
that the rival does worse on the same input, and no more than that.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from sklearn.ensemble import IsolationForest

from egress_alerts.rows import without_levels
from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.demo.outcome import compare
from egress_sentinel.pipeline.scoring import score
from egress_sentinel.pipeline.training import train

SEEDS = (101, 102, 103)
SERIES = ["account_id", "region", "service", "egress_class", "resource_id"]


def tutorial_alerts(features: Path, until: datetime) -> list[dict[str, Any]]:
    """Return the rival's alerts."""
    table = without_levels(pq.read_table(features)).to_pandas()
    table["hour"], table["weekday"] = table["hour_utc"].dt.hour, table["hour_utc"].dt.day_of_week
    columns = ["cost_usd", "usage_gb", "hour", "weekday"]
    past, new = table[table["hour_utc"] < until], table[table["hour_utc"] >= until]
    forest = IsolationForest(contamination=0.01, random_state=42).fit(past[columns].to_numpy())
    found = new[forest.predict(new[columns].to_numpy()) == -1]
    alerts = []
    for key, rows in found.groupby(SERIES):
        run = (rows["hour_utc"].diff() > timedelta(hours=24)).cumsum()
        for _, hours in rows.groupby(run):
            start, end = (
                f"{moment:%Y-%m-%dT%H:00:00Z}" for moment in (hours["hour_utc"].min(), hours["hour_utc"].max())
            )
            alert = dict(zip(SERIES, key, strict=True)) | {"alert_id": str(len(alerts)), "contributors": []}
            alerts.append(alert | {"start_hour_utc": start, "detected_hour_utc": start, "end_hour_utc": end})
    return alerts


def one_seed(seed: int, folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return (incidents, found, alerts without an incident) of both."""
    bill = write_demo_bill(folder, seed=seed)
    features, model = folder / "features.parquet", folder / "model.tar.gz"
    summary = build_features(bill.files, features)
    until = bill.score_from
    train(features, model, until=until)
    end = summary.end_hour_utc.astimezone(UTC) + timedelta(hours=1)
    ours = score(features, folder, model_tar=model, start=until, end=end).alerts
    labels = json.loads(bill.labels.read_text())
    return {
        name: _counts(compare(alerts, labels), len(labels))
        for name, alerts in (("Egress Sentinel", ours), ("tutorial forest", tutorial_alerts(features, until)))
    }


def _counts(outcome: Any, incidents: int) -> tuple[int, int, int]:
    return incidents, len(outcome.found), len(outcome.unlabelled)


def main() -> int:
    """Print found incidents, extra alerts and F1 of both over the seeds."""
    totals: dict[str, list[int]] = {}
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            for name, counts in one_seed(seed, Path(folder)).items():
                print(f"seed {seed}  {name}: {counts[1]} of {counts[0]} incidents, {counts[2]} alerts without one")
                totals[name] = [a + b for a, b in zip(totals.get(name, [0, 0, 0]), counts, strict=True)]
    scores = {name: 2 * found / (incidents + found + extra) for name, (incidents, found, extra) in totals.items()}
    for name, value in scores.items():
        Console(highlight=False).print(f"{name}: F1 {value:.2f} over {len(SEEDS)} seeds")
    ours, rival = scores.values()
    print(f"ratio of F1: {ours / rival:.1f}" if rival else "the rival found nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
