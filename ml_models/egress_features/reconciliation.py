"""Whether every line and every cent of the exports is accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq

from egress_features.checks import in_dollars_sql
from egress_features.engines import DuckDBEngine
from egress_features.reading import KEPT, read_lines
from egress_features.sources.columns import is_parquet, quoted_name
from egress_features.sources.line_items import same_kind_sql
from egress_features.usage_types import UNCLASSIFIED
from egress_features.watermarks import make_watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.sources import Export

CENT = Decimal("0.01")


class Part(NamedTuple):
    """Lines and dollars of a file that went one way."""

    lines: int = 0
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class FileReconciliation:
    """The lines and dollars of a file, by their use.

    `input` is counted in the file itself, without the mapping of its columns. `traffic`, `fees` and `unclassified` are
    the monitored data transfer: bytes, fees on bytes that another line counts, and charged lines of an unknown kind.
    AWS never charges for `free` lines. `left_out` is charged data transfer that does not count, by reason: the line
    item type, the currency or the granularity. A newer delivery of the billing period replaces the `replaced` lines,
    data transfer or not.
    """

    path: Path
    kind: str
    billing_periods: tuple[str, ...]
    input: Part
    traffic: Part
    fees: Part
    unclassified: Part
    free: Part
    left_out: dict[str, Part]
    not_transfer: Part
    other_providers: Part
    replaced: Part

    @property
    def difference(self) -> Part:
        """Lines and dollars of the file that are nowhere, or, below zero, twice."""
        parts = [*(getattr(self, name) for name in PARTS), *self.left_out.values()]
        return Part(
            self.input.lines - sum(part.lines for part in parts),
            self.input.cost_usd - sum((part.cost_usd for part in parts), Decimal(0)),
        )

    @property
    def is_met(self) -> bool:
        """Whether every line is accounted for, and every dollar to the cent."""
        return self.difference.lines == 0 and abs(self.difference.cost_usd) < CENT / 2


# The ways of a line that have one part each.
PARTS = ("traffic", "fees", "unclassified", "free", "not_transfer", "other_providers", "replaced")


@dataclass(frozen=True)
class Reconciliation:
    """All files in order, the last complete hour (UTC) of each service with egress, and sentences for a person."""

    files: tuple[FileReconciliation, ...]
    complete_until_utc: dict[str, datetime]
    notes: tuple[str, ...]

    @property
    def is_met(self) -> bool:
        """Whether every file is accounted for."""
        return all(file.is_met for file in self.files)


def reconcile(exports: Sequence[Path]) -> Reconciliation:
    """Account for every line and every dollar of billing exports.

    Parameters
    ----------
    exports : sequence of Path
        Files as `find_exports` lists them.

    Raises
    ------
    BadInputError
        The exports cannot be read.
    """
    with DuckDBEngine() as engine:
        read, notes = read_lines(engine, sorted(exports))
        watermarks = make_watermarks(engine, KEPT)
        parts = _parts(engine)
        files = tuple(_file(engine, export, number, parts) for number, export in enumerate(read))
    return Reconciliation(files, watermarks, tuple(notes))


def _parts(engine: Engine) -> dict[tuple[int, str, str], Part]:
    """Return lines and dollars by file, part and reason. Only lines that are left out have reasons."""
    rows = engine.rows(
        f"""
        SELECT file_number, part, reason, SUM(lines), SUM(cost_usd) FROM (
          SELECT file_number, CASE WHEN left_out <> '' THEN 'left_out' WHEN egress_class = '{UNCLASSIFIED}'
            THEN 'unclassified' WHEN is_processing_fee THEN 'fees' ELSE 'traffic' END AS part, left_out AS reason,
            1 AS lines, cost_usd
          FROM egress_lines
          UNION ALL
          SELECT l.file_number, CASE WHEN l.provider <> 'AWS' THEN 'other_providers'
            WHEN NOT {in_dollars_sql("l")} THEN 'left_out' WHEN t.charge = 'free' THEN 'free'
            ELSE 'not_transfer' END, CASE WHEN l.provider = 'AWS' AND NOT {in_dollars_sql("l")}
            THEN 'lines in ' || l.currency ELSE '' END, l.lines, l.cost_usd
          FROM counted_groups AS l
          LEFT JOIN usage_types AS t ON {same_kind_sql("t", "l")} AND l.provider = 'AWS'
          WHERE l.provider <> 'AWS' OR NOT {in_dollars_sql("l")} OR t.charge IS NULL
            OR t.charge IN ('free', 'unknown')
          UNION ALL
          -- The lines of a kind that is not known are in its groups, too, with those that cost nothing.
          SELECT file_number, 'not_transfer', '', -1, -cost_usd FROM egress_lines WHERE charge = 'unknown'
          UNION ALL
          SELECT l.file_number, 'replaced', '', l.lines, l.cost_usd
          FROM line_groups AS l
          JOIN replaced AS r
            ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id
            AND r.billing_period = l.billing_period
        ) AS ways
        GROUP BY file_number, part, reason
        """
    )
    return {(file, part, reason): Part(int(lines), Decimal(usd)) for file, part, reason, lines, usd in rows}


def _file(engine: Engine, export: Export, number: int, parts: dict[tuple[int, str, str], Part]) -> FileReconciliation:
    periods = engine.rows(
        "SELECT DISTINCT billing_period FROM line_groups WHERE file_number = ? ORDER BY billing_period", [number]
    )
    own = {(part, reason): value for (file, part, reason), value in sorted(parts.items()) if file == number}
    return FileReconciliation(
        path=export.path,
        kind=export.kind,
        billing_periods=tuple(row[0] for row in periods),
        input=_input(engine, export),
        left_out={reason: value for (part, reason), value in own.items() if part == "left_out"},
        **{name: own.get((name, ""), Part()) for name in PARTS},
    )


def _input(engine: Engine, export: Export) -> Part:
    """Count the file's lines and add up its dollars without the mapping: parquet's row count, and the raw column."""
    amounts = [f"CAST(NULLIF(CAST({quoted_name(c)} AS VARCHAR), '') AS DECIMAL(38, 15))" for c in export.cost_columns]
    row: tuple[Any, ...] = engine.rows(
        f"SELECT COUNT(*), COALESCE(SUM(COALESCE({', '.join(amounts)})), 0) FROM {export.scan_sql}"
    )[0]
    return Part(pq.read_metadata(export.path).num_rows if is_parquet(export.path) else int(row[0]), Decimal(row[1]))
