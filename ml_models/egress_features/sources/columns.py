"""Reads the column names of an export, and the SQL that scans it."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from egress_features.sources.maps import MapEncoding

_PAIR = ("key", "value")


@dataclass(frozen=True)
class ExportFile:
    """A file and its column names; the rest is known of parquet alone: in CSV every cell is a text, or nothing.

    `without_nulls` are the columns of which every row group's statistics say so.
    """

    path: Path
    names: tuple[str, ...]
    types: dict[str, pa.DataType] = field(default_factory=dict)
    without_nulls: frozenset[str] = frozenset()

    def is_double(self, name: str) -> bool:
        """Say whether a column is known to be float64."""
        return name in self.types and pa.types.is_float64(self.types[name])

    def is_timestamp(self, name: str) -> bool:
        """Say whether a column is known to hold moments."""
        return name in self.types and pa.types.is_timestamp(self.types[name])

    def is_text_without_nulls(self, name: str) -> bool:
        """Say whether a column is known to have a text in every line, empty perhaps."""
        return name in self.without_nulls and pa.types.is_string(self.types[name])

    def map_encoding(self, name: str) -> MapEncoding | None:
        """Say how the file encodes a map column; None where it has none, or in a way that is not known."""
        kind = self.types.get(name)
        if kind is None:
            return "json" if name in self.names else None
        if pa.types.is_map(kind):
            return "map"
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return "pairs" if kind.value_type.num_fields == len(_PAIR) else None
        return "json" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None

    def scan_sql(self, *, null_texts: tuple[str, ...] = ()) -> str:
        """Return the SQL table function that scans the file; CSV cells stay texts, `null_texts` mean nothing."""
        quoted = _quoted(str(self.path))
        if self.path.name.endswith(".parquet"):
            # A folder such as BILLING_PERIOD=2026-11 adds no column.
            return f"read_parquet({quoted}, hive_partitioning = false)"
        nulls = ", ".join(_quoted(text) for text in ("", *null_texts))
        return (
            f"read_csv({quoted}, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
            f"nullstr = [{nulls}])"
        )


def open_export(path: Path) -> ExportFile:
    """Read the column names of a parquet or CSV file.

    Raises
    ------
    BadInputError
        A file that cannot be opened, is empty, truncated, or not of the kind that its name says.
    """
    try:
        if path.name.endswith(".parquet"):
            metadata = pq.read_metadata(path)
            schema = metadata.schema.to_arrow_schema()
            types = {column.name: column.type for column in schema}
            return ExportFile(path, tuple(schema.names), types, _without_nulls(metadata))
        return ExportFile(path, tuple(_csv_header(path)))
    except (pa.ArrowException, EOFError, UnicodeDecodeError, csv.Error, gzip.BadGzipFile) as error:
        kind = "parquet" if path.name.endswith(".parquet") else "CSV"
        raise BadInputError(
            f"{path} is no complete {kind} file, it may have been cut off: {_first_line(error)}"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or _first_line(error)}") from error


def _without_nulls(metadata: pq.FileMetaData) -> frozenset[str]:
    """Return the flat columns that have no null in any row group, by the statistics."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    found = set()
    for place in range(metadata.num_columns):
        chunks = (group.column(place) for group in groups)
        statistics = (chunk.statistics for chunk in chunks)
        if all(known is not None and known.has_null_count and known.null_count == 0 for known in statistics):
            found.add(metadata.schema.column(place).path)
    return frozenset(found)


def _csv_header(path: Path) -> list[str]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), None)
    if not header:
        raise BadInputError(f"{path} is empty; a billing export has a header line with column names")
    return header


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
