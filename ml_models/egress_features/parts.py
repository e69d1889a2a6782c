"""The feature query for some accounts after the others, so that a bill of any number of accounts fits into memory.

No feature looks beyond its account, and an engine that keeps the rows of a window in memory needs up to one and a half
GB for a million of them. Parts are joined by a sort, which spills to disk.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from egress_features.engines import Engine

# The order in which the feature query itself gives its rows.
_ORDER = "hour_utc, account_id, region, service, egress_class, resource_id"


def write_features(
    engine: Engine, query: str, path: Path, metadata: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    """Write the rows of the feature query, in its order, with metadata for the file.

    Parameters
    ----------
    engine : Engine
        With the tables `series`, `hours` and `series_hours`; `rows_at_once` says how large a part may be. An account is
        never split.
    query : str
        The feature query.
    path : Path
        The parquet file; parts are written beside it, and removed.
    metadata : mapping of str to str
        For the file.
    progress : callable
        Is told each part, where there is more than one.
    """
    parts = _parts(_rows_of_accounts(engine), engine.rows_at_once)
    if len(parts) <= 1:
        engine.write_parquet(query, path, metadata)
        return
    with ExitStack() as stack:
        files = [path.with_name(f"{path.name}.part-{number}") for number in range(len(parts))]
        for file in files:
            stack.callback(file.unlink, missing_ok=True)
        engine.run("ALTER TABLE series RENAME TO every_series")
        for number, (accounts, file) in enumerate(zip(parts, files, strict=True), start=1):
            progress(f"computing features, part {number} of {len(parts)}")
            chosen = ", ".join(map(str, accounts))
            engine.run(f"CREATE VIEW series AS SELECT * FROM every_series WHERE account_number IN ({chosen})")  # noqa: S608 - numbers
            engine.write_parquet(query, file, {})
            engine.run("DROP VIEW series")
        engine.run("ALTER TABLE every_series RENAME TO series")
        progress("joining the parts")
        names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        engine.write_parquet(f"SELECT * FROM read_parquet([{names}]) ORDER BY {_ORDER}", path, metadata)  # noqa: S608 - our files


def _rows_of_accounts(engine: Engine) -> list[tuple[int, int]]:
    """Return the accounts' numbers, each with the rows that it will have."""
    return [
        (int(account), int(rows))
        for account, rows in engine.rows(
            "SELECT s.account_number, COUNT(*) FROM series AS s JOIN hours AS h "
            "ON h.hour_utc >= s.first_hour_utc AND h.hour_utc <= s.last_hour_utc GROUP BY s.account_number ORDER BY 1"
        )
    ]


def _parts(accounts: Iterable[tuple[int, int]], rows_at_once: int | None) -> list[list[int]]:
    """Put accounts together, in their order, as long as their rows stay within the limit."""
    parts: list[list[int]] = []
    room = 0
    for account, rows in accounts:
        if not parts or (rows_at_once is not None and rows > room):
            parts.append([])
            room = rows_at_once or 0
        parts[-1].append(account)
        room -= rows
    return parts
