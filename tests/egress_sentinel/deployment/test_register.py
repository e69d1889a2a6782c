"""`egress-sentinel models register`: an artifact trained anywhere waits for approval in the deployment's registry."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.deployment.registry import register
from egress_sentinel.errors import UserError


class Lambda:
    """The deployed registrar, which accepts artifacts in its bucket."""

    def __init__(self, objects: dict[tuple[str, str], bytes]) -> None:
        self.objects = objects

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "egress-sentinel-registrar"
        return {"Environment": {"Variables": {"BUCKET": "models-of-mine"}}}

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        asked = json.loads(Payload)
        assert (FunctionName, asked["action"]) == ("egress-sentinel-registrar", "register")
        bucket, key = asked["artifact"].removeprefix("s3://").split("/", 1)
        if (bucket, key) not in self.objects:
            error = {"errorMessage": "there is no such object"}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(error).encode())}
        return {"Payload": io.BytesIO(json.dumps({"model_package_arn": "arn", "description": key}).encode())}


class S3:
    def __init__(self, objects: dict[tuple[str, str], bytes]) -> None:
        self.objects = objects

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Bucket, Key] = Body


def test_a_file_of_this_machine_is_copied_to_the_bucket_and_registered(tmp_path: Path) -> None:
    objects: dict[tuple[str, str], bytes] = {}
    (tmp_path / "model.tar.gz").write_bytes(b"a model")
    for _ in range(2):
        found = register(Lambda(objects), S3(objects), "egress-sentinel-registrar", str(tmp_path / "model.tar.gz"))
    ((bucket, key),) = objects
    assert (bucket, objects[bucket, key]) == ("models-of-mine", b"a model")
    assert found == {"model_package_arn": "arn", "description": key}
    assert key.startswith("models/")
    assert key.endswith("/model.tar.gz")


def test_an_address_is_registered_as_it_is_and_errors_are_one_sentence() -> None:
    objects = {("other", "a/model.tar.gz"): b""}
    function, s3 = Lambda(objects), S3(objects)
    assert (
        register(function, s3, "egress-sentinel-registrar", "s3://other/a/model.tar.gz")["model_package_arn"] == "arn"
    )
    with pytest.raises(UserError, match=r"s3://other/b was not registered: there is no such object"):
        register(function, s3, "egress-sentinel-registrar", "s3://other/b")
    with pytest.raises(UserError, match=r"cannot read none\.tar\.gz: .*a file or an s3:// address is accepted"):
        register(function, s3, "egress-sentinel-registrar", "none.tar.gz")
