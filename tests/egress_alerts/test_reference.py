"""The published schema and page are those of the type, and real alerts conform."""

import json

import jsonschema
import pytest

from egress_alerts.alert import json_schema
from egress_alerts.notification import NotificationBody
from tests.support.alert_reference import NOTIFICATION_SCHEMA, PAGE, SCHEMA, page_text, schema_text
from tests.support.alerts import alert_record

AGAIN = "write them again with: python -m tests.support.alert_reference"


def test_the_files_are_those_of_the_type() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), AGAIN
    assert NOTIFICATION_SCHEMA.read_text(encoding="utf-8") == schema_text(NotificationBody), AGAIN
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_text(page), AGAIN


def test_an_alert_conforms() -> None:
    alert = json.loads(json.dumps(alert_record()))
    jsonschema.Draft202012Validator(json_schema()).validate(alert)
    assert list(alert) == json_schema()["required"]


@pytest.mark.parametrize("broken", [{"severity": "severe"}, {"cost_usd": "1"}, {"contributors": [{}]}])
def test_what_is_no_alert_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate({**alert_record(), **broken})
