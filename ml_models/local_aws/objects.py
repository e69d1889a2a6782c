"""Objects of the local S3, by their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlparse

from egress_sentinel.errors import UserError
from local_aws.client import CREDENTIAL, client

if TYPE_CHECKING:
    from pathlib import Path


def download(url: str, target: Path, credential: str = CREDENTIAL) -> None:
    """Download one object, as whom the access key says.

    Raises
    ------
    UserError
        It is not there.
    """
    from botocore.exceptions import ClientError

    address = urlparse(url)
    try:
        client("s3", credential).download_file(address.netloc, address.path.lstrip("/"), str(target))
    except ClientError as error:
        raise UserError(f"Could not access model data at {url}: {error}") from error


def objects_under(url: str, credential: str = CREDENTIAL) -> list[str]:
    """Return the keys under a prefix, sorted; folders that somebody made are none."""
    address = urlparse(url)
    paginator = client("s3", credential).get_paginator("list_objects_v2")
    pages = paginator.paginate(Bucket=address.netloc, Prefix=address.path.lstrip("/"))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return sorted(key for key in keys if not key.endswith("/"))
