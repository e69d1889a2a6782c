"""The text of an alert, read aloud."""

from egress_alerts.alert import build_alert
from egress_alerts.incidents import Hour, Incident
from egress_alerts.message import render_message, render_subject
from egress_alerts.policy import Policy
from egress_alerts.series import Series

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
