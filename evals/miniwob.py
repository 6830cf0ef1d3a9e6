"""MiniWoB++: small web pages with a task each, solved from pixels, scored by the page itself.

The pages come from the `miniwob` package (MIT, github.com/Farama-Foundation/miniwob-plusplus), of which only the HTML is used. How they are
driven (seed, timer, START cover, end of the episode) follows its html/core/core.js. Success is strict: a raw reward of 1, or near it where
1 is out of reach; BrowserGym counts any raw reward above 0, which is told beside it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.trajectory import Trajectory
from environments.base import Environment, EnvironmentFault, Observation, Point
from environments.browser import BrowserEnvironment
from evals.base import EvalError, Score, Source, Task, match_names
from evals.miniwob_tasks import SUITES, browsergym_episodes, episodes, suite_tasks, threshold
from evals.oracles import ORACLES, PARTLY
from evals.oracles.others import OTHERS
from evals.pages import REGION, SCALE, PageBenchmark, PageEnvironment

SOURCE = Source(
    data="MiniWoB++, Farama Foundation: pages in the PyPI package miniwob",
    licence="MIT",
    ran="whole",
    get="pip install 'glimpse[evals]'",
)
_START = """
(seed) => {
  if (!document.getElementById('unseen')) {
    const style = document.createElement('style');
    style.id = 'unseen';
    style.textContent = '#reward-display, #click-canvas { visibility: hidden !important }';
    document.head.append(style);
  }
  if (document.activeElement) document.activeElement.blur();
  getSelection().removeAllRanges();
  core.endEpisode(0);
  Math.seedrandom(seed);
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


_CARRIES = frozenset(
    (
        "choose-date",
        "choose-date-easy",
        "choose-date-medium",
        "choose-date-nodelay",
        "search-engine",
        "use-colorwheel",
        "use-colorwheel-2",
    )
)
"""Pages that keep something of an episode for the next (a month, a page of results, a colour) unless they are loaded anew."""


def pages() -> Path:
    """The folder of the package's HTML. Raises EnvironmentFault when the package is not installed."""
    found = importlib.util.find_spec("miniwob")
    if found is None or found.origin is None:
        raise EnvironmentFault("MiniWoB++ is not installed: pip install miniwob")
    return Path(found.origin).parent / "html" / "miniwob"


def task_names() -> list[str]:
    return sorted(page.stem for page in pages().glob("*.html"))


class MiniwobEnvironment(PageEnvironment):
    """One task with one seed.

    seed: what the page's random numbers are made from; a text and a number of the same digits differ. reload: load the page anew for the
    episode. Without, an open page of the same task starts over in place: several times faster, but a few tasks (date pickers, scrolled
    boxes, pages of results) carry state over.
    """

    def __init__(
        self, browser: BrowserEnvironment, page: Path, seed: str | int, reload: bool = True, screen: Environment | None = None
    ) -> None:
        super().__init__(browser, screen)
        self.page, self.seed, self.reload = page, seed, reload
        self.script, self.others = ORACLES.get(page.stem) or PARTLY.get(page.stem), OTHERS.get(page.stem)
        self.done, self.raw, self.reason = False, 0.0, ""
        self._seen: Observation | None = None

    def open(self) -> None:
        """Load the page unless it may start over, seed it, start the episode. Raises EnvironmentFault when it is no MiniWoB++ page."""
        if self.reload or self.browser.evaluate("location.href") != self.page.as_uri():
            self.browser.goto(self.page.as_uri())
            if not self.browser.evaluate(_READY):
                raise EnvironmentFault(f"{self.page} is no MiniWoB++ page: reinstall the miniwob package.")
        else:
            self.browser.move(Point(*(round(SCALE * side) - 1 for side in REGION)))  # from what it hovers over
        self.browser.evaluate(_START, self.seed)
        self.instruction = str(self.browser.evaluate(_UTTERANCE))
        self.done, self.raw, self.reason, self._seen = False, 0.0, "", None

    def observe(self) -> Observation:
        """Look. Once the page says that the episode is over, its first reward is kept (one more click would start another episode) and
        the last screenshot of the episode stands for all that follow."""
        if self._seen is None or not self._over():
            self._seen = self.screen.observe()
            self._over()
        return Observation(self._seen.screenshot, notices=self._seen.notices, png=self._seen.png, terminated=self.done)

    def _over(self) -> bool:
        if not self.done:
            self.done, raw, self.reason = self.browser.evaluate(_STATE)
            self.raw = float(raw or 0.0)
        return self.done


class Miniwob(PageBenchmark):
    """Episodes of MiniWoB++. reload: see `MiniwobEnvironment`; without, all pages that carry nothing over start over in place."""

    name = "miniwob"

    def __init__(self, tasks: Sequence[Task], *, headless: bool = True, reload: bool = True, environment: str = "browser") -> None:
        super().__init__(tasks, headless, environment)
        self._reload = reload

    @property
    def version(self) -> str:
        return importlib.metadata.version("miniwob")

    def environment(self, task: Task) -> MiniwobEnvironment:
        seed = task.metadata.get("page_seed", str(task.seed or 0))
        reload = self._reload or task.id in _CARRIES
        return MiniwobEnvironment(self.browser(), pages() / f"{task.id}.html", seed, reload, self.screen())

    def score(self, task: Task, trajectory: Trajectory, env: Any) -> Score:
        """`Score.raw` is the page's reward before it is scaled by time, from -1 to 1."""
        success = bool(env.done and env.raw >= threshold(task.id))
        reason = env.reason if env.done else "the page never said that it was over"
        return Score(success, max(0.0, min(1.0, env.raw)), raw=env.raw, reason=reason)


def make(
    *,
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (),
    suite: str = "",
    headless: bool = True,
    reload: bool = True,
    environment: str = "browser",
) -> Miniwob:
    """All tasks with seeds 0 to 4, or a suite, narrowed by names of tasks, which may be patterns such as click-*, and by seeds.

    suite: "smoke", the 19 tasks that one click always solves, with seeds 0 and 1; "core", 123 tasks; "full", BrowserGym's episodes;
    "oracles", the tasks that have one.
    Raises EvalError for an unknown suite, a pattern that fits none of its tasks, and for seeds given to "full", which has its own.
    """
    if suite not in ("", *SUITES):
        raise EvalError(f"MiniWoB++ has no suite {suite!r}; it has {', '.join(SUITES)}.")
    of_suite = suite_tasks(suite, task_names()) if suite else task_names()
    chosen = match_names(tasks, of_suite, f"MiniWoB++{f' (suite {suite})' if suite else ''}") if tasks else of_suite
    if suite != "full":
        found = episodes(chosen, seeds or (range(2) if suite == "smoke" else range(5)))
    elif seeds:
        raise EvalError("The suite full has BrowserGym's own seeds: leave --seeds out, or take the suite core.")
    else:
        found = [task for task in browsergym_episodes(of_suite) if task.id in chosen]
    return Miniwob(found, headless=headless, reload=reload, environment=environment)
