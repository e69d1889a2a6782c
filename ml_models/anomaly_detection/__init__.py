"""Runs inside the SageMaker scikit-learn container: trains the Isolation Forest and serves it."""

__version__ = "0.1.0"
