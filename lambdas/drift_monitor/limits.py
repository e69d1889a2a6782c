"""How far a day may lie from the reference before it counts, feature by feature. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY = "*"


class LimitsError(ValueError):
    """Limits that cannot be read."""


@dataclass(frozen=True)
class Limits:
    """The least values that count; None leaves a check out.

    Parameters
    ----------
    psi, ks : float or None
        Distances from the same weekday's reference. The limit in force is the larger one of this and of what the
        reference's own days reach among each other.
    missing_share : float or None
        Of the rows, above that of training.
    mean_deviations : float or None
        Distance of the mean from that of training, in standard deviations of the training rows. Where training has
        days, only a limit that is given counts: there most rows are zeros, and deviations of them say little.
    out_of_range_share : float or None
        Of the rows, outside what any training row had.
    flagged_share : float or None
        Of the rows that are not zero throughout; for the scores alone, and as with the distances.
    """

    psi: float | None = 0.1
    ks: float | None = 0.1
    mean_deviations: float | None = 3.0
    missing_share: float | None = 0.01
    out_of_range_share: float | None = 0.02
    flagged_share: float | None = 0.03


NAMES = tuple(field.name for field in fields(Limits))


class LimitTable:
    """Limits by feature, or key, or `anomaly_score`; those of "*" hold for every one that does not say otherwise."""

    def __init__(self, changes: Mapping[str, Mapping[str, float | None]]) -> None:
        self._changes = changes

    def of(self, name: str) -> Limits:
        """Return a feature's limits."""
        changed: dict[str, Any] = {**self._changes.get(EVERY, {}), **self._changes.get(name, {})}
        return replace(Limits(), **changed)

    def sets(self, name: str, limit: str) -> bool:
        """Say whether a limit of a feature is given, and not the default."""
        return limit in self._changes.get(EVERY, {}) or limit in self._changes.get(name, {})

    @classmethod
    def parse(cls, text: str) -> LimitTable:
        """Read such as `{"*": {"psi": 0.2}, "persistence": {"ks": null}}`.

        Raises
        ------
        LimitsError
            Names what is wrong and what is accepted.
        """
        accepted = f'accepted is such as {{"*": {{"psi": 0.2}}}}, with {", ".join(NAMES)}: numbers from 0, or null'
        try:
            document = json.loads(text)
        except ValueError as error:
            raise LimitsError(f"the limits are not JSON ({error}); {accepted}") from error
        if not isinstance(document, dict) or not all(isinstance(changes, dict) for changes in document.values()):
            raise LimitsError(f"the limits {text[:100]} are no limits by feature; {accepted}")
        for feature, changes in document.items():
            for name, value in changes.items():
                is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
                if name not in asdict(Limits()) or not (value is None or is_number):
                    raise LimitsError(f"the limit {name} of {feature} is {value!r}; {accepted}")
        return cls(document)
