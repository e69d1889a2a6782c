"""The detector's function with fakes of AWS around it. From the event on, its real code runs."""

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detector import feature_rows, scored_rows
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.runner import Runner
from anomaly_detector.settings import Settings
from anomaly_detector.topic import Topic
from anomaly_detector.window import window_of
from tests.simulation.aws import S3, Sns, Table
from tests.simulation.endpoint import Runtime
from tests.simulation.scheduler import LAMBDA_TIMEOUT_SECONDS, Scheduler

BUCKET = "data"
_CLOCKS_DIFFER_SECONDS = 60
# Rows and requests are small here: of 9 kB and more, requests are divided.
_MAX_BODY_BYTES = "10000"


def settings_of(policy: dict[str, str]) -> Settings:
    """Return the function's settings."""
    needed = {"BUCKET": BUCKET, "ENDPOINT_NAME": "sentinel", "ALERTS_TABLE": "table", "TOPIC_ARN": "arn:topic"}
    return Settings.from_environment(needed | {"MAX_BODY_BYTES": _MAX_BODY_BYTES} | policy)


class _Parquet:
    """Parquet as the function reads and writes it, each content read once: reading is half of a world's time."""

    write_table = staticmethod(pq.write_table)

    @staticmethod
    def read_table(source: io.BytesIO) -> pa.Table:
        return _read(source.getvalue())


@lru_cache(maxsize=500)
def _read(body: bytes) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(body)).read(use_threads=False)


for module in (feature_rows, scored_rows):
    module.pq = _Parquet  # type: ignore[assignment]


class System:
    """The detector's function in a world."""

    def __init__(
        self,
        scheduler: Scheduler,
        settings: Settings,
        s3: S3,
        table: Table,
        sns: Sns,
        cloudtrail: Callable[[str], Any] | None = None,
    ) -> None:
        self._scheduler = scheduler
        endpoint = Endpoint(Runtime(scheduler), settings.endpoint_name, settings.max_body_bytes, scheduler.wait)
        topic = Topic(sns, settings.topic_arn)
        clocks = scheduler.skewed_clock, scheduler.wait
        self._runner = Runner(settings, s3, table, endpoint, topic, *clocks, cloudtrail=cloudtrail)

    def invoke(self, event: dict[str, Any], request_id: str) -> None:
        """Run the function once, as its handler does."""
        window = window_of(event, "features/")
        deadline = self._scheduler.skewed_clock() + LAMBDA_TIMEOUT_SECONDS + _CLOCKS_DIFFER_SECONDS
        self._runner.run(window, request_id, deadline)
