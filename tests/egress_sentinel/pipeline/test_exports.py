"""Exports in S3: what cannot be read is one sentence with the remedy, and nothing is left on the disk."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from egress_features import BadInputError
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.exports import open_exports
from egress_sentinel.progress import Reporter
from tests.support.s3 import MODIFIED, FakeS3, fake_s3

BILL = "s3://bills/cur"
KEYS = {"cur/a.parquet": b"a" * 3_000_000, "cur/b.csv": b"b", "cur/empty.csv": b"", "cur/": b"", "cur/_SUCCESS": b"x"}


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    (tmp_path / "temporary").mkdir()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with fake_s3(dict(KEYS)) as fake:
        for name, value in fake.environment(tmp_path / "temporary").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("tempfile.tempdir", None)
        yield fake
        assert list((tmp_path / "temporary").iterdir()) == []


def contents(*arguments: str) -> dict[str, bytes]:
    """Return what the arguments come to, by the address that is shown."""
    with open_exports(arguments, Reporter(Console(file=io.StringIO()))) as found:
        return {found.shown(str(path)): path.read_bytes() for path in found.files()}


def refused(*arguments: str) -> str:
    with pytest.raises((UserError, BadInputError)) as caught:
        contents(*arguments)
    sentence = str(caught.value)
    assert "egress-sentinel-" not in sentence
    assert "\n" not in sentence
    return sentence


def test_folder_file_and_glob(s3: FakeS3) -> None:
    a, b, empty = (f"{BILL}/{name}" for name in ("a.parquet", "b.csv", "empty.csv"))
    everything = {a: KEYS["cur/a.parquet"], b: b"b", empty: b""}
    assert contents(BILL) == contents(f"{BILL}/") == contents("s3://bills") == everything
    assert contents(b) == contents(b, f"{BILL}/b*") == {b: b"b"}
    assert contents("s3://bills/c*/*.csv") == contents("s3://bills/**/*.csv") == {b: b"b", empty: b""}


def test_local_files_are_mixed_in_and_stay(s3: FakeS3, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_bytes(b"mine")
    assert contents(str(mine), f"{BILL}/b.csv") == {str(mine): b"mine", f"{BILL}/b.csv": b"b"}
    assert mine.exists()


def test_files_have_the_times_of_their_objects(s3: FakeS3) -> None:
    with open_exports([BILL], Reporter(Console(file=io.StringIO()))) as found:
        assert {path.stat().st_mtime for path in found.files()} == {MODIFIED}


def test_a_key_with_an_empty_part_is_read(s3: FakeS3) -> None:
    s3.objects = {"cur//report/a.csv": b"a"}
    assert contents("s3://bills/cur/") == contents("s3://bills/cur//report") == {"s3://bills/cur/report/a.csv": b"a"}


def test_an_interrupted_download_resumes(s3: FakeS3) -> None:
    s3.cuts, s3.cut_at = 3, 700_000
    assert contents(f"{BILL}/a.parquet") == {f"{BILL}/a.parquet": KEYS["cur/a.parquet"]}
    assert s3.ranges == ["", "bytes=700000-", "bytes=1400000-", "bytes=2100000-"]


def test_a_download_that_always_breaks_off_is_one_sentence(s3: FakeS3) -> None:
    s3.cuts, s3.cut_at = 100, 0
    assert refused(f"{BILL}/a.parquet").startswith(f"cannot read {BILL}/a.parquet: ")


def test_progress(s3: FakeS3) -> None:
    shown = io.StringIO()
    with open_exports([BILL], Reporter(Console(file=shown, width=200, force_terminal=True))) as found:
        files = found.files()
    assert f"4 objects under {BILL}" in shown.getvalue()
    assert f"{len(files)} of {len(files)} files (3.0 MB of 3.0 MB)" in shown.getvalue()
    assert "3 files, 3.0 MB" in shown.getvalue()


def test_an_object_that_is_replaced_after_the_listing(s3: FakeS3) -> None:
    """Part of it may have been read, and the manifest may name other files by now."""
    with open_exports([BILL], Reporter(Console(file=io.StringIO()))) as found:
        s3.objects["cur/b.csv"] = b"c"
        with pytest.raises(UserError, match=r"^s3://bills/cur/b\.csv was replaced or deleted while it was read: run"):
            found.files()


def test_a_bucket_of_another_region_is_read_there(s3: FakeS3) -> None:
    s3.list_error, s3.errors = (301, "PermanentRedirect", "Elsewhere", {"x-amz-bucket-region": "eu-south-2"}), 1
    assert contents(f"{BILL}/b.csv") == {f"{BILL}/b.csv": b"b"}


USER = "arn:aws:sts::111122223333:assumed-role/Finance/eve"


@pytest.mark.parametrize(
    ("which", "error", "message"),
    [
        (
            "list",
            (403, "AccessDenied", "Access Denied", {}),
            f"access to {BILL} is denied: your credentials may not use s3:ListBucket on the bucket bills; allow it",
        ),
        (
            "get",
            (403, "AccessDenied", "Access Denied", {}),
            " is denied: your credentials may not use s3:GetObject on the "
            "bucket bills; allow it in the IAM policy, or choose other credentials with AWS_PROFILE",
        ),
        (
            "get",
            (403, "AccessDenied", f"User: {USER} is not authorized to perform: kms:Decrypt on resource: arn:...", {}),
            f"is denied: {USER} may not use kms:Decrypt; allow it in",
        ),
        ("list", (404, "NoSuchBucket", "The specified bucket does not exist", {}), "there is no bucket bills: check"),
        ("list", (400, "ExpiredToken", "The token has expired", {}), "session for s3://bills/cur has expired: sign in"),
        ("list", (403, "InvalidAccessKeyId", "not in our records", {}), "does not accept the credentials for s3://"),
        (
            "list",
            (301, "PermanentRedirect", "Use another endpoint", {"x-amz-bucket-region": "eu-south-2"}),
            "the bucket bills is in the region eu-south-2: set AWS_REGION",
        ),
        ("get", (404, "NoSuchKey", "The specified key does not exist.", {}), "was replaced or deleted while it was"),
        ("get", (403, "InvalidObjectState", "storage class", {}), "is archived and cannot be read: restore it"),
        ("list", (400, "SomethingElse", "Why not", {}), f"S3 refuses {BILL}: An error occurred (SomethingElse)"),
    ],
)
def test_what_s3_refuses_is_one_sentence(
    s3: FakeS3, which: str, error: tuple[int, str, str, dict[str, str]], message: str
) -> None:
    setattr(s3, f"{which}_error", error)
    assert message in refused(BILL)


def test_without_credentials(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refused(BILL) == (
        "there are no AWS credentials for s3://bills/cur: sign in (`aws sso login`) and set AWS_PROFILE, or set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def test_a_session_of_sso_that_has_ended(s3: FakeS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "config").write_text(
        "[profile finance]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "finance")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refused(BILL).startswith("the AWS session for s3://bills/cur has expired: sign in again (`aws sso login`)")
    monkeypatch.setenv("AWS_PROFILE", "unknown")
    assert "The config profile (unknown) could not be found: set AWS_PROFILE to one of" in refused(BILL)


def test_an_endpoint_that_is_none_or_does_not_answer(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert refused(BILL).startswith("cannot reach S3 for s3://bills/cur: ")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "127.0.0.1:9")
    assert refused(BILL) == "Invalid endpoint: 127.0.0.1:9: AWS_ENDPOINT_URL needs a URL such as http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://bills/other", "there is nothing under s3://bills/other: give the folder of an export"),
        ("s3://bills/cu", "there is nothing under s3://bills/cu: "),
        ("s3://bills/cur/*.gz", "no billing export in s3://bills/cur/*.gz"),
        ("s3://", "s3:// names no bucket: give s3://BUCKET/PREFIX"),
        ("s3://b!/x", "s3://b!/x names no bucket that S3 could have"),
        ("s3://bills/cur/../x", "has '..' in it"),
    ],
)
def test_addresses_that_name_nothing(s3: FakeS3, address: str, message: str) -> None:
    assert message in refused(address)


def test_keys_that_no_folder_can_hold(s3: FakeS3) -> None:
    s3.objects = {"cur/a/b.csv": b"", "cur//a/b.csv": b""}
    assert "would be the same local file" in refused(BILL)
    s3.objects = {"cur/a.csv": b"", "cur/a.csv/b.csv": b""}
    assert refused(BILL).startswith("s3://bills/cur/a.csv/b.csv cannot be a local file: ")
    s3.objects = {"cur/../../../../escaped.csv": b"x"}
    assert "has '..' in it" in refused(BILL)


def test_a_disk_without_the_space(s3: FakeS3) -> None:
    s3.sizes["cur/a.parquet"] = 10**17
    sentence = refused(BILL)
    assert sentence.startswith("the files from S3 need 100,000,000.0 GB and ")
    assert sentence.endswith("GB free: set TMPDIR to a folder on a larger disk, or give fewer files")
    assert s3.ranges == []


def test_errors_of_what_reads_the_files_name_their_addresses(s3: FakeS3) -> None:
    with (
        pytest.raises(BadInputError, match=r"^s3://bills/cur/b\.csv is no bill$"),
        open_exports([f"{BILL}/b.csv"], Reporter(Console(file=io.StringIO()))) as found,
    ):
        raise BadInputError(f"{found.files()[0]} is no bill")
