"""Incidents as bytes: they are read as they were, and their size has a bound, whatever they hold."""

import json
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.hours import Background, Hour, Incident
from egress_alerts.incidents import find_incidents
from egress_alerts.packing import pack_incident, unpack_incident
from egress_alerts.policy import Policy
from egress_alerts.series import Series

ITEM_BYTES = 400 * 1024
names = st.text(max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)
hours = st.builds(
    Hour,
    st.integers(0, 10**9),
    st.builds(Series, names, names, names, names, names),
    *[numbers] * 7,
    names,
    names,
    st.booleans(),
    st.booleans(),
    numbers,
    st.none() | numbers,
    st.booleans(),
    st.integers(0, 10**9),
    st.booleans(),
)
backgrounds = st.builds(
    Background, st.integers(0, 10**9), st.lists(numbers, max_size=48).map(tuple), *[st.booleans()] * 3
)


@settings(deadline=None)
@given(st.lists(hours, min_size=1, max_size=20), st.integers(0, 10**9), st.none() | backgrounds)
def test_an_incident_is_read_as_it_was(rows: list[Hour], detected: int, background: Background | None) -> None:
    incident = Incident("0123456789abcdef", detected, background=background)
    incident.add(rows)
    read = unpack_incident(incident.alert_id, pack_incident(incident))
    assert read == incident
    assert list(read.members) == list(incident.members)  # the first one leads


@pytest.mark.parametrize(
    ("later", "p_value", "is_daily"),
    [
        ([], None, False),
        ([True, 9.0, 3.0, 1.0, 0.5, 0.02], 0.02, False),
        ([True, 9.0, 3.0, 1.0, 0.5, None, True], None, True),
        ([True, 9.0, 3.0, 1.0, 0.5, 2.0, 0.1, 0.02, False], 0.02, False),
    ],
)
def test_what_an_earlier_version_wrote_is_read(later: list[Any], p_value: float | None, is_daily: bool) -> None:
    """Hours were lists, with two or three pairs of measures of habit that no longer exist."""
    hour = Hour(10, Series("1", "a", "s", "internet", "r"), 9.0, 1.0, 9.0, 1.0, 2.0, 0.1, -0.1, "t", "o", True)
    content = {"detected": 12, "hours": [[*hour[:12], *later]]}
    old = unpack_incident("id", zlib.compress(json.dumps(content).encode(), 9))
    expected = hour._replace(is_estimated=bool(later), p_value=p_value, is_daily=is_daily)
    assert (old.alert_id, old.detected, old.hours) == ("id", 12, [expected])


@pytest.mark.parametrize("name", ["i-{}", "{}" + "x" * 63, "{}" + "\x00\U0001f600" * 500])
def test_the_size_is_bounded_whatever_the_names_and_numbers(name: str) -> None:
    rng = random.Random(1)
    rows = []
    for number in range(450):
        series = Series("1", "a", "AmazonS3", "internet", name.format(number))
        for at in range(9):
            amounts = [rng.uniform(100, 900) for _ in range(3)]
            row = Hour(at, series, amounts[0], 1.0, amounts[1], 1.0, amounts[2], 0.1, -rng.random(), "t", "o", False)
            rows.append(row._replace(times_habit=3 + rng.random(), p_value=rng.random()))
    found = find_incidents(Policy(), [], [], rows)
    assert sum(len(incident.hours) for incident in found) == len(rows)
    assert max(len(pack_incident(incident)) for incident in found) < ITEM_BYTES - 30_000
    grown = [replace(incident, members=dict(incident.members)) for incident in found]
    later = [row._replace(hour=row.hour + 9) for row in rows]
    for incident in find_incidents(Policy(), grown, rows, later):
        assert len(pack_incident(incident)) < ITEM_BYTES - 30_000
