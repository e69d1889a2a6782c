"""Causes that many resources share, large incidents, other customers, bills of days, and the two rules."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.incidents import crowds, customers, traffic
from benchmarks.incidents.alert import ALL, Alert
from benchmarks.incidents.cases import daily_case, generated_case
from benchmarks.incidents.customers import CUSTOMERS, customer_case
from benchmarks.incidents.detectors import rules
from benchmarks.incidents.evaluation import AS_IT_COMES
from benchmarks.incidents.measuring import measured_as_it_comes
from benchmarks.incidents.panel import Panel
from benchmarks.incidents.report import text_tables
from benchmarks.incidents.score import f1_interval, score, total
from benchmarks.incidents.seeds import SEEDS
from benchmarks.incidents.truth import Case, Incident
from tests.benchmarks.test_incidents import CASE, PERFECT

KIND = "EU-DataTransfer-Out-Bytes"


def _crowd(number: int, start: int, usd_an_hour: float, resources: tuple[str, ...], hours: int = 20) -> Incident:
    usd = np.zeros(1000)
    usd[start : start + hours] = usd_an_hour
    places = ("1", "2"), ("eu-west-1", "us-east-1")
    return Incident(number, "fleet", "large", *places, resources, (KIND,), start, start + hours - 1, usd, usd * 10, 2.0)


def _about(hour: int, *named: tuple[str, str, str, str]) -> Alert:
    accounts, regions, resources, usage_types = zip(*named, strict=True)
    return Alert(accounts, regions, resources, usage_types, hour, hour, ((hour, 1.0),))


CROWDS = replace(
    CASE, accounts=("1", "2"), incidents=(_crowd(1, 300, 30.0, ("a", "b", "c")), _crowd(2, 500, 4.0, ("x", "y")))
)
OF_THE_FIRST = ("1", "eu-west-1", "b", KIND)


@pytest.mark.parametrize(
    "named",
    [
        OF_THE_FIRST,
        ("2", "us-east-1", ALL, "DataTransfer-Out-Bytes"),  # the account's level, in the words of another region
        ("1", ALL, ALL, KIND),
        (ALL, ALL, ALL, ALL),
    ],
)
def test_a_resource_or_a_level_finds_a_crowd(named: tuple[str, str, str, str]) -> None:
    result = score(CROWDS, [_about(302, named)])
    assert (result.found, result.false, result.single) == (1, 0, 1)


@pytest.mark.parametrize(
    "named",
    [
        ("3", "eu-west-1", ALL, KIND),
        ("1", "sa-east-1", ALL, KIND),
        ("1", "eu-west-1", ALL, "EU-NatGateway-Bytes"),
        ("1", "eu-west-1", "z", KIND),
    ],
)
def test_another_account_region_class_or_resource_does_not(named: tuple[str, str, str, str]) -> None:
    result = score(CROWDS, [_about(302, named)])
    assert (result.found, result.false) == (0, 1)


def test_every_further_alert_about_a_cause_is_an_extra_one() -> None:
    second = _about(502, ("1", "eu-west-1", "x", KIND))
    result = score(CROWDS, [_about(302 + n, ("1", "eu-west-1", one, KIND)) for n, one in enumerate("abc")] + [second])
    assert (result.found, result.false, result.repeats) == (2, 2, 2)
    assert result.figures()["one_alert_per_cause"] == 0.5
    assert result.figures()["extra_alerts_per_cause"] == 1


def test_one_alert_for_two_causes_is_not_one_alert_per_cause() -> None:
    at_once = replace(CROWDS, incidents=(CROWDS.incidents[0], replace(CROWDS.incidents[1], start=300, end=319)))
    result = score(at_once, [_about(302, OF_THE_FIRST, ("1", "eu-west-1", "x", KIND))])
    assert (result.found, result.false, result.single) == (2, 0, 0)


def test_a_level_that_two_causes_share_is_that_of_the_last_to_begin() -> None:
    level = ("1", "eu-west-1", ALL, KIND)
    both = replace(CROWDS, incidents=(_crowd(1, 300, 4.0, ("a",), 100), _crowd(2, 350, 4.0, ("x",), 20)))
    result = score(both, [_about(302, level), _about(352, level)])
    assert (result.found, result.false, result.single) == (2, 0, 2)


def test_large_incidents_have_their_delay_and_damage() -> None:
    """$30 an hour for 20 hours, alerted in the fourth hour; bills come eight hours later in this case."""
    result = score(CROWDS, [_about(303, OF_THE_FIRST)])
    figures = result.figures()
    assert figures["large_incidents"] == 1
    assert (figures["large_delay_median"], figures["large_delay_p90"], figures["large_delay_from_usd_median"]) == (
        4,
        4,
        4,
    )
    assert figures["large_delay_after_arrival_median"] == 3
    assert figures["large_before_alert"] == pytest.approx(4 / 20)
    assert figures["large_before_notice"] == pytest.approx(11 / 20)
    assert figures["large_before_delivery"] == pytest.approx(8 / 20)


def test_a_large_incident_that_is_missed_has_no_delay_and_does_all_its_damage() -> None:
    one = score(CROWDS, [_about(303, OF_THE_FIRST)])
    figures = (one + score(CROWDS, [])).figures()
    assert (figures["large_delay_median"], figures["large_delay_p90"]) == (4, None)
    assert figures["large_before_alert"] == pytest.approx(24 / 40)


def test_the_clock_in_dollars_starts_when_the_incident_is_large() -> None:
    ramp = _crowd(1, 300, 1.0, ("a",))
    ramp.usd[310:320] = 25.0
    assert ramp.large_from == 310
    result = score(replace(CROWDS, incidents=(ramp,)), [_about(311, ("1", "eu-west-1", "a", KIND))])
    assert (result.large_delays, result.large_delays_from_usd) == ([12], [2])


def test_an_alert_on_a_bill_of_days_comes_at_the_end_of_the_day() -> None:
    daily = replace(CROWDS, step_hours=24)
    early = _about(288, OF_THE_FIRST)  # the day that begins at hour 288 holds the first hour, 300
    assert score(CROWDS, [early]).found == 0
    result = score(daily, [early])
    assert (result.found, result.large_delays) == (1, [12])


def test_the_interval_is_that_of_the_bills() -> None:
    good, bad = score(CASE, PERFECT), score(CASE, [])
    assert f1_interval([good] * 5) == (1.0, 1.0)
    low, high = f1_interval([good] * 5 + [bad] * 5)
    assert low < total([good] * 5 + [bad] * 5).f1 < high


def test_the_tables_name_delays_and_missed_ones() -> None:
    found = [(CROWDS, {(): [_about(303, OF_THE_FIRST)]}), (CROWDS, {(): []})]
    text = text_tables({"mine": measured_as_it_comes(AS_IT_COMES["Egress Sentinel"], {"crowds": found})})
    assert "4, missed" in text
    assert "as they come, without a budget" in text


def test_no_seed_is_for_two_uses() -> None:
    seeds = [seed for some in SEEDS.values() for seed in some]
    assert len(seeds) == len(set(seeds))


@pytest.mark.parametrize("module", [crowds, customers])
def test_the_new_bills_know_nothing_of_the_product(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.startswith(("egress_", "anomaly_"))]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Case:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "DAYS", 36)
        patch.setattr(traffic, "TRAINING_DAYS", 16)
        patch.setattr(crowds, "ACCOUNT_SIZES", (0.3, 0.5, 1.0, 3.0))
        return crowds.crowd_case(3, tmp_path_factory.mktemp("crowds"))


@pytest.mark.slow
def test_a_crowd_has_every_kind_and_its_members_are_small(crowd: Case) -> None:
    kinds = {incident.kind for incident in crowd.incidents if incident.size != crowds.AT_ONCE}
    assert kinds == set(crowds.KINDS)
    for incident in crowd.incidents:
        if incident.size != crowds.AT_ONCE:
            assert incident.catchable
            assert len(incident.resources) >= 6
            assert incident.start >= crowd.train_hours
    by_kind = {incident.kind: incident for incident in crowd.incidents}
    assert len(by_kind["key_in_many_regions"].regions) >= 6
    assert len(by_kind["many_accounts"].accounts) >= 3
    assert by_kind["key_in_many_regions"].ratio == float("inf")
    assert 0.5 < by_kind["rotating_ids"].ratio < 8


@pytest.mark.slow
def test_two_unrelated_incidents_begin_at_once_in_one_place(crowd: Case) -> None:
    one, other = (incident for incident in crowd.incidents if incident.size == crowds.AT_ONCE)
    assert abs(one.start - other.start) <= 24
    assert (one.accounts, one.regions) == (other.accounts, other.regions)
    assert set(one.resources).isdisjoint(other.resources)


@pytest.mark.slow
def test_the_truth_of_a_crowd_is_in_its_lines(crowd: Case) -> None:
    """While a fleet rises, its traffic is the truth's multiple of the expected traffic."""
    lines = pd.concat([pd.read_parquet(file) for file in crowd.exports])
    lines["hour"] = (lines["line_item_usage_start_date"] - pd.Timestamp(crowd.start)) // pd.Timedelta(hours=1)
    fleet = next(incident for incident in crowd.incidents if incident.kind == "fleet")
    mine = lines[lines["line_item_resource_id"].isin(fleet.resources)]
    mine = mine[mine["line_item_usage_type"].isin(fleet.usage_types)]
    during = mine["hour"].between(fleet.start, fleet.end)
    paid = mine.loc[during, "line_item_unblended_cost"].sum()
    assert 0.4 * paid < fleet.usd.sum() < paid


@pytest.mark.slow
def test_hard_negatives_of_crowds_grow_by_a_fifth_or_not_at_all(crowd: Case) -> None:
    lines = pd.concat([pd.read_parquet(file) for file in crowd.exports])
    lines["hour"] = (lines["line_item_usage_start_date"] - pd.Timestamp(crowd.start)) // pd.Timedelta(hours=1)
    out = lines[lines["line_item_usage_type"].str.contains("Out-Bytes")]
    shares = {}
    for kind in ("scaling out by 20 %", "ids begin to rotate"):
        event = next(event for event in crowd.ordinary if event.kind == kind)
        mine = out[out["line_item_resource_id"].isin(event.resources)]
        first = mine.groupby("line_item_resource_id")["hour"].transform("min")
        around = mine["hour"].between(event.start, event.start + 23)
        before = mine["hour"].between(event.start - 24, event.start - 1)
        gb = mine["line_item_usage_amount"]
        old = gb[before & (first < event.start)].sum()
        shares[kind] = (gb[around & (first >= event.start)].sum() / old, gb[around & (first < event.start)].sum() / old)
    new, kept = shares["scaling out by 20 %"]
    assert new / kept == pytest.approx(0.2, abs=0.03)
    new, kept = shares["ids begin to rotate"]
    assert (new, kept) == (pytest.approx(1.0, abs=0.4), 0)
    rotation = next(event for event in crowd.ordinary if event.kind == "ordinary rotation of ids")
    lives = (
        out[out["line_item_resource_id"].isin(rotation.resources)].groupby("line_item_resource_id")["hour"].nunique()
    )
    assert lives.max() == crowds.LIFE_HOURS


def test_a_bill_of_days_has_the_money_and_the_truth_of_the_hourly_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "DAYS", 30)
    monkeypatch.setattr(traffic, "TRAINING_DAYS", 18)
    monkeypatch.setattr(traffic, "ACCOUNT_SIZES", (3.0,))
    hourly, daily = generated_case(4, tmp_path), daily_case(4, tmp_path)
    bills = [pd.concat([pd.read_parquet(file) for file in case.exports]) for case in (hourly, daily)]
    sums = [bill.groupby("line_item_resource_id")["line_item_unblended_cost"].sum() for bill in bills]
    pd.testing.assert_series_equal(*sums, rtol=1e-9)
    assert (bills[1]["line_item_usage_end_date"] - bills[1]["line_item_usage_start_date"]).unique() == pd.Timedelta(
        days=1
    )
    assert len(bills[1]) < len(bills[0]) / 10
    for one, other in zip(hourly.incidents, daily.incidents, strict=True):
        assert (one.start, one.resources) == (other.start, other.resources)
        np.testing.assert_array_equal(one.usd, other.usd)
    assert daily.step_hours == 24
    assert (daily.arrival >= hourly.arrival).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CUSTOMERS)
def test_customers_are_what_they_are_called(kind: str, tmp_path: Path) -> None:
    case = customer_case(kind, 2, tmp_path)
    lines = pd.concat([pd.read_parquet(file) for file in case.exports])
    lines["week"] = (lines["line_item_usage_start_date"] - pd.Timestamp(case.start)) // pd.Timedelta(weeks=1)
    resources = {resource for incident in case.incidents for resource in incident.resources}
    calm = lines[~lines["line_item_resource_id"].isin(resources)]
    weeks = calm.groupby("week")["line_item_usage_amount"].sum()
    assert len(case.incidents) >= 8
    assert case.train_hours == (14 if kind == "young" else 35) * 24
    if kind == "growing":
        assert weeks.loc[7] > 1.5 * weeks.loc[0]
    if kind == "quiet":
        assert weeks.max() < 2000
    if kind == "expensive":
        assert sum(incident.large_from is not None for incident in case.incidents) >= 5


def _panel(usd: dict[tuple[str, str], np.ndarray], price: float = 0.09) -> Panel:
    """A panel of internet traffic by service and resource, in one account; the expectation is the training mean."""
    names = list(usd)
    matrix = np.stack([usd[name] for name in names])
    train = 20 * 24
    series = pd.DataFrame(
        {
            "account_id": "1",
            "region": "eu-west-1",
            "service": [service for service, _ in names],
            "egress_class": "internet",
            "resource_id": [resource for _, resource in names],
            "usage_type": KIND,
        }
    )
    number, hour = (one.ravel() for one in np.indices(matrix.shape))
    expected = np.repeat(matrix[:, :train].mean(axis=1), matrix.shape[1])
    rows = pd.DataFrame(
        {"series": number, "hour": hour, "expected_usage_gb": expected / price, "expected_cost_usd": expected}
    )
    return Panel(0, train, series, matrix / price, matrix, rows, [])


def _calm(level: float, seed: int) -> np.ndarray:
    return level * np.random.default_rng(seed).lognormal(0, 0.05, 40 * 24)


def test_the_fixed_factor_sees_what_is_several_times_its_habit_and_nothing_else() -> None:
    rising, calm = _calm(1.0, 1), _calm(1.0, 2)
    rising[700:760] *= 5
    alerts = rules.fixed_factor(_panel({("AmazonEC2", "rising"): rising, ("AmazonEC2", "calm"): calm}))[()]
    assert [alert.resources for alert in alerts] == [("rising",)]
    assert 700 < alerts[0].detected < 740


@pytest.mark.parametrize(("times", "count"), [(1.0, 0), (3.5, 1)])
def test_the_fixed_factor_measures_against_the_largest_that_was_before(times: float, count: int) -> None:
    rising = _calm(1.0, 1)
    rising[300:360] += 5.0
    rising[700:760] += 5.0 * times
    assert len(rules.fixed_factor(_panel({("AmazonEC2", "rising"): rising}))[()]) == count


def test_the_imitation_names_the_service_and_no_resource() -> None:
    rising, calm = _calm(2.0, 1), _calm(2.0, 2)
    rising[700:790] *= 5
    found = rules.cost_anomaly_detection(_panel({("AmazonEC2", "rising"): rising, ("AmazonS3", "calm"): calm}))
    alerts = found[rules.AS_IT_COMES["imitation of AWS Cost Anomaly Detection"]]
    assert [alert.named for alert in alerts] == [[("1", "eu-west-1", ALL, KIND)]]
    assert 700 < alerts[0].detected <= 724
    assert (alerts[0].detected + 1) % rules.RUN_EVERY_HOURS == 0


def test_offsetting_changes_and_ten_days_of_history_silence_the_imitation() -> None:
    rising, falling = _calm(2.0, 1), _calm(10.0, 2)
    rising[700:790] += 8.0
    falling[700:790] -= 8.0
    new = np.zeros(40 * 24)
    new[600:] = 20.0
    both = rules.cost_anomaly_detection(_panel({("AmazonEC2", "rising"): rising, ("AmazonEC2", "falling"): falling}))
    young = rules.cost_anomaly_detection(_panel({("AmazonLightsail", "new"): new}))
    setting = rules.AS_IT_COMES["imitation of AWS Cost Anomaly Detection"]
    assert (both[setting], young[setting]) == ([], [])
