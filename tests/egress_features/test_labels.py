"""Account names, tags and cost categories: from each kind of export to the features, the same on every engine."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st

from egress_features import build_features, open_engine
from egress_features.engines import DuckDBEngine, Engine
from egress_features.engines.athena import TABLES, TAGS, statements
from egress_features.engines.dialects import render
from egress_features.reading import read_lines
from egress_features.sources.labels import CATEGORY, WANTED_TAGS, LabelColumn, tags_sql, tags_text
from tests.support.bill import CSV_NAMES, START, line, steady, write_csv, write_parquet
from tests.support.exports import write_as
from tests.support.sample_data import required_module, required_program
from tests.support.sql_features import SqlEngine

MAP = pa.map_(pa.string(), pa.string())
PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
WHO = {"owner": "ann@example.com", "team": "media"}
WITH_CATEGORY = {f"{CATEGORY}Team": "Media & TV", **WHO}
ACCOUNT = "011122223333"


def labels(exports: Sequence[Path], engine: Engine | None = None, **options: Any) -> tuple[dict, dict, list[str]]:  # type: ignore[type-arg]
    """Return the names of accounts, the tags by resource id, and the notes."""
    with DuckDBEngine() as own:
        runner = engine or own
        _, notes = read_lines(runner, exports, **options)
        names = dict(runner.rows("SELECT account_id, account_name FROM account_names"))
        tags = {
            key: json.loads(text) for key, text in runner.rows("SELECT resource_id, tags FROM resource_tags") if text
        }
    return names, tags, notes


def with_columns(path: Path, columns: dict[str, Any], lines: list[dict[str, Any]] | None = None) -> Path:
    """Write lines in parquet, each with the same values of further columns (of a type, perhaps)."""
    table = pa.Table.from_pylist(lines or steady(3))
    for name, value in columns.items():
        kind = value[1] if isinstance(value, tuple) else pa.string()
        one = value[0] if isinstance(value, tuple) else value
        table = table.append_column(name, pa.array([one] * len(table), kind))
    pq.write_table(table, path)
    return path


def cur_2_0(path: Path, tags: Any, categories: Any, kind: pa.DataType = MAP) -> Path:
    return with_columns(
        path,
        {
            "line_item_usage_account_name": "prod-media",
            "resource_tags": (tags, kind),
            "cost_category": (categories, kind),
        },
    )


def test_a_legacy_report_has_a_column_for_each_tag_and_cost_category(tmp_path: Path) -> None:
    columns = {
        "resource_tags_user_owner": WHO["owner"],
        "resource_tags_user_team": WHO["team"],
        "resource_tags_user_color": "red",
        "resource_tags_aws_created_by": "Root:1",
        "cost_category_team": "Media & TV",
    }
    assert labels([with_columns(tmp_path / "a.parquet", columns)]) == (
        {},
        {"media-prod": {f"{CATEGORY}team": "Media & TV", **WHO}},
        [],
    )


def test_the_columns_of_csv_are_spelled_with_slashes_and_colons(tmp_path: Path) -> None:
    more = {
        "resourceTags/user:Owner": WHO["owner"],
        "resourceTags/user:Team": "media",
        "costCategory/Team": "Media & TV",
    }
    rows = [row | more for row in steady(3)]
    assert set(CSV_NAMES.values()) > {"lineItem/UsageType"}
    assert labels([write_csv(tmp_path / "a.csv", rows)])[1] == {"media-prod": WITH_CATEGORY}


def test_cur_2_0_has_maps_in_any_encoding(tmp_path: Path) -> None:
    tags, categories = {"user_owner": WHO["owner"], "user_team": "media", "user_x": "y"}, {"Team": "Media & TV"}
    files = [
        cur_2_0(tmp_path / "map.parquet", list(tags.items()), list(categories.items())),
        cur_2_0(
            tmp_path / "pairs.parquet",
            *([{"key": k, "value": v} for k, v in found.items()] for found in (tags, categories)),
            PAIRS,
        ),
        cur_2_0(tmp_path / "json.parquet", json.dumps(tags), json.dumps(categories), pa.string()),
    ]
    rows = [row | {"resource_tags": json.dumps(tags), "cost_category": json.dumps(categories)} for row in steady(3)]
    files.append(write_csv(tmp_path / "a.csv", [{**row, "line_item_usage_account_name": "prod-media"} for row in rows]))
    one_map = {f"resourceTags/{key}": value for key, value in tags.items()} | {"costCategory/Team": "Media & TV"}
    one_map |= {"accountTag/owner": "nobody", "userAttribute/team": "people"}
    files.append(
        with_columns(
            tmp_path / "one.parquet",
            {"product": ([], MAP), "tags": (list(one_map.items()), MAP), "line_item_usage_account_name": "prod-media"},
        )
    )
    for file in files:
        assert labels([file]) == ({ACCOUNT: "prod-media"}, {"media-prod": WITH_CATEGORY}, []), file.name


def test_entries_of_a_map_may_be_columns_of_the_export(tmp_path: Path) -> None:
    columns = {"product": ([], MAP), "resource_tags_user_owner": "ann", "cost_category_team": "tv"}
    assert labels([with_columns(tmp_path / "a.parquet", columns)])[1] == {
        "media-prod": {"owner": "ann", f"{CATEGORY}team": "tv"}
    }


def test_the_tag_of_an_account_is_that_of_a_resource_that_has_none(tmp_path: Path) -> None:
    tags = [("accountTag/owner", "cfo"), ("accountTag/team", "finance"), ("resourceTags/user:Team", "media")]
    file = with_columns(tmp_path / "a.parquet", {"product": ([], MAP), "tags": (tags, MAP)})
    assert labels([file])[1] == {"media-prod": {"owner": "cfo", "team": "media"}}


@pytest.mark.parametrize("version", ["FOCUS 1.0", "FOCUS 1.2"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_focus_has_tags_and_names_of_sub_accounts(version: str, ending: str, tmp_path: Path) -> None:
    legacy = {
        "bill_payer_account_id": "999999999999",
        "bill_billing_period_start_date": (START, pa.timestamp("us", tz="UTC")),
        "product_product_name": "Amazon Simple Storage Service",
        "line_item_usage_account_name": "prod-media",
        "resource_tags_user_Owner": WHO["owner"],
        "resource_tags_user_team": WHO["team"],
    }
    source = with_columns(tmp_path / "legacy.parquet", legacy)
    found = labels([write_as(source, version, tmp_path / f"focus.{ending}")])
    assert found[:2] == ({ACCOUNT: "prod-media"}, {"media-prod": WHO})


def test_aws_has_cost_categories_in_focus_and_a_resource_may_have_allocated_tags(tmp_path: Path) -> None:
    legacy = {
        "bill_payer_account_id": "999999999999",
        "bill_billing_period_start_date": (START, pa.timestamp("us", tz="UTC")),
        "product_product_name": "Amazon Simple Storage Service",
    }
    focus = pq.read_table(write_as(with_columns(tmp_path / "l.parquet", legacy), "FOCUS 1.0", tmp_path / "f.parquet"))
    for name, value in {"x_CostCategories": {"Team": "tv"}, "AllocatedTags": {"owner": "ann", "team": "b"}}.items():
        focus = focus.append_column(name, pa.array([json.dumps(value)] * len(focus)))
    tags = pa.array([json.dumps({"Team": "a", "flag": True})] * len(focus))
    pq.write_table(focus.set_column(focus.column_names.index("Tags"), "Tags", tags), tmp_path / "f.parquet")
    assert labels([tmp_path / "f.parquet"])[1] == {"media-prod": {"owner": "ann", "team": "a", f"{CATEGORY}Team": "tv"}}


def test_the_last_line_that_has_tags_counts(tmp_path: Path) -> None:
    owners = {0: "first", 1: "second", 2: ""}
    rows = [line(hour, 1.0) | {"resource_tags_user_owner": owner} for hour, owner in owners.items()]
    rows += [line(1, 1.0, usage_type="DataTransfer-Regional-Bytes") | {"resource_tags_user_owner": "another"}]
    assert labels([write_parquet(tmp_path / "a.parquet", rows)])[1] == {"media-prod": {"owner": "second"}}
    newer = [row | {"line_item_usage_account_name": f"name {number}"} for number, row in enumerate(steady(3))]
    assert labels([write_parquet(tmp_path / "b.parquet", newer)])[0] == {ACCOUNT: "name 2"}


def test_lines_without_a_resource_have_the_tags_that_all_of_them_have(tmp_path: Path) -> None:
    def bill(*teams: str) -> Path:
        rows = [line(hour, 1.0, resource_id="") | {"cost_category_team": team} for hour, team in enumerate(teams)]
        return write_parquet(tmp_path / "a.parquet", [*rows, line(0, 1.0) | {"cost_category_team": ""}])

    assert labels([bill("tv", "tv")])[1] == {"": {f"{CATEGORY}team": "tv"}}
    assert labels([bill("tv", "radio")])[1] == {}
    assert labels([bill("tv", "")])[1] == {}


def test_the_series_of_a_bill_without_resource_ids_are_operations(tmp_path: Path) -> None:
    rows = [line(hour, 1.0, resource_id="") | {"resource_tags_user_team": "media"} for hour in range(3)]
    assert labels([write_parquet(tmp_path / "a.parquet", rows)])[1] == {"GetObject": {"team": "media"}}


def test_the_tags_to_keep_are_asked_for(tmp_path: Path) -> None:
    tags = {f"user_tag_{number}": "x" for number in range(60)} | {"user_CostCenter": "42", "user_team": "media"}
    file = cur_2_0(tmp_path / "a.parquet", list(tags.items()), [])
    assert labels([file])[1] == {"media-prod": {"cost-center": "42", "team": "media"}}
    assert labels([file], tags=["Tag 7", "COST_CENTER"])[1] == {"media-prod": {"Tag 7": "x", "COST_CENTER": "42"}}
    assert labels([file], tags=[])[1] == {}


def test_a_text_that_is_no_json_is_noted_and_rejects_nothing(tmp_path: Path) -> None:
    texts = ['{"owner": "ann"}', "{cut off", "[1, 2]", "[" * 100_000, ""]
    rows = [line(hour, 1.0, resource_id=f"r{hour}") | {"resource_tags": text} for hour, text in enumerate(texts)]
    _, tags, notes = labels([write_parquet(tmp_path / "a.parquet", rows)])
    assert tags == {"r0": {"owner": "ann"}}
    (note,) = notes
    assert note.startswith("tags of 3 lines are left out: they are no JSON object, such as '")
    assert note.endswith(f"in {tmp_path / 'a.parquet'}")


def test_columns_that_differ_in_case_alone_reject_nothing(tmp_path: Path) -> None:
    rows = [{**row, "resourceTags/user:Owner": "a", "resourceTags/user:owner": "b", "resourceTags/user:team": "t"}
            for row in steady(3)]  # fmt: skip
    assert labels([write_csv(tmp_path / "a.csv", rows)])[1] == {"media-prod": {"team": "t"}}


KEYS = st.one_of(
    st.sampled_from(
        ["owner", "user_owner", "user:Owner", "OWNER", "cost_center", "user_CostCenter", "aws_owner", "Team"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
MAPS = st.dictionaries(KEYS, VALUES, max_size=6)


@settings(max_examples=60, deadline=None)
@given(tags=MAPS, categories=MAPS)
@example(tags={"owner": 'a"b\\c\nd', "user_Owner": "later", "team": ""}, categories={"a": "1", "a b": "2", "": "x"})
def test_tags_are_canonical_json_in_python_and_in_athena(tags: dict[str, str], categories: dict[str, str]) -> None:
    columns = [LabelColumn("resource_tags", ""), LabelColumn("cost_category", "", is_category=True)]
    text, broken = tags_text(zip(columns, map(json.dumps, (tags, categories)), strict=True), WANTED_TAGS)
    found = json.loads(text or "{}")
    assert broken == ""
    assert json.dumps(found, separators=(",", ":"), ensure_ascii=False) == (text or "{}")
    assert set(found) <= {*WANTED_TAGS, *(key for key in found if key.startswith(CATEGORY))}
    assert sum(key.startswith(CATEGORY) for key in found) <= sum(value != "" for value in categories.values())
    assert "\n" not in text
    slashes = [key for key in (*tags, *categories) if "/" in key]
    if not slashes:
        assert by_athena(tags, categories) == text


def by_athena(tags: dict[str, str], categories: dict[str, str]) -> str:
    names = ", ".join(f"'{name}'" for name in WANTED_TAGS)
    query = f"SELECT {tags_sql('tags', 'categories', f'[{names}]')} AS found FROM lines"
    there = render(sqlglot.parse_one(query, read="duckdb"), "athena")
    assert "'g'" not in there
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE lines (tags MAP(VARCHAR, VARCHAR), categories MAP(VARCHAR, VARCHAR))")
        parts = [list(part) for found in (tags, categories) for part in (found.keys(), found.values())]
        connection.execute(
            "INSERT INTO lines SELECT MAP(?::VARCHAR[], ?::VARCHAR[]), MAP(?::VARCHAR[], ?::VARCHAR[])", parts
        )
        (row,) = connection.execute(sqlglot.parse_one(there, read="athena").sql("duckdb")).fetchall()
        return str(row[0])


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Three resources for ten days, whose tags come, change and go, and lines without a resource."""
    rows = []
    for hour in range(240):
        owner = "ann" if hour < 100 else "bob"
        for number, tags in enumerate(({"user_owner": owner}, {"user_team": 'a"b'}, {})):
            found = {"resource_tags": list(tags.items()), "cost_category": [("Team", "tv")] if number else []}
            rows.append(line(hour, 1.0 + number, resource_id=f"bucket-{number}") | found)
        rows.append(line(hour, 1.0, resource_id="") | {"resource_tags": [], "cost_category": [("Team", "tv")]})
    names = {
        "line_item_usage_account_name": "prod-media",
        "product_region_code": "us-east-1",
        "billing_period": "2026-09",
    }
    table = pa.Table.from_pylist([row | names for row in rows])
    for name in ("resource_tags", "cost_category"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array([row[name] for row in rows], MAP))
    pq.write_table(table, tmp_path / "tagged.parquet")
    return tmp_path / "tagged.parquet"


def labels_in(table: pa.Table) -> set[tuple[str, str, str]]:
    return set(zip(*(table[name].to_pylist() for name in ("resource_id", "account_name", "tags")), strict=True))


EXPECTED = {
    ("bucket-0", "prod-media", '{"owner":"bob"}'),
    ("bucket-1", "prod-media", '{"cost_category:Team":"tv","team":"a\\"b"}'),
    ("bucket-2", "prod-media", '{"cost_category:Team":"tv"}'),
    ("", "prod-media", '{"cost_category:Team":"tv"}'),
    ("*", "prod-media", ""),
}


def test_features_have_labels_and_the_same_numbers_as_without(tagged: Path, tmp_path: Path) -> None:
    build_features([tagged], tmp_path / "f.parquet")
    with DuckDBEngine() as engine:
        build_features([tagged], tmp_path / "sql.parquet", engine=SqlEngine(engine))
    bare = pq.read_table(tagged).drop_columns(["resource_tags", "cost_category", "line_item_usage_account_name"])
    pq.write_table(bare, tmp_path / "bare.parquet")
    build_features([tmp_path / "bare.parquet"], tmp_path / "b.parquet")
    found, by_sql, without = (pq.read_table(tmp_path / name) for name in ("f.parquet", "sql.parquet", "b.parquet"))
    assert labels_in(found) == labels_in(by_sql) == EXPECTED
    assert labels_in(without) == {(resource, "", "") for resource, _, _ in EXPECTED}
    names = ["account_name", "tags"]
    assert found.drop_columns(names).equals(without.drop_columns(names))
    assert found.schema.metadata == without.schema.metadata


def test_athena_gives_the_same_labels(tagged: Path, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        lacking = "NULL::DOUBLE AS line_item_net_unblended_cost, '' AS product_product_family"
        connection.execute(f"CREATE VIEW cur_2_0 AS SELECT *, {lacking} FROM '{tagged}'")
        made = statements()
        for name in TABLES:
            sql = made[name].replace("__run__", "x").replace("__months__", "600").replace("__days__", "3")
            sql = sql.replace(TAGS, "', '".join(WANTED_TAGS))
            sql = sql.replace("CURRENT_DATE", f"DATE '{START + timedelta(days=10):%Y-%m-%d}'")
            connection.execute(
                f"CREATE TABLE {name}_x AS {sqlglot.parse_one(sql, read='athena').expression.sql('duckdb')}"
            )
        connection.execute(f"COPY features_x TO '{tmp_path / 'a.parquet'}'")
    assert labels_in(pq.read_table(tmp_path / "a.parquet")) == EXPECTED


@pytest.mark.slow
def test_spark_reads_the_same_labels(tmp_path: Path) -> None:
    required_module("pyspark")
    required_program("java")
    columns = {"resourceTags/user:Owner": "é", "costCategory/Team": "tv"}
    texts = [json.dumps({"owner": "json"}), "{broken"]
    rows = [line(hour, 1.0, resource_id=f"j{hour % 2}") | {"resource_tags": texts[hour % 2]} for hour in range(24)]
    files = [
        write_csv(tmp_path / "a.csv", [row | columns for row in steady(24)]),
        write_parquet(tmp_path / "json.parquet", rows),
        cur_2_0(tmp_path / "map.parquet", [("user_owner", "ann")], [("Team", "tv")]),
    ]
    with open_engine("spark") as spark:
        for file in files:
            assert labels([file], spark) == labels([file]), file.name
