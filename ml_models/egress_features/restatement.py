"""Finds the delivery of a billing period that counts, if AWS delivered it more than once.

AWS delivers a bill many times: the open month several times a day, a closed one when refunds or credits arrive.
Each delivery holds the whole billing period of a payer, so the newest replaces all others.

- **A delivery** is an execution folder (`2024-04-02T13:14:43.337Z-<id>`, `20230103T125721Z`, an assembly id), or else
  the files of a folder whose names differ only in AWS's part number (`NAME-00001.snappy.parquet`).
- **The same bill:** two deliveries of a payer and billing period share at least half of the smaller one's
  (account, region, egress class, resource, hour). Line item ids cannot decide it: AWS gives new ones in each
  delivery, and FOCUS has none. Deliveries that share nothing are parts of a bill, such as an export for each
  account, and are added up.
- **Newer** is the later execution, by the time in the folders' names. Without a time it is the delivery with an
  invoice, then the one with the later last hour, then the one with the later modification time (`aws s3 sync` keeps
  S3's times).
- **Refused:** ambiguous deliveries. They share only a few lines, the newer one lacks accounts, or neither is newer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from egress_features.engines import Engine

SAME_BILL_SHARE = 0.5
_EXECUTION = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?P<compact>\d{8}T\d{6})Z"
)
_PART_NUMBER = re.compile(r"-\d{5}(?=\.)")


@dataclass(frozen=True)
class Delivery:
    """Files that were delivered together. `executed` is None if the name of their folder has no time."""

    name: str
    paths: tuple[Path, ...]
    executed: datetime | None

    def modified(self) -> float:
        """Return the modification time of the file that was written last."""
        return max(path.stat().st_mtime for path in self.paths)


def execution_time(folder: str) -> datetime | None:
    """Return the time of an execution from its folder's name, or None if the name has no time."""
    match = _EXECUTION.fullmatch(folder)
    if match is None or not (match["iso"] or match["compact"]):
        return None
    return datetime.fromisoformat(match["iso"] or match["compact"]).replace(tzinfo=UTC)


def is_execution(folder: str) -> bool:
    """Return whether a folder's name is that of an execution, or an assembly id."""
    return _EXECUTION.fullmatch(folder) is not None


def _delivery_names(paths: Iterable[Path]) -> list[str]:
    """Return the name of each file's delivery."""
    return [
        str(path.parent if is_execution(path.parent.name) else path.parent / _PART_NUMBER.sub("", path.name, count=1))
        for path in paths
    ]


def find_replaced(engine: Engine, paths: Sequence[Path], granularity: str, kept: str) -> list[str]:
    """Make the table replaced (file_number, payer_account_id, billing_period). Return sentences about its rows.

    Parameters
    ----------
    engine : Engine
        With the tables line_groups and read_lines.
    paths : sequence of Path
        The files by file_number.
    granularity : str
        The bill's granularity. Lines of another one are left out.
    kept : str
        SQL list of the line item types that bill usage.

    Raises
    ------
    BadInputError
        Deliveries of a billing period contradict each other.
    """
    engine.run("CREATE TABLE replaced (file_number INTEGER, payer_account_id VARCHAR, billing_period VARCHAR)")
    names = _delivery_names(paths)
    deliveries = [
        Delivery(
            name, members := tuple(p for p, n in zip(paths, names, strict=True) if n == name), _executed(members[0])
        )
        for name in dict.fromkeys(names)
    ]
    engine.run("CREATE TABLE deliveries (file_number INTEGER, delivery INTEGER)")
    if len(deliveries) < 2:
        return []
    number_of = {delivery.name: number for number, delivery in enumerate(deliveries)}
    engine.insert("deliveries", [(number, number_of[name]) for number, name in enumerate(names)])
    notes = []
    for (payer, period), rivals in sorted(_same_bills(engine, deliveries, granularity, kept).items()):
        for group in rivals:
            ages = _ages(engine, deliveries, group, payer, period)
            newest = max(group, key=lambda number: ages[number])
            _refuse_unclear(engine, deliveries, ages, newest, payer, period)
            older = [number for number in group if number != newest]
            rows = [(n, payer, period) for n, name in enumerate(names) if number_of[name] in older]
            engine.insert("replaced", rows)
            notes.append(_note(deliveries, newest, older, payer, period))
    return notes


def _executed(path: Path) -> datetime | None:
    return execution_time(path.parent.name)


def _same_bills(
    engine: Engine, deliveries: Sequence[Delivery], granularity: str, kept: str
) -> dict[tuple[str, str], list[list[int]]]:
    """Return, by payer and billing period, the groups of deliveries that are one bill."""
    contested = engine.rows(
        "SELECT payer_account_id, billing_period FROM line_groups AS g "
        "JOIN deliveries AS d ON d.file_number = g.file_number "
        "GROUP BY payer_account_id, billing_period HAVING COUNT(DISTINCT d.delivery) > 1"
    )
    if not contested:
        return {}
    engine.run("CREATE TABLE contested (payer_account_id VARCHAR, billing_period VARCHAR)")
    engine.insert("contested", contested)
    engine.run(
        f"""
        CREATE TABLE contested_keys AS
        SELECT DISTINCT d.delivery, l.payer_account_id, l.billing_period,
          l.account_id, l.region, l.egress_class, l.resource_id, l.hour_utc
        FROM read_lines AS l
        JOIN deliveries AS d ON d.file_number = l.file_number
        JOIN contested AS c ON c.payer_account_id = l.payer_account_id AND c.billing_period = l.billing_period
        WHERE l.line_item_type IN ({kept}) AND l.granularity = '{granularity}'
        """
    )
    sizes = {
        (payer, period, delivery): count
        for payer, period, delivery, count in engine.rows(
            "SELECT payer_account_id, billing_period, delivery, COUNT(*) FROM contested_keys GROUP BY 1, 2, 3"
        )
    }
    common = engine.rows(
        """
        SELECT a.payer_account_id, a.billing_period, a.delivery, b.delivery, COUNT(*)
        FROM contested_keys AS a
        JOIN contested_keys AS b
          ON b.payer_account_id = a.payer_account_id AND b.billing_period = a.billing_period
          AND b.account_id = a.account_id AND b.region = a.region AND b.egress_class = a.egress_class
          AND b.resource_id = a.resource_id AND b.hour_utc = a.hour_utc
        WHERE a.delivery < b.delivery
        GROUP BY a.payer_account_id, a.billing_period, a.delivery, b.delivery
        """
    )
    groups: dict[tuple[str, str], list[list[int]]] = {}
    for payer, period, one, other, count in sorted(common):
        smaller = min(sizes[payer, period, one], sizes[payer, period, other])
        if count < SAME_BILL_SHARE * smaller:
            raise BadInputError(
                f"{count:,} of {smaller:,} hours of data transfer in {_place(deliveries[one])} are in "
                f"{_place(deliveries[other])} as well, for billing period {period}: neither two parts of a bill nor "
                "one bill delivered twice; give each billing period once"
            )
        _join(groups.setdefault((payer, period), []), one, other)
    return groups


def _join(groups: list[list[int]], one: int, other: int) -> None:
    touched = [group for group in groups if one in group or other in group]
    merged = sorted({one, other}.union(*touched))
    groups[:] = [*(group for group in groups if group not in touched), merged]


Age = tuple[float, ...]


def _ages(engine: Engine, deliveries: Sequence[Delivery], group: list[int], payer: str, period: str) -> dict[int, Age]:
    """Return a sort key by age for each delivery of a group."""
    executed = {number: deliveries[number].executed for number in group}
    if all(moment is not None for moment in executed.values()):
        return {number: (moment.timestamp(),) for number, moment in executed.items() if moment}
    rows = engine.rows(
        "SELECT d.delivery, MAX(g.has_invoice), MAX(g.hour_utc) FROM line_groups AS g "
        "JOIN deliveries AS d ON d.file_number = g.file_number "
        "WHERE g.payer_account_id = ? AND g.billing_period = ? GROUP BY d.delivery",
        [payer, period],
    )
    return {
        number: (has_invoice, last.replace(tzinfo=UTC).timestamp() if last else 0.0, deliveries[number].modified())
        for number, has_invoice, last in rows
        if number in group
    }


def _refuse_unclear(
    engine: Engine, deliveries: Sequence[Delivery], ages: dict[int, Age], newest: int, payer: str, period: str
) -> None:
    accounts: dict[int, set[str]] = {number: set() for number in ages}
    for number, account in engine.rows(
        "SELECT DISTINCT delivery, account_id FROM contested_keys WHERE payer_account_id = ? AND billing_period = ?",
        [payer, period],
    ):
        if number in accounts:
            accounts[number].add(account)
    for number in ages:
        if number == newest:
            continue
        both = f"{_place(deliveries[number])} and {_place(deliveries[newest])} hold the same billing period {period}"
        if ages[number] == ages[newest]:
            raise BadInputError(f"{both}, and it is not known which of them is newer; give only the newer one")
        missing = accounts[number] - accounts[newest]
        if missing:
            raise BadInputError(
                f"{both}, and the newer one, the latter, lacks account {min(missing)}: it does not replace the other; "
                "give one of them"
            )


def _note(deliveries: Sequence[Delivery], newest: int, older: list[int], payer: str, period: str) -> str:
    times = f"{len(older) + 1} times" if len(older) > 1 else "twice"
    others = f" and {len(older) - 1} others" if len(older) > 1 else ""
    whose = f" of payer {payer}" if payer else ""
    return (
        f"billing period {period}{whose} was delivered {times}; {_place(deliveries[newest])} is the newest and "
        f"replaces {_place(deliveries[older[0]])}{others}"
    )


def _place(delivery: Delivery) -> str:
    return str(delivery.paths[0] if len(delivery.paths) == 1 else delivery.paths[0].parent)
