"""Trains a fraud classifier as a SageMaker training job does, or by hand; the artifact brings program and baseline.

python train.py --train transactions.csv --model-dir model
tar -czf fraud.tar.gz -C model .
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import train_test_split

from anomaly_detection.training.baseline import describe_table

TARGET, ANSWER = "target", "fraud_probability"


def train(frame: pd.DataFrame, model_dir: Path) -> dict[str, float]:
    """Fit, choose the threshold, and write model, program and baseline; return the metrics on held-out rows."""
    features, target = frame.drop(columns=TARGET), frame[TARGET]
    fitted, held_out, fitted_target, held_out_target = train_test_split(
        features, target, test_size=0.25, random_state=0, stratify=target
    )
    model = HistGradientBoostingClassifier(random_state=0).fit(fitted, fitted_target)
    probability = model.predict_proba(held_out)[:, 1]
    threshold = _best_threshold(held_out_target, probability)
    model_dir.mkdir(parents=True, exist_ok=True)
    joblib.dump({"model": model, "threshold": threshold}, model_dir / "model.joblib")
    # Of rows that the model was not fitted on: on the others it is surer than it will ever be.
    baseline = describe_table(held_out.assign(**{ANSWER: probability}), outputs=[ANSWER])
    (model_dir / "baseline.json").write_text(json.dumps(baseline))
    (model_dir / "code").mkdir(exist_ok=True)
    shutil.copy(Path(__file__).with_name("serve.py"), model_dir / "code" / "serve.py")
    return {
        "rows": float(len(frame)),
        "auroc": float(roc_auc_score(held_out_target, probability)),
        "average_precision": float(average_precision_score(held_out_target, probability)),
        "threshold": threshold,
    }


def _best_threshold(target: pd.Series, probability) -> float:
    """Return the probability with the best F1 score."""
    precision, recall, thresholds = precision_recall_curve(target, probability)
    f1 = 2 * precision * recall / (precision + recall + 1e-12)
    return float(thresholds[f1[:-1].argmax()])


def main() -> None:
    """Read one CSV, or all of a channel, train, and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"))
    given, _ = parser.parse_known_args()
    source, model_dir = Path(given.train), Path(given.model_dir)
    paths = sorted(source.glob("*.csv")) if source.is_dir() else [source]
    print(json.dumps(train(pd.concat([pd.read_csv(path) for path in paths]), model_dir)))


if __name__ == "__main__":
    main()
