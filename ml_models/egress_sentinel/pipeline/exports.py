"""The billing exports of a command, as local files, also for exports in S3."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from egress_features import BadInputError, dated_deliveries, find_exports
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from egress_sentinel.pipeline.s3_folder import S3Folder
    from egress_sentinel.progress import Reporter

SCHEME = "s3://"


class Exports:
    """Billing exports that can be read within `open_exports`.

    Parameters
    ----------
    arguments : sequence of str
        Local files, globs and folders.
    s3 : S3Folder, optional
        The folder of objects from S3, if an argument is in S3.
    """

    def __init__(self, arguments: Sequence[str], s3: S3Folder | None = None) -> None:
        self._arguments = arguments
        self._s3 = s3

    def files(self) -> list[Path]:
        """Return the files of the newest deliveries, as `find_exports` does. Files in S3 are downloaded."""
        found = find_exports(self._arguments)
        self.download(found)
        return found

    def deliveries(self) -> list[tuple[datetime, list[Path]]]:
        """Return the dated deliveries, as `dated_deliveries` does. Empty unless every argument is a folder.

        Call `download` before reading files from S3.
        """
        all_folders = all(Path(argument).is_dir() for argument in self._arguments)
        return dated_deliveries(self._arguments) if all_folders else []

    def download(self, files: Iterable[Path]) -> None:
        """Download those of the files that are in S3."""
        if self._s3 is not None:
            self._s3.download(files)

    def shown(self, text: str) -> str:
        """Return a text with `s3://` addresses instead of the paths of downloaded files."""
        return self._s3.shown(text) if self._s3 is not None else text


@contextmanager
def open_exports(arguments: Sequence[str], reporter: Reporter) -> Iterator[Exports]:
    """Open billing exports. Files that were downloaded from S3 are deleted at the end of the block.

    Parameters
    ----------
    arguments : sequence of str
        Local paths in the forms of `find_exports`, and `s3://BUCKET/...` with a file, a folder or a glob.
    reporter : Reporter
        Shows the downloads, and `s3://` addresses in its notes.

    Raises
    ------
    UserError
        S3 cannot be read, or the disk has no space for the files. Errors of the block are raised again with `s3://`
        addresses instead of the paths of downloaded files.
    BadInputError
        Errors of the block, also with `s3://` addresses.
    """
    if not any(argument.startswith(SCHEME) for argument in arguments):
        yield Exports(arguments)
        return
    from egress_sentinel.pipeline.s3_folder import S3Folder

    with (
        tempfile.TemporaryDirectory(prefix="egress-sentinel-") as temporary,
        closing(S3Folder(Path(temporary), reporter)) as s3,
    ):
        reporter.shown = s3.shown
        try:
            yield Exports([s3.add(text) if text.startswith(SCHEME) else text for text in arguments], s3)
        except (BadInputError, UserError) as error:
            error.args = (s3.shown(str(error)),)
            raise
