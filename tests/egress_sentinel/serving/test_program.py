"""A model's own program in this process answers as it does behind the endpoint, and leaves nothing behind."""

import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import requests

import anomaly_detection
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from egress_sentinel.serving.program import ProgramError, model_in_process

CHAIN = """
import helper

def model_fn(model_dir):
    print("loading")
    return helper.FACTOR

def input_fn(body, content_type):
    assert isinstance(body, str), content_type
    return [sum(map(float, line.split(","))) for line in body.splitlines()]

def predict_fn(sums, factor):
    return [factor * value for value in sums]

def output_fn(values, accept):
    return f"score # {accept}\\n" + "\\n".join(map(str, values)), "text/csv"
"""
REFUSES = """
import flask

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    if body.startswith("raise"):
        raise KeyError("no such thing")
    return flask.Response("too odd", status=422)
"""


def artifact(folder: Path, program: str) -> Path:
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "serve.py").write_text(program)
    (code / "helper.py").write_text("FACTOR = 2")
    return packed(code)


def packed(code: Path) -> Path:
    target = code.parent / "model.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        tar.add(code, "code")
    return target


def test_a_custom_program_answers_as_behind_its_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = artifact(tmp_path, CHAIN)
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "serve.py")
    path, body = list(sys.path), b"1,2\n3,4\n"
    with model_in_process(model) as ask:
        answer = ask(body, "text/csv", "text/csv")
    with LocalEndpoint(model) as endpoint:
        headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
        served = requests.post(f"{endpoint.url}/invocations", data=body, headers=headers, timeout=10)
    assert answer == served.content == b"score # text/csv\n6.0\n14.0"
    assert capsys.readouterr().out == ""
    assert (sys.path, {"serve", "helper"} & set(sys.modules)) == (path, set())


def test_code_that_is_not_the_installed_one_is_the_artifact_s(tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(Path(anomaly_detection.__file__).parent, code / "anomaly_detection")
    (code / "anomaly_detection" / "inference_script.py").write_text(REFUSES)
    before = sys.modules["anomaly_detection"]
    with model_in_process(packed(code)) as ask, pytest.raises(ProgramError, match="answered 422: too odd"):
        ask(b"1", "text/csv", "text/csv")
    assert sys.modules["anomaly_detection"] is before


def test_what_a_program_raises_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = artifact(tmp_path, REFUSES)
    with pytest.raises(ProgramError, match="has no code/anomaly_detection"), model_in_process(model):
        pass
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "serve")
    with model_in_process(model) as ask, pytest.raises(ProgramError, match="failed: KeyError: 'no such thing'"):
        ask(b"raise", "text/csv", "text/csv")
    incomplete = artifact(tmp_path / "other", "def model_fn(model_dir): pass")
    with pytest.raises(ProgramError, match="lacks input_fn, predict_fn, output_fn"), model_in_process(incomplete):
        pass
