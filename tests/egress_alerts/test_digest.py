"""The weekly digest: the list of each incident, the comparison of costs, and the text at 80 columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from egress_alerts.alert import Alert
from egress_alerts.digest import (
    Digest,
    Spend,
    build_digest,
    last_whole_week,
    render_digest,
    render_subject,
    week_before,
    week_of,
)
from egress_alerts.series import day_of, parse_hour
from tests.support.alerts import alert_record

WEEK = week_of(parse_hour("2026-10-14T09:00:00Z"))

TEXT = """\
Egress digest: 2026-10-12 to 2026-10-18 (UTC)

Data transfer cost $2,410.50, after $1,000.00 in the week before (+141 %).
Incidents: 2 new, 1 ongoing, 1 ended. They cost $716.95 above expected so far.
Not listed: 1 suppressed and 1 withdrawn.

New
  HIGH      $610.25  open  0000000000000001  no verdict
            prod-media (111122223333), eu-west-1, to the internet
            media-prod
            likely cause: a hot-linked object
            owner: team-media
  LOW       $6.75  ended  0000000000000002  verdict: planned
            111122223333, eu-west-1, through a NAT gateway
            arn:aws:ec2:eu-west-1:111122223333:natgateway/nat-0123456789abcdef0
            likely cause: a new replication, backup or copy to another region,
            which began in the night and has not ended since

Ongoing
  MEDIUM    $90.00  open  0000000000000003  no verdict
            all accounts, all regions, between availability zones
            all accounts
            likely cause: unknown
            owner: team-media

Ended
  LOW       $9.95  ended  0000000000000004  verdict: true
            111122223333, eu-west-1, to the internet
            media-prod
            likely cause: unknown

Owners
  team-media                            2 incidents       $700.25
  unknown                               2 incidents        $16.70

2 incidents have no verdict. Record one with:
  egress-sentinel feedback 0000000000000001 true|false|planned

Cost by kind of data transfer                  week   week before      change
  to the internet                         $2,400.50     $1,000.00      +140 %
  through a NAT gateway                      $10.00         $0.00         new

Cost by account                                week   week before      change
  prod-media (111122223333)               $2,400.50       $900.00      +167 %
  444455556666                               $10.00       $100.00       -90 %"""


def alert(number: int, first: str, last: str, usd: float, **fields: Any) -> Alert:
    """Return an alert with `usd` above expected, detected in its first hour."""
    times = {"start_hour_utc": first, "end_hour_utc": last, "detected_hour_utc": first}
    times = {name: f"2026-{text}:00:00Z" for name, text in times.items()}
    amounts = {"cost_usd": 10.0 + usd, "expected_cost_usd": 10.0}
    texts = {"likely_cause": "", "state": "ended", "severity": "low"}
    return alert_record(f"{number:016}", **{**times, **amounts, **texts, **fields})


def spend(days: int = 7, **usd: float) -> Spend:
    """Return a week's spend: `media_internet` is that of account 111122223333 on the internet."""
    accounts = {"media": "111122223333", "other": "444455556666"}
    named = {tuple(name.split("_", 1)): dollars for name, dollars in usd.items()}
    return Spend({(accounts[account], kind): dollars for (account, kind), dollars in named.items()}, days)


def whole() -> Digest:
    media: dict[str, Any] = {"account_name": "prod-media", "owner": "team-media"}
    alerts = [
        alert(2, "10-18T23", "10-19T02", 6.75, egress_class="nat_gateway",
              resource_id="arn:aws:ec2:eu-west-1:111122223333:natgateway/nat-0123456789abcdef0",
              likely_cause="a new replication, backup or copy to another region, which began in the night and has not "
              "ended since"),
        alert(1, "10-12T00", "10-18T22", 610.25, state="open", severity="high", likely_cause="a hot-linked object",
              **media),
        alert(3, "10-11T23", "10-18T20", 90.0, state="open", severity="medium", account_id="*", region="*",
              resource_id="*", egress_class="inter_az", owner="team-media"),
        alert(4, "10-02T04", "10-12T00", 9.95),
        alert(5, "10-14T04", "10-14T06", 900.0, suppressed_by="0123456789abcdef"),
        alert(6, "10-14T04", "10-14T06", 0.0, state="withdrawn"),
        # Of the weeks before and after.
        alert(7, "10-02T04", "10-11T23", 1000.0),
        alert(8, "10-19T00", "10-19T06", 1000.0),
    ]  # fmt: skip
    verdicts = {f"{2:016}": "planned", f"{4:016}": "true", f"{7:016}": "false"}
    now = spend(media_internet=2400.5, other_nat_gateway=10.0)
    return build_digest(WEEK, alerts, verdicts, now, spend(media_internet=900.0, other_internet=100.0))


def test_the_text() -> None:
    lines = render_digest(whole()).splitlines()
    assert lines == TEXT.splitlines()
    assert max(map(len, lines)) <= 80


def test_the_subject_is_one_short_line() -> None:
    assert render_subject(whole()) == "Egress digest 2026-10-12: 2 new, 1 ongoing, 1 ended, $717 above expected"
    quiet = build_digest(WEEK, [], {}, spend(), spend())
    assert render_subject(quiet) == "Egress digest 2026-10-12: no incidents, $0 above expected"


@pytest.mark.parametrize(
    ("first", "last", "state", "where"),
    [
        ("10-12T00", "10-12T05", "ended", "new"),
        ("10-18T23", "10-25T00", "open", "new"),
        ("10-11T23", "10-12T00", "ended", "ended"),
        ("10-11T23", "10-18T23", "ended", "ended"),
        ("10-11T23", "10-18T23", "open", "ongoing"),
        ("10-11T23", "10-19T00", "ended", "ongoing"),
        ("10-11T22", "10-11T23", "ended", ""),
        ("10-19T00", "10-19T01", "open", ""),
    ],
)
def test_an_incident_is_in_one_list(first: str, last: str, state: str, where: str) -> None:
    digest = build_digest(WEEK, [alert(1, first, last, 5.0, state=state)], {}, spend(), spend())
    assert [name for name in ("new", "ongoing", "ended") for _ in digest[name]] == ([where] if where else [])  # type: ignore[literal-required]


def test_an_incident_that_was_detected_after_the_week_began_earlier_and_is_new_in_its_own_week() -> None:
    late = alert(1, "10-18T20", "10-19T06", 5.0, detected_hour_utc="2026-10-19T02:00:00Z", state="open")
    after = week_of(parse_hour("2026-10-19T00:00:00Z"))
    assert len(build_digest(after, [late], {}, spend(), spend())["new"]) == 1


def test_weeks_are_from_monday_to_sunday() -> None:
    assert [day_of(WEEK.start), day_of(WEEK.end - 1)] == ["2026-10-12", "2026-10-18"]
    assert week_of(WEEK.start) == week_of(WEEK.end - 1) == WEEK
    assert week_of(WEEK.end) != WEEK
    assert week_before(WEEK) == week_of(WEEK.start - 1)
    # A week is whole once its last hour is over.
    assert last_whole_week(WEEK.end) == last_whole_week(WEEK.end + 167) == WEEK
    assert last_whole_week(WEEK.end - 1) == week_before(WEEK)


def day(number: int, *rows: tuple[str, str, str, float]) -> pa.Table:
    hour = datetime(2026, 10, 12, tzinfo=UTC) + timedelta(days=number)
    names = ("account_id", "egress_class", "resource_id", "cost_usd")
    return pa.Table.from_pylist(
        [{"hour_utc": hour, "anomaly_score": 0.1} | dict(zip(names, row, strict=True)) for row in rows]
    )


def test_costs_are_added_up_by_day_without_the_sums_of_levels() -> None:
    found = Spend()
    found.add_day(day(0, ("1", "internet", "a", 1.5), ("1", "internet", "b", 2.0), ("1", "internet", "*", 3.5)))
    found.add_day(None)
    found.add_day(day(2, ("1", "internet", "a", 0.5), ("2", "inter_az", "", 4.0)))
    found.add_day(day(3).slice(0, 0))
    assert found == Spend({("1", "internet"): 4.0, ("2", "inter_az"): 4.0}, 2)


def test_weeks_with_unequal_days_are_not_compared_silently() -> None:
    part = render_digest(build_digest(WEEK, [], {}, spend(5, media_internet=50.0), spend(7, media_internet=70.0)))
    assert "has data for 5 of 7 days and the week before for 7, so the weeks do not compare" in " ".join(part.split())
    first = render_digest(build_digest(WEEK, [], {}, spend(media_internet=50.0), spend(0)))
    assert "Data transfer cost $50.00. The week before has no data." in first
    assert "This week has no data." in render_digest(build_digest(WEEK, [], {}, spend(0), spend()))


def test_many_incidents_and_accounts_are_summed_up_and_none_of_their_dollars_is_lost() -> None:
    alerts = [alert(number, "10-13T00", "10-13T04", 100.0 - number, owner=f"team-{number}") for number in range(30)]
    now = Spend({(f"{number:012}", "internet"): 1.0 for number in range(75)}, 7)
    text = render_digest(build_digest(WEEK, alerts, {}, now, spend()))
    assert text.count("no verdict\n") == 10
    assert f"and 20 more with ${sum(100.0 - number for number in range(10, 30)):,.2f} above expected" in text
    assert "  65 others                                  $65.00" in text
    assert "  and 20 more\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_names_of_a_bill_forge_no_line_and_break_none() -> None:
    hostile = alert(1, "10-13T00", "10-13T04", 5.0, resource_id="a\nNew\n  HIGH" + "x" * 200, owner="o" * 90)
    named = Spend({("9\x1b[2J" + "9" * 60, "internet"): 1.0}, 7)
    text = render_digest(build_digest(WEEK, [hostile], {}, named, spend()))
    assert text.splitlines().count("New") == 1
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
