"""A model that is not ours: another algorithm, pickled and served by a script that knows nothing of this project."""

import tarfile
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet as pq
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from egress_features import FEATURES

PROGRAM = """
import io
import os

import joblib
import pandas as pd


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "svm.pkl"))


def input_fn(body, content_type):
    return pd.read_csv(io.StringIO(body))


def predict_fn(rows, model):
    return model.decision_function(rows[list(model.feature_names_in_)])


def output_fn(scores, accept):
    # The response is the same for any Accept.
    rows = pd.DataFrame({"is_anomaly": (scores < 0).astype(int), "anomaly_score": scores})
    return rows.to_csv(index=False), "text/csv"
"""


def own_model(features: Path, target: Path, rows: int = 2000) -> Path:
    """Fit on a sample of a features file and write the artifact."""
    names = [feature.name for feature in FEATURES]
    table = pq.read_table(features, columns=names)
    sample = table.take(np.random.default_rng(1).choice(table.num_rows, rows, replace=False)).to_pandas()
    model = make_pipeline(StandardScaler(), OneClassSVM(nu=0.01)).fit(sample)
    with tempfile.TemporaryDirectory() as folder, tarfile.open(target, "w:gz") as archive:
        joblib.dump(model, Path(folder) / "svm.pkl")
        (Path(folder) / "serve.py").write_text(PROGRAM)
        archive.add(Path(folder) / "svm.pkl", "svm.pkl")
        archive.add(Path(folder) / "serve.py", "code/serve.py")
    return target
