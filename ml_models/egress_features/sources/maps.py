"""Map columns as exports really encode them."""

from __future__ import annotations

from typing import Literal

MapEncoding = Literal["map", "pairs", "json"]


def entry_sql(column: str, encoding: MapEncoding, key: str) -> str:
    """Return the SQL of one entry of a map column, or NULL if the map is null, broken or has no such key.

    Parameters
    ----------
    column : str
        The quoted column.
    encoding : {"map", "pairs", "json"}
        A parquet map of texts, a parquet list of (key, value) structures, or a JSON object as text (CSV exports, and
        parquet that went through other tools).
    key : str
        Letters, digits and underscores.
    """
    if encoding == "map":
        return f"{column}['{key}']"
    if encoding == "pairs":
        return f"MAP_FROM_ENTRIES({column})['{key}']"
    return f"CASE WHEN JSON_VALID({column}) THEN JSON_EXTRACT_STRING({column}, '$.{key}') END"
