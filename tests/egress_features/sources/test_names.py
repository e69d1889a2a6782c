"""Columns are found however a tool spells them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_features import BadInputError
from egress_features.sources import cur, focus, read_export
from egress_features.sources.columns import ExportFile, normal_name
from tests.support.bill import CSV_NAMES, line, steady, write_csv
from tests.support.line_items import line_items

CUR = {
    *(name for column in cur.COLUMNS for name in column.names),
    *(*cur.NUMBERS, *cur.TIMES, *cur._UNITS, "product_product_family", "product_transfer_type", "product"),
}
FOCUS = {
    *(name for column in focus._COLUMNS for name in column.names),
    *(name for names in focus._SINCE.values() for name in names),
    *(*focus._PROVIDERS, *focus._OF_AWS, *focus._UNITS, *focus._UNITS.values(), *focus.NUMBERS, *focus.TIMES),
}
SPELLINGS = {
    "Athena": lambda name: name.replace("/", "_").lower(),
    "Redshift": lambda name: name.lower(),
    "Snowflake": lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])|/", "_", name).upper(),
    "BigQuery": lambda name: name.replace("/", "."),
    "pandas": lambda name: name.replace("/", " "),
}


@pytest.mark.parametrize("known", [CUR, FOCUS], ids=["CUR", "FOCUS"])
def test_no_two_known_names_of_a_kind_are_taken_for_one_another(known: set[str]) -> None:
    assert len(known) > 20
    assert len({normal_name(name) for name in known}) == len(known)


@given(st.data(), st.sampled_from(sorted(CUR | FOCUS)))
def test_a_name_is_found_in_any_case_and_with_any_separators(data: st.DataObject, name: str) -> None:
    letters = [data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name if letter.isalnum()]
    places = data.draw(st.lists(st.integers(0, len(letters)), max_size=3))
    for place in places:
        letters.insert(place, data.draw(st.sampled_from("_/ .-:")))
    spelled = "".join(letters)
    file = ExportFile(Path("bill.csv"), ("other", spelled))
    assert file.find(name) == spelled
    assert file.find("nothing", name) == spelled


def test_the_exact_spelling_wins() -> None:
    file = ExportFile(Path("bill.csv"), ("LINEITEM/USAGETYPE", "lineItem/UsageType"))
    assert file.find("lineItem/UsageType") == "lineItem/UsageType"
    assert file.find("line_item_usage_type") == "LINEITEM/USAGETYPE"


@pytest.mark.parametrize("tool", SPELLINGS)
def test_a_bill_in_the_spelling_of_a_tool_has_the_same_lines(tool: str, tmp_path: Path) -> None:
    bill = write_csv(tmp_path / "bill.csv", steady(5))
    expected = line_items(bill)
    header, *lines = bill.read_text().splitlines()
    header = ",".join(SPELLINGS[tool](name) for name in header.split(","))
    bill.write_text("\n".join([header, *lines, ""]))
    assert line_items(bill) == expected
    assert read_export(bill).kind == "legacy CUR"


def test_spaces_around_a_name_do_not_count(tmp_path: Path) -> None:
    bill = write_csv(tmp_path / "bill.csv", steady(2))
    expected = line_items(bill)
    header, *lines = bill.read_text().splitlines()
    bill.write_text("\n".join([header.replace(",", " , "), *lines, ""]))
    assert line_items(bill) == expected


def test_a_quote_in_a_name_is_no_end_of_it(tmp_path: Path) -> None:
    bill = write_csv(tmp_path / "bill.csv", steady(2))
    bill.write_text(bill.read_text().replace("lineItem/Operation", '"lineItem""/""Operation"'))
    assert line_items(bill)[0]["operation"] == "GetObject"


def test_a_missing_column_is_named_as_the_file_would_spell_it(tmp_path: Path) -> None:
    for name in ("line_item_usage_amount", "line_item_unblended_cost", "line_item_usage_start_date"):
        row = {key: value for key, value in line(0, 1).items() if key != name}
        with pytest.raises(BadInputError, match=f"without the column {CSV_NAMES[name]}"):
            read_export(write_csv(tmp_path / "bill.csv", [row]))
