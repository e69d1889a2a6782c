"""What a deployment of Egress Sentinel costs a month, read from its Terraform plan or state.

`estimate` is the entry point. `read_deployment` reads the output of `terraform show`, and `cheapest_changes` suggests
changes.
"""

from egress_sentinel.deployment.cost.changes import Change, cheapest_changes
from egress_sentinel.deployment.cost.estimate import Line, break_even, estimate
from egress_sentinel.deployment.cost.plan import Deployment, read_deployment, terraform_show
from egress_sentinel.deployment.cost.prices import Prices, read_prices
from egress_sentinel.deployment.cost.usage import Usage

__all__ = [
    "Change",
    "Deployment",
    "Line",
    "Prices",
    "Usage",
    "break_even",
    "cheapest_changes",
    "estimate",
    "read_deployment",
    "read_prices",
    "terraform_show",
]
