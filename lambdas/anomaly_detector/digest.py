"""The digest of a week: read from scored rows and the alerts table, and published once.

A retry never publishes a week again. The digest is first kept in S3 as `publishing`, on condition that it is not there
yet, then published, then kept as `published`. Where an invocation ended in between, nobody knows if SNS took the
message. The next one then raises, so that a person decides.
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
        Where scored rows lie in the bucket.
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
    """Everything that invocations share; `s3`, `table` and `topic` as in `Runner`."""

    s3: Any
    table: Any
    topic: Topic
    bucket: str
    scored_prefix: str
    digest_prefix: str

    def run(self, week: Window) -> bool:
        """Publish the digest of a week; False where that has been done before.

        Raises
        ------
        DigestError
            An earlier invocation ended, or another one is, between keeping the digest and knowing that it is published.
        ClientError
            AWS refused. A retry takes it from there.
        """
        key = f"{self.digest_prefix}week={day_of(week.start)}/digest.json"
        known = self._read(key)
        if known is not None:
            return self._is_to_be_left(key, known)
        digest = read_digest(self.s3, self.bucket, self.scored_prefix, self.table, week)
        record: dict[str, Any] = {"attempt": uuid.uuid4().hex, "digest": digest}
        record |= {"subject": render_subject(digest), "text": render_digest(digest)}
        if not self._claim(key, record | {"status": _PUBLISHING}):
            return False
        try:
            self.topic.publish_text(record["subject"], record["text"])
        except ClientError:
            # SNS answered that it did not take the message.
            self.s3.delete_object(Bucket=self.bucket, Key=key)
            raise
        self._write(key, record | {"status": _PUBLISHED})
        return True

    def _is_to_be_left(self, key: str, known: Mapping[str, Any]) -> bool:
        if known["status"] != _PUBLISHED:
            raise DigestError(
                f"an earlier invocation ended while it published the digest, which may have been sent; to send it "
                f"again, delete s3://{self.bucket}/{key} and invoke the function with the week's Monday, such as "
                f'{{"week": "{known["digest"]["week"]}"}}'
            )
        return False

    def _claim(self, key: str, record: Mapping[str, Any]) -> bool:
        """Keep a digest that is to be published; False where another invocation has published it meanwhile."""
        try:
            self._write(key, record, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            known = self._read(key)
            if known is None:  # the other one could not publish it either
                raise
            # It may be this attempt's own: its reply was lost, and the client tried again.
            return known.get("attempt") == record["attempt"] or self._is_to_be_left(key, known)
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
