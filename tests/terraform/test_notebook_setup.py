"""Runs the notebook instance's lifecycle script. Only `sudo` and the repository's address are replaced."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terraform import ROOT, TERRAFORM

pytestmark = pytest.mark.slow

ADDRESS = "https://example.com/egress-sentinel.git"
TEMPLATE = TERRAFORM / "modules" / "notebook" / "on_start.sh.tftpl"
# `sudo -u ec2-user -i COMMAND...` is COMMAND: there is no such user here.
SUDO = '#!/bin/bash\ntest "$1 $2 $3" = "-u ec2-user -i" && shift 3 && exec "$@"\n'


def run(folder: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as the instance does at each start, with a separate home directory and Python."""
    home, programs = folder / "home", folder / "image" / "bin"
    (home / "SageMaker").mkdir(parents=True, exist_ok=True)
    if not programs.is_dir():
        subprocess.run([sys.executable, "-m", "venv", folder / "image"], check=True)
        (programs / "sudo").write_text(SUDO)
        (programs / "sudo").chmod(0o755)
    script = folder / "on_start.sh"
    script.write_text(TEMPLATE.read_text().replace("${repository_url}", ADDRESS))
    environment = os.environ | {
        "HOME": str(home),
        "UV_SYSTEM_CERTS": "true",  # as pip does, for proxies with a company's certificate
        "UV_NATIVE_TLS": "true",  # the same, as older ones call it
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }
    return subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False)


def test_the_script_installs_the_project_and_its_kernel_and_can_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run(tmp_path, ROOT)
        assert done.returncode == 0, done.stderr
    (kernel,) = (tmp_path / "home").glob(".local/share/jupyter/kernels/*/kernel.json")
    described = json.loads(kernel.read_text())
    assert described["display_name"] == "Egress Sentinel"
    program = "import egress_sentinel.cli.app, matplotlib, egress_features; print(egress_features.__file__)"
    printed = subprocess.run([described["argv"][0], "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.startswith(str(tmp_path / "home" / "SageMaker" / "egress-sentinel"))


def test_a_repository_that_is_not_there_fails_the_start(tmp_path: Path) -> None:
    done = run(tmp_path, tmp_path / "nowhere")
    assert done.returncode != 0
    assert re.search("fatal: .*nowhere", done.stderr)


def test_the_script_is_all_that_the_template_changes() -> None:
    assert re.findall(r"\$\{(\w+)\}", TEMPLATE.read_text()) == ["repository_url"]
