"""The command `local up`."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli.output import say
from egress_sentinel.errors import UserError

local = typer.Typer(
    name="local", help="Run an AWS on this machine, for `terraform apply` without an account.", no_args_is_help=True
)
OVERRIDE = "egress_sentinel_local_override.tf"
# What the extra adds to the packages that every command uses.
_EXTRA = ("moto", "flask_cors", "pyparsing", "docker", "antlr4", "jsonpath_ng", "py_partiql_parser", "yaml")


@local.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 selects a free one.")] = 4577,
    terraform_dir: Annotated[
        Path | None,
        typer.Option(help="A Terraform configuration to use it. An override file is written, and deleted at the end."),
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
            say(f"The local AWS is up at {url}. Paste the lines above into another terminal. Ctrl-C stops it.")

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
