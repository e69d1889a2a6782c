"""Egress Sentinel, through its public doors: exports to features to a trained model to the Lambda's own decision.

Features and models are kept by a hash of the exports and of the code that made them, so that a change of one room
makes anew only what depends on it. The decision is `egress_alerts.detector.Detector`, in this process; a test holds
that the deployed path gives the same alerts.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anomaly_detection
import egress_alerts
import egress_features
from benchmarks.incidents.alert import Alert
from benchmarks.incidents.detectors import in_process
from egress_alerts.policy import Policy
from egress_features import build_features
from egress_sentinel.pipeline.training import train

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.incidents.truth import Case

POLICY: dict[str, float] = {}
HYPERPARAMETERS: dict[str, str] = {}


def features_of(case: Case, cache: Path) -> Path:
    """Return the case's processed_features.parquet."""
    key = _hash(case.exports, [_source(egress_features)])
    path = cache / f"features-{key}.parquet"
    if not path.exists():
        build_features(case.exports, path)
    return path


def model_of(
    case: Case, features: Path, cache: Path, until: int | None = None, verdicts: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Return the model.tar.gz trained on the case's training weeks, or on the hours until another one.

    Hours of alerts that somebody judged stay out.
    """
    until = case.train_hours if until is None else until
    said = [json.dumps(verdicts)] if verdicts else []
    key = _hash([features], [_source(anomaly_detection), json.dumps(HYPERPARAMETERS), str(until), *said])
    path = cache / f"model-{key}.tar.gz"
    if not path.exists():
        train(features, path, until=moment(case, until), hyperparameters=HYPERPARAMETERS, feedback=verdicts)
    return path


def alert_records(
    case: Case, cache: Path, *, forest: bool = True, policy: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Return the detector's alert records, each with its incident's hours as `hours`: (hour, excess_usd, excess_gb).

    Parameters
    ----------
    forest : bool
        Without it every hour counts as anomalous, so that what remains is the expectation and the decision's floors.
    policy : mapping, optional
        Values of the alert policy in place of those of `POLICY`.
    """
    variables = POLICY | dict(policy or {})
    features = features_of(case, cache)
    model = model_of(case, features, cache)
    key = _hash(
        [features, model, Path(in_process.__file__)], [_source(egress_alerts), json.dumps(variables), str(forest)]
    )
    path = cache / f"alerts-{key}.json"
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}.part")
        found = _decided(case, features, model if forest else None, variables)
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.replace(path)
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return records


def alerts(case: Case, cache: Path, *, forest: bool = True, policy: Mapping[str, float] | None = None) -> list[Alert]:
    """Return Egress Sentinel's alerts, of `alert_records`."""
    return [alert_of(case, record) for record in alert_records(case, cache, forest=forest, policy=policy)]


def alert_of(case: Case, record: Mapping[str, Any]) -> Alert:
    """Return a record as the benchmark sees it.

    The rank is the excess so far in dollars, in proportion while fewer hours than `lasting_hours` make it up.
    """
    first = int(case.start.timestamp()) // 3600
    detected = _hour(record["detected_hour_utc"]) - first
    excess: dict[int, float] = {}
    hours: dict[int, set[int]] = {}
    for hour, usd, gb in record["hours"]:
        at = max(hour - first, detected)
        excess[at] = excess.get(at, 0.0) + usd + 1e-3 * gb
        hours.setdefault(at, set()).add(hour)
    course, so_far, counted, best = [], 0.0, 0, float("-inf")
    for hour in sorted({*excess, detected}):
        so_far += excess.get(hour, 0.0)
        counted += len(hours.get(hour, ()))
        best = max(best, so_far * min(counted / Policy.lasting_hours, 1.0))
        course.append((hour, best))
    named = record["contributors"]
    return Alert(
        accounts=tuple(row.get("account_id", record["account_id"]) for row in named),
        regions=tuple(row["region"] for row in named),
        resources=tuple(row["resource_id"] for row in named),
        usage_types=tuple(row["usage_type"] for row in named),
        start=_hour(record["start_hour_utc"]) - first,
        end=_hour(record["end_hour_utc"]) - first,
        course=tuple(course),
        kind=str(record.get("incident_class", "")),
    )


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 3600


def moment(case: Case, hour: int) -> datetime:
    """Return an hour of a case as a time."""
    return case.start + timedelta(hours=hour)


def _decided(case: Case, features: Path, model: Path | None, policy: Mapping[str, float]) -> list[dict[str, Any]]:
    start = moment(case, case.train_hours)
    account = in_process.Account(features, start, Policy.from_values(policy))
    account.run(model, start, moment(case, case.hours))
    return account.records()


def _source(package: Any) -> str:
    """Return a hash of a package's files."""
    folder = Path(package.__file__).parent
    files = sorted(file for file in folder.rglob("*") if file.suffix in {".py", ".sql", ".json"})
    return _hash(files, [])


def _hash(files: Any, texts: list[str]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:16]
