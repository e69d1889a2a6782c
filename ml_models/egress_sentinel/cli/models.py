"""The commands around the model registry: `models list`, `approve`, `reject`, `promote`, `rollback` and the others."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson, TerraformDir, outputs_of, session_of
from egress_sentinel.cli.output import print_json, print_table, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.deployment.registry import Package, Registry

models = typer.Typer(
    name="models",
    help="List, approve, promote and roll back registered models.",
    no_args_is_help=True,
)
TFVARS = "model_package.auto.tfvars.json"

Version = Annotated[int, typer.Argument(metavar="VERSION", help="As `models list` shows it.")]
DEFAULT_GROUP = "egress-sentinel"
Group = Annotated[
    str | None, typer.Option(help=f"The model package group. Default: that of --terraform-dir, or {DEFAULT_GROUP}.")
]
Note = Annotated[str, typer.Option(help="The reason, kept with the model.")]
Apply = Annotated[
    bool, typer.Option("--apply", help="Also run terraform apply, which asks before it changes anything.")
]
_FACTS = ("model_id", "data_start_hour_utc", "data_end_hour_utc", "rows", "share_flagged", "recall_injected")


@models.command("list")
def list_models(group: Group = None, terraform_dir: TerraformDir = None, as_json: AsJson = False) -> None:
    """List the registered models, the newest first, with their failed quality checks."""
    registry = _Deployment(group, terraform_dir).registry
    packages, serving = registry.packages(), registry.serving_arn()
    if as_json:
        print_json([{**asdict(package), "serves": package.arn == serving} for package in packages])
        return
    print_table(["", "status", *_FACTS, "failed quality checks"], [_cells(package, serving) for package in packages])


@models.command()
def register(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="A model.tar.gz on this machine, or s3://BUCKET/KEY/model.tar.gz.")
    ],
    image: Annotated[
        str,
        typer.Option(help="The image in ECR that serves it. Default: the deployment's. Without a manifest.json only."),
    ] = "",
    content_type: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A type that it accepts, such as text/csv; may be repeated. As --image."),
    ] = None,
    group: Group = None,
    terraform_dir: TerraformDir = None,
) -> None:
    """Register an artifact, wherever it was trained, as a model that waits for approval, as retraining does.

    An artifact of another training script has no manifest.json and requires --content-type. The program under code/
    that defines model_fn serves it, unless the image requires none.
    """
    from egress_sentinel.deployment.registry import register as register_model

    deployment = _Deployment(group, terraform_dir)
    clients = deployment.client("lambda"), deployment.client("s3")
    result = register_model(*clients, deployment.registrar, artifact, image=image, content_types=content_type or ())
    say(result["description"])
    print(result["model_package_arn"])


@models.command()
def approve(
    version: Version,
    group: Group = None,
    terraform_dir: TerraformDir = None,
    note: Note = "",
    force: Annotated[
        bool, typer.Option("--force", help="Approve although a quality check failed; needs --note.")
    ] = False,
) -> None:
    """Approve a model, so that it can be promoted."""
    if force and not note:
        raise UserError("--force requires a --note with the reason")
    package = _Deployment(group, terraform_dir).registry.approve(version, note, force=force)
    say(f"version {package.version} is approved; next: egress-sentinel models promote")


@models.command()
def reject(version: Version, group: Group = None, terraform_dir: TerraformDir = None, note: Note = "") -> None:
    """Reject a model, so that it cannot be promoted."""
    say(f"version {_Deployment(group, terraform_dir).registry.reject(version, note).version} is rejected")


@models.command()
def delete(version: Version, group: Group = None, terraform_dir: TerraformDir = None) -> None:
    """Delete a model from the registry; its artifact stays. `terraform destroy` needs an empty model package group."""
    say(f"version {_Deployment(group, terraform_dir).registry.delete(version).version} is deleted")


@models.command()
def promote(
    version: Annotated[int | None, typer.Argument(metavar="VERSION", help="Default: the newest approved one.")] = None,
    group: Group = None,
    terraform_dir: TerraformDir = None,
    apply: Apply = False,
) -> None:
    """Print or run the `terraform apply` that makes an approved model serve."""
    _apply(_Deployment(group, terraform_dir).registry.to_promote(version), terraform_dir or Path(), apply=apply)


@models.command()
def rollback(group: Group = None, terraform_dir: TerraformDir = None, apply: Apply = False) -> None:
    """Print or run the `terraform apply` that makes the previous approved model serve again."""
    _apply(_Deployment(group, terraform_dir).registry.to_roll_back_to(), terraform_dir or Path(), apply=apply)


@models.command()
def lineage(
    name: Annotated[str, typer.Argument(metavar="ID", help="An alert's id, or its model_id.")],
    group: Group = None,
    terraform_dir: TerraformDir = None,
) -> None:
    """Show the model that raised an alert, and the job, data and code behind it."""
    from egress_sentinel.deployment.lineage import lineage_of

    deployment = _Deployment(group, terraform_dir)
    clients = deployment.client("sagemaker"), deployment.client("dynamodb")
    for record in lineage_of(*clients, deployment.registry, deployment.alerts_table, name):
        print_json(record)


class _Deployment:
    """The deployment of a command, from Terraform's outputs, or from the options and the environment."""

    def __init__(self, group: str | None, terraform_dir: Path | None) -> None:
        outputs = outputs_of(terraform_dir) if terraform_dir else {}
        self._group = str(group or outputs.get("model_package_group") or DEFAULT_GROUP)
        self._endpoint = str(outputs.get("endpoint_name") or self._group)
        self.registrar = str(outputs.get("registrar_function_name") or f"{self._group}-registrar")
        self.alerts_table = str(outputs.get("alerts_table") or f"{self._group}-alerts")
        self._session = session_of(outputs)

    def client(self, service: str) -> Any:
        return self._session.client(service)

    @property
    def registry(self) -> Registry:
        from egress_sentinel.deployment.registry import Registry

        return Registry(self.client("sagemaker"), self._group, self._endpoint)


def _apply(package: Package, folder: Path, *, apply: bool) -> None:
    """Write the ARN where every later apply finds it, so that none goes back to another model by accident."""
    command = ["terraform", "apply", "-var", f"model_package_arn={package.arn}"]
    if not apply:
        print(shlex.join(command))
        say(f"run this in {folder}, and keep model_package_arn in your variables; or use --apply")
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
    return [f"{package.version}{serves}", package.status, *facts, package.blocked_by or "none"]
