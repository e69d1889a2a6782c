"""NAB's scoring rule, by hand and against a second implementation that equals NAB's own scorer."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.nab_scoring import PROFILES, LabelledSeries, Profile, read_corpus, score
from tests.support.sample_data import sample

ROOT = Path(__file__).resolve().parents[2]
STANDARD = PROFILES["standard"]


def labelled(rows: int, *windows: tuple[int, int]) -> LabelledSeries:
    times = pd.date_range("2026-01-01", periods=rows, freq="5min")
    return LabelledSeries(pd.DataFrame({"timestamp": times, "value": 0.0}), list(windows))


def scores(rows: int, *alerts: int) -> np.ndarray:
    found = np.zeros(rows)
    found[list(alerts)] = 1
    return found


def of(alerts: list[int], profile: Profile = STANDARD) -> float:
    corpus = {"a/one.csv": labelled(200, (100, 119)), "a/two.csv": labelled(200)}
    return score(corpus, {"a/one.csv": scores(200, *alerts), "a/two.csv": scores(200)}, profile).score


def test_silence_is_0_and_the_first_row_of_each_window_is_100() -> None:
    assert of([]) == 0
    assert of([100]) == pytest.approx(100)


def test_later_is_worth_less_and_a_window_counts_once() -> None:
    assert 50 < of([119]) < of([110]) < 100
    assert of([110, 111, 115]) == of([110])


def test_a_false_alert_costs_more_the_farther_it_is_behind_a_window() -> None:
    assert of([100]) > of([100, 121]) > of([100, 150]) > of([100, 190])
    # Far behind costs the whole weight, on a scale of two points for one window.
    assert of([100, 190]) == pytest.approx(100 * (2 - 0.11) / 2)
    assert of([100, 50], PROFILES["reward low FP"]) == pytest.approx(100 * (2 - 0.22) / 2)


def test_probation_is_not_scored() -> None:
    assert of([100, 5, 20]) == of([100])


def test_a_left_out_threshold_is_chosen_on_the_others() -> None:
    corpus = {name: labelled(200, (100, 119)) for name in ("a/1.csv", "a/2.csv", "a/3.csv")}
    heights = {name: 0.5 * scores(200, 100) for name in corpus}
    heights["a/3.csv"] = 0.2 * scores(200, 100) + 0.15 * scores(200, *range(30, 90))
    report = score(corpus, heights, STANDARD)
    assert report.threshold == 0.2
    assert report.score == pytest.approx(100)
    assert report.score_left_out == pytest.approx(200 / 3)


def test_it_scores_as_a_second_implementation_does() -> None:
    corpus = read_corpus(sample("nab"))
    path = sample("nab").parents[1] / "tools" / "nab" / "nabscore.py"
    spec = importlib.util.spec_from_file_location("nabscore", path)
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    other = theirs.Scorer(theirs.Corpus(str(sample("nab"))))
    assert {name: series.windows for name, series in corpus.items()} == other.corpus.windows
    rng = np.random.default_rng(0)
    values = {name: series.table["value"].rank(pct=True).round(2).to_numpy() for name, series in corpus.items()}
    given = {name: np.where(rng.random(len(value)) < 0.002, value, 0.0) for name, value in values.items()}
    names = {"reward low FP": "reward_low_FP_rate", "reward low FN": "reward_low_FN_rate"}
    for profile, weights in PROFILES.items():
        ours, expected = score(corpus, given, weights), other.score(given, names.get(profile, profile))
        assert ours.score == pytest.approx(expected["score"], abs=1e-9)
        assert ours.score > 5
        assert (ours.found, ours.false_rows) == (expected["detected_windows"], expected["fp_rows"])
        # It tries fewer thresholds, and takes another one of those that are as good.
        assert ours.score_left_out == pytest.approx(expected["score_loo"], abs=0.5)


def test_the_benchmark_prints_both_on_a_corpus(tmp_path: Path) -> None:
    """A small clone: one group, one file with an obvious incident."""
    (tmp_path / "data" / "made").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    rng = np.random.default_rng(0)
    times = pd.date_range("2026-01-01", periods=1200, freq="h")
    values = 100 + 30 * np.sin(np.arange(1200) / 24 * 2 * np.pi) + rng.normal(0, 3, 1200)
    values[900:920] += 200
    pd.DataFrame({"timestamp": times, "value": values}).to_csv(tmp_path / "data" / "made" / "one.csv", index=False)
    window = [[str(times[895]), str(times[940])]]
    (tmp_path / "labels" / "combined_windows.json").write_text(
        json.dumps({"made/one.csv": window, "gone/other.csv": []})
    )
    command = [sys.executable, "-m", "benchmarks.nab", str(tmp_path), "--json", "--trees", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found) == {"benchmarks.nab:detect", "benchmarks.nab:tutorial"}
    assert found["benchmarks.nab:detect"]["standard"]["found"] == 1
    assert found["benchmarks.nab:detect"]["standard"]["score"] > 80
