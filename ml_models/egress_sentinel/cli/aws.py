"""The commands around a deployment: `verify` and `local up`."""

from __future__ import annotations

import contextlib
import importlib.util
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
# What the extra adds to the packages that every command uses.
_EXTRA = ("moto", "flask_cors", "pyparsing", "docker", "antlr4", "jsonpath_ng", "py_partiql_parser", "yaml")


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

    Print the variables by which Terraform, boto3 and the AWS CLI use it, then each notification that SNS publishes.
    All state is in memory: delete terraform.tfstate when you stop it.
    """
    _require_extra()
    from egress_sentinel.serving.server_process import stop_on_signals
    from local_aws import environment_of
    from local_aws.server import serve

    with contextlib.ExitStack() as at_the_end:

        def announce(url: str) -> None:
            if terraform_dir:
                override = terraform_dir / OVERRIDE
                write_override(override)
                at_the_end.callback(override.unlink, missing_ok=True)
            for name, value in environment_of(url).items():
                print(f"export {name}={value}", flush=True)
            _say(f"The local AWS is up at {url}. Paste the lines above into another terminal. Ctrl-C stops it.")

        stop_on_signals(with_stdin=False)
        serve(port, announce, _print_notification)


def _require_extra() -> None:
    if any(importlib.util.find_spec(name) is None for name in _EXTRA):
        raise UserError("egress-sentinel local up needs the extra: pip install 'egress-sentinel[local]'")


def _print_notification(topic: str, subject: str, message: str) -> None:
    """Print what SNS published; one call of print, because several functions may publish at once."""
    print("\n".join(["", f"Notification published to {topic}:", *filter(None, (subject, message))]), file=sys.stderr)


def write_override(path: Path) -> None:
    """Adapt a configuration's AWS provider to the local AWS: buckets in paths, credentials unchecked, few retries.

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
