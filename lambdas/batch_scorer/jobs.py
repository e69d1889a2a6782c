"""The job table: one item per upload, with its status and, if it failed, the reason."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

PREPARING, RUNNING, DONE, FAILED = "preparing", "running", "done", "failed"
KEPT_SECONDS = 400 * 86400


class Jobs:
    """The jobs in a DynamoDB table whose key is `job_id`."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def begin(self, job_id: str, **fields: Any) -> dict[str, Any] | None:
        """Write a new item and return None, or return the existing item of an upload that was handled before.

        An item with the status "preparing" belongs to an attempt that did not finish. It is started again.
        """
        now = int(time.time())
        item = {"job_id": job_id, "status": PREPARING, "reason": "", "expires_at": now + KEPT_SECONDS, **fields}
        try:
            self._table.put_item(
                Item=item,
                ConditionExpression="attribute_not_exists(job_id) OR #status = :preparing",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":preparing": PREPARING},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return self.get(job_id)
        return None

    def get(self, job_id: str) -> dict[str, Any] | None:
        """Return an item, or None if there is none."""
        item: dict[str, Any] | None = self._table.get_item(Key={"job_id": job_id}, ConsistentRead=True).get("Item")
        return item

    def update(self, job_id: str, **fields: Any) -> None:
        """Change fields of an item."""
        self._table.update_item(**_update(job_id, fields))

    def mark_running(self, job_id: str, **fields: Any) -> None:
        """Change fields of an item with the status "preparing". A job that another attempt finished is not changed."""
        request = _update(job_id, {"status": RUNNING, "reason": "", **fields})
        request["ExpressionAttributeValues"][":preparing"] = PREPARING
        try:
            self._table.update_item(**request, ConditionExpression="#status = :preparing")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise


def _update(job_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "Key": {"job_id": job_id},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in fields),
        "ExpressionAttributeNames": {f"#{name}": name for name in fields},
        "ExpressionAttributeValues": {f":{name}": value for name, value in fields.items()},
    }
