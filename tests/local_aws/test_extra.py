"""`egress-sentinel[local]` is complete by itself: a clean copy, only that extra, and the commands of its page."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from egress_sentinel.cli.aws import OVERRIDE
from tests.support.terraform import ROOT, environment, require_terraform

pytestmark = pytest.mark.slow
ODD_KEYS = ("notes/a+b.txt", "notes/100%.txt", "notes/a b.txt")


def commands_of_the_page() -> list[str]:
    """Return the commands of docs/local-aws.md, without their comments."""
    page = (ROOT / "docs" / "local-aws.md").read_text("utf-8")
    section = re.search(r"## Deploy an example to it\n.*?\n## ", page, re.DOTALL)
    assert section is not None
    return [line.split("#")[0].strip() for line in re.findall(r"^\$ (.*)$", section[0], re.MULTILINE)]


def clean_copy(folder: Path) -> Path:
    """Copy what Git knows or would add, and nothing that was built or installed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def environment_of_a_newcomer(home: Path) -> dict[str, str]:
    home.mkdir()
    kept = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "PYTHON", "VIRTUAL"))}
    arguments = {"TF_CLI_ARGS_apply": "-auto-approve -input=false", "TF_CLI_ARGS_destroy": "-auto-approve -input=false"}
    return kept | arguments | {"HOME": str(home)}


@contextlib.contextmanager
def running(command: str, folder: Path, env: dict[str, str], log: Path) -> Iterator[dict[str, str]]:
    """Run the first command until the end of the block; give the variables that it prints."""
    words = [*shlex.split(command), "LOCAL_PORT=0", f"PYTHON={Path(sys.executable).resolve()}"]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            variables: dict[str, str] = {}
            while "NO_PROXY" not in variables:
                line = process.stdout.readline()
                assert line, log.read_text()
                if line.startswith("export "):
                    name, _, value = line.strip().removeprefix("export ").partition("=")
                    variables[name] = value
            yield variables
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def test_a_clean_copy_applies_the_serverless_example(tmp_path: Path) -> None:
    require_terraform()
    first, *rest = commands_of_the_page()
    assert first == "make local"
    *until_verify, destroy = rest
    assert destroy.startswith("terraform destroy")
    copy, log = clean_copy(tmp_path / "copy"), tmp_path / "log"
    env = environment_of_a_newcomer(tmp_path / "home")
    with running(first, copy, env, log) as variables:
        shell = ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run(
            [*shell, "\n".join(until_verify)],
            cwd=copy,
            env=env | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()}"
        python = copy / ".venv" / "bin" / "python"
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True, text=True, env=env
        )
        installed = {package["name"].lower() for package in json.loads(listed.stdout)}
        assert "moto" in installed
        assert not installed & {"pytest", "aws-lambda-powertools", "matplotlib"}

        example = copy / "terraform" / "examples" / "serverless"
        put_objects(example, env | variables)
        command = f"cd {shlex.quote(str(example))}\n{destroy}"
        done = subprocess.run(
            [*shell, command], env=env | variables, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()}"
    assert not (example / OVERRIDE).exists()


def put_objects(example: Path, env: dict[str, str]) -> None:
    """Leave what `terraform destroy` has to delete: keys that need encoding, each with two versions."""
    outputs = subprocess.run(["terraform", "output", "-json"], cwd=example, env=env, capture_output=True, check=True)
    bucket = json.loads(outputs.stdout)["egress_sentinel"]["value"]["bucket"]
    s3 = boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    with contextlib.closing(s3):
        for key in ODD_KEYS * 2:
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")
