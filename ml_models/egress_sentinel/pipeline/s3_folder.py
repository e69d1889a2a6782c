"""A local folder that mirrors objects in S3: manifests at once, other objects on demand.

Every listed object is an empty file in the folder, with the bucket and key as its path, and with the object's time.
Globs, the choice of the newest delivery and the times of files therefore work as in a local folder, and only the
required files are downloaded.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.s3_errors import s3_errors_as_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from egress_sentinel.progress import Reporter, Step

_CONNECTIONS = 8
_CHUNK_BYTES = 1_000_000
# Attempts per object. An interrupted download resumes at its last byte.
_ATTEMPTS = 5
# After this time without a byte, the object is requested again. Ctrl-C waits at most this long for a connection.
_SILENCE_SECONDS = 15
_SHOW_SECONDS = 0.2
_MANIFEST = "Manifest.json"
_WILDCARD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class _Object:
    bucket: str
    key: str
    bytes: int
    etag: str
    modified: float

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class S3Folder:
    """Objects of S3 in a local folder, read with boto3's default credentials, region and endpoints.

    Parameters
    ----------
    folder : Path
        An empty directory.
    reporter : Reporter
        Shows the listing and the downloads.

    Raises
    ------
    UserError
        The AWS configuration cannot be used.
    """

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self._folder = folder
        self._reporter = reporter
        self._objects: dict[Path, _Object] = {}
        self._downloaded: set[Path] = set()
        try:
            with s3_errors_as_sentences("S3"):
                self._s3: Any = boto3.session.Session().client("s3", config=Config(read_timeout=_SILENCE_SECONDS))
        except ValueError as error:
            raise UserError(f"{error}: AWS_ENDPOINT_URL needs a URL such as http://127.0.0.1:9000") from error

    def add(self, address: str) -> str:
        """List the objects of an address, and download the manifests among them.

        Parameters
        ----------
        address : str
            `s3://BUCKET/KEY`, where KEY is an object, a folder or a glob.

        Returns
        -------
        str
            The local file, folder or glob with the same objects.

        Raises
        ------
        UserError
            S3 rejects the request, or there are no objects.
        """
        bucket, _, key = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise UserError(f"{address} names no bucket: give s3://BUCKET/PREFIX")
        local = self._path(bucket, key)
        with self._reporter.step("list") as step:
            placed = [self._place(entry) for entry in self._listed(bucket, _prefix(key), address, step)]
            found = {path for path in placed if path is not None}
            if not found:
                raise UserError(
                    f"there is nothing under {address}: give the folder of an export, a file or a glob such as "
                    f"s3://{bucket}/exports/*.parquet"
                )
            self._copy_all({path for path in found if path.name.endswith(_MANIFEST)} - self._downloaded, step)
            step.result = f"{_count(len(found), 'object')} under {address}"
        return str(local)

    def _listed(self, bucket: str, prefix: str, address: str, step: Step) -> Iterable[_Object]:
        count = 0
        with s3_errors_as_sentences(address):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                entries = page.get("Contents", [])
                count += len(entries)
                step.update(f"{count:,} objects")
                for entry in entries:
                    modified = entry["LastModified"].timestamp()
                    yield _Object(bucket, entry["Key"], entry["Size"], entry["ETag"], modified)

    def _place(self, entry: _Object) -> Path | None:
        """Create the empty file of an object. None for an object that represents a folder."""
        if entry.key.endswith("/"):
            return None
        path = self._path(entry.bucket, entry.key)
        other = self._objects.setdefault(path, entry)
        if other.key != entry.key:
            raise UserError(f"{entry.address} and {other.address} would be the same local file: give one of them alone")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise UserError(f"{entry.address} cannot be a local file: {error.strerror}; give other objects") from error
        os.utime(path, (entry.modified, entry.modified))
        return path

    def _path(self, bucket: str, key: str) -> Path:
        # A key may have empty parts (REPORT//DATES/...), which a path cannot have.
        if ".." in key.split("/"):
            raise UserError(f"s3://{bucket}/{key} has '..' in it, which is not read: give the objects' own keys")
        return self._folder.joinpath(bucket, *filter(None, key.split("/")))

    def download(self, paths: Iterable[Path]) -> None:
        """Download the objects of these paths in parallel. Other paths are ignored.

        Raises
        ------
        UserError
            S3 rejects a request, an object was replaced since the listing, or the disk has no space.
        """
        wanted = {path for path in paths if path in self._objects} - self._downloaded
        if not wanted:
            return
        with self._reporter.step("download") as step:
            self._copy_all(wanted, step)
            step.result = f"{_count(len(wanted), 'file')}, {_size(self._bytes(wanted))}"

    def _bytes(self, paths: Iterable[Path]) -> int:
        return sum(self._objects[path].bytes for path in paths)

    def _copy_all(self, paths: set[Path], step: Step) -> None:
        self._require_space(paths)
        copies = _Copies(self._s3, {path: self._objects[path] for path in sorted(paths)})
        copies.run(step)
        self._downloaded |= paths

    def _require_space(self, paths: set[Path]) -> None:
        needed, free = self._bytes(paths), shutil.disk_usage(self._folder).free
        if needed > free:
            raise UserError(
                f"the files from S3 need {_size(needed)} and {self._folder.parent} has {_size(free)} free: "
                "set TMPDIR to a folder on a larger disk, or give fewer files"
            )

    def close(self) -> None:
        """Close the connections."""
        self._s3.close()

    def shown(self, text: str) -> str:
        """Return a text with `s3://` addresses instead of local paths."""
        return text.replace(f"{self._folder}{os.sep}", "s3://")


class _Copies:
    """Downloads several objects in parallel, each to its file."""

    def __init__(self, s3: Any, objects: Mapping[Path, _Object]) -> None:
        self._s3 = s3
        self._objects = objects
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._bytes_done = 0

    def run(self, step: Step) -> None:
        """Download all objects. The first error or Ctrl-C stops all downloads."""
        total = sum(entry.bytes for entry in self._objects.values())
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            waiting = {pool.submit(self._copy, path, entry) for path, entry in self._objects.items()}
            try:
                while waiting:
                    ended, waiting = wait(waiting, _SHOW_SECONDS, FIRST_EXCEPTION)
                    for copy in ended:
                        copy.result()
                    number = len(self._objects) - len(waiting)
                    step.update(
                        f"{number:,} of {len(self._objects):,} files ({_size(self._bytes_done)} of {_size(total)})"
                    )
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _copy(self, path: Path, entry: _Object) -> None:
        try:
            with s3_errors_as_sentences(entry.address), path.open("wb") as file:
                for attempt in range(1, _ATTEMPTS + 1):
                    try:
                        self._stream(entry, file)
                        break
                    except (ReadTimeoutError, ResponseStreamingError, IncompleteReadError):
                        if attempt == _ATTEMPTS:
                            raise
            os.utime(path, (entry.modified, entry.modified))
        except OSError as error:
            raise UserError(
                f"cannot download {entry.address}: {error.strerror}; TMPDIR names the folder for temporary files"
            ) from error

    def _stream(self, entry: _Object, file: BinaryIO) -> None:
        """Append the missing bytes of an object, if it is still the listed version."""
        start = file.tell()
        if start == entry.bytes:
            return
        rest = {"Range": f"bytes={start}-"} if start else {}
        answer = self._s3.get_object(Bucket=entry.bucket, Key=entry.key, IfMatch=entry.etag, **rest)
        for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
            if self._stop.is_set():
                return
            file.write(chunk)
            self._add(len(chunk))

    def _add(self, size: int) -> None:
        with self._lock:
            self._bytes_done += size


def _prefix(key: str) -> str:
    """Return the common prefix of an address's keys. A folder's prefix ends with a slash, as policies may require."""
    wildcard = _WILDCARD.search(key)
    if wildcard:
        return key[: wildcard.start()]
    # A name with a dot may be a file.
    is_folder = key.endswith("/") or not key or "." not in key.rpartition("/")[2]
    return f"{key.rstrip('/')}/" if key and is_folder and not key.endswith("/") else key


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"
