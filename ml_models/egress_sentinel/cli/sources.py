"""The command `sources`: what billing exports hold, and whether every line and cent of it is accounted for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from egress_sentinel.cli.options import AsJson
from egress_sentinel.cli.output import print_json, print_line, print_table, reporter, right, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from egress_features.reconciliation import FileReconciliation, Part, Reconciliation

# What happens to the lines of a file, in the table's order, and the name of its part.
_WAYS = {
    "watched: traffic": "traffic",
    "watched: fees on traffic of other lines": "fees",
    "watched: unclassified transfer": "unclassified",
    "free data transfer": "free",
    "not data transfer": "not_transfer",
    "other providers": "other_providers",
    "replaced by a newer delivery": "replaced",
}


def sources(
    exports: Annotated[list[str], typer.Argument(metavar="EXPORT...", help="Billing exports as `run` takes them.")],
    as_json: AsJson = False,
) -> None:
    """Show the kind of each export and reconcile its lines and dollars to the cent; exit status 2 if they differ."""
    from egress_features import reconcile
    from egress_sentinel.pipeline.exports import open_exports

    with open_exports(exports, reporter()) as found:
        result = reconcile(found.files())
    if as_json:
        print_json(json.loads(found.shown(json.dumps(_record(result), ensure_ascii=False))))
    else:
        _print(result, found.shown)
    unmet = [found.shown(str(file.path)) for file in result.files if not file.is_met]
    if unmet:
        raise UserError(f"not every line and cent of {', '.join(unmet)} is accounted for: see the differences")


def _print(result: Reconciliation, shown: Callable[[str], str]) -> None:
    for file in result.files:
        periods = ", ".join(period or "(none)" for period in file.billing_periods)
        columns = [Column(f"{file.kind}, {periods}"), right("lines"), right("dollars")]
        print_line(shown(str(file.path)))
        print_table(columns, _rows(file))
    if result.complete_until_utc:
        lag = [(service, f"{hour:%Y-%m-%d %H:%M}") for service, hour in result.complete_until_utc.items()]
        print_table(["service", "complete until (UTC)"], lag)
    for note in result.notes:
        say(shown(note))


def _rows(file: FileReconciliation) -> list[list[str]]:
    """Return the ways that lines or dollars of the file went, its total and the difference."""
    ways = {way: getattr(file, name) for way, name in _WAYS.items()}
    ways |= {f"left out: {reason}": part for reason, part in file.left_out.items()}
    rows = {way: part for way, part in ways.items() if part.lines or part.cost_usd}
    rows |= {"the file": file.input, "difference": file.difference}
    return [[way, f"{part.lines:,}", _dollars(part.cost_usd)] for way, part in rows.items()]


def _record(result: Reconciliation) -> dict[str, Any]:
    return {
        "is_met": result.is_met,
        "files": [_file_record(file) for file in result.files],
        "complete_until_utc": {
            service: f"{hour:%Y-%m-%dT%H:%M:%SZ}" for service, hour in result.complete_until_utc.items()
        },
        "notes": list(result.notes),
    }


def _file_record(file: FileReconciliation) -> dict[str, Any]:
    def record(part: Part) -> dict[str, Any]:
        return {"lines": part.lines, "cost_usd": float(part.cost_usd)}

    return {
        "file": str(file.path),
        "kind": file.kind,
        "billing_periods": list(file.billing_periods),
        "input": record(file.input),
        **{name: record(getattr(file, name)) for name in _WAYS.values()},
        "left_out": {reason: record(part) for reason, part in file.left_out.items()},
        "difference": record(file.difference),
        "is_met": file.is_met,
    }


def _dollars(usd: Any) -> str:
    rounded = round(usd, 2) + 0
    return f"{'-' if rounded < 0 else ''}${abs(rounded):,.2f}"
