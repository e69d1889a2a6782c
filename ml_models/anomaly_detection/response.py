"""Writes responses: the request's rows with `is_anomaly` and `anomaly_score`, in the content type of Accept."""

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
    """A request and its scores.

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
    """Write a response.

    Parameters
    ----------
    prediction : Prediction
    accept : str or None
        application/json (the default, in the shape of the request), text/csv (with a header) or
        application/jsonlines. The parameter `output=` selects the content:

        - `scores`: only the two score columns.
        - `attributions`: the score columns, and for each feature how many splits sooner it isolates the row. Positive
          values make the row more anomalous; see `FlatForest.attributions`.
        - `manifest`: the model's manifest, as JSON, instead of scores.
        - `random-cut-forest`: the response of SageMaker's Random Cut Forest, `{"scores": [{"score": 0.91}]}`. This
          score is the paper's, from 0 to 1 and higher for more anomalous: the negative of scikit-learn's
          `score_samples`. All other scores are scikit-learn's decision function, lower for more anomalous.
    output : str, optional
        The default of the parameter. With `random-cut-forest` as the default, the response is always JSON, because
        clients of Random Cut Forest send `Accept: text/csv` and read JSON.

    Returns
    -------
    (body, content_type)
        Floats have as many digits as are needed to read back the same bits.

    Raises
    ------
    RequestError
        Status 406. Accept names no supported content type.
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
    """Write a DataFrame as records or as CSV. With `output=scores`, write only its two score columns."""
    content_type, parameters = _negotiate(accept)
    names = [str(name) for name in frame.columns]
    kept = [place for place, name in enumerate(names) if name in ADDED or "output=scores" not in parameters]
    columns = {names[place]: plain_values(frame, place) for place in kept}
    return write_csv(columns) if content_type == CSV else _shaped("records", columns, content_type), content_type


def asks_for_manifest(accept: str | None) -> bool:
    """Return whether Accept requests the model's manifest instead of scores."""
    return MANIFEST in _negotiate(accept)[1]


def render_manifest(manifest: dict[str, Any]) -> tuple[str, str]:
    """Write a manifest. It is always JSON."""
    return encode(manifest), JSON


def _repeated(prediction: Prediction, content_type: str, added: dict[str, list[Any]]) -> str | None:
    """Write the request's rows unchanged, with the added columns. None if the cells must be written again."""
    request, features = prediction.request, prediction.model.feature_names
    names = request.names or features
    lines = None if set(names) & set(ADDED) else request.texts(features)
    if lines is None or (request.texts_type == CSV) != (content_type == CSV):
        return None
    if content_type == CSV:
        return write_csv_after(lines, names, added)
    return write_records_after(lines, added, content_type)


def _shaped(shape: str, columns: dict[str, list[Any]], content_type: str) -> str:
    """Write a JSON response in the shape of the request."""
    if content_type == JSON_LINES:
        return write_records(columns, content_type, ("", ""))
    if shape == "record":
        return write_records(columns, content_type, ("", ""))[1:-1]
    if shape == "columns":
        return encode({"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]})
    return write_records(columns, content_type, ('{"predictions": ', "}") if shape == "instances" else ("", ""))


def _own_columns(prediction: Prediction, *, as_numbers: bool) -> dict[str, list[Any]]:
    """Return the request's columns by name. In CSV requests, the features are texts."""
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
    raise RequestError(406, f"{shown(accept)} is not supported; accept {JSON}, {CSV} or {JSON_LINES}")


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
