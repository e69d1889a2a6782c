"""`features --bucket`: a history in files of a day each, which the detector reads; interrupted at every call."""

import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from anomaly_detector.feature_rows import feature_descriptions, read_features
from egress_alerts.series import Window, parse_hour
from egress_features import build_features
from egress_sentinel.deployment.feature_upload import upload_days
from egress_sentinel.errors import UserError
from local_aws import LocalAws
from tests.simulation.aws import S3, Direct
from tests.simulation.stepping import Stepping
from tests.support.bill import steady, write_parquet

BUCKET = "features-bucket"
HOURS = 24 * 8 + 5
DAYS = [f"2026-09-0{day}" for day in range(1, 10)]
WINDOW = Window(parse_hour("2026-09-01T00:00:00Z"), parse_hour("2026-09-10T00:00:00Z"))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    build_features([write_parquet(folder / "bill.parquet", steady(HOURS))], folder / "features.parquet")
    return folder / "features.parquet"


def days_of(s3: S3) -> dict[str, list[str]]:
    """Return by key the days of the rows in it."""
    tables = {key: pq.read_table(io.BytesIO(stored.body)) for (_, key), stored in s3.objects.items()}
    return {
        key: sorted({f"{hour:%Y-%m-%d}" for hour in table["hour_utc"].to_pylist()}) for key, table in tables.items()
    }


def test_each_day_is_a_file_in_its_folder_and_the_detector_reads_all_rows(features: Path) -> None:
    s3, shown = S3(Direct()), []

    def track(title: str, days: list[str]) -> list[str]:
        shown.append((title, days))
        return days

    done = upload_days(s3, BUCKET, features, track)
    assert done == (f"s3://{BUCKET}/features/", 9, 0)
    assert shown == [("upload", DAYS)]
    assert days_of(s3) == {f"features/day={day}/features.parquet": [day] for day in DAYS}
    read = read_features(s3, BUCKET, "features/", WINDOW)
    assert not read.faults
    whole = pq.read_table(features)
    assert read.table.num_rows == whole.num_rows
    assert sum(read.table["cost_usd"].to_pylist()) == pytest.approx(sum(whole["cost_usd"].to_pylist()))
    # What each feature means travels in the file.
    assert feature_descriptions(read.table) == feature_descriptions(whole) != {}


def test_the_same_history_again_writes_nothing_and_another_one_only_its_changes(features: Path, tmp_path: Path) -> None:
    s3 = S3(Direct())
    upload_days(s3, BUCKET, features)
    before = dict(s3.objects)
    assert upload_days(s3, BUCKET, features).unchanged == 9
    assert s3.objects == before
    assert all(s3.objects[key] is before[key] for key in before)

    table = pq.read_table(features)
    last_hour = pa.compute.equal(table["hour_utc"], pa.compute.max(table["hour_utc"]))
    restated = tmp_path / "restated.parquet"
    pq.write_table(table.filter(pa.compute.invert(last_hour)), restated)
    assert upload_days(s3, BUCKET, restated).unchanged == 8
    assert [key for _, key in s3.objects if s3.objects[BUCKET, key] is not before[BUCKET, key]] == [
        "features/day=2026-09-09/features.parquet"
    ]


@pytest.mark.parametrize("fault", ["kill before", "kill after", "reset", "refused"])
def test_an_interrupted_upload_leaves_whole_days_and_is_completed(features: Path, fault: str) -> None:
    complete = S3(Direct())
    upload_days(complete, BUCKET, features)
    for number in itertools.count():
        network = Stepping()
        s3 = S3(network)
        ended_well = network.attempt(lambda s3=s3: upload_days(s3, BUCKET, features), number, fault)
        if len(network.names) <= number:
            assert ended_well
            break
        assert not ended_well
        assert all(complete.objects[key].body == stored.body for key, stored in s3.objects.items())
        upload_days(s3, BUCKET, features)
        assert {key: one.body for key, one in s3.objects.items()} == {
            key: one.body for key, one in complete.objects.items()
        }
    assert number == 18


def test_a_history_in_one_folder_is_refused_by_name(features: Path) -> None:
    """The detector asks a folder for its day alone: the other days would never be scored."""
    s3 = S3(Direct())
    s3.store(BUCKET, "features/day=2026-09-01/history.parquet", features.read_bytes())
    read = read_features(s3, BUCKET, "features/", WINDOW)
    assert read.table.num_rows == 0
    ((address, reason),) = read.faults.items()
    assert address.endswith("day=2026-09-01/history.parquet")
    assert reason == (
        "the file has rows of 2026-09-09 and is in the folder of 2026-09-01; write a file for each day, as "
        "`egress-sentinel features --bucket` does"
    )


@pytest.mark.parametrize(("call", "action"), [("head_object", "s3:GetObject"), ("put_object", "s3:PutObject")])
def test_a_denied_call_names_the_permission(features: Path, call: str, action: str) -> None:
    s3 = S3(Direct())

    def denied(**_: Any) -> None:
        operation = "".join(word.title() for word in call.split("_"))
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, operation)

    setattr(s3, call, denied)
    with pytest.raises(UserError, match=f"may not use {action} on the bucket {BUCKET};"):
        upload_days(s3, BUCKET, features)


@pytest.mark.integration
def test_the_command_uploads_and_prints_json(tmp_path: Path) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", steady(HOURS))

    command = [sys.executable, "-m", "egress_sentinel.cli", "features", bill, "-o", tmp_path / "features.parquet"]

    def features(aws: LocalAws, bucket: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--bucket", bucket, *arguments],
            env=os.environ | aws.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        done = features(aws, BUCKET)
        assert done.returncode == 0, done.stderr
        assert f"9 days under s3://{BUCKET}/features/ (0 of them were there already)" in " ".join(done.stderr.split())
        again: dict[str, Any] = json.loads(features(aws, BUCKET, "--json").stdout)
        assert again["uploaded"] == {"address": f"s3://{BUCKET}/features/", "days": 9, "unchanged": 9}
        keys = [entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert keys == [f"features/day={day}/features.parquet" for day in DAYS]
        refused = features(aws, "no-such-bucket")
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].startswith("egress-sentinel: there is no bucket no-such-bucket")
