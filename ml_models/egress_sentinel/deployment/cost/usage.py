"""The workload of a deployment in a month: the user's numbers, and measurements per unit of work."""

from __future__ import annotations

from dataclasses import dataclass

HOURS_A_MONTH = 730
DAYS_A_MONTH = HOURS_A_MONTH / 24
RESCORED_HOURS = 48  # what a scheduled run of the detector scores
EXPORT_REFRESHES_A_DAY = 3  # how often AWS delivers a bill at most

# Measured with the demo's bill on one core of a server of 2024: an invocation with S3, endpoint and DynamoDB takes
# about 0.3 s and another second for each 15,000 rows; the endpoint's share of it is 0.02 s and 100,000 rows a second.
DETECTOR_SECONDS_A_RUN = 0.3
DETECTOR_ROWS_A_SECOND = 15_000
ENDPOINT_SECONDS_A_REQUEST = 0.02
ENDPOINT_ROWS_A_SECOND = 100_000
BYTES_A_ROW_SENT = 250  # CSV in, scores out
BYTES_A_ROW_STORED = 60  # parquet: features and scored rows together
BYTES_A_RECORD = 760  # of the feature store: the largest of the demo's 176; AWS bills a write by the KB
TRANSITIONS_A_RUN = 30  # of a state machine of Athena queries or of retraining
BYTES_LOGGED_A_RUN = 5_000
# By how a function's name ends; CloudWatch bills a metric for the hours in which it is sent.
CUSTOM_METRICS = {"-detector": 4, "-drift": 4, "-batch": 1}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the user knows of the month.

    Parameters
    ----------
    series : int
        Series of egress: account, region, service, class and resource; the demo's bill has 135.
    notebook_hours : float
        Hours that a notebook instance runs.
    training_minutes : float
        Minutes of a training job, its start included.
    athena_gb : float
        GB that queries scan.
    batch_hours : float
        Hours that batch jobs run: transform jobs, or those of AWS Batch.
    build_minutes : float
        Minutes of image builds.
    image_gb : float
        GB of images that are kept.
    flow_log_gb : float
        GB of flow logs, before they are compressed.
    """

    series: int = 135
    notebook_hours: float = HOURS_A_MONTH
    training_minutes: float = 5
    athena_gb: float = 10
    batch_hours: float = 1
    build_minutes: float = 10
    image_gb: float = 2
    flow_log_gb: float = 10

    def rows(self, scheduled_runs: float) -> float:
        """Return the rows that the detector scores: each delivered file, a day of hours, and the scheduled runs."""
        delivered_hours = EXPORT_REFRESHES_A_DAY * DAYS_A_MONTH * 24
        return self.series * (delivered_hours + scheduled_runs * RESCORED_HOURS)

    def runs(self, scheduled_runs: float) -> float:
        """Return how often the detector runs."""
        return scheduled_runs + EXPORT_REFRESHES_A_DAY * DAYS_A_MONTH
