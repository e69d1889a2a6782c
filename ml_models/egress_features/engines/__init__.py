"""Runs the SQL with DuckDB on one machine, or with Spark on several. For Athena, `athena` renders it.

The SQL is written once, in DuckDB's dialect. `dialects` renders it for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from egress_features.engines.base import ArrayEngine, Engine
from egress_features.engines.duckdb import DuckDBEngine

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["ArrayEngine", "DuckDBEngine", "Engine", "EngineName", "open_engine"]

EngineName = Literal["duckdb", "spark"]


def open_engine(name: EngineName) -> AbstractContextManager[Engine]:
    """Return an engine by its name, as a context manager.

    Raises
    ------
    BadInputError
        The engine is Spark, and PySpark or Java is missing.
    """
    if name == "duckdb":
        return DuckDBEngine()
    from egress_features.engines.spark import SparkEngine

    return SparkEngine()
