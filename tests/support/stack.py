"""An example of the Terraform configuration, applied to a separate local AWS."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egress_sentinel.cli.aws import OVERRIDE, write_override
from local_aws import LocalAws
from tests.support.terraform import ROOT, checkout, environment, terraform


@dataclass
class Stack:
    """Where it was applied, with which variables."""

    name: str
    folder: Path
    aws: LocalAws
    variables: dict[str, str]
    _outputs: dict[str, Any] | None = None

    def run(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        try:
            return terraform(self.folder, *arguments, env=environment() | self.aws.environment(), accept=accept)
        except AssertionError as error:
            error.add_note(f"the local AWS of {self.name}: {self.aws.log_tail()}")
            raise

    def apply(self, **changed: str) -> str:
        self.variables |= changed
        self._outputs = None
        return self.run("apply", "-auto-approve", "-input=false", *self._variables())

    def plan(self, *options: str) -> str:
        """Return what a plan would still change: nothing, where the status is 0."""
        return self.run("plan", "-detailed-exitcode", "-input=false", *options, *self._variables(), accept=(0, 2))

    def destroy(self) -> str:
        return self.run("destroy", "-auto-approve", "-input=false", *self._variables())

    def outputs(self) -> dict[str, Any]:
        """Return what the last apply put out; asking Terraform takes a second."""
        if self._outputs is None:
            self._outputs = json.loads(self.run("output", "-json"))["egress_sentinel"]["value"]
        return self._outputs

    def verify(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "egress_sentinel.cli", "verify", "--json", "--terraform-dir", str(self.folder)]
        command += options
        env = environment() | self.aws.environment()
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def _variables(self) -> list[str]:
        return [f"-var={name}={value}" for name, value in self.variables.items()]


@contextlib.contextmanager
def applied(example: str, build: Path, variables: Mapping[str, str | Callable[[LocalAws], str]]) -> Iterator[Stack]:
    """Apply an example; its state and its AWS end with the block. A variable may be what that AWS is asked for."""
    with tempfile.TemporaryDirectory() as temporary, LocalAws() as aws:
        (Path(temporary) / "build").symlink_to(build)
        folder = checkout(Path(temporary)) / "examples" / example
        write_override(folder / OVERRIDE)
        asked = {name: value if isinstance(value, str) else value(aws) for name, value in variables.items()}
        stack = Stack(example, folder, aws, {"force_destroy": "true", **asked})
        stack.run("init", "-input=false")
        stack.apply()
        yield stack


def package(folder: Path) -> Path:
    """Build what Terraform deploys, as `make package` does."""
    subprocess.run([sys.executable, ROOT / "lambdas" / "build.py", folder], check=True, capture_output=True)
    athena = folder / "athena"
    subprocess.run([sys.executable, "-m", "egress_features.engines.athena", athena], check=True, capture_output=True)
    flow_logs = folder / "athena_flow_logs"
    command = [sys.executable, "-m", "egress_features.flow_logs.athena", flow_logs]
    subprocess.run(command, check=True, capture_output=True)
    model = folder / "model.tar.gz"
    subprocess.run(
        [sys.executable, "-m", "egress_sentinel.pipeline.starting_model", model], check=True, capture_output=True
    )
    bundle = folder / "sourcedir.tar.gz"
    subprocess.run(
        [sys.executable, "-m", "egress_sentinel.deployment.source_bundle", bundle], check=True, capture_output=True
    )
    return folder


def broken_copy(model: Path, target: Path) -> Path:
    """Write an artifact that must not be served: its model is not the one that its manifest was written for."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.unpack_archive(model, temporary, "gztar")
        with (Path(temporary) / "model.joblib").open("ab") as file:
            file.write(b"x")
        subprocess.run(["tar", "-czf", target, "-C", temporary, "."], check=True)
    return target
