"""A job of AWS Batch: downloads a file and a model from S3, scores the file in process, and uploads the result.

Run `python -m egress_sentinel.deployment.batch_job s3://BUCKET/KEY/job.json`. The function `batch_scorer` writes
job.json. If the file cannot be scored, the job writes the reason, which that function reads.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from batch_scorer.errors import GONE, REPLACED
from egress_sentinel.deployment.batch import score_locally
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The job definition retries a job with any other exit status than 0.
CANNOT_BE_SCORED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a job. Return 2 if its file cannot be scored."""
    (url,) = sys.argv[1:] if argv is None else argv
    import boto3

    s3 = boto3.client("s3")
    address = urlparse(url)
    job = json.loads(s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read())
    try:
        _run(s3, job)
    except UserError as error:
        reason = str(error).removeprefix(f"{Path(job['input_key']).name} was not scored: ")
        s3.put_object(Bucket=job["bucket"], Key=job["failure_key"], Body=reason.encode())
        print(f"batch_job: {job['input_key']} was not scored: {reason}", file=sys.stderr)
        return CANNOT_BE_SCORED
    return 0


def _run(s3: Any, job: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results = folder / "results"
        results.mkdir()
        (folder / "input").mkdir()
        source = folder / "input" / Path(job["input_key"]).name
        _fetch(s3, job, source)
        artifact = urlparse(job["artifact"])
        s3.download_file(artifact.netloc, artifact.path.lstrip("/"), str(folder / "model.tar.gz"))
        (result,) = score_locally([source], folder / "model.tar.gz", results)
        extra = {"Metadata": job["metadata"], "ContentType": "text/csv"}
        s3.upload_file(str(result), job["bucket"], job["output_key"], ExtraArgs=extra)


def _fetch(s3: Any, job: dict[str, Any], target: Path) -> None:
    """Download the version that the job is for, and no later upload under the same key."""
    from botocore.exceptions import ClientError

    where = {"Bucket": job["bucket"], "Key": job["input_key"], "IfMatch": job["input_etag"]}
    try:
        body = s3.get_object(**where)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        raise UserError(REPLACED) from error
    with target.open("wb") as file:
        for chunk in body.iter_chunks(1 << 20):
            file.write(chunk)


if __name__ == "__main__":
    sys.exit(main())
