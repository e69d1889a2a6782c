"""The rival: an inference script for an Isolation Forest as tutorials write it, on pandas and scikit-learn.

It is served by the same container or local endpoint, from the same model.joblib.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import joblib
import pandas as pd


def model_fn(model_dir: str) -> Any:
    """Load the forest, fitted on an array without names, as tutorials do."""
    forest = joblib.load(Path(model_dir) / "model.joblib")
    del forest.feature_names_in_
    return forest


def input_fn(body: str | bytes, content_type: str) -> pd.DataFrame:
    """Read a table of features."""
    text = body if isinstance(body, str) else body.decode()
    return pd.read_csv(io.StringIO(text)) if content_type == "text/csv" else pd.read_json(io.StringIO(text))


def predict_fn(data: pd.DataFrame, model: Any) -> pd.DataFrame:
    """Add the two columns to the table."""
    values = data.to_numpy()
    data["is_anomaly"] = (model.predict(values) == -1).astype(int)
    data["anomaly_score"] = model.decision_function(values)
    return data


def output_fn(data: pd.DataFrame, accept: str) -> tuple[str, str]:
    """Write the whole table back."""
    if accept.startswith("text/csv"):
        return data.to_csv(index=False), "text/csv"
    return data.to_json(orient="records", double_precision=15), "application/json"
