"""The command `verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json, print_table, say
from egress_sentinel.errors import UserError


def verify(
    terraform_dir: options.TerraformDir = None,
    outputs: Annotated[Path | None, typer.Option(help="What `terraform output -json` printed, in a file.")] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Also read the configuration of the module's resources, and write AWS's answers to this file with "
            "pseudonyms for account ids, names and keys. Tests compare the local AWS with it. Review it first."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare what the endpoint serves with what Terraform asked for; exit status 1 where they differ."""
    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs, verify

    if (terraform_dir is None) == (outputs is None):
        raise UserError("verify takes either --terraform-dir or --outputs")
    text = options.read_text(outputs) if outputs else terraform_outputs(terraform_dir or Path())
    asked_for = read_outputs(text)
    if record:
        _record(record, asked_for)
    checks = verify(asked_for)
    if as_json:
        print_json([{**check._asdict(), "is_met": check.is_met} for check in checks])
    else:
        rows = ((_mark(check.what, check.is_met), _short(check.expected), _short(check.found)) for check in checks)
        print_table(["", "asked for", "there is"], rows)
    differing = [check.what for check in checks if not check.is_met]
    if differing:
        say(f"the endpoint differs from the configuration in: {', '.join(differing)}")
        raise typer.Exit(1)


def _record(path: Path, outputs: dict[str, Any]) -> None:
    from egress_sentinel.deployment.recording import record

    recorded = record(outputs)
    try:
        path.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    count = len(recorded["calls"])
    say(f"wrote {count} answers to {path}, with pseudonyms for names and ids; review it before you send it")


def _mark(what: str, is_met: bool) -> Text:
    style, word = ("green", "same") if is_met else ("red", "differs")
    return Text.assemble((word, style), f" {what}")


def _short(value: object) -> str:
    return (
        "\n".join(f"{name} {digest[:16]}" for name, digest in value.items()) if isinstance(value, dict) else str(value)
    )
