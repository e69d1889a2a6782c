"""From the first notification to the end: people are notified of each change that matters, once."""

from typing import Any

import pytest

from egress_alerts.detector import StoredAlert
from egress_alerts.hours import Hour, Incident
from egress_alerts.lifecycle import current_usd_per_day, peak_usd_per_day, severity_of, state_of
from egress_alerts.policy import Policy
from egress_alerts.series import Series, iso_hour, parse_hour
from tests.support.detection import FIRST, ClaimedAlerts, Detection, Row, hot, row

DAY = 24


def bucket(first: int, hours: int, usd: float, resource: str = "media", **other: Any) -> list[Row]:
    """Return hours of a bucket with so many dollars above the $0.45 that are expected."""
    return hot(first, hours, (usd + 0.45) / 0.09, resource_id=resource, **other)


def daily(rows: list[Row], days: int, policy: Policy | None = None, step: int = DAY) -> Detection:
    """Run the detector over the days, beside a series that shows that data have arrived."""
    world = Detection(policy or Policy())
    quiet = [row(hour, gb=1.0, resource_id="quiet") for hour in range(days * DAY)]
    for start in range(0, days * DAY, step):
        world.run([*rows, *quiet], start, start + step)
    return world


def small_account(usd_per_day: float, **policy: Any) -> list[str]:
    """Return the severities by hour of an account that expects $10.80 a day, and whose bucket rises on a Monday."""
    world = Detection(Policy(**policy))
    quiet = [row(hour, gb=1.0, resource_id="quiet") for hour in range(5 * DAY)]
    found = []
    for start in range(0, 5 * DAY, 8):
        world.run([*bucket(3 * DAY, DAY, usd_per_day / DAY), *quiet], start, start + 8)
        found += [alert["severity"] for alert in world.alerts]
    return list(dict.fromkeys(found))


def test_a_small_account_whose_egress_doubles_is_not_low() -> None:
    expected = 24 * 0.45  # of the quiet bucket, the day before
    assert small_account(0.9 * expected) == ["low"]
    assert small_account(1.1 * expected)[-1] == "medium"
    assert small_account(1.1 * expected, medium_share_of_expected=1.5) == ["low"]
    narrow = {("111122223333", "internet"): {"medium_share_of_expected": 0.8}}
    assert small_account(0.9 * expected, overrides=narrow)[-1] == "medium"


def test_the_share_of_the_account_is_that_of_its_data_transfer_whatever_the_window() -> None:
    policy = Policy(notify_again_hours=0)
    rows = bucket(3 * DAY + 3, 30, 0.6)
    found = [daily(rows, 6, policy, step).alert for step in (1, 8, 24, 144)]
    assert {alert["severity"] for alert in found} == {"medium"}
    assert {alert["reasons"][-1] for alert in found} == {
        "much for this account: all its data transfer normally costs $10.80 a day"
    }


def test_without_a_day_before_it_the_share_of_the_account_is_not_known() -> None:
    assert daily(bucket(3, 12, 1.0), 2).alert["severity"] == "low"


def subjects(world: Detection) -> list[str]:
    """Return the first line about an alert of each notification."""
    return [message.splitlines()[1] for message in world.outbox.messages]


@pytest.mark.parametrize("step", [1, 8, 24])
def test_the_same_resource_gets_seven_times_worse(step: int) -> None:
    world = daily([*bucket(0, 24, 60 / 24), *bucket(24, 72, 420 / 24)], 5, step=step)
    assert len(world.alerts) == 1
    assert len(world.outbox.messages) >= 2
    assert any(message.startswith("HIGH egress: $4") for message in world.outbox.messages[1:])
    assert world.alert["severity"] == "high"
    assert world.alert["excess_cost_usd_per_day"] == pytest.approx(420)


def test_growth_is_notified_when_it_doubles_by_the_floor_and_not_before() -> None:
    quiet = Policy(severity_usd_per_day=(50, 5000, 50_000))
    assert len(daily(bucket(0, 24, 60 / 24) + bucket(24, 24, 59 / 24), 3, quiet).outbox.messages) == 1
    (_, grown) = subjects(daily(bucket(0, 24, 60 / 24) + bucket(24, 24, 60 / 24), 3, quiet))
    assert grown.startswith("MEDIUM (grown from $60.00)   open, $120.00 so far, about $60.00 a day")
    # Doubled, but by less than the threshold for medium.
    high = Policy(severity_usd_per_day=(90, 5000, 50_000))
    assert len(daily(bucket(0, 24, 40 / 24) + bucket(24, 24, 49 / 24), 3, high).outbox.messages) == 1


@pytest.mark.parametrize("step", [1, 8, 24])
def test_five_quiet_days_later_people_are_notified_again(step: int) -> None:
    rows = [*bucket(0, 24, 420 / 24), *bucket(6 * 24, 24, 420 / 24)]
    world = daily(rows, 8, step=step)
    assert len(world.alerts) == 1
    again = [line for line in subjects(world) if "open again after 120 quiet hours" in line]
    assert len(again) == 1
    assert "open, $" in again[0]


@pytest.mark.parametrize("step", [1, 8, 24])
def test_a_new_resource_is_an_alert_of_its_own_beside_a_cost_incident(step: int) -> None:
    gateway = {"service": "AmazonEC2", "egress_class": "nat_gateway", "resource_id": "nat-1", "egress_gb": 0.0}
    sender = {"service": "AmazonEC2", "resource_id": "i-new", "expected": 0.0}
    rows = [*hot(8, 40, 97.0, price=0.045, **gateway), *hot(17, 60, 185.0, **sender)]
    world = daily(rows, 4, step=step)
    by_resource = {alert["resource_id"]: alert for alert in world.alerts}
    assert set(by_resource) == {"nat-1", "i-new"}
    assert by_resource["i-new"]["incident_class"] == "new_resource"
    assert [c["resource_id"] for c in by_resource["nat-1"]["contributors"]] == ["nat-1"]
    assert any("i-new has sent" in message for message in world.outbox.messages)


@pytest.mark.parametrize("step", [1, 8, 24])
def test_the_cause_rests_on_the_hours_before_the_incident(step: int) -> None:
    # The model calls its first hours normal: they are no part of the incident.
    server = {"service": "AmazonEC2", "resource_id": "i-1"}
    grows = [
        row(30 + hour, 5.0 + 10.0 * 1.5**hour, **server, **({"ratio": 0.0} if hour < 4 else {})) for hour in range(6)
    ]
    rows = [*(row(hour, 5.0, **server) for hour in range(30)), *grows, *hot(36, 30, 85.0, **server)]
    world = daily(rows, 3, step=step)
    assert parse_hour(world.alert["start_hour_utc"]) == FIRST + 34
    assert world.alert["incident_class"] == "log_loop"
    assert world.alert["reasons"][-1].startswith("signs of the likely cause: it grew for ")


def test_an_ended_incident_keeps_its_severity_and_has_no_rate() -> None:
    trickle = [row(h, 5.5, 0.000001, price=0.0000001, resource_id="media") for h in range(48, 110)]
    world = daily([*bucket(0, 48, 636 / 48), *trickle], 7)
    alert = world.alert
    assert (alert["state"], alert["severity"]) == ("ended", "high")
    assert (alert["end_hour_utc"], alert["current_usd_per_day"]) == (iso_hour(FIRST + 47), 0)
    assert alert["excess_cost_usd_per_day"] == pytest.approx(318)
    assert alert["cost_usd"] - alert["expected_cost_usd"] == pytest.approx(636)


def test_a_rate_is_said_only_while_the_incident_is_open() -> None:
    rows = bucket(0, 24, 306 / 24)
    assert "about $306.00 a day at the current rate" in daily(rows, 1).outbox.messages[0]
    assert daily(rows, 1).alert["state"] == "open"
    assert daily(rows, 2).alert["state"] == "ended"
    # All days at once, eight days after the end.
    world = Detection()
    quiet = [row(hour, gb=1.0, resource_id="quiet") for hour in range(9 * DAY)]
    world.run([*rows, *quiet], 0, 9 * DAY)
    (message,) = world.outbox.messages
    assert message.splitlines()[0] == "MEDIUM egress, ended: $306 in 111122223333 eu-west-1 internet"
    assert "a day" not in message.splitlines()[1]
    assert "ended, $306.00 in all in 24 hours" in message


def test_the_end_is_notified_where_the_policy_asks_for_it() -> None:
    rows = bucket(0, 24, 100 / 24)
    assert len(daily(rows, 4).outbox.messages) == 1
    first, last = subjects(daily(rows, 4, Policy(notify_ended=True)))
    assert first.startswith("MEDIUM   open")
    assert last.startswith("MEDIUM (ended)   ended, $100.00 in all")


def test_a_withdrawn_alert_is_notified_where_the_policy_asks_for_it() -> None:
    world = daily(bucket(0, 24, 100 / 24), 1, Policy(notify_ended=True))
    world.run([row(hour, gb=1.0, resource_id="quiet") for hour in range(24)], 0, 24)
    assert world.alert["state"] == "withdrawn"
    assert len(world.outbox.messages) == 1  # not before more data have come
    world.run([row(hour, gb=1.0, resource_id="quiet") for hour in range(24, 48)], 24, 48)
    assert len(world.outbox.messages) == 1


def test_another_model_withdraws_nothing() -> None:
    world = daily(bucket(0, 24, 100 / 24), 1)
    world.scorer.manifest = lambda _: {"files": {"model.joblib": "f" * 64}}  # type: ignore[method-assign,assignment]
    world.run([row(hour, gb=1.0, resource_id="quiet") for hour in range(24)], 0, 24)
    assert (world.alert["state"], world.alert["usage_gb"] > 0) == ("open", True)


def test_hours_that_a_restated_bill_takes_back_are_taken_from_the_alert() -> None:
    world = daily(bucket(0, 48, 100 / 24), 2)
    assert world.alert["anomalous_hours"] == 48
    world.run([row(hour, gb=1.0, resource_id="quiet") for hour in range(24, 48)], 24, 48)
    assert (world.alert["anomalous_hours"], world.alert["state"]) == (24, "ended")
    assert world.alert["cost_usd"] - world.alert["expected_cost_usd"] == pytest.approx(100)


def test_between_two_notifications_lie_hours_of_data() -> None:
    rows = [row(hour, 5 + 6 * 2.0**hour, resource_id="media") for hour in range(14)]
    policy = Policy(severity_usd_per_day=(10, 1000, 10_000), notify_again_hours=6)
    world = daily(rows, 1, policy, step=1)
    assert 2 <= len(world.outbox.messages) <= 3
    often = Policy(severity_usd_per_day=(10, 1000, 10_000), notify_again_hours=0)
    assert len(daily(rows, 1, often, step=1).outbox.messages) > 4


def test_a_restated_bill_that_raises_the_severity_is_notified_at_once() -> None:
    world = daily(bucket(0, 24, 100 / 24), 1)
    world.run([*bucket(0, 24, 400 / 24), row(23, gb=1.0, resource_id="quiet")], 0, 24)
    assert len(world.outbox.messages) == 1  # grown, of the same severity
    world.run([*bucket(0, 24, 700 / 24), row(23, gb=1.0, resource_id="quiet")], 0, 24)
    assert subjects(world)[1].startswith("HIGH (raised from MEDIUM, grown from $100.00)")


def test_a_new_resource_that_takes_the_lead_and_another_cause_are_notified() -> None:
    # Both are new, so the second one joins; it leads from its second day on.
    fresh = {"service": "AmazonEC2", "expected": 0.0}
    rows = [*hot(0, 72, 30.0, resource_id="i-1", **fresh), *hot(8, 64, 35.0, resource_id="i-2", **fresh)]
    policy = Policy(severity_usd_per_day=(5000, 50_000, 500_000))
    world = daily(rows, 3, policy, step=8)
    assert len(world.alerts) == 1
    assert any("another resource leads" in line for line in subjects(world))

    # What lasts for more than a day is no burst any more: it may be a slow exfiltration, which is never low.
    steady = hot(0, 36, 20.0, service="AmazonEC2", resource_id="i-1")
    first, *_, last = subjects(daily(steady, 2, policy, step=12))
    assert first.startswith("LOW   open")
    assert last.startswith("MEDIUM (raised from LOW, likely cause known)   open")

    # What looks like a burst comes again and stays.
    burst = [row(hour, gb, service="AmazonEC2", resource_id="i-1") for hour, gb in enumerate((25.0, 95.0, 65.0, 15.0))]
    stays = hot(8, 40, 65.0, service="AmazonEC2", resource_id="i-1")
    first, *_, last = subjects(daily([*burst, *stays], 2, policy, step=8))
    assert first.startswith("MEDIUM   open")
    assert last.startswith("MEDIUM (another likely cause)   open")


SERIES = Series("111122223333", "eu-west-1", "AmazonEC2", "internet", "i-1")


def incident(*usd: float, first: int = 0, series: Series = SERIES) -> Incident:
    """Return an incident of hours in a row with so many dollars above expected."""
    found = Incident("id", first)
    found.add(
        Hour(first + place, series, 10.0, 1.0, 10.0, 1.0, 1.0 + each, 1.0, -0.1, "t", "o", False)
        for place, each in enumerate(usd)
    )
    return found


def test_rates_are_those_of_the_costliest_and_of_the_last_day() -> None:
    course = incident(*[10.0] * 24, *[1.0] * 24)
    assert (peak_usd_per_day(course), current_usd_per_day(course)) == (240.0, 24.0)
    assert peak_usd_per_day(incident(60.0)) == 120.0  # one hour is no half day
    assert peak_usd_per_day(incident(*[10.0] * 18)) == 240.0


@pytest.mark.parametrize(
    ("usd", "causes", "severity"),
    [
        ([49.9 / 24] * 24, [], "low"),
        ([50.1 / 24] * 24, [], "medium"),
        ([2.0] * 26, [], "medium"),  # $52 in all
        ([10.0] * 49 + [0.1], [], "medium"),
        ([10.0] * 51 + [0.1] * 100, [], "high"),  # past costs do not fall
        ([30.0] * 6, [], "medium"),
        ([0.1], ["", "leaked_key"], "medium"),
        ([0.1], ["exfiltration", "hot_link"], "medium"),
        ([0.1], ["slow_exfiltration"], "medium"),
        ([0.1], ["hot_link"], "low"),
        ([50.0] * 24, ["leaked_key"], "high"),
    ],
)
def test_severity(usd: list[float], causes: list[str], severity: str) -> None:
    assert severity_of(incident(*usd), SERIES, causes, Policy()) == severity


def test_severity_never_falls_as_hours_arrive() -> None:
    course = incident(*[0.5, 90.0, 3.0, 0.1, 0.0, 200.0], *[0.1] * 60)
    ranks = [
        ["low", "medium", "high", "critical"].index(severity_of(course.before(hour), SERIES, [], Policy()))
        for hour in range(1, 67)
    ]
    assert ranks == sorted(ranks)
    assert ranks[-1] == 2


def test_thresholds_may_be_those_of_an_account_and_class() -> None:
    policy = Policy.from_values({"overrides": [{"egress_class": "internet", "severity_usd_per_day": [1, 2, 3]}]})
    assert severity_of(incident(0.5), SERIES, [], policy) == "medium"
    assert severity_of(incident(0.5), SERIES._replace(egress_class="vpn"), [], policy) == "low"


@pytest.mark.parametrize(("until", "state"), [(24, "open"), (25, "ended")])
def test_an_incident_ends_after_a_day_without_hours_that_matter(until: int, state: str) -> None:
    assert state_of(incident(1.0), Policy(), until) == state


def test_an_older_window_does_not_open_an_ended_incident() -> None:
    world = daily(bucket(0, 12, 100 / 24), 3)
    assert world.alert["state"] == "ended"
    world.run([*bucket(0, 12, 101 / 24), row(23, gb=1.0, resource_id="quiet")], 0, 24)
    assert world.alert["state"] == "ended"


def test_a_storm_names_each_of_its_alerts() -> None:
    world = Detection()
    rows = [r for number in range(300) for r in bucket(0, 3, 100.0 - number / 100, region=f"region-{number}")]
    world.run(rows, 0, 24)
    first, second = world.outbox.messages
    known = [stored.alert["alert_id"] for stored in world.store.all() if stored.notified]
    assert len(known) == 300
    assert sum(alert_id in first for alert_id in known) == 200
    assert all((alert_id in first) != (alert_id in second) for alert_id in known)
    assert first.splitlines()[1].startswith("200 alerts, $")


class OneRefused(ClaimedAlerts):
    """Refuses to store the alerts of one region."""

    def put(self, stored: StoredAlert) -> None:
        if stored.alert["region"] == "broken":
            raise ValueError("Item size has exceeded the maximum allowed size")
        super().put(stored)


def test_one_alert_that_cannot_be_stored_never_stops_the_others() -> None:
    world = Detection(store=OneRefused())
    rows = [r for region in ("a", "broken", "c") for r in bucket(0, 12, 5.0, region=region)]
    with pytest.raises(ValueError, match="maximum allowed size") as error:
        world.run(rows, 0, 24)
    (note,) = error.value.__notes__
    assert note.startswith("alerts that were not stored: ")
    assert sorted(alert["region"] for alert in world.alerts) == ["a", "c"]
    (message,) = world.outbox.messages
    assert all(alert["alert_id"] in message for alert in world.alerts)


@pytest.mark.parametrize("step", [1, 8, 24, 96])
def test_what_a_level_has_left_days_after_an_incident_below_it_is_no_incident_whatever_the_window(step: int) -> None:
    rise = bucket(7, 30, 20.0)
    level = [each | {"resource_id": "*"} for each in rise] + bucket(60, 20, 3.0, resource="*")
    world = daily(rise + level, 4, Policy(incident_gap_hours=24), step)
    assert [alert["resource_id"] for alert in world.alerts] == ["media"]
