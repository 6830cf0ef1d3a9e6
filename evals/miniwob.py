"""MiniWoB++: small web pages with a task each, solved from pixels, scored by the page itself.

The pages come from the `miniwob` package (MIT, github.com/Farama-Foundation/miniwob-plusplus), of which only the HTML is used. How they are
driven (seed, timer, START cover, end of the episode) follows its html/core/core.js. Success is strict: raw reward ≥ 1.0.
"""

from __future__ import annotations

import builtins
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.trajectory import Trajectory
from environments.base import Button, EnvironmentFault, Observation, Point
from environments.browser import BrowserEnvironment
from evals.base import EvalError, Score, Task

VIEWPORT, REGION, SCALE = (340, 230), (168, 224), 1.5
"""CSS pixels the page lives in, the part of them that is seen, and device pixels for each: 252×336 pixels, a multiple of 28 both ways.

The viewport is wider than the page (160×210): dialogs place themselves by it, and native drop-downs need the room.
"""
STEPS = 10
"""The usual budget of actions (BrowserGym's)."""
THRESHOLD = 1.0

_START = """
(seed) => {
  if (!document.getElementById('unseen')) {
    const style = document.createElement('style');
    style.id = 'unseen';
    style.textContent = '#reward-display, #click-canvas { visibility: hidden !important }';
    document.head.append(style);
  }
  core.endEpisode(0);
  Math.seedrandom(String(seed));
  core.EPISODE_MAX_TIME = 1e6;
  core.startEpisodeReal();
}
"""
_READY = """
async () => {
  const ready = () => document.readyState === 'complete' && typeof core !== 'undefined' && typeof Math.seedrandom === 'function';
  for (let tries = 0; tries < 500 && !ready(); tries++) await new Promise(later => setTimeout(later, 10));
  return ready();
}
"""
_STATE = "() => [WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL, String(WOB_REWARD_REASON ?? '')]"
_UTTERANCE = "() => { const u = core.getUtterance(); return typeof u === 'string' ? u : u.utterance; }"


def pages() -> Path:
    """The folder of the package's HTML. Raises EvalError when the package is not installed."""
    found = importlib.util.find_spec("miniwob")
    if found is None or found.origin is None:
        raise EvalError("MiniWoB++ is not installed: pip install miniwob")
    return Path(found.origin).parent / "html" / "miniwob"


def task_names() -> list[str]:
    return sorted(page.stem for page in pages().glob("*.html"))


class MiniwobEnvironment:
    """One task with one seed, in the current tab of a browser that others may use before and after.

    reload: load the page anew for the episode. Without, an open page of the same task starts over in place: several times faster, but a
    few tasks (date pickers, scrolled boxes, pages of results) carry state over.
    """

    def __init__(self, browser: BrowserEnvironment, page: Path, seed: int, reload: bool = True) -> None:
        self.browser, self.page, self.seed, self.reload = browser, page, seed, reload
        self.done, self.raw, self.reason, self.instruction = False, 0.0, "", ""
        self._start: Observation | None = None
        self._seen: Observation | None = None

    def reset(self) -> Observation:
        """Load the page, seed it, start the episode; nothing to do when just done."""
        if self._start is None:
            if self.reload or self.browser.evaluate("location.href") != self.page.as_uri():
                self._load()
            self.browser.evaluate(_START, self.seed)
            self.instruction = str(self.browser.evaluate(_UTTERANCE))
            self.done, self.raw, self.reason, self._seen = False, 0.0, "", None
            self._start = self.observe()
        return self._start

    def _load(self) -> None:
        self.browser.goto(self.page.as_uri())
        if not self.browser.evaluate(_READY):
            raise EnvironmentFault(f"{self.page} is no MiniWoB++ page: reinstall the miniwob package.")

    def observe(self) -> Observation:
        """Look. Once the page says that the episode is over, its first reward is kept (one more click would start another episode) and
        the last screenshot of the episode stands for all that follow."""
        if self._seen is None or not self._over():
            self._seen = self.browser.observe()
            self._over()
        return Observation(self._seen.screenshot, notices=self._seen.notices, png=self._seen.png, terminated=self.done)

    def _over(self) -> bool:
        if not self.done:
            self.done, raw, self.reason = self.browser.evaluate(_STATE)
            self.raw = float(raw or 0.0)
        return self.done

    def move(self, point: Point) -> None:
        self._acting().move(point)

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
        self._acting().click(point, button=button, count=count, hold=hold)

    def drag(self, path: Sequence[Point], *, button: Button = "left", hold: Sequence[str] = ()) -> None:
        self._acting().drag(path, button=button, hold=hold)

    def scroll(self, point: Point, *, dx: int = 0, dy: int = 0) -> None:
        self._acting().scroll(point, dx=dx, dy=dy)

    def type(self, text: str) -> None:
        self._acting().type(text)

    def press(self, *keys: str) -> None:
        self._acting().press(*keys)

    def _acting(self) -> BrowserEnvironment:
        self._start = None
        return self.browser

    def close(self) -> None:
        """The browser stays: it is the benchmark's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Miniwob:
    """Tasks × seeds. One browser, started with the first episode, serves them all."""

    name = "miniwob"

    def __init__(self, tasks: Sequence[str], seeds: Sequence[int], *, headless: bool = True, reload: bool = True) -> None:
        self._tasks = [Task(name, seed=seed, max_steps=STEPS) for name in tasks for seed in seeds]
        self._headless, self._reload = headless, reload
        self._browser: BrowserEnvironment | None = None

    @property
    def version(self) -> str:
        return importlib.metadata.version("miniwob")

    def tasks(self) -> Sequence[Task]:
        return self._tasks

    def environment(self, task: Task) -> MiniwobEnvironment:
        if self._browser is None:
            self._browser = BrowserEnvironment("about:blank", viewport=VIEWPORT, scale=SCALE, region=REGION, headless=self._headless)
            self._browser.reset()
        return MiniwobEnvironment(self._browser, pages() / f"{task.id}.html", task.seed or 0, self._reload)

    def instruction(self, task: Task, env: Any) -> str:
        env.reset()
        return str(env.instruction)

    def score(self, task: Task, trajectory: Trajectory, env: Any) -> Score:
        success = bool(env.done and env.raw >= THRESHOLD)
        return Score(
            success,
            max(0.0, min(1.0, env.raw)),
            raw=env.raw,
            reason=env.reason or ("" if env.done else "the page never said that it was over"),
        )

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()
            self._browser = None


def make(*, tasks: Sequence[str] = (), seeds: Sequence[int] = (), headless: bool = True) -> Miniwob:
    known = task_names()
    unknown = [name for name in tasks if name not in known]
    if unknown:
        raise EvalError(
            f"MiniWoB++ has no task {unknown[0]!r}; it has {len(known)}, such as click-test, click-tab, login-user (see {pages()})."
        )
    return Miniwob(tasks or known, seeds or range(5), headless=headless)
