"""A run told on the terminal as it goes: a line a step, a line an episode, how far it is and how long it will take; then its table."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from agent.base import Step
from evals.base import Benchmark
from evals.episode import Episode
from evals.folder import RUN, read_about
from evals.html import write_report
from evals.plan import Plan, Slot
from evals.report import Terminal, one_line, step_line, table
from evals.runner import Again, Watch, run
from evals.summary import Summary
from evals.worker import OnStep, PerEpisode, Worker
from model.base import Model

RECENT = 50
"""The rate is that of so many last episodes."""


class Narrator:
    """Tells a run line by line: task, action, reward. A step's reward is known when its episode's next step or its end has come."""

    def __init__(self, say: Callable[[Text], None], pace: Pace | None = None) -> None:
        self._say, self._pace = say, pace or Pace()
        self._held: dict[str, tuple[Slot, Step]] = {}

    def step(self, slot: Slot, step: Step) -> None:
        self._release(slot.key, "")
        self._held[slot.key] = (slot, step)

    def episode(self, episode: Episode) -> None:
        rewarded = "" if episode.is_error else f"reward {episode.reward if episode.raw is None else episode.raw:.2f}"
        self._release(episode.key, rewarded)
        self._pace.ended()
        verdict, style = ("error", "red") if episode.is_error else ("success", "green") if episode.success else ("failure", "yellow")
        name = episode.task if episode.seed is None else f"{episode.task} seed {episode.seed}"
        name += f" repeat {episode.repeat}" if episode.repeat else ""
        how = f"{episode.ended or episode.status} after {episode.steps} steps, {episode.seconds:.1f} s{self._pace.told()}"
        line = Text.assemble((f"{name}: ", "bold"), (verdict, style), (f" ({how})  ", "dim"))
        self._say(line.append(one_line(episode.instruction)).append(f"  {one_line(episode.reason)}", "dim"))

    def _release(self, key: str, reward: str) -> None:
        if key in self._held:
            slot, step = self._held.pop(key)
            line = Text(f"  {slot.task.id}").append_text(step_line(step))
            self._say(line.append(f"  {reward or 'reward –'}", "cyan"))


class Pace:
    """How far a run is, how many episodes a minute, and how long the rest will take at the rate of the last ones."""

    def __init__(self) -> None:
        self.planned = self.done = 0
        self._ends = deque([time.monotonic()], maxlen=RECENT + 1)

    def begun(self, planned: int, done: int) -> None:
        self.planned, self.done = planned, done
        self._ends.clear()
        self._ends.append(time.monotonic())

    def ended(self) -> None:
        self.done += 1
        self._ends.append(time.monotonic())

    def told(self) -> str:
        """ "; 12/80, 31 a minute, 2 min left"; nothing when it is not known how many there are."""
        if not self.planned:
            return ""
        seconds = max(self._ends[-1] - self._ends[0], 1e-3)
        a_minute = 60 * (len(self._ends) - 1) / seconds
        left = (self.planned - self.done) / a_minute if a_minute else 0.0
        rest = "" if self.done >= self.planned else f", {left * 60:.0f} s left" if left < 2 else f", {left:.0f} min left"
        return f"; {self.done}/{self.planned}, {a_minute:.{0 if a_minute >= 10 else 1}f} a minute{rest}"


def run_and_tell(
    make: Callable[[], Benchmark],
    model: Model | PerEpisode,
    out: Path,
    plan: Plan,
    *,
    again: Again = "no",
    about: Mapping[str, Any] | None = None,
    hire: Callable[[OnStep], Worker] | None = None,
) -> Summary:
    """Run a benchmark as `evals.runner.run` does, and tell it on the terminal: steps, episodes, the table, the folder, its page."""
    console, pace = Terminal(), Pace()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True)
    running = bar.add_task("episodes", total=None)
    narrator = Narrator(lambda line: bar.console.print(line, soft_wrap=True), pace)

    def planned(count: int, there: Sequence[Episode]) -> None:
        pace.begun(count, len(there))
        bar.update(running, total=count, completed=len(there))
        if there:
            console.print(f"{len(there)} of {count} episodes are there already; {count - len(there)} to run.")
        for reason, tasks in _left_out(read_about(out) if (out / RUN).exists() else {}).items():
            console.print(f"Left out ({len(tasks)}): {reason}: {', '.join(tasks)}", markup=False, highlight=False, soft_wrap=True)

    def episode(ended: Episode) -> None:
        narrator.episode(ended)
        bar.update(running, advance=1, description=pace.told().lstrip("; "))

    with bar if console.is_terminal else nullcontext():
        summary = run(make, model, out, plan, Watch(narrator.step, episode, planned), again=again, about=about, hire=hire)
    console.print(table(summary))
    try:
        print(f"Run folder: {out}\nReport: {write_report(out)}", flush=True)
    except OSError as error:
        print(f"glimpse: the report could not be written: {error.strerror}; glimpse report {out} writes it.", file=sys.stderr)
    if summary.stopped:
        print(f"glimpse: {summary.stopped}", file=sys.stderr)
    return summary


def _left_out(about: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tasks that are left out, by the reason."""
    reasons: dict[str, list[str]] = {}
    for task, reason in about.get("skipped", {}).items():
        reasons.setdefault(reason, []).append(task)
    return reasons
