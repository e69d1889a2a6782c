"""Input that cannot be used gives an error of one sentence, and the earlier output stays."""

import gzip
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from egress_features import BadInputError, build_features, find_exports
from tests.support.bill import START, line, steady, write_csv, write_parquet

Make = Callable[[Path], list[Path]]


def bill(lines: list[dict[str, Any]]) -> Make:
    return lambda folder: [write_parquet(folder / "bill.parquet", lines)]


def without(column: str, **renamed: str) -> list[dict[str, Any]]:
    return [{renamed.get(k, k): v for k, v in row.items() if k != column or k in renamed} for row in steady()]


def truncated(folder: Path) -> list[Path]:
    path = write_parquet(folder / "cut.parquet", steady())
    path.write_bytes(path.read_bytes()[:-200])
    return [path]


def half_restated(folder: Path) -> list[Path]:
    return [write_parquet(folder / f"{n}.parquet", steady(260)[n * 200 :][: 220 - n * 160]) for n in range(2)]


def of_one_age(folder: Path) -> list[Path]:
    paths = [write_parquet(folder / f"{gb}.parquet", steady(gb=gb)) for gb in (1.0, 2.0)]
    for path in paths:
        os.utime(path, (1_800_000_000, 1_800_000_000))
    return paths


def without_an_account(folder: Path) -> list[Path]:
    lines = steady()
    both = write_parquet(folder / "both.parquet", [*lines[:100], line(3, 1, usage_account_id="555566667777")])
    return [both, write_parquet(folder / "newer.parquet", lines)]


def text_file(name: str, text: str) -> Make:
    def make(folder: Path) -> list[Path]:
        (folder / name).write_text(text)
        return [folder / name]

    return make


def cells(**values: str) -> Make:
    return lambda folder: [write_csv(folder / "b.csv", [line(0, 1) | values, *steady()[1:]])]


def in_line_2(column: str, value: str, what: str) -> str:
    return rf'b\.csv, line 2, lineItem/{column}: "{value}" {what}; write'


def binary(data: bytes) -> Make:
    def make(folder: Path) -> list[Path]:
        (folder / "b.csv").write_bytes(data)
        return [folder / "b.csv"]

    return make


def late_latin_1(folder: Path) -> list[Path]:
    path = write_csv(folder / "late.csv", steady())
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join([header, *lines * 1000, lines[0].replace("media-prod", "média-prod"), ""])
    path.write_bytes(text.encode("latin-1"))
    return [path]


CASES: dict[str, tuple[Make, str]] = {
    "no CUR": (text_file("pets.csv", "name,age\nRex,3\n"), "no billing export: its columns are name, age"),
    "empty": (text_file("empty.csv", ""), "is empty"),
    "no data transfer": (bill([line(h, 1, usage_type="BoxUsage") for h in range(240)]), "no data-transfer lines"),
    "one day": (bill(steady(24)), "cover 24 hours .* at least 8 days are needed"),
    "truncated": (truncated, "no complete parquet file"),
    "mostly another currency": (
        bill([line(h, 1, currency_code="EUR" if h % 3 else "USD") for h in range(240)]), "most lines .* are in EUR"
    ),
    "another currency": (bill([line(h, 1, currency_code="CNY") for h in range(240)]), "are in CNY"),
    "a line twice": (bill([*steady(), line(7, 2.0)]), r"1 data-transfer lines are in .*bill\.parquet, with the same"),
    "half restated": (half_restated, "20 of 60 hours .* neither two parts of a bill nor"),
    "of one age": (of_one_age, "it is not known which of them is newer"),
    "without an account": (without_an_account, "lacks account 555566667777"),
    "mostly without a time": (
        bill([line(h, 1, **({"usage_start_date": None} if h % 3 else {})) for h in range(240)]),
        "160 data-transfer lines without a time .* line_item_usage_start_date is empty in row 2 of",
    ),
    "monthly": (
        bill([line(720 * n, 1, usage_end_date=START + timedelta(hours=720 * (n + 1))) for n in range(20)]),
        "span up to 720 hours",
    ),
    "missing": (bill(without("line_item_usage_amount")), "without the column line_item_usage_amount"),
    "renamed": (
        bill(without("line_item_usage_amount", line_item_usage_amount="line_item_usage_amounts")),
        "line_item_usage_amounts looks like it, renamed",
    ),
    "text in a number": (cells(line_item_usage_amount="much"), in_line_2("UsageAmount", "much", "is no number")),
    "thousands": (cells(line_item_usage_amount="1,234.5"), in_line_2("UsageAmount", "1,234.5", "is no number")),
    "no time": (cells(line_item_usage_end_date="soon"), in_line_2("UsageEndDate", "soon", "is no time")),
    "text in a number of parquet": (
        bill([line(h, 1, unblended_cost="0.1" if h else "dear") for h in range(240)]),
        r'bill\.parquet, row 1, line_item_unblended_cost: "dear" is no number',
    ),
    "gzip": (binary(gzip.compress(b"a,b")), r"b\.csv is compressed with gzip; name it \.csv\.gz"),
    "ZIP": (binary(b"PK\x03\x04..."), r"b\.csv is a ZIP archive; unpack it"),
    "parquet": (binary(b"PAR1..."), r"b\.csv is a parquet file; name it \.parquet"),
    "late Latin-1": (late_latin_1, r"late\.csv, line 240002, is in another encoding; save the file as UTF-8"),
    "other lengths": (text_file("b.csv", "lineItem/UsageType,lineItem/UsageAmount\n" * 3 + "a,b,c,d\n"), "b.csv is no"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_sentence_and_nothing_touched(case: str, tmp_path: Path) -> None:
    make, sentence = CASES[case]
    output = tmp_path / "features.parquet"
    output.write_text("what was there before")
    exports = make(tmp_path)
    with pytest.raises(BadInputError, match=sentence) as caught:
        build_features(exports, output)
    assert "\n" not in str(caught.value)
    assert output.read_text() == "what was there before"
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BadInputError, match="cannot write"):
        build_features([write_parquet(tmp_path / "b.parquet", steady())], tmp_path / "file" / "features.parquet")


def test_exports_are_found_in_files_globs_and_folders(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    one = write_parquet(tmp_path / "deep" / "a.parquet", steady())
    (tmp_path / "deep" / "_SUCCESS").touch()
    (tmp_path / ".hidden.parquet").touch()
    assert find_exports([tmp_path]) == find_exports([one, str(tmp_path / "*" / "*.parquet")]) == [one]
    with pytest.raises(BadInputError, match="no billing export in"):
        find_exports([tmp_path / "nothing-*.parquet"])
