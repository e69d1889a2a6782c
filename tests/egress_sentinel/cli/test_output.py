"""What a terminal gets of a bill: its letters, and no markup and no commands."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Column

from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.cli.output import print_line, print_table, right, say
from egress_sentinel.progress import Reporter
from tests.support.alerts import alert_record

FIELDS = ("account_id", "account_name", "region", "egress_class", "resource_id")
HOSTILE = "[/x] [red]a[/red] \x1b[2J\x07\x9b1m \u202e[link=x]"


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("field", FIELDS)
def test_an_alert_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], field: str) -> None:
    print_alerts([alert_record(**{field: HOSTILE})], as_json=False, file=Path("alerts.json"))
    shown = capsys.readouterr().out
    assert "[/x]" in shown
    assert is_harmless(shown)


def test_sentences_and_tables_keep_brackets_and_drop_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    print_line(HOSTILE)
    print_table(["name"], [[HOSTILE]])
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert "[/x] [red]a[/red]" in text
        assert is_harmless(text)


def test_progress_shows_file_names_as_they_are() -> None:
    target = io.StringIO()
    reporter = Reporter(Console(file=target, force_terminal=False, width=200))
    with reporter.step("features") as step:
        step.update(HOSTILE)
        step.result = HOSTILE
    reporter.note(HOSTILE)
    assert list(reporter.track("batch", [HOSTILE])) == [HOSTILE]
    assert target.getvalue().count("[/x] [red]a[/red]") == 2
    assert is_harmless(target.getvalue())


@pytest.mark.parametrize("columns", [40, 80, 119, 120, 200])
def test_a_table_that_does_not_fit_is_blocks_that_lack_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("egress_sentinel.cli.output._PIPED_WIDTH", columns)
    arn = "arn:aws:ec2:eu-west-1:1"
    headers = ["", Column("from\nto (UTC)", no_wrap=True), "resource", *(right(f"number {n}") for n in range(4))]
    rows = [
        ["same", "2026-10-17 02:00\n2026-10-17 07:00", f"{arn}{n}", *(f"{n},000.{k}" for k in range(4))] for n in (1, 2)
    ]
    print_table(headers, rows, title="A title")
    print_table(["small"], [["x"]])
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= columns
    assert "A title" in shown
    assert all(text in shown for row in rows for cell in row for text in cell.split("\n"))
    assert ("  to (UTC): 2026-10-17 07:00" in lines) == (columns < 119)
    assert ("  number 3: 2,000.3" in lines) == (columns < 119)
    assert ("┃" in shown.partition("small")[0].rpartition("┏")[0]) == (columns >= 119)
    # What fits is a table at any width.
    assert "│ x     │" in lines


def test_a_long_line_hangs_below_its_start(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress_sentinel.cli.output._PIPED_WIDTH", 20)
    print_line("one two three four five\n- six seven eight nine ten\n  a: eleven twelve thirteen")
    assert capsys.readouterr().out.splitlines() == [
        "one two three four", "five", "- six seven eight", "  nine ten", "  a: eleven twelve", "    thirteen",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [60, 80, 119, 120, 200])
def test_alerts_fit_the_terminal_and_name_their_id_and_the_next_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("egress_sentinel.cli.output._PIPED_WIDTH", columns)
    long = "arn:aws:ec2:eu-west-1:111122223333:natgateway/nat-0123456789abcdef0"
    alerts = [alert_record(f"{number:016x}", resource_id=long) for number in range(2)]
    print_alerts(alerts, as_json=False, file=Path("out/alerts.json"))
    shown = capsys.readouterr()
    assert max(map(len, shown.out.splitlines())) <= columns
    text = shown.out if columns < 120 else shown.out.replace(" ", "")
    for alert in alerts:
        assert text.count(alert["alert_id"]) == 1
    assert ("┃" in shown.out) == (columns >= 120)
    assert ("next step: " in shown.out) == (columns < 120)
    assert shown.err.split("next: ")[1].startswith(
        f"egress-sentinel feedback {alerts[0]['alert_id']} true|false|planned --alerts out/alerts.json"
    )


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_an_alert_shows_the_name_of_its_account_and_its_tags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("egress_sentinel.cli.output._PIPED_WIDTH", columns)
    alert = alert_record(account_name="prod-media", tags={"owner": "ann\n", "te\x1bam": "tv"}, region="ap-northeast-2")
    print_alerts([alert], as_json=False, file=Path("alerts.json"))
    shown = capsys.readouterr().out
    for text in ("prod-media", "111122223333", "ap-northeast-2", "owner=ann\ufffd,", "te\ufffdam=tv"):
        assert text in shown, text
    assert max(map(len, shown.splitlines())) <= columns


def test_progress_counts_days() -> None:
    target = io.StringIO()
    console = Console(file=target, force_terminal=True, width=120)
    seen = list(Reporter(console).track("score", ["2026-10-18", "2026-10-19"]))
    assert "score: day 2 of 2 (2026-10-19)" in target.getvalue()
    assert seen == ["2026-10-18", "2026-10-19"]
