"""A run's summary as a table for people."""

from __future__ import annotations

from rich.table import Table

from evals.summary import Rate, Summary


def table(summary: Summary) -> Table:
    """One row a task and one for all, with Wilson's 95 % interval. The interval of all takes the tasks as given, not as a sample."""
    shown = Table(title=f"{summary.benchmark} {summary.version}", title_justify="left")
    for heading in ("task", "success", "rate", "95 % interval", "steps", "errors", "how the others ended"):
        shown.add_column(heading, justify="left" if heading in ("task", "how the others ended") else "right")
    for task, found in summary.tasks.items():
        others = ", ".join(f"{status} {count}" for status, count in sorted(found.statuses.items()) if status != "done")
        shown.add_row(task, *_figures(found), others)
    shown.add_section()
    shown.add_row("all", *_figures(summary), "" if summary.complete else f"{summary.planned - summary.episodes} not run", style="bold")
    return shown


def _figures(found: Rate | Summary) -> tuple[str, ...]:
    low, high = found.wilson95
    interval = f"{low:.2f}–{high:.2f}"
    return f"{found.successes}/{found.episodes}", f"{found.success_rate:.2f}", interval, f"{found.mean_steps:.1f}", str(found.errors)
