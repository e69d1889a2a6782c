"""Parses the Isolation Forest's hyperparameters in all forms that SageMaker passes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from anomaly_detection.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# A tuning job adds this hyperparameter.
TUNING_OBJECTIVE = "_tuning_objective_metric"
LARGEST_SEED = 2**32 - 1
# The value of max_samples="auto" in scikit-learn.
AUTO_SAMPLES = 256
# With this many rows, the sampling error of a share of 1 % is below 0.05 percentage points in over 95 % of the cases.
SAMPLE_ROWS = 200_000


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The hyperparameters, with the names of scikit-learn's `IsolationForest`.

    Parameters
    ----------
    n_estimators : int
        Number of trees, at least 1.
    contamination : float or "auto"
        Share of the training rows below the threshold, above 0 and up to 0.5.
    max_samples : int, float or "auto"
        Rows per tree: a count, or a share above 0 and up to 1. "auto" is 256. Limited to the number of rows.
    max_features : int or float
        Features per tree: a count, or a share above 0 and up to 1.
    random_state : int
        The seed, 0 to 2**32 - 1.
    exact : bool
        True fits on every row, as scikit-learn does. By default, at most `SAMPLE_ROWS` rows are used, drawn uniformly
        at random.
    """

    n_estimators: int = 200
    contamination: float | Literal["auto"] = 0.01
    max_samples: int | float | Literal["auto"] = 256
    max_features: int | float = 1.0
    random_state: int = 42
    exact: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return name to value, for the manifest."""
        return asdict(self)

    def kept_rows(self, rows: int) -> int:
        """Return how many of `rows` rows are used: all, or a sample that is at least as large as the rows per tree."""
        return rows if self.exact else min(rows, max(SAMPLE_ROWS, self.rows_per_tree(rows)))

    def rows_per_tree(self, rows: int) -> int:
        """Return `max_samples` as a count."""
        if isinstance(self.max_samples, float):
            return max(1, int(self.max_samples * rows))
        return min(self.max_samples if isinstance(self.max_samples, int) else AUTO_SAMPLES, rows)


NAMES = tuple(field.name for field in fields(Hyperparameters))


def parse_hyperparameters(given: Mapping[str, object]) -> Hyperparameters:
    """Read hyperparameters.

    Parameters
    ----------
    given : mapping of str to object
        Name to value, plain or JSON-encoded (``"100"``, ``100``, ``'"auto"'``). Those that SageMaker adds, with names
        that start with ``sagemaker_``, are ignored.

    Raises
    ------
    InputError
        A name is unknown, or a value is not allowed.
    """
    ours = {name: value for name, value in given.items() if not is_sagemakers_own(name)}
    unknown = sorted(set(ours) - set(NAMES))
    if unknown:
        raise InputError(f"unknown hyperparameter {unknown[0]!r}; accepted are {', '.join(NAMES)}")
    return Hyperparameters(**{name: _PARSERS[name](name, _decoded(value)) for name, value in ours.items()})


def parse_holdout_share(given: object) -> float:
    """Parse the share of the time range for the holdout, in the forms of a hyperparameter.

    Raises
    ------
    InputError
        The value is not a share from 0 to 0.5.
    """
    value = _decoded(given)
    share = 0.0 if value == 0 and not isinstance(value, bool) else _share(value, 0.5)
    return _or_refuse("holdout_share", value, share, "a share from 0 (none) to 0.5")


def is_sagemakers_own(name: str) -> bool:
    """Return whether SageMaker added a hyperparameter."""
    return name.startswith("sagemaker_") or name == TUNING_OBJECTIVE


def _decoded(value: object) -> object:
    while isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return value


def _whole_number(value: object, low: int, high: int | None = None) -> int | None:
    # A tuning job may write whole numbers as 100.0.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or whole < low or (high is not None and whole > high):
        return None
    return whole


def _share(value: object, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
        return None
    return float(value)


def _count(name: str, value: object) -> int:
    return _or_refuse(name, value, _whole_number(value, 1), "a whole number from 1")


def _seed(name: str, value: object) -> int:
    return _or_refuse(name, value, _whole_number(value, 0, LARGEST_SEED), f"a whole number from 0 to {LARGEST_SEED}")


def _contamination(name: str, value: object) -> float | str:
    if value == "auto":
        return "auto"
    return _or_refuse(name, value, _share(value, 0.5), 'a share above 0 and up to 0.5, or "auto"')


def _max_samples(name: str, value: object) -> int | float | str:
    if value == "auto":
        return "auto"
    return _or_refuse(
        name, value, _count_or_share(value), 'a whole number from 1, a share above 0 and up to 1.0, or "auto"'
    )


def _max_features(name: str, value: object) -> int | float:
    return _or_refuse(name, value, _count_or_share(value), "a whole number from 1, or a share above 0 and up to 1.0")


def _flag(name: str, value: object) -> bool:
    # SageMaker's SDKs write True or true. --exact without a value is true.
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    return _or_refuse(name, value, found, "true or false")


def _count_or_share(value: object) -> int | float | None:
    return _share(value, 1.0) if isinstance(value, float) and value <= 1 else _whole_number(value, 1)


def _or_refuse(name: str, value: object, parsed: T | None, accepted: str) -> T:
    if parsed is None:
        raise InputError(f"hyperparameter {name} is {json.dumps(value)}, but must be {accepted}")
    return parsed


_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "n_estimators": _count,
    "contamination": _contamination,
    "max_samples": _max_samples,
    "max_features": _max_features,
    "random_state": _seed,
    "exact": _flag,
}
