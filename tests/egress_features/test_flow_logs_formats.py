"""Flow logs as S3, CloudWatch Logs, Firehose and Athena write them: the same records give the same hours."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features import BadInputError, FlowLogs, build_features, find_flow_logs, write_flow_hours
from tests.support.bill import line, write_parquet
from tests.support.flow_records import FIELDS, REGION, V2, interface, received, sent, write_interfaces, write_text

WORLD = "198.51.100.7"
STAMP = "2026-09-01T00:00:05.000Z"
RECORDS = [
    record | {"version": 2}
    for record in (
        sent(0, 2, WORLD),
        received(0, 1, WORLD),
        sent(1.2, 3, "10.0.0.6", path=1),
        sent(3, 5, WORLD, action="REJECT"),
        sent(4, 0, WORLD, log_status="NODATA", srcaddr=None, dstaddr=None, bytes=None, packets=None, action=None),
    )
]
DEFAULT = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"  # noqa: E501 - as AWS prints it


def plain(fields: Sequence[str]) -> list[str]:
    """Return the records as lines."""
    return [" ".join("-" if r[name] is None else str(r[name]) for name in fields) for r in RECORDS]


def batch(messages: Sequence[str], kind: str = "DATA_MESSAGE") -> str:
    """Return an object of a CloudWatch Logs subscription."""
    events = [{"id": str(n), "timestamp": 1, "message": message} for n, message in enumerate(messages)]
    return json.dumps({"messageType": kind, "owner": "011122223333", "logGroup": "flow", "logEvents": events})


def quoted(fields: Sequence[str], null: str, spelled: Callable[[str], str] = str) -> str:
    """Return CSV as Athena writes its results: every value in quotes, nothing at all for null."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([spelled(name) for name in fields])
    for record in RECORDS:
        values = [record[name] for name in fields]
        out.write(",".join(null if value is None else f'"{value}"' for value in values) + "\n")
    return out.getvalue()


# The file name of each kind, and the function that writes its content.
KINDS: dict[str, tuple[str, Callable[[Sequence[str]], str]]] = {
    "text": ("x.log", lambda f: "\n".join([" ".join(f), *plain(f)]) + "\n"),
    "headerless text": ("x.log", lambda f: "\n".join(plain(f)) + "\n"),
    "CloudWatch Logs": ("000000.gz", lambda f: "".join(f"{STAMP} {record}\n" for record in plain(f))),
    "Firehose": ("x.json", lambda f: "\n".join(json.dumps({"message": record}) for record in plain(f))),
    "Firehose, side by side": ("x.json.gz", lambda f: "".join(json.dumps({"message": r}) for r in plain(f))),
    "subscription": (
        "flow-1-2026-09-01-00-00-05-0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f.gz",
        lambda f: batch(["CWL CONTROL MESSAGE: Checking health."], "CONTROL_MESSAGE") + batch(plain(f)),
    ),
    "JSON keys": (
        "x.jsonl",
        lambda f: "\n".join(json.dumps({name: record[name] for name in f}) for record in RECORDS),
    ),
    "Athena": ("3f1c.csv", lambda f: quoted(f, "", lambda name: name.replace("-", "_"))),
    "Athena, text": ("x.txt", lambda f: quoted(f, '"-"')),
    "Logs Insights": ("x.csv.gz", lambda f: quoted(f, "", camel)),
}
NAMELESS = ("headerless text", "CloudWatch Logs", "Firehose", "Firehose, side by side", "subscription")


def camel(name: str) -> str:
    first, *more = name.split("-")
    return first + "".join(part.capitalize() for part in more)


def write(folder: Path, kind: str, fields: Sequence[str]) -> Path:
    name, text = KINDS[kind]
    content = text(fields).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def hours(folder: Path, log_format: str | None, *network: Path) -> pd.DataFrame:
    write_flow_hours(FlowLogs(find_flow_logs([folder]), network, log_format=log_format), folder / "hours")
    return pq.read_table(folder / "hours").to_pandas()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.permutations([*FIELDS, "version", "srcport"]),
    st.sampled_from(["${%s}", "%s", "$${%s}", "${%s},"]),
)
def test_fields_in_any_order_give_the_same_hours(
    tmp_path_factory: pytest.TempPathFactory, kind: str, fields: list[str], spelled: str
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    expected = hours(write(folder / "expected", "text", FIELDS), None)
    log_format = " ".join(spelled % name for name in fields)
    found = hours(write(folder / "found", kind, fields), log_format)
    pd.testing.assert_frame_equal(found, expected)
    assert len(expected) == 2


@pytest.mark.parametrize("kind", NAMELESS)
def test_records_without_names_need_the_format(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / "logs", kind, V2)
    with pytest.raises(BadInputError, match=r"look like the default format, so add --flow-log-format default"):
        hours(folder, None)
    assert hours(folder, "default").equals(hours(folder, DEFAULT))
    # Any other order is the user's to give.
    folder = write(tmp_path / "custom", kind, FIELDS)
    with pytest.raises(BadInputError, match=r"--flow-log-format '\$\{version\} \$\{account-id\} .*describe-flow-logs"):
        hours(folder, None)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(NAMELESS)))
def test_records_with_names_need_no_format(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / "logs", kind, FIELDS)
    assert hours(folder, None).equals(hours(folder, "default"))


def test_the_older_columns_of_athena(tmp_path: Path) -> None:
    older = {
        "account-id": "account", "interface-id": "interfaceid", "srcaddr": "sourceaddress",
        "dstaddr": "destinationaddress", "packets": "numpackets", "bytes": "numbytes", "start": "starttime",
        "end": "endtime", "log-status": "logstatus", "pkt-srcaddr": "packetsourceaddress",
    }  # fmt: skip
    (tmp_path / "x.csv").write_text(quoted(FIELDS, "", lambda name: older.get(name, name)))
    assert hours(tmp_path, None).equals(hours(write(tmp_path / "text", "text", FIELDS), None))


def test_folders_of_exports_are_searched_and_bills_in_them_are_not_read(tmp_path: Path) -> None:
    exported = write(tmp_path / "exportedlogs" / "0a1b-task" / "eni-0a-all", "CloudWatch Logs", FIELDS)
    (tmp_path / "exportedlogs" / "aws-logs-write-test").write_text("Permission Check Successful")
    results = write(tmp_path / "results", "Athena", FIELDS)
    (results / "3f1c.csv.metadata").write_bytes(b"\x00\x01")
    (tmp_path / "bill.csv").write_text("lineItem/UsageType,lineItem/UsageAmount\nDataTransfer-Out-Bytes,2\n")
    (tmp_path / "bill.csv.gz").write_bytes(gzip.compress(b"line_item_usage_type,bytes\nx,1\n"))
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    (tmp_path / "manifest.json").write_text('{"reportKeys": []}')
    (tmp_path / "blob.json").write_bytes(b"\xff\xfe{")
    assert find_flow_logs([tmp_path]) == [exported / "000000.gz", results / "3f1c.csv"]
    # A file that is named is read, or refused, whatever its name.
    odd = tmp_path / "no-suffix"
    odd.write_bytes(gzip.compress(KINDS["text"][1](FIELDS).encode()))
    assert find_flow_logs([odd]) == [odd]
    write_flow_hours(FlowLogs([odd]), tmp_path / "hours")
    with pytest.raises(BadInputError, match="is no VPC flow log"):
        write_flow_hours(FlowLogs(find_flow_logs([tmp_path / "bill.csv"])), tmp_path / "hours")


@pytest.mark.parametrize(
    ("log_format", "sentence"),
    [
        ("", "and has no field"),
        # What a shell makes of "${version} ${account-id} ${interface-id} ... ${log-status}" in double quotes.
        (" id id        status", r"lacks interface-id, srcaddr, .* and has id id status; .*single quotes"),
        ("${interface-id} ${srcaddr} ${dstaddr} ${bytes}", "lacks start"),
        ("${interface-id} ${srcaddr} ${srcaddr} ${dstaddr} ${bytes} ${start}", "names the field srcaddr twice"),
        ("${version", r"has '\$\{version', which is no field"),
        ("version;bytes", "has 'version;bytes', which is no field"),
        ("${version} ${tgw-id} ${bytes} ${srcaddr}", "transit gateway"),
        ("${interface-id} ${srcaddr} ${dstaddr} ${bytes} ${start}", "has 14 fields in line 1, .*names 5"),
    ],
)
def test_a_format_that_cannot_be_is_refused(tmp_path: Path, log_format: str, sentence: str) -> None:
    folder = write(tmp_path, "CloudWatch Logs", V2)
    with pytest.raises(BadInputError, match=sentence):
        hours(folder, log_format)


def text(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("write_file", "sentence"),
    [
        (
            text("x.log", "\n".join(plain(V2)) + "\n2 0111 eni-0a\n"),
            r"x.log has 3 fields in line 6, and its format has 14",
        ),
        (
            text("x.json", json.dumps({"message": "2 0111"}) + '{"message": "2"}'),
            "x.json has a message .*14 fields.*: 2",
        ),
        (text("x.json", json.dumps({"message": None})), "x.json has a message .*: null"),
        (text("x.log", '{"records": []}'), "is JSON without flow log records"),
        (text("x.log", plain(V2)[0].replace("2000000000", "many")), "'many' in the field bytes.*check their order"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, write_file: Any, sentence: str) -> None:
    write_file(tmp_path)
    with pytest.raises(BadInputError, match=sentence):
        hours(tmp_path, "default")


def test_a_region_that_no_record_names_is_the_only_one_that_is_known(tmp_path: Path) -> None:
    folder = write(tmp_path / "logs", "CloudWatch Logs", V2)
    assert set(hours(folder, "default")["region"]) == {"unknown"}
    zone = write_interfaces(tmp_path / "eni.json", interface("eni-0a", "10.0.0.5"))
    assert set(hours(folder, "default", zone)["region"]) == {REGION}
    other = write_interfaces(
        tmp_path / "other.json", interface("eni-0b", "10.1.0.5", AvailabilityZone="us-west-2-lax-1a")
    )
    with pytest.raises(BadInputError, match=r"do not show the region .*aws-region=us-east-1"):
        hours(folder, "default", zone, other)
    assert set(hours(folder, "default", other)["region"]) == {"us-west-2"}
    moved = write(tmp_path / "aws-region=eu-central-1", "CloudWatch Logs", V2)
    assert set(hours(moved, "default", zone, other)["region"]) == {"eu-central-1"}


def test_the_region_is_the_bills_where_it_has_one(tmp_path: Path) -> None:
    billed = [line(h, 2.0, product_code="AmazonEC2", resource_id="i-0a") for h in range(200)]
    bill = write_parquet(tmp_path / "bill.parquet", billed)
    records = [sent(hour, 2, WORLD) for hour in range(150, 240)]
    write_text(tmp_path / "x.log", records, (*V2, "instance-id"))
    summary = build_features([bill], tmp_path / "f.parquet", flow_logs=FlowLogs([tmp_path / "x.log"]))
    rows = pq.read_table(tmp_path / "f.parquet").to_pandas()
    assert summary.series == 1
    assert len(rows[rows["is_estimated"]]) == 240 - 200 + 24
    assert f"They count as {rows['region'][0]}, the only region of the bill" in " ".join(summary.notes)
