"""Serves a trained forest in SageMaker's scikit-learn container, through the four functions that the container calls.

The container turns every exception into an HTML page with status 500. To return a useful error, `input_fn` and
`predict_fn` return the `RequestError` as a value. `output_fn` turns it into a response with the error's status and a
JSON body, `{"error": {"status": ..., "message": ..., "row": ..., "column": ...}}`.

`anomaly_score` is scikit-learn's decision function: lower is more anomalous. `is_anomaly` is 1 if the score is below 0.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anomaly_detection.errors import RequestError
from anomaly_detection.frames import is_frame, request_of_frame
from anomaly_detection.model import Model, load
from anomaly_detection.request import parse
from anomaly_detection.response import (
    ADDED,
    Prediction,
    asks_for_manifest,
    error_body,
    render,
    render_frame,
    render_manifest,
)

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomaly_detection.content_types.rows import Request


def model_fn(model_dir: str) -> Model:
    """Load the model directory.

    Raises
    ------
    ArtifactError
        The directory is incomplete, was changed after training, or belongs to another scikit-learn version.
    """
    return load(Path(model_dir))


def input_fn(body: str | bytes, content_type: str | None) -> Request | RequestError:
    """Read a request body. `request.parse` lists the accepted forms."""
    return _or_error(lambda: parse(body, content_type))


def predict_fn(data: Any, model: Model) -> Any:
    """Score rows by feature name, or by position if the columns have no names.

    Parameters
    ----------
    data : Request, RequestError or DataFrame
        The result of `input_fn`, or a DataFrame with the features among its columns.
    model : Model

    Returns
    -------
    Prediction, RequestError or DataFrame
        For a DataFrame, a copy with the columns `is_anomaly` and `anomaly_score`.

    Raises
    ------
    RequestError
        A DataFrame lacks a feature, or has a value that is not a finite number.
    """
    if is_frame(data):
        scores = _predict(request_of_frame(data), model).scores
        return data.assign(**dict(zip(ADDED, ((scores < 0).astype(int), scores), strict=True)))
    answer = data if isinstance(data, RequestError) else _or_error(lambda: _predict(data, model))
    if isinstance(answer, RequestError):
        answer.manifest = model.manifest
    return answer


def output_fn(prediction: Any, accept: str | None) -> Any:
    """Write the response.

    The environment variable `DEFAULT_OUTPUT` is the default of the parameter `output=` in Accept. A request for the
    manifest succeeds even if its rows are invalid, since the manifest describes the valid rows.

    Returns
    -------
    (body, content_type)
        For an error, a Flask response with a 4xx status and a JSON body.
    """
    answer = _or_error(lambda: _render(prediction, accept))
    return _error_response(answer) if isinstance(answer, RequestError) else answer


def execution_parameters_fn() -> dict[str, Any]:
    """Return the defaults of a batch transform job: one request per worker at a time, many lines per request."""
    return {
        "MaxConcurrentTransforms": min(os.cpu_count() or 1, 16),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def _predict(request: Request, model: Model) -> Prediction:
    matrix = model.matrix_of(request)
    return Prediction(request, model, matrix, model.forest.scores(matrix))


def _render(prediction: Any, accept: str | None) -> tuple[str, str]:
    if is_frame(prediction):
        return render_frame(prediction, accept)
    if not isinstance(prediction, RequestError):
        return render(prediction, accept, os.environ.get("DEFAULT_OUTPUT"))
    if prediction.manifest is None or not asks_for_manifest(accept):
        raise prediction
    return render_manifest(prediction.manifest)


def _or_error(work: Callable[[], T]) -> T | RequestError:
    try:
        return work()
    except RequestError as error:
        return error


def _error_response(error: RequestError) -> Any:
    from flask import Response  # installed in the serving container only

    return Response(error_body(error), status=error.status, mimetype="application/json")
