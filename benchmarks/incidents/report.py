"""The figures as tables: on a terminal, and in the documentation.

    python -m benchmarks.incidents.report results.json docs/benchmark.md

writes them between the two marks of the page.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = {
    "f1": "F1", "precision": "precision", "recall": "recall", "false_per_account_month": "false/month",
    "in_time": "$ in time", "in_time_by_arrival": "by arrival", "delay_hours": "delay h",
    "delay_after_arrival_hours": "from arrival", "right_resource": "resource", "right_class": "class",
    "right_kind": "kind",
}  # fmt: skip
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def text_tables(results: Mapping[str, Any]) -> str:
    """Return the tables for a terminal."""
    return "\n\n".join(f"{title}\n{_aligned(rows)}" for title, rows in _tables(results))


def markdown_tables(results: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    return "\n\n".join(f"**{title}**\n\n{_markdown(rows)}" for title, rows in _tables(results))


def _tables(results: Mapping[str, Any]) -> Iterable[tuple[str, list[list[str]]]]:
    for base in next(iter(results.values())):
        by_detector = {name: result[base] for name, result in results.items()}
        first = next(iter(by_detector.values()))
        title = (
            f"Base traffic {base}: {first['cases']} bills, {first['incidents']} catchable incidents, "
            f"{first['account_months']:.0f} account months, at most {first['budget']:g} false alerts a month"
        )
        yield title, [["", *COLUMNS.values(), "F1 of the bills"], *(_row(*one) for one in by_detector.items())]
        budgets = list(first["frontier"])
        yield (
            f"Base traffic {base}: F1 by the budget of false alerts an account and month (what was had, in brackets)",
            [["", *budgets], *([name, *_frontier(result)] for name, result in by_detector.items())],
        )
        yield f"Base traffic {base}: found of catchable incidents, by kind", _by_kind(by_detector)
        yield f"Base traffic {base}: found of catchable incidents, by size", _by_kind(by_detector, part=1)
        yield f"Base traffic {base}: false alerts by what they fell on", _false(by_detector)


def _row(name: str, result: Mapping[str, Any]) -> list[str]:
    spread = np.array(result["f1_by_case"])
    figures = [_shown(result[column]) for column in COLUMNS]
    return [name, *figures, f"{spread.mean():.2f} ± {spread.std():.2f}, {spread.min():.2f} to {spread.max():.2f}"]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _frontier(result: Mapping[str, Any]) -> list[str]:
    return [f"{one['f1']:.2f} ({one['false_per_account_month']:.1f})" for one in result["frontier"].values()]


def _by_kind(by_detector: Mapping[str, Any], part: int = 0) -> list[list[str]]:
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for name, result in by_detector.items():
        for label, (whole, found) in result["by_kind_and_size"].items():
            cell = counts[label.split()[part]][name]
            cell[0] += whole
            cell[1] += found
    rows = [[label, *(f"{cells[n][1]}/{cells[n][0]}" for n in by_detector)] for label, cells in sorted(counts.items())]
    return [["", *by_detector], *rows]


def _false(by_detector: Mapping[str, Any]) -> list[list[str]]:
    reasons = sorted({reason for result in by_detector.values() for reason in result["false_by"]})
    rows = [
        [reason, *(str(result["false_by"].get(reason, 0)) for result in by_detector.values())] for reason in reasons
    ]
    return [["", *by_detector], *rows]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main(arguments: Sequence[str]) -> int:
    """Write the tables of a JSON file into a page."""
    source, page = (Path(argument) for argument in arguments)
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    tables = markdown_tables(json.loads(source.read_text(encoding="utf-8"))["detectors"])
    page.write_text(f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
