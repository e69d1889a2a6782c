"""The alerts on known bills are those of the commit before the structure changed (9d9d187): ids, hours, dollars.

A change of the decision changes them on purpose. Then write the file again and describe the change in the commit.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.incidents.cases import generated_case, real_case
from benchmarks.incidents.truth import Case
from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.scoring import score
from egress_sentinel.pipeline.time_range import split
from egress_sentinel.pipeline.training import train
from tests.support.sample_data import sample

pytestmark = pytest.mark.slow

KNOWN = json.loads(Path(__file__).with_name("alerts_of_known_bills.json").read_text(encoding="utf-8"))


def alerts_on(files: Any, folder: Path, train_until: Any = None) -> list[dict[str, Any]]:
    features, model = folder / "features.parquet", folder / "model.tar.gz"
    summary = build_features(files, features)
    times = split(summary.start_hour_utc, summary.end_hour_utc, train_until)
    train(features, model, until=times.until)
    (folder / "out").mkdir()
    found: Any = score(features, folder / "out", model_tar=model, start=times.until, end=times.end).alerts
    return list(found)


def check(name: str, found: list[dict[str, Any]]) -> None:
    known = KNOWN[name]
    assert [alert["alert_id"] for alert in found] == [alert["alert_id"] for alert in known]
    for alert, expected in zip(found, known, strict=True):
        assert {field: alert[field] for field in expected} == {
            field: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for field, value in expected.items()
        }


def of_case(case: Case, folder: Path) -> list[dict[str, Any]]:
    return alerts_on(case.exports, folder, case.start + timedelta(hours=case.train_hours))


def test_the_demo(tmp_path: Path) -> None:
    bill = write_demo_bill(tmp_path / "bill", seed=7)
    check("demo", alerts_on(bill.files, tmp_path, bill.score_from))


def test_the_real_sample(tmp_path: Path) -> None:
    check("sample", alerts_on(sorted(sample("cur_legacy").glob("*.parquet")), tmp_path))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_generated_bill(seed: int, tmp_path: Path) -> None:
    check(f"generated-{seed}", of_case(generated_case(seed, tmp_path), tmp_path))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_real_bill_with_injected_incidents(seed: int, tmp_path: Path) -> None:
    check(f"real-{seed}", of_case(real_case(seed, tmp_path, sample("cur_legacy")), tmp_path))
