"""What SageMaker installs the source bundle, and the code/ of an artifact, with: anomaly_detection alone."""

from setuptools import find_packages, setup

setup(
    name="egress-sentinel-anomaly-detection",
    version="0.1.0",
    packages=find_packages(include=["anomaly_detection", "anomaly_detection.*"]),
    python_requires=">=3.11",
)
