"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json, print_table, say
from egress_sentinel.errors import UserError


def verify(
    terraform_dir: options.TerraformDir = None,
    outputs: Annotated[Path | None, typer.Option(help="What `terraform output -json` printed, in a file.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare what the endpoint serves with what Terraform asked for; exit status 1 where they differ."""
    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs, verify

    if (terraform_dir is None) == (outputs is None):
        raise UserError("verify takes either --terraform-dir or --outputs")
    text = options.read_text(outputs) if outputs else terraform_outputs(terraform_dir or Path())
    checks = verify(read_outputs(text))
    if as_json:
        print_json([{**check._asdict(), "is_met": check.is_met} for check in checks])
    else:
        rows = ((_mark(check.what, check.is_met), _short(check.expected), _short(check.found)) for check in checks)
        print_table(["", "asked for", "there is"], rows)
    differing = [check.what for check in checks if not check.is_met]
    if differing:
        say(f"the endpoint differs from the configuration in: {', '.join(differing)}")
        raise typer.Exit(1)


def _mark(what: str, is_met: bool) -> Text:
    style, word = ("green", "same") if is_met else ("red", "differs")
    return Text.assemble((word, style), f" {what}")


def _short(value: object) -> str:
    return (
        "\n".join(f"{name} {digest[:16]}" for name, digest in value.items()) if isinstance(value, dict) else str(value)
    )
