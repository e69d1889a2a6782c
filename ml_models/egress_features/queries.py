"""The SQL files of this package."""

from importlib.resources import files

from egress_features.schema import LIST_USD_PER_GB, OTHER_LIST_USD_PER_GB


def read_sql(name: str, folder: str = "sql") -> str:
    """Return the text of `NAME.sql`, which lies in a folder of this package."""
    return files("egress_features").joinpath(folder, f"{name}.sql").read_text(encoding="utf-8")


def features_sql() -> str:
    """Return `features.sql` with the list prices in it."""
    return read_sql("features").replace("{list_usd_per_gb}", list_usd_per_gb_sql("s.egress_class"))


def list_usd_per_gb_sql(egress_class: str) -> str:
    """Return the expression of the list price of an egress class, which is an expression too."""
    cases = " ".join(f"WHEN '{name}' THEN {usd}" for name, usd in LIST_USD_PER_GB.items())
    return f"CASE {egress_class} {cases} ELSE {OTHER_LIST_USD_PER_GB} END"
