"""Drift of any table and any model: rows without hours, compared with a baseline that training wrote."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from anomaly_detection.training.baseline import describe_table
from drift_monitor.capture import day_of_records
from drift_monitor.judge import drifted, measures_of
from drift_monitor.limits import LimitTable
from drift_monitor.reference import reference_of
from egress_sentinel.deployment.drift import judge_locally
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.training import train
from tests.support.in_process import run_in_process

FILES = {"statistics.json", "constraints.json", "constraint_violations.json", "measures.json"}
COLUMNS = [f"v{number}" for number in range(1, 29)]


def payments(rows: int, seed: int) -> pd.DataFrame:
    """Return a fraud-like table: 28 anonymous columns, an amount, a channel and a model's probability; no hours."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.standard_normal((rows, 28)) * np.linspace(2, 0.3, 28), columns=COLUMNS)
    frame["amount"] = np.round(rng.gamma(1.0, 80.0, rows), 2)
    frame["items"] = rng.poisson(3, rows)
    frame["channel"] = rng.choice(["web", "app", "shop"], rows, p=[0.5, 0.3, 0.2])
    frame["fraud_probability"] = rng.beta(1, 40, rows)
    return frame


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a custom model's artifact: of ours it has the baseline alone."""
    path = tmp_path_factory.mktemp("own") / "model.tar.gz"
    body = json.dumps(describe_table(payments(20_000, 1), outputs=["fraud_probability"])).encode()
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("./baseline.json")
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    return path


def judge(
    model: Path, frame: pd.DataFrame, tmp_path: Path, limits: str = "{}"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the outcome and the files of a table."""
    frame.to_csv(tmp_path / "today.csv", index=False)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (tmp_path / "out").mkdir()
    (outcome,) = judge_locally(tmp_path / "today.csv", model, tmp_path / "out", limits=limits)
    folder = tmp_path / "out" / "batch=today"
    assert {path.name for path in folder.iterdir()} == FILES
    for name in FILES:
        assert (tmp_path / "out" / "latest" / name).read_bytes() == (folder / name).read_bytes()
    return outcome, {name.removesuffix(".json"): json.loads((folder / name).read_text()) for name in FILES}


def test_the_command_line_judges_a_csv_without_hours(model: Path, tmp_path: Path) -> None:
    payments(500, 2).assign(v7=9.0).to_csv(tmp_path / "today.csv", index=False)
    done = run_in_process("drift", tmp_path / "today.csv", "--model", model, "-o", tmp_path / "out")
    assert (done.returncode, "1 of 1 have drifted" in done.stdout) == (0, True), done.stderr
    assert (tmp_path / "out" / "latest" / "constraint_violations.json").is_file()


def violated(documents: dict[str, Any]) -> set[tuple[str, str]]:
    found = {(each["feature"], each["statistic"]) for each in documents["measures"]["measures"] if each["is_violated"]}
    listed = {each["feature_name"] for each in documents["constraint_violations"]["violations"]}
    assert {feature for feature, _ in found} == listed
    return found


@pytest.mark.parametrize("rows", [150, 1000, 20_000])
def test_a_table_like_that_of_training_has_no_violation(model: Path, tmp_path: Path, rows: int) -> None:
    for seed in (2, 3):
        outcome, documents = judge(model, payments(rows, seed), tmp_path)
        assert (outcome["day"], outcome["rows"], outcome["drifted"]) == ("today", rows, [])
        assert violated(documents) == set()


def _shifted(frame: pd.DataFrame) -> None:
    frame["v5"] += 1


def _far(frame: pd.DataFrame) -> None:
    frame["v28"] += 2


def _missing(frame: pd.DataFrame) -> None:
    frame.loc[:40, "amount"] = np.nan


def _other_mix(frame: pd.DataFrame) -> None:
    frame["channel"] = np.where(np.arange(len(frame)) % 2, "web", "phone")


def _no_column(frame: pd.DataFrame) -> None:
    del frame["v1"], frame["channel"]


def _text(frame: pd.DataFrame) -> None:
    frame["items"] = "three"


def _answers(frame: pd.DataFrame) -> None:
    frame["fraud_probability"] = np.sqrt(frame["fraud_probability"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_shifted, {("v5", "psi"), ("v5", "ks")}),
        (_far, {("v28", "mean_deviations"), ("v28", "psi"), ("v28", "ks"), ("v28", "out_of_range_share")}),
        (_missing, {("amount", "missing_share")}),
        (_other_mix, {("channel", "psi")}),
        (_no_column, {("v1", "missing_column_check"), ("channel", "missing_column_check")}),
        (_text, {("items", "data_type_check")}),
        (_answers, {("fraud_probability", "psi"), ("fraud_probability", "ks")}),
    ],
)
def test_each_kind_of_drift_is_named(
    model: Path, tmp_path: Path, change: Callable[[pd.DataFrame], None], expected: set[tuple[str, str]]
) -> None:
    frame = payments(2000, 9)
    change(frame)
    outcome, documents = judge(model, frame, tmp_path)
    assert expected <= violated(documents)
    assert {feature for feature, _ in violated(documents)} == {feature for feature, _ in expected}
    assert outcome["drifted"] == sorted({feature for feature, _ in expected})
    assert "Drift in today: " in (tmp_path / "out" / "messages.txt").read_text()


def test_missing_texts_flags_and_codes_are_counted_as_in_training(tmp_path: Path) -> None:
    """Pandas reads "NA" as missing and a category as text; the monitor reads text, a flag and numbers."""

    def customers(rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"area": rng.choice(["EU", "NA"], rows), "code": rng.choice([1, 2, 3], rows)})
        frame["coupon"] = np.where(rng.random(rows) < 0.3, None, rng.choice(["x", "y"], rows))
        frame["is_new"] = np.where(rng.random(rows) < 0.1, None, rng.choice([True, False], rows))
        return frame

    customers(5000, 1).to_csv(tmp_path / "train.csv", index=False)
    training = pd.read_csv(tmp_path / "train.csv").astype({"code": "category"})
    (tmp_path / "baseline.json").write_text(json.dumps(describe_table(training)))
    _, documents = judge(tmp_path / "baseline.json", customers(3000, 2), tmp_path)
    assert violated(documents) == set()
    texts = {each["name"]: each["completeness"] for each in documents["constraints"]["features"]}
    assert texts == pytest.approx({"area": 0.5, "code": 1, "coupon": 0.7, "is_new": 0.9}, abs=0.03)
    changed = customers(3000, 2).assign(code=1, coupon="x")
    _, documents = judge(tmp_path / "baseline.json", changed, tmp_path)
    assert violated(documents) == {("code", "psi"), ("coupon", "psi")}


def test_files_that_cannot_be_judged_are_refused_with_a_sentence(model: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match=r"cannot read the model .*list\.json"):
        judge_locally(rows, tmp_path / "list.json", out)
    payments(200, 1).to_csv(rows / "a.csv", index=False)
    payments(200, 2).to_parquet(rows / "a.parquet")
    with pytest.raises(UserError, match="would have the same report; rename one of them"):
        judge_locally(rows, model, out)
    (rows / "a.parquet").unlink()
    payments(200, 1).assign(hour_utc="Monday").to_csv(rows / "a.csv", index=False)
    with pytest.raises(UserError, match="hour_utc must be a time in UTC"):
        judge_locally(rows, model, out)


def test_files_with_hours_are_days_although_one_has_whole_numbers(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "out").mkdir()
    for day, number in (("2026-10-01", 2), ("2026-10-02", 3)):
        hours = pd.date_range(day, periods=24, freq="h", tz="UTC").repeat(10)
        frame = payments(len(hours), number).assign(hour_utc=hours)
        frame["amount"] = frame["amount"].round() if number == 2 else frame["amount"]
        frame.astype({"amount": int} if number == 2 else {}).to_csv(tmp_path / "rows" / f"{day}.csv", index=False)
    outcomes = judge_locally(tmp_path / "rows", model, tmp_path / "out")
    assert [(each["day"], each["rows"], each["drifted"]) for each in outcomes] == [
        ("2026-10-01", 240, []),
        ("2026-10-02", 240, []),
    ]


def test_thresholds_of_each_feature_come_from_one_file(model: Path, tmp_path: Path) -> None:
    frame = payments(2000, 9)
    _shifted(frame)
    frame["v6"] += 1
    limits = {"*": {"mean_deviations": 0.3, "psi": None, "ks": None}, "v6": {"mean_deviations": 2}}
    (tmp_path / "limits.json").write_text(json.dumps(limits))
    _, documents = judge(model, frame, tmp_path, str(tmp_path / "limits.json"))
    assert violated(documents) == {("v5", "mean_deviations")}
    with pytest.raises(UserError, match="cannot read the limits"):
        judge(model, frame, tmp_path, "none.json")


def test_the_files_have_model_monitor_s_layout(model: Path, tmp_path: Path) -> None:
    """As "Schema for Statistics", "... Constraints" and "... Violations" of the developer guide describe them."""
    frame = payments(2000, 9)
    _shifted(frame)
    _, documents = judge(model, frame, tmp_path, '{"v1": {"ks": 0.3}}')
    statistics, constraints = documents["statistics"], documents["constraints"]
    assert set(statistics) == {"version", "dataset", "features"}
    types = {each["name"]: each["inferred_type"] for each in statistics["features"]}
    assert types == {each["name"]: each["inferred_type"] for each in constraints["features"]}
    assert (types["v1"], types["items"], types["channel"]) == ("Fractional", "Integral", "String")
    numbers = next(each for each in statistics["features"] if each["name"] == "amount")["numerical_statistics"]
    assert set(numbers) == {"common", "mean", "sum", "std_dev", "min", "max", "distribution"}
    assert numbers["mean"] == pytest.approx(frame["amount"].mean())
    assert set(constraints) == {"version", "features", "monitoring_config"}
    by_name = {each["name"]: each for each in constraints["features"]}
    assert by_name["amount"]["num_constraints"] == {"is_non_negative": True}
    assert by_name["v2"]["num_constraints"] == {"is_non_negative": False}
    assert by_name["amount"]["completeness"] == pytest.approx(0.99)
    assert set(by_name["channel"]["string_constraints"]["domains"]) == {"web", "app", "shop"}
    override = by_name["v1"]["monitoringConfigOverrides"]["distribution_constraints"]
    assert override["comparison_threshold"] == 0.3
    assert constraints["monitoring_config"]["distribution_constraints"] == {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Simple",
    }
    (violation,) = documents["constraint_violations"]["violations"]
    assert set(violation) == {"feature_name", "constraint_check_type", "description"}
    assert violation["constraint_check_type"] == "baseline_drift_check"
    assert "against the training rows" in violation["description"]


def test_a_forest_trained_on_a_table_without_hours_judges_such_tables(tmp_path: Path) -> None:
    payments(3000, 1).drop(columns=["channel", "fraud_probability"]).to_parquet(tmp_path / "train.parquet")
    train(tmp_path / "train.parquet", tmp_path / "model.tar.gz", hyperparameters={"n_estimators": "20"})
    outcome, documents = judge(tmp_path / "model.tar.gz", payments(1000, 2), tmp_path)
    assert outcome["drifted"] == []
    assert outcome["flagged_share"] is not None
    assert "anomaly_score" in {each["feature"] for each in documents["measures"]["measures"]}
    outcome, _ = judge(tmp_path / "model.tar.gz", payments(1000, 2).assign(amount=5000.0), tmp_path)
    assert outcome["drifted"] == ["amount", "anomaly_score"]


def test_captured_requests_of_any_model_are_compared_hour_by_hour() -> None:
    reference = reference_of({}, describe_table(payments(5000, 1), outputs=["fraud_probability"]))
    sent = payments(300, 5)
    numbers = sent.drop(columns=["channel", "fraud_probability"]).assign(v3=lambda frame: frame["v3"] + 4)
    record = {
        "endpointInput": {"data": json.dumps({"instances": numbers.to_dict("records")}), "encoding": "JSON"},
        "endpointOutput": {
            "data": json.dumps({"predictions": sent[["fraud_probability"]].to_dict("records")}),
            "encoding": "JSON",
        },
    }
    hour = day_of_records("2026-11-24T07", iter([json.dumps({"captureData": record})]), reference)
    assert hour is not None
    assert (hour.folder, hour.rows) == ("hour=2026-11-24T07/", 300)
    measures = measures_of(hour, reference, LimitTable({}))
    assert {m.feature for m in drifted(measures, measures)} == {"v3"}
    assert drifted(measures, []) == []
