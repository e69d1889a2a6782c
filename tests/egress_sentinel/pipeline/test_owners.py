"""Owner rules: read from a file, checked by the command, and shown with the alerts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egress_alerts.routing import OwnerRule, read_owners
from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline import owners
from tests.support.alerts import alert_record

pytestmark = pytest.mark.integration

FILE = """
[[owners]]
team = "team-media"
channel = "#media"
tags = { owner = "media*" }
accounts = ["210987654321", "prod-*"]

[[owners]]
team = "finops"
"""


def write(folder: Path, text: str, name: str = "owners.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def sentinel(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_rules_are_read_from_toml_and_json(tmp_path: Path) -> None:
    rules = owners.read_owners(write(tmp_path, FILE))
    assert rules == [
        OwnerRule("team-media", "#media", {"owner": "media*"}, accounts=("210987654321", "prod-*")),
        OwnerRule("finops"),
    ]
    records = json.dumps([rule.record() for rule in rules])
    assert owners.read_owners(write(tmp_path, records, "owners.json")) == rules
    assert read_owners(records) == rules


def test_the_command_lists_the_rules_and_prints_what_terraform_takes(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)
    assert json.loads(sentinel("owners", path, "--json").stdout) == [rule.record() for rule in owners.read_owners(path)]
    shown = sentinel("owners", path).stdout
    assert all(text in shown for text in ("team-media", "#media", "owner=media*", "210987654321, prod-*", "finops"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('team = "finops"', "", "owners.toml: owner rule 2 has no team; add one"),
        ("accounts", "account", "owners.toml: owner rule 1 has 'account'; accepted are team, channel, tags, accounts"),
        ("[[owners]]", "[[owner]]", "owners.toml has 'owner'; accepted is [[owners]], once for each entry"),
        ("team =", "team", "owners.toml is not TOML"),
        ('accounts = ["210987654321", "prod-*"]', 'egress_classes = ["wan"]', "egress_class is 'wan'; accepted are"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        owners.read_owners(write(tmp_path, FILE.replace(old, new)))
    assert sentence in str(error.value)


def test_a_bad_file_ends_with_one_sentence_and_status_2(tmp_path: Path) -> None:
    path = write(tmp_path, FILE.replace("team-media", ""))
    for command in (["owners", path], ["run", tmp_path, "--owners", path], ["score", tmp_path, "--owners", path]):
        done = sentinel(*command)
        assert done.returncode == 2, done.stderr
        assert "owner rule 1 has no team" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_shows_the_owner(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("egress_sentinel.cli.output._PIPED_WIDTH", columns)
    alerts = [alert_record(owner="team-media", owner_source="tag owner"), alert_record("f" * 16)]
    print_alerts(alerts, as_json=False, file=Path("alerts.json"))
    assert capsys.readouterr().out.count("owner: team-media (tag owner)") == 1
