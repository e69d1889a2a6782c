"""SageMaker Runtime with a rule as its model: an hour is anomalous where its `ratio` is above 1."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from tests.simulation.aws import Network, client_error


class Runtime:
    """Answers scores and attributions; it has no manifest, as a custom model may."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def invoke_endpoint(self, EndpointName: str, ContentType: str, Accept: str, Body: bytes) -> dict[str, Any]:
        def perform() -> bytes:
            rows = pa_csv.read_csv(io.BytesIO(Body))
            if "manifest" in Accept:
                raise client_error("ModelError", "InvokeEndpoint", 424, OriginalStatusCode=406)
            if rows["ratio"].null_count:
                raise client_error("ModelError", "InvokeEndpoint", 424, OriginalStatusCode=400)
            ratios = rows["ratio"].to_numpy()
            scores = 0.5 - 0.5 * ratios
            answer = {"is_anomaly": (scores < 0).astype(np.int8), "anomaly_score": scores}
            if "attributions" in Accept:
                answer["ratio"] = ratios
            body = io.BytesIO()
            pa_csv.write_csv(pa.table(answer), body)
            return body.getvalue()

        return {"Body": io.BytesIO(self._network.call("sagemaker.invoke_endpoint", perform))}
