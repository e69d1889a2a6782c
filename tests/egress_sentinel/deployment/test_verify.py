"""`egress-sentinel verify`: the outputs that it accepts, and its errors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egress_sentinel.deployment.verify import read_outputs
from egress_sentinel.errors import UserError
from local_aws import LocalAws

pytestmark = pytest.mark.integration

OUTPUTS = {"endpoint_name": "e", "region": "us-east-1"}


def verify(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "verify", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_outputs_of_the_module_and_of_an_example_are_read() -> None:
    of_module = json.dumps({name: {"value": value} for name, value in OUTPUTS.items()})
    of_example = json.dumps({"egress_sentinel": {"value": OUTPUTS}})
    for text in (of_module, of_example):
        assert read_outputs(text).items() >= OUTPUTS.items()


def test_outputs_that_are_null_are_left_out_by_terraform_and_read_as_null(tmp_path: Path) -> None:
    """The module as the root, with endpoint = null."""
    given = {"registrar_function_name": {"value": "e-registrar"}, "region": {"value": "us-east-1"}}
    found = read_outputs(json.dumps(given))
    assert found["endpoint_name"] is found["endpoint_config_name"] is found["alerts_table"] is None
    (tmp_path / "outputs.json").write_text(json.dumps(given))
    done = verify("--outputs", tmp_path / "outputs.json")
    assert (done.returncode, "this deployment has no endpoint" in done.stderr) == (2, True)


def test_a_folder_where_nothing_was_applied_is_named_as_such() -> None:
    with pytest.raises(UserError, match="no outputs there: give the folder in which `terraform apply` ran"):
        read_outputs("{}")


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"value": 1}}', '{"a": {"value": {"b": 2}}}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="the outputs "):
        read_outputs(text)


def test_it_takes_one_of_two(tmp_path: Path) -> None:
    done = verify()
    assert done.returncode == 2
    assert "either --terraform-dir or --outputs" in done.stderr
    done = verify("--outputs", tmp_path / "none.json")
    assert done.returncode == 2
    assert "cannot read" in done.stderr


@pytest.mark.slow
def test_an_endpoint_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"egress_sentinel": {"value": OUTPUTS}}))
    with LocalAws() as aws:
        import os

        done = verify("--outputs", outputs, env=os.environ | aws.environment())
    assert done.returncode == 2
    assert "cannot read endpoint e from AWS" in done.stderr
