"""Recognizes how a flow log file is written, by its first line.

- S3 delivery: text with a header line, or parquet.
- CloudWatch Logs, exported to S3 (`000000.gz`): a timestamp and the record in each line, no header,
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3Export.html.
- Firehose: JSON objects with a `message`, or batches of them in `logEvents` (a subscription of CloudWatch Logs,
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html), or records alone.
- Athena: CSV with a header line.

Lines without a header need the fields of `--flow-log-format`.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.errors import BadInputError
from egress_features.flow_logs.fields import DEFAULT_FORMAT, EXAMPLE, check_fields, recognises

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")
# A record names its interface third, and ends with an action and a status, in the default format.
_DEFAULT_RECORD = re.compile(r"2 \d{12} eni-\w+ (\S+ ){9}(ACCEPT|REJECT|-) (OK|NODATA|SKIPDATA)")
_FIRST_BYTES = 1 << 20


class Layout(NamedTuple):
    """The layout of a file's records. `names` are its columns, as the file or the format spells them.

    `message` is JSON whose `message` holds a record; `json` is JSON with a key for each field.
    """

    kind: Literal["parquet", "text", "message", "json"]
    names: tuple[str, ...]
    delimiter: str = " "
    has_header: bool = True
    is_gzip: bool = False


def layout_of(path: Path, fields: Sequence[str] | None) -> Layout:
    """Return a file's layout. `fields` are those of `--flow-log-format`, for files without a header.

    Raises
    ------
    BadInputError
        The file cannot be opened, is empty, is cut off, is no flow log, or has no header while no fields are given.
    """
    try:
        is_parquet, is_gzip = path.name.endswith(".parquet"), path.name.endswith(".gz")
        if not is_parquet and not is_gzip:
            magic = _magic(path)
            is_parquet, is_gzip = magic == b"PAR1", magic[:2] == b"\x1f\x8b"
        if is_parquet:
            layout = Layout("parquet", tuple(pq.read_schema(path).names))
        else:
            layout = _text_layout(path, _first_line(path, is_gzip), fields)._replace(is_gzip=is_gzip)
    except (pa.ArrowException, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        first = str(error).partition("\n")[0]
        raise BadInputError(f"{path} is no complete flow log file, it may have been cut off: {first}") from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}") from error
    check_fields(path, layout.names)
    return layout


def looks_like_a_flow_log(path: Path) -> bool:
    """Return whether a file looks like a flow log: by the names in its header, its JSON, or its lines."""
    try:
        line = _first_line(path, _magic(path)[:2] == b"\x1f\x8b")
    except (EOFError, UnicodeDecodeError, OSError):
        return False
    if line.startswith("{"):
        return _record_keys(line) is not None
    words = line.split()
    is_record = len(words) >= len(DEFAULT_FORMAT) and "," not in line and _is_record(words)
    return is_record or recognises(_header(line)[0])


def _text_layout(path: Path, line: str, fields: Sequence[str] | None) -> Layout:
    if not line:
        raise BadInputError(f"{path} is empty; a flow log file begins with a line that names its fields")
    if line.startswith("{"):
        return _json_layout(path, line, fields)
    words = line.split()
    if not _is_record(words) or ("," in line and recognises(_header(line)[0])):
        names, delimiter = _header(line)
        return Layout("text", names, delimiter)
    stamps = ("@timestamp",) if _TIMESTAMP.fullmatch(words[0]) else ()
    if fields is None:
        kind = "is an export of CloudWatch Logs" if stamps else "begins with a record"
        raise BadInputError(
            f"{path} {kind} and has no line that names the fields: {_advice(' '.join(words[len(stamps) :]))}"
        )
    if len(words) != len(stamps) + len(fields):
        raise BadInputError(_mismatch(path, "line 1", len(words) - len(stamps), len(fields)))
    return Layout("text", (*stamps, *fields), has_header=False)


def _json_layout(path: Path, line: str, fields: Sequence[str] | None) -> Layout:
    keys = _record_keys(line)
    if keys is None:
        raise BadInputError(
            f"{path} is JSON without flow log records: each object needs a message, logEvents, or the fields as keys"
        )
    if keys:
        return Layout("json", keys)
    if fields is None:
        raise BadInputError(
            f"{path} has records in JSON messages, which do not name the fields: {_advice(_message(line))}"
        )
    return Layout("message", tuple(fields))


def _advice(record: str) -> str:
    if _DEFAULT_RECORD.fullmatch(record):
        return f"they look like the default format, so add --flow-log-format default, or name others with {EXAMPLE}"
    return f"name them with {EXAMPLE}, or --flow-log-format default; `aws ec2 describe-flow-logs` shows the LogFormat"


def _mismatch(path: Path, where: str, count: int, expected: int) -> str:
    return (
        f"{path} has {count} fields in {where}, and --flow-log-format names {expected}: give the LogFormat that "
        "`aws ec2 describe-flow-logs` shows"
    )


def _header(line: str) -> tuple[tuple[str, ...], str]:
    """Return the names of a header line and their separator."""
    delimiter = next((each for each in ",\t" if each in line), " ")
    names = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter))
    return tuple(names), delimiter


def _is_record(words: Sequence[str]) -> bool:
    """Return whether a line holds values: a field's name is no number, no timestamp and no dash."""
    return any(word.isdigit() or word == "-" for word in words) or bool(words and _TIMESTAMP.fullmatch(words[0]))


def _record_keys(line: str) -> tuple[str, ...] | None:
    """Return the fields that an object has as keys: () if its message holds them, None if it is no record."""
    record = _first_object(line)
    if recognises(list(record)):
        return tuple(record)
    return () if "message" in record or "logEvents" in record else None


def _message(line: str) -> str:
    record = _first_object(line)
    events = record.get("logEvents")
    first = events[0] if isinstance(events, list) and events else record
    return str(first.get("message", "")).strip() if isinstance(first, dict) else ""


def _first_object(line: str) -> dict[str, Any]:
    """Return the first object of a line that is no test message of CloudWatch Logs, or {} if there is none."""
    while line:
        try:
            record, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            return {}
        if not isinstance(record, dict) or record.get("messageType") != "CONTROL_MESSAGE":
            return record if isinstance(record, dict) else {}
        line = line[end:].lstrip()
    return {"logEvents": []}


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _first_line(path: Path, is_gzip: bool) -> str:
    """Return the beginning of the first line that is not blank, without the space around it."""
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
        line = file.readline(_FIRST_BYTES)
        while line and not line.strip():
            line = file.readline(_FIRST_BYTES)
    return line.decode("utf-8-sig").strip()
