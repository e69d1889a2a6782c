"""Serves the fraud classifier: `is_fraud`, `fraud_probability`, `confidence` of one JSON object or many, or of CSV.

`confidence` is the probability of the answer that was given: that of fraud where `is_fraud`, else one minus it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import joblib
import pandas as pd


def model_fn(model_dir):
    """Load the classifier and its threshold."""
    return joblib.load(Path(model_dir) / "model.joblib")


def transform_fn(model, body, content_type, accept):
    """Answer a request; one that is at fault gets status 400 with a sentence."""
    try:
        frame, is_single = _rows(body, content_type)
        answers = _answers(model, frame)
    except (ValueError, KeyError, TypeError) as error:
        return _refused(f"the request cannot be scored: {error}")
    if accept == "text/csv" or (content_type == "text/csv" and "json" not in accept):
        return answers.to_csv(index=False), "text/csv"
    records = json.loads(answers.to_json(orient="records"))
    return json.dumps(records[0] if is_single else {"predictions": records}), "application/json"


def _rows(body, content_type):
    text = body if isinstance(body, str) else body.decode("utf-8")
    if content_type.startswith("text/csv"):
        return pd.read_csv(io.StringIO(text)), False
    document = json.loads(text)
    if isinstance(document, dict) and "instances" in document:
        document = document["instances"]
    is_single = isinstance(document, dict)
    return pd.DataFrame([document] if is_single else document), is_single


def _answers(model, frame):
    names = list(model["model"].feature_names_in_)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"there is no column {missing[0]}")
    probability = model["model"].predict_proba(frame[names].astype(float))[:, 1]
    is_fraud = probability >= model["threshold"]
    confidence = probability.copy()
    confidence[~is_fraud] = 1 - probability[~is_fraud]
    return pd.DataFrame({"is_fraud": is_fraud, "fraud_probability": probability, "confidence": confidence})


def _refused(sentence):
    from flask import Response

    return Response(json.dumps({"error": sentence}), status=400, mimetype="application/json")
