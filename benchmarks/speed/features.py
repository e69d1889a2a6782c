"""Features: `python -m benchmarks.speed.features [--quick] [--lines N] [--rival-lines N] [--profile] [--floor]`.

The rival computes the same features in pandas, as a competent engineer writes them (pandas_features.py), on the largest
part of the bill that its memory holds; its seconds are extrapolated by lines beyond that. Both are separate processes,
and give the same features: every row and every column of the rival's part is compared. The rows of levels are ours
alone. Without `--quick`, 50 million line items of six months (3.3 GB of files in the temporary folder, and what DuckDB
spills). `--floor` prints how much of it is decoding the columns that are needed and writing the rows: no program that
makes the file takes less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.speed.bill import write_bill
from benchmarks.speed.common import Finished, measured_process, report
from egress_alerts.series import SUMMED
from egress_features import KEYS, build_features
from egress_features.engines import DuckDBEngine
from egress_features.sources.cur import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK_LINES, LINES, RIVAL_LINES = 1_000_000, 50_000_000, 50_000_000
CORES = 2
TARGET, MEMORY_TARGET_BYTES = 10, 4e9
# A feature is a float32 of a logarithm, dollars and GB are sums of up to a thousand hours.
TOLERANCE = 1e-6
OURS = """
import sys
from pathlib import Path
from egress_features import build_features, find_exports
from egress_features.engines import DuckDBEngine
with DuckDBEngine(memory_limit=sys.argv[3], threads=int(sys.argv[4])) as engine:
    done = build_features(find_exports([sys.argv[1]]), Path(sys.argv[2]), engine=engine)
print(done.input_lines, done.egress_lines, done.series, done.rows)
"""
PANDAS = """
import sys
from benchmarks.speed.pandas_features import main
main(*sys.argv[1:])
"""


# Line item ids are read only where lines agree in everything else.
UNREAD = {"identity_line_item_id", "identity_time_interval"}
TEXTS = [*KEYS[1:], "usage_type", "operation"]


class ProfiledEngine(DuckDBEngine):
    """On one core, and prints each statement's CPU seconds."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.seconds = 0.0

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        started = time.process_time()
        done = super()._execute(sql, parameters)
        spent = time.process_time() - started
        self.seconds += spent
        print(f"{spent:8.2f} s  {' '.join(sql.split())[:90]}")
        return done


def profile(folder: Path, lines: int) -> None:
    """Print where the time goes; a statement without a result is executed at once, a query's rows are not counted."""
    exports = write_bill(folder / "bill", lines)
    with ProfiledEngine() as engine:
        started = time.process_time()
        build_features(exports, folder / "features.parquet", engine=engine)
        rest = time.process_time() - started - engine.seconds
    print(f"{rest:8.2f} s  the rest: fetching rows, and the feature rows by numpy")


def floor(bill: Path, rows: Path) -> None:
    """Print the seconds of decoding the columns that are needed, on one core, and of writing the rows."""
    names = set(pq.read_schema(next(bill.glob("*.parquet"))).names)
    columns = {next((name for name in column.names if name in names), "") for column in COLUMNS} - UNREAD - {""}
    largest = ", ".join(f"MAX({name})" for name in sorted(columns))
    started = time.process_time()
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"SELECT {largest} FROM read_parquet('{bill}/*.parquet')").fetchall()
    print(f"floor: decoding {len(columns)} columns {time.process_time() - started:.1f} s", end=", ")
    file = pq.ParquetFile(rows, read_dictionary=TEXTS)
    writing = 0.0
    copy = rows.with_suffix(".copy")
    with pq.ParquetWriter(copy, file.schema_arrow, compression="zstd", use_dictionary=TEXTS) as out:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            started = time.process_time()
            out.write_table(table)
            writing += time.process_time() - started
    print(f"writing {file.metadata.num_rows:,} rows {writing:.1f} s")


def timed(code: str, arguments: list[str]) -> tuple[float, Finished]:
    """Run a process and return the seconds of the clock, and the process."""
    started = time.perf_counter()
    done = measured_process(code, arguments)
    return time.perf_counter() - started, done


def check_same(ours: Path, theirs: Path) -> None:
    """Compare every row and every column that the rival has; batch by batch, since neither fits into memory twice.

    Raises
    ------
    ValueError
        They differ.
    """
    expected = pq.ParquetFile(theirs)
    is_leaf = pc.not_equal(pq.read_table(ours, columns=["resource_id"])["resource_id"], SUMMED)
    rows = pc.sum(is_leaf).as_py()
    if rows != expected.metadata.num_rows:
        raise ValueError(f"{rows:,} rows, and the rival has {expected.metadata.num_rows:,}")
    # A column at a time: the files' row groups differ.
    for name in expected.schema_arrow.names:
        one = pq.read_table(ours, columns=[name])[name].filter(is_leaf)
        other = pq.read_table(theirs, columns=[name])[name]
        if pa.types.is_floating(one.type):
            same = np.allclose(one.to_numpy(), other.to_numpy(), rtol=TOLERANCE, atol=TOLERANCE)
        else:
            kind = pa.string() if pa.types.is_dictionary(other.type) else one.type
            same = one.equals(other.cast(kind))
        if not same:
            raise ValueError(f"the two gave a different {name}")


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million line items: about a minute")
    parser.add_argument("--lines", type=int, help="line items for ours, 50 million by default")
    parser.add_argument("--rival-lines", type=int, help="line items for pandas, as many by default")
    parser.add_argument("--bill", type=Path, help="a folder to keep the bill in; one that is there is taken as it is")
    parser.add_argument("--memory-limit", default="3GB", help="what DuckDB may take; beyond it, it spills")
    parser.add_argument("--profile", action="store_true", help="print each statement's CPU seconds instead")
    parser.add_argument("--floor", action="store_true", help="ours, and what reading and writing alone take, instead")
    options = parser.parse_args()
    lines = options.lines or (QUICK_LINES if options.quick else LINES)
    if options.profile:
        with tempfile.TemporaryDirectory() as temporary:
            profile(Path(temporary), lines)
        return 0
    rival_lines = min(options.rival_lines or RIVAL_LINES, lines)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bill = options.bill or folder / "bill"
        if not bill.exists():
            write_bill(bill, lines)
        part = bill
        if rival_lines < lines:
            part = folder / "part"
            write_bill(part, rival_lines)
        limits = [options.memory_limit, str(CORES)]
        our_clock, ours = timed(OURS, [str(bill), str(folder / "ours.parquet"), *limits])
        count, egress, series, rows = map(int, ours.output.split())
        size = sum(path.stat().st_size for path in bill.glob("*.parquet"))
        print(f"{count:,} line items in {size / 1e9:.2f} GB of parquet, {egress:,} of egress; ", end="")
        print(f"{series:,} series, {rows:,} rows of features", flush=True)
        for name, value in (("CPU", ours.cpu_seconds), ("clock", our_clock)):
            print(
                f"Egress Sentinel, {name}: {value:.1f} s, {value / count * 1e6:.2f} s a million line items", flush=True
            )
        if options.floor:
            floor(bill, folder / "ours.parquet")
            return 0
        clock, theirs = timed(PANDAS, [str(part), str(folder / "theirs.parquet")])
        if part != bill:
            measured_process(OURS, [str(part), str(folder / "ours.parquet"), *limits])
        check_same(folder / "ours.parquet", folder / "theirs.parquet")
        rival_count = sum(pq.read_metadata(path).num_rows for path in part.glob("*.parquet"))
    scale = count / rival_count
    how = "" if scale == 1 else f", pandas extrapolated from {rival_count:,}"
    report(f"{count:,} line items, CPU{how}", theirs.cpu_seconds * scale, ours.cpu_seconds, TARGET, rival_name="pandas")
    report(f"{count:,} line items, clock of {CORES} cores{how}", clock * scale, our_clock, TARGET, rival_name="pandas")
    print(
        f"peak memory: pandas {theirs.peak_bytes / 1e9:.2f} GB for {rival_count:,} line items, Egress Sentinel "
        f"{ours.peak_bytes / 1e9:.2f} GB for {count:,} (target below {MEMORY_TARGET_BYTES / 1e9:.0f} GB)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
