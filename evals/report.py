"""Runs as people read them: a line a step, a table of rates."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base import Step
from evals.compare import Comparison
from evals.episode import episode_key
from evals.stats import Interval
from evals.summary import Rate, Summary

if TYPE_CHECKING:
    from model.train import Progress

ROWS = 40
"""With more tasks, or tags, than this the table has no row for each."""
FEW = 20
"""With fewer tasks it is said that a percentile bootstrap over them is too narrow: √((G-1)/G) · 1.96 / t of Student's width, 0.91 of 19."""


class Terminal(Console):
    """A console that falls silent when nobody reads it any more (`… | head`): rich would end the process, and the run with it."""

    def on_broken_pipe(self) -> None:
        with suppress(SystemExit):
            super().on_broken_pipe()


def step_line(step: Step) -> Text:
    """One step: its number, its action, what was thought, what went wrong. Page and model text is shown, never read as markup."""
    action = step.action
    done = (
        "no action" if action is None else f"{action.name}({', '.join(f'{name}={value!r}' for name, value in action.arguments().items())})"
    )
    line = Text.assemble((f"{step.index + 1:>3}  ", "dim"), (one_line(done), "bold"))
    for text, style in ((step.thought, "dim"), (step.result.output, "green"), (step.result.error, "red")):
        if text:
            line.append(f"  {one_line(text)}", style)
    return line


def progress_line(progress: Progress) -> str:
    """One line of a training's progress: step, minutes, speed, losses, and hits of the held-out questions when they were asked."""
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in progress.losses.items())
    hits = "  ".join(f"{tag} {hit}/{asked}" for tag, (hit, asked) in (progress.validation or {}).items())
    line = f"step {progress.step}  {progress.minutes:.1f} min  {progress.samples_per_second:.1f} samples/s  {losses}"
    return f"{line}  held out: {hits}" if hits else line


def table(summary: Summary, every_task: bool = False) -> Table:
    """One row for all, and one a task and a tag; with more than ROWS tasks only when `every_task`. Beneath it how the figures were made."""
    shown = Table(title=Text(one_line(f"{summary.benchmark} {summary.version}"), "bold"), title_justify="left", caption_justify="left")
    for heading in ("task", "success", "rate", "95 % interval", "steps", "errors", "ended"):
        shown.add_column(heading, justify="left" if heading in ("task", "ended") else "right")
    notes = _notes(summary)
    for kind, rows in (("task", summary.tasks), ("tag", summary.tags)):
        if len(rows) > ROWS and not (every_task and kind == "task"):
            notes.append(f"{len(rows)} {kind}s: summary.json has the figures of each.")
            continue
        for name, found in rows.items():
            shown.add_row(Text(one_line(name if kind == "task" else f"tag {name}")), *_figures(found), _ended(found))
        shown.add_section()
    of_all = _share(summary.successes, summary.planned, summary.success_rate)
    low_high = _interval(summary.estimate.interval) if summary.estimate else "–"
    ended = _ended(summary) if summary.complete else f"{summary.planned - summary.episodes} not run, {_ended(summary)}".rstrip(", ")
    shown.add_row("all", *of_all, low_high, f"{summary.mean_steps:.1f}", str(summary.errors), ended, style="bold")
    shown.caption = Text("\n".join(notes), "dim")
    return shown


def _notes(summary: Summary) -> list[str]:
    """What stands beneath the table: methods, errors, and what else was counted."""
    notes, estimate, usage = [], summary.estimate, summary.usage
    if estimate is not None:
        error = "" if estimate.standard_error is None else f", standard error by task {estimate.standard_error:.3f}"
        resampled = f"{estimate.bootstrap.method} {_interval(estimate.bootstrap)}"
        notes.append(f"Interval of all: {estimate.interval.method}; {resampled}{error}.")
        if abs(estimate.mean_over_tasks - summary.success_rate) > 5e-4:
            notes.append(f"It is that of the mean over tasks, {estimate.mean_over_tasks:.3f}: tasks have not as many episodes each.")
        for sign, passed in (("@", estimate.pass_at_k), ("^", estimate.pass_hat_k)):
            if passed:
                notes.append("  ".join(f"pass{sign}{k} {value:.3f}" for k, value in passed.items()))
    if summary.errors:
        classes = ", ".join(f"{status} {count}" for status, count in summary.errors_by_class.items() if count)
        fair = "no episode without" if summary.without_errors is None else f"rate without them {summary.without_errors:.3f}"
        notes.append(f"Errors, counted as 0: {classes}; {fair}.")
    if summary.positive_raw is not None:
        notes.append(f"Raw reward above 0, as BrowserGym counts: {summary.positive_raw:.3f}.")
    if usage.model_seconds is not None and usage.environment_seconds is not None:
        seconds = f"{usage.model_seconds + usage.environment_seconds:.2f} s (model {usage.model_seconds:.2f})"
        tokens = f"{usage.mean_prompt_tokens:,.0f} tokens in, {usage.mean_completion_tokens:,.0f} out"
        notes.append(f"A step took {seconds}, an episode {tokens}, in the mean.")
    return notes


def _figures(found: Rate) -> tuple[str, ...]:
    share = _share(found.successes, found.episodes, found.success_rate)
    return *share, _interval(found.interval), f"{found.mean_steps:.1f}", str(found.errors)


def _share(successes: int, of: int, rate: float) -> tuple[str, str]:
    return f"{successes}/{of}", f"{rate:.3f}"


def _interval(found: Interval) -> str:
    return f"{found.low:.3f}–{found.high:.3f}"


def _ended(found: Rate | Summary) -> str:
    return ", ".join(f"{status} {count}" for status, count in found.statuses.items())


def comparison_table(found: Comparison) -> Table:
    """The two rates, their difference, and the tasks that came out differently; beneath it what else there is to know."""
    title = f"{found.benchmark} {found.version}: {found.pairs} episodes of {found.tasks} tasks, which ended in both"
    shown = Table(title=Text(one_line(title), "bold"), title_justify="left", caption_justify="left")
    for heading in ("", "success", "rate", "errors"):
        shown.add_column(heading, justify="right" if heading else "left")
    for side in (found.a, found.b):
        share = _share(side.successes, found.pairs, side.success_rate)
        shown.add_row(Text(one_line(f"{side.folder}  {side.model}")), *share, str(side.errors))
    shown.add_section()
    shown.add_row("difference", f"{len(found.won)} won, {len(found.lost)} lost", f"{found.difference:+.3f}", "", style="bold")
    shown.caption = Text("\n".join(_comparison_notes(found)), "dim")
    return shown


def discordant_table(found: Comparison) -> Table | None:
    """A row for each task in which only one of the two succeeded at an episode: how many the second won and lost. None without any."""
    won, lost = Counter(task for task, _, _ in found.won), Counter(task for task, _, _ in found.lost)
    tasks = sorted(won | lost, key=lambda task: (won[task] - lost[task], task))
    shown = Table(caption_justify="left")
    for heading in ("task", "won", "lost", "episodes"):
        shown.add_column(heading, justify="right" if heading in ("won", "lost") else "left")
    for task in tasks[:ROWS]:
        keys = [f"{sign}{_place(*key)}" for sign, held in (("+", found.won), ("-", found.lost)) for key in held if key[0] == task]
        shown.add_row(Text(one_line(task)), str(won[task]), str(lost[task]), one_line(" ".join(keys)))
    if len(tasks) > ROWS:
        shown.caption = Text(f"{len(tasks) - ROWS} more tasks: --json has them all.", "dim")
    return shown if tasks else None


def _comparison_notes(found: Comparison) -> list[str]:
    low, high = found.interval.low, found.interval.high
    notes = [f"Difference, 95 %: {low:+.3f} to {high:+.3f} (paired {found.interval.method}). McNemar's exact p = {found.mcnemar_p:.3g}."]
    if found.tasks < found.pairs:
        notes.append("Episodes of one task are not independent, which McNemar's test takes them to be: the interval tells more here.")
    if 1 < found.tasks < FEW:
        notes.append(f"Resampling {found.tasks} tasks makes an interval that is too narrow: below {FEW} take it as a hint.")
    if found.a.errors or found.b.errors:
        notes.append("An error counts as no success.")
    for folder, keys in ((found.a.folder, found.only_a), (found.b.folder, found.only_b)):
        if keys:
            told = ", ".join(episode_key(*key) for key in keys[:5]) + (" …" if len(keys) > 5 else "")
            notes.append(f"Ended in {folder} alone, left out here ({len(keys)}): {one_line(told)}")
    for name, (one, other) in found.differs.items():
        warning = "NOT ALIKE, compared anyway: " if name in found.unlike else ""
        notes.append(one_line(f"{warning}{name}: {one} and {other}"))
    return notes


def _place(task: str, seed: int | None, repeat: int) -> str:
    """Which episode of its task: "3", its third repeat "3-r2"."""
    return ("" if seed is None else str(seed)) + (f"-r{repeat}" if repeat else "")


def one_line(text: str, longest: int = 160) -> str:
    """Text of a page or a model in one line, without the control characters that would speak to the terminal."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
