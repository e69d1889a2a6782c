"""Reads the column names of an export, and the SQL that scans it."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path


def column_names(path: Path) -> list[str]:
    """Return the column names of a parquet or CSV file.

    Raises
    ------
    BadInputError
        A file that cannot be opened, is empty, truncated, or not of the kind that its name says.
    """
    try:
        return list(pq.read_schema(path).names) if path.name.endswith(".parquet") else _csv_header(path)
    except (pa.ArrowException, EOFError, UnicodeDecodeError, csv.Error, gzip.BadGzipFile) as error:
        kind = "parquet" if path.name.endswith(".parquet") else "CSV"
        raise BadInputError(
            f"{path} is no complete {kind} file, it may have been cut off: {_first_line(error)}"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or _first_line(error)}") from error


def scan_sql(path: Path) -> str:
    """Return the SQL table function that scans the file; CSV cells stay texts."""
    quoted = "'" + str(path).replace("'", "''") + "'"
    if path.name.endswith(".parquet"):
        return f"read_parquet({quoted})"
    return f"read_csv({quoted}, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"')"


def _csv_header(path: Path) -> list[str]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), None)
    if not header:
        raise BadInputError(f"{path} is empty; a billing export has a header line with column names")
    return header


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
