"""The alert policy: the limits above which an excess becomes an alert, and the severity of an alert.

An account or an egress class can have its own floors and severity thresholds. The most specific one wins, value by
value: an account with a class comes before an account, an account before a class, a class before the general values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class PolicyError(ValueError):
    """A policy value that is not accepted: its name, its value, and the accepted values."""


class Floors(NamedTuple):
    """Dollars and GB that an incident gathers in 24 hours, and percent that an hour is above its expected GB."""

    min_excess_usd: float
    min_excess_gb: float
    min_excess_percent: float


@dataclass(frozen=True)
class Policy:
    """The limits above which anomalous hours become an alert. `incidents` and `lifecycle` describe their use.

    `overrides` holds values of `OVERRIDABLE` by (account id, egress class), where "" means all of them.
    """

    min_excess_usd: float = 5.0
    min_excess_gb: float = 2.0
    min_excess_percent: float = 30.0
    min_times_usual_excess: float = 2.5
    max_p_value: float = 0.05
    lasting_hours: int = 12
    incident_gap_hours: int = 168
    sibling_hours: int = 12
    ended_after_hours: int = 24
    notify_again_hours: int = 6
    notify_ended: bool = False
    medium_share_of_expected: float = 1.0
    severity_usd_per_day: tuple[float, float, float] = (50.0, 500.0, 5000.0)
    overrides: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, egress_classes: Iterable[str] | None = None) -> Policy:
        """Check values by field name; `overrides` is a list of objects with `account`, `egress_class` and values.

        Parameters
        ----------
        values : mapping
            As Terraform's `alert_policy` or a policy.toml has them; fields that are absent keep their defaults.
        egress_classes : iterable of str, optional
            The classes that an override may name; by default any.

        Raises
        ------
        PolicyError
            The first value that is not accepted.
        """
        for name in values:
            if name not in POLICY_NAMES:
                raise PolicyError(f"has {name!r}; accepted are {', '.join(POLICY_NAMES)}")
        checked: dict[str, Any] = {name: _value(name, values[name]) for name in NUMBERS if name in values}
        if "severity_usd_per_day" in values:
            checked["severity_usd_per_day"] = _thresholds(values["severity_usd_per_day"])
        if "notify_ended" in values:
            checked["notify_ended"] = _switch("notify_ended", values["notify_ended"])
        classes = None if egress_classes is None else tuple(egress_classes)
        return cls(**checked, overrides=_overrides(values.get("overrides", []), classes))

    def floors(self, account_id: str, egress_class: str) -> Floors:
        """Return the floors of an account's egress class."""
        return Floors(*(self._value(name, account_id, egress_class) for name in Floors._fields))

    def thresholds(self, account_id: str, egress_class: str) -> tuple[float, float, float]:
        """Return the dollars a day from which an incident of an account's egress class is medium, high and critical."""
        thresholds: tuple[float, float, float] = self._value("severity_usd_per_day", account_id, egress_class)
        return thresholds

    def medium_share(self, account_id: str, egress_class: str) -> float:
        """Return the share of the account's expected dollars a day from which an incident of the class is medium."""
        return float(self._value("medium_share_of_expected", account_id, egress_class))

    def _value(self, name: str, account_id: str, egress_class: str) -> Any:
        scopes = ((account_id, egress_class), (account_id, ""), ("", egress_class))
        given = (self.overrides[scope][name] for scope in scopes if name in self.overrides.get(scope, {}))
        return next(given, getattr(self, name))


POLICY_NAMES = tuple(item.name for item in fields(Policy))
NUMBERS = tuple(name for name in POLICY_NAMES if name not in ("severity_usd_per_day", "notify_ended", "overrides"))
OVERRIDABLE = (*Floors._fields, "medium_share_of_expected", "severity_usd_per_day")
_ACCOUNT = re.compile("[0-9]{12}")
_WHOLE_NUMBERS = {"lasting_hours", "incident_gap_hours", "sibling_hours", "ended_after_hours", "notify_again_hours"}
# With a gap below the 24 hours in which an incident gathers its floor, an incident would be counted twice.
_LEAST = {"incident_gap_hours": 24, "lasting_hours": 1, "ended_after_hours": 1}


def check_number(name: str, value: Any, least: float = 0) -> float:
    """Return a number of at least `least`.

    Raises
    ------
    PolicyError
        The value is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise PolicyError(f"{name} is {value!r}; a number of at least {least:g} is accepted")
    return float(value)


def check_scope(account: Any, egress_class: Any, egress_classes: tuple[str, ...] | None) -> None:
    """Check an account id and an egress class; None means any.

    Raises
    ------
    PolicyError
        The account is not 12 digits, or the class is not known.
    """
    if account is not None and not (isinstance(account, str) and _ACCOUNT.fullmatch(account)):
        raise PolicyError(f'account is {account!r}; accepted are 12 digits in quotes, such as "111122223333"')
    if egress_class is not None and egress_classes is not None and egress_class not in egress_classes:
        raise PolicyError(f"egress_class is {egress_class!r}; accepted are {', '.join(egress_classes)}")


def _value(name: str, value: Any) -> float | int:
    number = check_number(name, value, _LEAST.get(name, 0))
    return int(number) if name in _WHOLE_NUMBERS else number


def _thresholds(value: Any) -> tuple[float, float, float]:
    numbers = value if isinstance(value, list | tuple) and len(value) == 3 else ()
    are_numbers = all(isinstance(number, int | float) for number in numbers)
    if not (numbers and are_numbers and 0 < numbers[0] < numbers[1] < numbers[2]):
        raise PolicyError(
            f"severity_usd_per_day is {value!r}; accepted are three rising dollars a day for medium, high and "
            "critical, such as [50, 500, 5000]"
        )
    medium, high, critical = (float(number) for number in numbers)
    return medium, high, critical


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"{name} is {value!r}; true and false are accepted")
    return value


def _overrides(entries: Any, classes: tuple[str, ...] | None) -> dict[tuple[str, str], dict[str, Any]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PolicyError("overrides must be a list; in a policy.toml, write each one as [[overrides]]")
    overrides: dict[tuple[str, str], dict[str, Any]] = {}
    for number, entry in enumerate(entries, 1):
        try:
            scope, values = _override(entry, classes)
        except PolicyError as error:
            raise PolicyError(f"override {number}: {error}") from error
        if scope in overrides:
            raise PolicyError(f"override {number} has the same account and egress_class as an earlier one; merge them")
        overrides[scope] = values
    return overrides


def _override(entry: Mapping[str, Any], classes: tuple[str, ...] | None) -> tuple[tuple[str, str], dict[str, Any]]:
    given = {name: value for name, value in entry.items() if value is not None}
    account, egress_class = given.pop("account", None), given.pop("egress_class", None)
    unknown = sorted(given.keys() - set(OVERRIDABLE))
    if unknown:
        raise PolicyError(f"has {unknown[0]!r}; accepted are account, egress_class, {', '.join(OVERRIDABLE)}")
    check_scope(account, egress_class, classes)
    if not given or (account is None and egress_class is None):
        raise PolicyError(
            f"{json.dumps(dict(entry))} needs account or egress_class, and one of {', '.join(OVERRIDABLE)}"
        )
    checked = {
        name: _thresholds(value) if name == "severity_usd_per_day" else check_number(name, value)
        for name, value in given.items()
    }
    return (account or "", egress_class or ""), checked
