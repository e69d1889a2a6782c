"""The benchmark of incidents: its generator is deterministic and true to its word, its scorer knows good from bad."""

import ast
import hashlib
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.incidents import cases, traffic
from benchmarks.incidents.alert import Alert, above
from benchmarks.incidents.cases import generated_case
from benchmarks.incidents.score import score, total
from benchmarks.incidents.truth import Case, Incident, Ordinary

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ("bill", "traffic", "injection", "ordinary", "truth", "cases")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return generated_case(3, tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("module", GENERATOR)
def test_the_generator_knows_nothing_of_the_product(module: str) -> None:
    tree = ast.parse((ROOT / "benchmarks" / "incidents" / f"{module}.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"anomaly_detection", "anomaly_detector", "egress_features", "egress_sentinel"}


def test_a_seed_gives_the_same_bytes_in_any_process(generated: Case, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from benchmarks.incidents.cases import generated_case; "
        "generated_case(3, Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    for file in generated.exports:
        again = tmp_path / file.parent.name / file.name
        assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(file.read_bytes()).digest()


def test_truth_is_what_was_put_into_the_lines(generated: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed without its incidents is a bill that is smaller by the GB that the truth tells."""
    lines = pd.concat([pd.read_parquet(file) for file in generated.exports])
    monkeypatch.setattr(cases, "inject", _nothing)
    bare_case = generated_case(3, tmp_path)
    bare = pd.concat([pd.read_parquet(file) for file in bare_case.exports])
    for incident in generated.incidents:
        mine = [
            table[
                table["line_item_resource_id"].isin(incident.resources)
                & table["line_item_usage_type"].isin(incident.usage_types)
            ]["line_item_usage_amount"].sum()
            for table in (lines, bare)
        ]
        assert mine[0] - mine[1] == pytest.approx(incident.gb.sum(), rel=1e-6)
    usage = lines[lines["line_item_line_item_type"] == "Usage"]
    assert 0 < sum(i.usd.sum() for i in generated.incidents) < usage["line_item_unblended_cost"].sum()


def _nothing(*_: object) -> None:
    raise LookupError


def test_a_bill_has_every_kind_and_is_sparse(generated: Case) -> None:
    assert len({incident.kind for incident in generated.incidents}) >= 8
    assert len({event.kind for event in generated.ordinary}) >= 8
    lines = pd.concat([pd.read_parquet(file) for file in generated.exports])
    keys = ["line_item_resource_id", "line_item_usage_type", "line_item_operation"]
    hours = lines.groupby(keys)["line_item_usage_start_date"].nunique()
    assert (hours < 0.01 * generated.hours).mean() > 0.5
    assert all(i.start >= traffic.TRAINING_DAYS * 24 for i in generated.incidents)


def _incident(number: int, start: int, usd_an_hour: float, resource: str) -> Incident:
    usd = np.zeros(1000)
    usd[start : start + 20] = usd_an_hour
    return Incident(
        number, "hot_link", "small", "1", ("eu-west-1",), (resource,), ("X",), start, start + 19, usd, usd * 10, 2.0
    )


CASE = Case(
    name="by hand",
    exports=(),
    start=datetime(2026, 1, 1, tzinfo=UTC),
    hours=1000,
    train_hours=1000 - 730,
    accounts=("1",),
    arrival=np.arange(1000) + 8,
    incidents=(_incident(1, 300, 1.0, "a"), _incident(2, 500, 3.0, "b"), _incident(3, 700, 0.01, "faint")),
    ordinary=(
        Ordinary("planned migration", "1", ("eu-west-1",), ("m",), 600, 620, is_announced=True),
        Ordinary("split resource", "1", ("eu-west-1",), ("s",), 650, 700),
    ),
)


def _alert(hour: int, *resources: str, rank: float = 1.0) -> Alert:
    return Alert("1", ("eu-west-1",), resources, ("X",), hour, hour, ((hour, rank),), "hot_link")


PERFECT = [_alert(300, "a"), _alert(502, "b")]


def test_perfect_alerts_score_one() -> None:
    result = score(CASE, PERFECT)
    assert (result.f1, result.precision, result.recall, result.in_time) == (1, 1, 1, 1)
    assert result.false == 0
    assert result.delays == [8, 10]
    assert result.delays_after_arrival == [0, 2]
    assert (result.right_resource, result.right_class, result.right_kind) == (2, 2, 2)


def test_silence_scores_nothing() -> None:
    result = score(CASE, [])
    assert (result.f1, result.recall, result.precision, result.in_time) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        (_alert(400, "z"), "nothing"),
        (_alert(660, "s"), "split resource"),
        (_alert(305, "a"), "repeat"),
        (_alert(299, "a"), "nothing"),  # told before it was there: not about it
        (_alert(320 + 25, "a"), "nothing"),
        (replace(_alert(305, "a"), account="2"), "nothing"),
        (replace(_alert(305, "a"), regions=("us-east-1",)), "nothing"),
    ],
)
def test_one_false_alert_costs_its_share(alert: Alert, reason: str) -> None:
    result = score(CASE, [*PERFECT, alert])
    assert result.f1 == pytest.approx(4 / 5)
    assert result.false_by == {reason: 1}
    assert result.false_per_account_month == pytest.approx(730.5 / 730, rel=1e-3)


def test_planned_and_faint_ones_cost_nothing() -> None:
    result = score(CASE, [*PERFECT, _alert(605, "m"), _alert(705, "faint")])
    assert result.f1 == 1


def test_late_alerts_find_but_are_not_in_time() -> None:
    result = score(CASE, [_alert(300, "a"), _alert(515, "b")])
    assert result.f1 == 1
    assert result.in_time == pytest.approx(20 / 80)


def test_a_threshold_on_the_rank_takes_its_time() -> None:
    slow = replace(_alert(300, "a"), course=((300, 1.0), (304, 5.0), (309, 9.0)))
    assert [a.detected for a in above([slow], 5.0)] == [304]
    assert above([slow], 10.0) == []


def test_scores_add_up() -> None:
    both = total([score(CASE, PERFECT), score(CASE, [])])
    assert both.recall == 0.5
    assert both.by == {("hot_link", "small"): [4, 2]}
