"""An artifact of another training script is registered, with facts from its archive and from options, or refused."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from model_registrar.other_artifact import read_other_artifact, request_of_other
from model_registrar.package import ArtifactError
from model_registrar.settings import Settings

SERVES = "def model_fn(model_dir):\n    return None\n"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/scorer:7"
SETTINGS = Settings.from_environment(
    {
        "BUCKET": "b",
        "MODEL_PACKAGE_GROUP": "g",
        "IMAGE": "444455556666.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
        "CONTAINER_ENVIRONMENT": json.dumps({"SAGEMAKER_PROGRAM": "anomaly_detection.inference_script", "A": "1"}),
    }
)


def archive(folder: Path, **files: str) -> Path:
    """Write a model.tar.gz. In a name, `__` becomes a slash, and `_py` at its end becomes `.py`."""
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def request(path: Path, image: str = "", content_types: tuple[str, ...] = ("text/csv",)) -> dict[str, Any]:
    default = SETTINGS.environment["SAGEMAKER_PROGRAM"]
    artifact = read_other_artifact(path, image=image, content_types=list(content_types), default_program=default)
    return request_of_other(artifact, "s3://b/model.tar.gz", SETTINGS)


def container(asked: dict[str, Any]) -> dict[str, Any]:
    (found,) = asked["InferenceSpecification"]["Containers"]
    return dict(found)


def test_the_program_is_the_one_under_code_that_defines_model_fn(tmp_path: Path) -> None:
    path = archive(tmp_path, weights="w", code__helper_py="X = 1\n", code__serve_py=SERVES, train_py=SERVES)
    asked = request(path)
    assert container(asked)["Environment"] == {"SAGEMAKER_PROGRAM": "serve.py", "A": "1"}
    assert container(asked)["Image"] == SETTINGS.image
    assert asked["InferenceSpecification"]["SupportedContentTypes"] == ["text/csv"]
    assert asked["ModelApprovalStatus"] == "PendingManualApproval"
    assert asked["CustomerMetadataProperties"]["blocked_by_1"].startswith("it was not evaluated")


def test_the_program_of_the_deployment_is_taken_where_the_archive_has_it(tmp_path: Path) -> None:
    path = archive(tmp_path, code__serve_py=SERVES, code__anomaly_detection__inference_script_py=SERVES)
    assert container(request(path))["Environment"]["SAGEMAKER_PROGRAM"] == "anomaly_detection.inference_script"


def test_an_image_may_serve_it_without_a_program(tmp_path: Path) -> None:
    path = archive(tmp_path, weights="w")
    asked = request(path, image=IMAGE)
    assert container(asked) == {"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz", "Environment": {"A": "1"}}
    # The same again is the same package, and with another image it is another one.
    other = request(path, image=IMAGE.replace(":7", ":8"))
    assert request(path, image=IMAGE)["ClientToken"] == asked["ClientToken"] != other["ClientToken"]


def test_a_model_that_takes_no_csv_has_a_failed_check(tmp_path: Path) -> None:
    facts = request(archive(tmp_path, code__serve_py=SERVES), content_types=("application/json",))
    assert "does not accept text" in facts["CustomerMetadataProperties"]["blocked_by_2"]


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        ({"code__serve_py": SERVES}, {"content_types": ()}, "give --content-type with a type that it accepts"),
        ({"code__serve_py": SERVES}, {"content_types": ("csv",)}, "'csv' is no content type"),
        ({"code__serve_py": SERVES}, {"image": "scorer:7"}, "'scorer:7' is no image in ECR"),
        ({"weights": "w"}, {}, "no program under code/ that defines model_fn"),
        ({"code__serve_py": "def predict():\n    pass\n"}, {}, "no program under code/ that defines model_fn"),
        ({"code__serve_py": "def model_fn(:\n"}, {}, r"code/serve\.py in the artifact is not Python"),
        ({"code__a_py": SERVES, "code__b_py": SERVES}, {}, r"several programs that define model_fn: a\.py, b\.py"),
        ({"..__x": "1"}, {}, r"a file outside its folder: \.\./x"),
        ({}, {}, "an archive without a file"),
    ],
)
def test_an_artifact_that_cannot_be_served_is_refused(
    tmp_path: Path, files: dict[str, str], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArtifactError, match=said):
        request(archive(tmp_path, **files), **given)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"weights")
    with pytest.raises(ArtifactError, match=r"no tar\.gz archive"):
        request(tmp_path / "model.tar.gz")
