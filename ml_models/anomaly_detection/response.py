"""Answers: the request's rows with `is_anomaly` and `anomaly_score`, in the content type that Accept asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anomaly_detection.content_types.csv_rows import write_csv, write_csv_after, write_csv_of_numbers
from anomaly_detection.content_types.json_rows import encode, write_records, write_records_after
from anomaly_detection.content_types.rows import CSV, JSON, JSON_LINES, shown
from anomaly_detection.errors import RequestError
from anomaly_detection.frames import plain_values

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from anomaly_detection.content_types.rows import Request
    from anomaly_detection.model import Model

_RANGES = {"*/*": JSON, "application/*": JSON, "text/*": CSV}
ADDED = ("is_anomaly", "anomaly_score")
MANIFEST = "output=manifest"
RANDOM_CUT_FOREST = "output=random-cut-forest"


@dataclass(frozen=True)
class Prediction:
    """Scores beside the request that asked for them.

    Parameters
    ----------
    request : Request
    model : Model
    matrix : ndarray of shape (n_rows, n_features), float32
        The request's features.
    scores : ndarray of shape (n_rows,), float64
    """

    request: Request
    model: Model
    matrix: NDArray[np.float32]
    scores: NDArray[np.float64]


def render(prediction: Prediction, accept: str | None, output: str | None = None) -> tuple[str, str]:
    """Write an answer.

    Parameters
    ----------
    prediction : Prediction
    accept : str or None
        application/json (the default; it has the request's own shape), text/csv (with a header) or
        application/jsonlines. With the parameter `output=scores` the two score columns alone; with
        `output=attributions` these and, by each feature's name in the schema's order, how many splits sooner it
        isolates the row (positive: it makes the row more anomalous; see `FlatForest.attributions`); with
        `output=manifest` (as JSON) the manifest of the model that answers, in place of scores; with
        `output=random-cut-forest` what clients of SageMaker's Random Cut Forest expect, `{"scores": [{"score": 0.91}]}`
        in JSON. That score alone is the paper's, 0 to 1 and higher for more anomalous: the negative of scikit-learn's
        `score_samples`. Everything else follows scikit-learn's decision function, lower for more anomalous.
    output : str, optional
        Such a parameter's value for an Accept that has none. That of a Random Cut Forest is then JSON, whatever Accept
        says: its clients send `Accept: text/csv` and read JSON.

    Returns
    -------
    (body, content_type)
        Floats are written with as many digits as read back to the same bits.

    Raises
    ------
    RequestError
        406: none of what Accept names can be written.
    """
    content_type, parameters = _with_default(*_negotiate(accept), output)
    model = prediction.model
    if MANIFEST in parameters:
        return render_manifest(model.manifest)
    scores = prediction.scores
    added = dict(zip(ADDED, ((scores < 0).astype(int).tolist(), scores.tolist()), strict=True))
    if RANDOM_CUT_FOREST in parameters:
        columns = {"score": (-(scores + model.forest.offset)).tolist()}
    elif "output=scores" in parameters:
        columns = added
        if content_type == CSV:
            return write_csv_of_numbers(columns), CSV
    elif "output=attributions" in parameters:
        attributions = model.forest.attributions(prediction.matrix).T.tolist()
        columns = added | dict(zip(model.feature_names, attributions, strict=True))
    elif repeated := _repeated(prediction, content_type, added):
        return repeated, content_type
    else:
        columns = _own_columns(prediction, as_numbers=content_type != CSV) | added
    if content_type == CSV:
        return write_csv(columns), CSV
    shape = prediction.request.shape
    if RANDOM_CUT_FOREST in parameters:
        return write_records(columns, content_type, ('{"scores": ', "}")), content_type
    return _shaped(shape, columns, content_type), content_type


def _with_default(content_type: str, parameters: list[str], output: str | None) -> tuple[str, list[str]]:
    if not output or any(parameter.startswith("output=") for parameter in parameters):
        return content_type, parameters
    added = f"output={output}"
    is_column = content_type == CSV and added == RANDOM_CUT_FOREST
    return JSON if is_column else content_type, [*parameters, added]


def render_frame(frame: pd.DataFrame, accept: str | None) -> tuple[str, str]:
    """Write a DataFrame as records or as CSV; with `output=scores` its two score columns alone."""
    content_type, parameters = _negotiate(accept)
    names = [str(name) for name in frame.columns]
    kept = [place for place, name in enumerate(names) if name in ADDED or "output=scores" not in parameters]
    columns = {names[place]: plain_values(frame, place) for place in kept}
    return write_csv(columns) if content_type == CSV else _shaped("records", columns, content_type), content_type


def asks_for_manifest(accept: str | None) -> bool:
    """Say whether an Accept asks for the model's manifest in place of scores."""
    return MANIFEST in _negotiate(accept)[1]


def render_manifest(manifest: dict[str, Any]) -> tuple[str, str]:
    """Write a manifest, as JSON whatever Accept's media type is."""
    return encode(manifest), JSON


def _repeated(prediction: Prediction, content_type: str, added: dict[str, list[Any]]) -> str | None:
    """Write the request's rows as they came, with the added columns; None where its cells have to be written anew."""
    request, features = prediction.request, prediction.model.feature_names
    names = request.names or features
    lines = None if set(names) & set(ADDED) else request.texts(features)
    if lines is None or (request.texts_type == CSV) != (content_type == CSV):
        return None
    if content_type == CSV:
        return write_csv_after(lines, names, added)
    return write_records_after(lines, added, content_type)


def _shaped(shape: str, columns: dict[str, list[Any]], content_type: str) -> str:
    """Write an answer in JSON in the request's own shape."""
    if content_type == JSON_LINES:
        return write_records(columns, content_type, ("", ""))
    if shape == "record":
        return write_records(columns, content_type, ("", ""))[1:-1]
    if shape == "columns":
        return encode({"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]})
    return write_records(columns, content_type, ('{"predictions": ', "}") if shape == "instances" else ("", ""))


def _own_columns(prediction: Prediction, *, as_numbers: bool) -> dict[str, list[Any]]:
    """Return the request's columns by name; CSV wrote features as texts."""
    request, features = prediction.request, prediction.model.feature_names
    columns = dict(zip(request.names or features, request.columns, strict=True))
    for name in ADDED:
        columns.pop(name, None)
    if as_numbers:
        columns |= {name: _numbers(columns[name]) for name in features if name in columns}
    return columns


def error_body(error: RequestError) -> str:
    """Return the JSON of an error."""
    return json.dumps(
        {"error": {"status": error.status, "message": error.message, "row": error.row, "column": error.column}}
    )


@lru_cache(maxsize=256)
def _negotiate(accept: str | None) -> tuple[str, list[str]]:
    for media_range in sorted((accept or "*/*").split(","), key=_quality, reverse=True):
        media_type, *parameters = (part.strip().lower() for part in media_range.split(";"))
        content_type = _RANGES.get(media_type, media_type)
        if content_type in {JSON, CSV, JSON_LINES} and _quality(media_range) > 0:
            return content_type, parameters
    raise RequestError(406, f"{shown(accept)} cannot be written; accepted are {JSON}, {CSV} and {JSON_LINES}")


def _quality(media_range: str) -> float:
    for parameter in media_range.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return float(value)
            except ValueError as error:
                raise RequestError(406, f"q={shown(value)} in Accept is not a number") from error
    return 1.0


def _numbers(column: list[Any]) -> list[Any]:
    return [(float(value) if value.strip() else None) if isinstance(value, str) else value for value in column]
