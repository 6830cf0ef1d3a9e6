"""A table for a model card: one row a task of a run, with what other runs of the same tasks came to beside it. Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from evals.base import EvalError
from evals.miniwob_tasks import CLASSES
from evals.recorded import METHODS, RecordedRun, read_run
from evals.summary import Rate


def card(folder: Path, beside: Mapping[str, Path]) -> str:
    """beside: further runs by the heading they get. Raises EvalError when a run cannot be read or is of another benchmark."""
    run, others = read_run(folder), {name: read_run(path) for name, path in beside.items()}
    for name, other in others.items():
        if other.summary.benchmark != run.summary.benchmark:
            raise EvalError(f"{name} is a run of {other.summary.benchmark}, not of {run.summary.benchmark}.")
    return "\n".join(_lines(run, others)) + "\n"


def _lines(run: RecordedRun, others: Mapping[str, RecordedRun]) -> Iterator[str]:
    summary = run.summary
    known = f" ({run.interval.low:.3f}–{run.interval.high:.3f}, {METHODS[run.interval.method]})" if run.interval else ""
    good = sum(found.success_rate >= 0.8 for found in summary.tasks.values())
    yield f"Seeds {run.seeds}: {summary.episodes} episodes, {summary.errors} errors."
    yield f"Success over all {summary.success_rate:.3f}{known}; {good} of {len(summary.tasks)} tasks at 0.8 or more."
    yield ""
    yield f"| task | asks for | success | 95 % | steps |{''.join(f' {name} |' for name in others)}"
    yield f"|---|---|---|---|---|{'---|' * len(others)}"
    for task, found in sorted(summary.tasks.items(), key=lambda row: (-row[1].success_rate, row[0])):
        kinds = ", ".join(name for name, tasks in CLASSES.items() if task in tasks)
        seen = "".join(f" {_share(other.summary.tasks.get(task))} |" for other in others.values())
        between = f"{found.interval.low:.2f}–{found.interval.high:.2f}"
        yield f"| {task} | {kinds} | {_share(found)} | {between} | {found.mean_steps:.1f} |{seen}"


def _share(found: Rate | None) -> str:
    return "–" if found is None or not found.episodes else f"{found.successes}/{found.episodes}"
