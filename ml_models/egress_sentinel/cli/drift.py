"""The command `drift`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

SHOWN = 4


def drift(
    rows: Annotated[
        Path,
        typer.Argument(
            metavar="ROWS",
            help="A processed_features.parquet, or scored rows: a file, or the folder scored/ that `score` writes.",
        ),
    ],
    model: Annotated[Path, typer.Option(help="The model.tar.gz that the rows are held against.")],
    limits: Annotated[
        str, typer.Option(help='Limits by feature, as JSON: {"*": {"psi": 0.2}, "novelty": {"ks": null}}.')
    ] = "{}",
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where the days' files go; replaced as a whole, on success.")
    ] = Path("drift-output"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Hold each day of rows against the days that a model was trained on, its own weekday first."""
    from egress_sentinel.deployment.drift import judge_locally
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.progress import Reporter

    reporter = Reporter(Console(stderr=True))
    with replaced_directory(output_dir) as directory, reporter.step("drift") as step:
        outcomes = judge_locally(rows, model, directory, limits=limits, track=reporter.track)
        step.result = f"{len(outcomes)} days in {output_dir}"
    if as_json:
        print(json.dumps(outcomes, indent=2))
    else:
        _print(outcomes)


def _print(outcomes: list[dict[str, Any]]) -> None:
    table = Table("day", title_justify="left")
    for name in ("rows", "flagged", "largest, in limits", "beyond a limit"):
        table.add_column(name, justify="right")
    table.add_column("drifted")
    for outcome in outcomes:
        flagged = outcome["flagged_share"]
        names = outcome["drifted"]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        table.add_row(
            outcome["day"],
            f"{outcome['rows']:,}",
            "" if flagged is None else f"{flagged:.2%}",
            f"{outcome['worst']:.2f}",
            str(outcome["violations"]),
            ", ".join(names[:SHOWN]) + more,
        )
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    days = sum(bool(outcome["drifted"]) for outcome in outcomes)
    console.print(f"{days} of {len(outcomes)} days have drifted.")
