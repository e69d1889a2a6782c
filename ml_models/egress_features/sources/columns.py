"""Reads the column names of an export, and the SQL that scans it."""

from __future__ import annotations

import csv
import glob
import gzip
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.errors import BadInputError
from egress_features.sources.csv_form import NATIVE_ENCODINGS, as_utf8, read_csv_form

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_features.sources.csv_form import CsvForm
    from egress_features.sources.maps import MapEncoding

_PAIR = ("key", "value")
_SEPARATORS = re.compile(r"[\W_]+")
# What CSV files write for nothing: Hive and Athena write \N, FOCUS's CSV files NULL.
_CSV_NULLS = ("\\N",)
_ALL_NULLS = (*_CSV_NULLS, "NULL")
_EPOCH = re.compile(r"\d{9,19}")
_NUMBER = "is no number; write numbers as 1234.5, with a point and without separators of thousands"
_TIME = "is no time; write times as 2026-09-01T00:00:00Z"


def normal_name(name: str) -> str:
    """Return a column's name in lower case without separators, such as lineitemusagetype."""
    return _SEPARATORS.sub("", name).lower()


def is_parquet(path: Path) -> bool:
    """Return whether a file's name is that of a parquet file."""
    return path.name.lower().endswith(".parquet")


@dataclass(frozen=True)
class ExportFile:
    """A file and its column names. Only parquet has types: in CSV every cell is a text or empty.

    `without_nulls` and `without_values` are columns without nulls, and without values, by the statistics of every row
    group. `first_values` holds a value of each text column that has one in the first lines.
    """

    path: Path
    names: tuple[str, ...]
    types: dict[str, pa.DataType] = field(default_factory=dict)
    without_nulls: frozenset[str] = frozenset()
    without_values: frozenset[str] = frozenset()
    first_values: dict[str, str] = field(default_factory=dict)
    csv_form: CsvForm | None = None
    # A copy in UTF-8, if DuckDB cannot read the file's encoding.
    copy: Path | None = None

    def find(self, *names: str) -> str | None:
        """Return the file's own spelling of the first of these columns that it has, in any case."""
        for name in names:
            found = name if name in self.names else self._by_normal_name.get(normal_name(name))
            if found is not None:
                return found
        return None

    def quoted(self, *names: str) -> str | None:
        """Return the result of `find` as an SQL identifier."""
        found = self.find(*names)
        return None if found is None else quoted_name(found)

    @cached_property
    def _by_normal_name(self) -> dict[str, str]:
        return {normal_name(name): name for name in reversed(self.names)}

    def has_values(self, name: str) -> bool:
        """Return whether a column has a value: of CSV, in the first lines."""
        return name in self.first_values if self.csv_form else name not in self.without_values

    def is_double(self, name: str) -> bool:
        """Return whether a column is known to be float64."""
        return name in self.types and pa.types.is_float64(self.types[name])

    def is_timestamp(self, name: str) -> bool:
        """Return whether a column is known to hold timestamps."""
        return name in self.types and pa.types.is_timestamp(self.types[name])

    def is_number(self, name: str) -> bool:
        """Return whether a column is known to hold numbers."""
        kind = self.types.get(name)
        return kind is not None and (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        )

    def is_epoch(self, name: str) -> bool:
        """Return whether a column holds times as numbers of seconds, milliseconds, microseconds or nanoseconds."""
        return self.is_number(name) or _EPOCH.fullmatch(self.first_values.get(name, "")) is not None

    def is_text(self, name: str) -> bool:
        """Return whether a column holds texts."""
        kind = self.types.get(name)
        return kind is None or pa.types.is_string(kind) or pa.types.is_large_string(kind)

    def is_text_without_nulls(self, name: str) -> bool:
        """Return whether a column is known to have a text in every line, empty perhaps."""
        return name in self.without_nulls and pa.types.is_string(self.types[name])

    def map_encoding(self, name: str) -> MapEncoding | None:
        """Return how the file encodes a map column, or None if it has none, or in a way that is not known."""
        found = self.find(name)
        kind = self.types.get(found or "")
        if kind is None:
            return None if found is None else "json"
        if pa.types.is_map(kind):
            return "map"
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return "pairs" if kind.value_type.num_fields == len(_PAIR) else None
        return "json" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None

    def scan_sql(self, *, null_texts: tuple[str, ...] = ()) -> str:
        """Return the SQL table function that scans the file. CSV cells stay texts, and `null_texts` become NULL."""
        # The engines would take the path for a pattern, and bill[1].csv for bill1.csv.
        quoted = _quoted(glob.escape(str(self.copy or self.path)))
        if self.csv_form is None:
            # A folder such as BILLING_PERIOD=2026-11 adds no column.
            return f"read_parquet({quoted}, hive_partitioning = false)"
        nulls = ", ".join(_quoted(text) for text in ("", *_CSV_NULLS, *null_texts))
        is_utf8 = self.copy is not None or self.csv_form.encoding == "utf-8"
        encoding = "" if is_utf8 else f", encoding = '{self.csv_form.encoding}'"
        return (
            f"read_csv({quoted}, header = true, all_varchar = true, delim = '{self.csv_form.separator}', quote = '\"', "
            f"escape = '\"', nullstr = [{nulls}]{encoding})"
        )


class CheckedColumn(NamedTuple):
    """A column as the file spells it, the SQL type of its texts, and the error for a text of another type."""

    name: str
    kind: str
    remedy: str


def checked_columns(file: ExportFile, times: Sequence[str], numbers: Sequence[str]) -> tuple[CheckedColumn, ...]:
    """Return the columns of a file whose values may be unreadable."""
    found_times = [name for wanted in times if (name := file.find(wanted)) and file.is_text(name)]
    found_numbers = [name for wanted in numbers if (name := file.find(wanted))]
    return (
        *(CheckedColumn(name, "BIGINT" if file.is_epoch(name) else "TIMESTAMP", _TIME) for name in found_times),
        *(CheckedColumn(name, "DECIMAL(38, 12)", _NUMBER) for name in found_numbers),
    )


def open_export(path: Path) -> ExportFile:
    """Read the column names of a parquet or CSV file.

    Raises
    ------
    BadInputError
        The file cannot be opened, is empty or truncated, or is not of the kind that its name ends with.
    """
    try:
        if is_parquet(path):
            return _open_parquet(path)
        form = read_csv_form(path, _ALL_NULLS)
        copy = None if form.encoding in NATIVE_ENCODINGS else as_utf8(path, form.encoding)
        return ExportFile(path, form.header, first_values=form.first_values, csv_form=form, copy=copy)
    except (pa.ArrowException, EOFError, csv.Error, gzip.BadGzipFile) as error:
        kind = "parquet" if is_parquet(path) else "CSV"
        raise BadInputError(
            f"{path} is no complete {kind} file, it may have been cut off: {_first_line(error)}"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or _first_line(error)}") from error


def quoted_name(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _open_parquet(path: Path) -> ExportFile:
    metadata = pq.read_metadata(path)
    schema = metadata.schema.to_arrow_schema()
    types = {column.name: column.type for column in schema}
    filled, empty, first_values = set(), set(), {}
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    for place in range(metadata.num_columns):
        name = metadata.schema.column(place).path
        chunks = [group.column(place).statistics for group in groups]
        known = [chunk for chunk in chunks if chunk is not None and chunk.has_null_count]
        if len(known) == len(groups):
            if all(chunk.null_count == 0 for chunk in known):
                filled.add(name)
            if metadata.num_rows and all(chunk.num_values == 0 for chunk in known):
                empty.add(name)
        # Of texts alone: for moments pyarrow would import pandas.
        if known and known[0].has_min_max and name in types and pa.types.is_string(types[name]):
            first_values[name] = known[0].min
    return ExportFile(path, tuple(schema.names), types, frozenset(filled), frozenset(empty), first_values)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
