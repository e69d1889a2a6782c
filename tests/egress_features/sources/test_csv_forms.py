"""The same bill in each encoding, with each separator, under each suffix has the same lines."""

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features import find_exports
from tests.support.bill import CSV_NAMES, line, rewrite_csv, steady, write_csv, write_parquet
from tests.support.exports import write_as
from tests.support.line_items import line_items

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
SEPARATORS = [",", ";", "\t", "|"]
# Latin-1 has these; no text begins or ends with a space, and none means nothing.
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=20).filter(
    lambda text: text == text.strip() and text != "\\N"
)
OF_FOCUS = {"bill_payer_account_id": "999900001111", "product_product_name": "Amazon S3"}
NAMED = ["line_item_operation", "line_item_resource_id", "line_item_usage_type"]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5),
    encoding=st.sampled_from(ENCODINGS),
    separator=st.sampled_from(SEPARATORS),
    is_zipped=st.booleans(),
)
def test_texts_come_back(
    rows: list[tuple[str, str, str]],
    encoding: str,
    separator: str,
    is_zipped: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    lines = [line(hour, 1) | dict(zip(NAMED, texts, strict=True)) for hour, texts in enumerate(rows)]
    writer.writerow([CSV_NAMES[name] for name in lines[0]])
    writer.writerows(row.values() for row in lines)
    path = tmp_path_factory.mktemp("texts") / ("bill.csv.gz" if is_zipped else "bill.csv")
    data = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(data) if is_zipped else data)
    found = [(row["operation"], row["resource_id"], row["usage_type"]) for row in line_items(path)]
    assert found == rows


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_form_has_the_same_lines(encoding: str, separator: str, tmp_path: Path) -> None:
    bill = write_csv(tmp_path / "bill.csv", [line(hour, 2.5, resource_id="Região; 1, \t|") for hour in range(5)])
    expected = line_items(bill)
    assert line_items(rewrite_csv(bill, encoding, separator)) == expected


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    texts = ["a \u2013 b", "\u201cRegião\u201d \u20ac", "plain"]
    bill = write_csv(tmp_path / "bill.csv", [line(hour, 1, resource_id=text) for hour, text in enumerate(texts)])
    assert [row["resource_id"] for row in line_items(rewrite_csv(bill, "cp1252", ";"))] == texts
    bill.write_bytes(b"\xfe\xff" + write_csv(bill, steady(2)).read_text().encode("utf-16-be"))
    assert len(line_items(bill)) == 2


@pytest.mark.parametrize("name", ["b.CSV", "b.Csv.gz", "b.CSV.GZ", "b.PARQUET", "b.Parquet"])
def test_suffixes_are_found_and_read_in_any_case(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.lower().endswith(".parquet"):
        write_parquet(path, steady(3))
    else:
        write_csv(path, steady(3))
        if name.lower().endswith(".gz"):
            path.write_bytes(gzip.compress(path.read_bytes()))
    assert find_exports([tmp_path]) == find_exports([path]) == find_exports([str(tmp_path / "b.*")]) == [path]
    assert [row["usage_amount"] for row in line_items(path)] == [2, 2, 2]


@pytest.mark.parametrize(("kind", "nothing"), [("CUR", "\\N"), ("FOCUS 1.2", "\\N"), ("FOCUS 1.2", "NULL")])
def test_what_stands_for_nothing_is_nothing(kind: str, nothing: str, tmp_path: Path) -> None:
    rows = [line(0, 1), line(1, 1, usage_amount=0.0, resource_id="", bill_invoice_id="")]
    source = write_parquet(tmp_path / "bill.parquet", [row | OF_FOCUS for row in rows])
    bill = write_csv(tmp_path / "b.csv", rows) if kind == "CUR" else write_as(source, kind, tmp_path / "b.csv")
    expected = line_items(bill)
    with bill.open(newline="") as file:
        cells = list(csv.reader(file))
    blanks = [[nothing if cell in ("", "0.0") else cell for cell in row] for row in cells]
    with bill.open("w", newline="") as file:
        csv.writer(file).writerows(blanks)
    assert line_items(bill) == expected
    assert expected[1]["has_invoice"] is False


# About the first and the last year for which a number's size shows its unit, and one in between.
STARTS = [datetime.fromisoformat(f"{year}-09-01T00:00:00") for year in (1973, 2026, 2261)]
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", ["csv", "int64", "float64", "text"])
@pytest.mark.parametrize("start", STARTS, ids=lambda moment: str(moment.year))
def test_moments_as_numbers_are_read_by_their_size(start: datetime, kind: str, unit: str, tmp_path: Path) -> None:
    names = ["line_item_usage_start_date", "line_item_usage_end_date"]
    first = int(start.replace(tzinfo=UTC).timestamp())
    moments = [(first + 3600 * hour) * UNITS[unit] for hour in range(4)]
    rows = [line(hour, 1) | dict(zip(names, moments[hour:], strict=False)) for hour in range(3)]
    if kind == "csv":
        found = line_items(write_csv(tmp_path / "bill.csv", rows))
    else:
        table = pa.Table.from_pylist(rows)
        for name in names:
            column = table[name].cast({"int64": "int64", "float64": "float64", "text": "string"}[kind], safe=False)
            table = table.set_column(table.column_names.index(name), name, column)
        pq.write_table(table, tmp_path / "bill.parquet")
        found = line_items(tmp_path / "bill.parquet")
    assert [(row["start_utc"], row["end_utc"]) for row in found] == [
        (start + timedelta(hours=hour), start + timedelta(hours=hour + 1)) for hour in range(3)
    ]


@settings(max_examples=25, deadline=None)
@given(account=st.integers(1, 12).flatmap(lambda digits: st.integers(10 ** (digits - 1), 10**digits - 1)))
def test_an_account_as_a_number_has_twelve_digits(account: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("accounts")
    forms = {"int": account, "float": float(account), "text": str(account), "padded": f"{account:012}"}
    for name, value in forms.items():
        row = line(0, 1, usage_account_id=value) | {"bill_payer_account_id": value}
        for bill in (
            write_parquet(folder / f"{name}.parquet", [row, row]),
            write_csv(folder / f"{name}.csv", [row]),
        ):
            assert {item["account_id"] for item in line_items(bill)} == {f"{account:012}"}, bill.name
            assert {item["payer_account_id"] for item in line_items(bill)} == {f"{account:012}"}, bill.name


def test_what_is_no_account_number_stays(tmp_path: Path) -> None:
    names = ["billing-a", "", "1234567890123", "1.5", "A1B2"]
    bill = write_csv(tmp_path / "bill.csv", [line(n, 1, usage_account_id=name) for n, name in enumerate(names)])
    assert [row["account_id"] for row in line_items(bill)] == names
