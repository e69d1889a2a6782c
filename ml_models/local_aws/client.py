"""boto3 clients of this very server, for what runs inside it."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

REGION = "us-east-1"
CREDENTIAL = "local"


_SIGNED = re.compile(r"Credential=([^/]+)/")


def access_key_of(request: Request) -> str:
    """Return the access key that a request is signed with."""
    signed = _SIGNED.search(request.headers.get("Authorization", ""))
    return signed[1] if signed else CREDENTIAL


def key_of_role(arn: str) -> str:
    """Return the access key with which what runs as a role signs here: the role's name, so that one can tell them."""
    return arn.rpartition("/")[2]


@cache
def client(service: str, credential: str = CREDENTIAL) -> Any:
    """Return a client that signs with an access key; the server's own URL is in AWS_ENDPOINT_URL."""
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
