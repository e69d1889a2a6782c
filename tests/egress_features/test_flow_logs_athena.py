"""Athena's statements over flow logs, run on DuckDB, make what `egress-sentinel features` makes."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from egress_alerts.rows import without_levels
from egress_features import KEYS, FlowLogs, build_features, find_flow_logs
from egress_features.engines import athena as of_the_bill
from egress_features.flow_logs.athena import FLOW_DAYS, TABLES, main, statements
from egress_features.flow_logs.fields import FIELDS
from tests.egress_features.test_flow_logs import BALANCER, NAT, lines
from tests.support.bill import START, line, write_parquet
from tests.support.flow_logs import write_flow_logs
from tests.support.flow_records import received, sent

pytestmark = pytest.mark.slow

LISTED = ("NetworkInterfaceId", "Description", "InterfaceType", "AvailabilityZone", "OwnerId")
NOW = START + timedelta(hours=240, minutes=20)


class Athena:
    """A DuckDB that is asked in Athena's dialect, with the tables of `terraform/modules/features`."""

    def __init__(self, bill: Path, logs: Path, network: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self._make_bill(bill)
        self._make_flow_logs(logs)
        listed = json.loads(network.read_text())["NetworkInterfaces"]
        named = [each for each in listed if each["Description"]]
        lists = [[each[name] for each in named] for name in LISTED]
        names = ("interface_ids", "descriptions", "interface_types", "zones", "owners")
        self.connection.execute(f"CREATE TABLE network ({', '.join(f'{name} VARCHAR[]' for name in names)})")
        # An account without gateways and balancers has a file of empty lists.
        self.connection.execute("INSERT INTO network VALUES (?, ?, ?, ?, ?), ([], [], [], [], [])", lists)

    def run(self, made: dict[str, str], *, now: datetime = NOW, days: int = 40, flow_days: int = 10) -> None:
        """Make the tables of a run."""
        for name, sql in made.items():
            filled = sql.replace("__run__", "x").replace("__months__", "600").replace("__days__", str(days))
            filled = filled.replace(FLOW_DAYS, str(flow_days)).replace("CURRENT_DATE", f"DATE '{now:%Y-%m-%d}'")
            filled = filled.replace("CURRENT_TIMESTAMP", f"TIMESTAMP '{now:%Y-%m-%d %H:%M:%S}'")
            query = sqlglot.parse_one(filled, read="athena").expression.sql("duckdb")
            self.connection.execute(f"CREATE OR REPLACE TABLE {name}_x AS {query}")

    def features(self, folder: Path) -> pa.Table:
        """Return what the last run wrote."""
        self.connection.execute(f"COPY (SELECT * EXCLUDE (day) FROM features_x) TO '{folder / 'found.parquet'}'")
        return pq.read_table(folder / "found.parquet")

    def _make_bill(self, bill: Path) -> None:
        described = self.connection.execute(f"DESCRIBE SELECT * FROM '{bill}'").fetchall()
        read = re.findall(
            r"\b(?:bill_\w+|line_item_\w+|product_\w+|resource_tags|cost_category)\b",
            of_the_bill.statements()["line_hours"],
        )
        lacking = sorted(set(read) - {row[0] for row in described})
        types = {name: "DOUBLE" if name.endswith(("_cost", "_amount")) else "VARCHAR" for name in lacking}
        types |= dict.fromkeys({"resource_tags", "cost_category"} & types.keys(), "MAP(VARCHAR, VARCHAR)")
        texts = "".join(f", CAST(NULL AS {type_}) AS {name}" for name, type_ in types.items())
        month = "STRFTIME(line_item_usage_start_date, '%Y-%m') AS billing_period"
        self.connection.execute(f"CREATE VIEW cur_2_0 AS SELECT *{texts}, {month} FROM '{bill}'")
        self.run({"line_hours": of_the_bill.statements()["line_hours"]})
        self.connection.execute("CREATE TABLE billed_line_hours AS SELECT * FROM line_hours_x")

    def _make_flow_logs(self, logs: Path) -> None:
        files = f"read_parquet('{logs}/AWSLogs/**/*.parquet', hive_partitioning = true, hive_types_autocast = 0)"
        there = {row[0] for row in self.connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
        texts = "".join(f", CAST(NULL AS VARCHAR) AS {f.name}" for f in FIELDS if f.name not in there)
        places = '"aws-account-id" AS aws_account_id, "aws-region" AS aws_region'
        self.connection.execute(f"CREATE VIEW flow_logs AS SELECT * RENAME ({places}){texts} FROM {files}")


def known(logs: Path) -> Path:
    """Write the answers of EC2 to the state machine: only gateways and load balancers."""
    listed = json.loads((logs / "network.json").read_text())["NetworkInterfaces"]
    path = logs / "listed.json"
    path.write_text(json.dumps({"NetworkInterfaces": [each for each in listed if each["Description"]]}))
    return path


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    bill = write_parquet(folder / "whole.parquet", lines())
    return write_flow_logs([bill], folder, start=START, end=START + timedelta(hours=240), hive=True, parquet=True)


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("bill") / "bill.parquet", lines(210))


@pytest.fixture
def athena(bill: Path, logs: Path) -> Iterator[Athena]:
    found = Athena(bill, logs, logs / "network.json")
    yield found
    found.connection.close()


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    order = [(name, "ascending") for name in KEYS]
    found, expected = found.sort_by(order), expected.sort_by(order)
    assert found.column_names == expected.column_names
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=0, atol=1e-9)
        else:
            assert found[name].cast(expected[name].type).equals(expected[name]), name


def test_flow_logs_make_the_features_that_duckdb_makes(athena: Athena, bill: Path, logs: Path, tmp_path: Path) -> None:
    athena.run(statements())
    flow_logs = FlowLogs(find_flow_logs([logs / "AWSLogs"]), [known(logs)])
    build_features([bill], tmp_path / "f.parquet", flow_logs=flow_logs)
    expected = pq.read_table(tmp_path / "f.parquet")
    assert_same(athena.features(tmp_path), expected)
    estimated = without_levels(expected.filter(expected["is_estimated"]))
    # From 24 hours before the bill's end to the logs' end: an instance's and a balancer's internet, the gateway's fee.
    assert estimated.num_rows == 3 * 54
    assert set(estimated["resource_id"].to_pylist()) == {"i-0a", NAT, BALANCER}


def test_ipv6_peering_and_regional_gateways_are_the_same_in_athena(tmp_path: Path) -> None:
    """With a series that the bill would have named, and one whose zones only the bill decides on."""
    other = {"own": "10.9.2.7", "interface_id": "eni-0b", "instance_id": "i-0b", "vpc_id": "vpc-2", "az_id": "euw1-az2"}
    gateway = {"interface-id": None, "instance-id": None, "resource-id": "nat-0regional01"}
    records = [
        record
        for hour in range(150, 240)
        for record in (
            sent(hour, 1, "198.51.100.7"),
            sent(hour, 2, "10.9.2.7", path=4),
            received(hour, 2, "10.0.0.5", **other),
            sent(hour, 3, "10.9.3.3", path=4),
            sent(hour, 4, "2600:1f18::7", own="2600:1f18::5", path=1, next_hop_az_id="euw1-az3"),
            sent(hour, 5, "2001:db8::7", own="2600:1f18::5", path=8),
            received(hour, 6, "10.0.0.5", own="198.51.100.7") | gateway,
            sent(hour, 6, "198.51.100.7", own="192.0.2.1", pkt_srcaddr="10.0.0.5") | gateway,
        )
    ]
    kinds = [
        ("EU-DataTransfer-Out-Bytes", "i-0a", 1.0),
        ("EU-DataTransfer-Regional-Bytes", "i-0a", 4.0),
        ("EU-VpcPeering-Out-Bytes", "i-0a", 5.0),
    ]
    rows = [
        line(hour, gb, None, usage_type=kind, resource_id=resource, product_code="AmazonEC2")
        for hour in range(210)
        for kind, resource, gb in kinds
    ]
    bill = write_parquet(tmp_path / "bill.parquet", rows)
    place = "AWSLogs/aws-account-id=011122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=09/day=06"
    (tmp_path / place).mkdir(parents=True)
    names = sorted({name for record in records for name in record})
    columns = {name.replace("-", "_"): [record.get(name) for record in records] for name in names}
    pq.write_table(pa.table(columns), tmp_path / place / "x.log.parquet")
    (tmp_path / "network.json").write_text('{"NetworkInterfaces": []}')
    athena = Athena(bill, tmp_path, tmp_path / "network.json")
    athena.run(statements())
    flow_logs = FlowLogs(find_flow_logs([tmp_path / "AWSLogs"]))
    summary = build_features([bill], tmp_path / "f.parquet", flow_logs=flow_logs)
    expected = pq.read_table(tmp_path / "f.parquet")
    assert_same(athena.features(tmp_path), expected)
    estimated = {
        (row["egress_class"], row["resource_id"]): row["usage_gb"]
        for row in expected.to_pylist()
        if row["is_estimated"]
    }
    # The gateway, and the instance at the other end of the peering connection, are in no line of the bill.
    assert estimated == {("internet", "i-0a"): 6.0, ("inter_az", "i-0a"): 9.0}
    assert "3 series" in " ".join(summary.notes)


def test_the_hour_that_goes_on_is_left_out(athena: Athena, logs: Path, tmp_path: Path) -> None:
    athena.run(statements(), now=START + timedelta(hours=230, minutes=20))
    found = athena.features(tmp_path)
    last = max(found["hour_utc"].to_pylist())
    assert last.replace(tzinfo=None) == (START + timedelta(hours=229)).replace(tzinfo=None)


def test_days_of_flow_logs_are_whole(athena: Athena) -> None:
    """Only the folders of the last days are read; no hour begins in them that began before."""
    athena.run(statements(), flow_days=2)
    asked = athena.connection.execute("SELECT MIN(hour_utc), COUNT(DISTINCT hour_utc) FROM flow_sums_x")
    ((first, count),) = asked.fetchall()
    assert (first, count) == (datetime(2026, 9, 9), 48)  # noqa: DTZ001 - moments in UTC, as the engines have them


@pytest.mark.parametrize(("billed_hours", "flow_days"), [(150, 2), (0, 10)])
def test_without_a_bill_that_reaches_them_nothing_is_estimated(
    logs: Path, tmp_path: Path, billed_hours: int, flow_days: int
) -> None:
    """In the first days of flow logs the bill ends before they begin; before its first delivery there is none."""
    rows = lines(billed_hours) or [line(0, 1.0, None, usage_type="BoxUsage", product_code="AmazonEC2")]
    athena = Athena(write_parquet(tmp_path / "bill.parquet", rows), logs, logs / "network.json")
    athena.run(statements(), flow_days=flow_days)
    found = athena.features(tmp_path)
    assert not any(found["is_estimated"].to_pylist())
    hours = [hour.replace(tzinfo=None) for hour in found["hour_utc"].to_pylist()]
    assert max(hours, default=None) == ((START + timedelta(hours=149)).replace(tzinfo=None) if billed_hours else None)


def test_prices_are_those_of_a_file(tmp_path: Path) -> None:
    prices: dict[str, Any] = {"source": "ours", "read_on": "2026-11-29", "prices": []}
    for name in ("internet", "inter_az", "inter_region", "nat_gateway"):
        prices["prices"].append({"egress_class": name, "region": "*", "usd_per_gb": 0.0123})
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    assert main([str(tmp_path / "sql"), str(tmp_path / "prices.json")]) == 0
    written = sorted(path.name for path in (tmp_path / "sql").iterdir())
    assert written == [f"{n:02d}_{name}.sql" for n, name in enumerate(TABLES, start=1)]
    estimated = (tmp_path / "sql" / "08_estimated_lines.sql").read_text()
    assert estimated.count("0.0123") == 4
    assert "0.09" not in estimated


def test_the_statements_fit_into_a_state() -> None:
    """A machine carries them all, and Step Functions lets a state hold 256 KB; Athena takes as much in a query."""
    assert sum(map(len, statements().values())) < 100_000
    names: Sequence[str] = list(statements())
    assert names == list(TABLES)
    for name, sql in statements().items():
        read = set(re.findall(r"\b(\w+)___run__", sql)) - {name}
        assert read <= set(names[: names.index(name)]), name
