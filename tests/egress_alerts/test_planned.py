"""A planned event suppresses what keeps to the plan: not more, not elsewhere, not at another time."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.hours import Hour, Incident
from egress_alerts.planned import CalendarError, check_event, match_planned_event, read_calendar
from egress_alerts.policy import Policy
from egress_alerts.series import Series, iso_hour

SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "inter_region", "arn:aws:s3:::media-prod")
START = 494_196


def calendar(**changes: Any) -> str:
    event = {"note": "the move", "from": iso_hour(START), "to": iso_hour(START + 48), "max_gb": 500} | changes
    return json.dumps([{name: value for name, value in event.items() if value is not None}])


def incident(gb: float, *, start: int = START, hours: int = 10, series: Series = SERIES) -> Incident:
    """Return an incident that is `gb` above expected, at 2 cents per GB."""
    found = Incident(f"{start}-{series.resource_id}", start)
    each = gb / hours
    found.add(
        Hour(start + i, series, each + 1, 1.0, each + 1, 1.0, 0.02 * (each + 1), 0.02, -0.1, "t", "o", False)
        for i in range(hours)
    )
    return found


def answer(found: Incident, text: str, *earlier: Incident) -> tuple[str, str]:
    return match_planned_event(found, earlier, read_calendar(text), Policy())


@settings(deadline=None)
@given(st.floats(10, 5000))
def test_what_keeps_to_the_plan_is_quiet_and_what_exceeds_it_says_so(gb: float) -> None:
    quiet, beyond = answer(incident(gb), calendar(max_gb=500))
    if gb > 500.001:
        said, _, rest = beyond.partition(" ")
        assert (quiet, rest) == ("", "GB above expected exceed the 500.0 GB that were planned: the move")
        assert float(said.replace(",", "")) == pytest.approx(gb, abs=0.051)
    elif gb < 499.999:
        assert (quiet, beyond) == ("planned: the move", "")
    if abs(gb - 1000) > 0.001:
        assert bool(answer(incident(gb), calendar(max_gb=None, max_usd=20))[0]) == (gb < 1000)


@pytest.mark.parametrize(
    ("changes", "quiet"),
    [
        ({"account": "111122223333"}, True),
        ({"account": "444455556666"}, False),
        ({"region": "us-east-1"}, False),
        ({"egress_class": "internet"}, False),
        ({"resource": "*media-prod"}, True),
        ({"resource": "media-prod"}, False),
        ({"resource": "arn:aws:s3:::media-pr?d"}, True),
        ({"from": iso_hour(START + 9)}, False),
        ({"to": iso_hour(START + 1)}, False),
        ({"to": iso_hour(START + 10)}, True),
    ],
)
def test_it_is_about_what_it_names(changes: dict[str, Any], quiet: bool) -> None:
    assert bool(answer(incident(300), calendar(**changes))[0]) == quiet


def test_what_happens_beside_the_plan_is_told_if_it_reaches_the_floors_by_itself() -> None:
    both = incident(300)
    both.add(incident(100, series=SERIES._replace(resource_id="small")).hours)
    assert answer(both, calendar(resource="*media-prod"))[0]
    both.add(incident(300, series=SERIES._replace(resource_id="other")).hours)
    assert answer(both, calendar(resource="*media-prod")) == ("", "")


def test_incidents_share_what_was_planned() -> None:
    first, second = incident(300), incident(300, start=START + 20, series=SERIES._replace(region="eu-west-2"))
    assert answer(first, calendar())[0]
    assert answer(second, calendar(), first) == (
        "",
        "600.0 GB above expected exceed the 500.0 GB that were planned: the move",
    )


def test_the_bytes_that_a_gateway_meters_again_are_planned_once() -> None:
    found = incident(300)
    found.add(incident(300, series=SERIES._replace(egress_class="nat_gateway")).hours)
    assert answer(found, calendar())[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("{}", "is not a list"),
        (calendar(max_gb=None), "planned event 1 needs max_gb or max_usd"),
        (calendar(**{"from": None}), "planned event 1 has no 'from'"),
        (calendar(to="soon"), "planned event 1: to is .soon.; an hour such as"),
        (calendar(to=iso_hour(START)), "planned event 1 ends at .*, not after its start"),
        (calendar(bucket="x"), "planned event 1 has 'bucket'; accepted are note, from"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(CalendarError, match=says):
        read_calendar(text)


@pytest.mark.parametrize(("limit", "planned"), [({"max_gb": 300}, True), ({"max_usd": 6.4, "max_gb": None}, True)])
def test_what_uses_a_plan_up_keeps_to_it(limit: dict[str, Any], planned: bool) -> None:
    found = Incident("id", START)
    found.add([Hour(START, SERIES, 301.0, 1.0, 301.0, 1.0, 6.5, 0.1, -0.1, "t", "o", False)])
    assert bool(answer(found, calendar(**limit))[0]) == planned


@pytest.mark.parametrize(
    ("gb", "price", "suppressed"),
    [(249.0, 0.02, True), (250.0, 0.02, False), (1.9, 0.0, True), (2.0, 0.0, False), (40.0, 0.02, True)],
)
def test_hours_beside_the_plan_reach_the_floors_by_themselves(gb: float, price: float, suppressed: bool) -> None:
    found = incident(300)
    beside = SERIES._replace(region="us-east-1")
    found.add([Hour(START, beside, gb, 0.0, gb, 0.0, price * gb, 0.0, -0.1, "t", "o", False)])
    assert bool(answer(found, calendar(region="eu-west-1"))[0]) == suppressed


def test_series_beside_the_plan_are_held_to_the_floors_one_by_one_and_by_account_and_class() -> None:
    found = incident(300)
    for name in ("one", "two"):
        found.add(incident(200, series=SERIES._replace(resource_id=name)).hours)  # $4 each
    events = read_calendar(calendar(resource="*media-prod"))
    assert match_planned_event(found, [], events, Policy())[0]
    for scope in (("111122223333", ""), ("", "inter_region")):
        assert not match_planned_event(found, [], events, Policy(overrides={scope: {"min_excess_usd": 3.0}}))[0]


def test_of_two_events_the_first_one_counts_and_each_is_named_once() -> None:
    first, second = {"note": "one", "to": iso_hour(START + 5)}, {"note": "two", "max_gb": 160}
    events = [*read_calendar(calendar(**first)), *read_calendar(calendar(**second))]
    assert match_planned_event(incident(150), [], events, Policy()) == ("planned: one, two", "")
    assert match_planned_event(incident(170), [], events, Policy())[1].endswith("planned: two")


def test_an_incident_that_no_event_covers_is_not_planned() -> None:
    assert answer(incident(1), calendar(region="us-east-1")) == ("", "")
    assert match_planned_event(incident(1), [], [], Policy()) == ("", "")


@pytest.mark.parametrize("changes", [{}, {"max_gb": None, "max_usd": 20.0}, {"account": "111122223333", "region": "r"}])
def test_an_event_is_written_as_it_is_read(changes: dict[str, Any]) -> None:
    full = {"egress_class": "internet", "resource": "x*", "max_usd": 5.0} if "region" in changes else {}
    text = calendar(**changes | full)
    (event,) = read_calendar(text)
    assert event.record() == json.loads(text)[0]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("x", "planned event 2 has no 'note'; it needs note, from, to, and max_gb or max_usd"),
        ({"note": ""}, "planned event 2 has no 'note'; it needs note, from, to, and max_gb or max_usd"),
        ({"to": None}, "planned event 2 has no 'to'; it needs note, from, to, and max_gb or max_usd"),
        ({"note": 5}, "planned event 2: note is 5; a text in quotes is accepted"),
        ({"region": ["x"]}, "planned event 2: region is ['x']; a text in quotes is accepted"),
        ({"max_gb": -1}, "planned event 2: max_gb is -1; a number of at least 0 is accepted"),
        ({"from": "now"}, "planned event 2: from is 'now'; an hour such as 2026-10-14T08:00:00Z is accepted"),
        (
            {"account": "1"},
            "planned event 2: account is '1'; accepted are 12 digits in quotes, such as \"111122223333\"",
        ),
        ({"egress_class": "vpn"}, "planned event 2: egress_class is 'vpn'; accepted are internet, inter_az"),
        (
            {"max_gb": None},
            "planned event 2 needs max_gb or max_usd: without a limit it would hide anything",
        ),
        (
            {"bucket": "x"},
            "planned event 2 has 'bucket'; accepted are note, from, to, account, region, egress_class, resource, "
            "max_gb, max_usd",
        ),
    ],
)
def test_an_entry_that_is_not_accepted_is_named_with_what_is(entry: Any, says: str) -> None:
    given = json.loads(calendar())[0] | entry if isinstance(entry, dict) else entry
    with pytest.raises(CalendarError) as error:
        check_event(given, "planned event 2", ("internet", "inter_az"))
    assert str(error.value) == says


def test_errors_of_a_calendar_count_its_entries_from_one() -> None:
    entries = [*json.loads(calendar()), {}]
    with pytest.raises(CalendarError, match=r"^planned event 2 has no"):
        read_calendar(json.dumps(entries))
    with pytest.raises(CalendarError, match=r"^the calendar of planned events is not a list$"):
        read_calendar("{}")


def test_an_event_without_incidents_is_not_overrun() -> None:
    (event,) = read_calendar(calendar(max_gb=0, max_usd=0))
    assert event.overrun([]) == event.overrun([incident(1, start=START + 100)]) == ""
