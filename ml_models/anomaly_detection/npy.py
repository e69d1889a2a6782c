"""Reads arrays of numbers from untrusted files in NumPy's formats.

`numpy.load` evaluates the header as Python, allocates any size that it states, and decompresses zip files. This module
accepts only a header as NumPy writes it, data of exactly the stated length, and zip files without compression.
"""

from __future__ import annotations

import math
import re
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_MOST_HEADER_BYTES = 10_000
_MOST_DIGITS = 15
_PART = re.compile(
    r"""'descr': *'(?P<type>[<>|=](?:b1|[iu][1248]|f[248]))'|'fortran_order': *(?P<order>True|False)|"""
    # Python 2 wrote 3L for 3.
    r"""'shape': *\((?P<shape>(?:[0-9]++L?(?:, *+|(?=\))))*+)\)"""
)
_THREE_PARTS = re.compile(r"\{ *#, *#, *#,? *\}\s*")


def read_npy_bytes(content: bytes) -> NDArray[Any]:
    """Read the content of an .npy file. The array shares its memory and is read-only.

    Raises
    ------
    ValueError
        The content is not an .npy file, or holds other values than booleans, integers and floats of up to 64 bits.
    """
    size = _LENGTH_BYTES.get(content[6:8])
    if not content.startswith(_MAGIC) or size is None:
        raise ValueError("it does not start like an .npy file")
    start = 8 + size
    length = int.from_bytes(content[8:start], "little")
    if length > min(_MOST_HEADER_BYTES, len(content) - start):
        raise ValueError("its header is cut off or too long")
    dtype, is_fortran, shape = _header(content[start : start + length])
    count, first = math.prod(shape), start + length
    if count * dtype.itemsize != len(content) - first:
        stated = " x ".join(map(str, shape)) or "one number"
        raise ValueError(f"its header states {stated} of {dtype}, but {len(content) - first:,} bytes follow")
    if count == 0:
        return np.empty(shape if max(shape) < _MOST_HEADER_BYTES else (0,) * len(shape), dtype)
    return np.frombuffer(content, dtype, count, first).reshape(shape, order="F" if is_fortran else "C")


def read_npz(path: Path, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Read an .npz file that `numpy.savez` wrote.

    Parameters
    ----------
    path : Path
    most_bytes : int
        The largest accepted size of all arrays together.

    Raises
    ------
    ValueError
        The file is not an .npz file, is compressed, or is larger.
    OSError
        The file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed; write it with numpy.savez")
            if sum(member.file_size for member in members) > most_bytes:
                raise ValueError(f"it holds more than {most_bytes:,} bytes")
            return {member.filename.removesuffix(".npy"): read_npy_bytes(archive.read(member)) for member in members}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is not an .npz file ({error})") from error


def _header(text: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    header = text.decode("latin-1").replace('"', "'")
    found: dict[str, str] = {}
    for part in _PART.finditer(header):
        found |= {name: value for name, value in part.groupdict().items() if value is not None}
    if len(found) != 3 or not _THREE_PARTS.fullmatch(_PART.sub("#", header)):
        raise ValueError("its header does not describe one array of numbers")
    numbers = [number.strip(" L") for number in found["shape"].split(",") if number.strip()]
    if len(numbers) > 2 or any(len(number) > _MOST_DIGITS for number in numbers):
        raise ValueError("its header does not describe rows and columns")
    return np.dtype(found["type"]), found["order"] == "True", tuple(map(int, numbers))
