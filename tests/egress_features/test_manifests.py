"""Folders as AWS delivers them: the newest manifest of each billing period names the files."""

import json
import os
from pathlib import Path

import pytest

from egress_features import BadInputError, find_exports

EXECUTIONS = (
    "2024-03-28T01:05:29.443Z-f9ecf539-bfc5-4494-a1a0-80c5add5d2cb",
    "2024-04-02T13:14:43.337Z-6b622448-daaa-439c-92f1-afc727f1e0a3",
)
EXPORT = "billing/report"
MONTH = "BILLING_PERIOD=2024-03"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def manifest(path: Path, **content: object) -> Path:
    touch(path).write_text(json.dumps(content))
    return path


def data_export(folder: Path, middle: str, names: list[str], *, in_execution: bool = False) -> list[Path]:
    data = f"{EXPORT}/data/{MONTH}/{middle}"
    metadata = folder / f"{EXPORT}/metadata/{MONTH}" / (middle if in_execution else "")
    manifest(metadata / "report-Manifest.json", executionId="x", dataFiles=[f"s3://bucket/{data}{n}" for n in names])
    return [touch(folder / f"{data}{name}") for name in names]


def test_overwrite_takes_what_the_manifest_names(tmp_path: Path) -> None:
    named = data_export(tmp_path, "", ["report-00001.snappy.parquet"])
    touch(named[0].with_name("report-00002.snappy.parquet"))
    other_month = touch(tmp_path / f"{EXPORT}/data/BILLING_PERIOD=2024-02/report-00001.snappy.parquet")
    assert find_exports([tmp_path]) == sorted([other_month, *named])
    assert find_exports([tmp_path / EXPORT]) == sorted([other_month, *named])


@pytest.mark.parametrize("order", [EXECUTIONS, EXECUTIONS[::-1]])
def test_create_new_takes_the_newest_execution(order: tuple[str, str], tmp_path: Path) -> None:
    found = {
        execution: data_export(tmp_path, f"{execution}/", ["report-00001.csv.gz"], in_execution=True)
        for execution in order
    }
    assert find_exports([tmp_path]) == found[EXECUTIONS[1]]


def test_create_new_without_manifests_gives_every_execution(tmp_path: Path) -> None:
    files = [touch(tmp_path / MONTH / execution / "report-00001.csv.gz") for execution in EXECUTIONS]
    assert find_exports([tmp_path]) == sorted(files)


def test_legacy_assemblies(tmp_path: Path) -> None:
    period = tmp_path / "cur/20240301-20240401"
    ids = ["b1b1b1b1-0000-4000-8000-000000000000", "a2a2a2a2-0000-4000-8000-000000000000"]
    files = [touch(period / assembly / "cur-1.csv.gz") for assembly in ids]
    for assembly in ids:
        keys = [f"cur/20240301-20240401/{assembly}/cur-1.csv.gz"]
        manifest(period / assembly / "cur-Manifest.json", assemblyId=assembly, reportKeys=keys)
    newest = manifest(
        period / "cur-Manifest.json", assemblyId=ids[1], reportKeys=[f"cur/20240301-20240401/{ids[1]}/cur-1.csv.gz"]
    )
    os.utime(newest, (1, 1))
    assert find_exports([tmp_path]) == [files[1]]


def test_legacy_parquet_lies_apart_from_its_manifest(tmp_path: Path) -> None:
    data = "cur/cur/year=2024/month=3"
    named = touch(tmp_path / data / "cur-00001.snappy.parquet")
    touch(tmp_path / data / "cur-00002.snappy.parquet")
    manifest(
        tmp_path / "cur/20240301-20240401/cur-Manifest.json",
        reportKeys=[f"deep/prefix/{data}/cur-00001.snappy.parquet"],
    )
    assert find_exports([tmp_path]) == [named]


def test_an_incomplete_download_is_refused(tmp_path: Path) -> None:
    named = data_export(tmp_path, "", ["report-00001.snappy.parquet", "report-00002.snappy.parquet"])
    named[1].unlink()
    with pytest.raises(BadInputError, match=r"names .*report-00002\.snappy\.parquet, which is not in"):
        find_exports([tmp_path])


def test_a_compression_that_is_not_read_is_refused(tmp_path: Path) -> None:
    data_export(tmp_path, "", ["report-1.csv.zip"])
    with pytest.raises(BadInputError, match="as Parquet or GZIP"):
        find_exports([tmp_path])


def test_a_broken_manifest_is_refused_and_a_foreign_one_passed_over(tmp_path: Path) -> None:
    file = touch(tmp_path / "cur.parquet")
    manifest(tmp_path / "npm-Manifest.json", name="something else")
    assert find_exports([tmp_path]) == [file]
    (tmp_path / "cut-Manifest.json").write_text('{"dataFiles": [')
    with pytest.raises(BadInputError, match="no readable manifest"):
        find_exports([tmp_path])
