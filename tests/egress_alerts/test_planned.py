"""A planned event suppresses what keeps to the plan: not more, not elsewhere, not at another time."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_alerts.incidents import Hour, Incident
from egress_alerts.planned import CalendarError, match_planned_event, read_calendar
from egress_alerts.policy import Policy
from egress_alerts.series import Series, iso_hour

SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "inter_region", "arn:aws:s3:::media-prod")
START = 494_196


def calendar(**changes: Any) -> str:
    event = {"note": "the move", "from": iso_hour(START), "to": iso_hour(START + 48), "max_gb": 500} | changes
    return json.dumps([{name: value for name, value in event.items() if value is not None}])


def incident(gb: float, *, start: int = START, hours: int = 10, series: Series = SERIES) -> Incident:
    """Return an incident of `gb` above what was expected, at 2 cents each."""
    found = Incident(f"{start}-{series.resource_id}", start)
    each = gb / hours
    found.add(
        Hour(start + i, series, each + 1, 1.0, each + 1, 1.0, 0.02 * (each + 1), 0.02, -0.1, "t", "o", False)
        for i in range(hours)
    )
    return found


def answer(found: Incident, text: str, *earlier: Incident) -> tuple[str, str]:
    return match_planned_event(found, earlier, read_calendar(text), Policy())


@given(st.floats(10, 5000))
def test_what_keeps_to_the_plan_is_quiet_and_what_exceeds_it_says_so(gb: float) -> None:
    quiet, beyond = answer(incident(gb), calendar(max_gb=500))
    if gb > 500.001:
        assert (quiet, beyond) == (
            "",
            f"{gb:,.1f} GB above expected exceed the 500.0 GB that were planned: the move",
        )
    elif gb < 499.999:
        assert (quiet, beyond) == ("planned: the move", "")
    assert bool(answer(incident(gb), calendar(max_gb=None, max_usd=20))[0]) == (0.02 * gb <= 20)


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
