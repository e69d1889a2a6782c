"""Scores files: through a deployment's bucket, or in process with the functions of the deployed Lambda."""

from __future__ import annotations

import tarfile
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scorer.contract import MODEL_PACKAGE, read_contract
from batch_scorer.errors import InputError, one_line
from batch_scorer.join import JoinError, join, output_name
from batch_scorer.plan import MEGABYTE, plan_for
from batch_scorer.prepare import prepare
from batch_scorer.table import read_table
from egress_sentinel.errors import UserError
from egress_sentinel.serving.program import ProgramError, model_in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from batch_scorer.contract import Contract
    from batch_scorer.plan import Plan

    Ask = Callable[[bytes, str, str], bytes]

INPUT, OUTPUT, FAILED = "batch/input/", "batch/output/", "batch/failed/"
_POLL_SECONDS = 0.3
_JOB_SECONDS = 3600.0


@dataclass(frozen=True)
class _Upload:
    name: str
    etag: str
    at: datetime


def _plain(_title: str, items: list[str]) -> Iterable[str]:
    return items


def score_locally(
    files: Sequence[Path],
    model_tar: Path,
    output_dir: Path,
    *,
    track: Callable[[str, list[str]], Iterable[str]] = _plain,
) -> list[Path]:
    """Score files in process with a local model.

    Checks, requests and joins use the code of the deployed Lambda, so the results are equal byte for byte.

    Parameters
    ----------
    files : sequence of Path
        CSV with or without a header line, or parquet.
    model_tar : Path
        A model.tar.gz.
    output_dir : Path
        An existing directory for the results, TIMESTAMP-NAME.csv for each file.
    track : callable
        Wraps the files' names, to show progress.

    Returns
    -------
    list of Path
        The results, in the files' order.

    Raises
    ------
    UserError
        A file or the model cannot be used. For a file, the message names the line.
    """
    by_name = _by_name(files)
    if not model_tar.is_file():
        raise UserError(f"there is no model {model_tar}; a model.tar.gz is accepted")
    contract = _contract(model_tar)
    with model_in_process(model_tar) as ask:
        return [_score(by_name[name], contract, ask, output_dir) for name in track("batch", list(by_name))]


def score_in_bucket(
    files: Sequence[Path],
    bucket: str,
    output_dir: Path,
    *,
    model_package: str | None = None,
    track: Callable[[str, list[str]], Iterable[str]] = _plain,
    timeout_seconds: float = _JOB_SECONDS,
) -> list[Path]:
    """Upload files to a deployment's bucket, wait for their results and download them.

    boto3's default credentials and endpoints are used. Parameters and errors are those of `score_locally`. A result
    that does not arrive within `timeout_seconds` raises a UserError. `model_package` is the ARN of an approved model
    package that scores instead of the deployment's model.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    by_name = _by_name(files)
    try:
        s3 = boto3.client("s3")
        dropped = {name: _drop(s3, bucket, path, model_package) for name, path in by_name.items()}
        return [_wait(s3, bucket, dropped[name], output_dir, timeout_seconds) for name in track("batch", list(by_name))]
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"S3 refuses bucket {bucket}: {error}") from error


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    by_name = {path.name: path for path in files}
    if len(by_name) < len(files):
        raise UserError("two of the files have the same name; rename one, so that each has its own result")
    for path in files:
        if not path.is_file():
            raise UserError(f"there is no file {path}; CSV and parquet files are accepted")
    return by_name


def _contract(model_tar: Path) -> Contract:
    try:
        return read_contract(model_tar)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UserError(f"cannot read the model {model_tar}: {error}; a model.tar.gz is accepted") from error


def _score(path: Path, contract: Contract, ask: Ask, output_dir: Path) -> Path:
    target = _free_name(output_dir, path.name)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            prepared = prepare(read_table(path), contract, Path(temporary))
            plan = plan_for(
                prepared.size_bytes, prepared.longest_line_bytes, len(prepared.parts), prepared.shortest_line_bytes
            )
            answers = [_answered(part, plan, contract.accept, ask) for part in prepared.parts]
            join(read_table(path), contract.features, answers, target)
    except (InputError, JoinError, ProgramError) as error:
        raise UserError(f"{path.name} was not scored: {one_line(str(error))}") from error
    return target


def _free_name(output_dir: Path, name: str) -> Path:
    """Return an unused name for a result. If the name of this second exists, use the next second."""
    moment = datetime.now(UTC)
    while (target := output_dir / output_name(f"{INPUT}{name}", INPUT, f"{moment:%Y-%m-%dT%H:%M:%SZ}")).exists():
        moment += timedelta(seconds=1)
    return target


def _answered(part: Path, plan: Plan, accept: str, ask: Ask) -> Path:
    """Write the responses to a part's requests next to it, as a transform job does."""
    target = part.with_name(f"{part.name}.out")
    with target.open("wb") as file:
        for body in _requests(part, plan):
            file.write(ask(body, "text/csv", accept) + b"\n")
    return target


def _requests(part: Path, plan: Plan) -> Iterator[bytes]:
    """Pack whole lines into requests of up to the plan's payload size, or one line per request."""
    limit = plan.max_payload_mb * MEGABYTE
    with part.open("rb") as file:
        if plan.strategy == "SingleRecord":
            yield from file
            return
        while chunk := file.read(limit):
            # No line is longer than the payload.
            end = chunk.rfind(b"\n") + 1
            file.seek(end - len(chunk), 1)
            yield chunk[:end]


def _drop(s3: Any, bucket: str, path: Path, model_package: str | None) -> _Upload:
    """Upload a file under the input prefix, with the model package to score it with."""
    key = f"{INPUT}{path.name}"
    metadata = {MODEL_PACKAGE: model_package} if model_package else {}
    s3.upload_file(str(path), bucket, key, ExtraArgs={"Metadata": metadata})
    head = s3.head_object(Bucket=bucket, Key=key)
    return _Upload(path.name, head["ETag"].strip('"'), head["LastModified"])


def _wait(s3: Any, bucket: str, upload: _Upload, output_dir: Path, timeout_seconds: float) -> Path:
    """Wait until an upload's result exists, and download it. Raise an error if the upload was moved aside."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        for key, metadata in _of_upload(s3, bucket, upload):
            if "reason" in metadata:
                raise UserError(f"{upload.name} was not scored: {metadata['reason']}; it is now s3://{bucket}/{key}")
            target = output_dir / Path(key).name
            s3.download_file(bucket, key, str(target))
            return target
        if time.monotonic() > deadline:
            where = f"s3://{bucket}/{OUTPUT}"
            raise UserError(f"there is no result for {upload.name} under {where} after {timeout_seconds:,.0f} seconds")
        time.sleep(_POLL_SECONDS)


def _of_upload(s3: Any, bucket: str, upload: _Upload) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the objects that an upload led to: those whose metadata name its ETag."""
    ending = output_name(upload.name, "", "")
    listed = [*_listed(s3, bucket, OUTPUT), *_listed(s3, bucket, f"{FAILED}{upload.name}")]
    for entry in listed:
        key = entry["Key"]
        is_newer = entry["LastModified"] >= upload.at
        if is_newer and (key.endswith(ending) or key == f"{FAILED}{upload.name}"):
            metadata = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
            if metadata.get("input-etag") == upload.etag:
                yield key, metadata


def _listed(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", [])]
