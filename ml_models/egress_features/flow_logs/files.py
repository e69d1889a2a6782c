"""Finds flow log files, and makes one SQL scan for all files of one format."""

from __future__ import annotations

import glob
import gzip
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.errors import BadInputError
from egress_features.flow_logs.fields import FIELDS, check_fields, normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUFFIXES = (".parquet", ".log.gz", ".log", ".txt.gz", ".txt")


def find_flow_logs(arguments: Sequence[str | Path]) -> list[Path]:
    """List the flow log files that the arguments name, sorted, each once.

    Parameters
    ----------
    arguments : sequence of str or Path
        Files, globs, or folders, which are searched to the bottom: a copy of the bucket's `AWSLogs/` in either layout.

    Raises
    ------
    BadInputError
        An argument that names nothing, or a file of another kind.
    """
    found: set[Path] = set()
    for argument in arguments:
        matched = list(_expand(argument))
        if not matched:
            raise BadInputError(
                f"no flow log in {argument}: give files, globs or folders with {', '.join(SUFFIXES)} files"
            )
        found.update(matched)
    return sorted(found)


def _expand(argument: str | Path) -> Iterable[Path]:
    path = Path(argument)
    if path.is_file():
        if not path.name.endswith(SUFFIXES):
            raise BadInputError(f"{path} is no {', '.join(SUFFIXES)} file, and flow logs of no other kind are read")
        return [path]
    roots = [path] if path.is_dir() else [Path(p) for p in glob.glob(str(argument), recursive=True)]  # noqa: PTH207
    files = (file for root in roots for file in (root.rglob("*") if root.is_dir() else [root]))
    return [file for file in files if file.is_file() and file.name.endswith(SUFFIXES) and file.name[0] not in "._"]


def scans_sql(paths: Sequence[Path]) -> str:
    """Return the SQL that reads all records as one table: every field of `FIELDS`, and `file`; texts as written.

    Files of one format are one scan, so that ten thousand small files cost little more than their bytes.

    Raises
    ------
    BadInputError
        An unreadable file, or one that is no flow log.
    """
    formats: dict[tuple[bool, tuple[str, ...]], list[Path]] = defaultdict(list)
    for path in paths:
        names = _field_names(path)
        check_fields(path, names)
        formats[path.name.endswith(".parquet"), tuple(names)].append(path)
    return " UNION ALL ".join(_scan(files, names, parquet) for (parquet, names), files in sorted(formats.items()))


def _field_names(path: Path) -> list[str]:
    """Return the fields that a file's header line or its parquet schema names.

    Raises
    ------
    BadInputError
        A file that cannot be opened, is empty, or is cut off.
    """
    try:
        return list(pq.read_schema(path).names) if path.name.endswith(".parquet") else _header(path)
    except (pa.ArrowException, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        first = str(error).partition("\n")[0]
        raise BadInputError(f"{path} is no complete flow log file, it may have been cut off: {first}") from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}") from error


def _header(path: Path) -> list[str]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        names = file.readline().split()
    if not names:
        raise BadInputError(f"{path} is empty; a flow log file begins with a line that names its fields")
    if re.fullmatch(r"\d+", names[0]):
        raise BadInputError(
            f"{path} begins with a record; files as S3 gets them begin with a line that names the fields: put it back"
        )
    return names


def _scan(files: Sequence[Path], names: Sequence[str], is_parquet: bool) -> str:
    listed = "[" + ", ".join(_quoted(str(path)) for path in files) + "]"
    at = {normal(name): name for name in names}
    if is_parquet:
        source = f"read_parquet({listed}, filename = true, hive_partitioning = false)"
    else:
        columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in names)
        source = (
            f"read_csv({listed}, columns = {{{columns}}}, header = true, auto_detect = false, delim = ' ', quote = '', "
            "escape = '', nullstr = '-', filename = true)"
        )
    values = ", ".join(
        # As in text files: "-" is nothing.
        f"NULLIF(CAST({_identifier(at[field.name])} AS VARCHAR), '-') AS {field.name}"
        if field.name in at
        else f"CAST(NULL AS VARCHAR) AS {field.name}"
        for field in FIELDS
    )
    return f"SELECT filename AS file, {values} FROM {source}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
