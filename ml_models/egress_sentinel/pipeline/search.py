"""Hyperparameter search: trains each candidate and compares all of them on the same held-out hours."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egress_sentinel.pipeline.training import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

HOLDOUT_SHARE = "0.2"
# For each option of `train`, the values to try by hyperparameter.
GRIDS: dict[str, dict[str, tuple[str, ...]]] = {
    "quick": {"n_estimators": ("50", "100")},
    "standard": {"n_estimators": ("100", "200"), "max_samples": ("256", "1024")},
    "search": {"n_estimators": ("100", "200"), "max_samples": ("256", "1024"), "max_features": ("0.5", "1.0")},
}


@dataclass(frozen=True)
class Candidate:
    """One training: its hyperparameters and its metrics.json."""

    hyperparameters: dict[str, str]
    metrics: dict[str, Any]

    @property
    def rank(self) -> tuple[float, float, int]:
        """The sort key, best first: ranking of small incidents, then few anomalous hours, then few trees."""
        evaluation = self.metrics["evaluation"]
        auc = evaluation["injected"]["auc"]
        trees = int(self.hyperparameters["n_estimators"])
        return -(auc if auc is not None else 0.0), evaluation["share_flagged"], trees

    def record(self) -> dict[str, Any]:
        """Return a row of the table of metrics."""
        evaluation = self.metrics["evaluation"]
        return self.hyperparameters | {
            "auc": evaluation["injected"]["auc"],
            "average_precision": evaluation["injected"]["average_precision"],
            "recall": evaluation["injected"]["recall"],
            "share_flagged": evaluation["share_flagged"],
            "fit_seconds": self.metrics["fit_seconds"],
        }


def search(
    features: Path,
    model_tar: Path,
    *,
    until: datetime | None = None,
    hyperparameters: Mapping[str, str] | None = None,
    grid: Mapping[str, tuple[str, ...]] = GRIDS["search"],
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> list[Candidate]:
    """Train every combination of a grid and keep the artifact of the best one.

    Parameters
    ----------
    features, model_tar, until
        As for `training.train`. Every training holds out the last fifth of the time range.
    hyperparameters : mapping, optional
        Fixed hyperparameters.
    grid : mapping
        Name to values.
    track : callable
        Wraps the candidates' names, to show progress.

    Returns
    -------
    list of Candidate
        The best first.

    Raises
    ------
    UserError
        As for `training.train`.
    """
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    names = {", ".join(f"{name}={value}" for name, value in given.items()): given for given in combinations}
    found: list[Candidate] = []
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-search-") as folder:
        kept = Path(folder) / "best.tar.gz"
        for name in track("search", list(names)):
            chosen = {**(hyperparameters or {}), **names[name]}
            artifact = Path(folder) / "model.tar.gz"
            metrics = train(features, artifact, until=until, hyperparameters=chosen | {"holdout_share": HOLDOUT_SHARE})
            found.append(Candidate(names[name], metrics))
            if min(found, key=lambda candidate: candidate.rank) is found[-1]:
                artifact.replace(kept)
        _put(kept, model_tar)
    return sorted(found, key=lambda candidate: candidate.rank)


def _put(kept: Path, model_tar: Path) -> None:
    from anomaly_detection.artifact import atomic_write
    from egress_sentinel.errors import UserError

    try:
        with atomic_write(model_tar) as beside:
            beside.write_bytes(kept.read_bytes())
    except OSError as error:
        raise UserError(f"cannot write {model_tar}: {error.strerror}") from error
