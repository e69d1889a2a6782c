"""The sample of batch scoring, which ships with the repository."""

import csv
from pathlib import Path

import pytest

from egress_features import FEATURES
from egress_sentinel.demo.sample import write_sample
from tests.support.terraform import ROOT

SAMPLE = ROOT / "terraform" / "examples" / "batch" / "sample.csv"


@pytest.mark.slow
def test_the_script_writes_the_sample_that_ships(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample.csv")
    assert (tmp_path / "sample.csv").read_bytes() == SAMPLE.read_bytes()


def test_the_sample_is_small_and_has_the_models_features() -> None:
    with SAMPLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 24
    assert SAMPLE.stat().st_size < 20_000
    assert {feature.name for feature in FEATURES} <= rows[0].keys()
