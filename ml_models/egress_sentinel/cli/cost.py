"""The command `cost`: what the deployed service itself costs a month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson, read_text
from egress_sentinel.cli.output import print_json, print_line, print_table, right
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.deployment.cost import Change, Line


def cost(
    terraform_dir: Annotated[
        Path | None, typer.Option(help="The folder in which `terraform apply` or `terraform plan` ran.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A plan file of `terraform plan -out FILE`, in place of the state.")
    ] = None,
    show: Annotated[Path | None, typer.Option(help="A file with the output of `terraform show -json`.")] = None,
    series: Annotated[int, typer.Option(min=1, help="Series of egress in your bill; `features` counts them.")] = 135,
    notebook_hours: Annotated[float, typer.Option(min=0, max=744, help="Hours a month that a notebook runs.")] = 730,
    athena_gb: Annotated[float, typer.Option(min=0, help="GB a month that queries scan.")] = 10,
    batch_hours: Annotated[float, typer.Option(min=0, help="Hours a month that batch jobs run.")] = 1,
    build_minutes: Annotated[float, typer.Option(min=0, help="Minutes a month that image builds run.")] = 10,
    image_gb: Annotated[float, typer.Option(min=0, help="GB of container images that are kept.")] = 2,
    flow_log_gb: Annotated[float, typer.Option(min=0, help="GB a month of flow logs, before compression.")] = 10,
    prices: Annotated[Path | None, typer.Option(help="Your price table. Default: list prices of us-east-1.")] = None,
    as_json: AsJson = False,
) -> None:
    """Price the deployment per month from its Terraform plan or state, with the cheapest changes."""
    from egress_sentinel.deployment.cost import (
        Usage,
        break_even,
        cheapest_changes,
        estimate,
        read_deployment,
        read_prices,
        terraform_show,
    )

    if (terraform_dir is None) == (show is None):
        raise UserError("cost takes either --terraform-dir or --show")
    deployment = read_deployment(terraform_show(terraform_dir, plan) if terraform_dir else read_text(show or Path()))
    table = read_prices(prices)
    usage = Usage(
        series=series,
        notebook_hours=notebook_hours,
        athena_gb=athena_gb,
        batch_hours=batch_hours,
        build_minutes=build_minutes,
        image_gb=image_gb,
        flow_log_gb=flow_log_gb,
    )
    lines = estimate(deployment, usage, table)
    changes = cheapest_changes(deployment, usage, table)
    even = ""
    if deployment.has_endpoint:
        instance, usd, times = break_even(deployment, usage, table)
        even = (
            f"One {instance} is ${usd:,.2f} a month whatever it does; serverless would cost as much at {times:,.0f} "
            "times this work."
        )
    if as_json:
        print_json(_record(lines, changes, even, table) | {"not_counted": deployment.not_counted})
    else:
        _print_table(lines, changes, even, table)
        for kind in deployment.not_counted:
            print_line(f"Not counted: {kind}, which the estimate does not know.")


def _record(lines: list[Line], changes: list[Change], even: str, prices: Any) -> dict[str, Any]:
    return {
        "usd_a_month": round(sum(line.usd for line in lines), 4),
        "lines": [line._asdict() for line in lines],
        "changes": [change._asdict() for change in changes],
        "break_even": even,
        "prices": {"date": prices.date, "region": prices.region},
    }


def _print_table(lines: list[Line], changes: list[Change], even: str, prices: Any) -> None:
    total = sum(line.usd for line in lines)
    rows = ((line.item, line.quantity, f"{line.usd:,.2f}" if line.usd >= 0.01 else "< 0.01") for line in lines)
    title = f"About ${total:,.2f} a month"
    print_table(["item", "a month", right("dollars")], rows, title=title, title_justify="left")
    if changes:
        print_line("Cheaper by:")
    for change in changes:
        print_line(f"  ${change.saves_usd:,.2f}  {change.what}   (gives up: {change.gives_up})")
    if even:
        print_line(even)
    print_line(
        f"List prices of {prices.region} entered on {prices.date}, without free tiers. The AWS Pricing Calculator has "
        "today's."
    )
