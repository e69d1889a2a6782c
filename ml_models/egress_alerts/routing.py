"""Owners: rules that give an alert the team that owns its resource, and the channel in which that team reads alerts.

The first rule that covers an alert decides. Where none does, a tag `owner` or `team` of the leading series is the team.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from egress_alerts.policy import PolicyError, check_scope
from egress_alerts.printable import printable
from egress_alerts.series import wildcard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egress_alerts.alert import Alert

# What a list of patterns is compared with, and how its match is named as the source of an owner.
_LISTS = {"accounts": "account", "regions": "region", "egress_classes": "egress class", "resources": "resource"}
_TEXTS = ("team", "channel")
_NAMES = (*_TEXTS, "tags", *_LISTS)
_OWNER_TAGS = ("owner", "team")
_MAX_NAME = 100


class OwnersError(ValueError):
    """An owner rule that is not accepted: its place, its fault, and how to fix it."""


class Owner(NamedTuple):
    """A team, its channel, and where they come from; all are empty for an alert without an owner."""

    team: str = ""
    channel: str = ""
    source: str = ""


@dataclass(frozen=True)
class OwnerRule:
    """A team and the alerts that it owns.

    Each of the other fields that is given must match; one pattern of a list is enough (`*` and `?` are wildcards).
    `accounts` matches ids and names. Keys of `tags` ignore case, because some billing exports lower them.
    """

    team: str
    channel: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    egress_classes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    @property
    def covers_all(self) -> bool:
        """Whether the rule has no condition."""
        return not (self.tags or any(getattr(self, name) for name in _LISTS))

    def match(self, alert: Alert) -> str | None:
        """Return what matched, such as "tag owner, region eu-west-1", or None if the rule does not cover the alert."""
        tags = _tags(alert)
        wanted = {key.lower(): pattern for key, pattern in self.tags.items()}
        if not all(key in tags and wildcard(pattern).fullmatch(tags[key]) for key, pattern in wanted.items()):
            return None
        matched = [f"tag {key}" for key in self.tags]
        values = {
            "accounts": (alert["account_id"], str(alert.get("account_name", ""))),
            "regions": (alert["region"],),
            "egress_classes": (alert["egress_class"],),
            "resources": (alert["resource_id"],),
        }
        for name, word in _LISTS.items():
            patterns: tuple[str, ...] = getattr(self, name)
            found = next((p for p in patterns for value in values[name] if wildcard(p).fullmatch(value)), None)
            if patterns and found is None:
                return None
            matched += [f"{word} {found}"] if found is not None else []
        return ", ".join(matched) or "last rule"

    def record(self) -> dict[str, Any]:
        """Return the rule as a JSON object that `check_owner_rule` accepts."""
        given = {"team": self.team, "channel": self.channel, "tags": dict(self.tags)}
        return {name: value for name, value in (given | {n: [*getattr(self, n)] for n in _LISTS}).items() if value}


def find_owner(alert: Alert, rules: Iterable[OwnerRule]) -> Owner:
    """Return who owns an alert."""
    for rule in rules:
        source = rule.match(alert)
        if source is not None:
            return Owner(rule.team, rule.channel, source)
    # The team is an attribute of the message, which SNS takes only if it is not empty.
    teams = {name: printable(_tags(alert).get(name, "")).strip() for name in _OWNER_TAGS}
    return next((Owner(team, "", f"tag {name}") for name, team in teams.items() if team), Owner())


def read_owners(text: str) -> list[OwnerRule]:
    """Read owner rules, a JSON list of objects.

    Raises
    ------
    OwnersError
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise OwnersError(f"the owner rules are not JSON: {error}") from error
    if not isinstance(entries, list):
        raise OwnersError("the owner rules are not a list; write a list of objects, each with a team")
    return check_owner_rules(entries, "owner rule")


def check_owner_rules(
    entries: Sequence[Any], where: str, egress_classes: tuple[str, ...] | None = None
) -> list[OwnerRule]:
    """Check owner rules.

    Parameters
    ----------
    entries : sequence of mapping
        `team`, and optionally `channel`, `tags` (by key), `accounts`, `regions`, `egress_classes` and `resources`.
    where : str
        Names a rule in an error, before its number.
    egress_classes : tuple of str, optional
        The classes that may be named; by default any.

    Raises
    ------
    OwnersError
    """
    rules = [_rule(entry, f"{where} {number}", egress_classes) for number, entry in enumerate(entries, 1)]
    for number, rule in enumerate(rules[:-1], 1):
        if rule.covers_all:
            raise OwnersError(f"{where} {number} has no condition, so no later rule applies; move it to the end")
    return rules


def _rule(entry: Any, where: str, egress_classes: tuple[str, ...] | None) -> OwnerRule:
    given = {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
    unknown = [name for name in given if name not in _NAMES]
    if unknown:
        raise OwnersError(f"{where} has {unknown[0]!r}; accepted are {', '.join(_NAMES)}")
    if not given.get("team"):
        raise OwnersError(f'{where} has no team; add one, such as team = "team-media"')
    for name in _TEXTS:
        _check_name(given.get(name, ""), f"{where}: {name}")
    tags = given.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(value, str) and value for value in tags.values()):
        raise OwnersError(f'{where}: tags is {tags!r}; accepted are keys with patterns, such as {{ owner = "media*" }}')
    lists = {name: _patterns(given[name], f"{where}: {name}") for name in _LISTS if name in given}
    try:
        for account in lists.get("accounts", ()):
            check_scope(account if account.isdigit() else None, None, None)
        for egress_class in lists.get("egress_classes", ()):
            check_scope(None, egress_class, egress_classes)
    except PolicyError as error:
        raise OwnersError(f"{where}: {error}") from error
    return OwnerRule(team=given["team"], channel=given.get("channel", ""), tags=tags, **lists)


def _check_name(value: Any, where: str) -> None:
    # Both are attributes of the message.
    if not isinstance(value, str) or len(value) > _MAX_NAME or not value.isprintable() or value != value.strip():
        raise OwnersError(
            f"{where} is {value!r}; accepted is a text of at most {_MAX_NAME} characters on one line, without "
            "spaces at its ends"
        )


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise OwnersError(f'{where} is {value!r}; accepted is a list of at least one text, such as ["prod-*"]')
    return tuple(value)


def _tags(alert: Alert) -> dict[str, str]:
    tags: Any = alert.get("tags", {})
    return {str(key).lower(): str(value) for key, value in tags.items()}
