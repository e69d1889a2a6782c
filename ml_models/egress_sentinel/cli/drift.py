"""The command `drift`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson
from egress_sentinel.cli.output import print_json, print_line, print_table, reporter, right

_SHOWN = 4


def drift(
    rows: Annotated[
        Path,
        typer.Argument(
            metavar="ROWS",
            help="A processed_features.parquet, the folder scored/ of `score`, or any table as parquet or CSV.",
        ),
    ],
    model: Annotated[
        Path, typer.Option(help="The model.tar.gz that the rows are compared with, or a baseline.json alone.")
    ],
    limits: Annotated[
        str,
        typer.Option(
            metavar="JSON|FILE.json",
            help='Limits by feature: {"*": {"psi": 0.2}, "persistence": {"ks": null}}, or a file with them.',
        ),
    ] = "{}",
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where the days' files go; replaced as a whole, on success.")
    ] = Path("drift-output"),
    as_json: AsJson = False,
) -> None:
    """Compare rows with those that a model was trained on: day by day with the same weekday, or a table as a whole."""
    from egress_sentinel.deployment.drift import judge_locally
    from egress_sentinel.output_files import replaced_directory

    progress = reporter()
    with replaced_directory(output_dir) as directory, progress.step("drift") as step:
        outcomes = judge_locally(rows, model, directory, limits=limits, track=progress.track)
        step.result = f"{len(outcomes)} judged, in {output_dir}"
    if as_json:
        print_json(outcomes)
    else:
        _print(outcomes)


def _print(outcomes: list[dict[str, Any]]) -> None:
    numbers = [right(name) for name in ("rows", "flagged", "largest, in limits", "beyond a limit")]
    print_table(["day or table", *numbers, "drifted"], [_cells(outcome) for outcome in outcomes])
    days = sum(bool(outcome["drifted"]) for outcome in outcomes)
    print_line(f"{days} of {len(outcomes)} have drifted.")


def _cells(outcome: dict[str, Any]) -> list[str]:
    flagged, names = outcome["flagged_share"], outcome["drifted"]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [
        outcome["day"],
        f"{outcome['rows']:,}",
        "" if flagged is None else f"{flagged:.2%}",
        f"{outcome['worst']:.2f}",
        str(outcome["violations"]),
        ", ".join(names[:_SHOWN]) + more,
    ]
