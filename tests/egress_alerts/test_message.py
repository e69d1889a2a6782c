"""The text of an alert, read aloud."""

from typing import Any

import pytest

from egress_alerts.alert import Alert, build_alert
from egress_alerts.hours import Background, Hour, Incident
from egress_alerts.message import render_alert, render_message, render_subject
from egress_alerts.policy import Policy
from egress_alerts.series import Series
from tests.support.alerts import alert_record

TEXT = [
    "HIGH   open, $577.53 so far, about $1,155.06 a day at the current rate   account 210012345678, eu-west-1, "
    "AmazonS3 to the internet",
    "media-prod has sent 6,786.0 GB for $610.74 on 2026-10-02 02:00-11:00 UTC (9 h). Expected: 369.0 GB for $33.21.",
    "Contributors  93% GetObject EU-DataTransfer-Out-Bytes on media-prod, 7% GetObject EU-DataTransfer-Out-Bytes on "
    "media-thumbs",
    "Why           18.4 times the same hours of earlier days and weeks; elevated for 9 consecutive hours",
    "              main factor for the model: the last 3 hours: 4.1 times (71%)",
    "              1 in 12,000 hours above expected looks as unusual to the model",
    "              signs of the likely cause: a bucket sends to the internet directly; it climbed to its level "
    "over 2 hours; it has stayed up for 12 hours",
    "Likely cause  a hot-linked object",
    "Next step     find the top keys and referrers in the bucket's access log; then put CloudFront or signed URLs "
    "in front",
    "Fix           At most $34,700 a month: 385 TB x $0.09 per GB of transfer to the internet; requests that the "
    "bucket refuses are free. See docs/remedies.md#hot-links",
    "Alert         0123456789abcdef, detected at 2026-10-02 02:00 UTC",
]


def hot(resource: str, gb: float, expected: float) -> list[Hour]:
    series = Series("210012345678", "eu-west-1", "AmazonS3", "internet", resource)
    first = 497_474  # 2026-10-02T02:00:00Z
    return [
        Hour(first + h, series, gb, expected, gb, expected, gb * 0.09, expected * 0.09, -0.1,
             "EU-DataTransfer-Out-Bytes", "GetObject", False, p_value=1 / 12_345)
        for h in range(9)
    ]  # fmt: skip


def test_the_text_of_an_alert() -> None:
    incident = Incident("0123456789abcdef", 497_474)
    incident.add([*hot("media-prod", 700.0, 40.0), *hot("media-thumbs", 54.0, 1.0)])
    incident.background = Background(497_474, (0.0, 100.0, 250.0, 400.0))
    alert = build_alert(incident, Policy(), "main factor for the model: the last 3 hours: 4.1 times (71%)")
    assert render_message([alert], {}).splitlines() == TEXT
    assert render_subject([alert]) == "HIGH egress: $1,155 a day in 210012345678 eu-west-1 internet"


@pytest.mark.parametrize(
    ("place", "first", "what", "who", "subject"),
    [
        (0, "account 210012345678, eu-west-1, AmazonS3 to", "all AmazonS3 resources in eu-west-1 have sent 6,300.0 GB",
         "100% GetObject EU-DataTransfer-Out-Bytes on all AmazonS3 resources in eu-west-1", "210012345678 eu-west-1"),
        (1, "account 210012345678, all regions to", "all regions have sent", "100% all regions",
         "210012345678 all regions"),
        (2, "all accounts, all regions to", "all accounts have sent", "100% all accounts", "all accounts all regions"),
    ],
)  # fmt: skip
def test_a_level_is_named_by_what_it_sums(place: int, first: str, what: str, who: str, subject: str) -> None:
    rows = hot("r", 700.0, 40.0)
    level = rows[0].series.levels[place]
    incident = Incident("0123456789abcdef", 497_474)
    incident.add(row._replace(series=level) for row in rows)
    alert = build_alert(incident, Policy(), "spread over 9 of 9 resources\nunusual to the model")
    lines = render_message([alert], {}).splitlines()
    assert f"   {first} the internet" in lines[0]
    assert lines[1].startswith(what)
    assert lines[2] == f"Contributors  {who}"
    assert lines[4:6] == ["              spread over 9 of 9 resources", "              unusual to the model"]
    assert render_subject([alert]).endswith(f" in {subject} internet")


def test_a_storm_is_a_digest_that_names_every_alert() -> None:
    rows = [
        record(
            alert_id=f"{number:016x}",
            account_id=f"{number % 3:012d}",
            resource_id="bucket-" + "ü" * 5000,
            likely_cause="a hot-linked object" if number % 2 else "",
            reasons=["é" * 20_000],
            severity="high" if number < 4 else "low",
        )
        for number in range(500)
    ]
    text = render_message(rows, {rows[7]["alert_id"]: "grown from $5.00"})
    lines = text.splitlines()
    assert len(text.encode()) < 256_000
    assert lines[0] == "500 alerts, $3,375.00 above expected so far: 4 HIGH, 496 LOW"
    assert lines[1].startswith("By account  000000000000: 167 ($1,127.25); 000000000001: 167")
    assert lines[2] == "By cause    a hot-linked object: 250 ($1,687.50); unknown: 250 ($1,687.50)"
    assert lines[4] == "The 5 worst"
    named = lines[lines.index("All 500, with their alert_id in the alerts table") + 1 :]
    assert [line[:16] for line in named] == [row["alert_id"] for row in rows]
    assert "LOW (grown from $5.00)  open  $6.75  000000000001  eu-west-1  internet  ...üü" in named[7]
    assert len(render_subject(rows)) <= 100


@pytest.mark.parametrize(
    ("bucket", "key", "end"),
    [
        ("data", "alerts/0123456789abcdef/ff.json", "and 12 more: s3://data/alerts/0123456789abcdef/ff.json"),
        ("data", "", "and 12 more"),
        ("", "", "and 12 more"),
    ],
)
def test_an_alert_says_how_many_contributors_it_leaves_out_and_where_they_are(bucket: str, key: str, end: str) -> None:
    alert = record(contributor_count=13, details_key=key)
    text = render_message([alert], {}, bucket)
    assert f"Contributors  100% GetObject Out-Bytes on media-prod, {end}\n" in text
    for count in (0, 1):
        assert " more" not in render_message([record(contributor_count=count)], {}, bucket)


def test_a_digest_names_the_list_of_all_its_records() -> None:
    rows = [record(alert_id=f"{number:016x}") for number in range(21)]
    assert render_message(rows, {}, "data", "alerts/digests/ff.json").splitlines()[3:5] == [
        "All records  s3://data/alerts/digests/ff.json",
        "",
    ]
    assert "All records" not in render_message(rows, {})


def test_a_digest_counts_the_largest_and_the_rest() -> None:
    rows = [record(account_id=f"{number:012d}", cost_usd=10.0 + number) for number in range(21)]
    line = render_message(rows, {}).splitlines()[1]
    assert line.startswith("By account  000000000020: 1 ($25.50); 000000000019: 1 ($24.50); ")
    assert line.endswith("; 11 others")


def record(**fields: Any) -> Alert:
    return alert_record(**{"likely_cause": "", "reasons": ["why", "and why"], "severity": "low"} | fields)


def test_an_account_is_named_where_its_name_is_known() -> None:
    named = record(account_name="prod-media\n\x1b[2J")
    lines = render_message([named], {}).splitlines()
    assert "   prod-media\ufffd\ufffd[2J (111122223333), eu-west-1, AmazonS3 to the internet" in lines[0]
    assert " in prod-media??[2J (111122223333) eu-west-1 internet" in render_subject([named])
    storm = render_message([record(account_name="prod-media")] * 21, {}).splitlines()
    assert storm[1].startswith("By account  prod-media (111122223333): 21")
    assert "  prod-media (111122223333)  eu-west-1  " in storm[-1]


def test_the_subject_counts_the_other_alerts_and_is_ascii() -> None:
    subject = "MEDIUM egress: $162 a day in 111122223333 eu-west-1 internet"
    worst = record(severity="medium", current_usd_per_day=161.6)
    assert render_subject([worst]) == subject
    assert render_subject([worst, worst]) == f"{subject} and 1 more"
    assert render_subject([worst, worst, worst]) == f"{subject} and 2 more"
    assert " eu-w?st-1 " in render_subject([record(region="eu-wést-1")])
    assert len(render_subject([record(region="x" * 200)])) == 100
    assert render_subject([record(severity="low", state="ended")]) == (
        "LOW egress, ended: $7 in 111122223333 eu-west-1 internet"
    )


def test_an_ended_incident_has_a_total_and_a_duration_and_no_rate() -> None:
    def first_line(**fields: Any) -> str:
        return render_alert(record(severity="low", **fields)).splitlines()[0].split("   ")[1]

    assert first_line() == "open, $6.75 so far, about $13.50 a day at the current rate"
    assert first_line(state="ended") == "ended, $6.75 in all in 10 hours"
    assert first_line(state="ended", granularity="day") == "ended, $6.75 in all in 1 day"
    assert first_line(state="ended", cost_usd=0.0) == "ended, $0 in all in 10 hours"
    assert first_line(state="withdrawn") == "withdrawn"


def test_the_lines_of_an_alert_without_a_resource_an_operation_and_a_likely_cause() -> None:
    alert = record(resource_id="", egress_class="new_class", cost_usd=0.0, expected_cost_usd=0.0)
    alert["contributors"] = [{**alert["contributors"][0], "operation": "", "resource_id": ""}]
    assert render_alert(alert).splitlines() == [
        "LOW   open, $0 so far   account 111122223333, eu-west-1, AmazonS3 new_class",
        "AmazonS3 (no resource in the bill) has sent 125.0 GB for $0.00 on 2026-10-02 02:00-12:00 UTC (10 h). "
        "Expected: 50.0 GB for $0.00.",
        "Contributors  100% Out-Bytes on AmazonS3",
        "Why           why",
        "              and why",
        "Likely cause  unknown",
        f"Next step     {alert['next_step']}",
        "Alert         0123456789abcdef, detected at 2026-10-02 02:00 UTC",
    ]


def test_a_gateway_processes_what_others_send() -> None:
    assert "AmazonS3 through a NAT gateway\nmedia-prod has processed 125.0 GB" in render_alert(
        record(egress_class="nat_gateway")
    )


def test_an_alert_says_what_has_changed() -> None:
    first, second = record(), record(alert_id="second", severity="high")
    text = render_message([first, second], {"second": "raised from LOW"})
    assert text == f"{render_alert(first)}\n\n{render_alert(second, 'raised from LOW')}"
    assert text.count("raised") == 1
    assert "\nHIGH (raised from LOW)   open, $" in text


def test_a_bill_cannot_forge_a_line_or_command_a_terminal() -> None:
    forged = "media\nCRITICAL   $9,999 so far\u2028\x1b[2J\x9b1m\u202egnp.exe\r\ud800"
    plain = alert_record(resource_id="media")
    hostile = alert_record(resource_id=forged, region=forged, account_id=forged, service=forged)
    message = render_message([hostile], {})
    assert len(message.split("\n")) == len(render_message([plain], {}).split("\n"))
    subject = render_subject([hostile])
    for text in (message, subject):
        assert all(character.isprintable() or character == "\n" for character in text)
    assert "\n" not in subject
    assert "media\ufffdCRITICAL" in message
