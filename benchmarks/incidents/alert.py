"""An alert in the benchmark's format, for every detector."""

from __future__ import annotations

from dataclasses import dataclass, replace

ALL = "*"


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes
    ----------
    accounts, regions, resources, usage_types : tuple of str
        The series that it names, the most important first, one of each for every series. The resource is empty for
        lines that have none. It is `*` for an alert about a level above the resource. Then the region or the account
        may be `*` as well.
    start, end : int
        First and last hour of the alert, inclusive, counted from the start of the bill.
    course : tuple of (int, float)
        Hours from the detection on, and the alert's rank as of each hour. A higher rank deserves more attention. The
        rank never decreases. A threshold on the rank limits false alerts to a budget. An alert counts as raised in the
        first hour in which it reaches the threshold.
    kind : str
        The kind of incident that it suspects, by the names of the truth. May be empty.
    """

    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    resources: tuple[str, ...]
    usage_types: tuple[str, ...]
    start: int
    end: int
    course: tuple[tuple[int, float], ...]
    kind: str = ""

    @property
    def named(self) -> list[tuple[str, str, str, str]]:
        """Account, region, resource and usage type of each series that it names."""
        return list(zip(self.accounts, self.regions, self.resources, self.usage_types, strict=True))

    @property
    def detected(self) -> int:
        """The hour in which it was raised."""
        return self.course[0][0]

    @property
    def rank(self) -> float:
        """The highest rank that it ever had."""
        return self.course[-1][1]

    def raised_at(self, threshold: float) -> Alert | None:
        """Return the alert from the hour in which it reaches a threshold, or None if it never does."""
        reached = [step for step in self.course if step[1] >= threshold]
        return replace(self, course=tuple(reached)) if reached else None

    def by_step(self, hours: int) -> Alert:
        """Return the alert as a bill of longer lines allows it: raised at the end of a line, not within."""
        course = tuple((hour // hours * hours + hours - 1, rank) for hour, rank in self.course)
        return replace(self, course=course)


def above(alerts: list[Alert], threshold: float) -> list[Alert]:
    """Return the alerts that a threshold lets through, in order of detection."""
    kept = [alert for one in alerts if (alert := one.raised_at(threshold)) is not None]
    return sorted(kept, key=lambda alert: (alert.detected, alert.accounts, alert.resources))
