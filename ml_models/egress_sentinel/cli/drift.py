"""The command `drift`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson, OutputDir, TerraformDir
from egress_sentinel.cli.output import print_json, print_line, print_table, reporter, right
from egress_sentinel.errors import UserError

_SHOWN = 4


def drift(
    rows: Annotated[
        Path | None,
        typer.Argument(
            metavar="ROWS",
            help="A processed_features.parquet, the folder scored/ of `score`, or any table as parquet or CSV.",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="The model.tar.gz that the rows are compared with, or a baseline.json alone.")
    ] = None,
    limits: Annotated[
        str,
        typer.Option(
            metavar="JSON|FILE.json",
            help='Limits by feature: {"*": {"psi": 0.2}, "persistence": {"ks": null}}, or a file with them.',
        ),
    ] = "{}",
    output_dir: OutputDir = Path("drift-output"),
    terraform_dir: TerraformDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare rows with those that a model was trained on: day by day with the same weekday, or a table as a whole.

    With --terraform-dir: the deployed monitor's schedule, last reports, violations and metrics.
    """
    from egress_sentinel.deployment.drift import judge_locally
    from egress_sentinel.output_files import replaced_directory

    if terraform_dir is not None and rows is None and model is None:
        _show_deployed(terraform_dir, as_json=as_json)
        return
    if rows is None or model is None or terraform_dir is not None:
        raise UserError("drift takes either ROWS and --model, or --terraform-dir")
    progress = reporter()
    with replaced_directory(output_dir) as directory, progress.step("drift") as step:
        outcomes = judge_locally(rows, model, directory, limits=limits, track=progress.track)
        step.result = f"{len(outcomes)} judged, in {output_dir}"
    if as_json:
        print_json(outcomes)
    else:
        _print(outcomes)


def _show_deployed(terraform_dir: Path, *, as_json: bool) -> None:
    from egress_sentinel.deployment.drift_status import drift_status
    from egress_sentinel.deployment.verify import read_outputs, terraform_outputs

    status = drift_status(read_outputs(terraform_outputs(terraform_dir)))
    if as_json:
        print_json(status)
        return
    schedule = status["schedule"]
    print_line(f"schedule {schedule['name']}: {schedule['state']}, {schedule['expression']}")
    print_line(f"alarm: {status['alarm'] or 'none'}")
    rows = ([r["day"], f"{r['rows']:,}", str(r["violations"]), _some(r["drifted"])] for r in status["reports"])
    print_table(["report", right("rows"), right("beyond a limit"), "drifted"], rows)
    if status["violations"]:
        print_line(f"violations of {status['reports'][0]['day']}:")
        found = ([v["feature_name"], v["constraint_check_type"], v["description"]] for v in status["violations"])
        print_table(["feature", "check", "what"], found)
    values = ([name, f"{points[-1]['maximum']:g}", points[-1]["day"]] for name, points in _sent(status["metrics"]))
    print_table(["metric", right("last day's maximum"), "day"], values)


def _sent(metrics: dict[str, list[dict[str, Any]]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(name, points) for name, points in metrics.items() if points]


def _print(outcomes: list[dict[str, Any]]) -> None:
    numbers = [right(name) for name in ("rows", "flagged", "largest, in limits", "beyond a limit")]
    print_table(["day or table", *numbers, "drifted"], [_cells(outcome) for outcome in outcomes])
    days = sum(bool(outcome["drifted"]) for outcome in outcomes)
    print_line(f"{days} of {len(outcomes)} have drifted.")


def _cells(outcome: dict[str, Any]) -> list[str]:
    flagged = outcome["flagged_share"]
    return [
        outcome["day"],
        f"{outcome['rows']:,}",
        "" if flagged is None else f"{flagged:.2%}",
        f"{outcome['worst']:.2f}",
        str(outcome["violations"]),
        _some(outcome["drifted"]),
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
