"""The bills and their truth as a data set for others, and the figures of any detector's alerts on it.

    python -m benchmarks.incidents data FOLDER                      # writes FOLDER/egress-incidents-1.0.0
    python -m benchmarks.incidents alerts DATASET DETECTOR ALERTS   # writes a detector's alerts as JSON, as it comes
    python -m benchmarks.incidents score DATASET ALERTS             # scores a JSON file of alerts

`dataset/README.md` describes the files; it is part of the data set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.incidents.alert import ALL, Alert
from benchmarks.incidents.bills import BILLS, OF_A_REAL_BILL, TITLES
from benchmarks.incidents.evaluation import AS_IT_COMES, Choice, alerts_by_setting
from benchmarks.incidents.measuring import measured_as_it_comes
from benchmarks.incidents.report import text_tables
from benchmarks.incidents.seeds import SEEDS
from benchmarks.incidents.truth import Case, Incident, Ordinary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.incidents.evaluation import Setting

VERSION = "1.0.0"
NAME = f"egress-incidents-{VERSION}"
TRUTH, ALERTS = "egress-incidents-truth/1", "egress-incidents-alerts/1"
ABOUT = Path(__file__).with_name("dataset")
# The traffic of a real bill is not ours to publish.
PUBLIC = tuple(name for name in BILLS if name not in OF_A_REAL_BILL)
PUBLIC_SEEDS = tuple(name for name in SEEDS if name != "reported")
CASES = 6


def write(folder: Path, cases: Mapping[str, Case]) -> Path:
    """Write a data set of cases, by the names of their folders; the same cases give the same bytes."""
    home = folder / NAME
    home.mkdir(parents=True, exist_ok=True)
    for file in sorted(ABOUT.iterdir()):
        shutil.copyfile(file, home / file.name)
    for name, case in cases.items():
        (home / name).mkdir(exist_ok=True)
        for export in case.exports:
            shutil.copyfile(export, home / name / export.name)
        _write_json(home / name / "truth.json", _truth(name, case))
    bills = [
        {"bill": name, "sha256": {file.name: _hash(file) for file in sorted((home / name).iterdir())}}
        for name in sorted(cases)
    ]
    _write_json(home / "dataset.json", {"name": NAME, "version": VERSION, "bills": bills})
    return home


def read(dataset: Path) -> dict[str, Case]:
    """Return the cases of a data set by the names of their folders.

    Raises
    ------
    ValueError
        It is no data set of this version.
    """
    index = dataset / "dataset.json"
    if not index.exists():
        raise ValueError(f"{dataset} has no dataset.json; write a data set with `python -m benchmarks.incidents data`")
    listed = json.loads(index.read_text(encoding="utf-8"))
    if listed["version"] != VERSION:
        raise ValueError(
            f"{index} has version {listed['version']}, this scorer reads {VERSION}; write the data set again"
        )
    return {one["bill"]: _case(dataset / one["bill"]) for one in listed["bills"]}


def read_alerts(file: Path, cases: Mapping[str, Case]) -> dict[str, list[Alert]]:
    """Return the alerts of a JSON file by bill.

    Raises
    ------
    ValueError
        The file is not in the format, or names a bill that is not in the data set.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != ALERTS:
        raise ValueError(f'{file} is not in the format of alerts; it needs "format": "{ALERTS}"')
    found: dict[str, list[Alert]] = {name: [] for name in cases}
    for number, entry in enumerate(content.get("alerts", []), start=1):
        try:
            alert = _alert(cases, entry)
            found[entry["bill"]].append(alert)
        except KeyError as error:
            raise ValueError(
                f"{file}, alert {number}: {error} is missing; alerts.schema.json has the format"
            ) from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file}, alert {number}: {error}; alerts.schema.json has the format") from error
    return found


def as_json(bill: str, case: Case, alert: Alert) -> dict[str, Any]:
    """Return an alert in the format of `read_alerts`."""
    words = ("account", "region", "resource", "usage_type")
    return {
        "bill": bill,
        "detected_hour_utc": _text(case, alert.detected),
        "start_hour_utc": _text(case, alert.start),
        "named": [
            {word: name for word, name in zip(words, named, strict=True) if name != ALL} for named in alert.named
        ],
        "kind": alert.kind,
    }


def figures(cases: Mapping[str, Case], alerts: Mapping[str, list[Alert]]) -> dict[str, Any]:
    """Return the figures of alerts for each kind of bill."""
    groups: dict[str, list[tuple[Case, dict[Setting, list[Alert]]]]] = {}
    for name, case in cases.items():
        groups.setdefault(TITLES.get(case.base, case.base), []).append((case, {(): alerts[name]}))
    return measured_as_it_comes(Choice((), float("-inf")), groups)


def main(command: str, arguments: Sequence[str]) -> int:
    """Run one of the commands."""
    return COMMANDS[command](arguments)


def _data(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents data", description="Write the data set.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bills", nargs="+", choices=PUBLIC, default=list(PUBLIC), help="which kinds of bills")
    parser.add_argument("--seeds", nargs="+", choices=PUBLIC_SEEDS, default=["dev", "check"], help="of which seeds")
    parser.add_argument(
        "--cases", type=int, default=CASES, help="how many of each kind and seeds (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        cases = {
            f"{bills}-{seed:03d}": BILLS[bills](seed, Path(made), Path())
            for bills in options.bills
            for seeds in options.seeds
            for seed in SEEDS[seeds][: options.cases]
        }
        home = write(options.folder, cases)
    print(f"{home}: {len(cases)} bills, {sum(len(case.incidents) for case in cases.values())} incidents")
    return 0


def _alerts(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents alerts", description="Write alerts as JSON.")
    parser.add_argument("dataset", type=Path, help="a data set of `python -m benchmarks.incidents data`")
    parser.add_argument("detector", choices=AS_IT_COMES)
    parser.add_argument("alerts", type=Path, help="write them there")
    parser.add_argument("--bills", nargs="+", choices=PUBLIC, default=list(PUBLIC), help="these kinds of bills only")
    options = parser.parse_args(arguments)
    setting, entries = AS_IT_COMES[options.detector].setting, []
    with tempfile.TemporaryDirectory() as cache:
        for name, case in read(options.dataset).items():
            if case.base in options.bills:
                found = alerts_by_setting(options.detector, case, Path(cache))[setting]
                entries += [as_json(name, case, alert) for alert in found]
    _write_json(options.alerts, {"format": ALERTS, "detector": options.detector, "alerts": entries})
    return 0


def _score(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents score", description="Score alerts.")
    parser.add_argument("dataset", type=Path, help="a data set of `python -m benchmarks.incidents data`")
    parser.add_argument("alerts", type=Path, help="alerts in JSON, by the data set's alerts.schema.json")
    parser.add_argument("--bills", nargs="+", choices=PUBLIC, help="these kinds of bills only")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    try:
        cases = read(options.dataset)
        alerts = read_alerts(options.alerts, cases)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    chosen = {name: case for name, case in cases.items() if not options.bills or case.base in options.bills}
    if not chosen:
        parser.error(f"{options.dataset} has no bills of these kinds")
    results = {options.alerts.stem: figures(chosen, alerts)}
    print(text_tables(results))
    if options.json:
        _write_json(options.json, results)
    return 0


def _truth(name: str, case: Case) -> dict[str, Any]:
    return {
        "format": TRUTH,
        "bill": name,
        "exports": [file.name for file in case.exports],
        "start_utc": _text(case, 0),
        "hours": case.hours,
        "training_hours": case.train_hours,
        "hours_per_line": case.step_hours,
        "accounts": list(case.accounts),
        "delivered_after_hours": case.arrival.tolist(),
        "incidents": [_incident(case, incident) for incident in case.incidents],
        "ordinary": [
            {
                "kind": event.kind,
                "account": event.account,
                "regions": list(event.regions),
                "resources": list(event.resources),
                "first_hour_utc": _text(case, event.start),
                "last_hour_utc": _text(case, event.end),
                "announced": event.is_announced,
            }
            for event in case.ordinary
        ],
    }


def _incident(case: Case, incident: Incident) -> dict[str, Any]:
    during = slice(incident.start, incident.end + 1)
    return {
        "number": incident.number,
        "kind": incident.kind,
        "also": list(incident.also),
        "size": incident.size,
        "accounts": list(incident.accounts),
        "regions": list(incident.regions),
        "resources": list(incident.resources),
        "usage_types": list(incident.usage_types),
        "first_hour_utc": _text(case, incident.start),
        "last_hour_utc": _text(case, incident.end),
        "usd_by_hour": incident.usd[during].tolist(),
        "gb_by_hour": incident.gb[during].tolist(),
        "times_usual": incident.ratio if np.isfinite(incident.ratio) else None,
        "catchable": incident.catchable,
        "large": incident.large_from is not None,
    }


def _case(folder: Path) -> Case:
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    start = datetime.fromisoformat(truth["start_utc"])

    def hour(text: str) -> int:
        return (datetime.fromisoformat(text) - start) // timedelta(hours=1)

    def laid(values: list[float], first: int) -> np.ndarray:
        course = np.zeros(truth["hours"])
        course[first : first + len(values)] = values
        return course

    incidents = []
    for one in truth["incidents"]:
        first = hour(one["first_hour_utc"])
        incidents.append(
            Incident(
                number=one["number"],
                kind=one["kind"],
                size=one["size"],
                accounts=tuple(one["accounts"]),
                regions=tuple(one["regions"]),
                resources=tuple(one["resources"]),
                usage_types=tuple(one["usage_types"]),
                start=first,
                end=hour(one["last_hour_utc"]),
                usd=laid(one["usd_by_hour"], first),
                gb=laid(one["gb_by_hour"], first),
                ratio=float("inf") if one["times_usual"] is None else one["times_usual"],
                also=tuple(one["also"]),
            )
        )
    ordinary = [
        Ordinary(
            one["kind"],
            one["account"],
            tuple(one["regions"]),
            tuple(one["resources"]),
            hour(one["first_hour_utc"]),
            hour(one["last_hour_utc"]),
            is_announced=one["announced"],
        )
        for one in truth["ordinary"]
    ]
    base, _, seed = folder.name.rpartition("-")
    return Case(
        name=f"{base} {int(seed)}",
        exports=tuple(folder / name for name in truth["exports"]),
        start=start,
        hours=truth["hours"],
        train_hours=truth["training_hours"],
        accounts=tuple(truth["accounts"]),
        arrival=np.array(truth["delivered_after_hours"], dtype=np.int64),
        incidents=tuple(incidents),
        ordinary=tuple(ordinary),
        step_hours=truth["hours_per_line"],
    )


def _alert(cases: Mapping[str, Case], entry: Mapping[str, Any]) -> Alert:
    if entry["bill"] not in cases:
        raise ValueError(f"the data set has no bill {entry['bill']!r}")
    case = cases[entry["bill"]]

    def hour(text: str) -> int:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(f"{text} has no time zone")
        number = (moment - case.start) // timedelta(hours=1)
        if not 0 <= number < case.hours:
            raise ValueError(f"{text} is outside the bill")
        return number

    detected = hour(entry["detected_hour_utc"])
    named = entry["named"]
    if not named:
        raise ValueError("'named' is empty")
    return Alert(
        accounts=tuple(str(one.get("account", ALL)) for one in named),
        regions=tuple(str(one.get("region", ALL)) for one in named),
        resources=tuple(str(one.get("resource", ALL)) for one in named),
        usage_types=tuple(str(one.get("usage_type", ALL)) for one in named),
        start=hour(entry["start_hour_utc"]) if "start_hour_utc" in entry else detected,
        end=detected,
        course=((detected, 1.0),),
        kind=str(entry.get("kind", "")),
    )


def _text(case: Case, hour: int) -> str:
    return (case.start + timedelta(hours=int(hour))).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"data": _data, "alerts": _alerts, "score": _score}
