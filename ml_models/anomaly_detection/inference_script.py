"""Serves a trained forest in SageMaker's scikit-learn container: the four functions that it calls.

The container turns every exception into an HTML page with status 500. A request that is at fault therefore travels as
a value: `input_fn` and `predict_fn` return the `RequestError`, and `output_fn` makes it a response with its own
status and a JSON body, `{"error": {"status": ..., "message": ..., "row": ..., "column": ...}}`.

`anomaly_score` is scikit-learn's decision function: lower is more anomalous; `is_anomaly` is 1 where it is below 0.
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
        It must not be served: incomplete, changed after training, or of another scikit-learn.
    """
    return load(Path(model_dir))


def input_fn(body: str | bytes, content_type: str | None) -> Request | RequestError:
    """Read a request body; see `request.parse` for what is accepted."""
    return _or_error(lambda: parse(body, content_type))


def predict_fn(data: Any, model: Model) -> Any:
    """Score rows by the features' names, or by position where they have no names.

    Parameters
    ----------
    data : Request, RequestError or DataFrame
        What `input_fn` returns, or a DataFrame with the features among its columns.
    model : Model

    Returns
    -------
    Prediction, RequestError or DataFrame
        Of a DataFrame a copy with the columns `is_anomaly` and `anomaly_score`.

    Raises
    ------
    RequestError
        A DataFrame lacks a feature, or has a value that is no finite number.
    """
    if is_frame(data):
        scores = _predict(request_of_frame(data), model).scores
        return data.assign(**dict(zip(ADDED, ((scores < 0).astype(int), scores), strict=True)))
    answer = data if isinstance(data, RequestError) else _or_error(lambda: _predict(data, model))
    if isinstance(answer, RequestError):
        answer.manifest = model.manifest
    return answer


def output_fn(prediction: Any, accept: str | None) -> Any:
    """Write what `predict_fn` returned.

    `DEFAULT_OUTPUT` in the environment stands for an `output=` that Accept does not give. Who asks for the
    manifest gets it whatever the rows are: it is what says which rows fit.

    Returns
    -------
    (body, content_type)
        Or a Flask response with a 4xx status and a JSON body.
    """
    answer = _or_error(lambda: _render(prediction, accept))
    return _error_response(answer) if isinstance(answer, RequestError) else answer


def execution_parameters_fn() -> dict[str, Any]:
    """Say how a batch transform job asks best, where it is not told: a request for each worker, many lines in each."""
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
    from flask import Response  # the container has it; the training job does without

    return Response(error_body(error), status=error.status, mimetype="application/json")
