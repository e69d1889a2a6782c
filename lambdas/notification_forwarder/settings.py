"""The function's environment variables, read and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Destination = Literal["pagerduty", "webhook", "chat"]


class SettingsError(ValueError):
    """A variable is missing or has a value that is not accepted."""


@dataclass(frozen=True)
class Settings:
    """The destination. `secret_arn` is empty for a chat, and `topic_arn` for the others."""

    destination: Destination
    secret_arn: str
    topic_arn: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            A variable is missing or not accepted. The message names it, its value and the accepted values.
        """
        given = environment.get("DESTINATION", "")
        destination = next((name for name in get_args(Destination) if name == given), None)
        if destination is None:
            raise SettingsError(f"DESTINATION is {given!r}; accepted are {', '.join(get_args(Destination))}")
        needed = "TOPIC_ARN" if destination == "chat" else "SECRET_ARN"
        if not environment.get(needed):
            raise SettingsError(f"the environment variable {needed} is not set; {destination} requires it")
        return cls(destination, environment.get("SECRET_ARN", ""), environment.get("TOPIC_ARN", ""))
