"""The options of an alert policy, for the commands that raise alerts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from egress_alerts.policy import Policy

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="A policy.toml: floors, also for an account or an egress class alone ([[overrides]], the most specific "
        "wins), severity_usd_per_day, incident_gap_hours (no second alert until then), and the others of Terraform's "
        "alert_policy.",
    ),
]
MinExcessUsd = Annotated[
    float | None,
    typer.Option(
        min=0, help="An incident must cost this many dollars more than expected in 24 hours (default: 5), or ..."
    ),
]
MinExcessGb = Annotated[
    float | None,
    typer.Option(
        min=0, help="... move this many GB more than expected where the bill says $0, as in a free tier (default: 1)."
    ),
]
MinExcessPercent = Annotated[
    float | None,
    typer.Option(min=0, help="An hour counts when it is this many percent above what was expected (default: 30)."),
]


def policy_of(
    policy: Path | None, min_excess_usd: float | None, min_excess_gb: float | None, min_excess_percent: float | None
) -> Policy:
    """Return the policy; options come before the file, and the file's overrides before both."""
    from egress_sentinel.pipeline.policy import read_policy

    options = {
        "min_excess_usd": min_excess_usd,
        "min_excess_gb": min_excess_gb,
        "min_excess_percent": min_excess_percent,
    }
    return read_policy(policy, options)
