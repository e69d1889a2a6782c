"""The fields of a flow log record, by the names of a header line, of parquet columns, or of a format.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html. Text files write `pkt-dstaddr` and parquet files
`pkt_dstaddr`; order and choice are the user's. The default format (version 2) has the first fourteen. Athena's results
have the columns of a user's CREATE TABLE, which AWS has documented with two sets of names:
https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs-create-table-statement.html.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    # Fields of later versions. Without them, their values are worked out from other fields.
    Field("resource_id"),
    Field("interface_type"),
    Field("next_hop_az_id"),
    Field("next_hop_interface_type"),
)
DEFAULT_FORMAT = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
    "start", "end", "action", "log-status",
)  # fmt: skip
EXAMPLE = "--flow-log-format '${version} ${account-id} ${interface-id} ...'"
_BARE = {field.name.replace("_", ""): field.name for field in FIELDS} | {
    # AWS's older CREATE TABLE statements.
    "account": "account_id",
    "sourceaddress": "srcaddr",
    "destinationaddress": "dstaddr",
    "numpackets": "packets",
    "numbytes": "bytes",
    "starttime": "start",
    "packetsourceaddress": "pkt_srcaddr",
    "packetdestinationaddress": "pkt_dstaddr",
}
_FIELD_OF_A_FORMAT = re.compile(r"\$*\{([A-Za-z][A-Za-z0-9_-]*)\}|([A-Za-z][A-Za-z0-9_-]*)")


def normal(name: str) -> str:
    """Return a field's name as parquet spells it."""
    text = name.strip().lower().replace("-", "_")
    return _BARE.get(text.replace("_", ""), text)


def parse_format(text: str) -> tuple[str, ...]:
    """Return the field names of a format as AWS shows it (`${version} ${account-id} ...`), or of `default`.

    Raises
    ------
    BadInputError
        The text is no format, or a format without the fields that are needed.
    """
    if text.strip().lower() == "default":
        return DEFAULT_FORMAT
    names = []
    for word in text.replace(",", " ").split():
        match = _FIELD_OF_A_FORMAT.fullmatch(word)
        if match is None:
            raise BadInputError(f"--flow-log-format has {word!r}, which is no field; write it as {EXAMPLE}, or default")
        names.append(match[1] or match[2])
    known = {normal(name) for name in names}
    missing = [field.name.replace("_", "-") for field in FIELDS if field.is_required and field.name not in known]
    if missing and "tgw_id" not in known:
        raise BadInputError(
            f"--flow-log-format lacks {', '.join(missing)} and has {' '.join(names) or 'no field'}; put the format in "
            f"single quotes ({EXAMPLE}), because in double quotes the shell replaces ${{...}}"
        )
    check_fields("--flow-log-format", names)
    return tuple(names)


def recognises(names: Sequence[str]) -> bool:
    """Return whether these are the fields of VPC Flow Logs: an interface or an address, and bytes."""
    known = {normal(name) for name in names}
    return "bytes" in known and bool(known & {"interface_id", "srcaddr"})


def check_fields(source: object, names: Sequence[str]) -> None:
    """Refuse records whose fields do not allow to add up the hours of an interface.

    Raises
    ------
    BadInputError
        A field is missing. The message names it and the source of the fields (a file, or the option).
    """
    known = [normal(name) for name in names]
    if "tgw_id" in known:
        raise BadInputError(
            f"{source} is a transit gateway's flow log, and those of VPCs, subnets or interfaces are read"
        )
    if not recognises(names):
        shown = " ".join(list(names)[:6])
        raise BadInputError(
            f"{source} is no VPC flow log: it begins with {shown[:120]!r}; its header line (or its parquet columns) "
            "must name the fields, such as interface-id srcaddr dstaddr bytes start"
        )
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise BadInputError(f"{source} names the field {twice[0]} twice; each field is accepted once")
    missing = [field.name for field in FIELDS if field.is_required and field.name not in known]
    if missing:
        raise BadInputError(
            f"{source} has no field {missing[0].replace('_', '-')}; a flow log's format needs interface-id, srcaddr, "
            "dstaddr, bytes and start"
        )
