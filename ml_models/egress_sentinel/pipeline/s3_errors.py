"""Converts boto3's errors about S3 to one sentence with the fix."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    LoginError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "AssumeRole": "sts:AssumeRole",
}
_DENIED = ("AccessDenied", "AllAccessDisabled", "403")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId")
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
_REPLACED = ("PreconditionFailed", "NoSuchKey", "404", "412")
_WHO = re.compile(r"User: (\S+) is not authorized to perform: (\S+)")


@contextmanager
def s3_errors_as_sentences(address: str) -> Iterator[None]:
    """Convert boto3's errors in the block to a UserError about this `s3://` address."""
    try:
        yield
    except ClientError as error:
        raise UserError(_refusal(error, address)) from error
    except BotoCoreError as error:
        raise UserError(_failure(error, address)) from error


def _refusal(error: ClientError, address: str) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    bucket = address.removeprefix("s3://").partition("/")[0]
    if code in _DENIED:
        return _denial(error, address, bucket)
    if code in _EXPIRED:
        return _expired(address)
    if code in _UNKNOWN:
        return (
            f"AWS does not accept the credentials for {address} ({code}): check AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    if code in _ELSEWHERE:
        return f"the bucket {bucket} is in {_region(error)}: set AWS_REGION to the bucket's region"
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket}: check the name in {address}, and the account (AWS_PROFILE)"
    if code in _REPLACED:
        return f"{address} was replaced or deleted while it was read: run the command again"
    if code == "InvalidObjectState":
        return f"{address} is archived and cannot be read: restore it in S3, or leave it out"
    return f"S3 refuses {address}: {error}"


def _denial(error: ClientError, address: str, bucket: str) -> str:
    """Name the caller and the denied action. Most of AWS's errors have both, others only the operation."""
    found = _WHO.search(error.response.get("Error", {}).get("Message", ""))
    who = found[1] if found else "your credentials"
    action = found[2] if found else _ACTIONS.get(error.operation_name, error.operation_name)
    where = f" on the bucket {bucket}" if action.startswith("s3:") else ""
    return (
        f"access to {address} is denied: {who} may not use {action}{where}; allow it in the IAM policy, or choose "
        "other credentials with AWS_PROFILE"
    )


def _expired(address: str) -> str:
    return f"the AWS session for {address} has expired: sign in again (`aws sso login`), or renew the session token"


def _region(error: ClientError) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return f"the region {region}" if region else "another region"


def _failure(error: BotoCoreError, address: str) -> str:
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return (
            f"there are no AWS credentials for {address}: sign in (`aws sso login`) and set AWS_PROFILE, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, (SSOError, TokenRetrievalError, LoginError)):
        return _expired(address)
    if isinstance(error, ProfileNotFound):
        return f"{error}: set AWS_PROFILE to one of the profiles that `aws configure list-profiles` shows"
    if isinstance(error, ParamValidationError):
        return f"{address} names no bucket that S3 could have: give s3://BUCKET/PREFIX"
    if isinstance(error, EndpointConnectionError):
        return f"cannot reach S3 for {address}: {error}; check the network, AWS_REGION and AWS_ENDPOINT_URL"
    return f"cannot read {address}: {error}"
