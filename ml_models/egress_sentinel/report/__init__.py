"""One self-contained HTML page of alerts and features: it opens with no network."""

from egress_sentinel.report.page import write_report

__all__ = ["write_report"]
