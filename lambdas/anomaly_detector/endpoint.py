"""Asks the endpoint for scores: chunks below its body limit, retries, and a count of what comes back."""

from __future__ import annotations

import io
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's name

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
_RETRIED = {"ThrottlingException", "ServiceUnavailable", "InternalFailure", "InternalDependencyException"}
_RETRIED |= {"ModelNotReadyException", "InternalServerException", "TooManyRequestsException"}


class EndpointError(RuntimeError):
    """The endpoint refused the rows, or gave no answer after every attempt."""


class Endpoint:
    """A SageMaker endpoint that takes CSV with a header and answers `is_anomaly,anomaly_score`.

    Parameters
    ----------
    client : sagemaker-runtime client
        With its own retries off: those here know which model errors are worth another attempt.
    name : str
        The endpoint's name.
    max_body_bytes : int
        Requests stay below it; 4 MB is the limit of a serverless endpoint.
    sleep : callable
        Takes seconds.
    """

    def __init__(
        self, client: Any, name: str, max_body_bytes: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._name = name
        self._max_body_bytes = max_body_bytes
        self._sleep = sleep

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Score rows.

        Parameters
        ----------
        features : pa.Table
            The feature columns alone, floats, n rows.

        Returns
        -------
        is_anomaly : ndarray of int8, shape (n,)
        anomaly_score : ndarray of float64, shape (n,)
            scikit-learn's decision function: lower is more anomalous, below 0 is anomalous.

        Raises
        ------
        EndpointError
        """
        # As doubles, float32 values are written with digits that read back to the same bits.
        doubles = pa.table({name: features[name].cast(pa.float64()) for name in features.column_names})
        answers = [self._score_chunk(body, rows) for body, rows in self._chunks(doubles)]
        flags, scores = zip(*answers, strict=True) if answers else ((), ())
        return (
            np.concatenate([np.empty(0, np.int8), *flags]).astype(np.int8),
            np.concatenate([np.empty(0, np.float64), *scores]),
        )

    def _chunks(self, table: pa.Table) -> list[tuple[bytes, int]]:
        if table.num_rows == 0:
            return []
        buffer = io.BytesIO()
        pa_csv.write_csv(table, buffer)
        body = buffer.getvalue()
        if len(body) <= self._max_body_bytes:
            return [(body, table.num_rows)]
        if table.num_rows == 1:
            raise EndpointError(f"one row is {len(body)} bytes long, above the limit of {self._max_body_bytes}")
        half = table.num_rows // 2
        return self._chunks(table.slice(0, half)) + self._chunks(table.slice(half))

    def _score_chunk(self, body: bytes, rows: int) -> tuple[np.ndarray, np.ndarray]:
        answer = pa_csv.read_csv(io.BytesIO(self._invoke(body)))
        if answer.column_names != ["is_anomaly", "anomaly_score"] or answer.num_rows != rows:
            raise EndpointError(
                f"endpoint {self._name} answered {answer.num_rows} rows of {', '.join(answer.column_names)} "
                f"to a request of {rows} rows; is_anomaly, anomaly_score are expected"
            )
        return answer["is_anomaly"].to_numpy(), answer["anomaly_score"].to_numpy().astype(np.float64)

    def _invoke(self, body: bytes) -> bytes:
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            try:
                answer = self._client.invoke_endpoint(
                    EndpointName=self._name, ContentType="text/csv", Accept="text/csv;output=scores", Body=body
                )
                return bytes(answer["Body"].read())
            except ClientError as error:
                reason = _reason(error)
                if not _is_worth_retrying(error):
                    raise EndpointError(f"endpoint {self._name} refused the request: {reason}") from error
            except (ConnectionError, HTTPClientError) as error:
                reason = str(error)
        raise EndpointError(f"endpoint {self._name} gave no answer in {ATTEMPTS} attempts: {reason}")


def _is_worth_retrying(error: ClientError) -> bool:
    answer: Any = error.response
    if answer["Error"]["Code"] == "ModelError":
        return int(answer.get("OriginalStatusCode", 500)) >= 500
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return answer["Error"]["Code"] in _RETRIED or status == 429 or status >= 500


def _reason(error: ClientError) -> str:
    answer: Any = error.response
    return str(answer.get("OriginalMessage") or answer["Error"].get("Message") or answer["Error"]["Code"])
