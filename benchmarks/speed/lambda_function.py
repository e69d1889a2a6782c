"""The detector's Lambda function: `python -m benchmarks.speed.lambda_function [--quick]`.

It measures the time until the function can take its first event (the handler is imported, its clients are made), and
rows per second through a local endpoint. Each is compared with pandas: pandas in the layer, and a table that pandas
writes and reads.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pyarrow as pa

from anomaly_detector.endpoint import Endpoint
from benchmarks.speed.common import NAMES, best, check_equal, measured_process, report, rows, trained_model
from egress_sentinel.serving.local_endpoint import LocalEndpoint

ENVIRONMENT = """
import os
os.environ |= dict.fromkeys(["BUCKET", "ENDPOINT_NAME", "ALERTS_TABLE", "TOPIC_ARN"], "name")
os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_SERVICE_NAME": "name"}
os.environ |= dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "testing")
"""
OURS = ENVIRONMENT + "import anomaly_detector.handler\nanomaly_detector.handler.runner()"
# The same with pandas beside it.
PANDAS = OURS + "\nimport pandas"
# Set as Lambda does. Importing sends no request to AWS.
CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
# A third of a real-time endpoint's 6 MB for each request: pandas does not know the length of its text in advance.
PANDAS_CHUNK_ROWS = 5_000


def pandas_scores(client: Any, name: str, table: pd.DataFrame) -> np.ndarray:
    """Score as tutorials do: `to_csv` chunk by chunk, `read_csv` on the whole table that comes back."""
    found = []
    for start in range(0, len(table), PANDAS_CHUNK_ROWS):
        body = table.iloc[start : start + PANDAS_CHUNK_ROWS].to_csv(index=False)
        answer = client.invoke_endpoint(EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=body)
        found.append(pd.read_csv(io.BytesIO(answer["Body"].read()))["anomaly_score"].to_numpy())
    return np.concatenate(found)


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and repeats")
    quick = parser.parse_args().quick
    count, repeats = (5_000, 1) if quick else (50_000, 3)
    theirs, ours = (min(measured_process(code, []).cpu_seconds for _ in range(repeats + 1)) for code in (PANDAS, OURS))
    report("Lambda, imports and clients, CPU", theirs, ours, 1)
    values = rows(count, seed=3)
    doubles = pd.DataFrame(values.astype(np.float64), columns=NAMES)
    table = pa.table({name: values[:, i] for i, name in enumerate(NAMES)})
    with tempfile.TemporaryDirectory() as temporary, LocalEndpoint(trained_model(Path(temporary))) as endpoint:
        client = boto3.client("sagemaker-runtime", endpoint_url=endpoint.url, **CREDENTIALS)
        asker = Endpoint(client, endpoint.endpoint_name, 4_000_000)
        our_seconds, our_answer = best(lambda: asker.score(table)[1], repeats, time.perf_counter)
        seconds, scores = best(lambda: pandas_scores(client, endpoint.endpoint_name, doubles), repeats)
    check_equal(our_answer, scores)
    report(f"Lambda, {count:,} rows through the endpoint", seconds, our_seconds, 1)
    print(f"Lambda, rows a second: tutorial {count / seconds:,.0f}, Egress Sentinel {count / our_seconds:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
