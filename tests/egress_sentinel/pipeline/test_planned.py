"""A calendar of planned events: read, checked, handed to the detector, left out of training."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from egress_alerts.planned import read_calendar
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.planned import read_planned
from egress_sentinel.pipeline.training import train
from tests.egress_sentinel.pipeline.test_feedback import with_keys
from tests.support.models import matrix, write_part

pytestmark = pytest.mark.integration

FILE = """
[[planned]]
note = "media-prod moves"
from = 2026-10-02
to = 2026-10-02
resource = "media-*"
egress_class = "internet"
max_gb = 500

[[planned]]
note = "the night's copy"
from = 2026-10-03T22:00:00+02:00
to = "2026-10-04T02:00Z"
account = "111122223333"
max_usd = 12.5
"""


def write(folder: Path, text: str, name: str = "planned.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_days_end_at_midnight_and_hours_at_the_given_time(tmp_path: Path) -> None:
    events = read_planned(write(tmp_path, FILE))
    records = [event.record() for event in events]
    assert [(record["from"], record["to"]) for record in records] == [
        ("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
        ("2026-10-03T20:00:00Z", "2026-10-04T02:00:00Z"),
    ]
    assert read_calendar(json.dumps(records)) == events
    assert read_planned(write(tmp_path, json.dumps(records), "planned.json")) == events


def test_the_command_prints_what_terraform_takes(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)
    command = [sys.executable, "-m", "egress_sentinel.cli", "planned", str(path)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [event.record() for event in read_planned(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(text in shown for text in ("media-prod moves", "500 GB", "$12.5", "2026-10-03 20:00"))


def test_training_does_not_see_the_planned_hours(tmp_path: Path) -> None:
    features = with_keys(write_part(tmp_path / "features.parquet", matrix(240)))
    events = read_planned(write(tmp_path, FILE))
    assert train(features, tmp_path / "m.tar.gz", planned=events)["rows"] == 240 - 24 - 6
    elsewhere = [replace(events[0], resource="*other")]
    assert train(features, tmp_path / "m.tar.gz", planned=elsewhere)["rows"] == 240


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('note = "media-prod moves"', "", "planned event 1 has no 'note'; it needs note, from, to, and"),
        ("max_gb = 500", "", "planned event 1 needs max_gb or max_usd"),
        ("max_gb = 500", "max_gb = '500'", "planned event 1: max_gb is '500'; a number of at least 0"),
        ("from = 2026-10-02", "from = 'Friday'", "planned event 1: from is 'Friday'; accepted are a day, 2026-10-14"),
        ("from = 2026-10-02", "from = 2026-10-02T08:30:00Z", "planned event 1: from is '2026-10-02 08:30:00+00:00'"),
        (
            "from = 2026-10-02",
            "from = 2026-10-09",
            "ends at 2026-10-03T00:00:00Z, not after its start",
        ),
        ("resource =", "bucket =", "planned event 1 has 'bucket'; accepted are note, from, to, account"),
        ('"internet"', '"egress"', "planned event 1: egress_class is 'egress'; accepted are internet"),
        ('"111122223333"', "111122223333", "planned event 2: account is 111122223333; a text in quotes is accepted"),
        ("[[planned]]", "[[plan]]", "planned.toml has 'plan'; accepted is [[planned]]"),
        ("from =", "from", "planned.toml is not TOML"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        read_planned(write(tmp_path, FILE.replace(old, new, 1)))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_json_that_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no list of planned events"):
        read_planned(write(tmp_path, "{}", "planned.json"))
