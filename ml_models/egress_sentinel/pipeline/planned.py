"""A calendar of planned events: expected transfers that are no incident as long as they keep to the plan.

    [[planned]]
    note = "media-prod moves to eu-central-1, OPS-1234"
    from = 2026-10-14                     # a day, or an hour such as 2026-10-14T08:00:00Z
    to = 2026-10-16                       # a day: its end; an hour: until then
    account = "111122223333"              # without these, any
    region = "eu-west-1"
    egress_class = "inter_region"
    resource = "*media-prod*"             # * and ? are wildcards
    max_gb = 500                          # above expected; what exceeds the plan is notified
    max_usd = 20

A `.json` file holds the same as a list of objects. The detector reads the checked list from S3; training leaves
the hours out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_alerts.planned import CalendarError, PlannedEvent, check_event
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.policy import egress_classes, read_entries

if TYPE_CHECKING:
    from pathlib import Path

_TABLE = "planned"
_DAY_LENGTH = len("2026-10-14")


def read_planned(path: Path) -> list[PlannedEvent]:
    """Read a calendar of planned events.

    Raises
    ------
    UserError
        The entry, its fault, and the accepted values.
    """
    entries = read_entries(path, _TABLE, "planned events")
    classes = egress_classes()
    try:
        return [
            check_event(_in_hours(entry, where), where, classes)
            for number, entry in enumerate(entries, 1)
            for where in [f"{path}: planned event {number}"]
        ]
    except CalendarError as error:
        raise UserError(str(error)) from error


def _in_hours(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert days and hours, as TOML or a person writes them, to UTC hours. The last day counts to its end."""
    return entry | {name: _hour(where, entry[name], name) for name in ("from", "to") if entry.get(name)}


def _hour(where: str, value: Any, name: str) -> str:
    text = value if isinstance(value, str) else value.isoformat() if isinstance(value, date) else ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (moment.minute, moment.second, moment.microsecond) != (0, 0, 0):
        raise UserError(
            f"{where}: {name} is {str(value)!r}; accepted are a day, 2026-10-14, and an hour, 2026-10-14T08:00:00Z"
        )
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if name == "to" and len(text) == _DAY_LENGTH:
        moment += timedelta(days=1)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
