"""The user's options for flow logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class FlowLogs:
    """Flow logs, and the options to estimate the bill from them.

    Attributes
    ----------
    paths : sequence of Path
        Files as `find_flow_logs` lists them.
    network : sequence of Path
        Output of `aws ec2 describe-network-interfaces` and `describe-subnets`. They show the owner of an interface and
        the zone of an address. Optional if the records have instance-id and az-id, and no NAT gateway matters.
    prices : Path, optional
        A price table. The default is `prices.json` of this package.
    bill_complete_until : datetime, optional
        The first hour (UTC) for which the bill is not complete. Flow logs are used from this hour. By default the last
        24 hours of the bill's EC2 lines count as incomplete.
    log_format : str, optional
        The format of files that do not name their fields, such as exports of CloudWatch Logs:
        `${version} ${account-id} ...` as AWS shows it, or `default`. Files with a header or a schema do not need it.
    """

    paths: Sequence[Path]
    network: Sequence[Path] = ()
    prices: Path | None = None
    bill_complete_until: datetime | None = None
    log_format: str | None = None
