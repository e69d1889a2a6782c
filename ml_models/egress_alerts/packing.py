"""An incident as bytes: each column of its hours after the other, compressed.

A number takes eight bytes and a text is kept once. So the size before compression has a bound that does not depend on
names and numbers, and `incidents` keeps each incident within `MAX_PACKED_BYTES`.
"""

from __future__ import annotations

import json
import zlib
from array import array
from typing import TYPE_CHECKING, Any

from egress_alerts.hours import Background, Hour, Incident
from egress_alerts.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterable

# A DynamoDB item holds 400 KB, and the alert's record takes the rest. Hours beyond this become another alert.
MAX_PACKED_BYTES = 360_000
# An hour takes at most eight bytes a field.
HOUR_BYTES = 8 * len(Hour._fields)
_FORMAT = b"1"
_TEXTS = ("usage_type", "operation")
_NUMBERS = ("hour", "joined")
_WHOLE = (*_NUMBERS, "series", *_TEXTS)


def text_bytes(texts: Iterable[str]) -> int:
    """Return the bytes that texts take at most: a character takes up to six in JSON."""
    return sum(6 * len(text) + 8 for text in texts)


def pack_incident(incident: Incident) -> bytes:
    """Return the hours of an incident and when it was detected."""
    hours = incident.hours
    series = {each: place for place, each in enumerate(incident.members)}
    texts = {text: place for place, text in enumerate(dict.fromkeys(_texts(hours)))}
    header = json.dumps(
        {
            "detected": incident.detected,
            "background": incident.background,
            "hours": len(hours),
            "fields": Hour._fields,
            "series": list(series),
            "texts": list(texts),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode("utf-8", "surrogatepass")
    columns = [_column(name, [getattr(hour, name) for hour in hours], series, texts) for name in Hour._fields]
    body = b"".join([len(header).to_bytes(4, "little"), header, *columns])
    return _FORMAT + zlib.compress(body, 9)


def unpack_incident(alert_id: str, packed: bytes) -> Incident:
    """Read the bytes that `pack_incident` or an earlier version wrote. Missing fields keep their defaults."""
    if packed[:1] != _FORMAT:
        return _earlier(alert_id, packed)
    body = zlib.decompress(packed[1:])
    start = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:start].decode("utf-8", "surrogatepass"))
    series = [Series(*each) for each in header["series"]]
    columns: dict[str, list[Any]] = {}
    for name in header["fields"]:
        end = start + header["hours"] * (1 if name.startswith("is_") else 8)
        columns[name] = _values(name, body[start:end], series, header["texts"])
        start = end
    known = {name: column for name, column in columns.items() if name in Hour._fields}
    background = _background(header.get("background"))
    # The order of the series is kept: the first one opened the incident.
    incident = Incident(alert_id, header["detected"], {each: {} for each in series}, background)
    incident.add(Hour(**dict(zip(known, row, strict=True))) for row in zip(*known.values(), strict=True))
    return incident


def _background(stored: list[Any] | None) -> Background | None:
    return None if stored is None else Background(stored[0], tuple(stored[1]), *stored[2:])


def _texts(hours: Iterable[Hour]) -> Iterable[str]:
    return (getattr(hour, name) for hour in hours for name in _TEXTS)


def _column(name: str, values: list[Any], series: dict[Series, int], texts: dict[str, int]) -> bytes:
    if name.startswith("is_"):
        return bytes(values)
    if name in _WHOLE:
        places: dict[Any, int] = {"series": series}.get(name, texts)
        return array("q", values if name in _NUMBERS else [places[value] for value in values]).tobytes()
    return array("d", [float("nan") if value is None else value for value in values]).tobytes()


def _values(name: str, raw: bytes, series: list[Series], texts: list[str]) -> list[Any]:
    if name.startswith("is_"):
        return [bool(value) for value in raw]
    column: array[Any] = array("q" if name in _WHOLE else "d", raw)
    if name in _NUMBERS:
        return column.tolist()
    if name in _WHOLE:
        names: list[Any] = series if name == "series" else texts
        return [names[place] for place in column]
    return [None if value != value else value for value in column]


def _earlier(alert_id: str, packed: bytes) -> Incident:
    content = json.loads(zlib.decompress(packed))
    incident = Incident(alert_id, content["detected"])
    incident.add(_earlier_hour(*hour) for hour in content["hours"])
    return incident


def _earlier_hour(hour: int, series: list[str], *rest: Any) -> Hour:
    """Read an hour that was stored as a list: after `is_estimated` pairs of measures, a p-value, perhaps `is_daily`."""
    known, later = rest[:11], list(rest[11:])
    is_daily = later.pop() if later and isinstance(later[-1], bool) else False
    p_value = later.pop() if len(later) % 2 else None
    return Hour(hour, Series(*series), *known)._replace(p_value=p_value, is_daily=is_daily)
