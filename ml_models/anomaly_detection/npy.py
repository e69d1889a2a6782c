"""Arrays of numbers in NumPy's file formats, read without trust in what their headers say.

`numpy.load` evaluates a header as Python, allocates whatever size it states, and unpacks zip files. Here a header must
be the line that NumPy writes, the data must be exactly as long as it says, and a zip file must be stored as it is.
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
    """Read the content of an .npy file; the array shares its memory and cannot be written to.

    Raises
    ------
    ValueError
        It is no such file, or one of something else than booleans, integers and floats of up to 64 bits.
    """
    size = _LENGTH_BYTES.get(content[6:8])
    if not content.startswith(_MAGIC) or size is None:
        raise ValueError("it does not begin as an .npy file does")
    start = 8 + size
    length = int.from_bytes(content[8:start], "little")
    if length > min(_MOST_HEADER_BYTES, len(content) - start):
        raise ValueError("its header is cut off or too long")
    dtype, is_fortran, shape = _header(content[start : start + length])
    count, first = math.prod(shape), start + length
    if count * dtype.itemsize != len(content) - first:
        stated = " x ".join(map(str, shape)) or "one number"
        raise ValueError(f"its header says {stated} of {dtype}, and {len(content) - first:,} bytes follow")
    if count == 0:
        return np.empty(shape if max(shape) < _MOST_HEADER_BYTES else (0,) * len(shape), dtype)
    return np.frombuffer(content, dtype, count, first).reshape(shape, order="F" if is_fortran else "C")


def read_npz(path: Path, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Read an .npz file that `numpy.savez` wrote.

    Parameters
    ----------
    path : Path
    most_bytes : int
        Of all arrays together.

    Raises
    ------
    ValueError
        It is no such file, is compressed, or is larger.
    OSError
        It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed, which numpy.savez does not do")
            if sum(member.file_size for member in members) > most_bytes:
                raise ValueError(f"it holds more than {most_bytes:,} bytes")
            return {member.filename.removesuffix(".npy"): read_npy_bytes(archive.read(member)) for member in members}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no .npz file ({error})") from error


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
