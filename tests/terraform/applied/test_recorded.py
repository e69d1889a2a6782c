"""What users recorded in AWS with `verify --record`, compared with what the local AWS answers for the same example.

A recording of examples/NAME goes into `recorded/NAME.json`. Fix the local AWS until it has no deviation.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded import deviations
from tests.support.stack import Stack

# None has been sent yet.
RECORDINGS = sorted((Path(__file__).parent / "recorded").glob("*.json"))
# What an example has none of; the error is the answer.
ERRORS = {
    "lambda:GetPolicy": "ResourceNotFoundException",
    "lambda:GetFunctionEventInvokeConfig": "ResourceNotFoundException",
    "sqs:GetQueueUrl": "AWS.SimpleQueueService.NonExistentQueue",
}


def recorded(stack: Stack, file: Path) -> dict[str, Any]:
    done = stack.verify("--record", str(file))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("example", ["serverless", "complete"])
def test_an_example_can_be_recorded(stacks: dict[str, Stack], example: str, tmp_path: Path) -> None:
    """The local AWS has an answer to each call, and two recordings of it are alike."""
    found = recorded(stacks[example], tmp_path / "recorded.json")
    errors = {(call["call"], call["error"]) for call in found["calls"] if "error" in call}
    assert errors <= set(ERRORS.items())
    assert len({call["call"] for call in found["calls"]}) > 45
    text = json.dumps(found)
    assert "egress" not in text
    assert "123456789012" not in text
    assert deviations(found, recorded(stacks[example], tmp_path / "again.json")) == []


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_the_local_aws_answers_as_aws_did(stacks: dict[str, Stack], file: Path, tmp_path: Path) -> None:
    of_aws = json.loads(file.read_text(encoding="utf-8"))
    assert deviations(of_aws, recorded(stacks[file.stem], tmp_path / "local.json")) == []
