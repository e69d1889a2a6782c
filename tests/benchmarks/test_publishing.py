"""The data set for others: the same bytes each time, true to its schema, and scored from JSON as in process."""

import json
from pathlib import Path

import pytest

from benchmarks.incidents import __main__, publishing, traffic
from benchmarks.incidents.alert import ALL, Alert
from benchmarks.incidents.cases import daily_case, generated_case
from benchmarks.incidents.detectors import ours
from benchmarks.incidents.evaluation import OURS
from benchmarks.incidents.score import score
from benchmarks.incidents.truth import Case
from tests.support.sample_data import required_module


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Two accounts over six weeks, by the hour and by the day."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "DAYS", 44)
        patch.setattr(traffic, "TRAINING_DAYS", 18)
        patch.setattr(traffic, "ACCOUNT_SIZES", (1.0, 3.0))
        return {"generated-004": generated_case(4, home), "daily-004": daily_case(4, home)}


@pytest.fixture(scope="module")
def dataset(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publishing.write(tmp_path_factory.mktemp("data"), cases)


def _alerts(case: Case) -> list[Alert]:
    """Find every other incident in its third hour, one by its level, with an extra alert and a false one."""
    alerts = []
    for number, incident in enumerate(case.incidents[::2]):
        hour = min(incident.start + 2, incident.end)
        resource = incident.resources[0] if number else ALL
        place = (incident.accounts[0],), (incident.regions[0],), (resource,), (incident.usage_types[0],)
        alerts += [Alert(*place, hour, hour, ((hour, 1.0),), incident.kind)] * (2 if number == 1 else 1)
    nobody = Alert(("1",), ("eu-west-1",), ("i-nobody",), ("X",), 500, 500, ((500, 1.0),))
    return [*alerts, nobody]


def _written(path: Path, cases: dict[str, Case]) -> Path:
    entries = [publishing.as_json(name, case, alert) for name, case in cases.items() for alert in _alerts(case)]
    path.write_text(json.dumps({"format": publishing.ALERTS, "alerts": entries}))
    return path


def test_the_same_cases_give_the_same_bytes(dataset: Path, cases: dict[str, Case], tmp_path: Path) -> None:
    again = publishing.write(tmp_path, cases)
    files = sorted(file.relative_to(dataset) for file in dataset.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(again) for file in again.rglob("*") if file.is_file())
    assert all((dataset / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_truth_and_alerts_hold_to_their_schemas(dataset: Path, cases: dict[str, Case], tmp_path: Path) -> None:
    required_module("jsonschema")
    import jsonschema

    truth = json.loads((dataset / "truth.schema.json").read_text())
    for name in cases:
        jsonschema.validate(json.loads((dataset / name / "truth.json").read_text()), truth)
    assert f"version {publishing.VERSION}" in (dataset / "README.md").read_text()
    alerts = json.loads((dataset / "alerts.schema.json").read_text())
    jsonschema.validate(json.loads(_written(tmp_path / "alerts.json", cases).read_text()), alerts)


def test_alerts_from_json_score_as_in_process(
    dataset: Path,
    cases: dict[str, Case],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, result = _written(tmp_path / "alerts.json", cases), tmp_path / "figures.json"
    arguments = ["incidents", "score", str(dataset), str(file), "--json", str(result)]
    monkeypatch.setattr("sys.argv", arguments)
    assert __main__.main() == 0
    figures = json.loads(result.read_text())["alerts"]
    expected = score(cases["generated-004"], _alerts(cases["generated-004"]))
    assert expected.found > 1
    assert expected.repeats == 1
    assert expected.false == 2
    assert figures["generated"]["f1"] == pytest.approx(expected.f1)
    assert {name: figures["generated"][name] for name in expected.figures()} == pytest.approx(
        expected.figures(), nan_ok=True
    )
    assert set(figures) == {"generated", "generated, by day"}
    assert "Base traffic generated: 1 bills" in capsys.readouterr().out


@pytest.mark.slow
def test_a_detector_is_scored_from_its_json_as_in_process(
    dataset: Path, cases: dict[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, result = tmp_path / "alerts.json", tmp_path / "figures.json"
    for arguments in (
        ["alerts", str(dataset), OURS, str(file), "--bills", "generated"],
        ["score", str(dataset), str(file), "--bills", "generated", "--json", str(result)],
    ):
        monkeypatch.setattr("sys.argv", ["incidents", *arguments])
        assert __main__.main() == 0
    case = cases["generated-004"]
    expected = score(case, ours.alerts(case, tmp_path))
    assert expected.found > 1
    figures = json.loads(result.read_text())["alerts"]["generated"]
    assert {name: figures[name] for name in expected.figures()} == pytest.approx(expected.figures(), nan_ok=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is no JSON"),
        ({"alerts": []}, "is not in the format of alerts"),
        ([{"bill": "real-001"}], "alert 1: the data set has no bill 'real-001'"),
        ([{"bill": "generated-004"}], "alert 1: 'detected_hour_utc' is missing"),
        ([{"bill": "generated-004", "detected_hour_utc": "2031-01-01T00:00:00Z", "named": []}], "is outside the bill"),
        ([{"bill": "generated-004", "detected_hour_utc": "2026-10-01", "named": []}], "has no time zone"),
    ],
)
def test_alerts_out_of_format_are_named(
    content: object, message: str, dataset: Path, cases: dict[str, Case], tmp_path: Path
) -> None:
    file = tmp_path / "alerts.json"
    whole = {"format": publishing.ALERTS, "alerts": content} if isinstance(content, list) else content
    file.write_text(content if isinstance(content, str) else json.dumps(whole))
    with pytest.raises(ValueError, match=message):
        publishing.read_alerts(file, publishing.read(dataset))
    assert cases


def test_another_version_is_not_read(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"version": "0.1.0", "bills": []}))
    with pytest.raises(ValueError, match=r"has version 0\.1\.0"):
        publishing.read(tmp_path)
    with pytest.raises(ValueError, match=r"has no dataset\.json"):
        publishing.read(dataset / "generated-004")


def test_real_bills_and_reported_seeds_are_not_published() -> None:
    assert not set(publishing.PUBLIC) & {"real", "daily-real"}
    assert "reported" not in publishing.PUBLIC_SEEDS
