"""Log files of CloudTrail on one machine: folders of a trail, gzipped or not, and other files."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.cloudtrail import changes_in
from tests.support.alerts import alert_record
from tests.support.cloudtrail import record

CAUSE = record("PutBucketPolicy", "2026-10-02T01:48:11Z", names="media-prod")
ALERT = alert_record(incident_class="hot_link")


def log_file(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"Records": records}).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_a_folder_of_a_trail_is_read_at_any_depth(tmp_path: Path) -> None:
    log_file(tmp_path / "111122223333" / "CloudTrail" / "eu-west-1" / "2026" / "10" / "02" / "a.json.gz", CAUSE)
    log_file(
        tmp_path / "111122223333" / "CloudTrail" / "eu-west-1" / "b.json", record("CreateTags", CAUSE["eventTime"])
    )
    digests = tmp_path / "111122223333" / "CloudTrail-Digest"
    digests.mkdir()
    (digests / "c.json.gz").write_bytes(gzip.compress(b'{"digestStartTime": ""}'))
    (tmp_path / "notes.txt").write_text("no log")
    changes, note = changes_in([tmp_path])(ALERT)
    assert ([change["event_name"] for change in changes], note) == (["PutBucketPolicy"], "")


def test_an_event_in_two_files_is_one(tmp_path: Path) -> None:
    files = [log_file(tmp_path / name, *([CAUSE] * 10)) for name in ("a.json", "b.json.gz")]
    assert len(changes_in(files)(ALERT)[0]) == 1


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("a.json", b"[]", r'a\.json is no log file of CloudTrail; one is JSON: \{"Records": \[\.\.\.\]\}$'),
        ("a.json", b"no JSON", "is no log file of CloudTrail"),
        ("a.json", b'{"Records": [{"readOnly": false}]}', "is no log file of CloudTrail"),
        ("a.json.gz", b"not gzipped", "cannot read .*a.json.gz: Not a gzipped file"),
        ("a.json.gz", gzip.compress(b'{"Records": []}')[:-9], "is no log file of CloudTrail"),
        ("a.txt", b"", r"^no \.json or \.json\.gz files in .*; give CloudTrail's log files$"),
    ],
)
def test_what_is_no_log_file_is_one_sentence(tmp_path: Path, name: str, body: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(UserError, match=message):
        changes_in([tmp_path])


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*absent\.json: No such file"):
        changes_in([tmp_path / "absent.json"])
