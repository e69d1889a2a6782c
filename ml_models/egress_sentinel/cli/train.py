"""The commands around a training: `train` and `importance`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_sentinel.cli import options
from egress_sentinel.cli.output import print_json, print_table, reporter, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egress_sentinel.pipeline.importance import Importance


def train(
    features: options.Features,
    output: options.Output = Path("model.tar.gz"),
    until: options.TrainUntil = None,
    n_estimators: options.Trees = options.DEFAULT_TREES,
    contamination: options.Contamination = options.DEFAULT_CONTAMINATION,
    random_state: options.Seed = options.DEFAULT_SEED,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare 2 forests on the last fifth of the time range.")
    ] = False,
    standard: Annotated[bool, typer.Option("--standard", help="Compare 4 forests, judged in the same way.")] = False,
    search: Annotated[bool, typer.Option("--search", help="Compare 8 forests, judged in the same way.")] = False,
    feedback: options.FeedbackFile = None,
    planned: options.PlannedFile = None,
    alerts: options.AlertsFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Train the Isolation Forest with the training script, as a SageMaker training job runs it.

    --quick, --standard and --search keep the best forest, and print a table of metrics and the feature importance.
    """
    from egress_sentinel.pipeline.training import train as train_model

    hyperparameters = options.hyperparameters(n_estimators, contamination, random_state)
    given = {"quick": quick, "standard": standard, "search": search}
    modes = [name for name, is_given in given.items() if is_given]
    if modes:
        if len(modes) > 1:
            raise UserError(f"--{modes[0]} and --{modes[1]} cannot be combined; give one of them")
        if feedback or planned or alerts:
            raise UserError(
                f"--{modes[0]} leaves no hours out; train without it if you give --feedback, --planned or --alerts"
            )
        _compare(modes[0], features, output, options.hour(until, "--until"), hyperparameters, as_json=as_json)
        return
    with reporter().step("train") as step:
        metrics = train_model(
            features,
            output,
            until=options.hour(until, "--until"),
            hyperparameters=hyperparameters,
            feedback=options.feedback_of(feedback),
            planned=options.planned_of(planned),
            alerts=options.alerts_of(alerts),
        )
        left_out = f" ({metrics['rows_left_out']:,} left out)" if metrics["rows_left_out"] else ""
        step.result = f"{metrics['rows']:,} hours{left_out}, artifact in {output}"
    if as_json:
        print_json(metrics)


def _compare(
    mode: str,
    features: Path,
    output: Path,
    until: datetime | None,
    hyperparameters: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    from egress_sentinel.pipeline.importance import importance_of
    from egress_sentinel.pipeline.search import GRIDS, search

    progress, grid = reporter(), GRIDS[mode]
    kept = {name: value for name, value in hyperparameters.items() if name not in grid}
    with progress.step("train") as step:
        found = search(features, output, until=until, hyperparameters=kept, grid=grid, track=progress.track)
        best = found[0].metrics
        step.result = f"{len(found)} trainings, the best of {best['rows']:,} hours in {output}"
    records = [candidate.record() for candidate in found]
    importance = importance_of(output, features)
    if as_json:
        print_json({"candidates": records, "importance": [row._asdict() for row in importance]})
    else:
        print_table(list(records[0]), [[_shown(value) for value in record.values()] for record in records])
        _print_importance(importance)


def importance(
    model: options.Model,
    features: options.Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")] = Path("importance.html"),
    as_json: options.AsJson = False,
) -> None:
    """Show how much each feature contributes to a model's scores, as numbers and as a picture (HTML)."""
    from egress_sentinel.pipeline.importance import importance_of
    from egress_sentinel.report.pictures import check_picture_name, write_importance

    check_picture_name(output)
    rows = importance_of(model, features)
    write_importance(output, rows, f"Feature importance: {model.name} on {features.name}")
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    _print_importance(rows)
    say(f"picture: {output}")


def _print_importance(rows: list[Importance]) -> None:
    print_table(
        ["feature", "splits", "share"], [(row.feature, f"{row.splits:.3f}", f"{row.share:.1%}") for row in rows]
    )


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
