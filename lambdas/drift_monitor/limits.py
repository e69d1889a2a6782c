"""The limits of drift, by feature. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY = "*"


class LimitsError(ValueError):
    """The limits cannot be read."""


@dataclass(frozen=True)
class Limits:
    """The limits of one feature. None disables a check.

    Parameters
    ----------
    psi, ks : float or None
        Distance from the reference of the same weekday. The effective limit is the larger of this value and the
        distance that the reference's days have among each other.
    missing_share : float or None
        Share of the rows without a value, above the share in training.
    mean_deviations : float or None
        Distance of the mean from the training mean, in standard deviations of the training rows. If training has days,
        only an explicit limit applies: most rows are zero then, and their standard deviation means little.
    out_of_range_share : float or None
        Share of the rows outside the range of the training rows.
    flagged_share : float or None
        Share of anomalous rows among the nonzero rows. Only for `anomaly_score`. The effective limit is the larger one,
        as with the distances.
    """

    psi: float | None = 0.1
    ks: float | None = 0.1
    mean_deviations: float | None = 3.0
    missing_share: float | None = 0.01
    out_of_range_share: float | None = 0.02
    flagged_share: float | None = 0.03


NAMES = tuple(field.name for field in fields(Limits))


class LimitTable:
    """Limits by feature, key or `anomaly_score`. "*" sets the default of all of them."""

    def __init__(self, changes: Mapping[str, Mapping[str, float | None]]) -> None:
        self._changes = changes

    def of(self, name: str) -> Limits:
        """Return a feature's limits."""
        changed: dict[str, Any] = {**self._changes.get(EVERY, {}), **self._changes.get(name, {})}
        return replace(Limits(), **changed)

    def sets(self, name: str, limit: str) -> bool:
        """Return whether a limit of a feature is set explicitly."""
        return limit in self._changes.get(EVERY, {}) or limit in self._changes.get(name, {})

    @classmethod
    def parse(cls, text: str) -> LimitTable:
        """Parse JSON such as `{"*": {"psi": 0.2}, "persistence": {"ks": null}}`.

        Raises
        ------
        LimitsError
            The text is not valid. The message names the fault and the accepted form.
        """
        accepted = f'use the form {{"*": {{"psi": 0.2}}}}, where {", ".join(NAMES)} are numbers from 0, or null'
        try:
            document = json.loads(text)
        except ValueError as error:
            raise LimitsError(f"the limits are not JSON ({error}); {accepted}") from error
        if not isinstance(document, dict) or not all(isinstance(changes, dict) for changes in document.values()):
            raise LimitsError(f"the limits {text[:100]} are not an object of limits by feature; {accepted}")
        for feature, changes in document.items():
            for name, value in changes.items():
                is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
                if name not in asdict(Limits()) or not (value is None or is_number):
                    raise LimitsError(f"the limit {name} of {feature} is {value!r}; {accepted}")
        return cls(document)
