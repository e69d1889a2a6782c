"""What an excess must reach, and the accounts and egress classes that have floors of their own. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class OverrideError(ValueError):
    """An override that makes no sense: which one, what, and what is accepted."""


class Floors(NamedTuple):
    """Dollars and GB that an incident gathers in 24 hours, and percent that an hour is above what was expected."""

    min_excess_usd: float
    min_excess_gb: float
    min_excess_percent: float


class Overrides:
    """Floors by account and egress class; the most specific one wins, floor by floor.

    An account with a class comes before an account, an account before a class, a class before what holds everywhere.

    Parameters
    ----------
    floors : mapping, optional
        By (account id, egress class), where "" stands for all of them: some or all fields of `Floors`.
    """

    def __init__(self, floors: Mapping[tuple[str, str], Mapping[str, float]] | None = None) -> None:
        self._floors = {scope: dict(values) for scope, values in (floors or {}).items()}

    @classmethod
    def from_json(cls, text: str) -> Overrides:
        """Read a list such as `[{"account": "111122223333", "egress_class": "inter_az", "min_excess_usd": 100}]`.

        Raises
        ------
        OverrideError
            Names the entry.
        """
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise OverrideError(f"{text!r} is no JSON: {error}") from error
        if not isinstance(entries, list):
            raise OverrideError(f"{text!r} is no list")
        floors: dict[tuple[str, str], dict[str, float]] = {}
        for number, entry in enumerate(entries, 1):
            scope, values = _read(entry, f"entry {number}")
            if scope in floors:
                raise OverrideError(f"entry {number} is about the same account and egress_class as an earlier one")
            floors[scope] = values
        return cls(floors)

    def over(self, everywhere: Floors, account_id: str, egress_class: str) -> Floors:
        """Return the floors of an account and a class, `everywhere` where nothing else is said."""
        if not self._floors:
            return everywhere
        floors = everywhere
        for scope in (("", egress_class), (account_id, ""), (account_id, egress_class)):
            floors = floors._replace(**self._floors.get(scope, {}))
        return floors


def _read(entry: Any, name: str) -> tuple[tuple[str, str], dict[str, float]]:
    given = {key: value for key, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
    account, egress_class = str(given.pop("account", "")), str(given.pop("egress_class", ""))
    unknown = sorted(given.keys() - set(Floors._fields))
    if unknown:
        raise OverrideError(
            f"{name} has {unknown[0]!r}; accepted are account, egress_class, {', '.join(Floors._fields)}"
        )
    if not given or not (account or egress_class):
        raise OverrideError(
            f"{name} is {json.dumps(entry)}; it needs account or egress_class, and one of {', '.join(Floors._fields)}"
        )
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise OverrideError(f"{name}: {key} is {value!r}; a number of at least 0 is accepted")
    return (account, egress_class), {key: float(value) for key, value in given.items()}
