"""Builds the weekly digest from scored rows and the alerts table, and publishes it once.

A retry never publishes a week again. The function first writes the digest to S3 as `publishing`, if it is not there
yet, then publishes it, then writes it as `published`. If an invocation ends in between, SNS may or may not have
accepted the message. The next invocation then raises an error, so that a person decides.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from anomaly_detector.alert_store import AlertStore
from anomaly_detector.scored_rows import ScoredRows
from egress_alerts.digest import Spend, build_digest, render_digest, render_subject, week_before
from egress_alerts.series import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomaly_detector.topic import Topic
    from egress_alerts.digest import Digest
    from egress_alerts.series import Window

_PUBLISHING, _PUBLISHED = "publishing", "published"


class DigestError(RuntimeError):
    """An earlier invocation ended while it published the week."""


def read_digest(s3: Any, bucket: str, scored_prefix: str, table: Any, week: Window) -> Digest:
    """Return the digest of a week of a deployment. Memory holds the scored rows of one day.

    Parameters
    ----------
    s3 : S3 client
    bucket : str
    scored_prefix : str
        Prefix of the scored rows in the bucket.
    table : DynamoDB table
        The alerts table.
    week : Window
    """
    rows = ScoredRows(s3, bucket, scored_prefix)
    places: set[tuple[str, str]] = set()
    spend, before = (_spend(rows, each, places) for each in (week, week_before(week)))
    store = AlertStore(table)
    store.reread()
    alerts = [stored.alert for stored in store.since(places, week.start)]
    verdicts = {verdict.alert_id: verdict.verdict for verdict in store.verdicts(places, week.start)}
    return build_digest(week, alerts, verdicts, spend, before)


def _spend(rows: ScoredRows, week: Window, places: set[tuple[str, str]]) -> Spend:
    """Add up a week's rows, and add their accounts and regions to `places`."""
    spend = Spend()
    for day in week.days:
        table = rows.read([day])[day].rows
        spend.add_day(table)
        if table is not None:
            found = table.group_by(["account_id", "region"]).aggregate([]).to_pylist()
            places |= {(row["account_id"], row["region"]) for row in found}
    return spend


@dataclass(frozen=True)
class DigestPublisher:
    """The state that invocations share. `s3`, `table` and `topic` are those of `Runner`."""

    s3: Any
    table: Any
    topic: Topic
    bucket: str
    scored_prefix: str
    digest_prefix: str

    def run(self, week: Window) -> bool:
        """Publish the digest of a week. Return False if it was published before.

        Raises
        ------
        DigestError
            Another invocation wrote the digest as `publishing` and has not written it as `published`.
        ClientError
            AWS refused a request. A retry continues from there.
        """
        key = f"{self.digest_prefix}week={day_of(week.start)}/digest.json"
        known = self._read(key)
        if known is not None:
            self._raise_if_unfinished(key, known)
            return False
        digest = read_digest(self.s3, self.bucket, self.scored_prefix, self.table, week)
        record: dict[str, Any] = {"attempt": uuid.uuid4().hex, "digest": digest}
        record |= {"subject": render_subject(digest), "text": render_digest(digest)}
        if not self._claim(key, record | {"status": _PUBLISHING}):
            return False
        try:
            self.topic.publish_text(record["subject"], record["text"])
        except ClientError:
            # SNS did not accept the message.
            self.s3.delete_object(Bucket=self.bucket, Key=key)
            raise
        self._write(key, record | {"status": _PUBLISHED})
        return True

    def _raise_if_unfinished(self, key: str, known: Mapping[str, Any]) -> None:
        if known["status"] != _PUBLISHED:
            raise DigestError(
                f"an earlier invocation ended while it published the digest, which may have been sent; to send it "
                f"again, delete s3://{self.bucket}/{key} and invoke the function with the week's Monday, such as "
                f'{{"week": "{known["digest"]["week"]}"}}'
            )

    def _claim(self, key: str, record: Mapping[str, Any]) -> bool:
        """Write a digest before it is published. Return False if another invocation has published it meanwhile."""
        try:
            self._write(key, record, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            known = self._read(key)
            if known is None:  # the other one could not publish it either
                raise
            # This attempt may have written it: its reply was lost, and the client tried again.
            if known.get("attempt") == record["attempt"]:
                return True
            self._raise_if_unfinished(key, known)
            return False
        return True

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        found: dict[str, Any] = json.loads(body)
        return found

    def _write(self, key: str, record: Mapping[str, Any], **condition: str) -> None:
        body = json.dumps(record, indent=1).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", **condition)
