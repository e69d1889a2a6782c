"""One trained model for the tests of this room."""

from pathlib import Path

import pytest

from tests.support.models import matrix, run_training_script, write_part


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_part(folder / "train" / "a.parquet", matrix(2000))
    done = run_training_script(folder / "train", folder / "model", "--n_estimators", "50")
    assert done.returncode == 0, done.stderr
    return folder / "model"
