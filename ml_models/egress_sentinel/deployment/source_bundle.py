"""Writes the source bundle of a SageMaker training job: setup.py and anomaly_detection, the same bytes each time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from anomaly_detection.artifact import copy_code, pack


def write_source_bundle(bundle: Path) -> None:
    """Write sourcedir.tar.gz, for the hyperparameter `sagemaker_submit_directory`.

    Parameters
    ----------
    bundle : Path
        The path of the bundle. Written atomically.
    """
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        code = Path(temporary)
        copy_code(code)
        pack(code, bundle)


if __name__ == "__main__":
    write_source_bundle(Path(sys.argv[1]))
    print(sys.argv[1])
