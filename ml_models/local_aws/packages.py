"""Model package groups and model packages of SageMaker.

Closes these gaps of moto 5.2: deleting a group returns 500, ClientToken has no effect, and approving a package removes
its metadata.
"""

from __future__ import annotations

import time
from typing import Any

from local_aws.account import ACCOUNT_ID, REGION, ApiError

_CHANGED = ("ModelApprovalStatus", "ApprovalDescription")


class Packages:
    """The API of versioned model packages."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Any]] = {}
        self._packages: dict[str, dict[str, Any]] = {}
        self._by_token: dict[str, str] = {}

    def describe(self, arn: str) -> dict[str, Any]:
        """Return a package.

        Raises
        ------
        ApiError
            There is no such package.
        """
        if arn not in self._packages:
            raise ApiError(f"ModelPackage {arn} does not exist.")
        return self._packages[arn]

    def _CreateModelPackageGroup(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802 - the API's name
        name = given["ModelPackageGroupName"]
        if name in self._groups:
            raise ApiError(f"Model Package Group already exists: {_arn('model-package-group', name)}")
        kept = {key: value for key, value in given.items() if key != "Tags"}
        arn = _arn("model-package-group", name)
        status = {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed", "CreationTime": time.time()}
        self._groups[name] = {**kept, **status, "CreatedBy": {}}
        return {"ModelPackageGroupArn": arn}

    def _DescribeModelPackageGroup(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._group(given["ModelPackageGroupName"])

    def _DeleteModelPackageGroup(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        group = self._group(given["ModelPackageGroupName"])
        if self._of_group(group["ModelPackageGroupName"]):
            raise ApiError(
                "Model Package Group cannot be deleted because it still contains Model Packages.", "Conflict"
            )
        del self._groups[group["ModelPackageGroupName"]]
        return {}

    def _ListModelPackageGroups(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        shown = ("ModelPackageGroupName", "ModelPackageGroupArn", "CreationTime", "ModelPackageGroupStatus")
        found = [{name: group[name] for name in shown} for group in self._groups.values()]
        return {"ModelPackageGroupSummaryList": found}

    def _CreateModelPackage(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        token = given.pop("ClientToken", "")
        if token in self._by_token:
            return {"ModelPackageArn": self._by_token[token]}
        group = self._group(given["ModelPackageGroupName"])["ModelPackageGroupName"]
        version = 1 + max((package["ModelPackageVersion"] for package in self._of_group(group)), default=0)
        arn = _arn("model-package", f"{group}/{version}")
        kept = {key: value for key, value in given.items() if key != "Tags"}
        state = {
            "ModelPackageName": group,
            "ModelPackageArn": arn,
            "ModelPackageVersion": version,
            "ModelPackageStatus": "Completed",
        }
        details = {"ModelPackageStatusDetails": {"ValidationStatuses": []}, "CreationTime": time.time()}
        self._packages[arn] = {"ModelApprovalStatus": "PendingManualApproval", **kept, **state, **details}
        if token:
            self._by_token[token] = arn
        return {"ModelPackageArn": arn}

    def _DescribeModelPackage(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.describe(given["ModelPackageName"])

    def _UpdateModelPackage(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        package = self.describe(given["ModelPackageArn"])
        package |= {key: given[key] for key in _CHANGED if key in given}
        package["CustomerMetadataProperties"] = {
            **package.get("CustomerMetadataProperties", {}),
            **given.get("CustomerMetadataProperties", {}),
        }
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _DeleteModelPackage(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        del self._packages[self.describe(given["ModelPackageName"])["ModelPackageArn"]]
        return {}

    def _ListModelPackages(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        group = self._group(given["ModelPackageGroupName"])["ModelPackageGroupName"]
        names = (
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageStatus",
            "ModelApprovalStatus",
            "CreationTime",
        )
        found = [{name: package[name] for name in names} for package in self._of_group(group)]
        return {"ModelPackageSummaryList": found}

    def _group(self, name: str) -> dict[str, Any]:
        name = name.rpartition("/")[2]
        if name not in self._groups:
            raise ApiError(f"ModelPackageGroup {_arn('model-package-group', name)} does not exist.")
        return self._groups[name]

    def _of_group(self, group: str) -> list[dict[str, Any]]:
        return [package for package in self._packages.values() if package["ModelPackageGroupName"] == group]


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{kind}/{name}"
