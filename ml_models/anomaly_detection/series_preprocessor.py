"""Serves the first container of a serial inference pipeline: `timestamp,value` lines in, the forest's features out.

`SAGEMAKER_PROGRAM` names this module, and the scikit-learn container calls its functions. Errors are returned as in
`inference_script`. `time_series.preprocessor` describes the history that the features depend on.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomaly_detection.content_types.rows import CSV, check_marks, shown, text_of
from anomaly_detection.errors import InputError, RequestError
from anomaly_detection.response import error_body
from anomaly_detection.time_series.data import Series, read_series
from anomaly_detection.time_series.features import SERIES_FEATURE_NAMES
from anomaly_detection.time_series.preprocessor import Preprocessor, load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def model_fn(model_dir: str) -> Preprocessor:
    """Load the model directory.

    Raises
    ------
    ArtifactError
        The directory is incomplete, was changed after training, or has other features than this code computes.
    """
    return load(Path(model_dir))


def input_fn(body: str | bytes, content_type: str | None) -> Series | RequestError:
    """Read the lines of a request, which must be in time order."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != CSV:
        found = f"content type {shown(media_type)} is not known" if media_type else "the request names no Content-Type"
        return RequestError(415, f"{found}; {CSV} with timestamp,value lines is accepted")
    try:
        text = text_of(body)
        check_marks(text, row="\n\r", cell=",")
        series = read_series(text, "the body", is_strict=True)
    except RequestError as error:
        return error
    except InputError as error:
        return RequestError(400, str(error))
    return series if series.timestamps else RequestError(400, "the body has no lines; timestamp,value is expected")


def predict_fn(data: Series | RequestError, model: Preprocessor) -> NDArray[np.float32] | RequestError:
    """Make the features."""
    return data if isinstance(data, RequestError) else model.features(data.seconds, data.values)


def output_fn(prediction: NDArray[np.float32] | RequestError, accept: str | None) -> Any:  # noqa: ARG001 - see below
    """Write the features as CSV with a header, or the error.

    Accept is ignored: it applies to the last container's response, and the next container reads CSV.
    """
    if isinstance(prediction, RequestError):
        from flask import Response  # installed in the serving container only

        return Response(error_body(prediction), status=prediction.status, mimetype="application/json")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SERIES_FEATURE_NAMES)
    writer.writerows(prediction.tolist())
    return text.getvalue(), CSV
