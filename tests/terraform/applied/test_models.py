"""Another model: the endpoint is updated in place, and a silent rollback is found."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egress_sentinel.pipeline.series import MODEL_TAR, train_pipeline
from egress_sentinel.pipeline.training import train
from tests.support.applied import serving, together
from tests.support.own_model import own_model
from tests.support.stack import Stack, broken_copy


def test_a_new_model_updates_the_endpoint_in_place(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], pipeline: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.tar.gz"
    train_pipeline(pipeline / "series.csv", tmp_path / "pipeline", {"n_estimators": "20", "random_state": "7"})
    models = {
        "serial_pipeline": tmp_path / "pipeline" / MODEL_TAR,
        "bring_your_own_model": own_model(features[0], tmp_path / "own.tar.gz", rows=1500),
    }
    train(features[0], model, until=datetime(2026, 10, 17, tzinfo=UTC), hyperparameters={"random_state": "7"})
    stacks = serving(stacks)
    before = together(stacks, Stack.outputs)
    together(stacks, lambda stack: stack.apply(model_artifact=str(models.get(stack.name, model))))
    for name, after in together(stacks, Stack.outputs).items():
        assert after["endpoint_arn"] == before[name]["endpoint_arn"]
        assert after["model_name"] != before[name]["model_name"]
        described = stacks[name].aws.client("sagemaker").describe_endpoint(EndpointName=after["endpoint_name"])
        assert described["LastModifiedTime"] > described["CreationTime"]
    for name, done in together(stacks, Stack.verify).items():
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_verify_tells_of_a_silent_rollback(stacks: dict[str, Stack], build: Path, tmp_path: Path) -> None:
    stack = stacks["serverless"]
    good = stack.variables.get("model_artifact", "")
    printed = stack.apply(model_artifact=str(broken_copy(build / "model.tar.gz", tmp_path / "model.tar.gz")))
    assert "Apply complete!" in printed
    done = stack.verify()
    assert done.returncode == 1
    differing = {check["what"] for check in json.loads(done.stdout) if not check["is_met"]}
    assert {"endpoint configuration", "model", "artifact"} <= differing
    assert "differs from the configuration in" in done.stderr
    stack.apply(model_artifact=good)
    assert stack.verify().returncode == 0
