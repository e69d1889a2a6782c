"""The command `owners`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json, print_table


def owners(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An owners.toml or .json.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else on stdout, for Terraform's owners.")
    ] = False,
) -> None:
    """Check a file of owner rules and list them. The first rule that matches an alert decides who owns it.

    A rule has a team and optionally a channel. Its conditions are tags, accounts, regions, egress_classes and
    resources (with * and ?). Without a rule that matches, a tag owner or team is the owner.
    """
    found = [rule.record() for rule in options.owners_of(file)]
    if as_json:
        print_json(found)
        return
    conditions = ("accounts", "regions", "egress_classes", "resources")
    print_table(
        ["rule", "team", "channel", "tags", *conditions],
        [
            (
                str(number),
                rule["team"],
                rule.get("channel", ""),
                ", ".join(f"{key}={value}" for key, value in rule.get("tags", {}).items()) or "any",
                *(", ".join(rule.get(name, ["any"])) for name in conditions),
            )
            for number, rule in enumerate(found, 1)
        ],
    )
