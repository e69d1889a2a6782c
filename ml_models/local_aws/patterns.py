r"""Converts the patterns of botocore's service models, which are Java's, to Python's `re`.

Python does not support character classes such as `\p{L}`, surrogate pairs, `\z`, a quantified `$`, a hyphen after `\w`
in brackets, or a flag in the middle of a pattern.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

_CLASSES = {"Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9", "ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e"}
_QUANTIFIED_END = re.compile(r"\$\{[\d,]+\}$")
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
# An escaped character, a class of characters, a bracket, or anything else.
_PIECE = re.compile(r"\\p\{(\w+)\}|\\.|[\[\]]|[^\\\[\]]+", re.DOTALL)


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of a service model.

    Parameters
    ----------
    pattern : str
        The pattern in the model.

    Returns
    -------
    re.Pattern
    """
    text = _QUANTIFIED_END.sub("$", pattern).replace(_SURROGATES, r"\U00010000-\U0010ffff").replace(r"\z", r"\Z")
    text = re.sub(r"\(\?i\)([^()]*)", r"(?i:\1)", text).replace(r"[\w-", r"[\w\-")
    return re.compile(_with_classes(text))


def _with_classes(pattern: str) -> str:
    """Replace character classes by ranges. Outside brackets, add brackets around them."""
    parts, depth = [], 0
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        if found[1]:
            ranges = _CLASSES.get(found[1]) or _ranges(found[1])
            piece = ranges if depth else f"[{ranges}]"
        # `[` within brackets is a character.
        elif piece == "[":
            piece, depth = ("[", 1) if not depth else (r"\[", depth)
        elif piece == "]":
            depth = 0
        parts.append(piece)
    return "".join(parts)


@cache
def _ranges(category: str) -> str:
    """Return the characters of a Unicode category (`L`) or subcategory (`Zs`) as ranges for use inside brackets."""
    members = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith(category)]
    known = set(members)
    starts = (code for code in members if code - 1 not in known)
    ends = (code for code in members if code + 1 not in known)
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True))
