"""The command `sources`: what billing exports hold, and whether every line and cent of it is accounted for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from egress_sentinel.cli.options import AsJson
from egress_sentinel.cli.output import print_json, print_table, reporter, right, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from egress_features.reconciliation import FileReconciliation, Reconciliation


def sources(
    exports: Annotated[list[str], typer.Argument(metavar="EXPORT...", help="Billing exports as `run` takes them.")],
    as_json: AsJson = False,
) -> None:
    """Say what each export is, and reconcile its lines and dollars to the cent; exit status 2 where they differ."""
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
    columns = [Column(name, overflow="fold") for name in ("file", "kind", "billing periods")]
    names = ("lines", "egress lines", "dollars", "egress", "left out", "not egress", "other providers", "replaced")
    columns += [right(name) for name in (*names, "difference")]
    print_table(columns, [[*map(shown, _row(file))] for file in result.files])
    if result.complete_until_utc:
        lag = [(service, f"{hour:%Y-%m-%d %H:%M}") for service, hour in result.complete_until_utc.items()]
        print_table(["service", "complete until (UTC)"], lag)
    for note in result.notes:
        say(shown(note))


def _row(file: FileReconciliation) -> list[str]:
    excluded = "\n".join(f"{_dollars(usd)} {name or '(no type)'}" for name, (_, usd) in file.excluded.items())
    is_met = "" if file.is_met else f" ({file.difference_lines:+,} lines)"
    return [
        str(file.path),
        file.kind,
        ", ".join(period or "(none)" for period in file.billing_periods),
        f"{file.input_lines:,}",
        f"{file.egress[0]:,}",
        _dollars(file.input_usd),
        _dollars(file.egress[1]),
        excluded or _dollars(0),
        _dollars(file.not_egress[1]),
        _dollars(file.other_providers[1]),
        _dollars(file.replaced[1]),
        _dollars(file.difference_usd) + is_met,
    ]


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
    def part(lines_and_usd: tuple[int, Any]) -> dict[str, Any]:
        return {"lines": lines_and_usd[0], "cost_usd": float(lines_and_usd[1])}

    return {
        "file": str(file.path),
        "kind": file.kind,
        "billing_periods": list(file.billing_periods),
        "input": part((file.input_lines, file.input_usd)),
        "egress": part(file.egress),
        "excluded": {name: part(value) for name, value in file.excluded.items()},
        "not_egress": part(file.not_egress),
        "other_providers": part(file.other_providers),
        "replaced": part(file.replaced),
        "difference": part((file.difference_lines, file.difference_usd)),
        "is_met": file.is_met,
    }


def _dollars(usd: Any) -> str:
    rounded = round(usd, 2) + 0
    return f"{'-' if rounded < 0 else ''}${abs(rounded):,.2f}"
