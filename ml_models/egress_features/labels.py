"""The names of accounts and the tags of resources, from the lines of a bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egress_features.queries import read_sql
from egress_features.sources.labels import tags_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egress_features.engines import Engine
    from egress_features.sources import Export

_SHOWN = 60


def make_labels(
    engine: Engine, exports: Sequence[Export], lines: str, wanted: Sequence[str], *, has_resources: bool
) -> list[str]:
    """Make the tables account_names and resource_tags, and return sentences for the user.

    Parameters
    ----------
    engine : Engine
        With the view line_items.
    exports : sequence of Export
        By `file_number`.
    lines : str
        The FROM and WHERE of the lines that count, which are called l.
    wanted : sequence of str
        Names of the tags to keep.
    has_resources : bool
        Whether series are of resources. Otherwise they are of operations.
    """
    engine.run(
        "CREATE TABLE label_lines (account_id VARCHAR, service VARCHAR, resource_id VARCHAR, hour_utc TIMESTAMP, "
        "account_name VARCHAR, tags VARCHAR, has_resource BOOLEAN)"
    )
    with_labels = [str(number) for number, export in enumerate(exports) if export.has_labels]
    notes: list[str] = []
    if with_labels:
        keys = f"l.file_number, l.account_id, l.service, {'l.resource_id' if has_resources else 'l.operation'}"
        found = engine.rows(
            f"SELECT {keys}, l.account_name, l.tags, MAX(DATE_TRUNC('hour', l.start_utc)), COUNT(*) {lines} "
            f"AND l.file_number IN ({', '.join(with_labels)}) AND l.start_utc IS NOT NULL "
            f"GROUP BY {keys}, l.account_name, l.tags"
        )
        rows, notes = _read(found, exports, wanted, has_resources=has_resources)
        if rows:
            engine.insert("label_lines", rows)
    engine.run(read_sql("labels"))
    return notes


def _read(
    found: Sequence[tuple[Any, ...]], exports: Sequence[Export], wanted: Sequence[str], *, has_resources: bool
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Return the rows of label_lines, and a sentence on texts that cannot be read."""
    known: dict[tuple[int, tuple[str | None, ...]], tuple[str, str]] = {}
    rows: list[tuple[Any, ...]] = []
    broken, example = 0, ""
    for number, account_id, service, resource_id, name, values, hour, count in found:
        export, given = exports[number], tuple(values or ())
        if (number, given) not in known:
            known[number, given] = tags_text(zip(export.label_columns, given, strict=False), wanted)
        tags, fault = known[number, given]
        if fault:
            broken += int(count)
            example = example or f"{fault[:_SHOWN]!r} in {export.path}"
        rows.append((account_id, service, resource_id, hour, name, tags, has_resources and resource_id != ""))
    if not broken:
        return rows, []
    lines = "1 line" if broken == 1 else f"{broken:,} lines"
    return rows, [f"tags of {lines} are left out: they are no JSON object, such as {example}"]
