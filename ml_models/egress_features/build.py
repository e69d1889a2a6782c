"""Builds processed_features.parquet from billing exports."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from egress_features.checks import check_duplicates, check_history, in_dollars_sql
from egress_features.engines import DuckDBEngine
from egress_features.errors import BadInputError
from egress_features.feature_file import write_features
from egress_features.flow_logs.estimate import estimate_hours
from egress_features.output import atomic_write
from egress_features.queries import read_sql
from egress_features.reading import KEPT, has_resources, read_lines
from egress_features.schema import schema_hash, schema_json
from egress_features.sources.faults import naming_faults
from egress_features.sources.labels import WANTED_TAGS
from egress_features.watermarks import late_services, make_watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.flow_logs.options import FlowLogs

MIN_HISTORY_DAYS = 8


@dataclass(frozen=True)
class FeaturesSummary:
    """Counts of the input and of the output.

    `left_out` maps each reason to the number of egress lines and their dollars. `notes` are sentences for the user.
    `series` counts the series of resources, `levels` the sums over them, and `rows` the rows of both.
    `start_hour_utc` and `end_hour_utc` are the first and the last hour of the data, both inclusive.
    `complete_until_utc` is the last hour for which the lines of a service count as complete. `is_daily` is true of a
    bill with daily lines: each hour then has a 24th of its day. `bill_usd` is the cost of all usage in the files, data
    transfer or not.
    """

    input_lines: int
    egress_lines: int
    series: int
    rows: int
    start_hour_utc: datetime
    end_hour_utc: datetime
    accounts: list[str]
    is_daily: bool = False
    complete_until_utc: dict[str, datetime] = field(default_factory=dict)
    left_out: dict[str, tuple[int, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    levels: int = 0
    bill_usd: float = 0.0


def build_features(
    exports: Sequence[Path],
    output: Path,
    *,
    flow_logs: FlowLogs | None = None,
    engine: Engine | None = None,
    tags: Sequence[str] = WANTED_TAGS,
    progress: Callable[[str], None] = lambda _step: None,
) -> FeaturesSummary:
    """Turn billing exports into one row for each series and hour, and write the rows to `output` atomically.

    Levels have rows as well, with "*" in the keys that they sum over (`sql/series_hours.sql`).

    Parameters
    ----------
    exports : sequence of Path
        Files as `find_exports` lists them, in any order. Empty if only flow logs are given.
    output : Path
        The parquet file to write. A series has a row for every hour from its first line to the last hour for which
        the lines of its service are complete, or to its own last line if that is later (`is_complete` is false then).
        Hours without a line are zeros. `schema` describes the columns; its JSON and hash are in the file's metadata.
    flow_logs : FlowLogs, optional
        Fill the hours that the bill has not reached yet, estimated at list prices. `is_estimated` marks them.
    engine : Engine, optional
        A `DuckDBEngine` by default.
    tags : sequence of str
        Names of the resource tags to keep, in any case and with any separators. Cost categories are all kept.
    progress : callable
        Called with the name of each step.

    Raises
    ------
    BadInputError
        The input cannot be used. `output` is unchanged then.
    """
    with ExitStack() as stack:
        runner = engine or stack.enter_context(DuckDBEngine())
        beside = stack.enter_context(atomic_write(output))
        progress("reading the exports")
        opened, notes = read_lines(runner, sorted(exports), tags)
        stack.enter_context(naming_faults(runner, opened))
        paths = [export.path for export in opened]
        if _count(runner, "kept_lines") == 0 and (paths or flow_logs is None):
            raise BadInputError(
                f"{_named(paths)} has no data-transfer lines (such as DataTransfer-Out-Bytes): nothing to learn from"
            )
        check_duplicates(runner, paths)
        is_daily = bool(runner.rows("SELECT is_daily FROM granularity")[0][0])
        if is_daily and flow_logs is not None:
            raise BadInputError(
                f"flow logs fill the hours of an hourly bill, and this one is daily ({paths[0]}): create the export "
                "with hourly granularity, or leave --flow-logs out"
            )
        complete = make_watermarks(runner, KEPT)
        notes += late_services(runner, complete)
        records = 0
        if flow_logs is not None:
            if paths and not has_resources(runner):
                raise BadInputError(
                    "flow logs continue the series of resources, and the bill has no resource ids: create the export "
                    "with resource ids, or leave --flow-logs out"
                )
            progress("reading the flow logs")
            records, sentences = estimate_hours(runner, flow_logs)
            notes += sentences
        start, end = check_history(runner, MIN_HISTORY_DAYS, is_daily=is_daily)
        progress("adding up series and hours")
        runner.run(read_sql("hours"))
        runner.run(read_sql("series_hours"))
        progress("computing features")
        metadata = {"egress_sentinel.schema": schema_json(), "egress_sentinel.schema_hash": schema_hash()}
        write_features(runner, beside, metadata)
        return FeaturesSummary(
            input_lines=int(runner.rows("SELECT COALESCE(SUM(lines), 0) FROM line_groups")[0][0]) + records,
            egress_lines=_count(runner, "kept_lines"),
            series=_count(runner, "series WHERE level_id = 0"),
            levels=_count(runner, "series WHERE level_id > 0"),
            rows=pq.read_metadata(beside).num_rows,
            start_hour_utc=start,
            end_hour_utc=end,
            is_daily=is_daily,
            accounts=[
                row[0] for row in runner.rows("SELECT DISTINCT account_id FROM series WHERE level_id = 0 ORDER BY 1")
            ],
            complete_until_utc=complete,
            left_out=_left_out(runner),
            notes=notes,
            bill_usd=_bill_usd(runner),
        )


def _count(runner: Engine, table: str) -> int:
    return int(runner.rows(f"SELECT COUNT(*) FROM {table}")[0][0])


def _bill_usd(runner: Engine) -> float:
    usage = f"line_item_type IN ({KEPT}) AND provider = 'AWS' AND {in_dollars_sql('counted_groups')}"
    return float(runner.rows(f"SELECT CAST(SUM(cost_usd) AS DOUBLE) FROM counted_groups WHERE {usage}")[0][0] or 0.0)


def _left_out(runner: Engine) -> dict[str, tuple[int, float]]:
    rows = runner.rows(
        "SELECT left_out, COUNT(*), CAST(SUM(cost_usd) AS DOUBLE) FROM egress_lines WHERE left_out <> '' "
        "GROUP BY left_out ORDER BY left_out"
    )
    return {str(why): (int(count), float(cost)) for why, count, cost in rows}


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"none of the {len(paths)} exports, {paths[0]} first,"
