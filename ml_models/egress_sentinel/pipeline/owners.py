"""Owner rules of runs on this machine: which team owns an alert, and in which channel it reads about it.

    [[owners]]                          # the first rule that matches decides
    team = "team-media"
    channel = "#media-alerts"           # optional
    tags = { owner = "media*" }         # keys ignore case; "cost_category:NAME" is a cost category
    accounts = ["210987654321", "prod-*"]   # ids or names
    regions = ["eu-*"]
    egress_classes = ["internet"]
    resources = ["*media-*"]            # * and ? are wildcards

    [[owners]]                          # without a condition: everything else
    team = "finops"

Each condition that is given must match; one pattern of a list is enough. A `.json` file holds the same as a list of
objects. Terraform's `owners` takes that list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_alerts.routing import OwnerRule, OwnersError, check_owner_rules
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.policy import egress_classes, read_entries

if TYPE_CHECKING:
    from pathlib import Path


def read_owners(path: Path) -> list[OwnerRule]:
    """Read a file of owner rules.

    Raises
    ------
    UserError
        The rule, its fault, and how to fix it.
    """
    try:
        return check_owner_rules(read_entries(path, "owners", "owner rules"), f"{path}: owner rule", egress_classes())
    except OwnersError as error:
        raise UserError(str(error)) from error
