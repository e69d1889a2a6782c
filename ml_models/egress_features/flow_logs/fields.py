"""The fields of a flow log record, by the names of its header line or its parquet columns.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html. Text files write `pkt-dstaddr` and parquet files
`pkt_dstaddr`; order and choice are the user's. The default format (version 2) has the first fourteen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Field(NamedTuple):
    """A field that is read, and whether nothing works without it."""

    name: str
    is_required: bool = False


FIELDS = (
    Field("account_id"),
    Field("interface_id", is_required=True),
    Field("srcaddr", is_required=True),
    Field("dstaddr", is_required=True),
    Field("packets"),
    Field("bytes", is_required=True),
    Field("start", is_required=True),
    Field("action"),
    Field("log_status"),
    Field("vpc_id"),
    Field("instance_id"),
    Field("pkt_srcaddr"),
    Field("pkt_dstaddr"),
    Field("region"),
    Field("az_id"),
    Field("pkt_src_aws_service"),
    Field("pkt_dst_aws_service"),
    Field("flow_direction"),
    Field("traffic_path"),
    # Later versions; where they are there, they say outright what else has to be worked out.
    Field("resource_id"),
    Field("interface_type"),
    Field("next_hop_az_id"),
    Field("next_hop_interface_type"),
)


def normal(name: str) -> str:
    """Return a field's name as parquet spells it."""
    return name.strip().lower().replace("-", "_")


def _recognises(names: Sequence[str]) -> bool:
    """Say whether these are the fields of VPC Flow Logs: an interface or an address, and bytes."""
    known = {normal(name) for name in names}
    return "bytes" in known and bool(known & {"interface_id", "srcaddr"})


def check_fields(path: Path, names: Sequence[str]) -> None:
    """Refuse records from which no hour of an interface can be made.

    Raises
    ------
    BadInputError
        Names the file, and the field that is missing.
    """
    known = [normal(name) for name in names]
    if "tgw_id" in known:
        raise BadInputError(
            f"{path} is a transit gateway's flow log, and those of VPCs, subnets or interfaces are read"
        )
    if not _recognises(names):
        shown = " ".join(list(names)[:6])
        raise BadInputError(
            f"{path} is no VPC flow log: it begins with {shown[:120]!r}; its header line (or its parquet columns) must "
            "name the fields, such as interface-id srcaddr dstaddr bytes start"
        )
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise BadInputError(f"{path} names the field {twice[0]} twice; each field is accepted once")
    missing = [field.name for field in FIELDS if field.is_required and field.name not in known]
    if missing:
        raise BadInputError(
            f"{path} has no field {missing[0].replace('_', '-')}; a flow log's format needs interface-id, srcaddr, "
            "dstaddr, bytes and start"
        )
