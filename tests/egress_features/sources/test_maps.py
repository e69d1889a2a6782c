"""Map columns in each of their encodings."""

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features.sources.columns import open_export
from egress_features.sources.maps import entry_sql

TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)
MAPS = st.dictionaries(st.sampled_from(["region", "transfer_type", "product_name"]), TEXTS)
PAIR = pa.struct([("key", pa.string()), ("value", pa.string())])


def read(file: Path) -> list[str | None]:
    export = open_export(file)
    encoding = export.map_encoding("product")
    assert encoding is not None
    sql = entry_sql('"product"', encoding, "region")
    with duckdb.connect() as connection:
        return [row[0] for row in connection.execute(f"SELECT {sql} FROM {export.scan_sql()} ORDER BY n").fetchall()]


@settings(max_examples=20, deadline=None)
@given(maps=st.lists(MAPS, min_size=1, max_size=5))
def test_every_encoding_gives_the_entry(maps: list[dict[str, str]], tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("maps")  # type: ignore[attr-defined]
    expected = [entries.get("region") for entries in maps]
    numbers = pa.array(range(len(maps)))
    pairs = [list(entries.items()) for entries in maps]
    encodings = {
        "map": pa.array(pairs, pa.map_(pa.string(), pa.string())),
        "pairs": pa.array([[{"key": k, "value": v} for k, v in row] for row in pairs], pa.list_(PAIR)),
        "json": pa.array([json.dumps(entries) for entries in maps]),
    }
    for name, column in encodings.items():
        pq.write_table(pa.table({"n": numbers, "product": column}), folder / f"{name}.parquet")
        assert read(folder / f"{name}.parquet") == expected, name


def test_a_map_in_an_unknown_form_is_not_read(tmp_path: Path) -> None:
    forms = [pa.array([{"region": "eu-west-1"}]), pa.array([["eu-west-1"]]), pa.array([1])]
    for number, column in enumerate(forms):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"product": column}), path)
        assert open_export(path).map_encoding("product") is None
    assert open_export(path).map_encoding("resource_tags") is None


def test_json_that_is_none_has_no_entry(tmp_path: Path) -> None:
    table = pa.table({"n": [0, 1, 2], "product": ["", None, "{cut off"]})
    pq.write_table(table, tmp_path / "broken.parquet")
    assert read(tmp_path / "broken.parquet") == [None, None, None]
