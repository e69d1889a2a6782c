"""Thousands of request bodies, and the expected result of each from an independent reader.

    python -m tests.anomaly_detection.fuzz --bodies 50000 --seed 1

The oracle reads CSV, JSON and .npy with its own small parsers and scores with scikit-learn. For each body it returns
the matrix, or None if the body is invalid. Faults are exceptions, a 2xx with other scores, rows or columns, a 2xx for
an invalid body, and an error for a valid body.
"""

from __future__ import annotations

import argparse
import collections
import csv
import io
import json
import random
import re
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detection.content_types import rows as request_rows
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
from tests.support.models import NAMES, matrix, named, run_training_script, write_part

CSV, JSON, LINES, PARQUET, NPY = (
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-parquet",
    "application/x-npy",
)
ACCEPTS = (JSON, CSV, LINES, "text/csv;output=scores", "application/json;output=attributions", None)
LARGEST = Decimal(float(np.finfo(np.float32).max))
# Half a step above the largest float32 everything rounds to infinity.
ROUNDS_TO_INFINITY = Decimal(2) ** 128 - Decimal(2) ** 103


@dataclass
class Body:
    """A body, its content type, and what the oracle holds: a matrix, None for a refusal, "either" for both."""

    content: str | bytes
    content_type: str | None
    expected: np.ndarray | str | None
    kind: str


# The oracle: a number, then each format.

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def number_of(text: str) -> float | None:
    """Return the float32 of a number as CSV files have it; None for anything else, missing and infinite included."""
    text = text.strip(" \t\r\n")
    if not NUMBER.fullmatch(text):
        return None
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent) > 6:
        return None if Decimal(mantissa) and not exponent.startswith("-") else 0.0
    exact = Decimal(text)
    if abs(exact) >= ROUNDS_TO_INFINITY:
        return None
    with np.errstate(over="ignore"):
        return float(np.float32(float(exact)))


def matrix_of_texts(names: list[str] | None, rows: list[list[str]]) -> np.ndarray | None:
    """Return the features of a table of texts."""
    if not rows or any(len(row) != len(names or rows[0]) for row in rows):
        return None
    if names is None and len(rows[0]) != len(NAMES):
        return None
    if names is not None and (len(set(names)) != len(names) or not set(NAMES) <= set(names)):
        return None
    places = [names.index(name) if names else place for place, name in enumerate(NAMES)]
    found = [[number_of(row[place]) for place in places] for row in rows]
    if any(value is None for row in found for value in row):
        return None
    return np.array(found, np.float32)


class NotJsonError(Exception):
    """It is not the grammar of RFC 8259."""


@dataclass
class Reader:
    """A JSON reader by recursive descent, which keeps numbers as `Decimal` and knows no NaN."""

    text: str
    place: int = 0

    def document(self) -> Any:
        value = self.value(0)
        self.blanks()
        if self.place != len(self.text):
            raise NotJsonError
        return value

    def blanks(self) -> None:
        while self.text[self.place : self.place + 1] in {" ", "\t", "\n", "\r"}:
            self.place += 1

    def take(self, mark: str) -> bool:
        self.blanks()
        found = self.text.startswith(mark, self.place)
        self.place += len(mark) * found
        return found

    def value(self, depth: int) -> Any:
        if depth > 60:
            raise NotJsonError
        if self.take("{"):
            return self.record(depth)
        if self.take("["):
            return self.items(depth)
        if self.take('"'):
            return self.string()
        for word, meaning in (("true", True), ("false", False), ("null", None)):
            if self.take(word):
                return meaning
        found = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?").match(self.text, self.place)
        if not found:
            raise NotJsonError
        self.place = found.end()
        return Number(found.group())

    def record(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.take("}"):
            return found
        while True:
            if not self.take('"'):
                raise NotJsonError
            name = self.string()
            if name in found or not self.take(":"):
                raise NotJsonError
            found[name] = self.value(depth + 1)
            if self.take("}"):
                return found
            if not self.take(","):
                raise NotJsonError

    def items(self, depth: int) -> list[Any]:
        found: list[Any] = []
        if self.take("]"):
            return found
        while True:
            found.append(self.value(depth + 1))
            if self.take("]"):
                return found
            if not self.take(","):
                raise NotJsonError

    def string(self) -> str:
        found = re.compile(r'((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"').match(self.text, self.place)
        if not found:
            raise NotJsonError
        self.place = found.end()
        units = re.sub(
            r"\\(u[0-9a-fA-F]{4}|.)",
            lambda m: (
                chr(int(m[1][1:], 16))
                if m[1][0] == "u" and len(m[1]) == 5
                else {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1])
            ),
            found[1],
        )
        try:
            return units.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise NotJsonError from error


class Number(str):
    """A number's own text."""

    __slots__ = ()


def feature_text(value: Any) -> str | None:
    """Return the text of what may be a feature's value."""
    if isinstance(value, str):
        return value
    return None


def matrix_of_records(records: list[Any]) -> np.ndarray | None:
    """Return the features of records."""
    if not records or not all(isinstance(record, dict) for record in records):
        return None
    rows = [[feature_text(record.get(name)) for name in NAMES] for record in records]
    if any(text is None for row in rows for text in row):
        return None
    return matrix_of_texts(NAMES, rows)


def matrix_of_lists(names: list[str] | None, lists: Any) -> np.ndarray | None:
    """Return the features of lists of values."""
    if not isinstance(lists, list) or not all(isinstance(row, list) for row in lists):
        return None
    rows = [[feature_text(value) for value in row] for row in lists]
    names_or_all = names or NAMES
    if any(len(row) != len(names_or_all) for row in rows):
        return None
    needed = [place for place, name in enumerate(names_or_all) if name in NAMES]
    if any(row[place] is None for row in rows for place in needed):
        return None
    return matrix_of_texts(names, [[text or "" for text in row] for row in rows])


def text_of(content: str | bytes) -> str | None:
    """Return the text of a body."""
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content.encode("utf-8").decode("utf-8")
    except UnicodeError:
        return None
    if isinstance(content, str) and "\ufffd" in text:
        return None
    return text[1:] if text.startswith("\ufeff") else text


def oracle_json(content: str | bytes) -> np.ndarray | str | None:
    """Return the expected result of a JSON body."""
    text = text_of(content)
    if text is None:
        return None
    try:
        document = Reader(text).document()
    except NotJsonError:
        # Python's json writes NaN and Infinity, which are read where no feature is.
        return "either" if re.search(r"NaN|Infinity", text) else None
    if re.search(r"[0-9]{4301}", text):
        return "either"
    if isinstance(document, list):
        is_lists = bool(document) and isinstance(document[0], list)
        return matrix_of_lists(None, document) if is_lists else matrix_of_records(document)
    if not isinstance(document, dict):
        return None
    if "instances" in document:
        return matrix_of_lists(None, document["instances"])
    if set(document) == {"columns", "data"}:
        names = document["columns"]
        is_names = isinstance(names, list) and all(type(name) is str for name in names)
        return matrix_of_lists(names, document["data"]) if is_names and names else None
    return matrix_of_records([document])


def oracle_lines(content: str | bytes) -> np.ndarray | str | None:
    """Return the expected result of a body of JSON lines."""
    text = text_of(content)
    if text is None:
        return None
    records = []
    for line in text.split("\n"):
        if line.strip(" \t\r"):
            try:
                records.append(Reader(line).document())
            except NotJsonError:
                return "either" if re.search(r"NaN|Infinity", line) else None
    return "either" if re.search(r"[0-9]{4301}", text) else matrix_of_records(records)


def csv_cells(text: str) -> list[list[str]] | None:
    """Read CSV as RFC 4180 has it, with any line end."""
    rows, row, cell, place = [], [], "", 0
    quoted = was_quoted = False
    while place <= len(text):
        mark = text[place] if place < len(text) else "\n"
        if quoted:
            if place == len(text):
                return None
            if mark == '"' and text[place + 1 : place + 2] == '"':
                cell += '"'
                place += 1
            elif mark == '"':
                quoted = False
            else:
                cell += mark
        elif mark == '"' and not cell and not was_quoted:
            quoted = was_quoted = True
        elif mark in ",\r\n":
            row.append(cell)
            has_cells = len(row) > 1 or row[0] or was_quoted
            cell, was_quoted = "", False
            if mark != ",":
                rows += [row] if has_cells else []
                row = []
        elif was_quoted:
            return None
        else:
            cell += mark
        place += 1
    return rows


def oracle_csv(content: str | bytes) -> np.ndarray | str | None:
    """Return the expected result of a CSV body."""
    text = text_of(content)
    rows = None if text is None else csv_cells(text)
    if not rows:
        return None
    words = {"", "nan", "inf", "infinity"}
    numbers = [
        bool(NUMBER.fullmatch(cell.strip(" \t\r\n"))) or cell.strip(" \t\r\n").lower().lstrip("+-") in words
        for cell in rows[0]
    ]
    if all(numbers):
        return matrix_of_texts(None, rows)
    if any(numbers):
        return None
    names = []
    for cell in rows[0]:
        name = cell.strip(" \t")
        is_quoted = name != cell and len(name) > 1 and name[0] == name[-1] == '"'
        names.append(name[1:-1].replace('""', '"') if is_quoted else name)
    return matrix_of_texts(names, rows[1:])


def oracle_npy(content: bytes) -> np.ndarray | str | None:
    """Return the expected result of an .npy body: numpy's, if it is an array of plain numbers and no bytes follow."""
    if not content.startswith(b"\x93NUMPY"):
        return None
    source = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(source)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(source)
    except Exception:
        return None
    data = content[source.tell() :]
    plain = (
        all(type(size) is int for size in shape)
        and dtype.kind in "fiu"
        and dtype.itemsize <= 8
        and 1 <= len(shape) <= 2
        and min(shape) > 0
    )
    count = 1
    for size in shape:
        count *= int(size)
    if not plain or count * dtype.itemsize != len(data):
        return None
    values = np.atleast_2d(np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C"))
    if values.shape[1] != len(NAMES):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        singles = values.astype(np.float64).astype(np.float32)
    return singles if np.isfinite(singles).all() else None


# The bodies.

# fmt: off
ODD_TEXTS = [
    "1_0", "\u0661", "\u00a01", "1\u00a0", "\uff11", " 2 ", "\t3", "+4", "-0", "-0.0", ".5", "5.", "1e5", "1E-7",
    "1e400", "1e-400", "0x1F", "0b1", "1e", "e1", "1.2.3", "--1", "1,5", "nan", "NaN", "inf", "-Infinity", "", " ",
    "NULL", "null", "None", "true", "9" * 30, "9" * 5000, "0" * 400 + "1", "3.4028236e38", "3.4028234663852886e38",
    "1e39", "\x0b1", "\x1c1", "\u20281", "1\x00", "\ufeff1", "007", "1d5", "1f", "\u2212" + "1", "1e+5", "\u0968",
    "4\u00b2", "\ufffd", "\ud800",
]
# fmt: on
# fmt: off
ODD_JSON = [
    "1_0", "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "-0", "-0.0", "1e400", "1E5", "9" * 30,
    "9" * 4300, "9" * 4301, "1" + "0" * 5000, "true", "null", "[]", "[1]", "{}", '"1.5"', '"1_0"', '"\u0661"',
    '" 2"', '""', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0031"', '"\\n1"', "'1'", "0x1F", "1e", "-", "\u0661", "1 2",
    "[" * 50 + "]" * 50, "[" * 3000 + "]" * 3000, '{"a": ' * 2000 + "1" + "}" * 2000, '"\t"', "1.5e-320",
    "3.4028236e38", "-1e39",
]
# fmt: on
NOISE = ["", "\ufeff", " ", "\n", "\r\n\r\n", "\x00", ",", '"', "[", "{}", "\u2028", "\x85", "\xa0", "#"]


def make(random_: random.Random) -> Body:
    """Make one body."""
    kind = random_.choice([csv_body, csv_body, json_body, json_body, lines_body, npy_body, parquet_body, any_body])
    body = kind(random_)
    if random_.random() < 0.25:
        body = damaged(random_, body)
    return body


def values_of(random_: random.Random) -> list[list[float]]:
    """Make a small matrix."""
    rows = random_.choice([1, 1, 2, 3, 7])
    scale = random_.choice([1.0, 1.0, 1e-3, 1e6, 1e37])
    return [[random_.gauss(0, 1) * scale for _ in NAMES] for _ in range(rows)]


def written(random_: random.Random, value: float) -> str:
    return random_.choice([repr, repr, "{:.3f}".format, "{:e}".format, lambda v: str(int(v))])(value)


def names_of(random_: random.Random) -> list[str]:
    names = [
        *NAMES,
        *random_.sample(["account_id", "note", "is_anomaly", "anomaly_score", "a,b", 'q"', "\u00e9", " x"], 2),
    ]
    if random_.random() < 0.3:
        random_.shuffle(names)
    if random_.random() < 0.05:
        names[0] = random_.choice([names[1], "", NAMES[0] + "x"])
    return names


def csv_body(random_: random.Random) -> Body:
    rows = [[written(random_, value) for value in row] for row in values_of(random_)]
    names = None
    if random_.random() < 0.7:
        names = names_of(random_)
        extra = {name: random_.choice(["x", "0042", "=1+1", 'a "b", c', "\u00fc", ""]) for name in names}
        rows = [[dict(zip(NAMES, row, strict=True)).get(name, extra[name]) for name in names] for row in rows]
    for _ in range(random_.choice([0, 0, 1, 2])):
        row = random_.choice(rows)
        row[random_.randrange(len(row))] = random_.choice(ODD_TEXTS)
    text = io.StringIO()
    end = random_.choice(["\n", "\r\n", "\r"])
    quoting = random_.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([names, *rows] if names else rows)
    content = random_.choice(["", "", "\ufeff"]) + text.getvalue()
    if names and random_.random() < 0.1:
        head, _, tail = content.partition(end)
        content = head.replace(",", ", ") + end + tail
    return text_body(random_, content, CSV)


def text_body(random_: random.Random, content: str, content_type: str) -> Body:
    as_bytes = random_.random() < 0.5 or content_type == LINES
    sent: str | bytes = content.encode("utf-8", "surrogatepass") if as_bytes else content
    kind = content_type + ("; charset=utf-8" if as_bytes and random_.random() < 0.5 else "")
    return Body(sent, kind, None, content_type)


def json_record(names: list[str], cells: list[str], separators: tuple[str, str]) -> str:
    pairs = (json.dumps(name) + separators[1] + cell for name, cell in zip(names, cells, strict=True))
    return "{" + separators[0].join(pairs) + "}"


def json_parts(random_: random.Random) -> tuple[list[str], list[list[str]]]:
    rows = [[written(random_, value) for value in row] for row in values_of(random_)]
    names = names_of(random_) if random_.random() < 0.7 else list(NAMES)
    extra = {name: random_.choice(['"x"', "17", "null", "[1]", '{"a": 1}', "true", '"\\u00fc"']) for name in names}
    rows = [[dict(zip(NAMES, row, strict=True)).get(name, extra[name]) for name in names] for row in rows]
    for _ in range(random_.choice([0, 0, 1, 2])):
        row = random_.choice(rows)
        row[random_.randrange(len(row))] = random_.choice(ODD_JSON)
    return names, rows


def json_body(random_: random.Random) -> Body:
    names, rows = json_parts(random_)
    separators = random_.choice([(", ", ": "), (",", ":"), (" ,\n", " : ")])
    lists = "[" + ",".join("[" + separators[0].join(row) + "]" for row in rows) + "]"
    shape = random_.choice(["records", "records", "record", "instances", "lists", "columns"])
    if random_.random() < 0.02:
        content = random_.choice(
            ["[{}]", "[{}, {}]", "[[]]", "[[], []]", "{}", "[]", '{"columns": [], "data": [[]]}', "[{}, 1]"]
        )
    elif shape == "records":
        content = "[" + separators[0].join(json_record(names, row, separators) for row in rows) + "]"
    elif shape == "record":
        content = json_record(names, rows[0], separators)
    elif shape == "columns":
        content = '{"columns": ' + json.dumps(names) + ', "data": ' + lists + "}"
    else:
        content = lists if shape == "lists" else '{"instances": ' + lists + "}"
    return text_body(random_, random_.choice(["", "", "\ufeff"]) + content, JSON)


def lines_body(random_: random.Random) -> Body:
    names, rows = json_parts(random_)
    lines = [json_record(names, row, (", ", ": ")) for row in rows]
    return text_body(random_, random_.choice(["\n", "\r\n", "\n\n"]).join(lines), LINES)


def npy_body(random_: random.Random) -> Body:
    source = io.BytesIO()
    values = np.array(values_of(random_))
    dtype = random_.choice(["<f4", "<f8", ">f8", "<f2", "<i8", "|u1", "<U3", "|b1", "<c16", "O", "<f4"])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = values.astype(dtype, order=random_.choice("CF"))
        np.save(source, random_.choice([array, array, array[0], array[0, 0], array[None], array[:0]]))
    content = source.getvalue()
    # fmt: off
    odd = [
        "(3L, 4L)", "(10000000000000, 10000000000000)", "(1" + "0" * 30 + ",)", "(" * 200 + ")" * 200, "(-1, 11)", "()",
        "(1,)", "(True, 11)", "(0, 11)", "(999999999999999, 0)", "[1, 11]", "(1, 11L)",
        "(1 , 11)", "(0x1, 11)", "(1_1, 11)",
    ]
    # fmt: on
    if random_.random() < 0.4:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {random_.choice(odd)}, }}".ljust(117) + "\n"
        data = struct.pack("<11f", *range(11))
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
    if random_.random() < 0.1:
        source = io.BytesIO()
        random_.choice([np.savez, np.savez_compressed])(source, a=values)
        content = source.getvalue()
    return Body(content, NPY, None, NPY)


def parquet_body(random_: random.Random) -> Body:
    values = np.array(values_of(random_))
    columns: dict[str, Any] = {name: pa.array(values[:, place]) for place, name in enumerate(NAMES)}
    count = len(values)
    extras = {
        "text": pa.array(["x"] * count),
        "not UTF-8": pa.array([b"\xff\xfe"] * count, pa.binary()).view(pa.string()),
        "bytes": pa.array([b"\xff"] * count),
        "late": pa.array([2**62] * count, pa.timestamp("us")),
        "zone": pa.array([2**50] * count, pa.timestamp("s", "Europe/Berlin")),
        "day": pa.array([2**30] * count, pa.int32()).view(pa.date32()),
        "long": pa.array([2**62] * count, pa.duration("s")),
        "list": pa.array([[1.0]] * count),
        "struct": pa.array([{"a": 1}] * count),
        "decimal": pa.array([Decimal("1.50")] * count),
        "categories": pa.array(["a"] * count).dictionary_encode(),
        "nothing": pa.nulls(count),
        "huge": pa.array([2**63] * count, pa.uint64()),
    }
    extra = random_.choice([None, None, *extras])
    if extra:
        columns[extra] = extras[extra]
    expected: Any = values.astype(np.float32)
    odd = random_.choice([None, None, None, "text", "null", "float32", "missing", "nan"])
    first = NAMES[0]
    if odd == "text":
        columns[first], expected = pa.array(["1_0"] * count), None
    elif odd == "null":
        columns[first], expected = pa.nulls(count, pa.float64()), None
    elif odd == "nan":
        columns[first], expected = pa.array([float("nan")] * count), None
    elif odd == "missing":
        expected = None
        del columns[first]
    elif odd == "float32":
        columns = {name: column.cast(pa.float32()) if name in NAMES else column for name, column in columns.items()}
    with np.errstate(all="ignore"):
        if expected is not None and not np.isfinite(expected).all():
            expected = None
    refusable = {"not UTF-8", "bytes", "late", "zone", "day", "long", "list", "struct"}
    if extra in refusable and expected is not None:
        expected = ("either", expected)
    source = io.BytesIO()
    pq.write_table(pa.table(columns), source, compression=random_.choice(["snappy", "zstd", "none", "gzip"]))
    return Body(source.getvalue(), PARQUET, expected, PARQUET)


def any_body(random_: random.Random) -> Body:
    size = random_.choice([0, 1, 10, 200])
    content: str | bytes = random_.randbytes(size)
    if random_.random() < 0.5:
        content = "".join(
            random_.choice('0123456789.eE+-_,"[]{}:\n\r\t nulltrue\u00e9\u0661\ud800') for _ in range(size)
        )
    content_type = random_.choice([CSV, JSON, LINES, PARQUET, NPY, None, "", "text/plain", "TEXT/CSV ; header=present"])
    return Body(content, content_type, None, content_type or "none")


def damaged(random_: random.Random, body: Body) -> Body:
    """Change a few characters or bytes."""
    content = body.content
    for _ in range(random_.choice([1, 1, 2, 5])):
        place = random_.randrange(len(content) + 1)
        cut = place + random_.choice([0, 0, 1, 1, 3, 40])
        if isinstance(content, str):
            content = content[:place] + random_.choice([*NOISE, *ODD_TEXTS]) + content[cut:]
        else:
            content = (
                content[:place] + random_.choice([b"", b"\x00", b"\xff\xff", random_.randbytes(4)]) + content[cut:]
            )
    expected = "unknown" if body.kind == PARQUET else None
    return Body(content, body.content_type, expected, body.kind)


def expectation(body: Body) -> Any:
    """Return the expected result of a body."""
    media_type = (body.content_type or JSON).partition(";")[0].strip().lower()
    if media_type == PARQUET:
        if isinstance(body.content, bytes) and body.kind == PARQUET:
            return body.expected
        return None
    readers = {CSV: oracle_csv, JSON: oracle_json, LINES: oracle_lines}
    if media_type in readers:
        return readers[media_type](body.content)
    if media_type == NPY:
        return oracle_npy(body.content if isinstance(body.content, bytes) else body.content.encode("utf-8", "replace"))
    return None


# The run.


@dataclass
class Tally:
    """What came of the bodies."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0


def run(model_dir: Path, bodies: int, seed: int) -> Tally:
    """Send bodies to the four functions and compare the answers with the oracle's."""
    model = model_fn(str(model_dir))
    forest = joblib.load(model_dir / "model.joblib")
    tally, random_ = Tally(), random.Random(seed)
    pending: list[tuple[str, np.ndarray, list[float]]] = []
    for number in range(bodies):
        body, accept = make(random_), random_.choice(ACCEPTS)
        # A tenth goes the way of large bodies, which Arrow reads.
        large = random_.random() < 0.1
        request_rows.LARGE_BODY, request_rows.ARROW_ROWS = (0, 1) if large else (2**16, 4000)
        where = f"body {number} of seed {seed} ({body.kind}, Accept {accept}{', large' * large}): {body.content!r:.300}"
        started = time.perf_counter()
        try:
            answer = output_fn(predict_fn(input_fn(body.content, body.content_type), model), accept)
            if isinstance(answer, tuple):
                answer[0].encode()
        except Exception:
            tally.exceptions.append(f"{where}\n{traceback.format_exc()}")
            continue
        finally:
            tally.slowest_seconds = max(tally.slowest_seconds, time.perf_counter() - started)
            request_rows.LARGE_BODY, request_rows.ARROW_ROWS = 2**16, 4000
        expected = expectation(body)
        if isinstance(answer, tuple):
            tally.statuses[200] += 1
            _compare(where, expected, records_of(*answer), pending, tally)
        else:
            tally.statuses[answer.status_code] += 1
            _check_refusal(where, expected, answer, tally)
    _check_scores(forest, pending, tally)
    return tally


def records_of(text: str, content_type: str) -> list[dict[str, Any]]:
    """Take the rows out of an answer."""
    if content_type == CSV:
        return list(csv.DictReader(io.StringIO(text)))
    if content_type == LINES:
        return [json.loads(line) for line in text.split("\n") if line]
    document = json.loads(text)
    if isinstance(document, list):
        return document
    if isinstance(document.get("columns"), list):
        return [dict(zip(document["columns"], row, strict=True)) for row in document["data"]]
    return document.get("predictions", [document])


def _compare(where: str, expected: Any, records: list[dict[str, Any]], pending: list[Any], tally: Tally) -> None:
    if isinstance(expected, tuple):
        expected = expected[1]
    if expected is None:
        tally.wrong.append(f"{where}: 2xx, and the oracle reads no matrix")
    elif not isinstance(expected, str):
        pending.append((where, expected, [float(record["anomaly_score"]) for record in records]))
        # Attributions take the features' names, and are no features; scores alone have none.
        if "output=" not in where and _repeated(records).tobytes() != (expected + np.float32(0)).tobytes():
            tally.wrong.append(f"{where}: 2xx, and the answer repeats other features")


def _repeated(records: list[dict[str, Any]]) -> np.ndarray:
    """Return the features that an answer repeats; -0 is 0 to JavaScript and to Python's integers."""
    cells = [[float(record[name]) for name in NAMES] for record in records]
    return np.array(cells).astype(np.float32) + np.float32(0)


def _check_refusal(where: str, expected: Any, answer: Any, tally: Tally) -> None:
    error = json.loads(answer.get_data())["error"]
    sentence = error["message"]
    if not 400 <= answer.status_code < 500 or not 10 < len(sentence) < 1000 or "\n" in sentence:
        tally.wrong.append(f"{where}: {answer.status_code} with {sentence!r}")
    elif isinstance(expected, np.ndarray):
        tally.wrong.append(f"{where}: {sentence!r}, and the oracle reads {expected.shape[0]} rows")


def _check_scores(forest: Any, pending: list[tuple[str, np.ndarray, list[float]]], tally: Tally) -> None:
    if not pending:
        return
    expected = forest.decision_function(named(forest, np.concatenate([matrix_ for _, matrix_, _ in pending])))
    first = 0
    for where, matrix_, scores in pending:
        if scores != expected[first : first + len(matrix_)].tolist():
            tally.wrong.append(f"{where}: 2xx with other scores")
        first += len(matrix_)


def trained(folder: Path) -> Path:
    """Train a small forest."""
    write_part(folder / "train" / "a.parquet", matrix(2000))
    done = run_training_script(folder / "train", folder / "model", "--n_estimators", "50")
    if done.returncode:
        raise SystemExit(done.stderr)
    return folder / "model"


def main() -> int:
    """Print the counts; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        tally = run(trained(Path(folder)), arguments.bodies, arguments.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(tally.statuses.items()))
    print(f"{arguments.bodies:,} bodies, seed {arguments.seed}: {answers}")
    print(f"{len(tally.exceptions)} exceptions, {len(tally.wrong)} wrong answers")
    print(
        f"slowest answer {tally.slowest_seconds:.2f} s, peak memory {peak:,.0f} MB, "
        f"{time.perf_counter() - started:.0f} s in all"
    )
    for line in [*tally.exceptions[:10], *tally.wrong[:30]]:
        print(line)
    return int(bool(tally.exceptions or tally.wrong))


if __name__ == "__main__":
    sys.exit(main())
