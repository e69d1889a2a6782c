"""Refuses what AWS refuses: requests that break a pattern of botocore's own service model.

boto3 checks types, lengths and required members before it sends a request. It leaves patterns to AWS.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

from local_aws.account import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ServiceModel, Shape

_CATEGORY = re.compile(r"\\p\{(\w)\}")
# The models end some patterns in `$` with a quantifier, which Python's `re` does not accept.
_QUANTIFIED_END = re.compile(r"\$\{[\d,]+\}$")


def check_request(service: str, operation: str, given: dict[str, Any]) -> None:
    """Check each string of a request against its pattern.

    Parameters
    ----------
    service : str
        As boto3 names it.
    operation : str
        Such as CreateModelPackage.
    given : dict
        The request's members.

    Raises
    ------
    ApiError
        A value does not match.
    """
    shape = _service_model(service).operation_model(operation).input_shape
    for path, pattern in _mismatches(shape, given, ""):
        raise ApiError(
            f"1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must satisfy regular "
            f"expression pattern: {pattern}"
        )


def _mismatches(shape: Shape | None, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and pattern of each string that does not match."""
    members: Any = getattr(shape, "members", {})
    for name in members.keys() & (value if isinstance(value, dict) else {}):
        yield from _mismatches(members[name], value[name], f"{path}.{name}".lstrip("."))
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _mismatches(getattr(shape, "member", None), item, f"{path}.{number}.member")
    if shape is not None and shape.type_name == "map":
        for key, item in value.items():
            yield from _mismatches(getattr(shape, "key", None), key, f"{path}.{key}.key")
            yield from _mismatches(getattr(shape, "value", None), item, f"{path}.{key}")
    pattern = shape.metadata.get("pattern") if shape is not None else None
    if pattern and isinstance(value, str) and not _compiled(pattern).fullmatch(value):
        yield path, pattern


@cache
def _service_model(service: str) -> ServiceModel:
    from botocore.session import get_session

    return get_session().get_service_model(service)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern; Python's `re` does not know the categories of characters, such as \p{L}."""
    return re.compile(_CATEGORY.sub(lambda found: _ranges(found[1]), _QUANTIFIED_END.sub("$", pattern)))


@cache
def _ranges(category: str) -> str:
    """Return the characters of a category as they are written between brackets."""
    members = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == category]
    known = set(members)
    starts = (code for code in members if code - 1 not in known)
    ends = (code for code in members if code + 1 not in known)
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True))
