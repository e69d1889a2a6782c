"""What to change so that a deployment costs less: each candidate is priced like the deployment itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from egress_sentinel.deployment.cost.estimate import estimate
from egress_sentinel.deployment.cost.usage import DAYS_A_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egress_sentinel.deployment.cost.plan import Deployment
    from egress_sentinel.deployment.cost.prices import Prices
    from egress_sentinel.deployment.cost.usage import Usage

SMALLEST_INSTANCE = "ml.t2.medium"
WORKING_HOURS = 176
WORTH_SAYING_USD = 0.01


class Change(NamedTuple):
    """A change of settings, its drawback, and the dollars that it saves per month."""

    what: str
    gives_up: str
    saves_usd: float


def cheapest_changes(deployment: Deployment, usage: Usage, prices: Prices, count: int = 3) -> list[Change]:
    """Return the changes that save most, at most `count`, none that saves less than a cent."""
    now = _total(deployment, usage, prices)
    found = [
        Change(what, gives_up, now - _total(changed, less, prices))
        for what, gives_up, changed, less in _candidates(deployment, usage)
    ]
    worth = [change for change in found if change.saves_usd >= WORTH_SAYING_USD]
    return sorted(worth, key=lambda change: -change.saves_usd)[:count]


def _total(deployment: Deployment, usage: Usage, prices: Prices) -> float:
    return sum(line.usd for line in estimate(deployment, usage, prices))


def _candidates(now: Deployment, usage: Usage) -> Iterator[tuple[str, str, Deployment, Usage]]:
    if not now.has_endpoint:
        pass
    elif now.serverless_mb is None:
        if not now.needs_instances:
            changed = replace(now, serverless_mb=2048, instance_type=None, instance_count=0, capture_percent=0)
            gives_up = "data capture, gradual deployment; the first answer after a pause takes seconds"
            yield "serverless = {} and realtime = null", gives_up, changed, usage
        smaller = replace(now, instance_type=SMALLEST_INSTANCE)
        yield f'realtime.instance_type = "{SMALLEST_INSTANCE}"', "speed under load", smaller, usage
        if now.instance_count > 1:
            yield (
                "realtime.instance_count = 1",
                "an answer while an instance fails",
                replace(now, instance_count=1),
                usage,
            )
        if now.capture_percent > 1:
            changed = replace(now, capture_percent=1)
            yield "data_capture.sampling_percentage = 1", "requests to look back at", changed, usage
    else:
        if now.provisioned_concurrency:
            changed = replace(now, provisioned_concurrency=0)
            yield "serverless.provisioned_concurrency = null", "a warm start", changed, usage
        yield "serverless.memory_mb = 1024", "half the CPU for a request", replace(now, serverless_mb=1024), usage
    yield from _of_the_rest(now, usage)


def _of_the_rest(now: Deployment, usage: Usage) -> Iterator[tuple[str, str, Deployment, Usage]]:
    hourly = [function for function in now.functions if function.scheduled_runs > 4 * DAYS_A_MONTH]
    if hourly:
        slower = tuple(
            replace(function, scheduled_runs=4 * DAYS_A_MONTH) if function in hourly else function
            for function in now.functions
        )
        changed = replace(now, functions=slower)
        yield 'schedule_expression = "rate(6 hours)"', "hours until a restated bill is scored again", changed, usage
    if now.notebook_type and usage.notebook_hours > WORKING_HOURS:
        changed_usage = replace(usage, notebook_hours=WORKING_HOURS)
        yield "stop the notebook outside working hours", "nothing", now, changed_usage
    if now.dashboards:
        yield "delete the dashboard", "the page that an operator keeps open", replace(now, dashboards=0), usage
    if now.scored_days > 90:
        changed = replace(now, scored_days=90)
        yield "scored_retention_days = 90", "scores of earlier seasons", changed, usage
