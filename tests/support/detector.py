"""The detector as Lambda runs it, between a local AWS and an endpoint whose faults a test can choose."""

import csv
import io
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from boto3.dynamodb.types import TypeDeserializer

from local_aws import LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaProcess

EVENTS = Path(__file__).resolve().parents[1] / "events"
HANDLER = "anomaly_detector.handler.lambda_handler"


class FaultyEndpoint:
    """SageMaker Runtime's path, with a rule as its model: a row is anomalous where `ratio` is above 1.

    `faults` are taken one a request: an HTTP status, "model error 500", "cut" (no answer) or "short" (a row less).
    """

    def __init__(self) -> None:
        self.faults: list[int | str] = []
        self.requests: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append(len(body))
                fault = endpoint.faults.pop(0) if endpoint.faults else None
                if fault == "cut":
                    self.close_connection = True
                    self.connection.close()
                    return
                accept = self.headers.get("Accept", "")
                status, answer = endpoint.answer(body, fault, accept)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                if status != 200:
                    self.send_header(
                        "x-amzn-ErrorType", {429: "ThrottlingException", 424: "ModelError"}.get(status, "")
                    )
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def answer(body: bytes, fault: int | str | None, accept: str = "") -> tuple[int, bytes]:
        if fault == "model error 500":
            return 424, json.dumps({"OriginalStatusCode": 500, "OriginalMessage": "worker died"}).encode()
        if fault == "model error 400":
            return 424, json.dumps({"OriginalStatusCode": 400, "OriginalMessage": "the feature x is missing"}).encode()
        if fault == "scores alone" and "attributions" in accept:
            return 424, json.dumps({"OriginalStatusCode": 406, "OriginalMessage": "scores alone"}).encode()
        if isinstance(fault, int):
            return fault, b'{"message": "no"}'
        ratios = [float(row["ratio"]) for row in csv.DictReader(io.StringIO(body.decode()))]
        scores = [0.5 - 0.5 * ratio for ratio in ratios]
        if "attributions" in accept:
            lines = [f"{int(s < 0)},{s!r},{r!r},0\n" for s, r in zip(scores, ratios, strict=True)]
            return 200, "".join(["is_anomaly,anomaly_score,ratio,beyond_habit_log\n", *lines]).encode()
        if fault == "short":
            scores.pop()
        return 200, "".join(["is_anomaly,anomaly_score\n", *(f"{int(s < 0)},{s!r}\n" for s in scores)]).encode()


def hour(text: str) -> datetime:
    """Return an hour of October 2026: "02T16" is the 2nd, 16:00 UTC."""
    return datetime.strptime(f"2026-10-{text}", "%Y-%m-%dT%H").replace(tzinfo=UTC)


def row(
    start: str, plus: int = 0, *, gb: float = 1.0, expected: float = 1.0, price: float = 0.09, **other: Any
) -> dict[str, Any]:
    """Return a feature row; `other` replaces columns."""
    fee = other.get("egress_class") == "nat_gateway"
    return (
        {
            "hour_utc": hour(start) + timedelta(hours=plus),
            "account_id": "111122223333",
            "region": "eu-west-1",
            "service": "AmazonS3",
            "egress_class": "internet",
            "resource_id": "media-prod",
            "usage_type": "EU-DataTransfer-Out-Bytes",
            "operation": "GetObject",
            "usage_gb": float(gb),
            "egress_gb": 0.0 if fee else float(gb),
            "cost_usd": gb * price,
            "expected_usage_gb": float(expected),
            "expected_egress_gb": 0.0 if fee else float(expected),
            "expected_cost_usd": expected * price,
            "expected_spread_gb": 0.1,
            "is_provisional": False,
            "is_estimated": False,
            "is_complete": True,
            "is_daily": False,
            "beyond_habit_log": 3.0,
        }
        | other
        | {"ratio": gb / max(expected, 0.1)}
    )


def hot_day(day: int = 2, first: int = 2, hours: int = 9, **other: Any) -> list[dict[str, Any]]:
    """Return a day of one series with `hours` hot hours of 80 GB where 5 were expected."""
    hot = range(first, first + hours)
    return [row(f"{day:02d}T{h:02d}", gb=80 if h in hot else 5, expected=5, **other) for h in range(24)]


class World:
    """A bucket, tables and a topic in a local AWS, and the function's process."""

    def __init__(self, aws: LocalAws, endpoint: FaultyEndpoint, folder: Path, prefix: str, **variables: str) -> None:
        self.aws = aws
        self.endpoint = endpoint
        self.resources = create_detector_resources(aws, prefix=prefix)
        self._folder = folder
        # The same rule for any number of hours: other tests check that few hours require more dollars.
        policy = {"LASTING_HOURS": "1", "MIN_EXCESS_PERCENT": "50"}
        self.environment = aws.environment() | self.resources.environment("sentinel") | policy | variables
        self.environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = endpoint.url

    def put(self, rows: list[dict[str, Any]], name: str = "features") -> None:
        """Write feature files, one a day."""
        for day in sorted({r["hour_utc"].date() for r in rows}):
            schema = pa.schema([("hour_utc", pa.timestamp("us", tz="UTC"))])
            table = pa.Table.from_pylist([r for r in rows if r["hour_utc"].date() == day])
            table = table.set_column(0, "hour_utc", table["hour_utc"].cast(schema.field(0).type))
            body = io.BytesIO()
            pq.write_table(table, body)
            key = f"features/day={day}/{name}.parquet"
            self.aws.client("s3").put_object(Bucket=self.resources.bucket, Key=key, Body=body.getvalue())

    def invoke(self, *events: Any, **variables: str) -> list[Any]:
        """Let a fresh process take events."""
        with LambdaProcess(
            HANDLER, environment=self.environment | variables, log_file=self._folder / "log"
        ) as detector:
            return [detector.invoke(event) for event in events]

    def alerts(self) -> list[dict[str, Any]]:
        """Read the alerts of the alerts table, without the detector's ledger."""
        read = TypeDeserializer().deserialize
        items = self.aws.client("dynamodb").scan(TableName=self.resources.alerts_table, ConsistentRead=True)["Items"]
        alerts = [item for item in items if "account_region" in item]
        return [{name: read(value) for name, value in item.items()} for item in alerts]

    def messages(self) -> list[str]:
        """Receive the messages since the last call."""
        return self.resources.messages()

    def scored(self, day: str) -> pa.Table:
        """Read a day's scored rows."""
        key = f"scored/day={day}/scores.parquet"
        answer = self.aws.client("s3").get_object(Bucket=self.resources.bucket, Key=key)
        return pq.read_table(io.BytesIO(answer["Body"].read()))

    def put_scored(self, day: str, rows: pa.Table) -> None:
        """Put other rows in the place of a day's scored ones."""
        body = io.BytesIO()
        pq.write_table(rows, body)
        key = f"scored/day={day}/scores.parquet"
        self.aws.client("s3").put_object(Bucket=self.resources.bucket, Key=key, Body=body.getvalue())


def event(name: str) -> dict[str, Any]:
    """Return a real event payload."""
    return json.loads((EVENTS / f"{name}.json").read_text())
