"""The account of the local AWS: its names, boto3 clients of this server, its S3 objects, and API errors."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from werkzeug.wrappers import Request, Response

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
CREDENTIAL = "local"
_SIGNED = re.compile(r"Credential=([^/]+)/")


class ApiError(Exception):
    """An error in the form of SageMaker's API."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def response(self) -> Response:
        """Return the HTTP response for this error."""
        body = json.dumps({"__type": self.code, "message": str(self)})
        return Response(body, self.status, {"x-amzn-errortype": self.code}, mimetype="application/x-amz-json-1.1")


def access_key_of(request: Request) -> str:
    """Return the access key in a request's signature."""
    signed = _SIGNED.search(request.headers.get("Authorization", ""))
    return signed[1] if signed else CREDENTIAL


def key_of_role(arn: str) -> str:
    """Return the access key of a role: its name, so that requests show which role sent them."""
    return arn.rpartition("/")[2]


@cache
def client(service: str, credential: str = CREDENTIAL) -> Any:
    """Return a client that signs with an access key. The server's URL is in AWS_ENDPOINT_URL."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=credential,
        aws_secret_access_key=credential,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )


def download(url: str, target: Path, credential: str = CREDENTIAL) -> None:
    """Download one object with the permissions of an access key.

    Raises
    ------
    UserError
        The object does not exist.
    """
    from botocore.exceptions import ClientError

    address = urlparse(url)
    try:
        client("s3", credential).download_file(address.netloc, address.path.lstrip("/"), str(target))
    except ClientError as error:
        raise UserError(f"Could not access model data at {url}: {error}") from error


def objects_under(url: str, credential: str = CREDENTIAL) -> list[str]:
    """Return the keys under a prefix, sorted, without the empty objects that represent folders."""
    address = urlparse(url)
    paginator = client("s3", credential).get_paginator("list_objects_v2")
    pages = paginator.paginate(Bucket=address.netloc, Prefix=address.path.lstrip("/"))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return sorted(key for key in keys if not key.endswith("/"))
