"""Writes docs/*.schema.json and the tables of docs/alerts.md: `python -m tests.support.alert_reference`."""

import json
import re
from pathlib import Path
from typing import Any

from egress_alerts.alert import Alert, json_schema
from egress_alerts.notification import NotificationBody

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTIFICATION_SCHEMA = DOCS / "notification.schema.json"
SCHEMA, PAGE = DOCS / "alert.schema.json", DOCS / "alerts.md"
_TABLES = re.compile(r"(?<=<!-- fields -->\n).*?(?=<!-- end -->)", re.DOTALL)


def schema_text(kind: Any = Alert) -> str:
    """Return a schema as its file has it."""
    return json.dumps(json_schema(kind), indent=2) + "\n"


def page_text(page: str) -> str:
    """Return the page with its tables made from the schema."""
    alert = json_schema()
    contributor, change = (alert["properties"][name]["items"] for name in ("contributors", "changes"))
    tables = f"\n{_table(alert)}\n### A contributor\n\n{_table(contributor)}\n### A change\n\n{_table(change)}\n"
    return _TABLES.sub(lambda _: tables, page)


def _table(schema: dict[str, Any]) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        rows.append(f"| `{name}` | {_type(field)} | {field['description']} |")
    return "\n".join(rows) + "\n"


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {field['items'].get('title', field['items']['type']).lower()}s"
    return " or ".join(field["type"]) if isinstance(field["type"], list) else field["type"]


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    NOTIFICATION_SCHEMA.write_text(schema_text(NotificationBody), encoding="utf-8")
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
