"""Answers: the request's rows with `is_anomaly` and `anomaly_score`, in the content type that Accept asks for."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anomaly_detection.errors import RequestError
from anomaly_detection.request import ABSENT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anomaly_detection.model import Model
    from anomaly_detection.request import Request

JSON, CSV, JSON_LINES = "application/json", "text/csv", "application/jsonlines"
_RANGES = {"*/*": JSON, "application/*": JSON, "text/*": CSV}
_ENCODER = json.JSONEncoder(default=str, allow_nan=False)
ADDED = ("is_anomaly", "anomaly_score")
MANIFEST = "output=manifest"
RANDOM_CUT_FOREST = "output=random-cut-forest"
# Importing pyarrow is paid for once; who asks for this many rows will ask for more.
ARROW_ROWS = 4000


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
        Such a parameter's value for an Accept that has none.

    Returns
    -------
    (body, content_type)
        Floats are written with as many digits as read back to the same bits.

    Raises
    ------
    RequestError
        406: none of what Accept names can be written.
    """
    content_type, parameters = _negotiate(accept)
    if output and not any(parameter.startswith("output=") for parameter in parameters):
        parameters = [*parameters, f"output={output}"]
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
            return _csv_of_numbers(columns), CSV
    elif "output=attributions" in parameters:
        attributions = model.forest.attributions(prediction.matrix).T.tolist()
        columns = added | dict(zip(model.feature_names, attributions, strict=True))
    else:
        columns = _own_columns(prediction, as_numbers=content_type != CSV) | added
    if content_type == CSV:
        return _csv(columns), CSV
    records = _records(columns)
    if content_type == JSON_LINES:
        return "".join(f"{_json(record)}\n" for record in records), JSON_LINES
    if RANDOM_CUT_FOREST in parameters:
        return _json({"scores": records}), JSON
    return _json(_shaped(prediction.request.shape, columns, records)), JSON


def asks_for_manifest(accept: str | None) -> bool:
    """Say whether an Accept asks for the model's manifest in place of scores."""
    return MANIFEST in _negotiate(accept)[1]


def render_manifest(manifest: dict[str, Any]) -> tuple[str, str]:
    """Write a manifest, as JSON whatever Accept's media type is."""
    return _json(manifest), JSON


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
    raise RequestError(406, f"{accept!r} cannot be written; accepted are {JSON}, {CSV} and {JSON_LINES}")


def _quality(media_range: str) -> float:
    for parameter in media_range.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return float(value)
            except ValueError as error:
                raise RequestError(406, f"q={value} in Accept is not a number") from error
    return 1.0


def _csv(columns: dict[str, list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_cell(value) for value in column] for column in columns.values()), strict=True))
    return text.getvalue()


def _csv_of_numbers(columns: dict[str, list[Any]]) -> str:
    """Write what needs no quoting, several times as fast; many rows by Arrow, whose digits read back the same too."""
    if len(next(iter(columns.values()))) >= ARROW_ROWS:
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        body = io.BytesIO()
        pa_csv.write_csv(pa.table(columns), body, pa_csv.WriteOptions(include_header=False))
        return ",".join(columns) + "\n" + body.getvalue().decode()
    line = ",".join(["%r"] * len(columns))
    lines = [line % row for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *lines, ""])


def _cell(value: Any) -> Any:
    """Csv writes floats by repr and None as an empty cell."""
    if value is ABSENT:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _numbers(column: list[Any]) -> list[Any]:
    return [(float(value) if value else None) if isinstance(value, str) else value for value in column]


def _records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in zip(columns, values, strict=True) if value is not ABSENT}
        for values in zip(*columns.values(), strict=True)
    ]


def _shaped(shape: str, columns: dict[str, list[Any]], records: list[dict[str, Any]]) -> Any:
    if shape == "record":
        return records[0]
    if shape == "instances":
        return {"predictions": records}
    if shape == "columns":
        return {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
    return records


def _json(document: Any) -> str:
    try:
        return _ENCODER.encode(document)
    except ValueError:
        # A column that the model does not read may hold what JSON cannot say.
        return _ENCODER.encode(_without_nan(document))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
