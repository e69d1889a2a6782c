"""The Isolation Forest's hyperparameters, in every spelling in which SageMaker hands them over."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from anomaly_detection.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# A tuning job adds this one to those of the user.
TUNING_OBJECTIVE = "_tuning_objective_metric"
LARGEST_SEED = 2**32 - 1
# scikit-learn's own meaning of max_samples="auto".
AUTO_SAMPLES = 256
# The share of all rows below a threshold that so many put at 1 % is within 0.05 points of it, with more than 95 % odds.
SAMPLE_ROWS = 200_000


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """As scikit-learn's `IsolationForest` names them.

    Parameters
    ----------
    n_estimators : int
        Trees; at least 1.
    contamination : float or "auto"
        Share of the training rows, above 0 and up to 0.5, that ends below the threshold.
    max_samples : int, float or "auto"
        Rows per tree: a count, or a share above 0 and up to 1; "auto" is 256. Never more than there are rows.
    max_features : int or float
        Features per tree: a count, or a share above 0 and up to 1.
    random_state : int
        The seed, 0 to 2**32 - 1.
    exact : bool
        True fits on every row, as scikit-learn itself would; by default, more rows than `SAMPLE_ROWS` are represented
        by as many, drawn from all of them alike.
    """

    n_estimators: int = 200
    contamination: float | Literal["auto"] = 0.01
    max_samples: int | float | Literal["auto"] = 256
    max_features: int | float = 1.0
    random_state: int = 42
    exact: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Name to value, for the manifest."""
        return asdict(self)

    def kept_rows(self, rows: int) -> int:
        """Say how many of so many rows are fitted on: all of them, or a sample that no tree is larger than."""
        return rows if self.exact else min(rows, max(SAMPLE_ROWS, self.rows_per_tree(rows)))

    def rows_per_tree(self, rows: int) -> int:
        """Give `max_samples` as a count."""
        if isinstance(self.max_samples, float):
            return max(1, int(self.max_samples * rows))
        return min(self.max_samples if isinstance(self.max_samples, int) else AUTO_SAMPLES, rows)


NAMES = tuple(field.name for field in fields(Hyperparameters))


def parse_hyperparameters(given: Mapping[str, object]) -> Hyperparameters:
    """Read hyperparameters.

    Parameters
    ----------
    given : mapping of str to object
        Name to value, plain or JSON-encoded (``"100"``, ``100``, ``'"auto"'``). SageMaker's own, which start with
        ``sagemaker_``, are ignored.

    Raises
    ------
    InputError
        An unknown name, or a value outside what `Hyperparameters` states.
    """
    ours = {name: value for name, value in given.items() if not is_sagemakers_own(name)}
    unknown = sorted(set(ours) - set(NAMES))
    if unknown:
        raise InputError(f"unknown hyperparameter {unknown[0]!r}; accepted are {', '.join(NAMES)}")
    return Hyperparameters(**{name: _PARSERS[name](name, _decoded(value)) for name, value in ours.items()})


def parse_holdout_share(given: object) -> float:
    """Read the share of the time range that is held out, in the spellings of a hyperparameter.

    Raises
    ------
    InputError
        It is no share from 0 to 0.5.
    """
    value = _decoded(given)
    share = 0.0 if value == 0 and not isinstance(value, bool) else _share(value, 0.5)
    return _or_refuse("holdout_share", value, share, "a share from 0 (none) to 0.5")


def is_sagemakers_own(name: str) -> bool:
    """Tell whether SageMaker added a hyperparameter by itself."""
    return name.startswith("sagemaker_") or name == TUNING_OBJECTIVE


def _decoded(value: object) -> object:
    while isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return value


def _whole_number(value: object, low: int, high: int | None = None) -> int | None:
    # A tuning job writes whole numbers as 100.0, too.
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
    # SageMaker's SDKs spell it True or true, and --exact alone is true.
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
