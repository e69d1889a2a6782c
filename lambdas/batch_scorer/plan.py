"""Plans a transform job by the size of its input. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# SageMaker's limits: MaxPayloadInMB is at most 100, and so is MaxPayloadInMB x MaxConcurrentTransforms.
MAX_PAYLOAD_MB = 100
MEGABYTE = 1_000_000
MAX_PAYLOAD_BYTES = MAX_PAYLOAD_MB * MEGABYTE
# A request of this size is scored in seconds, far below the container's timeout of 60.
USUAL_PAYLOAD_MB = 6
MAX_INSTANCES = 4
# The most rows that the container accepts in one request.
MAX_ROWS = 1_000_000
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Plan:
    """The arguments of CreateTransformJob that depend on the size."""

    instance_type: str
    instance_count: int
    max_payload_mb: int
    max_concurrent_transforms: int
    strategy: str


@dataclass(frozen=True)
class _Size:
    up_to_bytes: float
    instance_type: str
    cpus: int


SIZES = (
    _Size(100 * MEGABYTE, "ml.m5.large", 2),
    _Size(1000 * MEGABYTE, "ml.m5.xlarge", 4),
    _Size(float("inf"), "ml.m5.2xlarge", 8),
)


def plan_for(size_bytes: int, longest_line_bytes: int, parts: int, shortest_line_bytes: int = 8) -> Plan:
    """Choose the number of instances, the payload size and the strategy.

    Parameters
    ----------
    size_bytes : int
        Size of all lines without a header.
    longest_line_bytes : int
        At most `MAX_PAYLOAD_BYTES`.
    parts : int
        Number of files. Each instance processes whole files.
    shortest_line_bytes : int
        At least 2: a digit and the line break.

    Returns
    -------
    Plan
        One worker of the container per CPU. A request has several lines, unless one line alone fills it.
    """
    size = next(size for size in SIZES if size_bytes <= size.up_to_bytes)
    most_rows_mb = max(MAX_ROWS * shortest_line_bytes // _MEBIBYTE, 1)
    usual_mb = min(_megabytes(size_bytes), USUAL_PAYLOAD_MB, most_rows_mb)
    payload_mb = max(usual_mb, _megabytes(longest_line_bytes))
    is_filled_by_one = longest_line_bytes > USUAL_PAYLOAD_MB * MEGABYTE
    return Plan(
        instance_type=size.instance_type,
        instance_count=min(parts, MAX_INSTANCES),
        max_payload_mb=payload_mb,
        max_concurrent_transforms=min(size.cpus, MAX_PAYLOAD_MB // payload_mb),
        strategy="SingleRecord" if is_filled_by_one else "MultiRecord",
    )


def _megabytes(size_bytes: int) -> int:
    return max(1, -(-size_bytes // MEGABYTE))
