"""Tables of rows: the feature columns, the anomalous hours, and the rows that new rows replace."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.hours import Background
from egress_alerts.policy import Policy
from egress_alerts.rows import (
    BACKGROUND_HOURS,
    add_scores,
    anomalous_features,
    anomalous_hours,
    background_of,
    feature_descriptions,
    feature_names,
    in_hours,
    labels_of,
    replace_hours,
    sort_rows,
    spread_of,
    with_quiet_hours,
    without_levels,
)
from egress_alerts.series import Series, Window
from tests.support.detection import FIRST, Row, hot, row, table

hours = st.dictionaries(st.integers(0, 47), st.integers(1, 1000))


def of(contents: dict[int, int]) -> pa.Table | None:
    return table([row(hour, gb=float(gb)) for hour, gb in contents.items()]) if contents else None


def contents(rows: pa.Table | None) -> dict[int, int]:
    if rows is None:
        return {}
    found = [(int(r["hour_utc"].timestamp()) // 3600 - FIRST, int(r["usage_gb"])) for r in rows.to_pylist()]
    assert found == sorted(found)
    return dict(found)


@settings(deadline=None)
@given(hours, hours.filter(len), st.integers(0, 47), st.integers(1, 48), st.sampled_from([0, 24]))
def test_new_rows_replace_those_of_the_window_and_no_others(
    old: dict[int, int], new: dict[int, int], start: int, length: int, midnight: int
) -> None:
    end, day = start + length, range(midnight, midnight + 24)
    window = Window(FIRST + start, FIRST + end)
    given_old = of({hour: gb for hour, gb in old.items() if hour in day})
    given_new = of(new)
    assert given_new is not None
    given_new = in_hours(given_new, window.start, window.end)
    text = datetime.fromtimestamp((FIRST + midnight) * 3600, UTC).date().isoformat()
    expected = {hour: gb for hour, gb in old.items() if hour in day and not start <= hour < end}
    expected |= {hour: gb for hour, gb in new.items() if hour in day and start <= hour < end}
    assert contents(replace_hours(given_old, given_new, window, text)) == expected


def test_a_day_keeps_columns_that_the_new_rows_lack() -> None:
    old = table([row(1)]).append_column("older", pa.array([7.0]))
    kept = replace_hours(old, table([row(2)]), Window(FIRST + 2, FIRST + 3), "2026-10-02")
    assert kept["older"].to_pylist() == [7.0, None]


def test_rows_are_sorted_by_hour_and_series() -> None:
    rows = [row(1, region="b"), row(1, region="a", service="z"), row(1, region="a"), row(0, region="z")]
    rows += [row(1, egress_class="a", region="a"), row(1, resource_id="a", region="a"), row(1, account_id="9")]
    keys = ("hour_utc", "account_id", "region", "service", "egress_class", "resource_id")
    found = [tuple(r[key] for key in keys) for r in sort_rows(pa.Table.from_pylist(rows)).to_pylist()]
    assert found == sorted(found)


def test_an_empty_table_has_no_hours() -> None:
    assert in_hours(pa.table({}), 0, 1).num_rows == 0
    assert anomalous_hours(pa.table({}), Policy()) == []


def test_features_are_the_float_columns_that_are_no_measure_and_no_score() -> None:
    assert feature_names(scored([row(0)])) == ["beyond_habit_log", "ratio", "hour_of_day"]


def test_the_meaning_of_features_comes_with_the_file() -> None:
    schema = {"features": [{"name": "ratio", "description": "the rise"}, {"name": "x", "description": "another"}]}
    described = table([row(0)]).replace_schema_metadata({"egress_sentinel.schema": json.dumps(schema)})
    assert feature_descriptions(described) == {"ratio": "the rise", "x": "another"}
    assert feature_descriptions(table([row(0)])) is None


def scored(rows: list[Row], score: float = -0.1, p_value: float | None = None) -> pa.Table:
    scores = np.full(len(rows), score)
    p_values = None if p_value is None else np.full(len(rows), p_value)
    return add_scores(table(rows), (scores < 0).astype(np.int8), scores, p_values, "model")


@pytest.mark.parametrize(
    ("score", "p_value", "gb", "is_anomalous"),
    [
        (-0.1, None, 80.0, True),
        (0.1, None, 80.0, False),
        (-0.1, None, 5.0, False),  # not above expected
        (0.1, 0.05, 80.0, True),  # the p-value decides where there is one
        (-0.1, 0.06, 80.0, False),
        (-0.1, 0.01, 5.0, False),
        (0.1, math.nan, 80.0, True),  # the model has seen too little to object
    ],
)
def test_an_anomalous_hour_is_unusual_to_the_model_and_above_expected(
    score: float, p_value: float | None, gb: float, is_anomalous: bool
) -> None:
    rows = scored([row(0, gb)], score, p_value)
    assert len(anomalous_hours(rows, Policy())) == len(list(anomalous_features(rows, Policy()))) == is_anomalous


def test_rows_without_a_column_of_p_values_are_decided_by_the_model() -> None:
    rows = scored([row(0)]).drop_columns(["p_value"])
    assert [hour.p_value for hour in anomalous_hours(rows, Policy())] == [None]


def test_rows_that_an_earlier_version_scored_count_for_nothing() -> None:
    assert anomalous_hours(scored([row(0)]).drop_columns(["beyond_habit_log"]), Policy()) == []


@pytest.mark.parametrize("is_estimated", [False, True])
def test_an_anomalous_hour_has_the_amounts_of_its_row_rounded(is_estimated: bool) -> None:
    amounts = {
        "usage_gb": 80.12345678,
        "expected_usage_gb": 5.12345678,
        "egress_gb": 79.12345678,
        "expected_egress_gb": 4.12345678,
        "cost_usd": 7.12345678,
        "expected_cost_usd": 0.12345678,
    }
    given: dict[str, Any] = {
        "is_provisional": True,
        "is_estimated": is_estimated,
        "usage_type": "Out",
        "operation": "Get",
    }
    series = Series("444455556666", "us-east-1", "AmazonEC2", "inter_az", "i-1")
    (hour,) = anomalous_hours(scored([row(3, **series._asdict(), **given) | amounts], -0.2, 0.01), Policy())
    assert {name: getattr(hour, name) for name in amounts} == {name: round(x, 6) for name, x in amounts.items()}
    assert (hour.hour, hour.series, hour.anomaly_score, hour.p_value) == (FIRST + 3, series, -0.2, 0.01)
    assert hour.times_habit == pytest.approx(math.exp(3))
    assert {name: getattr(hour, name) for name in given} == given


def test_features_of_anomalous_hours_are_found_by_hour_and_series() -> None:
    rows = scored([*hot(2, 1, 10.0), row(3, 1.0)])
    ((key, features),) = anomalous_features(rows, Policy())
    assert key == (FIRST + 2, Series("111122223333", "eu-west-1", "AmazonS3", "internet", "media-prod"))
    assert features == {"beyond_habit_log": 3.0, "ratio": 2.0, "hour_of_day": 2.0}


def test_a_window_over_midnight_gives_each_day_its_own_rows_sorted() -> None:
    new, window = table([row(hour) for hour in (23, 24, 25)]).take([2, 1, 0]), Window(FIRST + 23, FIRST + 26)
    assert contents(replace_hours(None, new, window, "2026-10-02")) == {23: 80}
    assert contents(replace_hours(of({47: 3}), new, window, "2026-10-03")) == {24: 80, 25: 80, 47: 3}


def test_a_day_without_rows_stays_empty() -> None:
    assert replace_hours(None, pa.table({}), Window(FIRST, FIRST + 24), "2026-10-02").num_rows == 0


@pytest.mark.parametrize("p_value", [None, np.array([0.5], np.float32)])
def test_scores_have_the_same_types_whatever_the_model_answers(p_value: np.ndarray | None) -> None:
    def types(rows: pa.Table, p_value: np.ndarray | None) -> dict[str, str]:
        n = rows.num_rows
        found = add_scores(rows, np.ones(n, np.int64), np.ones(n, np.float32), p_value, "")
        return {field.name: str(field.type) for field in found.schema if field.name not in rows.column_names}

    expected = {"is_anomaly": "int8", "anomaly_score": "double", "p_value": "double", "model_id": "string"}
    one = table([row(0)])
    assert types(one, p_value) == types(one.slice(0, 0), None) == expected


def test_rows_of_levels_are_known() -> None:
    level = {"resource_id": "*"}
    rows = scored([row(0), row(0, 160.0, **level)])
    assert without_levels(rows).num_rows == 1
    assert [hour.series.is_level for hour in anomalous_hours(rows, Policy())] == [True, False]
    assert len(list(anomalous_features(rows, Policy()))) == 2
    assert Series("111122223333", "*", "*", "internet", "*").is_level


def test_the_spread_of_a_level_is_told_by_its_resources() -> None:
    names = [{"resource_id": f"i-{number}", "region": region} for number, region in enumerate(["a", "a", "a", "b"])]
    gb = [30.0, 20.0, 12.0, 80.0]
    rows = [row(2, usage, expected=8.0, **name) for usage, name in zip(gb, names, strict=True)]
    rows += [row(2, 9.0, expected=8.0, resource_id="calm", region="a"), row(2, 150.0, resource_id="*", region="a")]
    region, account, _ = Series("111122223333", "a", "AmazonS3", "internet", "i-0").levels
    assert spread_of(table(rows), FIRST + 2, region) == (
        "spread over 3 of 4 resources, 2.5 times their usual (median); the largest: i-0 (58%), i-1 (32%), i-2 (11%)"
    )
    assert spread_of(table([*rows, row(2, 28.0, 0.0, resource_id="n", region="b")]), FIRST + 2, account) == (
        "spread over 5 of 6 resources, 3.1 times their usual (median), 1 of them new; "
        "the largest: i-3 (52%), n (20%), i-0 (16%)"
    )
    assert spread_of(table(rows), FIRST + 3, region) == ""


def quiet(levels: list[float], lines: int = 4, hour: int = 95, **other: Any) -> bool:
    """Return whether an hour is off-hours of an account whose lines expect `levels` by the hour of the day."""
    rows = [
        row(each, 1.0, levels[each % 24], resource_id=f"line-{line}") for each in range(96) for line in range(lines)
    ]
    stored = table(rows)
    burst = anomalous_hours(scored([row(hour, 80.0, 1.0, **other)]), Policy())
    (found,) = with_quiet_hours(burst, lambda start, end: in_hours(stored, start, end))
    return found.is_quiet


BY_DAY = [1.0] * 8 + [3.0] * 16
BY_NIGHT = [3.0] * 12 + [1.0] * 12


@pytest.mark.parametrize(
    ("levels", "hour", "expected"),
    [
        (BY_DAY, 72 + 3, True),
        (BY_DAY, 72 + 12, False),
        # Its people are on another continent: their day is Europe's night.
        (BY_NIGHT, 72 + 3, False),
        (BY_NIGHT, 72 + 20, True),
        ([2.0] * 24, 72 + 3, False),
        ([0.9] * 8 + [1.0] * 16, 72 + 3, False),  # hardly a rhythm
    ],
)
def test_quiet_hours_are_those_of_the_account(levels: list[float], hour: int, expected: bool) -> None:
    assert quiet(levels, hour=hour) is expected


def test_quiet_hours_need_several_steady_lines_of_the_same_account() -> None:
    assert quiet(BY_DAY, 3, 75)
    assert not quiet(BY_DAY, 2, 75)
    assert not quiet(BY_DAY, hour=75, account_id="210012345678")
    assert not quiet(BY_DAY, hour=75, egress_class="nat_gateway")
    assert not quiet([0.0] * 23 + [1.0], hour=75)  # a job of one hour a day
    # After half of the days nothing is known of the rhythm yet.
    assert not quiet(BY_DAY, hour=24 + 3)


def background(rows: list[Row], **other: str) -> Background:
    lead = Series(**{"account_id": "111122223333", "region": "eu-west-1", "service": "AmazonEC2",
                     "egress_class": "internet", "resource_id": "i-1"} | other)  # fmt: skip
    return background_of(table(rows), lead, FIRST + BACKGROUND_HOURS)


EC2 = {"service": "AmazonEC2", "resource_id": "i-1"}
OLD = [row(hour, 5.0) for hour in range(BACKGROUND_HOURS)]


def test_the_background_has_the_course_of_the_leading_series() -> None:
    found = background([*OLD, *(row(hour, 5.0 + hour, **EC2) for hour in range(40, BACKGROUND_HOURS))])
    assert found.before_gb == (*[0.0] * 40, *(float(hour) for hour in range(40, BACKGROUND_HOURS)))
    assert found.hours()[FIRST + 47] == 47.0
    assert (found.start, found.uses_cloudfront) == (FIRST + BACKGROUND_HOURS, False)


@pytest.mark.parametrize(
    ("rows", "is_new", "is_new_region"),
    [
        (OLD, True, False),
        ([row(hour, 5.0, region="us-east-1") for hour in range(BACKGROUND_HOURS)], True, True),
        ([*OLD, row(23, 0.0, **EC2)], False, False),
        ([*OLD, row(24, 5.0, **EC2)], True, False),
        # Another class of the same resource.
        ([*OLD, row(23, 0.0, **EC2, egress_class="inter_az")], False, False),
        # The account itself is new.
        ([row(47, 5.0, **EC2), *OLD[42:]], False, False),
    ],
)
def test_a_resource_or_region_is_new_if_the_account_is_older(
    rows: list[Row], is_new: bool, is_new_region: bool
) -> None:
    found = background(rows)
    assert (found.is_new_resource, found.is_new_region) == (is_new, is_new_region)


def test_cloudfront_is_seen_in_the_rows_of_the_account_alone() -> None:
    assert background([*OLD, row(3, 1.0, egress_class="cloudfront")]).uses_cloudfront
    other = row(3, 1.0, egress_class="cloudfront", account_id="210012345678")
    assert not background([*OLD, other]).uses_cloudfront


def labelled(**labels: Any) -> pa.Table:
    """Two resources that rise, one that does not, and one in another account; `labels` replace the tags of them."""
    tags = {
        "a": '{"owner":"ann","team":"tv"}',
        "b": '{"owner":"bob","team":"tv"}',
        "calm": "{}",
        "far": '{"team":"tv"}',
    }
    tags |= labels
    rows = [
        row(0, 5.0 if name == "calm" else 80.0, resource_id=name, tags=text, account_name="prod")
        | ({"account_id": "999999999999", "account_name": "other"} if name == "far" else {})
        for name, text in tags.items()
    ]
    return table(rows)


A = Series("111122223333", "eu-west-1", "AmazonS3", "internet", "a")


def test_the_labels_of_a_resource_are_those_of_its_row() -> None:
    assert labels_of(labelled(), FIRST, A) == ("prod", (("owner", "ann"), ("team", "tv")))
    assert labels_of(labelled(), FIRST + 1, A) == ("", ())
    for text in ("", "{cut off", "[1]", '{"owner": 1}'):
        assert labels_of(labelled(a=text), FIRST, A) == ("prod", ()), text
    assert labels_of(labelled(a='{"owner":"a\nb"}'), FIRST, A).tags == (("owner", "a\nb"),)


def test_a_level_has_the_labels_that_the_resources_that_rose_share() -> None:
    resources, regions, accounts = A.levels
    assert labels_of(labelled(), FIRST, resources) == ("prod", (("team", "tv"),))
    assert labels_of(labelled(), FIRST, regions) == ("prod", (("team", "tv"),))
    assert labels_of(labelled(), FIRST, accounts) == ("", (("team", "tv"),))
    assert labels_of(labelled(b=""), FIRST, resources) == ("prod", ())


def test_rows_of_earlier_versions_have_no_labels() -> None:
    assert labels_of(labelled().drop_columns(["tags", "account_name"]), FIRST, A) == ("", ())
    assert labels_of(pa.table({}), FIRST, A) == ("", ())
    older = labelled().drop_columns(["tags", "account_name"])
    joined = pa.concat_tables([in_hours(labelled(), FIRST + 1, FIRST + 2), older], promote_options="default")
    assert labels_of(joined, FIRST, A) == ("", ())
