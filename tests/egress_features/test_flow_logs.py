"""VPC Flow Logs: from records to hours of interfaces, and to estimated lines of the bill."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.rows import without_levels
from egress_features import KEYS, BadInputError, FlowLogs, build_features, find_flow_logs, write_flow_hours
from egress_features.flow_logs import DEFAULT_PRICES, read_prices
from tests.support.bill import START, line, write_parquet
from tests.support.flow_logs import DEFAULT_FIELDS, FIELDS, write_flow_logs
from tests.support.flow_records import V2, interface, received, sent, write_interfaces, write_text

NAT = "arn:aws:ec2:eu-west-1:011122223333:natgateway/nat-0abc"
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:011122223333:loadbalancer/app/player/0123456789abcdef"
WORLD, S3 = "198.51.100.7", "52.216.8.67"


def hours_of(
    folder: Path, records: Sequence[dict[str, Any]], *network: Path, fields: Sequence[str] = ()
) -> pd.DataFrame:
    path = (
        write_text(folder / "flow.log.gz", records, fields) if fields else write_text(folder / "flow.log.gz", records)
    )
    write_flow_hours(FlowLogs([path], network), folder / "hours.parquet")
    return pq.read_table(folder / "hours.parquet").to_pandas()


def estimated(folder: Path, flow_logs: FlowLogs) -> pd.DataFrame:
    build_features([], folder / "estimated.parquet", flow_logs=flow_logs)
    return without_levels(pq.read_table(folder / "estimated.parquet")).to_pandas()


def charges(
    folder: Path, records: Sequence[dict[str, Any]], *network: Path, fields: Sequence[str] = ()
) -> dict[Any, float]:
    """Return GB by egress class and resource; two small records make the logs long enough."""
    ends = [sent(hour, 1e-9, WORLD) for hour in (0, 239)]
    path = folder / "flow.log.gz"
    write_text(path, [*records, *ends], fields) if fields else write_text(path, [*records, *ends])
    rows = estimated(folder, FlowLogs([path], network))
    added = rows.groupby(["egress_class", "resource_id"])["usage_gb"].sum()
    return {key: round(gb, 6) for key, gb in added.items() if gb > 1e-6}


def lines(hours: int = 240) -> list[dict[str, Any]]:
    """Return a bill with each kind of line that flow logs see, and one that they do not see."""
    kinds: list[tuple[str, str, str, float]] = [
        ("EU-DataTransfer-Out-Bytes", "AmazonEC2", "i-0a", 1.5),
        ("EU-DataTransfer-In-Bytes", "AmazonEC2", "i-0a", 0.25),
        ("EU-DataTransfer-Out-Bytes", "AWSELB", BALANCER, 2.5),
        ("EU-NatGateway-Bytes", "AmazonEC2", NAT, 4.0),
        ("EU-DataTransfer-Regional-Bytes", "AmazonEC2", "i-0b", 6.0),
        ("EU-DataTransfer-Out-Bytes", "AmazonS3", "media-prod", 5.0),
    ]
    return [
        line(
            hour,
            round(gb * (1 + hour % 24 / 7), 9),
            0.0 if "-In-" in kind else None,
            usage_type=kind,
            product_code=service,
            resource_id=resource,
        )
        for hour in range(hours)
        for kind, service, resource, gb in kinds
    ]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("bill") / "bill.parquet", lines())


@pytest.fixture(scope="module")
def logs(bill: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    start, end = START, START + timedelta(hours=240)
    return write_flow_logs([bill], tmp_path_factory.mktemp("logs"), start=start, end=end)


def given_logs(folder: Path, **more: Any) -> FlowLogs:
    return FlowLogs(find_flow_logs([folder / "AWSLogs"]), [folder / "network.json", folder / "subnets.json"], **more)


def test_flow_logs_alone_say_what_the_bill_says(bill: Path, logs: Path, tmp_path: Path) -> None:
    rows = estimated(tmp_path, given_logs(logs))
    build_features([bill], tmp_path / "billed.parquet")
    billed = without_levels(pq.read_table(tmp_path / "billed.parquet")).to_pandas()
    seen = billed[billed["service"] != "AmazonS3"].reset_index(drop=True)
    assert rows[list(KEYS)].equals(seen[list(KEYS)])
    assert rows["usage_gb"].to_numpy() == pytest.approx(seen["usage_gb"].to_numpy(), abs=2e-9)
    assert rows["usage_type"].tolist() == seen["usage_type"].tolist()
    assert rows["is_estimated"].all()
    assert not seen["is_estimated"].any()
    price = rows["cost_usd"].sum() / rows["usage_gb"].sum()
    assert price == pytest.approx((1.5 * 0.09 + 2.5 * 0.09 + 4 * 0.048 + 6 * 0.01) / 14)


def test_layouts_and_formats_give_the_same_rows(bill: Path, logs: Path, tmp_path: Path) -> None:
    whole = {"start": START, "end": START + timedelta(hours=240)}
    forms: list[dict[str, Any]] = [{"hive": True, "parquet": True}, {"fields": tuple(reversed(FIELDS))}]
    first = estimated(tmp_path, given_logs(logs))
    for number, form in enumerate(forms):
        folder = write_flow_logs([bill], tmp_path / str(number), **whole, **form)
        assert estimated(tmp_path, given_logs(folder)).equals(first)


def test_version_2_needs_the_network_to_say_the_same(bill: Path, logs: Path, tmp_path: Path) -> None:
    window = {"start": START, "end": START + timedelta(hours=240)}
    folder = write_flow_logs([bill], tmp_path / "v2", fields=DEFAULT_FIELDS, **window)
    rows, version_5 = estimated(tmp_path, given_logs(folder)), estimated(tmp_path, given_logs(logs))
    # S3 has public addresses, so traffic through the gateway to S3 looks like internet traffic.
    looks = (rows["egress_class"] == "internet") & (rows["resource_id"] == NAT)
    assert rows[looks]["usage_gb"].sum() == pytest.approx(
        0.02 * rows[rows["egress_class"] == "nat_gateway"]["usage_gb"].sum()
    )
    columns = [*KEYS, "usage_gb", "cost_usd", "expected_usage_gb", "excess_3d_log"]
    assert rows[~looks][columns].reset_index(drop=True).equals(version_5[columns])
    output = tmp_path / "alone.parquet"
    summary = build_features([], output, flow_logs=FlowLogs(find_flow_logs([folder])))
    said = " ".join(summary.notes)
    for unknown in (
        "no traffic-path",
        "do not name AWS services",
        "do not identify NAT gateways",
        "without a known owner",
        "in unknown zones",
    ):
        assert unknown in said
    resources = set(without_levels(pq.read_table(output))["resource_id"].to_pylist())
    assert all(resource.startswith("eni-") for resource in resources)


def test_the_bill_speaks_where_it_is_complete_and_flow_logs_after_it(logs: Path, tmp_path: Path) -> None:
    short = write_parquet(tmp_path / "bill.parquet", lines(210))
    summary = build_features([short], tmp_path / "f.parquet", flow_logs=given_logs(logs))
    rows = without_levels(pq.read_table(tmp_path / "f.parquet")).to_pandas()
    seen = rows[rows["service"] != "AmazonS3"]
    complete_until = START + timedelta(hours=210 - 24)
    assert (seen["is_estimated"] == (seen["hour_utc"] >= complete_until)).all()
    assert seen["hour_utc"].max() == START + timedelta(hours=239)
    # Flow logs see no bucket's traffic: its series ends with the bill and is no silence.
    unseen = rows[rows["service"] == "AmazonS3"]
    assert unseen["hour_utc"].max() == START + timedelta(hours=209)
    assert not unseen["is_estimated"].any()
    assert "2026-09-08 18:00 UTC on are estimated" in summary.notes[-1]
    whole = write_parquet(tmp_path / "whole.parquet", lines())
    build_features([whole], tmp_path / "whole-f.parquet")
    later = pq.read_table(tmp_path / "whole-f.parquet").to_pandas()
    both = rows.merge(later, on=list(KEYS), suffixes=("", "_billed"))
    assert len(both) == len(rows)
    assert both["usage_gb"].to_numpy() == pytest.approx(both["usage_gb_billed"].to_numpy(), abs=2e-9)
    covered = both[(both["service"] != "AmazonS3") & (both["hour_utc"] < complete_until)]
    assert covered["excess_3d_log"].equals(covered["excess_3d_log_billed"])


def test_where_the_bill_is_complete_can_be_said(logs: Path, tmp_path: Path) -> None:
    short = write_parquet(tmp_path / "bill.parquet", lines(210))
    until = START + timedelta(hours=205)
    build_features([short], tmp_path / "f.parquet", flow_logs=given_logs(logs, bill_complete_until=until))
    rows = pq.read_table(tmp_path / "f.parquet").to_pandas()
    assert rows[rows["is_estimated"]]["hour_utc"].min() == until


def test_a_gap_between_bill_and_flow_logs_is_refused(logs: Path, tmp_path: Path) -> None:
    late = [path for path in find_flow_logs([logs]) if "/2026/09/10/" in path.as_posix()]
    short = write_parquet(tmp_path / "bill.parquet", lines(200))
    with pytest.raises(BadInputError, match="hours between would look like silence"):
        build_features([short], tmp_path / "f.parquet", flow_logs=FlowLogs(late))


def test_bytes_through_a_nat_gateway_count_once(tmp_path: Path) -> None:
    gateway = {"own": "10.0.0.9", "interface_id": "eni-0n", "instance_id": None}
    through = [
        sent(1, 3, WORLD, path=1),
        received(1, 3, "10.0.0.5", pkt_dstaddr=WORLD, **gateway),
        sent(1, 3, WORLD, **gateway),
        received(1, 5, WORLD, **gateway),
        sent(1, 5, "10.0.0.5", pkt_srcaddr=WORLD, path=1, **gateway),
        received(1, 5, WORLD),
    ]
    named = write_interfaces(
        tmp_path / "eni.json",
        interface("eni-0n", "10.0.0.9", InterfaceType="nat_gateway", Description="Interface for NAT Gateway nat-0abc"),
    )
    assert charges(tmp_path, through) == {("internet", "eni-0n"): 3, ("nat_gateway", "eni-0n"): 8}
    assert charges(tmp_path, through, named) == {("internet", NAT): 3, ("nat_gateway", NAT): 8}
    # Without the gateway's records, those of the instance are used.
    own_records = [record for record in through if record["interface-id"] == "eni-0a"]
    assert charges(tmp_path, own_records) == {("internet", "i-0a"): 3, ("nat_gateway", ""): 8}
    # Version 2 has neither path nor packet addresses: the file names the gateway, its peers are behind it.
    instance = interface("eni-0a", "10.0.0.5", Attachment={"InstanceId": "i-0a"})
    both = write_interfaces(tmp_path / "both.json", instance, json.loads(named.read_text())["NetworkInterfaces"][0])
    named_files = [record | {"region": "eu-west-1"} for record in through]
    assert charges(tmp_path, named_files, both, fields=(*V2, "region")) == {
        ("internet", NAT): 3,
        ("nat_gateway", NAT): 8,
    }


def test_both_ends_of_cross_zone_traffic_are_charged_and_same_zone_traffic_is_free(tmp_path: Path) -> None:
    other = {"own": "10.0.1.6", "interface_id": "eni-0b", "instance_id": "i-0b", "az_id": "euw1-az2"}
    near = {"own": "10.0.0.7", "interface_id": "eni-0c", "instance_id": "i-0c"}
    records = [
        sent(1, 2, "10.0.1.6", path=1),
        received(1, 2, "10.0.0.5", **other),
        sent(1, 7, "10.0.0.7", path=1),
        received(1, 7, "10.0.0.5", **near),
    ]
    assert charges(tmp_path, records) == {("inter_az", "i-0a"): 2, ("inter_az", "i-0b"): 2}


@pytest.mark.parametrize(
    ("record", "destination_class"),
    [
        (sent(0, 1, WORLD, path=8), "internet"),
        (sent(0, 1, WORLD, path=2), "internet"),
        (sent(0, 1, WORLD, path=1), "nat"),
        (sent(0, 1, S3, path=7, pkt_dst_aws_service="S3"), "gateway_endpoint"),
        (sent(0, 1, S3, path=8, pkt_dst_aws_service="S3"), "aws_service"),
        (sent(0, 1, "172.31.0.1", path=3), "on_premises"),
        (sent(0, 1, "172.31.0.1", path=4), "peering_same_region"),
        (sent(0, 1, "172.31.0.1", path=5), "peering_other_region"),
        (sent(0, 1, "172.31.0.1", path=6), "local_gateway"),
        (sent(0, 1, "172.31.0.1", path=1), "private"),
        (sent(0, 1, "172.32.0.1", path=None), "internet"),
        (sent(0, 1, "fd00::1", path=None), "private"),
        (sent(0, 1, "2a05:d018::1", path=8), "internet"),
    ],
)
def test_the_path_names_the_class(tmp_path: Path, record: dict[str, Any], destination_class: str) -> None:
    (row,) = hours_of(tmp_path, [record]).to_dict("records")
    assert (row["destination_class"], row["out_gb"], row["in_gb"]) == (destination_class, 1.0, 0.0)


def test_rejected_and_lost_records_carry_nothing(tmp_path: Path) -> None:
    records = [
        sent(0, 1, WORLD),
        sent(0, 9, WORLD, action="REJECT"),
        sent(0, 0, WORLD, log_status="NODATA", srcaddr=None, dstaddr=None, bytes=None, packets=None),
        sent(0, 0, WORLD, log_status="SKIPDATA", srcaddr=None, dstaddr=None, bytes=None, packets=None),
    ]
    path = write_text(tmp_path / "flow.log", records)
    summary = write_flow_hours(FlowLogs([path]), tmp_path / "hours.parquet")
    assert pq.read_table(tmp_path / "hours.parquet")["out_gb"].to_pylist() == [1.0]
    assert "1 records have the status SKIPDATA" in summary.notes[0]


def test_new_destinations_their_share_concentration_and_out_to_in(tmp_path: Path) -> None:
    usual = [sent(hour, 3, WORLD) for hour in range(30)] + [
        sent(hour, 1, S3, pkt_dst_aws_service="S3") for hour in range(30)
    ]
    stolen = [sent(28.5, 6, "203.0.113.1"), sent(28.5, 3, "203.0.113.2"), received(28, 2, "203.0.113.1")]
    rows = hours_of(tmp_path, [*usual, *stolen])
    internet = rows[rows["destination_class"] == "internet"].set_index("hour_utc")
    assert internet["new_destinations"].isna().sum() == 24
    night = internet.iloc[28]
    assert (night["out_gb"], night["destinations"], night["new_destinations"]) == (12.0, 3, 2)
    assert night["new_destination_share"] == pytest.approx(9 / 12)
    assert (night["top_destination"], night["top_destination_share"]) == ("203.0.113.1", 0.5)
    assert night["concentration"] == pytest.approx((6 / 12) ** 2 + 2 * (3 / 12) ** 2)
    assert night["out_in_ratio"] == pytest.approx(12 / 2)
    assert internet.iloc[29][["new_destinations", "new_destination_share", "concentration"]].tolist() == [0, 0, 1]
    cut = [record for record in [*usual, *stolen] if record["start"] < usual[29]["start"]]
    before = hours_of(tmp_path, cut)
    assert before.equals(rows[rows["hour_utc"] < internet.index[29]].reset_index(drop=True))


def test_the_exfiltration_of_a_generated_log_goes_to_a_new_address(tmp_path: Path) -> None:
    stolen = lines()
    (out,) = (
        row
        for row in stolen
        if row["line_item_usage_start_date"] == START + timedelta(hours=200)
        and (row["line_item_usage_type"], row["line_item_resource_id"]) == ("EU-DataTransfer-Out-Bytes", "i-0a")
    )
    out["line_item_usage_amount"] = 20.0
    bill = write_parquet(tmp_path / "bill.parquet", stolen)
    hour = f"{START + timedelta(hours=200):%Y-%m-%dT%H:00:00Z}"
    label = {"kind": "exfiltration", "resource_id": "i-0a", "start_hour_utc": hour, "end_hour_utc": hour}
    window = {"start": START + timedelta(hours=100), "end": START + timedelta(hours=240)}
    folder = write_flow_logs([bill], tmp_path / "logs", labels=[label], **window)
    write_flow_hours(given_logs(folder), tmp_path / "hours.parquet")
    rows = pq.read_table(tmp_path / "hours.parquet").to_pandas()
    own = rows[(rows["resource_id"] == "i-0a") & (rows["destination_class"] == "internet")]
    (found,) = own[own["new_destinations"] > 0].to_dict("records")
    assert found["hour_utc"] == pd.Timestamp(hour)
    assert (found["new_destinations"], found["top_destination"]) == (1, "192.0.2.99")
    assert found["new_destination_share"] > 0.75
    assert found["out_in_ratio"] == own["out_in_ratio"].max()


addresses = st.sampled_from([WORLD, S3, "10.0.0.6", "10.0.3.9", "fd00::9"])
flows = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(1, 10**12), addresses, st.booleans(), st.sampled_from(["ACCEPT", "REJECT"])
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(flows, st.permutations([*FIELDS, "reject-reason"]), st.sampled_from(["flow.log", "flow.log.gz", "flow.txt"]))
def test_any_order_of_fields_gives_the_sums(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Any], fields: list[str], name: str
) -> None:
    folder = tmp_path_factory.mktemp("text")
    records, expected = [], defaultdict(int)
    for hour, size, peer, is_out, action in parts:
        make = sent if is_out else received
        extra = {
            "action": action,
            "bytes": size,
            "subnet-id": "-",
            "tcp-flags": 2,
            "type": "IPv4",
            "reject-reason": "-",
        }
        records.append(make(hour, 0, peer) | extra)
        if action == "ACCEPT":
            expected[hour, is_out] += size
    write_text(folder / name, records, fields)
    flow_logs = FlowLogs([folder / name])
    if not expected:
        with pytest.raises(BadInputError, match="no accepted traffic"):
            write_flow_hours(flow_logs, folder / "hours.parquet")
        return
    summary = write_flow_hours(flow_logs, folder / "hours.parquet")
    rows = pq.read_table(folder / "hours.parquet").to_pandas()
    assert summary.records == len(records)
    for column, is_out in (("out_gb", True), ("in_gb", False)):
        sums = {hour: size / 1e9 for (hour, way), size in expected.items() if way == is_out}
        by_hour = rows.groupby("hour_utc")[column].sum()
        assert {int((h - START) / timedelta(hours=1)): gb for h, gb in by_hour.items() if gb} == pytest.approx(sums)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_noise_is_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, has_header: bool
) -> None:
    path = tmp_path_factory.mktemp("noise") / "flow.log"
    path.write_bytes((" ".join(V2).encode() + b"\n" if has_header else b"") + noise)
    with pytest.raises(BadInputError, match=r".{20}"):
        write_flow_hours(FlowLogs([path]), path.with_name("hours.parquet"))
    assert not path.with_name("hours.parquet").exists()


def text(content: str) -> Any:
    return lambda folder: (folder / "x.log").write_text(content)


def record_text(**values: Any) -> str:
    return " ".join(V2) + "\n" + " ".join("-" if v is None else str(v) for v in (
        {name: sent(0, 1, WORLD)[name] for name in V2} | {name.replace("_", "-"): v for name, v in values.items()}
    ).values()) + "\n"  # fmt: skip


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (text(""), "is empty"),
        (text("2 0111 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1 2 ACCEPT OK\n"), "begins with a record"),
        (text("interface-id srcaddr dstaddr start\n"), "is no VPC flow log"),
        (text("interface-id srcaddr dstaddr bytes\n"), "no field start"),
        (text("interface-id srcaddr dstaddr bytes start bytes\n"), "names the field bytes twice"),
        (text("version tgw-id bytes srcaddr\n"), "transit gateway's flow log"),
        (text(record_text(bytes="many")), "has 'many' in the field bytes"),
        (text(record_text(bytes=-1)), "has '-1' in the field bytes"),
        (text(record_text(start="2026-09-01")), "in the field start"),
        (text(record_text(account_id="unknown")), "do not show the account"),
        (text(record_text() + "2 0111 eni-1\n"), "x.log"),
        (text(" ".join(V2) + "\n"), "no accepted traffic"),
        (lambda folder: (folder / "x.log.gz").write_bytes(b"\x1f\x8b\x08\x00cut"), "cut off"),
        (lambda folder: (folder / "x.log.gz").write_text("plain"), "cut off"),
        (lambda folder: (folder / "x.parquet").write_bytes(b"PAR1"), "cut off"),
        (lambda folder: (folder / "x.csv").write_text(""), "no flow log in"),
    ],
)
def test_bad_flow_logs_are_refused_with_a_sentence(tmp_path: Path, write: Any, sentence: str) -> None:
    write(tmp_path)
    with pytest.raises(BadInputError, match=sentence):
        write_flow_hours(FlowLogs(find_flow_logs([tmp_path])), tmp_path / "hours.parquet")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON"),
        ("[]", "NetworkInterfaces and Subnets"),
        ('{"NetworkInterfaces": [{}]}', "NetworkInterfaceId"),
        ('{"NetworkInterfaces": [1]}', "would not write"),
        ('{"Subnets": [{"CidrBlock": "10.0/99", "AvailabilityZoneId": "a"}]}', "would not write"),
    ],
)
def test_a_bad_network_file_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    path = write_text(tmp_path / "flow.log", [sent(0, 1, WORLD)])
    (tmp_path / "network.json").write_text(content)
    with pytest.raises(BadInputError, match=sentence):
        write_flow_hours(FlowLogs([path], [tmp_path / "network.json"]), tmp_path / "hours.parquet")


def test_a_price_table_of_ones_own_is_used(logs: Path, tmp_path: Path) -> None:
    table = json.loads(DEFAULT_PRICES.read_text())
    table["prices"] = [price | {"usd_per_gb": 1.0} for price in table["prices"]]
    (tmp_path / "prices.json").write_text(json.dumps(table))
    rows = estimated(tmp_path, given_logs(logs, prices=tmp_path / "prices.json"))
    assert rows["cost_usd"].to_numpy() == pytest.approx(rows["usage_gb"].to_numpy())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("source"), "lacks 'source'"),
        (lambda t: t["prices"][0].pop("region"), "lacks 'region'"),
        (lambda t: t["prices"][0].update(usd_per_gb=-1), "accepted are dollars from 0"),
        (lambda t: t["prices"][0].update(usd_per_gb="0.09"), "accepted are dollars from 0"),
        (lambda t: t["prices"][0].update(egress_class="carrier_pigeon"), "carrier_pigeon"),
        (lambda t: t["prices"].append(t["prices"][0]), "two prices of internet"),
        (lambda t: t["prices"].pop(0), r'no price of internet for the region "\*"'),
    ],
)
def test_a_bad_price_table_is_refused(tmp_path: Path, change: Any, sentence: str) -> None:
    table = json.loads(DEFAULT_PRICES.read_text())
    change(table)
    (tmp_path / "prices.json").write_text(json.dumps(table))
    with pytest.raises(BadInputError, match=sentence):
        read_prices(tmp_path / "prices.json")


def test_a_bill_without_resource_ids_is_not_continued(logs: Path, tmp_path: Path) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", [each | {"line_item_resource_id": ""} for each in lines()])
    with pytest.raises(BadInputError, match="the bill has no resource ids"):
        build_features([bill], tmp_path / "features.parquet", flow_logs=given_logs(logs))
