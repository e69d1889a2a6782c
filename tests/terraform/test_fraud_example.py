"""The supervised example: a fraud classifier, served, loaded, watched for drift and trained again."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import joblib
import pandas as pd
import pytest
from botocore.exceptions import ClientError
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from egress_sentinel.cli.app import app
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from tests.support.terraform import TERRAFORM

pytestmark = pytest.mark.integration
EXAMPLE = TERRAFORM / "examples" / "bring_your_own_model" / "fraud"


def script(folder: Path, name: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, name, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trained(folder: Path, table: str, artifact: str) -> dict[str, float]:
    """Train as the README does, and return the metrics that are printed."""
    printed: dict[str, float] = json.loads(script(folder, "train.py", "--train", table, "--model-dir", artifact))
    subprocess.run(["tar", "-czf", f"{artifact}.tar.gz", "-C", artifact, "."], cwd=folder, check=True)
    return printed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fraud") / "fraud"
    shutil.copytree(EXAMPLE, target)
    for name, arguments in {"transactions.csv": ["--seed", "1"], "later.csv": ["--seed", "2", "--drifted"]}.items():
        script(target, "make_data.py", name, "--rows", "8000", *arguments)
    assert trained(target, "transactions.csv", "model")["auroc"] > 0.85
    return target


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[LocalEndpoint]:
    environment = {"SAGEMAKER_PROGRAM": "serve.py"}
    with LocalEndpoint(folder / "model.tar.gz", endpoint_name="fraud", environment=environment) as served:
        yield served


def ask(endpoint: LocalEndpoint, body: str, content_type: str = "application/json") -> str:
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    answer = runtime.invoke_endpoint(EndpointName="fraud", Body=body, ContentType=content_type, Accept=content_type)
    return str(answer["Body"].read().decode())


def rows(folder: Path, name: str = "later.csv") -> pd.DataFrame:
    return pd.read_csv(folder / name)


def auroc(table: pd.DataFrame, model_dir: Path) -> float:
    model = joblib.load(model_dir / "model.joblib")["model"]
    return float(roc_auc_score(table["target"], model.predict_proba(table.drop(columns="target"))[:, 1]))


def test_it_answers_is_fraud_probability_and_confidence_for_one_and_for_many(
    folder: Path, endpoint: LocalEndpoint
) -> None:
    table = rows(folder, "transactions.csv")
    sent = table.drop(columns="target")
    many = json.loads(ask(endpoint, json.dumps({"instances": sent.to_dict("records")})))["predictions"]
    assert len(many) == len(table)
    assert set(many[0]) == {"is_fraud", "fraud_probability", "confidence"}
    for answer in many:
        likely = answer["fraud_probability"] if answer["is_fraud"] else 1 - answer["fraud_probability"]
        assert answer["confidence"] == pytest.approx(likely)
    assert roc_auc_score(table["target"], [answer["fraud_probability"] for answer in many]) > 0.9
    one = json.loads(ask(endpoint, json.dumps(sent.iloc[0].to_dict())))
    assert one == pytest.approx(many[0])
    lines = ask(endpoint, sent.head(3).to_csv(index=False), "text/csv").splitlines()
    assert lines[0] == "is_fraud,fraud_probability,confidence"
    assert len(lines) == 4


def test_a_request_without_a_column_is_refused_with_a_sentence(endpoint: LocalEndpoint) -> None:
    with pytest.raises(ClientError, match="there is no column V1") as refused:
        ask(endpoint, '{"Amount": 3}')
    assert refused.value.response["OriginalStatusCode"] == 400


def test_load_is_generated_on_it(folder: Path, endpoint: LocalEndpoint) -> None:
    rows(folder).drop(columns="target").head(5).to_json(folder / "many.json", orient="records")
    given = ["load", "fraud", "--endpoint-url", endpoint.url, "--body", str(folder / "many.json"), "--duration", "0.5"]
    done = CliRunner().invoke(app, [*given, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["requests"] > 1
    assert found["errors"] == {}


def test_drift_is_found_and_a_retraining_ends_it(folder: Path) -> None:
    def drifted(table: str, artifact: str) -> list[str]:
        given = ["drift", str(folder / table), "--model", str(folder / artifact), "-o", str(folder / "out"), "--json"]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        (outcome,) = json.loads(done.stdout)
        names: list[str] = outcome["drifted"]
        return names

    script(folder, "make_data.py", "same.csv", "--rows", "8000", "--seed", "3")
    assert drifted("same.csv", "model.tar.gz") == []
    assert drifted("later.csv", "model.tar.gz") == ["Amount", "V21"]
    assert trained(folder, "later.csv", "again")["auroc"] > 0.85
    script(folder, "make_data.py", "next.csv", "--rows", "8000", "--seed", "4", "--drifted")
    before, after = (auroc(rows(folder, "next.csv"), folder / name) for name in ("model", "again"))
    assert after > before + 0.1
    assert drifted("later.csv", "again.tar.gz") == []
