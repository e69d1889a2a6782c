"""ListObjectVersions of S3 with pages and encoded keys.

Closes these gaps of moto 5.2, each of which leaves a bucket that `terraform destroy` cannot empty:

- `encoding-type=url` is ignored, so that a client decodes keys that are not encoded and deletes "a b" instead of "a+b".
- A page starts with the last key of the previous page.
- A page that starts after a version that was deleted in the meantime is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAX_KEYS = 1000
_OWNER = {"ID": "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a", "DisplayName": "webfile"}


def patch() -> None:
    """Replace moto's response to ListObjectVersions. Its permission check remains."""
    from moto.core.responses import ActionResult
    from moto.s3.responses import S3Response

    def list_object_versions(self: Any) -> Any:
        bucket = self.backend.get_bucket(self.bucket_name)
        self.data["Action"] = "ListObjectVersions"
        return self.serialized(ActionResult(_answer(bucket, self.request.args)))

    S3Response.list_object_versions = list_object_versions  # type: ignore[method-assign]


@dataclass
class _Page:
    """The content of one response, and the start of the next page."""

    versions: list[dict[str, Any]] = field(default_factory=list)
    delete_markers: list[dict[str, Any]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_key: str = ""
    next_version: str | None = None
    is_truncated: bool = False

    def size(self) -> int:
        return len(self.versions) + len(self.delete_markers) + len(self.prefixes)

    def add(self, key: str, version: Any, *, is_latest: bool) -> None:
        from moto.s3.models import FakeKey

        entry = {
            "Key": key,
            "VersionId": version.version_id or "null",
            "IsLatest": is_latest,
            "LastModified": version.last_modified_ISO8601,
            "Owner": _OWNER,
        }
        self.next_key, self.next_version = key, entry["VersionId"]
        if isinstance(version, FakeKey):
            content = {"ETag": version.etag, "Size": version.size, "StorageClass": version.storage_class}
            self.versions.append(entry | content)
        else:
            self.delete_markers.append(entry)

    def add_prefix(self, prefix: str) -> None:
        self.next_key, self.next_version = prefix, None
        self.prefixes.append(prefix)


def _answer(bucket: Any, asked: Mapping[str, str]) -> dict[str, Any]:
    encoding = asked.get("encoding-type")
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    limit = min(int(asked.get("max-keys") or _MAX_KEYS), _MAX_KEYS)
    rest = _after(bucket.keys.iterlists(), asked.get("key-marker", ""), asked.get("version-id-marker", ""))
    page = _page(rest, prefix, delimiter, asked.get("key-marker", ""), limit)

    def encoded(key: str) -> str:
        return quote(key, safe="/") if encoding == "url" else key

    answer = {
        "Name": bucket.name,
        "Prefix": encoded(prefix),
        "KeyMarker": encoded(asked.get("key-marker", "")),
        "VersionIdMarker": asked.get("version-id-marker", ""),
        "MaxKeys": limit,
        "IsTruncated": page.is_truncated,
        "Versions": [entry | {"Key": encoded(entry["Key"])} for entry in page.versions],
        "DeleteMarkers": [entry | {"Key": encoded(entry["Key"])} for entry in page.delete_markers],
        "CommonPrefixes": [{"Prefix": encoded(found)} for found in page.prefixes],
    }
    answer |= {"EncodingType": encoding} if encoding else {}
    answer |= {"Delimiter": encoded(delimiter)} if delimiter else {}
    if page.is_truncated:
        answer["NextKeyMarker"] = encoded(page.next_key)
        answer |= {"NextVersionIdMarker": page.next_version} if page.next_version else {}
    return answer


def _after(
    stored: Iterable[tuple[str, list[Any]]], key_marker: str, version_marker: str
) -> Iterator[tuple[str, Any, bool]]:
    """Yield key, version and whether it is the latest one, sorted by key and newest first, starting after a marker."""
    for key, versions in sorted(stored, key=lambda item: item[0].encode()):
        if key.encode() < key_marker.encode() or (key == key_marker and not version_marker):
            continue
        newest_first = [(key, version, number == 0) for number, version in enumerate(reversed(versions))]
        if key == key_marker:
            ids = [version.version_id or "null" for _, version, _ in newest_first]
            # If the marker was deleted, repeat the remaining versions of its key, so that none is missed.
            newest_first = newest_first[ids.index(version_marker) + 1 if version_marker in ids else 0 :]
        yield from newest_first


def _page(rest: Iterable[tuple[str, Any, bool]], prefix: str, delimiter: str, key_marker: str, limit: int) -> _Page:
    page = _Page()
    for key, version, is_latest in rest:
        if not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        common = prefix + head + found if found else ""
        if common and common in (key_marker, *page.prefixes[-1:]):
            continue
        if page.size() >= limit:
            page.is_truncated = limit > 0
            break
        if common:
            page.add_prefix(common)
        else:
            page.add(key, version, is_latest=is_latest)
    return page
