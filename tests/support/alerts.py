"""A whole alert record, as the detector builds it."""

from typing import Any

from egress_alerts.alert import Alert, build_alert
from egress_alerts.hours import Hour, Incident
from egress_alerts.policy import Policy
from egress_alerts.series import Series, parse_hour


def alert_record(
    alert_id: str = "0123456789abcdef",
    *,
    start: str = "2026-10-02T02:00:00Z",
    hours: int = 10,
    excess_gb: float = 75.0,
    **fields: Any,
) -> Alert:
    """Return an alert on hours of one bucket; `fields` replace those of the record."""
    series = Series("111122223333", "eu-west-1", "AmazonS3", "internet", "media-prod")
    incident = Incident(alert_id, parse_hour(start))
    gb = excess_gb / hours + 5.0
    incident.add(
        Hour(incident.detected + hour, series, gb, 5.0, gb, 5.0, 0.09 * gb, 0.45, -0.1, "Out-Bytes", "GetObject", False)
        for hour in range(hours)
    )
    record: Any = build_alert(incident, Policy(), "", "f" * 16)
    return {**record, **fields}  # type: ignore[typeddict-item,no-any-return]
