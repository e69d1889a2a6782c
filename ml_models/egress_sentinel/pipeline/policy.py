"""The alert policy of runs on this machine: a file, and options over it.

    min_excess_usd = 10
    severity_usd_per_day = [100, 1000, 10000]

    [[overrides]]                       # the most specific one wins, floor by floor
    egress_class = "inter_az"
    min_excess_usd = 100

The names are those of Terraform's `alert_policy`, so that a file that was tried here can be copied there.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egress_alerts.policy import Policy, PolicyError
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_policy(path: Path | None, options: Mapping[str, float | None]) -> Policy:
    """Return the policy of a run. Values that are not given keep their defaults.

    Parameters
    ----------
    path : Path, optional
        A policy.toml.
    options : mapping
        Floors for all accounts and classes, by name. Those that are not None replace the file's.

    Raises
    ------
    UserError
        The file cannot be read, or a value is not accepted. The message has its name and the accepted values.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values = _read_toml(path, "the policy") if path else {}
    try:
        checked = Policy.from_values(values, egress_classes=egress_classes() if values else None)
    except PolicyError as error:
        raise UserError(f"{path}: {error}") from error
    try:
        floors = Policy.from_values(given)
    except PolicyError as error:
        raise UserError(f"the option --{str(error).replace('_', '-')}") from error
    return replace(checked, **{name: getattr(floors, name) for name in given})


def _read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    UserError
        It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what} from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not TOML: {error}") from error


def read_entries(path: Path, table: str, what: str) -> list[dict[str, Any]]:
    """Read a list of tables, [[TABLE]], from a TOML file, or a list of objects from a .json file.

    Raises
    ------
    UserError
        The file cannot be read, or holds something else.
    """
    if path.suffix == ".json":
        entries = _read_json(path, what)
    else:
        content = _read_toml(path, what)
        unknown = [name for name in content if name != table]
        if unknown:
            raise UserError(f"{path} has {unknown[0]!r}; accepted is [[{table}]], once for each entry")
        entries = content.get(table, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path} has no list of {what}; write each as [[{table}]], in JSON as a list of objects")
    return entries


def _read_json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what} from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def egress_classes() -> tuple[str, ...]:
    """Return the classes of a bill's lines. The import takes longer than most commands, so it happens only here."""
    from egress_features.usage_types import EGRESS_CLASSES

    return EGRESS_CLASSES
