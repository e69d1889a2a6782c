"""The command for any series, through the command line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from egress_sentinel import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process; return status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["egress-sentinel", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

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
    assert "not in the order of time" in err
    assert "anomaly score" in (tmp_path / "plot.html").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,value\n2026-01-01,1\nyesterday,2\n", "data row 2 of FILE has the timestamp 'yesterday'"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02,high\n", "data row 2 of FILE has the value 'high'"),
        ("timestamp,value\n2026-01-01,inf\n", "data row 1 of FILE has the value 'inf'"),
        ("when,what,who\n1,2,3\n", "FILE has no column 'timestamp'"),
        ("", "cannot read FILE"),
        ("timestamp,value\n2026-01-01,1\n", "the series has 1 rows"),
    ],
)
def test_bad_input_is_one_sentence(text: str, said: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    status, _, err = run("series", path)
    assert status == 2
    assert said.replace("FILE", str(path)) in err
    assert "Traceback" not in err


def test_another_kind_of_picture_is_refused_before_any_work(sensor: Path, run: Run) -> None:
    status, _, err = run("series", sensor, "--plot", "plot.gif")
    assert status == 2
    assert "a plot's name ends with .html or .png; plot.gif does not" in err
