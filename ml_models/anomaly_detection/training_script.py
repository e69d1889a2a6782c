"""Fits the Isolation Forest. Runs as a SageMaker training job or with `python -m`.

Run ``python -m anomaly_detection.training_script --train DIR --model-dir DIR --output-data-dir DIR``. In SageMaker,
the directories come from environment variables.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from sklearn.ensemble import IsolationForest

from anomaly_detection import artifact
from anomaly_detection.artifact import unpack, write_json
from anomaly_detection.errors import ArtifactError, InputError
from anomaly_detection.forest import FOREST_FILE, FlatForest
from anomaly_detection.model import Model, load
from anomaly_detection.training.baseline import describe_days, describe_training, quantiles
from anomaly_detection.training.calibration import calibration_of
from anomaly_detection.training.dataset import Progress, TrainingData, read_training_data
from anomaly_detection.training.evaluation import Limits, evaluate, holdout_mask, label_metrics, why_not
from anomaly_detection.training.exclusions import read_exclusions
from anomaly_detection.training.hyperparameters import (
    NAMES,
    Hyperparameters,
    is_sagemakers_own,
    parse_holdout_share,
    parse_hyperparameters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Scores = Callable[[NDArray[np.float32]], NDArray[np.float64]]

BAD_INPUT = 2
HOLDOUT_SHARE = "holdout_share"
METRICS_FILE = "metrics.json"
# The number of training rows for which the flat forest must return the same scores as scikit-learn.
PROOF_ROWS = 2000
SCORED_AT_ONCE = 100_000


@dataclass(frozen=True)
class Job:
    """The settings of one run."""

    channel: Path
    model_dir: Path
    output_data_dir: Path | None
    hyperparameters: Hyperparameters
    training_job_name: str | None
    holdout_share: float = 0.0
    serving: Path | None = None
    exclude: Path | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Train with the settings in the arguments and in SageMaker's environment variables.

    Returns
    -------
    int
        0, or 2 if the input cannot be used. The error message is then on stderr, and no file was written.
    """
    try:
        metrics = train(_parse_job(sys.argv[1:] if argv is None else argv, os.environ))
    except InputError as error:
        print(f"training_script: {error}", file=sys.stderr)
        return BAD_INPUT
    for name in ("rows", "rows_left_out", "features", "share_flagged", "threshold", "fit_seconds"):
        value = metrics[name]
        print(f"{name}={value if isinstance(value, int) else format(value, '.4f')};")
    if evaluation := metrics.get("evaluation"):
        print(f"holdout_share_flagged={evaluation['share_flagged']:.4f};")
        print(f"recall_injected={evaluation['injected']['recall'] or 0.0:.4f};")
        for reason in evaluation["blocked_by"]:
            print(f"failed quality check: {reason}")
    return 0


def _parse_job(argv: Sequence[str], environment: Mapping[str, str]) -> Job:
    """Read the command line and the environment.

    Parameters
    ----------
    argv : sequence of str
        Hyperparameters such as `--n_estimators` or `--n-estimators`, with plain or JSON-encoded values, and
        `--holdout_share`, `--train`, `--serving`, `--exclude`, `--model-dir`, `--output-data-dir`.
    environment : mapping of str to str
        `SM_CHANNEL_TRAIN` (or `SM_CHANNEL_TRAINING`), `SM_CHANNEL_SERVING`, `SM_CHANNEL_EXCLUDE`, `SM_MODEL_DIR`,
        `SM_OUTPUT_DATA_DIR`, `SM_HPS`, `TRAINING_JOB_NAME`. The command line takes precedence.

    Raises
    ------
    InputError
        A directory is missing, or `parse_hyperparameters` rejects a hyperparameter.
    """
    options = _parse_options(argv)
    channel = options.train or environment.get("SM_CHANNEL_TRAIN") or environment.get("SM_CHANNEL_TRAINING")
    model_dir = options.model_dir or environment.get("SM_MODEL_DIR")
    output = options.output_data_dir or environment.get("SM_OUTPUT_DATA_DIR")
    if not channel:
        raise InputError("no training data: give --train DIR or set SM_CHANNEL_TRAIN")
    if not model_dir:
        raise InputError("no model directory: give --model-dir DIR or set SM_MODEL_DIR")
    options_given = {name: value for name in (*NAMES, HOLDOUT_SHARE) if (value := getattr(options, name)) is not None}
    given = _environment_hyperparameters(environment) | options_given
    holdout_share = parse_holdout_share(given.pop(HOLDOUT_SHARE, 0))
    serving = options.serving or environment.get("SM_CHANNEL_SERVING")
    exclude = options.exclude or environment.get("SM_CHANNEL_EXCLUDE")
    return Job(
        channel=Path(channel),
        model_dir=Path(model_dir),
        output_data_dir=Path(output) if output else None,
        hyperparameters=parse_hyperparameters(given),
        training_job_name=environment.get("TRAINING_JOB_NAME") or None,
        holdout_share=holdout_share,
        serving=Path(serving) if serving else None,
        exclude=Path(exclude) if exclude else None,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _parse_options(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="training_script", description=__doc__, allow_abbrev=False)
    parser.add_argument("--train", metavar="DIR", help="parquet parts; default $SM_CHANNEL_TRAIN")
    parser.add_argument("--model_dir", metavar="DIR", help="folder for the artifact; default $SM_MODEL_DIR")
    parser.add_argument("--output_data_dir", metavar="DIR", help="folder for metrics.json; default $SM_OUTPUT_DATA_DIR")
    parser.add_argument("--serving", metavar="DIR", help="serving model to compare with; default $SM_CHANNEL_SERVING")
    parser.add_argument("--exclude", metavar="DIR", help="rows to leave out; default $SM_CHANNEL_EXCLUDE")
    parser.add_argument(f"--{HOLDOUT_SHARE}", help="last share of the time range, for evaluation; default 0")
    for name in NAMES:
        bare: dict[str, Any] = {"nargs": "?", "const": "true"} if name == "exact" else {}
        parser.add_argument(f"--{name}", help=f"default {getattr(Hyperparameters, name)}", **bare)
    options, others = parser.parse_known_args([_underscored(word) for word in argv])
    _refuse_unknown(others)
    return options


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return name.replace("-", "_").replace("__", "--", 1) + equals + value if name.startswith("--") else word


def _refuse_unknown(words: Sequence[str]) -> None:
    """Reject unknown options, except those that SageMaker adds."""
    theirs = False
    for word in words:
        if word.startswith("--"):
            theirs = is_sagemakers_own(word[2:].partition("=")[0])
        if not theirs:
            shown = word.partition("=")[0].removeprefix("--")
            raise InputError(f"unknown hyperparameter {shown!r}; accepted are {', '.join(NAMES)}")


def _environment_hyperparameters(environment: Mapping[str, str]) -> dict[str, object]:
    try:
        given = json.loads(environment.get("SM_HPS") or "{}")
    except ValueError as error:
        raise InputError(f"SM_HPS is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise InputError("SM_HPS must be a JSON object of hyperparameters")
    return {name.replace("-", "_"): value for name, value in given.items()}


def train(job: Job) -> dict[str, Any]:
    """Read, fit, evaluate and save.

    Returns
    -------
    dict
        The content of metrics.json: `rows`, `rows_left_out`, `rows_sampled`, `features`, `share_flagged`, `threshold`,
        `score_quantiles` and `fit_seconds`. If the rows have labels of both kinds in `target`, also `labels` (`rows`,
        `anomalies`, `auroc`, `average_precision`). If rows were held out, also `evaluation`: the result of
        `evaluation.evaluate` with `blocked_by`, the failed quality checks.

    Raises
    ------
    InputError
        The data or the hyperparameters cannot be used, or a directory cannot be written.
    """
    hyperparameters = job.hyperparameters
    exclusions = read_exclusions(job.exclude) if job.exclude else []
    everything = read_training_data(job.channel, hyperparameters.kept_rows, hyperparameters.random_state, exclusions)
    held_out = holdout_mask(everything.hours, len(everything.matrix), job.holdout_share)
    data = everything.only(~held_out) if job.holdout_share else everything
    started = time.perf_counter()
    forest, scores = fit(data, hyperparameters)
    fit_seconds = time.perf_counter() - started
    metrics: dict[str, Any] = {
        "rows": data.rows,
        "rows_left_out": data.rows_left_out,
        "rows_sampled": len(data.matrix),
        "features": data.matrix.shape[1],
        "share_flagged": float(np.mean(scores < 0)),
        "threshold": float(forest.offset_),
        "score_quantiles": quantiles(scores),
    }
    if labels := label_metrics(data.labels, scores):
        metrics["labels"] = labels
    evaluation = _evaluation(job, data, everything.matrix[held_out], forest)
    if evaluation is not None:
        metrics["evaluation"] = evaluation
    names = data.schema.feature_names
    days = describe_days(data.matrix, names, scores, data.hours, _nonzero_rows(data.matrix), data.categories)
    baseline = describe_training(data.matrix, names, scores) | ({"reference": days} if days else {})
    try:
        # An account may have no egress for weeks. The forest is then fitted on zeros, and p-values have no meaning.
        nonzero_rows = int((data.matrix != 0).any(axis=1).sum())
        calibration = calibration_of(scores[_nonzero_rows(data.matrix)]) | {"rows": nonzero_rows}
        manifest = _manifest(job, data, metrics, evaluation) | {"calibration": calibration}
        artifact.save(job.model_dir, forest, baseline, manifest)
        metrics["fit_seconds"] = fit_seconds
        if job.output_data_dir:
            write_json(job.output_data_dir / METRICS_FILE, metrics)
    except OSError as error:
        raise InputError(f"cannot write {error.filename or job.model_dir}: {error.strerror}") from error
    return metrics


def fit(data: TrainingData, hyperparameters: Hyperparameters) -> tuple[IsolationForest, NDArray[np.float64]]:
    """Fit scikit-learn's Isolation Forest (Liu, Ting and Zhou 2008) on the nonzero rows.

    Returns
    -------
    forest : IsolationForest
        Equal bit for bit to a forest that scikit-learn fits on those rows, including the threshold.
    scores : ndarray of shape (n_sampled,), float64
        The anomaly scores of all rows of the matrix.

    Raises
    ------
    InputError
        There are fewer than two rows, or fewer features than `max_features`.
    RuntimeError
        The serving forest and scikit-learn return different scores.
    """
    rows, features = data.matrix.shape
    if rows < 2:
        raise InputError(f"the training data have {rows} row; at least 2 are required")
    if isinstance(hyperparameters.max_features, int) and hyperparameters.max_features > features:
        raise InputError(
            f"hyperparameter max_features is {hyperparameters.max_features}, but the data have {features} features"
        )
    is_nonzero = _nonzero_rows(data.matrix)
    nonzero = data.matrix[is_nonzero]
    forest = IsolationForest(
        n_estimators=hyperparameters.n_estimators,
        max_samples=min(hyperparameters.rows_per_tree(data.rows), len(nonzero)),
        max_features=hyperparameters.max_features,
        random_state=hyperparameters.random_state,
        # With threads, the order in which trees are added varies, and with it the last bit of a score.
        n_jobs=None,
    ).fit(nonzero)
    samples = _proven(forest, data.matrix)
    if hyperparameters.contamination != "auto":
        # `fit` would compute this threshold with scikit-learn's slower scoring.
        forest.set_params(contamination=hyperparameters.contamination)
        forest.offset_ = np.percentile(samples[is_nonzero], 100.0 * hyperparameters.contamination)
    return forest, samples - forest.offset_


def _nonzero_rows(matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Select the rows with at least one nonzero value. If there are fewer than two, select all rows.

    In most hours of most series, all features are zero. A tree that is grown on a sample of such rows has few other
    rows to split.
    """
    nonzero: NDArray[np.bool_] = (matrix != 0).any(axis=1)
    return nonzero if nonzero.sum() >= 2 else np.ones(len(matrix), np.bool_)


def _proven(forest: IsolationForest, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score with the serving forest, after checking its scores against scikit-learn."""
    flat = FlatForest.from_sklearn(forest)
    proof = matrix[:: max(1, len(matrix) // PROOF_ROWS)]
    if flat.score_samples(proof).tobytes() != forest.score_samples(proof).tobytes():
        raise RuntimeError(
            f"the scores of {FOREST_FILE} differ from those of {artifact.MODEL_FILE} with scikit-learn "
            f"{artifact.library_versions()['scikit-learn']}; no model was saved"
        )
    progress = Progress("scored", len(matrix))
    samples = np.empty(len(matrix), np.float64)
    for start in range(0, len(matrix), SCORED_AT_ONCE):
        part = slice(start, start + SCORED_AT_ONCE)
        samples[part] = flat.score_samples(matrix[part])
        progress.at(min(start + SCORED_AT_ONCE, len(matrix)))
    return samples


def _evaluation(
    job: Job, data: TrainingData, holdout: NDArray[np.float32], forest: IsolationForest
) -> dict[str, Any] | None:
    """Evaluate the model on the holdout and compare it with the serving model. None without a holdout."""
    if not len(holdout):
        return None
    serving, problem = (None, None) if job.serving is None else _serving_scores(job.serving, data.schema.feature_names)
    units = [feature.get("unit", "") for feature in data.schema.document["features"]]
    found = evaluate(data.matrix, holdout, FlatForest.from_sklearn(forest).scores, serving, units=units)
    found["serving_problem"] = problem
    return found | {"blocked_by": why_not(found, Limits())}


def _serving_scores(channel: Path, names: list[str]) -> tuple[Scores | None, str | None]:
    """Return the serving model's scores of rows with these columns, or the reason why there are none."""
    try:
        serving = _load_serving(channel)
    except (ArtifactError, OSError, EOFError, tarfile.TarError) as error:
        return None, str(error)
    missing = [name for name in serving.feature_names if name not in names]
    if missing:
        return None, f"it requires other features, such as {missing[0]}"
    places = [names.index(name) for name in serving.feature_names]
    return lambda matrix: serving.forest.scores(np.ascontiguousarray(matrix[:, places])), None


def _load_serving(channel: Path) -> Model:
    """Load a model directory, or the model.tar.gz of a training channel."""
    archives = sorted(channel.glob("*.tar.gz"))
    if not archives:
        return load(channel)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archives[0]) as archive:
            unpack(archive, Path(folder))
        return load(Path(folder))


def _manifest(
    job: Job, data: TrainingData, metrics: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "feature_names": data.schema.feature_names,
        "schema": data.schema.document,
        "schema_hash": data.schema.hash,
        "training": {
            "rows": data.rows,
            "rows_left_out": data.rows_left_out,
            "rows_sampled": len(data.matrix),
            "files": data.files,
            "start_hour_utc": data.start_hour_utc,
            "end_hour_utc": data.end_hour_utc,
            "data_sha256": hashlib.sha256(data.matrix.tobytes()).hexdigest(),
            "hyperparameters": job.hyperparameters.as_dict(),
            "training_job_name": job.training_job_name,
        },
        "threshold": metrics["threshold"],
        "metrics": {name: value for name, value in metrics.items() if name != "evaluation"},
        "evaluation": evaluation,
        "git_commit": os.environ.get("GIT_COMMIT") or _git_commit(),
    }


def _git_commit() -> str | None:
    """Return the commit that last changed this package. None outside a git checkout."""
    command = ["git", "log", "-1", "--format=%H", "--", "."]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
