"""The training script as SageMaker runs it."""

import dataclasses
import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import anomaly_detection
from anomaly_detection.artifact import pack
from anomaly_detection.forest import FlatForest
from anomaly_detection.training_script import main
from egress_features import schema_hash
from tests.support.models import NAMES, matrix, named, run_training_script, write_part

pytestmark = pytest.mark.integration


def test_the_artifact_describes_its_training_data(model_dir: Path) -> None:
    manifest = json.loads((model_dir / "manifest.json").read_text())
    assert manifest["feature_names"] == NAMES
    assert manifest["training"]["rows"] == 2000
    assert manifest["training"]["training_job_name"] == "egress-2026-11-01"
    forest = joblib.load(model_dir / "model.joblib")
    assert manifest["threshold"] == forest.offset_
    assert forest.n_estimators == 50
    baseline = json.loads((model_dir / "baseline.json").read_text())
    assert set(baseline["features"]) == set(NAMES)
    assert baseline["features"][NAMES[0]]["mean"] == pytest.approx(matrix(2000)[:, 0].mean(), abs=1e-5)
    assert (model_dir / "code" / "setup.py").exists()
    package = Path(anomaly_detection.__file__).parent
    sources = {path.relative_to(package) for path in package.rglob("*.py")}
    assert Path("forest/trees.py") in sources
    copied = model_dir / "code" / "anomaly_detection"
    assert {path.relative_to(copied) for path in copied.rglob("*.py")} == sources
    metrics = json.loads((model_dir.parent / "model-output" / "metrics.json").read_text())
    assert metrics["share_flagged"] == pytest.approx(0.01, abs=0.002)


def test_same_data_and_seed_same_bytes(tmp_path: Path) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(500))
    tars = []
    for name in ("one", "two"):
        assert run_training_script(tmp_path / "train", tmp_path / name, "--n-estimators", "20").returncode == 0
        tars.append(tmp_path / f"{name}.tar.gz")
        pack(tmp_path / name, tars[-1])
    assert tars[0].read_bytes() == tars[1].read_bytes()


def test_parts_in_nested_folders_empty_ones_and_strays(tmp_path: Path) -> None:
    channel = tmp_path / "train"
    write_part(channel / "day=1" / "a.parquet", matrix(300))
    write_part(channel / "day=2" / "deep" / "b.parquet", matrix(200, seed=1))
    write_part(channel / "empty.parquet", matrix(0))
    (channel / "zero.parquet").touch()
    (channel / "_SUCCESS").touch()
    done = run_training_script(channel, tmp_path / "model", "--n_estimators", "10")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["training"]["rows"] == 500


def test_a_file_without_a_schema_gives_its_numeric_columns(tmp_path: Path) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300), with_schema=False)
    assert run_training_script(tmp_path / "train", tmp_path / "model", "--n_estimators", "10").returncode == 0
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["feature_names"] == NAMES


def test_a_file_without_a_schema_gives_its_float32_columns_where_measures_are_doubles(tmp_path: Path) -> None:
    """As Athena writes files of features."""
    write_part(tmp_path / "train" / "a.parquet", matrix(300), with_schema=False)
    table = pq.read_table(tmp_path / "train" / "a.parquet")
    features = [pa.field(name, pa.float32()) for name in table.column_names]
    table = table.cast(pa.schema(features)).append_column("cost_usd", pa.array(range(300), pa.float64()))
    pq.write_table(table, tmp_path / "train" / "a.parquet")
    assert run_training_script(tmp_path / "train", tmp_path / "model", "--n_estimators", "10").returncode == 0
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["feature_names"] == NAMES


def test_a_part_without_a_schema_has_that_of_the_others(tmp_path: Path) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300), with_schema=False)
    write_part(tmp_path / "train" / "b.parquet", matrix(300))
    done = run_training_script(tmp_path / "train", tmp_path / "model", "--n_estimators", "10")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["schema_hash"] == schema_hash()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--n-estimators", "12", "--max-samples", "64", "--contamination", "0.05"],
        ["--n_estimators", '"12"', "--max_samples", '"64"', "--contamination", "0.05"],
        ["--n_estimators", "12", "--max_samples", "64", "--contamination", '"0.05"', "--sagemaker_program", "x.py"],
    ],
)
def test_hyperparameters_in_every_spelling(tmp_path: Path, arguments: list[str]) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300))
    done = run_training_script(tmp_path / "train", tmp_path / "model", *arguments)
    assert done.returncode == 0, done.stderr
    used = json.loads((tmp_path / "model" / "manifest.json").read_text())["training"]["hyperparameters"]
    assert (used["n_estimators"], used["max_samples"], used["contamination"]) == (12, 64, 0.05)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--contamination", "0.7"], "contamination"),
        (["--n_estimators", "many"], "n_estimators"),
        (["--trees", "5"], "trees"),
    ],
)
def test_bad_hyperparameters(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300))
    done = run_training_script(tmp_path / "train", tmp_path / "model", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model" / "manifest.json").exists()


def test_bad_data(tmp_path: Path) -> None:
    values = matrix(100)
    values[7, 2] = np.inf
    path = write_part(tmp_path / "train" / "a.parquet", values)
    done = run_training_script(tmp_path / "train", tmp_path / "model")
    assert (done.returncode, NAMES[2] in done.stderr) == (2, True)
    path.write_bytes(path.read_bytes()[:-50])
    assert run_training_script(tmp_path / "train", tmp_path / "model").returncode == 2
    path.unlink()
    assert run_training_script(tmp_path / "train", tmp_path / "model").returncode == 2


def test_scores_do_not_depend_on_how_rows_are_split_into_files(tmp_path: Path) -> None:
    values = matrix(400)
    write_part(tmp_path / "one" / "a.parquet", values)
    write_part(tmp_path / "two" / "a.parquet", values[:150])
    write_part(tmp_path / "two" / "b.parquet", values[150:])
    scores = []
    for name in ("one", "two"):
        assert run_training_script(tmp_path / name, tmp_path / f"{name}-model", "--n_estimators", "10").returncode == 0
        forest = joblib.load(tmp_path / f"{name}-model" / "model.joblib")
        scores.append(forest.decision_function(named(forest, values)))
    assert np.array_equal(scores[0], scores[1])
    assert pq.read_metadata(tmp_path / "one" / "a.parquet").num_rows == 400


def test_a_forest_that_would_serve_other_scores_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300))
    honest = FlatForest.from_sklearn

    def wrong(forest: object) -> FlatForest:
        flat = honest(forest)
        return dataclasses.replace(flat, path_length=flat.path_length + 1e-9)

    monkeypatch.setattr(FlatForest, "from_sklearn", wrong)
    with pytest.raises(RuntimeError, match="no model was saved"):
        main(["--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "model")])
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("contamination", [0.03, "auto"])
def test_the_forest_is_what_scikit_learn_fits(tmp_path: Path, contamination: float | str) -> None:
    values = matrix(700)
    write_part(tmp_path / "train" / "a.parquet", values)
    done = run_training_script(
        tmp_path / "train", tmp_path / "model", "--n_estimators", "15", "--contamination", str(contamination)
    )
    assert done.returncode == 0, done.stderr
    theirs = IsolationForest(n_estimators=15, max_samples=256, contamination=contamination, random_state=42).fit(values)
    ours = joblib.load(tmp_path / "model" / "model.joblib")
    assert ours.offset_ == theirs.offset_
    assert ours.get_params() == theirs.get_params()
    assert ours.decision_function(named(ours, values)).tobytes() == theirs.decision_function(values).tobytes()


@pytest.fixture(scope="module")
def long_channel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Parts in the order of time, with a trend: the first rows are unlike the last."""
    folder = tmp_path_factory.mktemp("long")
    values = matrix(260_000) + np.linspace(0, 8, 260_000, dtype=np.float32)[:, None]
    for number, part in enumerate(np.array_split(values, 3)):
        write_part(folder / f"{number}.parquet", part)
    return folder, values


def test_many_rows_are_represented_by_a_uniform_sample(
    long_channel: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel, values = long_channel
    arguments = ["--train", str(channel), "--n_estimators", "25", "--model-dir"]
    assert main([*arguments, str(tmp_path / "model")]) == 0
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert (manifest["training"]["rows"], manifest["training"]["rows_sampled"]) == (260_000, 200_000)
    flat = FlatForest.load(tmp_path / "model" / "forest.npz")
    assert np.mean(flat.scores(values) < 0) == pytest.approx(0.01, abs=0.0005)
    baseline = json.loads((tmp_path / "model" / "baseline.json").read_text())
    for share, name in enumerate(NAMES[:3]):
        assert baseline["features"][name]["mean"] == pytest.approx(values[:, share].mean(), abs=0.01)
    assert main([*arguments, str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "model.joblib").read_bytes() == (tmp_path / "model" / "model.joblib").read_bytes()


def test_exact_uses_every_row(long_channel: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    channel, values = long_channel
    arguments = ["--train", str(channel), "--n_estimators", "3", "--exact", "--model-dir", str(tmp_path / "model")]
    assert main(arguments) == 0
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["training"]["rows_sampled"] == 260_000
    theirs = IsolationForest(n_estimators=3, max_samples=256, contamination=0.01, random_state=42).fit(values)
    assert joblib.load(tmp_path / "model" / "model.joblib").offset_ == theirs.offset_


def test_a_long_training_prints_its_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomaly_detection.training.dataset.PROGRESS_SECONDS", 0.0)
    for name in "ab":
        write_part(tmp_path / "train" / f"{name}.parquet", matrix(150))
    assert main(["--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "m"), "--n_estimators", "3"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["read 150 of 300 rows (50 %)", "read 300 of 300 rows (100 %)", "scored 300 of 300 rows (100 %)"]


def write_series(path: Path, rows: int = 240) -> Path:
    """Write ten days of one series, with the keys and hours by which rows are left out."""
    write_part(path, matrix(rows))
    table = pq.read_table(path)
    hours = np.datetime64("2026-10-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    table = table.append_column("hour_utc", pa.array(hours, pa.timestamp("us", "UTC")))
    for name, value in SERIES.items():
        table = table.append_column(name, pa.array([value] * rows))
    pq.write_table(table, path, row_group_size=100)
    return path


SERIES = {"account_id": "111122223333", "region": "eu-west-1", "service": "AmazonS3", "egress_class": "internet"}
SERIES |= {"resource_id": "arn:aws:s3:::media[1]"}
DAY = {"start_hour_utc": "2026-10-02T00:00:00Z", "end_hour_utc": "2026-10-02T23:00:00Z"}


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        ([], 0),
        ([{**SERIES, **DAY, "why": "alert 1, true"}], 24),
        ([DAY], 24),
        ([{"account_id": "111122223333", **DAY, "end_hour_utc": "2026-10-05T12:00Z"}], 85),
        ([{"resource_id": "*media[1]", **DAY}, {"resource_id": "*media?1?", **DAY}], 24),
        ([{**SERIES, "resource_id": "arn:aws:s3:::media1", **DAY}], 0),
        ([{**SERIES, "account_id": "444455556666", **DAY}], 0),
        ([{**SERIES, **DAY, "start_hour_utc": "2026-12-01T00:00:00Z", "end_hour_utc": "2026-12-01T00:00:00Z"}], 0),
    ],
)
def test_what_the_exclude_channel_names_is_left_out_and_counted(
    tmp_path: Path, lines: list[dict[str, str]], left_out: int
) -> None:
    write_series(tmp_path / "train" / "a.parquet")
    (tmp_path / "exclude.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "\n")
    arguments = ("--exclude", str(tmp_path / "exclude.jsonl"), "--n_estimators", "10")
    assert main([*arguments, "--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "model")]) == 0
    training = json.loads((tmp_path / "model" / "manifest.json").read_text())["training"]
    assert (training["rows"], training["rows_left_out"]) == (240 - left_out, left_out)


def test_a_model_is_the_one_of_the_rows_that_are_left(tmp_path: Path) -> None:
    """Leaving hours out and never having had them is the same forest."""
    whole = write_series(tmp_path / "whole" / "a.parquet")
    table = pq.read_table(whole)
    (tmp_path / "cut").mkdir()
    pq.write_table(pa.concat_tables([table.slice(0, 24), table.slice(48)]), tmp_path / "cut" / "a.parquet")
    (tmp_path / "exclude.jsonl").write_text(json.dumps({**SERIES, **DAY}))
    forests = []
    for name, arguments in (("whole", ["--exclude", str(tmp_path / "exclude.jsonl")]), ("cut", [])):
        folder = tmp_path / f"{name}-model"
        given = ["--n_estimators", "10", "--train", str(tmp_path / name), "--model-dir", str(folder)]
        assert main([*given, *arguments]) == 0
        forests.append((folder / "model.joblib").read_bytes())
    assert forests[0] == forests[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b", "exclude.jsonl, line 1 of the exclude channel is not JSON"),
        (
            "[]",
            "line 1 of the exclude channel is []; an object with start_hour_utc, end_hour_utc and any of account_id",
        ),
        ('{"bucket": "media"}', "line 1 of the exclude channel has 'bucket'; an object with start_hour_utc"),
        (json.dumps(DAY | {"account_id": 111122223333}), "account_id is 111122223333; use a text"),
        (json.dumps({"start_hour_utc": DAY["start_hour_utc"]}), "end_hour_utc is ''; use a UTC hour such as"),
        (json.dumps(DAY | {"start_hour_utc": "2026-10-02T00:30:00Z"}), "start_hour_utc is '2026-10-02T00:30:00Z'; use"),
        (json.dumps(DAY | {"start_hour_utc": "2026-13-02T00:00:00Z"}), "start_hour_utc is '2026-13-02T00:00:00Z'; use"),
        (json.dumps(DAY | {"end_hour_utc": "2026-10-01T00:00:00Z"}), "ends at 2026-10-01T00:00:00Z, before 2026-10-02"),
        (
            json.dumps(DAY | {"end_hour_utc": "2027-01-01T00:00:00Z", "start_hour_utc": "2026-01-01T00:00:00Z"}),
            "all 240",
        ),
    ],
)
def test_an_exclude_channel_that_makes_no_sense_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    write_series(tmp_path / "train" / "a.parquet")
    (tmp_path / "exclude.jsonl").write_text(text)
    given = ["--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "model")]
    assert main([*given, "--exclude", str(tmp_path / "exclude.jsonl")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert sentence in error
    assert not (tmp_path / "model").exists()


def test_rows_without_the_keys_cannot_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(100))
    (tmp_path / "exclude.jsonl").write_text(json.dumps({**SERIES, **DAY}))
    given = ["--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "model")]
    assert main([*given, "--exclude", str(tmp_path / "exclude.jsonl")]) == 2
    assert "a.parquet has no column account_id, which the exclude channel uses" in capsys.readouterr().err


def labelled_csv(path: Path, values: np.ndarray, target: list[object] | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(values.astype(np.float64), columns=NAMES)
    frame.insert(0, "account_id", "011122223333")
    frame.insert(1, "hour_utc", pd.date_range("2026-01-01", periods=len(values), freq="h", tz="UTC"))
    if target is not None:
        frame["target"] = target
    frame.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")


def test_training_reads_csv_and_ranks_what_the_target_says(tmp_path: Path) -> None:
    values = matrix(400)
    values[::20] += 4
    target = [int(row % 20 == 0) for row in range(400)]
    labelled_csv(tmp_path / "csv" / "a.csv", values[:150], target[:150])
    labelled_csv(tmp_path / "csv" / "b.csv.gz", values[150:], target[150:])
    write_part(tmp_path / "parquet" / "a.parquet", values, with_schema=False)
    found = {}
    for kind in ("csv", "parquet"):
        assert main(["--train", str(tmp_path / kind), "--model-dir", str(tmp_path / f"{kind}-model")]) == 0
        found[kind] = json.loads((tmp_path / f"{kind}-model" / "manifest.json").read_text())
    assert found["csv"]["feature_names"] == found["parquet"]["feature_names"] == NAMES
    assert found["csv"]["threshold"] == found["parquet"]["threshold"]
    assert found["csv"]["training"]["start_hour_utc"] == "2026-01-01T00:00:00Z"
    labels = found["csv"]["metrics"]["labels"]
    forest = joblib.load(tmp_path / "csv-model" / "model.joblib")
    rank = -forest.decision_function(named(forest, values))
    assert (labels["rows"], labels["anomalies"]) == (400, 20)
    assert labels["auroc"] == pytest.approx(roc_auc_score(target, rank))
    assert labels["average_precision"] == pytest.approx(average_precision_score(target, rank))
    assert labels["auroc"] > 0.95
    assert "labels" not in found["parquet"]["metrics"]


@pytest.mark.parametrize("target", [[0] * 60, [None] * 60, ["yes"] * 60, None])
def test_a_target_without_both_labels_is_neither_feature_nor_metric(
    tmp_path: Path, target: list[object] | None
) -> None:
    labelled_csv(tmp_path / "train" / "a.csv", matrix(60), target)
    assert main(["--train", str(tmp_path / "train"), "--model-dir", str(tmp_path / "model")]) == 0
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["feature_names"] == NAMES
    assert "labels" not in manifest["metrics"]


@pytest.mark.parametrize("content", ["a,b\n1\n", "a,a\n1,2\n", "a,b\n", "\u00e9"])
def test_csv_that_is_no_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    assert main(["--train", str(tmp_path / "a.csv"), "--model-dir", str(tmp_path / "model")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_calibration_counts_the_rows_that_tell_something(tmp_path: Path) -> None:
    for nonzero in (0, 3):
        values = np.zeros((300, len(NAMES)), np.float32)
        values[:nonzero] = matrix(nonzero) if nonzero else 0
        write_part(tmp_path / str(nonzero) / "train" / "a.parquet", values)
        done = run_training_script(tmp_path / str(nonzero) / "train", tmp_path / str(nonzero) / "model")
        assert done.returncode == 0, done.stderr
        manifest = json.loads((tmp_path / str(nonzero) / "model" / "manifest.json").read_text())
        assert manifest["calibration"]["rows"] == nonzero
