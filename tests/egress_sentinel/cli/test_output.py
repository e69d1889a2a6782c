"""What a terminal gets of a bill: its letters, and no markup and no commands."""

import io

import pytest
from rich.console import Console

from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.cli.output import print_line, print_table, say
from egress_sentinel.progress import Reporter
from tests.support.alerts import alert_record

FIELDS = ("account_id", "region", "egress_class", "resource_id")
HOSTILE = "[/x] [red]a[/red] \x1b[2J\x07\x9b1m \u202e[link=x]"


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("field", FIELDS)
def test_an_alert_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], field: str) -> None:
    print_alerts([alert_record(**{field: HOSTILE})], as_json=False)
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
