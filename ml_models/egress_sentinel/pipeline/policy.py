"""The alert policy of runs on this machine: a file, and options over it, as the variables that the Lambda reads.

    min_excess_usd = 10
    severity_usd_per_day = [100, 1000, 10000]

    [[overrides]]                       # the most specific one wins, floor by floor
    egress_class = "inter_az"
    min_excess_usd = 100

The names are those of Terraform's `alert_policy`, so that a file that was tried here can be copied there.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from egress_features.usage_types import EGRESS_CLASSES, PROCESSING_FEE_CLASSES
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FLOORS = ("min_excess_usd", "min_excess_gb", "min_excess_percent")
NUMBERS = (
    *FLOORS,
    "min_times_usual_excess",
    "max_p_value",
    "lasting_hours",
    "incident_gap_hours",
    "sibling_hours",
)
_LEAST = {"incident_gap_hours": 24, "lasting_hours": 1}
THRESHOLDS = "severity_usd_per_day"
OVERRIDES = "overrides"
CLASSES = (*EGRESS_CLASSES, *PROCESSING_FEE_CLASSES)
_ACCOUNT = re.compile(r"[0-9]{12}")


def policy_variables(path: Path | None, options: Mapping[str, float | None]) -> dict[str, str]:
    """Return the Lambda's policy variables; what nobody gives is left to its defaults.

    Parameters
    ----------
    path : Path, optional
        A policy.toml.
    options : mapping
        Floors that hold everywhere, by name; those that are not None come before the file's.

    Raises
    ------
    UserError
        A file that cannot be read, or a value that makes no sense: which one, and what is accepted.
    """
    policy = _read(path) if path else {}
    policy |= {name: value for name, value in options.items() if value is not None}
    variables = {name.upper(): repr(float(policy[name])) for name in NUMBERS if name in policy}
    if THRESHOLDS in policy:
        variables[THRESHOLDS.upper()] = ",".join(repr(float(value)) for value in policy[THRESHOLDS])
    if OVERRIDES in policy:
        variables["POLICY_OVERRIDES"] = json.dumps(policy[OVERRIDES])
    return variables


def _read(path: Path) -> dict[str, Any]:
    policy = read_toml(path, "the policy")
    accepted = (*NUMBERS, THRESHOLDS, OVERRIDES)
    for name, value in policy.items():
        if name not in accepted:
            raise UserError(f"{path} has {name!r}; accepted are {', '.join(accepted)}")
        if name in NUMBERS:
            check_number(f"{path}: {name}", value, _LEAST.get(name, 0))
    _check_thresholds(path, policy.get(THRESHOLDS, [50, 500, 5000]))
    _check_overrides(path, policy.get(OVERRIDES, []))
    return policy


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    UserError
        It cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what} from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no TOML: {error}") from error


def check_scope(where: str, account: Any, egress_class: Any) -> None:
    """Check an account and an egress class that a person wrote; None is any.

    Raises
    ------
    UserError
    """
    if account is not None and not (isinstance(account, str) and _ACCOUNT.fullmatch(account)):
        raise UserError(f'{where}: account is {account!r}; accepted are 12 digits in quotes, such as "111122223333"')
    if egress_class is not None and egress_class not in CLASSES:
        raise UserError(f"{where}: egress_class is {egress_class!r}; accepted are {', '.join(CLASSES)}")


def check_number(where: str, value: Any, least: float = 0) -> None:
    """Check a number that a person wrote.

    Raises
    ------
    UserError
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise UserError(f"{where} is {value!r}; a number of at least {least:g} is accepted")


def _check_thresholds(path: Path, value: Any) -> None:
    numbers = value if isinstance(value, list) and len(value) == 3 else []
    is_rising = (
        all(isinstance(v, int | float) for v in numbers) and numbers and 0 < numbers[0] < numbers[1] < numbers[2]
    )
    if not is_rising:
        raise UserError(
            f"{path}: {THRESHOLDS} is {value!r}; accepted are three rising dollars a day for medium, high and "
            "critical, such as [50, 500, 5000]"
        )


def _check_overrides(path: Path, overrides: Any) -> None:
    if not isinstance(overrides, list) or not all(isinstance(entry, dict) for entry in overrides):
        raise UserError(f"{path}: overrides are tables; write each as [[overrides]]")
    seen: set[tuple[str | None, str | None]] = set()
    for number, entry in enumerate(overrides, 1):
        where = f"{path}: override {number}"
        accepted = ("account", "egress_class", *FLOORS)
        unknown = [name for name in entry if name not in accepted]
        if unknown:
            raise UserError(f"{where} has {unknown[0]!r}; accepted are {', '.join(accepted)}")
        scope = (entry.get("account"), entry.get("egress_class"))
        check_scope(where, *scope)
        given = [name for name in FLOORS if name in entry]
        if scope == (None, None) or not given:
            raise UserError(f"{where} needs account or egress_class, and one of {', '.join(FLOORS)}")
        for name in given:
            check_number(f"{where}: {name}", entry[name])
        if scope in seen:
            raise UserError(f"{where} is about the same account and egress_class as an earlier one; write one of them")
        seen.add(scope)
