"""The function's environment variables, read and checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomaly_detector.floors import Floors, OverrideError, Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomaly_detector.incidents import Series

SEVERITIES = ("low", "medium", "high", "critical")


class SettingsError(ValueError):
    """A variable is missing or has a value that makes no sense."""


@dataclass(frozen=True)
class Policy:
    """When anomalous hours become an alert; see `incidents`."""

    min_excess_usd: float = 5.0
    min_excess_gb: float = 2.0
    min_excess_percent: float = 30.0
    min_times_usual_excess: float = 2.5
    max_p_value: float = 0.05
    lasting_hours: int = 12
    incident_gap_hours: int = 168
    sibling_hours: int = 12
    severity_usd_per_day: tuple[float, float, float] = (50.0, 500.0, 5000.0)
    overrides: Overrides = field(default_factory=Overrides)

    def floors(self, series: Series) -> Floors:
        """Return the floors of a series: those of its account and egress class where there are some of their own."""
        everywhere = Floors(self.min_excess_usd, self.min_excess_gb, self.min_excess_percent)
        return self.overrides.over(everywhere, series.account_id, series.egress_class)


@dataclass(frozen=True)
class Settings:
    """Where things are, and the policy."""

    bucket: str
    features_prefix: str
    scored_prefix: str
    endpoint_name: str
    alerts_table: str
    idempotency_table: str
    topic_arn: str
    max_body_bytes: int
    planned_events_key: str
    policy: Policy

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            Names the variable, its value and what is accepted.
        """
        return cls(
            bucket=_required(environment, "BUCKET"),
            features_prefix=environment.get("FEATURES_PREFIX", "features/"),
            scored_prefix=environment.get("SCORED_PREFIX", "scored/"),
            endpoint_name=_required(environment, "ENDPOINT_NAME"),
            alerts_table=_required(environment, "ALERTS_TABLE"),
            idempotency_table=_required(environment, "IDEMPOTENCY_TABLE"),
            topic_arn=_required(environment, "TOPIC_ARN"),
            max_body_bytes=int(_number(environment, "MAX_BODY_BYTES", 3_500_000, least=10_000)),
            planned_events_key=environment.get("PLANNED_EVENTS_KEY", ""),
            policy=Policy(
                min_excess_usd=_number(environment, "MIN_EXCESS_USD", 5),
                min_excess_gb=_number(environment, "MIN_EXCESS_GB", 2),
                min_excess_percent=_number(environment, "MIN_EXCESS_PERCENT", 30),
                min_times_usual_excess=_number(environment, "MIN_TIMES_USUAL_EXCESS", 2.5),
                max_p_value=_number(environment, "MAX_P_VALUE", 0.05),
                lasting_hours=int(_number(environment, "LASTING_HOURS", 12, least=1)),
                # Shorter than the 24 hours in which an incident gathers its floor, it would be counted twice.
                incident_gap_hours=int(_number(environment, "INCIDENT_GAP_HOURS", 168, least=24)),
                sibling_hours=int(_number(environment, "SIBLING_HOURS", 12)),
                severity_usd_per_day=_thresholds(environment.get("SEVERITY_USD_PER_DAY", "50,500,5000")),
                overrides=_overrides(environment.get("POLICY_OVERRIDES", "[]")),
            ),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value


def _number(environment: Mapping[str, str], name: str, default: float, least: float = 0) -> float:
    text = environment.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise SettingsError(f"{name} is {text!r}; a number of at least {least:g} is accepted")
    return value


def _overrides(text: str) -> Overrides:
    try:
        return Overrides.from_json(text)
    except OverrideError as error:
        raise SettingsError(f"POLICY_OVERRIDES: {error}") from error


def _thresholds(text: str) -> tuple[float, float, float]:
    try:
        medium, high, critical = (float(part) for part in text.split(","))
    except ValueError:
        medium = high = critical = float("nan")
    if not 0 < medium < high < critical:
        raise SettingsError(
            f"SEVERITY_USD_PER_DAY is {text!r}; accepted are three rising dollars a day for medium, high and critical, "
            "such as 50,500,5000"
        )
    return medium, high, critical
