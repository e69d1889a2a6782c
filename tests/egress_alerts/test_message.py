"""The text of an alert, read aloud."""

from typing import Any

from egress_alerts.alert import Alert, build_alert
from egress_alerts.incidents import Hour, Incident
from egress_alerts.message import render_alert, render_message, render_subject
from egress_alerts.policy import Policy
from egress_alerts.series import Series
from tests.support.alerts import alert_record

TEXT = [
    "HIGH   $577.53 so far, about $1,540.08 a day if it goes on   account 210012345678, eu-west-1, AmazonS3 to the "
    "internet",
    "media-prod has sent 6,786.0 GB for $610.74 from 2026-10-02 02:00 UTC to 2026-10-02 10:00 UTC; 369.0 GB for $33.21 "
    "were expected",
    "Who    93% GetObject EU-DataTransfer-Out-Bytes on media-prod, 7% GetObject EU-DataTransfer-Out-Bytes on "
    "media-thumbs",
    "Why    18.4 times what the same hours of earlier days and weeks carried, 9 hours in a row",
    "       the model's score is -0.100 (below 0 is anomalous), most by the last 3 hours (71%)",
    "       one in 12,000 hours with traffic looks this unusual to the model",
    "Looks  like a hot-linked object",
    "First  the bucket's access log by key and referrer; then CloudFront or signed URLs in front of it",
    "Alert  0123456789abcdef, detected at 2026-10-02 02:00 UTC",
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
    alert = build_alert(
        incident, Policy(), "the model's score is -0.100 (below 0 is anomalous), most by the last 3 hours (71%)"
    )
    assert render_message([alert], {}).splitlines() == TEXT
    assert render_subject([alert]) == "HIGH egress: $1,540 a day in 210012345678 eu-west-1 internet"


def test_many_alerts_stay_below_the_limit() -> None:
    incident = Incident("0123456789abcdef", 497_474)
    incident.add(hot("x" * 1000, 700.0, 40.0))
    alert = build_alert(incident, Policy(), "")
    text = render_message([alert] * 500, {})
    assert len(text.encode()) < 256_000
    assert "more in the alerts table" in text.splitlines()[-1]
    assert len(render_subject([alert] * 500)) <= 100


def record(**fields: Any) -> Alert:
    return alert_record(**{"likely_cause": "", "reasons": ["why", "and why"]} | fields)


def test_the_subject_counts_the_other_alerts_and_is_ascii() -> None:
    subject = "MEDIUM egress: $162 a day in 111122223333 eu-west-1 internet"
    worst = record(severity="medium", excess_cost_usd_per_day=161.6)
    assert render_subject([worst]) == subject
    assert render_subject([worst, worst]) == f"{subject} and 1 more"
    assert render_subject([worst, worst, worst]) == f"{subject} and 2 more"
    assert " eu-w?st-1 " in render_subject([record(region="eu-wést-1")])
    assert len(render_subject([record(region="x" * 200)])) == 100


def test_the_lines_of_an_alert_without_a_resource_an_operation_and_a_likely_cause() -> None:
    alert = record(resource_id="", egress_class="new_class", cost_usd=0.0, expected_cost_usd=0.0)
    alert["contributors"] = [{**alert["contributors"][0], "operation": "", "resource_id": ""}]
    assert render_alert(alert).splitlines() == [
        "LOW   $0 so far   account 111122223333, eu-west-1, AmazonS3 out",
        "AmazonS3 (no resource in the bill) has sent 125.0 GB for $0.00 from 2026-10-02 02:00 UTC to 2026-10-02 11:00 "
        "UTC; 50.0 GB for $0.00 were expected",
        "Who    100% Out-Bytes on AmazonS3",
        "Why    why",
        "       and why",
        f"First  {alert['next_step']}",
        "Alert  0123456789abcdef, detected at 2026-10-02 02:00 UTC",
    ]


def test_a_gateway_processes_what_others_send() -> None:
    assert "AmazonS3 through a NAT gateway\nmedia-prod has processed 125.0 GB" in render_alert(
        record(egress_class="nat_gateway")
    )


def test_a_raised_alert_says_from_what() -> None:
    first, second = record(), record(alert_id="second", severity="high")
    text = render_message([first, second], {"second": "low"})
    assert text == f"{render_alert(first)}\n\n{render_alert(second, 'low')}"
    assert text.count("raised") == 1
    assert "\nHIGH (raised from LOW)   $" in text


def test_a_message_ends_where_the_topic_takes_no_more() -> None:
    rows = [record(reasons=["é" * 20_000]) for _ in range(8)]
    *kept, last = render_message(rows, {}).split("\n\n")
    assert (len(kept), last) == (4, "and 4 more in the alerts table")


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
