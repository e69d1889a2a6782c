"""boto3 clients of this very server, for what runs inside it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

REGION = "us-east-1"
CREDENTIAL = "local"


@cache
def client(service: str) -> Any:
    """Return a client; the server's own URL is in AWS_ENDPOINT_URL."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=CREDENTIAL,
        aws_secret_access_key=CREDENTIAL,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )
