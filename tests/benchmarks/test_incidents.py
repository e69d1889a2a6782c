"""The benchmark of incidents: its generator is deterministic and true to its word, its scorer knows good from bad."""

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.incidents import cases, feedback, frontier, real, report, traffic
from benchmarks.incidents.alert import Alert, above
from benchmarks.incidents.cases import generated_case, real_case
from benchmarks.incidents.detectors import ours, rivals
from benchmarks.incidents.evaluation import NO_FOREST, NO_HABIT, OURS, WARM_UP_HOURS, alerts_by_setting, apply, tuned
from benchmarks.incidents.measuring import measured
from benchmarks.incidents.panel import panel_of
from benchmarks.incidents.score import explain, score, total
from benchmarks.incidents.truth import Case, Incident, Ordinary
from egress_alerts.policy import Policy
from egress_features.sources import read_export
from tests.support.sample_data import required_module, sample

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return generated_case(3, tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("module", cases.GENERATOR)
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
    """Without its incidents, the bill of a seed is smaller by exactly the GB in the truth."""
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
        number, "hot_link", "small", ("1",), ("eu-west-1",), (resource,), ("X",), start, start + 19, usd, usd * 10, 2.0
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
    count = len(resources)
    places = ("1",) * count, ("eu-west-1",) * count
    return Alert(*places, resources, ("X",) * count, hour, hour, ((hour, rank),), "hot_link")


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
        (_alert(299, "a"), "nothing"),  # before the incident's start, so about something else
        (_alert(320 + 25, "a"), "nothing"),
        (replace(_alert(305, "a"), accounts=("2",)), "nothing"),
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


def test_the_budget_is_kept_on_each_base_traffic() -> None:
    """All alerts together find everything, with one false alert a month over both and two on the second alone."""
    other = replace(CASE, name="real 1")
    both = [_alert(300, "a", rank=9), _alert(502, "b", rank=1)]
    found = [(CASE, {(): both}), (other, {(): [*both, _alert(400, "y", rank=1), _alert(450, "z", rank=1)]})]
    results = {budget: total(apply(choice, found)) for budget, choice in tuned(found, (1.5, 3.0)).items()}
    assert (results[1.5].found, results[1.5].false) == (2, 0)
    assert (results[3.0].found, results[3.0].false) == (4, 2)


def test_misses_and_false_alerts_are_named() -> None:
    lines = explain(CASE, [_alert(304, "a"), _alert(400, "z"), _alert(605, "m")])
    assert [line.split("  ")[1].split(":")[0] for line in lines] == [
        "found after 4 h",
        "missed",
        "missed (not catchable)",
        "false",
        "dropped, planned",
    ]


def test_bills_come_as_legacy_cur_and_as_cur_2_0(generated: Case, small: Case) -> None:
    kinds = [{read_export(file).kind for file in case.exports} for case in (generated, small)]
    assert kinds == [{"CUR 2.0"}, {"legacy CUR"}]


def test_scores_add_up() -> None:
    both = total([score(CASE, PERFECT), score(CASE, [])])
    assert both.recall == 0.5
    assert both.by == {("hot_link", "small"): [4, 2]}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """One account over a month."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "DAYS", 30)
        patch.setattr(traffic, "TRAINING_DAYS", 18)
        patch.setattr(traffic, "ACCOUNT_SIZES", (3.0,))
        yield generated_case(4, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_an_alert_record_has_the_hours_of_its_incident(small: Case, cache: Path) -> None:
    records = ours.alert_records(small, cache)
    assert records
    for record in records:
        assert len({hour for hour, _, _ in record["hours"]}) == record["anomalous_hours"]


@pytest.mark.slow
def test_our_alerts_rise_by_the_dollars_of_their_hours(small: Case, cache: Path) -> None:
    for alert, record in zip(ours.alerts(small, cache), ours.alert_records(small, cache), strict=True):
        ranks = [rank for _, rank in alert.course]
        assert ranks == sorted(ranks)
        assert small.train_hours <= alert.detected
        weight = min(len({hour for hour, _, _ in record["hours"]}) / Policy.lasting_hours, 1)
        assert alert.rank >= weight * sum(usd for _, usd, _ in record["hours"]) - 1e-6


@pytest.mark.slow
def test_verdicts_on_the_first_half_add_no_false_alert_and_lose_no_incident(small: Case, cache: Path) -> None:
    halves = feedback.replayed(small, cache)
    assert halves["without"].incidents == halves["with"].incidents
    assert halves["with"].false <= halves["without"].false
    assert halves["with"].found >= halves["without"].found


@pytest.mark.slow
def test_the_truth_answers_alerts(small: Case, cache: Path) -> None:
    records = ours.alert_records(small, cache)
    verdicts = {verdict["judged_alert_id"]: verdict["verdict"] for verdict in feedback.verdicts_of(small, records)}
    resources = {resource for incident in small.incidents for resource in incident.resources}
    for record in records:
        if not resources & {row["resource_id"] for row in record["contributors"]}:
            assert verdicts[record["alert_id"]] in {"false", "planned"}
    assert "true" in verdicts.values()


@pytest.mark.slow
def test_every_detector_is_measured_and_the_tables_name_it(small: Case, cache: Path, tmp_path: Path) -> None:
    names = (OURS, NO_FOREST, NO_HABIT, "tutorial forest", "robust z", "mean x (1 + t)")
    results = {}
    for name in names:
        found = [(small, alerts_by_setting(name, small, cache))]
        results[name] = measured(found, {"generated": found})
    for result in results.values():
        assert result["generated"]["incidents"] == sum(incident.catchable for incident in small.incidents)
        assert result["generated"]["false_per_account_month"] <= 2
    assert all(name in report.text_tables(results) for name in names)
    required_module("matplotlib")
    frontier.draw(results, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
    for result in results.values():
        chosen = {name: result["generated"][name] for name in ("f1", "recall")}
        assert any({name: point[name] for name in chosen} == chosen for point in result["generated"]["curve"])
    page, source = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"before {report.BEGIN} old {report.END} after")
    source.write_text(json.dumps({"detectors": results}))
    for _ in range(2):
        report.main([str(source), str(page)])
    text = page.read_text()
    assert text.startswith("before")
    assert text.endswith("after")
    assert "| robust z |" in text
    assert "old" not in text


@pytest.mark.parametrize("name", ["STL", "ECOD", "HBOS", "random cut forest"])
def test_rivals_of_other_libraries_see_a_flood(
    name: str, small: Case, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    required_module({"STL": "statsmodels", "random cut forest": "rrcf"}.get(name, "pyod"))
    monkeypatch.setattr(rivals, "TREES", 2)
    panel = panel_of(small, ours.features_of(small, cache))
    busiest = int(panel.usd.sum(axis=1).argmax())
    only = replace(
        panel,
        gb=panel.gb[[busiest]].copy(),
        usd=panel.usd[[busiest]].copy(),
        rows=panel.rows[panel.rows["series"] == busiest].assign(series=0),
    )
    flood = small.train_hours + 100
    only.gb[0, flood : flood + 6] *= 30
    only.usd[0, flood : flood + 6] *= 30
    rows = only.rows["hour"].between(flood, flood + 5)
    only.rows.loc[rows, only.features] += 5
    points, excess = rivals.RIVALS[name](only)
    usual = points[0, WARM_UP_HOURS : small.train_hours]
    assert points[0, flood : flood + 6].max() > np.quantile(usual[np.isfinite(usual)], 0.99)
    assert points.shape == excess.shape == only.gb.shape


def test_real_series_keep_their_hours_and_get_other_names(tmp_path: Path) -> None:
    bills = sample("cur_legacy")
    series = real.read_series(bills)
    bill, _ = real.real_bill(series, 5)
    assert len(bill.flows) == len(series)
    before = sorted((series.to_numpy() > 0).sum(axis=1))
    assert sorted(int((flow.gb > 0).sum()) for flow in bill.flows) == before
    assert not {flow.resource for flow in bill.flows} & set(series.index.get_level_values("line_item_resource_id")) - {
        ""
    }
    case = real_case(5, tmp_path, bills)
    assert len(case.incidents) >= 3
    assert all(incident.usd.sum() > 0 for incident in case.incidents)
