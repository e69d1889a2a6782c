"""docs/invoking.md and docs/runbook.md: every block runs unchanged, and AWS would accept curl's signatures."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from anomaly_detection.artifact import pack
from local_aws import LocalAws, create_detector_resources
from tests.support.models import matrix, run_training_script, write_part
from tests.support.sample_data import required_program

pytestmark = pytest.mark.integration

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDPOINT, BUCKET = "egress-sentinel", "invoking-bucket"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    folder = tmp_path_factory.mktemp("invoking")
    write_part(folder / "train" / "a.parquet", matrix(400))
    done = run_training_script(folder / "train", folder / "model", "--n_estimators", "20")
    assert done.returncode == 0, done.stderr
    pack(folder / "model", folder / "model.tar.gz")
    with LocalAws() as aws:
        sagemaker = aws.client("sagemaker")
        aws.client("s3").create_bucket(Bucket=BUCKET)
        aws.client("s3").upload_file(str(folder / "model.tar.gz"), BUCKET, "models/model.tar.gz")
        container = {"Image": "local", "ModelDataUrl": f"s3://{BUCKET}/models/model.tar.gz"}
        role = "arn:aws:iam::123456789012:role/r"
        sagemaker.create_model(ModelName="forest", ExecutionRoleArn=role, PrimaryContainer=container)
        variant = {"VariantName": "AllTraffic", "ModelName": "forest", "InitialInstanceCount": 1}
        variant["InstanceType"] = "ml.m5.large"
        sagemaker.create_endpoint_config(EndpointConfigName="forest-1", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="forest-1")
        yield aws


def script(page: str = "invoking.md") -> str:
    """Return a page's blocks as one script."""
    parts = ["set -euo pipefail"]
    for language, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        parts.append(text if language == "bash" else f"python - <<'EOF'\n{text}EOF")
    return "\n".join(parts)


def run(text: str, folder: Path, **environment: str) -> str:
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={**os.environ, "AWS_PAGER": "", **environment, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_block_runs_in_order(aws: LocalAws, tmp_path: Path) -> None:
    required_program("aws")
    required_program("curl")
    printed = run(script(), tmp_path, **aws.environment(), BUCKET=BUCKET, ENDPOINT=ENDPOINT)
    hour = json.loads((tmp_path / "answer.json").read_text())
    assert hour["anomaly_score"] > 0
    scores = (tmp_path / "scores.csv").read_text().splitlines()
    assert scores[0] == "is_anomaly,anomaly_score"
    assert len(scores) == 3
    why = (tmp_path / "why.csv").read_text().splitlines()
    assert why[0].startswith("is_anomaly,anomaly_score,")
    assert why[1].split(",")[1] == scores[1].split(",")[1] == repr(hour["anomaly_score"])
    assert "400 the feature" in printed
    assert "trace=7" in printed
    assert '"anomaly_score"' in printed
    # What the transform job wrote.
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"is_anomaly"')]
    assert [repr(line["anomaly_score"]) for line in lines] == [line.split(",")[1] for line in scores[1:]]


@pytest.mark.slow
def test_the_runbooks_commands_are_ones_that_aws_knows(aws: LocalAws, tmp_path: Path) -> None:
    """The test creates the resources; the exit status shows whether each command finds them."""
    required_program("aws")
    s3, logs = aws.client("s3"), aws.client("logs")
    for key in ("exports/a.parquet", "features/day=2026-01-01/a.parquet", "scored/day=2026-01-01/scores.parquet"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    create_detector_resources(aws, prefix="runbook")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=ENDPOINT)
    for group in (f"/aws/sagemaker/Endpoints/{ENDPOINT}", f"/aws/lambda/{ENDPOINT}-detector"):
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="AllTraffic/1")
        event = {"timestamp": int(time.time() * 1000), "message": "ERROR the container's reason"}
        logs.put_log_events(logGroupName=group, logStreamName="AllTraffic/1", logEvents=[event])
    printed = run(
        script("runbook.md"),
        tmp_path,
        **aws.environment(),
        BUCKET=BUCKET,
        ALERTS_TABLE="runbook-alerts",
        MODEL_ARTIFACT=f"s3://{BUCKET}/models/model.tar.gz",
    )
    assert printed.count("the container's reason") == 2
    assert "InService" in printed
    assert '"features"' in printed
    assert json.loads((tmp_path / "alerts.json").read_text())["Items"] == []
    assert (tmp_path / "scored" / "day=2026-01-01" / "scores.parquet").read_bytes() == b"x"
    assert (tmp_path / "models" / "model.tar.gz").stat().st_size > 1000


@contextmanager
def recorder() -> Iterator[tuple[int, list[tuple[str, dict[str, str], bytes]]]]:
    """Serve on a port, and keep the path, headers and body of each request."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


KEYS = Credentials("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "a session's token/+=")


def signing(port: int) -> dict[str, str]:
    return {
        "RUNTIME": f"http://127.0.0.1:{port}",
        "ENDPOINT": ENDPOINT,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_SESSION_TOKEN": KEYS.token or "",
        "NO_PROXY": "127.0.0.1",
    }


def test_what_curl_signs_is_what_aws_computes(tmp_path: Path) -> None:
    """The local AWS looks at no signature: so it is computed again, by botocore."""
    required_program("curl")
    curls = re.findall(r"^curl .*?(?<!\\)$", script(), re.MULTILINE | re.DOTALL)
    assert len(curls) == 2
    (tmp_path / "row.json").write_text('{"a": 1}')
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with recorder() as (port, seen):
        run("\n".join(curls), tmp_path, **signing(port))
    for path, headers, body in seen:
        signed = re.search(r"SignedHeaders=([^,]+), *Signature=(\w+)", headers["authorization"])
        assert signed is not None
        names = signed[1].split(";")
        assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
        request = AWSRequest("POST", f"http://{headers['host']}{path}", data=body)
        for name in names:
            request.headers[name] = headers[name]
        request.context["timestamp"] = headers["x-amz-date"]
        auth = SigV4Auth(KEYS, "sagemaker", "eu-west-1")
        assert auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == signed[2]


def test_a_signature_in_the_query_string_is_what_aws_computes(tmp_path: Path) -> None:
    """The page's own block signs; the canonical request of AWS's documentation is made here by hand."""
    blocks = BLOCK.findall((DOCS / "invoking.md").read_text(encoding="utf-8"))
    (block,) = (text for _, text in blocks if "SigV4QueryAuth" in text)
    (tmp_path / "row.json").write_text('{"a": 1}')
    with recorder() as (port, seen):
        run(f"python - <<'EOF'\n{block}EOF", tmp_path, **signing(port))
    ((path, headers, body),) = seen
    assert "authorization" not in headers
    given = parse_qsl(urlsplit(path).query, strict_parsing=True)
    values = dict(given)
    assert values["X-Amz-Security-Token"] == KEYS.token
    assert values["X-Amz-Expires"] == "60"
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(given)
        if name != "X-Amz-Signature"
    )
    names = values["X-Amz-SignedHeaders"].split(";")
    assert "host" in names
    lines = [f"{name}:{headers[name]}" for name in names]
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", urlsplit(path).path, query, *lines, "", ";".join(names), digest])
    scope = values["X-Amz-Credential"].partition("/")[2]
    assert scope.endswith("/eu-west-1/sagemaker/aws4_request")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", values["X-Amz-Date"], scope, hashed])
    key = f"AWS4{KEYS.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert hmac.digest(key, text.encode(), "sha256").hex() == values["X-Amz-Signature"]
