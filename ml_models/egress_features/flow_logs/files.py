"""Finds flow log files, and makes one SQL scan for all files of one layout."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.flow_logs.fields import FIELDS, normal
from egress_features.flow_logs.layouts import layout_of, looks_like_a_flow_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egress_features.flow_logs.layouts import Layout

SUFFIXES = (".parquet", ".log.gz", ".log", ".txt.gz", ".txt")
# What an export task of CloudWatch Logs writes: exportedlogs/TASK/STREAM/000000.gz.
_EXPORTED = re.compile(r"\d{6}\.gz")
# Files that may be flow logs or anything else, such as a bill: Athena's results, and what Firehose writes.
_UNCERTAIN = re.compile(r".*(\.csv(\.gz)?|\.jsonl?(\.gz)?|-\d{4}(-\d\d){5}-[0-9a-f-]{36}(\.gz)?)")


def find_flow_logs(arguments: Sequence[str | Path]) -> list[Path]:
    """List the flow log files that the arguments name, sorted, each once.

    Parameters
    ----------
    arguments : sequence of str or Path
        Files, globs, or folders, which are searched to the bottom: a copy of the bucket's `AWSLogs/` in either layout,
        or of CloudWatch Logs' `exportedlogs/`. In folders CSV and JSON files that are no flow logs are left out.

    Raises
    ------
    BadInputError
        An argument that names nothing.
    """
    found: set[Path] = set()
    for argument in arguments:
        matched = list(_expand(argument))
        if not matched:
            raise BadInputError(
                f"no flow log in {argument}: give files, globs or folders with {', '.join(SUFFIXES)} files, exports of "
                "CloudWatch Logs (000000.gz), or Athena's results (.csv)"
            )
        found.update(matched)
    return sorted(found)


def _expand(argument: str | Path) -> Iterable[Path]:
    path = Path(argument)
    if path.is_file():
        return [path]
    roots = [path] if path.is_dir() else [Path(p) for p in glob.glob(str(argument), recursive=True)]  # noqa: PTH207
    files = (file for root in roots for file in (root.rglob("*") if root.is_dir() else [root]))
    return [file for file in files if file.is_file() and file.name[0] not in "._" and _is_flow_log(file)]


def _is_flow_log(file: Path) -> bool:
    is_named_so = file.name.endswith(SUFFIXES) or bool(_EXPORTED.fullmatch(file.name))
    return is_named_so or (bool(_UNCERTAIN.fullmatch(file.name)) and looks_like_a_flow_log(file))


def scans_sql(paths: Sequence[Path], fields: Sequence[str] | None = None) -> str:
    """Return the SQL that reads all records as one table: `file` and every field of `FIELDS`, as unchanged texts.

    Files of one layout are read in one scan, so that ten thousand small files cost little more than their bytes.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    fields : sequence of str, optional
        The fields of records in files that do not name them.

    Raises
    ------
    BadInputError
        A file cannot be read or is no flow log.
    """
    layouts: dict[Layout, list[Path]] = defaultdict(list)
    for path in paths:
        layouts[layout_of(path, fields)].append(path)
    return " UNION ALL ".join(_scan(files, layout) for layout, files in sorted(layouts.items()))


def _scan(files: Sequence[Path], layout: Layout) -> str:
    listed = "[" + ", ".join(_quoted(glob.escape(str(path))) for path in files) + "]"
    compression = "gzip" if layout.is_gzip else "none"
    at = {normal(name): place for place, name in enumerate(layout.names)}
    if layout.kind == "parquet":
        source = f"read_parquet({listed}, filename = true, hive_partitioning = false)"
        columns = [_identifier(name) for name in layout.names]
    elif layout.kind == "text":
        source = _text_source(listed, layout, compression)
        columns = [_identifier(name) for name in layout.names]
    elif layout.kind == "json":
        source = f"read_json_objects({listed}, format = 'unstructured', filename = true, compression = '{compression}')"
        columns = [f"json_extract_string(json, {_quoted(f'$.{_identifier(name)}')})" for name in layout.names]
    else:
        source = _message_source(listed, len(layout.names), compression)
        columns = [f"fields[{place}]" for place in range(1, len(layout.names) + 1)]
    values = ", ".join(
        # As in text files: "-" is nothing.
        f"NULLIF(CAST({columns[at[field.name]]} AS VARCHAR), '-') AS {field.name}"
        if field.name in at
        else f"CAST(NULL AS VARCHAR) AS {field.name}"
        for field in FIELDS
    )
    return f"SELECT filename AS file, {values} FROM {source}"


def _text_source(listed: str, layout: Layout, compression: str) -> str:
    columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in layout.names)
    # Records have no quotes. CSV has them, and writes nothing as an empty text.
    dialect = (
        "quote = '', escape = '', nullstr = '-'"
        if layout.delimiter == " "
        else "quote = '\"', escape = '\"', nullstr = ''"
    )
    return (
        f"read_csv({listed}, columns = {{{columns}}}, header = {str(layout.has_header).lower()}, auto_detect = false, "
        f"delim = '{layout.delimiter}', {dialect}, compression = '{compression}', filename = true)"
    )


def _message_source(listed: str, count: int, compression: str) -> str:
    """Return the records of JSON messages as lists of fields; CloudWatch Logs' test messages carry none."""
    objects = f"read_json_objects({listed}, format = 'unstructured', filename = true, compression = '{compression}')"
    messages = (
        "SELECT filename, UNNEST(CASE WHEN json_exists(json, '$.logEvents') "
        "THEN json_extract_string(json, '$.logEvents[*].message') ELSE [json_extract_string(json, '$.message')] END) "
        f"AS message FROM {objects} WHERE json_extract_string(json, '$.messageType') IS DISTINCT FROM 'CONTROL_MESSAGE'"
    )
    wrong = (
        "error(filename || ' has a message that is no record of ' || "
        f"'{count} fields, as --flow-log-format names: ' || COALESCE(message[:200], 'null'))"
    )
    return (
        f"(SELECT filename, CASE WHEN len(fields) = {count} THEN fields ELSE {wrong} END AS fields FROM "
        f"(SELECT filename, message, string_split_regex(trim(message), '\\s+') AS fields FROM ({messages})))"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
