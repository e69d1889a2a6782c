"""Daily exports, made of hourly ones."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

_START, _END = "line_item_usage_start_date", "line_item_usage_end_date"
_INTERVAL = "strftime({day}, '%Y-%m-%dT%H:%M:%SZ') || '/' || strftime({day} + INTERVAL 1 DAY, '%Y-%m-%dT%H:%M:%SZ')"


def daily_exports(exports: Sequence[Path], folder: Path) -> list[Path]:
    """Write each legacy CUR or CUR 2.0 in parquet with a line for each day in the place of those of its hours.

    A day's lines that agree in all but id, time and amounts become one.
    """
    files = []
    for number, export in enumerate(exports):
        file = folder / f"{number:02d}-{export.name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            lines = connection.read_parquet(str(export))
            amounts = [name for name, kind in zip(lines.columns, lines.types, strict=True) if kind == "DOUBLE"]
            connection.execute(f"COPY ({_by_day(lines.columns, amounts, export)}) TO '{file}' (FORMAT parquet)")
        files.append(file)
    return files


def _by_day(columns: Sequence[str], amounts: Sequence[str], export: Path) -> str:
    day = f"DATE_TRUNC('day', {_START})"
    values = {
        "identity_line_item_id": "MIN(identity_line_item_id)",
        "identity_time_interval": _INTERVAL.format(day=day),
        _START: f"CAST({day} AS TIMESTAMPTZ)",
        _END: f"CAST({day} + INTERVAL 1 DAY AS TIMESTAMPTZ)",
        **{name: f"SUM({name})" for name in amounts},
    }
    selected = ", ".join(f'{values.get(name, name)} AS "{name}"' for name in columns)
    kept = ", ".join(name for name in columns if name not in values)
    return f"SELECT {selected} FROM '{export}' GROUP BY {day}, {kept} ORDER BY {_START}, {_END}, 1"
