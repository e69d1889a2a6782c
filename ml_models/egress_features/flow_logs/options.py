"""What a person gives beside the flow logs themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class FlowLogs:
    """Flow logs and what is needed to read them as the bill would.

    Attributes
    ----------
    paths : sequence of Path
        Files as `find_flow_logs` lists them.
    network : sequence of Path
        Answers of `aws ec2 describe-network-interfaces` and `describe-subnets`: who an interface belongs to, and in
        which zone an address lies. Optional where the records have instance-id, az-id and no NAT gateway matters.
    prices : Path, optional
        A price table; the package's own `prices.json` by default.
    bill_complete_until : datetime, optional
        The first hour (UTC) for which the bill is not complete; flow logs speak from there on. By default the last 24
        hours of the bill's EC2 lines are taken for incomplete.
    log_format : str, optional
        The format of files that do not name their fields, such as exports of CloudWatch Logs:
        `${version} ${account-id} ...` as AWS shows it, or `default`. Files with a header or a schema do not need it.
    """

    paths: Sequence[Path]
    network: Sequence[Path] = ()
    prices: Path | None = None
    bill_complete_until: datetime | None = None
    log_format: str | None = None
