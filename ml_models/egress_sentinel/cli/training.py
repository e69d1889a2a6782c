"""What surrounds a training on the command line: the searched one's table, and `importance`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egress_sentinel.progress import Reporter


def search(
    features: Path,
    output: Path,
    reporter: Reporter,
    *,
    until: datetime | None,
    hyperparameters: Mapping[str, str],
    as_json: bool,
) -> None:
    """Search hyperparameters, keep the best model, and print the metric table."""
    from egress_sentinel.pipeline.search import GRID, search

    kept = {name: value for name, value in hyperparameters.items() if name not in GRID}
    with reporter.step("search") as step:
        found = search(features, output, until=until, hyperparameters=kept, track=reporter.track)
        best = found[0].metrics
        step.result = f"{len(found)} trainings, the best of {best['rows']:,} hours in {output}"
    records = [candidate.record() for candidate in found]
    if as_json:
        print(json.dumps(records, indent=2))
        return
    table = Table(*records[0])
    for record in records:
        table.add_row(*(_shown(value) for value in record.values()))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def importance(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model.tar.gz.")],
    features: Annotated[Path, typer.Argument(metavar="FEATURES", help="A processed_features.parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture, an .html file.")] = Path(
        "importance.html"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Say how much each feature moves a model's scores on rows, as numbers and as a picture (HTML)."""
    from egress_sentinel.pipeline.importance import importance_of
    from egress_sentinel.report.pictures import check_picture_name, write_importance

    check_picture_name(output)
    rows = importance_of(model, features)
    write_importance(output, rows, f"Feature importance: {model.name} on {features.name}")
    if as_json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
        return
    table = Table("feature", "splits", "share")
    for row in rows:
        table.add_row(row.feature, f"{row.splits:.3f}", f"{row.share:.1%}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"picture: {output}", markup=False)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
