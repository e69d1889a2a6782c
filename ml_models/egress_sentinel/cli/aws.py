"""The command `local up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egress_sentinel.cli.output import say
from egress_sentinel.errors import UserError

local = typer.Typer(
    name="local", help="An AWS on this machine, good enough for `terraform apply`.", no_args_is_help=True
)
OVERRIDE = "egress_sentinel_local_override.tf"


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
        say(f"the local AWS is up at {url}; paste the lines above where you work; Ctrl-C stops it")

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
