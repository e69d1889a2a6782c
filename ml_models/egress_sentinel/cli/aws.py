"""The commands around a deployment: `verify` and `local up`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from egress_sentinel.errors import UserError

local = typer.Typer(
    name="local", help="An AWS on this machine, good enough for `terraform apply`.", no_args_is_help=True
)
OVERRIDE = "egress_sentinel_local_override.tf"


def verify(
    terraform_dir: Annotated[
        Path | None, typer.Option(help="The folder in which `terraform apply` ran; its outputs are asked for.")
    ] = None,
    outputs: Annotated[Path | None, typer.Option(help="What `terraform output -json` printed, in a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Compare what the endpoint serves with what Terraform asked for; exit status 1 where they differ."""
    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs, verify

    if (terraform_dir is None) == (outputs is None):
        raise UserError("verify takes either --terraform-dir or --outputs")
    checks = verify(read_outputs(_text(outputs) if outputs else terraform_outputs(terraform_dir or Path())))
    if as_json:
        print(json.dumps([{**check._asdict(), "is_met": check.is_met} for check in checks], indent=2))
    else:
        table = Table("", "asked for", "there is")
        for check in checks:
            mark = "[green]same[/]" if check.is_met else "[red]differs[/]"
            table.add_row(f"{mark} {check.what}", _short(check.expected), _short(check.found))
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    differing = [check.what for check in checks if not check.is_met]
    if differing:
        _say(f"the endpoint does not serve what was asked for: {', '.join(differing)} differ")
        raise typer.Exit(1)


@local.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 4577,
    terraform_dir: Annotated[
        Path | None,
        typer.Option(help="A configuration to point at it, by an override file that goes away at the end."),
    ] = None,
) -> None:
    """Serve until Ctrl-C: S3, SageMaker, Lambda, EventBridge, DynamoDB, SNS and what else the Terraform module uses.

    Print the variables by which Terraform, boto3 and the AWS CLI use it. Its state lives in memory: throw a
    terraform.tfstate away with it.
    """
    from local_aws import environment_of
    from local_aws.server import serve

    def announce(url: str) -> None:
        for name, value in environment_of(url).items():
            print(f"export {name}={value}", flush=True)
        _say(f"the local AWS is up at {url}; paste the lines above where you work; Ctrl-C stops it")

    override = terraform_dir / OVERRIDE if terraform_dir else None
    try:
        if override:
            write_override(override)
        serve(port, announce)
    finally:
        if override:
            override.unlink(missing_ok=True)


def write_override(path: Path) -> None:
    """Let a configuration's AWS provider speak to an address that is no AWS: paths for buckets, no waiting for ever.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    text = 'provider "aws" {\n  s3_use_path_style           = true\n  skip_credentials_validation = true\n'
    try:
        path.write_text(text + "  max_retries                 = 2\n}\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _short(value: object) -> str:
    return (
        "\n".join(f"{name} {digest[:16]}" for name, digest in value.items()) if isinstance(value, dict) else str(value)
    )


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)
