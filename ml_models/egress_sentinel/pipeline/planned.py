"""A calendar of planned events: expected transfers that are no incident as long as they keep to the plan.

    [[planned]]
    note = "media-prod moves to eu-central-1, OPS-1234"
    from = 2026-10-14                     # a day, or an hour such as 2026-10-14T08:00:00Z
    to = 2026-10-16                       # a day: its end; an hour: until then
    account = "111122223333"              # what is left out is any
    region = "eu-west-1"
    egress_class = "inter_region"
    resource = "*media-prod*"             # * and ? stand for something
    max_gb = 500                          # above what is usual; more than planned is told
    max_usd = 20

A `.json` file holds the same as a list of objects. The detector reads the checked list from S3; training leaves the
hours out.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.policy import check_number, check_scope, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = "planned"
TEXTS = ("note", "account", "region", "egress_class", "resource")
LIMITS = ("max_gb", "max_usd")
NAMES = ("note", "from", "to", "account", "region", "egress_class", "resource", *LIMITS)
_DAY_LENGTH = len("2026-10-14")


def read_planned(path: Path) -> list[dict[str, Any]]:
    """Read a calendar of planned events.

    Returns
    -------
    list of dict
        Each with `note`, `from` and `to` (UTC hours in ISO 8601, half-open), what it is about and its limits; what is
        not given is not there.

    Raises
    ------
    UserError
        Which entry, what is wrong with it, and what is accepted.
    """
    entries = _entries(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(
            f"{path} has no list of planned events; write each as [[{TABLE}]], in JSON as a list of objects"
        )
    return [_checked(entry, f"{path}: planned event {number}") for number, entry in enumerate(entries, 1)]


def _entries(path: Path) -> Any:
    if path.suffix != ".json":
        content = read_toml(path, "planned events")
        unknown = [name for name in content if name != TABLE]
        if unknown:
            raise UserError(f"{path} has {unknown[0]!r}; accepted is [[{TABLE}]], once for each event")
        return content.get(TABLE, [])
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read planned events from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error


def _checked(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = {name: value for name, value in entry.items() if value is not None}
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise UserError(f"{where} has {unknown[0]!r}; accepted are {', '.join(NAMES)}")
    for name in ("note", "from", "to"):
        if given.get(name, "") == "":
            raise UserError(f"{where} has no {name!r}; it needs note, from, to, and max_gb or max_usd")
    for name in TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise UserError(f"{where}: {name} is {given[name]!r}; a text in quotes is accepted")
    check_scope(where, given.get("account"), given.get("egress_class"))
    limits = {name: given[name] for name in LIMITS if name in given}
    if not limits:
        raise UserError(
            f"{where} needs max_gb or max_usd, the most that is expected: without them it would hide anything"
        )
    for name, value in limits.items():
        check_number(f"{where}: {name}", value)
    start, end = _hour(where, given, "from"), _hour(where, given, "to")
    if end <= start:
        raise UserError(f"{where} ends at {end:%Y-%m-%dT%H:%MZ}, not after its start {start:%Y-%m-%dT%H:%MZ}")
    times = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    return {name: times.get(name, given[name]) for name in NAMES if name in given}


def _hour(where: str, given: Mapping[str, Any], name: str) -> datetime:
    """Read a day or an hour; a day that ends something ends it at its own end."""
    value = given[name]
    text = value if isinstance(value, str) else value.isoformat() if isinstance(value, date) else ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    is_day = len(text) == _DAY_LENGTH
    if moment is None or (moment.minute, moment.second, moment.microsecond) != (0, 0, 0):
        raise UserError(
            f"{where}: {name} is {str(value)!r}; accepted are a day, 2026-10-14, and an hour, 2026-10-14T08:00:00Z"
        )
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment + timedelta(days=1) if is_day and name == "to" else moment
