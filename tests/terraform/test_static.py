"""Checks of the configuration without applying it."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from egress_features.engines.athena import main as render_for_athena
from egress_features.flow_logs.athena import main as render_flow_logs_for_athena
from tests.support.terraform import EXAMPLES, ROOT, TERRAFORM, blocks, checkout, require_terraform, tables, terraform

pytestmark = pytest.mark.integration

CHECKOV = "checkov==3.3.30"  # pinned: a new release may know new checks


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_terraform()
    return checkout(tmp_path_factory.mktemp("static"))


def test_it_is_formatted(configuration: Path) -> None:
    terraform(configuration, "fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(configuration: Path, example: str) -> None:
    folder = configuration / "examples" / example
    terraform(folder, "init", "-backend=false", "-input=false")
    terraform(folder, "validate")


def test_it_refuses_what_it_should_and_names_what_it_makes(configuration: Path) -> None:
    """terraform/tests/*.tftest.hcl, with a mocked provider."""
    build = configuration.parent / "build"  # small files in place of what `make package` writes
    build.mkdir()
    functions = ("anomaly_detector", "batch_scorer", "drift_monitor", "model_registrar", "notification_forwarder")
    zips = [f"{name}.zip" for name in (*functions, "image_source", "pyarrow_layer")]
    for name in (*zips, "model.tar.gz", "sourcedir.tar.gz"):
        (build / name).write_text(name)
    render_for_athena([str(build / "athena")])
    render_flow_logs_for_athena([str(build / "athena_flow_logs")])
    terraform(configuration, "init", "-backend=false", "-input=false")
    printed = terraform(configuration, "test")
    assert re.search(r"Success! [1-9][0-9]* passed, 0 failed", printed), printed


def test_the_readme_has_the_inputs_and_outputs_as_they_are() -> None:
    assert tables() in (TERRAFORM / "README.md").read_text(encoding="utf-8")


def test_everything_is_described_and_typed() -> None:
    for folder in [TERRAFORM, *(TERRAFORM / "modules").iterdir(), *(TERRAFORM / "examples").iterdir()]:
        for name, body in blocks(folder, "variable").items():
            assert {"description", "type"} <= body.keys(), f"{folder.name}: {name}"
        for name, body in blocks(folder, "output").items():
            assert "description" in body, f"{folder.name}: {name}"


def test_only_examples_configure_the_provider() -> None:
    holders = {
        path.parent.parent.name for path in TERRAFORM.rglob("*.tf") if re.search(r"^provider ", path.read_text(), re.M)
    }
    assert holders == {"examples"}


def test_the_tables_have_the_columns_of_the_files() -> None:
    from egress_features.schema import FEATURES, KEYS, LABELS, MEASURES

    text = (TERRAFORM / "modules" / "features" / "main.tf").read_text(encoding="utf-8")
    for name in (*KEYS, *MEASURES, *LABELS, *(feature.name for feature in FEATURES)):
        assert f'"{name}"' in text, name


def test_a_wildcard_resource_has_a_reason_in_a_comment() -> None:
    for path in TERRAFORM.rglob("*.tf"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.search(r'Resource\s*=\s*"\*"', line):
                before = "\n".join(lines[max(0, number - 14) : number])
                assert re.search(r"#.*(has no resource|no resources|this key)", before) or "aws_kms_key" in "\n".join(
                    lines[max(0, number - 40) : number]
                ), f"{path.name}:{number + 1}"


def test_no_action_is_a_wildcard_outside_the_key_and_the_denials() -> None:
    for path in TERRAFORM.rglob("*.tf"):
        for statement in re.findall(r"\{[^{}]*Effect\s*=\s*\"Allow\"[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", path.read_text()):
            wild = re.findall(r'"[a-z0-9-]+:\*"', statement)
            assert not wild or wild == ['"kms:*"'], f"{path}: {wild}"


@pytest.fixture(scope="module")
def checkov(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkov in a separate environment, since it pins many packages."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "egress-sentinel"
    folder = cache / f"{CHECKOV}-{sys.version_info.major}.{sys.version_info.minor}"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", CHECKOV], check=True, capture_output=True)
        (folder / "ready").touch()
    return folder / "bin" / "checkov"


@pytest.mark.slow
def test_checkov_finds_no_faults(configuration: Path, checkov: Path) -> None:
    command = [checkov, "-d", configuration, "--framework", "terraform", "--output", "json", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    failed = [f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]]
    assert failed == []
    assert report["summary"]["passed"] > 50
    for check in report["results"]["skipped_checks"]:
        assert len(check["check_result"]["suppress_comment"]) > 20, check["check_id"]


def test_no_zip_and_no_state_is_kept() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not re.findall(r"^.*\.(?:zip|tfstate|tfplan|tar\.gz)$", listed, re.MULTILINE)
