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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = {
    "f1": "F1", "precision": "precision", "recall": "recall", "false_per_account_month": "false/month",
    "in_time": "$ in time", "in_time_by_arrival": "by arrival", "delay_hours": "delay h",
    "delay_after_arrival_hours": "from arrival", "right_resource": "resource", "right_class": "class",
    "right_kind": "kind",
}  # fmt: skip
AS_THEY_COME = {
    "recall": "recall", "precision": "precision", "false_per_account_month": "false/month",
    "one_alert_per_cause": "one alert per cause", "extra_alerts_per_cause": "extra alerts per cause",
    "right_kind": "kind",
}  # fmt: skip
LARGE_DELAYS = {
    "large_delay": "hours of data from the first", "large_delay_from_usd": "from the first of $20",
    "large_delay_after_arrival": "hours from the first delivery",
}  # fmt: skip
LARGE_DAMAGE = {
    "large_before_alert": "damage before the alert, in hours of data", "large_before_notice": "by delivery",
    "large_before_delivery": "before the first delivery",
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
        budget = "as they come" if first["budget"] is None else f"at most {first['budget']:g} false alerts a month"
        title = (
            f"Base traffic {base}: {first['cases']} bills, {first['incidents']} catchable incidents, "
            f"{first['account_months']:.0f} account months, {budget}"
        )
        yield title, [["", *COLUMNS.values(), "F1, 95 % over bills"], *(_row(*one) for one in by_detector.items())]
        coming = {name: result["as_it_comes"] for name, result in by_detector.items() if result.get("as_it_comes")}
        if coming:
            yield (
                f"Base traffic {base}: as they come, without a budget",
                [["", "F1 (95 %)", *AS_THEY_COME.values()], *(_coming(*one) for one in coming.items())],
            )
        large = {name: result.get("as_it_comes") or result for name, result in by_detector.items()}
        yield (
            f"Base traffic {base}: incidents of $20 an hour and more ({first['large_incidents']}), median and 90 %",
            [["", "found", *LARGE_DELAYS.values(), *LARGE_DAMAGE.values()], *(_large(*one) for one in large.items())],
        )
        if budgets := list(first["frontier"]):
            yield (
                f"Base traffic {base}: F1 by the budget of false alerts an account and month (and those raised)",
                [["", *budgets], *([name, *_frontier(result)] for name, result in by_detector.items())],
            )
        yield f"Base traffic {base}: found of catchable incidents, by kind", _by_kind(by_detector)
        yield f"Base traffic {base}: found of catchable incidents, by size", _by_kind(by_detector, part=1)
        yield f"Base traffic {base}: false alerts by what they fell on", _false(by_detector)


def _row(name: str, result: Mapping[str, Any]) -> list[str]:
    return [name, *(_shown(result[column]) for column in COLUMNS), _interval(result)]


def _interval(result: Mapping[str, Any]) -> str:
    low, high = result["f1_interval"]
    return f"{low:.2f} to {high:.2f}"


def _coming(name: str, result: Mapping[str, Any]) -> list[str]:
    return [name, f"{result['f1']:.2f} ({_interval(result)})", *(_shown(result[column]) for column in AS_THEY_COME)]


def _large(name: str, result: Mapping[str, Any]) -> list[str]:
    """Return delays as median and 90th percentile; "missed" where more are missed than the percentile allows."""
    has_some = result["large_incidents"] > 0

    def hours(column: str) -> str:
        return "missed" if result[column] is None and has_some else _shown(result[column], digits=0)

    delays = [f"{hours(f'{column}_median')}, {hours(f'{column}_p90')}" for column in LARGE_DELAYS]
    return [name, str(result["large_found"]), *delays, *(_shown(result[column]) for column in LARGE_DAMAGE)]


def _shown(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}" if value < 10 else f"{value:.0f}"


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
