"""Flow logs on the command line: with a bill, without one, and invalid input."""

import gzip
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.bill import START, line, write_parquet
from tests.support.flow_logs import write_flow_logs
from tests.support.flow_records import sent

pytestmark = pytest.mark.integration


def sentinel(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})


def test_flow_logs_beside_a_bill_and_alone(tmp_path: Path) -> None:
    lines = [line(h, 2.0, product_code="AmazonEC2", resource_id="i-0a") for h in range(240)]
    whole, short = (write_parquet(tmp_path / f"{n}.parquet", lines[:n]) for n in (240, 220))
    window = {"start": START, "end": START + timedelta(hours=240)}
    logs = write_flow_logs([whole], tmp_path / "logs", hive=True, parquet=True, **window)
    options = ["--flow-logs", logs, "--network", logs / "network.json", "--network", logs / "subnets.json"]

    joined = sentinel("features", short, *options, "--bill-complete-until", "2026-09-10T02:00Z", "-o", tmp_path / "j")
    assert joined.returncode == 0, joined.stderr
    assert "from 2026-09-10 02:00 UTC on are estimated" in " ".join(joined.stderr.split())
    assert sum(pq.read_table(tmp_path / "j")["is_estimated"].to_pylist()) == 240 - 218

    alone = sentinel("features", *options, "-o", tmp_path / "a")
    assert alone.returncode == 0, alone.stderr
    assert pq.read_table(tmp_path / "a")["usage_gb"].to_pylist() == [2.0] * 240

    hours = sentinel("flow-hours", logs, "-o", tmp_path / "h")
    assert hours.returncode == 0, hours.stderr
    assert pq.read_table(tmp_path / "h").num_rows == 240


def test_an_export_of_cloudwatch_logs_needs_the_format(tmp_path: Path) -> None:
    fields = ("version", "account-id", "interface-id", "instance-id", "srcaddr", "dstaddr", "bytes", "start", "region")
    records = [sent(hour, 2, "198.51.100.7") for hour in range(240)]
    lines = [" ".join(["2026-09-01T00:00:05.000Z", *(str(record[name]) for name in fields)]) for record in records]
    logs = tmp_path / "exportedlogs" / "0a1b-task" / "eni-0a-all"
    logs.mkdir(parents=True)
    (logs / "000000.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    log_format = ["--flow-log-format", " ".join(f"${{{name}}}" for name in fields)]
    for command in (["features", "--flow-logs", logs.parent], ["flow-hours", logs.parent]):
        refused = sentinel(*command, "-o", tmp_path / "out")
        assert refused.returncode == 2
        assert "--flow-log-format" in refused.stderr
        done = sentinel(*command, *log_format, "-o", tmp_path / "out.parquet")
        assert done.returncode == 0, done.stderr
        assert pq.read_table(tmp_path / "out.parquet").num_rows == 240


def test_what_makes_no_sense_is_one_sentence(tmp_path: Path) -> None:
    for arguments, sentence in (
        (["features"], "nothing to read"),
        (["features", "--prices", tmp_path / "p.json"], "give --flow-logs PATH"),
        (["features", "--flow-log-format", "default"], "give --flow-logs PATH"),
        (["run", "--flow-logs", tmp_path], "no flow log in"),
    ):
        done = sentinel(*arguments, "-o", tmp_path / "out")
        assert done.returncode == 2
        assert sentence in done.stderr
        assert not (tmp_path / "out").exists()
