"""Texts of a bill as people read them: one line, without control characters.

A resource id or a tag may hold anything. A line break in one would forge a line of a notification, an escape sequence
would command a terminal, and a change of the writing direction would hide the text beside it.
"""

from __future__ import annotations

import re
from typing import TypeVar, cast

T = TypeVar("T")

# Control characters, line and paragraph separators, what turns the writing direction, and halves of characters.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def printable(value: T) -> T:
    """Return a text, or a record or list of texts, with U+FFFD for each character that is not printed."""
    found: object = value
    if isinstance(value, str):
        found = _UNPRINTABLE.sub("\ufffd", value)
    elif isinstance(value, dict):
        found = {printable(name): printable(item) for name, item in value.items()}
    elif isinstance(value, list):
        found = [printable(item) for item in value]
    return cast("T", found)
