"""The report of a run: one page that needs nothing but itself, and its numbers as JSON."""

from cldis.pages.report.write import write_report

__all__ = ["write_report"]
