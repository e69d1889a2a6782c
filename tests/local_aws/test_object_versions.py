"""ListObjectVersions of the local AWS: every version once, in pages, with encoded keys, and a bucket can be emptied."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_aws import LocalAws

KEYS = ["a", "a+b", "a b", "100%", "100%2B", "ü/ö", "z/1", "z/2", "z/3"]


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def bucket(aws: LocalAws, request: pytest.FixtureRequest) -> str:
    """A bucket with two versions of each key; the first key has a delete marker on top."""
    name = f"b{abs(hash(request.node.name))}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"old", b"newer"):
        for key in KEYS:
            s3.put_object(Bucket=name, Key=key, Body=body)
    s3.delete_object(Bucket=name, Key=KEYS[0])
    return name


def entries(page: dict[str, Any]) -> list[tuple[str, str]]:
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [(entry["Key"], entry["VersionId"]) for entry in found]


def pages(aws: LocalAws, bucket: str, **given: Any) -> list[dict[str, Any]]:
    size = given.pop("PageSize")
    paginator = aws.client("s3").get_paginator("list_object_versions")
    return list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}, **given))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_every_version_is_listed_once(size: int, aws: LocalAws, bucket: str) -> None:
    listed = pages(aws, bucket, PageSize=size)
    found = [entry for page in listed for entry in entries(page)]
    assert all(len(entries(page)) <= size for page in listed)
    assert sorted(key for key, _ in found) == sorted([*KEYS, *KEYS, KEYS[0]])
    assert len(set(found)) == len(found)
    latest = [v["Key"] for page in listed for v in page.get("Versions", []) if v["IsLatest"]]
    assert latest == sorted(KEYS[1:], key=str.encode)


def test_the_newest_version_comes_first(aws: LocalAws, bucket: str) -> None:
    (page,) = pages(aws, bucket, PageSize=1000, Prefix="a+b")
    assert [(v["IsLatest"], v["Size"]) for v in page["Versions"]] == [(True, 5), (False, 3)]


def test_a_key_marker_alone_starts_after_its_key(aws: LocalAws, bucket: str) -> None:
    page = aws.client("s3").list_object_versions(Bucket=bucket, KeyMarker="z/2")
    assert {key for key, _ in entries(page)} == {"z/3", "ü/ö"}


@pytest.mark.parametrize("size", [1, 2])
def test_folders_are_listed_once_and_count_as_one(size: int, aws: LocalAws, bucket: str) -> None:
    listed = pages(aws, bucket, PageSize=size, Delimiter="/")
    assert [p["Prefix"] for page in listed for p in page.get("CommonPrefixes", [])] == ["z/", "ü/"]
    found = sorted(key for page in listed for key, _ in entries(page))
    assert found == sorted([*KEYS[:5], *KEYS[:5], KEYS[0]])


def test_keys_are_encoded_where_the_request_asks_for_it(aws: LocalAws, bucket: str) -> None:
    def keys(query: str) -> list[str]:
        request = AWSRequest("GET", f"{aws.url}/{bucket}?versions&{query}")
        S3SigV4Auth(Credentials("local", "local"), "s3", "us-east-1").add_auth(request)
        answer = requests.get(request.url, headers=dict(request.headers), timeout=30)
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        return [found.text or "" for found in ET.fromstring(answer.content).iter(f"{space}Key")]

    encoded = keys("encoding-type=url")
    assert {"a%2Bb", "100%25", "100%252B"} <= set(encoded)
    assert {unquote_plus(key) for key in encoded} == set(KEYS)
    assert set(keys("")) == set(KEYS)


def test_a_bucket_can_be_emptied_page_by_page(aws: LocalAws, bucket: str) -> None:
    """As Terraform does: the next page starts after a version that is gone by then."""
    s3 = aws.client("s3")
    marker: dict[str, str] = {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=4, **marker)
        found = [{"Key": key, "VersionId": version} for key, version in entries(page)]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": found})
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"]}
        marker |= {"VersionIdMarker": page["NextVersionIdMarker"]} if "NextVersionIdMarker" in page else {}
    s3.delete_bucket(Bucket=bucket)
