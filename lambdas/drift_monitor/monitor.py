"""One invocation: reads a day or an hour, the two before it and the model's reference, and stores the results."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drift_monitor.decision import NO_REFERENCE, NO_ROWS, Measured, Outcome, decide
from drift_monitor.documents import metric_lines
from drift_monitor.judge import Measure, measures_of
from drift_monitor.models import current_model, reference_of_model
from drift_monitor.reference import NoReferenceError
from drift_monitor.store import read_captured, read_file, read_scored, write_files

if TYPE_CHECKING:
    from drift_monitor.day import Day
    from drift_monitor.reference import Reference
    from drift_monitor.settings import Settings


class Monitor:
    """The clients and settings of all invocations, created once per function instance."""

    def __init__(self, settings: Settings, s3: Any, sagemaker: Any, sns: Any) -> None:
        self._settings = settings
        self._s3 = s3
        self._sagemaker = sagemaker
        self._sns = sns

    def run(self, windows: list[str]) -> Outcome:
        """Check a day or an hour. A repetition writes the same files, and publishes only a notification that differs.

        Parameters
        ----------
        windows : list of str
            The day or hour, and the two before it, as `events.windows_of` returns them.

        Raises
        ------
        CaptureError, ClientError
            A call failed or the records cannot be read. A retry can continue from there.
        """
        model_name = self._settings.model_name or current_model(self._sagemaker, self._settings.endpoint_name)
        try:
            reference = reference_of_model(self._sagemaker, self._s3, model_name)
        except NoReferenceError as error:
            return Outcome(windows[0], NO_REFERENCE, str(error))
        rows = self._read(windows[0], reference)
        if rows is None:
            return Outcome(windows[0], NO_ROWS, f"there are no rows below s3://{self._settings.bucket}/{self._source}")
        limits = self._settings.limits
        measured = Measured(
            measures_of(rows, reference, limits), *(self._measures(window, reference) for window in windows[1:])
        )
        bucket, folder = self._settings.bucket, f"{self._settings.drift_prefix}{rows.folder}"
        decision = decide(rows, measured, reference, limits, f"s3://{bucket}/{folder}")
        write_files(self._s3, bucket, folder, decision.files)
        self._write_latest(rows.day, decision.files)
        if self._settings.feature_metrics:
            endpoint, schedule = self._settings.endpoint_name, f"{self._settings.endpoint_name}-drift"
            for line in metric_lines(measured.today, endpoint, schedule, datetime.now(UTC)):
                print(line)
        if decision.message is not None:
            self._publish(folder, *decision.message)
        return decision.outcome

    def _write_latest(self, day: str, files: dict[str, bytes]) -> None:
        """Store the newest files under a fixed key. A repeated check of an earlier day does not replace them."""
        bucket, folder = self._settings.bucket, f"{self._settings.drift_prefix}latest/"
        latest = read_file(self._s3, bucket, f"{folder}measures.json")
        if latest is None or json.loads(latest)["day"] <= day:
            write_files(self._s3, bucket, folder, files)

    def _publish(self, folder: str, subject: str, text: str) -> None:
        """Publish a notification, unless it was already published for this day: an event may arrive twice."""
        bucket, key, body = self._settings.bucket, f"{folder}message.txt", f"{subject}\n\n{text}\n".encode()
        if read_file(self._s3, bucket, key) == body:
            return
        self._sns.publish(TopicArn=self._settings.topic_arn, Subject=subject, Message=text)
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/plain")

    @property
    def _source(self) -> str:
        return self._settings.capture_prefix or self._settings.scored_prefix

    def _read(self, day: str, reference: Reference) -> Day | None:
        read = read_captured if self._settings.capture_prefix else read_scored
        return read(self._s3, self._settings.bucket, self._source, day, reference)

    def _measures(self, day: str, reference: Reference) -> list[Measure]:
        rows = self._read(day, reference)
        return [] if rows is None else measures_of(rows, reference, self._settings.limits)
