"""Runs as people read them: a line a step, a line an episode, a table of rates."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base import Step
from evals.base import Benchmark, Task
from evals.runner import PerEpisode, Plan, Watch, run
from evals.summary import Episode, Rate, Summary
from model.base import Model

if TYPE_CHECKING:
    from model.train import Progress


def step_line(step: Step) -> Text:
    """One step: its number, its action, what was thought, what went wrong. Page and model text is shown, never read as markup."""
    action = step.action
    done = (
        "no action" if action is None else f"{action.name}({', '.join(f'{name}={value!r}' for name, value in action.arguments().items())})"
    )
    line = Text.assemble((f"{step.index + 1:>3}  ", "dim"), (_one_line(done), "bold"))
    for text, style in ((step.thought, "dim"), (step.result.output, "green"), (step.result.error, "red")):
        if text:
            line.append(f"  {_one_line(text)}", style)
    return line


class Narrator:
    """Tells a run of a benchmark line by line: task, action, reward. A step's reward is known when the next step or the end has come."""

    def __init__(self, say: Callable[[Text], None]) -> None:
        self._say = say
        self._held: tuple[Task, Step] | None = None

    def step(self, task: Task, step: Step) -> None:
        self._release("")
        self._held = (task, step)

    def episode(self, episode: Episode) -> None:
        rewarded = "" if episode.is_error else f"reward {episode.reward if episode.raw is None else episode.raw:.2f}"
        self._release(rewarded)
        verdict, style = ("error", "red") if episode.is_error else ("success", "green") if episode.success else ("failure", "yellow")
        name = episode.task if episode.seed is None else f"{episode.task} seed {episode.seed}"
        line = Text.assemble((f"{name}: ", "bold"), (verdict, style))
        line.append(f" ({episode.status} after {episode.steps} steps, {episode.seconds:.1f} s)  ", "dim")
        self._say(line.append(_one_line(episode.instruction)).append(f"  {_one_line(episode.reason)}", "dim"))

    def _release(self, reward: str) -> None:
        if self._held is not None:
            task, step = self._held
            line = Text(f"  {task.id}").append_text(step_line(step))
            self._say(line.append(f"  {reward or 'reward –'}", "cyan"))
            self._held = None


def run_and_tell(benchmark: Benchmark, model: Model | PerEpisode, out: Path, plan: Plan) -> Summary:
    """Run a benchmark as `evals.runner.run` does, and tell it on the terminal: steps, episodes, the table, the folder."""
    console = Console()
    for reason, tasks in _left_out(benchmark).items():
        print(f"Left out ({len(tasks)}): {reason}: {', '.join(tasks)}", flush=True)
    narrator = Narrator(lambda line: console.print(line, soft_wrap=True))
    summary = run(benchmark, model, out, plan, Watch(narrator.step, narrator.episode))
    console.print(table(summary))
    print(f"Run folder: {out}", flush=True)
    if summary.stopped:
        print(f"glimpse: {summary.stopped}", file=sys.stderr)
    return summary


def _left_out(benchmark: Benchmark) -> dict[str, list[str]]:
    """The tasks that are left out, by the reason."""
    reasons: dict[str, list[str]] = {}
    for task, reason in benchmark.skipped.items():
        reasons.setdefault(reason, []).append(task)
    return reasons


def progress_line(progress: Progress) -> str:
    """One line of a training's progress: step, minutes, speed, losses, and hits of the held-out questions when they were asked."""
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in progress.losses.items())
    hits = "  ".join(f"{tag} {hit}/{asked}" for tag, (hit, asked) in (progress.validation or {}).items())
    line = f"step {progress.step}  {progress.minutes:.1f} min  {progress.samples_per_second:.1f} samples/s  {losses}"
    return f"{line}  held out: {hits}" if hits else line


def table(summary: Summary) -> Table:
    """One row a task and one for all, with Wilson's 95 % interval. The interval of all takes the tasks as given, not as a sample."""
    shown = Table(title=f"{summary.benchmark} {summary.version}", title_justify="left")
    for heading in ("task", "success", "rate", "95 % interval", "steps", "errors", "ended"):
        shown.add_column(heading, justify="left" if heading in ("task", "ended") else "right")
    for task, found in summary.tasks.items():
        shown.add_row(task, *_figures(found), ", ".join(f"{status} {count}" for status, count in sorted(found.statuses.items())))
    shown.add_section()
    shown.add_row("all", *_figures(summary), "" if summary.complete else f"{summary.planned - summary.episodes} not run", style="bold")
    return shown


def _figures(found: Rate | Summary) -> tuple[str, ...]:
    low, high = found.wilson95
    interval = f"{low:.2f}–{high:.2f}"
    return f"{found.successes}/{found.episodes}", f"{found.success_rate:.2f}", interval, f"{found.mean_steps:.1f}", str(found.errors)


def _one_line(text: str, longest: int = 160) -> str:
    """Text of a page or a model in one line, without the control characters that would speak to the terminal."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
