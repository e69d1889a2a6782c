"""One incident in each channel. `python -m tests.support.notifications` writes them into docs/notifications.md."""

import json
import re
from pathlib import Path
from typing import Any

from egress_alerts.alert import Alert
from egress_alerts.notification import build_notification
from egress_alerts.routing import Owner
from notification_forwarder.chat import build_messages
from notification_forwarder.pagerduty import build_events
from notification_forwarder.webhook import sign
from tests.support.alerts import alert_record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
MESSAGE_ID = "95df01b4-ee98-5cb9-9903-4c221d41eb5e"
ROUTE = Owner("team-media", "#media-alerts")
KEY = "correct horse battery staple"


def example_alert(**fields: Any) -> Alert:
    """Return a hot link of $577.53, owned by a tag."""
    owner = {"owner": "team-media", "owner_source": "tag owner"}
    return alert_record("8a57b86d534230bc", excess_gb=6417.0, **{**owner, **fields})


def example_body(**fields: Any) -> dict[str, Any]:
    """Return the JSON body about the example, as a program reads it."""
    body: dict[str, Any] = json.loads(json.dumps(build_notification([example_alert(**fields)], {}, ROUTE).body))
    return body


def examples() -> dict[str, str]:
    """Return what each channel gets, by the example's name on the page."""
    notification = build_notification([example_alert()], {}, ROUTE)
    body = example_body()
    headers = sign(json.dumps(body).encode(), KEY, 1_790_913_600, MESSAGE_ID)
    return {
        "e-mail": f"Subject: {notification.subject}\n\n{notification.text}",
        "attributes": json.dumps(dict(notification.attributes), indent=2),
        "body": json.dumps(body, indent=2),
        "chat": json.dumps(build_messages(body, MESSAGE_ID)[0], indent=2),
        "pagerduty": json.dumps(build_events(body, "R0UTINGKEY")[0], indent=2),
        "webhook": "\n".join(f"{name}: {value}" for name, value in headers.items()),
    }


def page_text(page: str) -> str:
    """Return the page with its examples made anew."""
    for name, text in examples().items():
        block = re.compile(rf"(?<=<!-- {name} -->\n```)(\w*\n).*?(?=\n```\n<!-- end -->)", re.DOTALL)
        page = block.sub(lambda found, text=text: found[1] + text, page)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
