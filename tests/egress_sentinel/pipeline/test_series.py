"""Any series: the command line, and the inference pipeline of two containers on a local AWS."""

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from anomaly_detection.errors import ArtifactError
from anomaly_detection.series_preprocessor import model_fn
from anomaly_detection.time_series.features import SERIES_FEATURE_NAMES, features_of
from egress_sentinel.cli import app as cli
from egress_sentinel.pipeline.series import (
    FOREST_ENVIRONMENT,
    MODEL_TAR,
    PREPROCESSOR_ENVIRONMENT,
    PREPROCESSOR_TAR,
    read,
    train_pipeline,
)
from local_aws import LocalAws
from tests.support.models import named

pytestmark = pytest.mark.integration

TRAINING_ROWS = 24 * 21
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process; return status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["egress-sentinel", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return run


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty days of a sensor by the hour, in which it runs hot for half a day."""
    path = tmp_path_factory.mktemp("sensor") / "sensor.csv"
    rng = np.random.default_rng(0)
    hours = np.arange(24 * 40)
    values = 70 + 5 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 0.5, len(hours))
    values[700:712] += 25
    times = pd.date_range("2026-01-01", periods=len(hours), freq="h")
    pd.DataFrame({"timestamp": times, "value": values.round(3)}).to_csv(path, index=False)
    return path


def test_alerts_as_json_and_a_picture(sensor: Path, run: Run, tmp_path: Path) -> None:
    status, out, err = run("series", sensor, "--json", "--n-estimators", "50", "--plot", tmp_path / "plot.png")
    assert status == 0, err
    found = json.loads(out)
    assert found["rows"] == 960
    (alert,) = found["alerts"]
    assert "2026-01-30 04:00:00" <= alert["timestamp"] <= "2026-01-30 06:00:00"
    assert alert["value"] > 80
    assert alert["reasons"]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_a_page_and_a_file_without_header_in_any_order(sensor: Path, run: Run, tmp_path: Path) -> None:
    lines = sensor.read_text().splitlines()[1:]
    other = tmp_path / "other.csv"
    other.write_text("\n".join([*reversed(lines), "2026-03-01 00:00:00,"]) + "\n")
    status, out, err = run("series", other, "--n-estimators", "50", "--plot", tmp_path / "plot.html")
    assert status == 0, err
    assert "2026-01-30 0" in out
    assert "1 rows without a value are left out" in err
    assert "not in time order" in err
    assert "anomaly score" in (tmp_path / "plot.html").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timestamp,value\n2026-01-01,1\nyesterday,2\n", "data row 2 of FILE has the timestamp 'yesterday'"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02,high\n", "data row 2 of FILE has the value 'high'"),
        ("timestamp,value\n2026-01-01,inf\n", "data row 1 of FILE has the value 'inf'"),
        ("when,what,who\n1,2,3\n", "FILE has no column timestamp"),
        ("", "cannot read FILE"),
        ("timestamp,value\n2026-01-01,1\n", "the series has 1 rows"),
    ],
)
def test_bad_input_is_one_sentence(text: str, message: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    status, _, err = run("series", path)
    assert status == 2
    assert message.replace("FILE", str(path)) in err
    assert "Traceback" not in err


def test_another_kind_of_picture_is_refused_before_any_work(sensor: Path, run: Run) -> None:
    status, _, err = run("series", sensor, "--plot", "plot.gif")
    assert status == 2
    assert "a picture's name ends with .html or .png; plot.gif does not" in err


@pytest.fixture(scope="module")
def artifacts(sensor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline trained on the sensor's first three weeks."""
    folder = tmp_path_factory.mktemp("pipeline")
    lines = sensor.read_text().splitlines()[: 1 + TRAINING_ROWS]
    (folder / "first.csv").write_text("\n".join(lines) + "\n")
    train_pipeline(folder / "first.csv", folder, {"n_estimators": "50"})
    return folder


@pytest.fixture(scope="module")
def aws(artifacts: Path) -> Iterator[LocalAws]:
    """A local AWS that serves both containers behind one endpoint."""
    with LocalAws() as aws:
        s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
        s3.create_bucket(Bucket="models")
        containers = []
        for name, environment in ((PREPROCESSOR_TAR, PREPROCESSOR_ENVIRONMENT), (MODEL_TAR, FOREST_ENVIRONMENT)):
            s3.upload_file(str(artifacts / name), "models", name)
            containers.append({"Image": IMAGE, "ModelDataUrl": f"s3://models/{name}", "Environment": environment})
        role = "arn:aws:iam::123456789012:role/endpoint"
        sagemaker.create_model(ModelName="series", Containers=containers, ExecutionRoleArn=role)
        variant = {"VariantName": "AllTraffic", "ModelName": "series"}
        serverless = variant | {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
        with pytest.raises(sagemaker.exceptions.ClientError, match="Serverless endpoints do not serve"):
            sagemaker.create_endpoint_config(EndpointConfigName="no", ProductionVariants=[serverless])
        instances = variant | {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName="series", ProductionVariants=[instances])
        sagemaker.create_endpoint(EndpointName="series", EndpointConfigName="series")
        assert sagemaker.describe_endpoint(EndpointName="series")["EndpointStatus"] == "InService"
        yield aws


@pytest.fixture(scope="module")
def runtime(aws: LocalAws) -> Any:
    return aws.client("sagemaker-runtime")


def ask(runtime: Any, body: str, **more: str) -> bytes:
    answer = runtime.invoke_endpoint(EndpointName="series", ContentType="text/csv", Body=body, **more)
    return answer["Body"].read()  # type: ignore[no-any-return]


def scores(runtime: Any, lines: list[str]) -> list[float]:
    return [record["score"] for record in json.loads(ask(runtime, "\n".join(lines)))["scores"]]


def test_one_line_gets_one_score_in_the_clients_shape(runtime: Any) -> None:
    answer = json.loads(ask(runtime, "2026-01-22 00:00:00, 70"))
    assert list(answer) == ["scores"]
    (record,) = answer["scores"]
    assert list(record) == ["score"]
    assert 0 < record["score"] < scores(runtime, ["2026-01-22 00:00:00, 170"])[0] < 1


def test_the_pipeline_scores_as_the_forest_on_the_whole_series(runtime: Any, sensor: Path, artifacts: Path) -> None:
    """One window after the training series, one inside it, and line by line as windows that grow."""
    series = read(sensor)
    lines = sensor.read_text().splitlines()[1:]
    with tarfile.open(artifacts / MODEL_TAR) as archive:
        archive.extractall(artifacts / "model", filter="data")
    forest = joblib.load(artifacts / "model" / "model.joblib")
    expected = -forest.score_samples(named(forest, features_of(series.seconds, series.values)))
    assert scores(runtime, lines[TRAINING_ROWS:]) == expected[TRAINING_ROWS:].tolist()
    assert scores(runtime, lines[100:130]) == expected[100:130].tolist()
    for end in (1, 2, 200):
        window = lines[TRAINING_ROWS : TRAINING_ROWS + end]
        assert scores(runtime, window)[-1] == expected[TRAINING_ROWS + end - 1]


@pytest.mark.parametrize("lines", ["2013-12-02 21:15:00, 75", "2026-01-22 00:00:00, 70\n2026-01-22 01:00:00, 170"])
def test_the_call_of_an_existing_client_works_unchanged(runtime: Any, lines: str) -> None:
    """`ContentType=text/csv`, `Accept=text/csv`: one line or a window, and the answer is JSON."""
    answer = runtime.invoke_endpoint(
        EndpointName="series", ContentType="text/csv", Accept="text/csv", Body=lines, CustomAttributes="trace=7"
    )
    assert answer["ContentType"] == "application/json"
    found = json.loads(answer["Body"].read())
    assert list(found) == ["scores"]
    assert [list(record) for record in found["scores"]] == [["score"]] * len(lines.splitlines())
    assert all(0 < record["score"] < 1 for record in found["scores"])
    assert answer["CustomAttributes"] == "trace=7"


def test_accept_goes_to_the_forest(runtime: Any) -> None:
    line = "2026-01-22 00:00:00,70"
    column = ask(runtime, line, Accept="text/csv;output=random-cut-forest").decode().splitlines()
    assert (column[0], len(column)) == ("score", 2)
    manifest = json.loads(ask(runtime, line, Accept="application/json;output=manifest"))
    assert manifest["feature_names"] == SERIES_FEATURE_NAMES
    assert b"anomaly_score" in ask(runtime, line, Accept="text/csv;output=scores")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("2026-01-22 00:00:00,high", "data row 1 of the body has the value 'high'"),
        ("2026-01-22 00:00:00,1\n2026-01-22 01:00:00,", "data row 2 of the body has no value"),
        ("2026-01-22 01:00:00,1\n2026-01-22 00:00:00,2", "data row 2 of the body is earlier"),
        ("soon,1", "data row 1 of the body has the timestamp 'soon'"),
        ("timestamp,value\n", "the body has no lines"),
        ("1,2,3", "the body has no column timestamp"),
    ],
)
def test_bad_lines_are_the_clients_error_and_name_the_container(runtime: Any, body: str, message: str) -> None:
    with pytest.raises(runtime.exceptions.ModelError) as raised:
        ask(runtime, body)
    assert raised.value.response["OriginalStatusCode"] == 400
    assert message in json.loads(raised.value.response["OriginalMessage"])["error"]["message"]
    assert "from container-1 with message" in str(raised.value)


def test_a_series_is_scored_and_drawn_through_the_pipeline(
    run: Run, sensor: Path, artifacts: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "plot.png"
    more = ("--json", "--threshold", "0.3", "--plot", plot)
    status, out, err = run("series", sensor, "--pipeline", artifacts, *more)
    assert status == 0, err
    (alert,) = json.loads(out)["alerts"]
    assert "2026-01-30 04:00:00" <= alert["timestamp"] <= "2026-01-30 06:00:00"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_an_endpoint_in_aws_scores_as_the_same_containers_here(
    run: Run, sensor: Path, artifacts: Path, aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, here, _ = run("series", sensor, "--pipeline", artifacts, "--json", "--threshold", "0.2")
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    status, there, err = run("series", sensor, "--endpoint-name", "series", "--json", "--threshold", "0.2")
    assert status == 0, err
    assert there == here
    assert json.loads(there)["alerts"]
    status, _, err = run("series", sensor, "--endpoint-name", "nobody")
    assert status == 2
    assert "cannot invoke nobody" in err
    status, _, err = run("series", sensor, "--endpoint-name", "series", "--pipeline", artifacts)
    assert status == 2
    assert "either --pipeline or --endpoint-name" in err


def test_a_changed_preprocessor_is_not_served(artifacts: Path, tmp_path: Path) -> None:
    with tarfile.open(artifacts / PREPROCESSOR_TAR) as archive:
        archive.extractall(tmp_path, filter="data")
    assert model_fn(str(tmp_path)).end.rows == TRAINING_ROWS
    with (tmp_path / "series.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"series.npz is missing or not the file"):
        model_fn(str(tmp_path))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest.json is missing"):
        model_fn(str(tmp_path))


@pytest.mark.parametrize("text", ["timestamp,value\n2026-01-01,1\n", "timestamp,value\n2026-01-01,x\n"])
def test_training_refuses_what_it_cannot_use(run: Run, text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(text)
    status, _, err = run("series-train", tmp_path / "bad.csv", "-o", tmp_path / "out")
    assert status == 2
    assert str(tmp_path / "bad.csv") in err
    assert not (tmp_path / "out").exists()
