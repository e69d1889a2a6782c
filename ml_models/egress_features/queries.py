"""The SQL files of this package."""

from importlib.resources import files


def read_sql(name: str, folder: str = "sql") -> str:
    """Return the text of `NAME.sql`, which lies in a folder of this package."""
    return files("egress_features").joinpath(folder, f"{name}.sql").read_text(encoding="utf-8")
