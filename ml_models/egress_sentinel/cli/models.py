"""The commands around the model registry: `models list`, `approve`, `reject`, `promote`, `rollback` and the others."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson
from egress_sentinel.cli.output import print_json, print_table, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.deployment.registry import Package, Registry

models = typer.Typer(
    name="models",
    help="Registered models: which there are, why one may not serve, and which one does.",
    no_args_is_help=True,
)
TFVARS = "model_package.auto.tfvars.json"

Version = Annotated[int, typer.Argument(metavar="VERSION", help="As `models list` shows it.")]
Group = Annotated[str, typer.Option(help="The model package group: the deployment's name.")]
Note = Annotated[str, typer.Option(help="Why; kept with the model.")]
Folder = Annotated[Path, typer.Option(help="The folder in which `terraform apply` runs.")]
Apply = Annotated[bool, typer.Option("--apply", help="Run terraform apply, too; it asks before it changes anything.")]
DEFAULT_GROUP = "egress-sentinel"
_FACTS = ("model_id", "data_start_hour_utc", "data_end_hour_utc", "rows", "share_flagged", "recall_injected")


@models.command("list")
def list_models(group: Group = DEFAULT_GROUP, as_json: AsJson = False) -> None:
    """List the registered models, the newest first, with the gate's reasons against them."""
    registry = _registry(group)
    packages, serving = registry.packages(), registry.serving_arn()
    if as_json:
        print_json([{**asdict(package), "serves": package.arn == serving} for package in packages])
        return
    print_table(["", "status", *_FACTS, "the gate"], [_cells(package, serving) for package in packages])


@models.command()
def register(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="A model.tar.gz on this machine, or s3://BUCKET/KEY/model.tar.gz.")
    ],
    group: Group = DEFAULT_GROUP,
) -> None:
    """Register an artifact, wherever it was trained, as a model that waits for approval, as retraining does."""
    import boto3

    from egress_sentinel.deployment.registry import register as register_model

    result = register_model(boto3.client("lambda"), boto3.client("s3"), f"{group}-registrar", artifact)
    say(result["description"])
    print(result["model_package_arn"])


@models.command()
def approve(
    version: Version,
    group: Group = DEFAULT_GROUP,
    note: Note = "",
    force: Annotated[
        bool, typer.Option("--force", help="Approve although a quality check failed; needs --note.")
    ] = False,
) -> None:
    """Let a model be promoted."""
    if force and not note:
        raise UserError("--force needs a --note that says why")
    say(f"version {_registry(group).approve(version, note, force=force).version} is approved; next: models promote")


@models.command()
def reject(version: Version, group: Group = DEFAULT_GROUP, note: Note = "") -> None:
    """Keep a model from being promoted."""
    say(f"version {_registry(group).reject(version, note).version} is rejected")


@models.command()
def delete(version: Version, group: Group = DEFAULT_GROUP) -> None:
    """Forget a model, as before `terraform destroy`, which refuses a group that holds some; its artifact stays."""
    say(f"version {_registry(group).delete(version).version} is gone")


@models.command()
def promote(
    version: Annotated[int | None, typer.Argument(metavar="VERSION", help="Default: the newest approved one.")] = None,
    group: Group = DEFAULT_GROUP,
    terraform_dir: Folder = Path(),
    apply: Apply = False,
) -> None:
    """Print, or run, the `terraform apply` by which an approved model serves."""
    _apply(_registry(group).to_promote(version), terraform_dir, apply=apply)


@models.command()
def rollback(group: Group = DEFAULT_GROUP, terraform_dir: Folder = Path(), apply: Apply = False) -> None:
    """Print, or run, the `terraform apply` by which the approved model before this one serves again."""
    _apply(_registry(group).to_roll_back_to(), terraform_dir, apply=apply)


@models.command()
def lineage(
    name: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its model_id.")],
    group: Group = DEFAULT_GROUP,
) -> None:
    """Say which model an alert came from, and which job, data and code that was made of."""
    import boto3

    from egress_sentinel.deployment.lineage import lineage_of

    clients = boto3.client("sagemaker"), boto3.client("dynamodb")
    for record in lineage_of(*clients, _registry(group), f"{group}-alerts", name):
        print_json(record)


def _registry(group: str) -> Registry:
    import boto3

    from egress_sentinel.deployment.registry import Registry

    return Registry(boto3.client("sagemaker"), group, group)


def _apply(package: Package, folder: Path, *, apply: bool) -> None:
    """Write the ARN where every later apply finds it, so that none goes back to another model by accident."""
    command = ["terraform", "apply", "-var", f"model_package_arn={package.arn}"]
    if not apply:
        print(shlex.join(command))
        say(f"run this in {folder}, and keep model_package_arn in your variables; or say --apply")
        return
    target = folder / TFVARS
    before: Any = target.read_text(encoding="utf-8") if target.exists() else None
    try:
        target.write_text(json.dumps({"model_package_arn": package.arn}, indent=2) + "\n", encoding="utf-8")
        status = subprocess.run(["terraform", "apply"], cwd=folder, check=False).returncode  # noqa: S607
    except OSError as error:
        raise UserError(f"cannot apply in {folder}: {error}") from error
    if status:
        _restore(target, before)
        raise UserError(f"terraform apply failed in {folder} with status {status}; {TFVARS} is as it was")
    say(f"version {package.version} serves; {target} keeps it so. Check with: egress-sentinel verify")


def _restore(target: Path, before: str | None) -> None:
    if before is None:
        target.unlink()
    else:
        target.write_text(before, encoding="utf-8")


def _cells(package: Package, serving: str | None) -> list[str]:
    facts = [package.facts.get(name, "") for name in _FACTS]
    serves = " serves" if package.arn == serving else ""
    return [f"{package.version}{serves}", package.status, *facts, package.blocked_by or "nothing against it"]
