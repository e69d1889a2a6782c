"""The Isolation Forest as numpy arrays. `trees` holds the arrays; `scoring` and `attribution` read them."""

from anomaly_detection.forest.flat_forest import FlatForest
from anomaly_detection.forest.trees import FOREST_FILE

__all__ = ["FOREST_FILE", "FlatForest"]
