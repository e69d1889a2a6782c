"""Finds out how a CSV file is written: its encoding, its separator, its header and the values in its first lines."""

from __future__ import annotations

import atexit
import codecs
import csv
import gzip
import io
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Literal

from egress_features.errors import BadInputError

Encoding = Literal["utf-8", "utf-16", "latin-1", "cp1252", "utf-16-be", "utf-32"]
# The encodings that DuckDB reads itself.
NATIVE_ENCODINGS = ("utf-8", "utf-16", "latin-1")

# Enough to see an accented letter in a region's name; a later one is an error that names the file.
_SAMPLE_BYTES = 8_000_000
_HEAD_CHARACTERS = 1_000_000
_ROWS = 1000
# The first bytes of files of other kinds, and how to fix them.
_OTHER_KINDS = {
    b"\x1f\x8b": "is compressed with gzip; name it .csv.gz",
    b"PK\x03\x04": "is a ZIP archive; unpack it",
    b"PAR1": "is a parquet file; name it .parquet",
}
_CODECS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32",
    "latin-1": "latin-1",
    "cp1252": "cp1252",
}
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written. `first_values` holds the first value of each column that has one in the first rows."""

    encoding: Encoding
    separator: str
    header: tuple[str, ...]
    first_values: dict[str, str]


def read_csv_form(path: Path, null_texts: tuple[str, ...]) -> CsvForm:
    """Read the beginning of a CSV file, gzipped or not.

    Parameters
    ----------
    path : Path
        The file.
    null_texts : tuple of str
        Texts that mean nothing, such as "NULL".

    Raises
    ------
    BadInputError
        An empty file, or one of another kind.
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        sample: bytes = file.read(_SAMPLE_BYTES + 1)
    is_whole = len(sample) <= _SAMPLE_BYTES
    for start, remedy in _OTHER_KINDS.items():
        if sample.startswith(start):
            raise BadInputError(f"{path} {remedy}")
    encoding = _encoding(sample, is_whole=is_whole)
    text = sample[: 2 * _HEAD_CHARACTERS].decode(_CODECS[encoding], errors="ignore").removeprefix("\ufeff")
    separator = max(_SEPARATORS, key=lambda mark: len(_first_row(text, mark)))
    # DuckDB takes the spaces away as well.
    header = [name.strip() for name in _first_row(text, separator)]
    if not any(header):
        raise BadInputError(f"{path} is empty; a billing export has a header line with column names")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    first_values: dict[str, str] = {}
    for row in islice(rows, 1, _ROWS):
        for name, cell in zip(header, row, strict=False):
            if cell and cell not in null_texts:
                first_values.setdefault(name, cell)
    return CsvForm(encoding, separator, tuple(header), first_values)


def as_utf8(path: Path, encoding: Encoding) -> Path:
    """Copy a CSV file to a temporary one in UTF-8, which is removed when the process ends."""
    copy = Path(_folder()) / f"{sha256(str(path.absolute()).encode()).hexdigest()}.csv"
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with (
        opener(path, "rt", encoding=_CODECS[encoding], errors="replace", newline="") as source,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        shutil.copyfileobj(source, target)
    return copy


@cache
def _folder() -> str:
    folder = tempfile.TemporaryDirectory(prefix="egress-features-")
    atexit.register(folder.cleanup)
    return folder.name


def _encoding(sample: bytes, *, is_whole: bool) -> Encoding:
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    even, odd = sample[0:200:2], sample[1:200:2]
    # Column names are ASCII: in UTF-16 every other byte of a header is zero.
    if sample.startswith(codecs.BOM_UTF16_BE) or even.count(0) > len(even) // 2:
        return "utf-16-be"
    if sample.startswith(codecs.BOM_UTF16_LE) or odd.count(0) > len(odd) // 2:
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        # Of these bytes Latin-1 makes control characters, and Windows dashes and quotation marks.
        return "cp1252" if any(byte in sample for byte in range(0x80, 0xA0)) else "latin-1"
    return "utf-8"


def _first_row(text: str, separator: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
