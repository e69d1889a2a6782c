"""Runs the real Terraform with the real AWS provider, and reads the configuration."""

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.support.sample_data import skip_outside_ci

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
EXAMPLES = sorted(path.parent.name for path in (TERRAFORM / "examples").glob("*/main.tf"))
MIRROR = ROOT.parent / "shared" / "bin" / "terraform-mirror"
MIRROR_ATTEMPTS = 10


NO_PROVIDER = (
    "terraform init cannot install the provider hashicorp/aws ({}). Without a route to registry.terraform.io, set "
    "TF_CLI_CONFIG_FILE to a configuration with a mirror (https://developer.hashicorp.com/terraform/cli/config/config-file)"
)


def require_terraform() -> None:
    """Skip where there is no Terraform or no AWS provider; in CI that is a failure."""
    if not shutil.which("terraform"):
        skip_outside_ci("terraform is not on the path")
    if not isinstance(found := _providers(), Path):
        skip_outside_ci(NO_PROVIDER.format(found))


def environment() -> dict[str, str]:
    """Return the variables of a Terraform process; every `init` takes the provider that was installed once."""
    variables = {**os.environ, **_variables()}
    if isinstance(found := _providers(), Path):
        variables["TF_CLI_ARGS_init"] = f"{variables.get('TF_CLI_ARGS_init', '')} -plugin-dir={found}".strip()
    return variables


def _variables() -> dict[str, str]:
    """Return the user's own configuration of Terraform where there is one, else that of a mirror on this machine."""
    variables = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "-no-color"}
    if not Path(os.environ.get("TF_CLI_CONFIG_FILE", "")).is_file() and (config := _mirror_config()):
        variables["TF_CLI_CONFIG_FILE"] = config
    return variables


@cache
def _providers() -> Path | str:
    """Install the provider once for all tests; return its folder, or the reason why there is none."""
    folder = Path(tempfile.mkdtemp(prefix="egress-sentinel-terraform-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("versions.tf", ".terraform.lock.hcl"):
        shutil.copy(TERRAFORM / name, folder)
    command = ["terraform", "init", "-backend=false", "-input=false"]
    env = {**os.environ, **_variables()}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return folder / ".terraform" / "providers"
    error = re.sub(r"[\s│╷╵]+", " ", done.stderr).partition("Error: ")[2]
    return error.partition(" To see which modules")[0].strip()


@cache
def _mirror_config() -> str:
    """Ask once: the script looks through the whole disk, and stumbles where files vanish meanwhile.

    Its answer is copied: whoever asks beside us makes the script write the same file anew.
    """
    if not MIRROR.exists():
        return ""
    for _ in range(MIRROR_ATTEMPTS):
        done = subprocess.run([MIRROR], capture_output=True, text=True, check=False)
        config = Path(done.stdout.strip()).read_text(encoding="utf-8") if done.returncode == 0 and done.stdout else ""
        if config.rstrip().endswith("}"):
            own = Path(tempfile.mkdtemp(prefix="egress-sentinel-terraform-")) / "mirror.tfrc"
            own.write_text(config, encoding="utf-8")
            atexit.register(shutil.rmtree, own.parent, ignore_errors=True)
            return str(own)
        if done.returncode == 0 and not done.stdout:
            return ""
    return str(pytest.fail(f"{MIRROR.name} found no mirror in {MIRROR_ATTEMPTS} attempts: {done.stderr}"))


def terraform(folder: Path, *arguments: str, env: dict[str, str] | None = None, accept: tuple[int, ...] = (0,)) -> str:
    """Run a command and return its output. Fail the test if its exit status is not accepted."""
    command = ["terraform", *arguments]
    done = subprocess.run(command, cwd=folder, env=env or environment(), capture_output=True, text=True, check=False)
    assert done.returncode in accept, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def checkout(folder: Path) -> Path:
    """Copy the configuration to a separate folder, so that no test leaves a state behind. Return terraform/."""
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*")
    return Path(shutil.copytree(TERRAFORM, folder / "terraform", ignore=ignore))


def blocks(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Return variables or outputs of a module by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        for block in hcl2.loads(path.read_text(encoding="utf-8")).get(kind, []):
            found |= {name.strip('"'): body for name, body in block.items()}
    return found


def tables() -> str:
    """Return the inputs and outputs as the README's tables."""
    inputs = [
        "| input | type, and an object's members with their defaults | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, body in sorted(blocks(TERRAFORM, "variable").items()):
        kind = str(body["type"]).removeprefix("${").removesuffix("}")
        inputs.append(f"| `{name}` | {'<br>'.join(_lines(kind))} | {_default(body)} | {_text(body)} |")
    outputs = ["| output | meaning |", "|---|---|"]
    outputs += [f"| `{name}` | {_text(body)} |" for name, body in sorted(blocks(TERRAFORM, "output").items())]
    return "\n".join(inputs) + "\n\n" + "\n".join(outputs) + "\n"


def _lines(kind: str) -> list[str]:
    """Return a type and, of an object, a line for each member, those of inner objects by their path."""
    if "object({" not in kind:
        return [kind]
    outer = kind[: kind.index("object({")] + "object" + ")" * kind[: kind.index("object({")].count("(")
    return [outer, *_members(kind, "")]


def _members(kind: str, path: str) -> list[str]:
    lines = []
    for part in filter(None, _split(kind[kind.index("({") + 2 : kind.rindex("})")])):
        name, _, given = part.partition(" = ")
        inner, default = given, "required"
        if given.startswith("optional("):
            inner, *defaults = _split(given.removeprefix("optional(")[:-1])
            default = f"`{defaults[0]}`" if defaults else "`null`"
        shown, *below = _lines(inner)
        lines.append(f"`{path}{name}` {shown}, {default}")
        lines += _members(inner, f"{path}{name}.") if below else []
    return lines


def _split(text: str) -> list[str]:
    """Split at the commas that are in no brackets and no quotes."""
    parts, depth, is_quoted = [""], 0, False
    for character in text:
        is_quoted ^= character == '"'
        depth += 0 if is_quoted else (character in "([{") - (character in ")]}")
        if character == "," and not depth and not is_quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _text(body: dict[str, Any]) -> str:
    return re.sub(r"\s+", " ", str(body["description"]).strip('"')).replace("|", "\\|")


def _default(body: dict[str, Any]) -> str:
    if "default" not in body:
        return "required"
    value = body["default"]
    value = {k: v for k, v in value.items() if not k.startswith("__")} if isinstance(value, dict) else value
    value = value.strip('"') if isinstance(value, str) else value
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
