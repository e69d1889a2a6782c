"""Exports in S3, through the commands, against the local S3: what local files give, and nothing left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.support.bill import START, line, steady, write_parquet
from tests.support.s3 import fake_s3

pytestmark = pytest.mark.integration

SENTINEL = Path(sys.executable).parent / "egress-sentinel"
BUCKET = "billing-exports"
EXPORT = "deep/prefix/export"
MONTH = "BILLING_PERIOD=2026-09"
SPLIT = START + timedelta(days=10)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield aws


@contextlib.contextmanager
def temporary_files() -> Iterator[dict[str, str]]:
    """Give the variable of a folder for temporary files, which is empty at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"TMPDIR": folder}
        assert not list(Path(folder).iterdir())


def sentinel(aws: LocalAws, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    with temporary_files() as temporary:
        return subprocess.run(
            [SENTINEL, *map(str, arguments)],
            env=os.environ | aws.environment() | temporary | environment,
            capture_output=True,
            text=True,
            check=False,
        )


def done(aws: LocalAws, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    ended = sentinel(aws, *arguments, **environment)
    assert ended.returncode == 0, ended.stderr
    return ended


def upload(aws: LocalAws, folder: Path, prefix: str) -> str:
    """Upload a folder; return its address."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            aws.client("s3").upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
    return f"s3://{BUCKET}/{prefix}"


def keys_read(aws: LocalAws, prefix: str, access_key: str = "") -> set[str]:
    """Return the keys below a prefix that GetObject was asked for."""
    with urllib.request.urlopen(f"{aws.url}/local/requests") as answer:
        requests = json.loads(answer.read())
    paths = [
        r["path"].partition("?")[0]
        for r in requests
        if r["method"] == "GET" and r["service"] == "s3" and access_key in r["access_key"]
    ]
    start = f"/{BUCKET}/{prefix}/"
    return {path.removeprefix(start).replace("%3D", "=") for path in paths if path.startswith(start)}


def execution(day: int) -> str:
    return f"2026-09-{day:02}T13:05:00.443Z-f9ecf539-bfc5-4494-a1a0-{day:02}c5add5d2cb"


def deliveries(folder: Path, days: tuple[int, ...], rows: list[dict[str, Any]]) -> Path:
    """Write what AWS keeps of a create-new export: an execution a day, each with what there was by then."""
    for day in days:
        moment = datetime(2026, 9, day, 13, 5, tzinfo=UTC)
        data = folder / "data" / MONTH / execution(day)
        data.mkdir(parents=True)
        name = "export-00001.snappy.parquet"
        write_parquet(data / name, [row for row in rows if row["line_item_usage_start_date"] < moment])
        manifest = folder / "metadata" / MONTH / execution(day) / "export-Manifest.json"
        manifest.parent.mkdir(parents=True)
        keys = [f"s3://elsewhere/{EXPORT}/data/{MONTH}/{execution(day)}/{name}"]
        manifest.write_text(json.dumps({"dataFiles": keys}))
    return folder


def test_features_are_those_of_local_files(aws: LocalAws, tmp_path: Path) -> None:
    folder, local = tmp_path / "parts", tmp_path / "local.parquet"
    (folder / "deep").mkdir(parents=True)
    rows = steady()
    one = write_parquet(folder / "one.parquet", [row for row in rows if row["line_item_usage_start_date"] < SPLIT])
    rest = [row | {"bill_payer_account_id": "1"} for row in steady(gb=5.0)]
    write_parquet(folder / "deep" / "two.parquet", rest)
    (folder / "_SUCCESS").write_text("")
    (folder / "notes.txt").write_text("not a bill")
    address = upload(aws, folder, "parts")
    done(aws, "features", folder, "-o", local)
    for name, arguments in {
        "folder": [address],
        "files": [f"{address}/one.parquet", f"{address}/deep/two.parquet"],
        "glob": [f"{address}/**/*.parquet"],
        "mixed": [one, f"{address}/deep"],
    }.items():
        output = tmp_path / f"{name}.parquet"
        ended = done(aws, "features", *arguments, "-o", output)
        assert output.read_bytes() == local.read_bytes(), name
        assert "download" in ended.stderr
    assert keys_read(aws, "parts") == {"one.parquet", "deep/two.parquet"}


def test_only_the_newest_delivery_is_read(aws: LocalAws, tmp_path: Path) -> None:
    export = deliveries(tmp_path / "export", (11, 12), steady(24 * 12))
    address = upload(aws, export, EXPORT)
    local, there = (json.loads(done(aws, "sources", place, "--json").stdout) for place in (export, address))
    (file,) = there["files"]
    name = f"data/{MONTH}/{execution(12)}/export-00001.snappy.parquet"
    assert file["file"] == f"{address}/{name}"
    assert there == json.loads(json.dumps(local).replace(str(export), address))
    read = keys_read(aws, EXPORT)
    assert {key for key in read if key.endswith(".parquet")} == {name}
    assert len(read) == 3  # and both manifests


def test_tables_notes_and_errors_show_addresses(aws: LocalAws, tmp_path: Path) -> None:
    """Without manifests the two executions are one bill, delivered twice."""
    export = deliveries(tmp_path / "export", (11, 12), steady(24 * 12))
    address = upload(aws, export / "data", "no-manifests/data")
    for ended in (
        done(aws, "sources", address),
        done(aws, "features", address, "-o", tmp_path / "f.parquet", "--json"),
    ):
        output = "".join((ended.stderr + ended.stdout).split())
        assert f"{address}/{MONTH}/{execution(12)}" in output
        assert "egress-sentinel-" not in output
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "broken.csv").write_text("a,b\n1,2\n")
    ended = sentinel(aws, "features", upload(aws, broken, "broken"), "-o", tmp_path / "g.parquet")
    assert ended.returncode == 2
    assert f"s3://{BUCKET}/broken/broken.csv" in ended.stderr.splitlines()[-1]


def test_of_two_deliveries_without_times_the_later_object_counts(aws: LocalAws, tmp_path: Path) -> None:
    """The later one comes first in the listing."""
    for number in (1, 2):
        folder = tmp_path / f"delivery-{number}"
        folder.mkdir()
        write_parquet(folder / "bill.parquet", steady(gb=number))
    upload(aws, tmp_path / "delivery-2", "twice/delivery-2")
    past_the_second(aws)
    upload(aws, tmp_path / "delivery-1", "twice/delivery-1")
    ended = done(aws, "features", f"s3://{BUCKET}/twice", "-o", tmp_path / "f.parquet")
    note = " ".join(ended.stderr.split())
    assert f"s3://{BUCKET}/twice/delivery-1/bill.parquet is the newest" in note


def past_the_second(aws: LocalAws) -> None:
    """Write an object until it is a second younger than the first: S3 keeps whole seconds."""
    s3, seen = aws.client("s3"), set()
    while len(seen) < 2:
        s3.put_object(Bucket=BUCKET, Key="clock", Body=b"")
        seen.add(s3.head_object(Bucket=BUCKET, Key="clock")["LastModified"])


@pytest.mark.slow
def test_run_does_the_whole_job(aws: LocalAws, tmp_path: Path) -> None:
    folder = tmp_path / "bill"
    folder.mkdir()
    rows = [line(hour, 2.0 + (60.0 if 500 <= hour < 530 else 0.1 * (hour % 7))) for hour in range(24 * 24)]
    write_parquet(folder / "bill.parquet", rows)
    address = upload(aws, folder, "bill")
    printed = [
        done(aws, "run", place, "-o", tmp_path / f"out-{number}", "--json", "--n-estimators", "20").stdout
        for number, place in enumerate((folder, address))
    ]
    assert printed[0] == printed[1]
    assert len(json.loads(printed[0])) == 1


@pytest.mark.slow
def test_backtest_replays_the_deliveries_of_a_bucket_and_downloads_only_those(aws: LocalAws, tmp_path: Path) -> None:
    rows = [line(hour, 2.0 + (60.0 if 400 <= hour < 430 else 0.1 * (hour % 7))) for hour in range(24 * 20)]
    days = (16, 17, 18, 19)
    export = deliveries(tmp_path / "export", days, rows)
    address = upload(aws, export, "backtest")
    options = ("--json", "--n-estimators", "20", "--lag-hours", "0", "--as-of", "2026-09-19")
    printed = [
        done(aws, "backtest", place, "-o", tmp_path / f"out-{number}", *options).stdout
        for number, place in enumerate((export, address))
    ]
    assert printed[0] == printed[1]
    assert json.loads(printed[0])["deliveries"] == 3
    read = {key.split("/")[2] for key in keys_read(aws, "backtest") if key.endswith(".parquet")}
    assert read == {execution(day) for day in days[:3]}


def test_a_profile_with_a_role(aws: LocalAws, tmp_path: Path) -> None:
    folder = tmp_path / "bill"
    folder.mkdir()
    write_parquet(folder / "bill.parquet", steady())
    address = upload(aws, folder, "role")
    (tmp_path / "config").write_text(
        "[profile finance]\nrole_arn = arn:aws:iam::123456789012:role/Finance\nsource_profile = me\n"
        "[profile me]\naws_access_key_id = mine\naws_secret_access_key = secret\n"
    )
    environment = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "finance"}
    without_keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done(aws, "features", address, "-o", tmp_path / "f.parquet", **environment, **without_keys)
    # What STS gives is temporary, and begins so.
    assert keys_read(aws, "role", access_key="ASIA") == {"bill.parquet"}


def test_what_cannot_be_read_ends_with_status_2_and_one_sentence(aws: LocalAws, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "out")
    for command in (["run", *out], ["features", *out], ["backtest", *out], ["sources"]):
        name, *options = command
        ended = sentinel(aws, name, "s3://no-such-bucket/cur", *options)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.splitlines() == [
            "egress-sentinel: there is no bucket no-such-bucket: check the name in s3://no-such-bucket/cur, and the "
            "account (AWS_PROFILE)"
        ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_download_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with fake_s3({f"cur/{n}.parquet": b"x" * 5_000_000 for n in range(20)}) as fake, temporary_files() as temporary:
        fake.stalls = True
        environment = os.environ | fake.environment(Path(temporary["TMPDIR"]))
        command = [SENTINEL, "run", "s3://bills/cur", "-o", tmp_path / "out"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert fake.stalled.wait(60)
            (folder,) = Path(temporary["TMPDIR"]).iterdir()
            assert list(folder.rglob("*.parquet"))
            process.send_signal(number)
            fake.ended.set()  # else it would wait for the connections' end
            _, stderr = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "Traceback" not in stderr
        assert list(tmp_path.iterdir()) == []
