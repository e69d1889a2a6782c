"""One invocation: reads a day, the two before it and the serving model's reference; stores what follows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from drift_monitor.decision import NO_REFERENCE, NO_ROWS, Measured, Outcome, decide
from drift_monitor.judge import Measure, measures_of
from drift_monitor.models import current_model, reference_of_model
from drift_monitor.reference import NoReferenceError
from drift_monitor.store import read_captured, read_file, read_scored, write_files

if TYPE_CHECKING:
    from drift_monitor.day import Day
    from drift_monitor.reference import Reference
    from drift_monitor.settings import Settings


class Monitor:
    """Everything an invocation needs, made once for a function instance."""

    def __init__(self, settings: Settings, s3: Any, sagemaker: Any, sns: Any) -> None:
        self._settings = settings
        self._s3 = s3
        self._sagemaker = sagemaker
        self._sns = sns

    def run(self, day: date) -> Outcome:
        """Judge a day; doing it again writes the same files, and publishes a message only if it says something else.

        Raises
        ------
        CaptureError, ClientError
            Something did not work; a retry takes it from there.
        """
        model_name = self._settings.model_name or current_model(self._sagemaker, self._settings.endpoint_name)
        try:
            reference = reference_of_model(self._sagemaker, self._s3, model_name)
        except NoReferenceError as error:
            return Outcome(str(day), NO_REFERENCE, str(error))
        rows = self._read(day, reference)
        if rows is None:
            return Outcome(str(day), NO_ROWS, f"there are no rows under s3://{self._settings.bucket}/{self._source}")
        measured = Measured(
            measures_of(rows, reference, self._settings.limits),
            *(self._measures(day - timedelta(days=back), reference) for back in (1, 2)),
        )
        bucket, folder = self._settings.bucket, f"{self._settings.drift_prefix}day={rows.day}/"
        decision = decide(rows, measured, reference, f"s3://{bucket}/{folder}")
        write_files(self._s3, bucket, folder, decision.files)
        if decision.message is not None:
            self._publish(folder, *decision.message)
        return decision.outcome

    def _publish(self, folder: str, subject: str, text: str) -> None:
        """Publish a message, unless it was published for this day already: an event may arrive twice."""
        bucket, key, body = self._settings.bucket, f"{folder}message.txt", f"{subject}\n\n{text}\n".encode()
        if read_file(self._s3, bucket, key) == body:
            return
        self._sns.publish(TopicArn=self._settings.topic_arn, Subject=subject, Message=text)
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/plain")

    @property
    def _source(self) -> str:
        return self._settings.capture_prefix or self._settings.scored_prefix

    def _read(self, day: date, reference: Reference) -> Day | None:
        read = read_captured if self._settings.capture_prefix else read_scored
        return read(self._s3, self._settings.bucket, self._source, str(day), reference)

    def _measures(self, day: date, reference: Reference) -> list[Measure]:
        rows = self._read(day, reference)
        return [] if rows is None else measures_of(rows, reference, self._settings.limits)
