"""Asks the endpoint for scores, with chunks below its body limit and retries, and checks the number of rows."""

from __future__ import annotations

import io
import json
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's name

from egress_alerts.model import ScorerError

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFEST = "application/json;output=manifest"
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
_RETRIED = {"ThrottlingException", "ServiceUnavailable", "InternalFailure", "InternalDependencyException"}
_RETRIED |= {"ModelNotReadyException", "InternalServerException", "TooManyRequestsException"}


class EndpointError(ScorerError):
    """The endpoint refused the rows, or did not answer in any attempt."""


class RefusedError(EndpointError):
    """The endpoint refused the rows or did not answer with scores. Other rows may still be scored."""


class Endpoint:
    """A SageMaker endpoint that takes CSV with a header and answers `is_anomaly,anomaly_score`.

    Parameters
    ----------
    client : sagemaker-runtime client
        A client without retries: this class decides which model errors to retry.
    name : str
        The endpoint's name.
    max_body_bytes : int
        The largest size of a request. The limit of a serverless endpoint is 4 MB.
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
        answers = [self._score_chunk(body, rows) for body, rows in self._chunks(features)]
        flags, scores = zip(*answers, strict=True) if answers else ((), ())
        return (
            np.concatenate([np.empty(0, np.int8), *flags]).astype(np.int8),
            np.concatenate([np.empty(0, np.float64), *scores]),
        )

    def attributions(self, features: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
        """Return the contribution of each feature to the anomaly scores, or None if the endpoint does not offer it.

        An endpoint with a custom image may refuse in any way.

        Parameters
        ----------
        features : pa.Table
            As for `score`, with few rows: all of them go in one request.

        Returns
        -------
        anomaly_score : ndarray of float64, shape (n,)
        attributions : dict of str to ndarray of float64, shape (n,)
            By feature, how many splits sooner the forest isolates the row because of it. A positive value makes the
            row more anomalous.
        """
        try:
            answer = _read_csv(self._invoke(_csv(features), "text/csv;output=attributions"))
        except EndpointError:
            return None
        names = features.column_names
        if answer.num_rows != features.num_rows or not {"anomaly_score", *names} <= set(answer.column_names):
            return None
        return _floats(answer, "anomaly_score"), {name: _floats(answer, name) for name in names}

    def manifest(self, row: pa.Table) -> dict[str, Any]:
        """Return the manifest of the model that answers. It is empty if the model has none.

        Parameters
        ----------
        row : pa.Table
            One row of features, which the request must have.
        """
        try:
            manifest = json.loads(self._invoke(_csv(row), MANIFEST))
        except (EndpointError, ValueError):
            # A custom model need not have a manifest, and its scores are enough for an alert.
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def _chunks(self, table: pa.Table) -> list[tuple[bytes, int]]:
        if table.num_rows == 0:
            return []
        body = _csv(table)
        if len(body) <= self._max_body_bytes:
            return [(body, table.num_rows)]
        if table.num_rows == 1:
            raise RefusedError(f"one row is {len(body)} bytes long, above the limit of {self._max_body_bytes}")
        half = table.num_rows // 2
        return self._chunks(table.slice(0, half)) + self._chunks(table.slice(half))

    def _score_chunk(self, body: bytes, rows: int) -> tuple[np.ndarray, np.ndarray]:
        answer = _read_csv(self._invoke(body, "text/csv;output=scores"))
        if answer.column_names != ["is_anomaly", "anomaly_score"] or answer.num_rows != rows:
            raise RefusedError(
                f"endpoint {self._name} answered {answer.num_rows} rows of {', '.join(answer.column_names)} "
                f"to a request of {rows} rows; is_anomaly, anomaly_score are expected"
            )
        return answer["is_anomaly"].to_numpy(), _floats(answer, "anomaly_score")

    def _invoke(self, body: bytes, accept: str) -> bytes:
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            try:
                answer = self._client.invoke_endpoint(
                    EndpointName=self._name, ContentType="text/csv", Accept=accept, Body=body
                )
                return bytes(answer["Body"].read())
            except ClientError as error:
                reason = _reason(error)
                if not _is_worth_retrying(error):
                    raise RefusedError(f"endpoint {self._name} refused the request: {reason}") from error
            except (ConnectionError, HTTPClientError) as error:
                reason = str(error)
        raise EndpointError(f"endpoint {self._name} gave no answer in {ATTEMPTS} attempts: {reason}")


def _is_worth_retrying(error: ClientError) -> bool:
    status = _status(error)
    return error.response["Error"]["Code"] in _RETRIED or status == 429 or status >= 500


def _status(error: ClientError) -> int:
    """Return the status of the container if it answered, else that of the service."""
    answer: Any = error.response
    if answer["Error"]["Code"] == "ModelError":
        return int(answer.get("OriginalStatusCode", 500))
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _csv(features: pa.Table) -> bytes:
    # As doubles, float32 values are written with digits that read back to the same bits.
    doubles = pa.table({name: features[name].cast(pa.float64()) for name in features.column_names})
    buffer = io.BytesIO()
    pa_csv.write_csv(doubles, buffer)
    return buffer.getvalue()


def _read_csv(body: bytes) -> pa.Table:
    try:
        return pa_csv.read_csv(io.BytesIO(body))
    except pa.ArrowInvalid as error:
        raise RefusedError(f"the endpoint answered something else than CSV: {error}") from error


def _floats(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table[name].to_numpy().astype(np.float64)
    return values


def _reason(error: ClientError) -> str:
    answer: Any = error.response
    return str(answer.get("OriginalMessage") or answer["Error"].get("Message") or answer["Error"]["Code"])
