"""The alert record: its sums, its contributors, its sentences, and records of earlier versions."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.alert import ALERT_FIELDS, Alert, build_alert, json_schema, period_text, read_alert, worst_first
from egress_alerts.hours import Hour, Incident
from egress_alerts.policy import SEVERITIES, Policy
from egress_alerts.series import Series
from tests.support.alerts import alert_record

SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "internet", "media-prod")
START = 497_474  # 2026-10-02T02:00Z


def hour(at: int, gb: float = 15.0, usd: float = 1.5, **other: Any) -> Hour:
    """Return an hour with 5 GB and $0.50 expected; `at` counts from START."""
    return Hour(START + at, SERIES, gb, 5.0, gb, 5.0, usd, 0.5, -0.1, "Out-Bytes", "GetObject", False)._replace(**other)


def build(*hours: Hour, detected: int = 0) -> Alert:
    incident = Incident("0123456789abcdef", START + detected)
    incident.add(hours)
    return build_alert(incident, Policy(), "the model's reason", "f" * 16)


def test_a_stored_alert_is_read_with_its_fields_alone_and_in_order() -> None:
    record = alert_record()
    shuffled = dict(sorted(record.items())) | {"version": 3, "hours": b"..."}
    assert list(read_alert(shuffled).items()) == list(record.items())
    assert tuple(record) == ALERT_FIELDS


def test_an_alert_of_an_earlier_version_is_read_under_its_old_names() -> None:
    record: dict[str, Any] = dict(alert_record(suppressed_by="0011223344556677"))
    old = {"quieted_by": "suppressed_by", "looks_like": "likely_cause", "first_look": "next_step"}
    renamed = {name: record.pop(new) for name, new in old.items()}
    assert read_alert(record | renamed) == {**record, **{new: renamed[name] for name, new in old.items()}}


def test_an_alert_from_before_verdicts_estimates_model_ids_daily_bills_states_and_tags_has_none() -> None:
    later = {"suppressed_by": "", "is_estimated": False, "model_id": "", "p_value": None, "granularity": "hour",
             "state": "ended", "current_usd_per_day": 0.0, "remedy_page": "", "saving": "",
             "saving_usd_per_month": 0.0, "changes": [], "changes_note": "", "contributor_count": 0, "details_key": "",
             "owner": "", "owner_source": "", "account_name": "", "tags": {}}  # fmt: skip
    assert read_alert({k: v for k, v in alert_record().items() if k not in later}) == {**alert_record(), **later}


@pytest.mark.parametrize("name", [n for n in ALERT_FIELDS if n != "alert_id"][:20:5])
def test_an_alert_that_lacks_a_field_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^alert 0123456789abcdef has no field {name}$"):
        read_alert({k: v for k, v in alert_record().items() if k != name})
    with pytest.raises(ValueError, match=r"^alert without an id has no field alert_id$"):
        read_alert({})


@pytest.mark.parametrize(
    ("start", "last", "granularity", "text"),
    [
        ("17T02", "17T07", "hour", "2026-10-17 02:00-08:00 UTC (6 h)"),
        ("17T02", "17T02", "hour", "2026-10-17 02:00-03:00 UTC (1 h)"),
        ("17T22", "18T03", "hour", "2026-10-17 22:00 to 2026-10-18 04:00 UTC (6 h)"),
        ("17T22", "17T23", "hour", "2026-10-17 22:00 to 2026-10-18 00:00 UTC (2 h)"),
        ("17T00", "17T23", "day", "2026-10-17"),
        ("17T00", "19T23", "day", "2026-10-17 to 2026-10-19 (3 days)"),
    ],
)
def test_a_period_ends_when_its_last_hour_does(start: str, last: str, granularity: str, text: str) -> None:
    times = {"start_hour_utc": f"2026-10-{start}:00:00Z", "end_hour_utc": f"2026-10-{last}:00:00Z"}
    assert period_text(times | {"granularity": granularity}) == text


def test_the_schema_describes_every_field() -> None:
    schema = json_schema()
    assert (schema["title"], schema["type"]) == ("Alert", "object")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert tuple(schema["properties"]) == tuple(schema["required"]) == ALERT_FIELDS
    kinds = {name: field["type"] for name, field in schema["properties"].items()}
    python = {"string": str, "number": float, "integer": int, "boolean": bool, "array": list, "object": dict}
    for name, value in alert_record(p_value=None).items():
        assert kinds[name] == ["number", "null"] if name == "p_value" else type(value) is python[kinds[name]], name
    assert schema["properties"]["severity"]["enum"] == list(SEVERITIES)
    assert schema["properties"]["state"]["enum"] == ["open", "ended", "withdrawn"]
    assert schema["properties"]["reasons"]["items"] == {"type": "string"}
    assert schema["properties"]["contributors"]["items"]["properties"]["share"]["type"] == "number"
    assert all(field["description"] for field in schema["properties"].values())


amounts = st.sampled_from([0.0, 1.0, 2.5])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SEVERITIES), amounts, amounts, amounts, amounts, st.sampled_from("abc"))))
def test_worst_first(rows: list[tuple[str, float, float, float, float, str]]) -> None:
    names = ("severity", "cost_usd", "expected_cost_usd", "usage_gb", "expected_usage_gb", "start_hour_utc")
    found = worst_first(dict(zip(names, row, strict=True)) for row in rows)
    keys = [
        (
            -SEVERITIES.index(a["severity"]),  # type: ignore[arg-type]
            -(a["cost_usd"] - a["expected_cost_usd"]),  # type: ignore[operator]
            -(a["usage_gb"] - a["expected_usage_gb"]),  # type: ignore[operator]
            a["start_hour_utc"],
        )
        for a in found
    ]
    assert keys == sorted(keys)
    assert len(found) == len(rows)


def test_amounts_cover_all_series_and_gb_the_leading_class() -> None:
    nat = SERIES._replace(egress_class="nat_gateway", service="AmazonEC2", resource_id="nat-1")
    alert = build(
        hour(0), hour(2, 25.0, 2.5), hour(1, 45.0, 1.0, series=nat, egress_gb=0.0, expected_egress_gb=0.0), detected=2
    )
    assert {name: alert[name] for name in ("cost_usd", "expected_cost_usd", "egress_gb", "expected_egress_gb")} == {  # type: ignore[literal-required]
        "cost_usd": 5.0,
        "expected_cost_usd": 1.5,
        "egress_gb": 40.0,
        "expected_egress_gb": 10.0,
    }
    assert (alert["usage_gb"], alert["expected_usage_gb"]) == (40.0, 10.0)
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == ("2026-10-02T02:00:00Z", "2026-10-02T04:00:00Z")
    assert alert["detected_hour_utc"] == "2026-10-02T04:00:00Z"
    assert alert["anomalous_hours"] == 3
    lead = {name: alert[name] for name in ("account_id", "region", "service", "egress_class", "resource_id")}  # type: ignore[literal-required]
    assert lead == SERIES._asdict()
    assert alert["usage_type"] == "Out-Bytes"
    assert (alert["alert_id"], alert["model_id"]) == ("0123456789abcdef", "f" * 16)


def test_the_worst_hour_is_the_first_one_with_the_lowest_score() -> None:
    alert = build(
        hour(0, p_value=0.01),
        hour(1, anomaly_score=-0.3, p_value=0.002),
        hour(2, anomaly_score=-0.3, p_value=0.003),
        hour(3, anomaly_score=-0.2, p_value=0.004),
    )
    assert (alert["anomaly_score"], alert["p_value"]) == (-0.3, 0.002)


def test_an_hour_further_beyond_its_habit_is_worse_than_one_with_a_lower_score() -> None:
    alert = build(hour(0, anomaly_score=-0.3, times_habit=3.0), hour(1, anomaly_score=-0.2, times_habit=4.0))
    assert alert["anomaly_score"] == -0.2


@pytest.mark.parametrize(
    ("hours", "peak", "current"),
    [
        ([hour(0)], 2.0, 2.0),  # one hour is not taken for 24, only for half of them
        ([hour(0), hour(3)], 4.0, 4.0),
        ([hour(h) for h in range(12)], 24.0, 24.0),
        ([hour(h) for h in range(24)], 24.0, 24.0),
        ([hour(0, usd=99.0), *(hour(h) for h in range(1, 25))], 98.5 + 23, 24.0),  # the first one is 25 hours old
        ([hour(0, usd=0.25)], 0.0, 0.0),
    ],
)
def test_dollars_a_day_are_those_of_the_costliest_day_and_of_the_last(
    hours: list[Hour], peak: float, current: float
) -> None:
    alert = build(*hours)
    assert alert["current_usd_per_day"] == current
    assert alert["excess_cost_usd_per_day"] == pytest.approx(peak)


@pytest.mark.parametrize(
    ("usd_per_day", "severity"),
    [(49.99, "low"), (50, "medium"), (499.99, "medium"), (500, "high"), (4999.99, "high"), (5000, "critical")],
)
def test_the_severity_is_by_the_dollars(usd_per_day: float, severity: str) -> None:
    alert = build(*(hour(h, usd=0.5 + usd_per_day / 24) for h in range(24)), detected=23)
    assert alert["severity"] == severity


def test_the_five_largest_contributors_are_named_with_their_shares_of_all() -> None:
    names = {f"r{i}": float(i) for i in range(1, 8)}
    alert = build(*(hour(0, usd=0.5 + usd, series=SERIES._replace(resource_id=name)) for name, usd in names.items()))
    assert [(c["resource_id"], c["share"]) for c in alert["contributors"]] == [
        (f"r{i}", round(i / 28, 6)) for i in (7, 6, 5, 4, 3)
    ]
    assert alert["resource_id"] == "r7"


def test_a_contributor_below_expected_has_no_share() -> None:
    alert = build(hour(0), hour(0, usd=0.25, series=SERIES._replace(resource_id="less")))
    assert [(c["share"], c["excess_usd"]) for c in alert["contributors"]] == [(1.0, 1.0), (0.0, -0.25)]


def test_where_the_bill_says_zero_contributors_share_the_gb() -> None:
    free = {"usd": 0.0, "expected_cost_usd": 0.0}
    alert = build(hour(0, 8.0, **free), hour(0, 14.0, **free, series=SERIES._replace(resource_id="larger")))
    assert [(c["resource_id"], c["share"], c["excess_gb"]) for c in alert["contributors"]] == [
        ("larger", 0.75, 9.0),
        ("media-prod", 0.25, 3.0),
    ]
    none = build(hour(0, 5.0, **free))
    assert none["contributors"][0]["share"] == 0.0


def test_of_equal_contributors_the_first_by_class_and_resource_leads() -> None:
    others = [("inter_az", "a"), ("inter_az", "b"), ("cloudfront", "c")]
    alert = build(*(hour(0, series=SERIES._replace(egress_class=kind, resource_id=r)) for kind, r in others))
    assert [c["resource_id"] for c in alert["contributors"]] == ["c", "a", "b"]


def test_a_contributor_is_described_by_its_largest_hour() -> None:
    (contributor,) = build(
        hour(0, 15.0, usage_type="small"),
        hour(1, 25.0, usage_type="large", operation="Copy"),
        hour(2, 25.0, usage_type="later"),
    )["contributors"]
    assert (contributor["usage_type"], contributor["operation"]) == ("large", "Copy")
    assert (contributor["excess_usd"], contributor["excess_gb"]) == (3.0, 50.0)


@pytest.mark.parametrize(
    ("hours", "usual"),
    [
        ([hour(0)], "3.0 times the same hours of earlier days and weeks; elevated for one hour"),
        (
            [hour(0), hour(1)],
            "3.0 times the same hours of earlier days and weeks; elevated for 2 consecutive hours",
        ),
        (
            [hour(0), hour(2)],
            "3.0 times the same hours of earlier days and weeks; elevated in 2 of 3 hours",
        ),
        ([hour(0, 250.0)], "50.0 times the same hours of earlier days and weeks; elevated for one hour"),
        ([hour(0, 250.01)], "normally 5 GB; elevated for one hour"),
        ([hour(0, 800.0, expected_usage_gb=9.13), hour(1)], "normally 14 GB; elevated for 2 consecutive hours"),
        ([hour(0, 800.0, expected_usage_gb=0.3456)], "normally 0.35 GB; elevated for one hour"),
        ([hour(0, 250.0, expected_usage_gb=0.001)], "normally less than 0.01 GB; elevated for one hour"),
        ([hour(0, 250.0, expected_usage_gb=0.0)], "normally nothing; elevated for one hour"),
    ],
)
def test_the_first_reason_compares_with_what_is_expected(hours: list[Hour], usual: str) -> None:
    assert build(*hours)["reasons"] == [usual, "the model's reason"]


@pytest.mark.parametrize(
    ("p_value", "says"),
    [
        (0.05, "1 in 20 hours"),
        (1 / 12_345, "1 in 12,000 hours"),
        (1 / 129, "1 in 120 hours"),
        (0.4, "1 in 2 hours"),
        (1e-6, "1 in 1,000,000 hours"),
        (1e-9, "at most 1 in 1,000,000 hours"),
    ],
)
def test_a_reason_says_how_rare_the_worst_hour_is(p_value: float, says: str) -> None:
    (_, _, rarity) = build(hour(0, p_value=p_value))["reasons"]
    assert rarity == f"{says} above expected looks as unusual to the model"


FREE = "billed at $0 so far: a free tier, or not priced yet"
PROVISIONAL = "the bill for these hours is provisional and may still grow"
ESTIMATED = "estimated from flow logs at list prices, not billed yet"


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        ([hour(0, usd=0.0), hour(1, usd=0.0)], [FREE]),
        ([hour(0, usd=0.0), hour(1)], []),
        ([hour(0, is_estimated=True), hour(1, is_estimated=True)], [ESTIMATED]),
        ([hour(0), hour(1, is_estimated=True)], [f"1 of 2 hours are {ESTIMATED}"]),
        ([hour(0), hour(1, is_provisional=True)], [PROVISIONAL]),
        (
            [hour(0, usd=0.0, is_provisional=True, is_estimated=True)],
            [FREE, ESTIMATED, PROVISIONAL],
        ),
    ],
)
def test_reasons_say_what_is_not_certain_yet(hours: list[Hour], says: list[str]) -> None:
    alert = build(*hours)
    assert alert["reasons"][2:] == says
    assert alert["is_provisional"] == any(h.is_provisional for h in hours)
    assert alert["is_estimated"] == any(h.is_estimated for h in hours)


def test_amounts_are_rounded_to_six_decimals() -> None:
    alert = build(hour(0, 15.123456789, 1.123456789))
    (contributor,) = alert["contributors"]
    assert (alert["usage_gb"], alert["cost_usd"]) == (15.123457, 1.123457)
    assert alert["excess_cost_usd_per_day"] == alert["current_usd_per_day"] == 1.246914
    names = ("excess_usd", "excess_gb", "day_excess_gb")
    assert tuple(contributor[name] for name in names) == (0.623457, 10.123457, 10.123457)  # type: ignore[literal-required]


def test_a_built_alert_is_not_suppressed_and_names_a_model_only_if_it_has_an_id() -> None:
    incident = Incident("0123456789abcdef", START)
    incident.add([hour(0)])
    alert = build_alert(incident, Policy(), "")
    assert (alert["suppressed_by"], alert["model_id"]) == ("", "")
