"""A searched training, and what a model looks at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egress_sentinel.pipeline.search import search
from tests.support.models import NAMES, write_hours
from tests.support.pictures import figure_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hours(tmp_path_factory.mktemp("features") / "features.parquet")


@pytest.fixture(scope="module")
def model(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.tar.gz"
    done = run("train", features, "-o", path, "--n-estimators", "20")
    assert done.returncode == 0, done.stderr
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_best_of_a_search_is_kept(features: Path, tmp_path: Path) -> None:
    shown: list[str] = []

    def track(_title: str, names: list[str]) -> list[str]:
        shown.extend(names)
        return names

    grid = {"n_estimators": ("2", "60"), "max_features": ("1.0",)}
    found = search(features, tmp_path / "model.tar.gz", hyperparameters={"random_state": "1"}, grid=grid, track=track)
    assert shown == ["n_estimators=2, max_features=1.0", "n_estimators=60, max_features=1.0"]
    best, other = found
    assert best.hyperparameters["n_estimators"] == "60"
    assert best.record()["auc"] > other.record()["auc"]
    subprocess.run(["tar", "-xzf", "model.tar.gz", "manifest.json"], cwd=tmp_path, check=True)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["training"]["hyperparameters"]["n_estimators"] == 60
    assert manifest["training"]["hyperparameters"]["random_state"] == 1
    assert manifest["evaluation"]["injected"]["auc"] == best.record()["auc"]


@pytest.mark.parametrize(("mode", "forests"), [("--quick", 2), ("--standard", 4)])
def test_train_quick_and_standard_print_metrics_that_discriminate_and_feature_importance(
    features: Path, tmp_path: Path, mode: str, forests: int
) -> None:
    done = run("train", features, "-o", tmp_path / "model.tar.gz", mode, "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    aucs = [candidate["auc"] for candidate in shown["candidates"]]
    assert len(set(aucs)) == len(aucs) == forests
    assert aucs == sorted(aucs, reverse=True)
    assert aucs[0] < 1
    assert {"average_precision", "recall", "share_flagged"} <= shown["candidates"][0].keys()
    assert sorted(row["feature"] for row in shown["importance"]) == sorted(NAMES)
    assert f"{forests} trainings" in done.stderr
    both = run("train", features, "-o", tmp_path / "model.tar.gz", mode, "--search")
    assert (both.returncode, f"{mode} and --search cannot be combined" in both.stderr) == (2, True)


def test_importance_is_numbers_and_a_picture(model: Path, features: Path, tmp_path: Path) -> None:
    done = run("importance", model, features, "-o", tmp_path / "i.html", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert sorted(row["feature"] for row in rows) == sorted(NAMES)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["splits"] for row in rows] == sorted((row["splits"] for row in rows), reverse=True)
    (bars,), _ = figure_of(tmp_path / "i.html")
    assert list(zip(bars["y"], bars["x"], strict=True)) == [(row["feature"], row["splits"]) for row in rows]
    assert bars["text"][0] == f"{rows[0]['splits']:.2f} splits, {rows[0]['share']:.0%}"


def test_a_picture_of_another_kind_is_refused(model: Path, features: Path, tmp_path: Path) -> None:
    done = run("importance", model, features, "-o", tmp_path / "i.svg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a picture's name ends with .html; i.svg does not" in done.stderr


def test_rows_of_other_columns_are_refused(model: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "a.parquet")
    done = run("importance", model, tmp_path / "a.parquet", "-o", tmp_path / "i.html")
    assert done.returncode == 2
    assert f"has no column {NAMES[0]}, which the model requires" in done.stderr
    assert not (tmp_path / "i.html").exists()
