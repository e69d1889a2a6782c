"""Whether every line and every cent of the exports is accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from egress_features.engines import DuckDBEngine
from egress_features.reading import KEPT, read_lines
from egress_features.sources.columns import is_parquet, quoted_name
from egress_features.watermarks import make_watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.sources import Export

CENT = Decimal("0.01")


@dataclass(frozen=True)
class FileReconciliation:
    """The lines and dollars of a file, and where they went.

    `input_lines` and `input_usd` are counted in the file itself, past the mapping of its columns. `excluded` is the
    number and the dollars of the data-transfer lines that are left out, by line item type; `replaced` those of billing
    periods that a newer delivery replaces, egress or not.
    """

    path: Path
    kind: str
    billing_periods: tuple[str, ...]
    input_lines: int
    input_usd: Decimal
    egress: tuple[int, Decimal]
    excluded: dict[str, tuple[int, Decimal]]
    not_egress: tuple[int, Decimal]
    other_providers: tuple[int, Decimal]
    replaced: tuple[int, Decimal]

    @property
    def difference_lines(self) -> int:
        """Lines of the file that are nowhere, or, below zero, twice."""
        return self.input_lines - sum(lines for lines, _ in self._parts())

    @property
    def difference_usd(self) -> Decimal:
        """Dollars of the file that are nowhere, or somewhere too much."""
        return self.input_usd - sum((usd for _, usd in self._parts()), Decimal(0))

    @property
    def is_met(self) -> bool:
        """Whether every line is accounted for, and every dollar to the cent."""
        return self.difference_lines == 0 and abs(self.difference_usd) < CENT / 2

    def _parts(self) -> list[tuple[int, Decimal]]:
        return [self.egress, *self.excluded.values(), self.not_egress, self.other_providers, self.replaced]


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
        What the exports can be refused for when they are read.
    """
    with DuckDBEngine() as engine:
        read, notes = read_lines(engine, sorted(exports))
        watermarks = make_watermarks(engine, KEPT)
        parts = _parts(engine)
        files = tuple(_file(engine, export, number, parts) for number, export in enumerate(read))
    return Reconciliation(files, watermarks, tuple(notes))


def _parts(engine: Engine) -> dict[tuple[int, str, str], tuple[int, Decimal]]:
    """Return lines and dollars by file, part and line item type; the types of excluded lines alone."""
    rows = engine.rows(
        f"""
        SELECT file_number, CASE WHEN line_item_type IN ({KEPT}) THEN 'egress' ELSE 'excluded' END AS part,
          CASE WHEN line_item_type IN ({KEPT}) THEN '' ELSE line_item_type END AS name, COUNT(*), SUM(cost_usd)
        FROM egress_lines GROUP BY 1, 2, 3
        UNION ALL
        SELECT g.file_number, CASE WHEN g.provider = 'AWS' THEN 'not_egress' ELSE 'other_providers' END, '',
          SUM(g.lines), SUM(g.cost_usd)
        FROM counted_groups AS g
        LEFT JOIN usage_types AS t
          ON t.usage_type = g.usage_type AND t.service = g.service AND t.operation = g.operation
          AND t.charge_description = g.charge_description AND t.region_id = g.region_id AND g.provider = 'AWS'
        WHERE t.egress_class IS NULL
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT g.file_number, 'replaced', '', SUM(g.lines), SUM(g.cost_usd)
        FROM line_groups AS g
        JOIN replaced AS r
          ON r.file_number = g.file_number AND r.payer_account_id = g.payer_account_id
          AND r.billing_period = g.billing_period
        GROUP BY 1, 2, 3
        """
    )
    return {(file, part, name): (int(lines), Decimal(usd)) for file, part, name, lines, usd in rows}


def _file(
    engine: Engine, export: Export, number: int, parts: dict[tuple[int, str, str], tuple[int, Decimal]]
) -> FileReconciliation:
    lines, usd = _input(engine, export)
    periods = engine.rows(
        "SELECT DISTINCT billing_period FROM line_groups WHERE file_number = ? ORDER BY billing_period", [number]
    )

    def part(name: str) -> tuple[int, Decimal]:
        return parts.get((number, name, ""), (0, Decimal(0)))

    return FileReconciliation(
        path=export.path,
        kind=export.kind,
        billing_periods=tuple(row[0] for row in periods),
        input_lines=lines,
        input_usd=usd,
        egress=part("egress"),
        excluded={
            name: value for (file, kind, name), value in sorted(parts.items()) if (file, kind) == (number, "excluded")
        },
        not_egress=part("not_egress"),
        other_providers=part("other_providers"),
        replaced=part("replaced"),
    )


def _input(engine: Engine, export: Export) -> tuple[int, Decimal]:
    """Count the file's lines and add up its dollars past the mapping: parquet's own count, the column as it stands."""
    amounts = [f"CAST(NULLIF(CAST({quoted_name(c)} AS VARCHAR), '') AS DECIMAL(38, 15))" for c in export.cost_columns]
    row: tuple[Any, ...] = engine.rows(
        f"SELECT COUNT(*), COALESCE(SUM(COALESCE({', '.join(amounts)})), 0) FROM {export.scan_sql}"
    )[0]
    return pq.read_metadata(export.path).num_rows if is_parquet(export.path) else int(row[0]), Decimal(row[1])
