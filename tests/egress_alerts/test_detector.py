"""A run of the detector: it stores and notifies each change once, with any windows, retries and restatements."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.planned import PlannedEvent
from egress_alerts.policy import Policy
from egress_alerts.series import iso_hour
from egress_alerts.verdicts import build_verdict
from tests.support.detection import FIRST, Detection, RatioScorer, Row, hot, row

# 9 hours of 75 GB above expected: $60.75, and $121.50 a day, as if it were 12 hours.
DAY = [row(hour, gb=1.0) for hour in range(24)] + hot(2, 9, resource_id="media")


def planned(first: int, last: int, max_gb: float) -> PlannedEvent:
    return PlannedEvent("the move", FIRST + first, FIRST + last, max_gb=max_gb)


def test_a_new_incident_is_stored_and_notified() -> None:
    world = Detection()
    outcome = world.run(DAY, 0, 24)
    alert, (stored,) = world.alert, world.store.all()
    assert outcome.rows_scored == 33
    assert (outcome.new_alerts, outcome.updated_alerts, outcome.suppressed) == ([alert["alert_id"]], [], {})
    assert outcome.usd_per_day_at_stake == pytest.approx(9 * 75 * 0.09 / 12 * 24)
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == (iso_hour(FIRST + 2), iso_hour(FIRST + 10))
    assert (alert["resource_id"], alert["severity"], alert["suppressed_by"]) == ("media", "medium", "")
    assert (alert["model_id"], alert["p_value"]) == ("0123456789abcdef", None)
    assert alert["reasons"][1] == (
        "main factors for the model: the rise over the usual GB: 16 (75%); hour_of_day: 2 (25%)"
    )
    assert len(alert["reasons"]) == 2
    assert stored.version == 1
    assert stored.notified == ("medium", "open", FIRST + 24, pytest.approx(60.75), ("",))
    (message,) = world.outbox.messages
    assert message.startswith("MEDIUM egress: $122 a day in 111122223333 eu-west-1 internet\nMEDIUM   open, $60.75")
    assert not world.store.claimed


def test_an_alert_has_the_name_and_the_tags_of_its_rows_also_when_an_hour_of_another_day_is_the_largest() -> None:
    tagged = {"account_name": "prod-media", "tags": '{"owner":"ann"}'}
    world = Detection()
    world.run([each | tagged for each in DAY], 0, 24)
    assert (world.alert["account_name"], world.alert["tags"]) == ("prod-media", {"owner": "ann"})
    assert (
        "so far, about $121.50 a day at the current rate   prod-media (111122223333), eu-west-1"
        in world.outbox.messages[0]
    )
    world.run(hot(24, 3, 60.0, resource_id="media"), 24, 27)
    assert (world.alert["anomalous_hours"], world.alert["tags"]) == (12, {"owner": "ann"})


def test_the_model_gets_features_alone_and_rows_are_kept_with_their_scores() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    assert world.scorer.columns == {("beyond_habit_log", "ratio", "hour_of_day")}
    kept = world.rows.between(FIRST, FIRST + 24)
    assert kept.num_rows == 33
    assert set(kept["model_id"].to_pylist()) == {"0123456789abcdef"}
    assert sum(kept["is_anomaly"].to_pylist()) == 9
    assert kept["p_value"].null_count == 33


def test_the_model_is_asked_once_for_all_rows_without_features() -> None:
    zeros = {"ratio": 0.0, "hour_of_day": 0.0, "beyond_habit_log": 0.0}
    rows = [
        *hot(0, 3),
        *(row(hour, 5.0, **zeros) for hour in range(3, 20)),
        row(20, 5.0, **zeros | {"hour_of_day": 1.0}),
    ]
    world = Detection()
    world.run(rows, 0, 24)
    assert world.scorer.rows_scored[0] == 3 + 1 + 1
    kept = world.rows.between(FIRST, FIRST + 24).sort_by("hour_utc")
    assert kept["anomaly_score"].to_pylist() == [0.5 - 0.5 * ratio for ratio in [16.0] * 3 + [0.0] * 18]


def test_without_the_model_other_hours_are_incidents() -> None:
    """Two bursts are beyond habit alike. The model has often seen the one that it scores higher."""
    bursts = [*hot(0, 9, ratio=3.0), *hot(0, 9, resource_id="other", ratio=16.0)]
    calibration = {"anomaly_score": [-7.5, -1.0, 0.5], "p_value": [0.001, 0.2, 1.0], "tail_scale": 1.0}
    found = []
    for scorer in (RatioScorer(calibration), RatioScorer(calibration | {"rows": 0})):
        world = Detection(scorer=scorer)
        world.run(bursts, 0, 24)
        found.append({name["resource_id"] for alert in world.alerts for name in alert["contributors"]})
    assert found == [{"other"}, {"media-prod", "other"}]


def test_a_calibrated_model_decides_by_p_value() -> None:
    def alerts(p_value: float) -> list[float | None]:
        world = Detection(
            scorer=RatioScorer({"anomaly_score": [-20.0, 0.5], "p_value": [p_value] * 2, "tail_scale": 1})
        )
        world.run(DAY, 0, 24)
        return [alert["p_value"] for alert in world.alerts]

    assert alerts(0.0499) == [pytest.approx(0.0499)]
    assert alerts(0.0501) == []


def test_each_alert_of_a_window_has_the_model_s_reason_though_its_worst_hour_came_before() -> None:
    rows = [
        row(0, 80.0, egress_class="internet"),
        row(1, 80.0, resource_id="backup", egress_class="nat_gateway"),
        row(2, 20.0, resource_id="backup", egress_class="nat_gateway"),
        row(2, 80.0, egress_class="internet"),
    ]
    world = Detection(Policy(lasting_hours=2))
    for hour in range(3):
        world.run(rows, hour, hour + 1)
    assert len(world.alerts) == 2
    assert all("for the model" in " ".join(alert["reasons"]) for alert in world.alerts)


def test_a_second_run_changes_nothing() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    before = [dict(alert) for alert in world.alerts]
    outcome = world.run(DAY, 0, 24)
    assert (outcome.new_alerts, outcome.updated_alerts, outcome.usd_per_day_at_stake) == ([], [], 0)
    assert world.alerts == before
    assert world.store.all()[0].version == 1
    assert len(world.outbox.messages) == 1
    assert world.rows.between(FIRST, FIRST + 24).num_rows == 33


bills = st.lists(
    st.builds(
        row,
        st.integers(0, 35),
        st.sampled_from([1.0, 20.0, 80.0, 400.0]),
        resource_id=st.sampled_from(["media", "backup"]),
        egress_class=st.sampled_from(["internet", "nat_gateway"]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda r: (r["hour_utc"], r["resource_id"], r["egress_class"]),
)


@settings(max_examples=10, deadline=None)
@given(bills, st.lists(st.integers(1, 35), max_size=5))
def test_windows_do_not_matter(rows: list[Row], cuts: list[int]) -> None:
    found = []
    quiet = [row(hour, gb=1.0, resource_id="quiet") for hour in range(36)]
    for edges in ([0, 36], [0, 24, 36], [*range(37)], [0, *sorted(set(cuts)), 36]):
        world = Detection(Policy(lasting_hours=2))
        for start, end in pairwise(edges):
            world.run([*rows, *quiet], start, end)
        found.append(sorted(world.alerts, key=lambda alert: alert["alert_id"]))
    assert found[0] == found[1] == found[2] == found[3]


def test_a_restated_hour_replaces_what_was_counted() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    world.store.all()[0].claimed_until = 77
    restated = [r for r in DAY if r != row(5, resource_id="media")] + [row(5, gb=90.0, resource_id="media")]
    outcome = world.run(restated, 0, 24)
    assert (outcome.new_alerts, outcome.updated_alerts) == ([], [world.alert["alert_id"]])
    assert outcome.usd_per_day_at_stake == world.alert["current_usd_per_day"] > 121.5
    assert world.alert["usage_gb"] == 8 * 80 + 90
    (stored,) = world.store.all()
    assert (stored.version, stored.claimed_until) == (2, 77)
    assert len(world.outbox.messages) == 1  # the severity is the same


def test_hours_after_a_window_that_is_scored_again_stay() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    restated = [row(h, gb=160.0, resource_id="media") for h in range(2, 5)]
    world.run(restated, 0, 5)
    assert world.alert["usage_gb"] == 3 * 160 + 6 * 80
    assert world.alert["end_hour_utc"] == iso_hour(FIRST + 10)


def test_a_raised_severity_is_notified_again() -> None:
    world = Detection()
    rows = [*DAY, *hot(24, 6, 900.0, resource_id="media")]
    first, second = world.run(rows, 0, 24), world.run(rows, 24, 48)
    assert first.new_alerts == second.updated_alerts == [world.alert["alert_id"]]
    assert second.usd_per_day_at_stake == world.alert["current_usd_per_day"]
    assert [message.split()[0] for message in world.outbox.messages] == ["MEDIUM", "HIGH"]
    assert "HIGH (raised from MEDIUM, grown from $60.75" in world.outbox.messages[1]
    assert "raised" not in world.outbox.messages[0]
    (stored,) = world.store.all()
    assert stored.notified is not None
    assert stored.notified.severity == "high"


def test_severity_does_not_fall_and_fewer_dollars_are_not_notified_again() -> None:
    world = Detection()
    world.run(hot(0, 6, 900.0), 0, 6)
    world.run(hot(10, 12, 8.0), 10, 24)  # $3.24 in all
    assert (world.alert["severity"], world.alert["end_hour_utc"]) == ("high", iso_hour(FIRST + 5))

    world = Detection()
    world.run(hot(0, 6, 900.0), 0, 6)
    world.run(hot(24, 4, 200.0), 24, 48)  # $70, which does not double what people know
    assert (world.alert["severity"], world.alert["end_hour_utc"]) == ("high", iso_hour(FIRST + 27))
    assert len(world.outbox.messages) == 1


def test_a_failed_notification_is_raised_and_a_retry_sends_it() -> None:
    world = Detection()
    world.outbox.is_broken = True
    with pytest.raises(ConnectionError, match="the topic does not answer"):
        world.run(DAY, 0, 24)
    assert not world.store.claimed
    assert world.store.all()[0].notified is None
    world.outbox.is_broken = False
    outcome = world.run(DAY, 0, 24)
    assert (outcome.new_alerts, outcome.updated_alerts) == ([], [])
    assert len(world.outbox.messages) == 1


def test_an_alert_that_another_invocation_claimed_is_left_to_it() -> None:
    world = Detection()
    world.outbox.is_broken = True
    with pytest.raises(ConnectionError):
        world.run(DAY, 0, 24)
    world.outbox.is_broken = False
    world.store.claimed.add(world.alert["alert_id"])
    world.run(DAY, 0, 24)
    assert world.outbox.messages == []
    world.store.claimed.clear()
    world.run(
        [row(24, gb=1.0, resource_id="media")], 24, 48
    )  # a later window also sends earlier notifications that are due
    assert len(world.outbox.messages) == 1


def test_one_notification_lists_the_worst_alert_first() -> None:
    world = Detection()
    regions = {"low": (20.0, 0.09), "high": (900.0, 0.09), "medium": (80.0, 0.09), "rising": (85.0, 0.09)}
    free = {"free": 50.0, "free-large": 60.0}
    rows = [r for name, (gb, price) in regions.items() for r in hot(0, 12, gb, price=price, region=name)]
    rows += [r for name, gb in free.items() for r in hot(0, 12, gb, price=0.0, region=name)]
    outcome = world.run(rows, 0, 24)
    (message,) = world.outbox.messages
    headings = [line.split(", ")[-2] for line in message.splitlines() if " account 111122223333" in line]
    assert headings == ["high", "rising", "medium", "low", "free-large", "free"]
    assert "and 5 more" in message.splitlines()[0]
    assert len(outcome.new_alerts) == 6
    assert world.scorer.rows_explained == [6]  # the model is asked once for all


def test_a_repeat_of_what_a_verdict_called_false_is_suppressed_until_it_grows() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    judged = world.alert
    world.store.give([build_verdict(judged, "false", "the nightly export", "2026-10-03T00:00:00Z")])
    month = 30 * 24
    repeat = hot(month, 9, resource_id="media")
    outcome = world.run(repeat, month, month + 24)
    (_, again) = world.alerts
    assert (outcome.new_alerts, outcome.updated_alerts, outcome.usd_per_day_at_stake) == ([], [], 0)
    assert outcome.suppressed == {again["alert_id"]: judged["alert_id"]}
    assert again["suppressed_by"] == judged["alert_id"]
    assert len(world.outbox.messages) == 1
    outcome = world.run(hot(month + 24, 9, 400.0, resource_id="media"), month + 24, month + 48)
    assert (outcome.updated_alerts, outcome.suppressed) == ([again["alert_id"]], {})
    assert world.alerts[1]["suppressed_by"] == ""
    assert len(world.outbox.messages) == 2
    assert "raised from" not in world.outbox.messages[1]


def test_a_verdict_is_found_a_year_later_and_not_after_thirteen_months() -> None:
    def suppressed(days: int) -> bool:
        world = Detection()
        world.run(DAY, 0, 24)
        world.store.give([build_verdict(world.alert, "false", "", "2026-10-03T00:00:00Z")])
        return bool(world.run(hot(days * 24 + 2, 9, resource_id="media"), days * 24, days * 24 + 24).suppressed)

    assert suppressed(400)
    assert not suppressed(401)


def test_a_plan_suppresses_what_keeps_to_it() -> None:
    world = Detection()
    outcome = world.run(DAY, 0, 24, [planned(0, 48, 675.0)])
    assert outcome.suppressed == {world.alert["alert_id"]: "planned: the move"}
    assert (outcome.new_alerts, outcome.usd_per_day_at_stake, world.outbox.messages) == ([], 0, [])
    assert "the move" not in " ".join(world.alert["reasons"])


def test_an_alert_that_exceeds_its_plan_states_by_how_much() -> None:
    world = Detection()
    outcome = world.run(DAY, 0, 24, [planned(0, 48, 600.0)])
    assert outcome.suppressed == {}
    assert world.alert["reasons"][-1] == "675.0 GB above expected exceed the 600.0 GB that were planned: the move"
    assert "exceed the 600.0 GB" in world.outbox.messages[0]


def test_what_reaches_the_floors_beside_a_plan_is_notified() -> None:
    def suppressed(min_excess_usd: float) -> bool:
        world = Detection(Policy(min_excess_usd=min_excess_usd))
        plan = PlannedEvent("the move", FIRST, FIRST + 24, resource="media", max_gb=1000.0)
        outcome = world.run([*DAY, *hot(3, 12, 10.0, resource_id="beside")], 0, 24, [plan])  # $5.40 beside it
        return bool(outcome.suppressed)

    assert not suppressed(5.0)
    assert suppressed(5.5)


def test_what_an_earlier_incident_used_of_a_plan_is_gone_weeks_later() -> None:
    def second(max_gb: float) -> list[str]:
        world = Detection()
        calendar = [planned(0, 800, max_gb)]
        world.run(hot(2, 9), 0, 24, calendar)
        world.run(hot(500, 9), 500, 524, calendar)
        assert len(world.alerts) == 2
        assert world.alerts[0]["suppressed_by"]
        return [world.alerts[1]["suppressed_by"], world.alerts[1]["reasons"][-1]]

    assert second(1350.0)[0] == "planned: the move"
    assert second(1300.0)[0] == ""
    assert "1,350.0 GB above expected exceed the 1,300.0 GB" in second(1300.0)[1]


def test_a_later_incident_takes_nothing_of_the_plan_from_an_earlier_one() -> None:
    world = Detection()
    calendar = [planned(0, 48, 1000.0)]
    later = hot(12, 9, region="eu-west-1", egress_class="inter_az", resource_id="z")
    world.run([*hot(2, 9), *later], 0, 24, calendar)
    world.run([*hot(2, 9)[1:], row(2, 90.0), *later], 0, 24, calendar)
    assert {alert["suppressed_by"] for alert in world.alerts} == {"planned: the move"}


@pytest.mark.parametrize(
    ("again", "keeps"),
    [
        (hot(4, 7), True),  # the bill moves the first hour that the estimate had
        (hot(1, 10), True),
        (hot(2, 9, resource_id="other"), False),
        ([*hot(2, 9, resource_id="other"), *hot(4, 7, region="us-east-1")], False),
    ],
)
def test_people_keep_the_id_they_know_when_the_first_hour_changes(again: list[Row], keeps: bool) -> None:
    world = Detection()
    world.run(hot(2, 9), 0, 24)
    known = world.alert["alert_id"]
    outcome = world.run(again, 0, 24)
    assert outcome.updated_alerts == [known]
    assert (outcome.new_alerts == []) == keeps
    states = {alert["alert_id"]: alert["state"] for alert in world.alerts}
    assert states.pop(known) == ("open" if keeps else "withdrawn")
    assert set(states.values()) <= {"open"}
    assert len(world.outbox.messages) == (1 if keeps else 2)
    if keeps:
        assert world.alert["start_hour_utc"] == iso_hour(FIRST + (4 if len(again) == 7 else 1))


def test_an_id_is_kept_from_the_first_hour_of_the_window_on_and_beside_an_unchanged_incident() -> None:
    world = Detection()
    unchanged = hot(0, 9, 900.0, region="us-east-1")
    world.run([*unchanged, *hot(0, 9, 800.0)], 0, 24)
    known = {alert["alert_id"] for alert in world.alerts}
    outcome = world.run([*unchanged, *hot(1, 8, 800.0)], 0, 24)
    assert {alert["alert_id"] for alert in world.alerts} == known
    assert (len(outcome.updated_alerts), outcome.new_alerts) == (1, [])


def test_an_incident_whose_first_hours_the_bill_takes_back_is_withdrawn() -> None:
    world = Detection()
    world.run([row(23, 105.0)], 0, 24)
    world.run([row(24, 338.0)], 24, 48)
    outcome = world.run([row(30, 20.0)], 24, 48)
    assert (outcome.updated_alerts, world.alert["state"]) == ([world.alert["alert_id"]], "withdrawn")
    assert (world.alert["cost_usd"], world.alert["usage_gb"], world.alert["current_usd_per_day"]) == (0, 0, 0)
    assert len(world.outbox.messages) == 1
    world.run([row(24, 338.0)], 24, 48)  # and gives them again
    assert (world.alert["state"], world.alert["usage_gb"]) == ("open", 443.0)
    assert len(world.outbox.messages) == 1


def test_an_id_goes_to_one_incident_only() -> None:
    world = Detection(Policy(incident_gap_hours=24, sibling_hours=0))
    long = 24 * 4
    world.run(hot(30, 60), 0, long)
    known = world.alert["alert_id"]
    world.run([*hot(24, 9), *hot(66, 9)], 0, long)
    assert len({alert["alert_id"] for alert in world.alerts}) == 2
    first = next(alert for alert in world.alerts if alert["alert_id"] == known)
    assert (first["start_hour_utc"], first["end_hour_utc"]) == (iso_hour(FIRST + 24), iso_hour(FIRST + 32))


def test_an_incident_that_kept_the_id_of_another_one_s_first_hour_does_not_hide_it() -> None:
    world = Detection()
    media, logs = hot(24, 9, 80.0), hot(24, 9, 160.0, resource_id="logs")
    world.run([*media, *logs], 24, 48)  # one incident, with an id of the logs' first hour
    known = world.alert["alert_id"]
    world.run([*hot(2, 22, 80.0), *media], 0, 48)  # the day before arrives late; the logs are gone
    assert [alert["alert_id"] for alert in world.alerts] == [known]
    world.run([*media, *logs], 24, 48)
    resources = {alert["alert_id"]: alert["resource_id"] for alert in world.alerts}
    assert sorted(resources.values()) == ["logs", "media-prod"]
    assert resources[known] == "media-prod"
    for window in [(24, 48), (0, 48)]:  # from within the incident, and from before it
        outcome = world.run([*(hot(2, 22, 80.0) if window[0] == 0 else []), *media, *logs], *window)
        assert (outcome.new_alerts, outcome.updated_alerts) == ([], [])
    assert {alert["alert_id"]: alert["resource_id"] for alert in world.alerts} == resources


@pytest.mark.parametrize(("gap", "alerts"), [(24, 1), (25, 2)])
def test_an_id_moves_within_the_gap_and_not_beyond(gap: int, alerts: int) -> None:
    policy = Policy(incident_gap_hours=24, sibling_hours=0)
    for first, then in (((10, 9), (18 + gap, 9)), ((18 + gap, 9), (10, 9))):
        world = Detection(policy)
        world.run(hot(*first), 0, 72)
        world.run(hot(*then), 0, 72)
        assert len(world.alerts) == alerts


def test_the_reason_is_asked_for_again_when_another_hour_is_the_worst() -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    world.run(hot(24, 3, resource_id="media"), 24, 48)
    assert world.scorer.rows_explained == [1]
    assert "usual GB: 16" in world.alert["reasons"][1]
    world.run([row(30, 160.0, resource_id="media")], 27, 48)
    assert world.scorer.rows_explained == [1, 1]
    assert "usual GB: 32" in world.alert["reasons"][1]


def test_the_reason_of_an_hour_before_the_window_comes_from_the_stored_rows() -> None:
    world = Detection()
    rows = [row(2, 300.0), *hot(3, 9)]
    for hour in range(12):
        world.run(rows, hour, hour + 1)
    assert world.alert["start_hour_utc"] == iso_hour(FIRST + 2)
    assert "usual GB: 60 (75%)" in world.alert["reasons"][1]


def test_an_alert_does_not_wait_for_its_reason() -> None:
    world = Detection()
    world.scorer.explains = False
    world.run(DAY, 0, 24)
    assert not any("to the model" in reason for reason in world.alert["reasons"])
    assert len(world.outbox.messages) == 1


@pytest.mark.parametrize("other", [{"account_id": "444455556666"}, {"region": "us-east-1"}])
def test_another_account_or_region_has_its_own_alert(other: dict[str, Any]) -> None:
    world = Detection()
    world.run(DAY, 0, 24)
    world.run(hot(24, 9, **{"resource_id": "media"} | other), 24, 48)
    assert len(world.alerts) == len(world.outbox.messages) == 2


# The third hour reaches the floor.
@pytest.mark.parametrize(("gap", "alerts"), [(166, 1), (167, 2)])
def test_an_incident_is_open_again_within_a_week_and_not_an_hour_later(gap: int, alerts: int) -> None:
    world = Detection()
    world.run(hot(0, 9), 0, 24)
    world.run(hot(8 + gap, 9), 8 + gap, 32 + gap)
    assert len(world.alerts) == alerts


@pytest.mark.parametrize(("hours_later", "alerts"), [(23, 1), (24, 0)])
def test_hours_of_the_day_before_the_window_count_towards_the_floor(hours_later: int, alerts: int) -> None:
    world = Detection()
    world.run([row(0, 105.0)], 0, 1)  # $9 above expected
    world.run([row(hours_later, 338.0)], hours_later, hours_later + 1)  # $30, too little for an hour alone
    assert len(world.alerts) == alerts
