"""Three apps of our own, each one page: a search form, a to-do list, a settings dialog; typing, ticking and choosing in a few actions.

A page makes its look, its texts and its task from the seed in its address, and also works opened by itself: app_pages/search.html?seed=3.
Made from seeds, so labelled synthetic; not for comparison with published numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.trajectory import Trajectory
from environments.base import EnvironmentFault
from environments.browser import BrowserEnvironment
from evals.base import Score, Source, Task, match_names
from evals.oracles.apps import SCRIPTS
from evals.pages import PageBenchmark, PageEnvironment

SOURCE = Source(
    data="pages made from seeds by this project", licence="Apache-2.0", ran="whole", get="nothing to get: in the package", synthetic=True
)
PAGES = Path(__file__).with_name("app_pages")
STEPS = 10
_READY = """
async () => {
  if (document.readyState !== 'complete') await new Promise(loaded => addEventListener('load', loaded));
  return typeof task !== 'undefined';
}
"""


class AppEnvironment(PageEnvironment):
    """One page with one seed."""

    def __init__(self, browser: BrowserEnvironment, name: str, seed: int) -> None:
        super().__init__(browser)
        self.url, self.script = f"{(PAGES / f'{name}.html').as_uri()}?seed={seed}", SCRIPTS[name]
        self.wanted: Any = None  # what `state` is once all that was asked is done, and nothing else; known once the page is open

    def open(self) -> None:
        """Raises EnvironmentFault when the page is not whole."""
        self.browser.goto(self.url)
        if not self.browser.evaluate(_READY):
            raise EnvironmentFault(f"{self.url} does not work: reinstall glimpse.")
        self.instruction, self.wanted = self.browser.evaluate("[task.instruction, task.wanted]")

    def state(self) -> Any:
        """What the page shows or holds: the search and what was opened; the list's texts and ticks; the settings when they were saved.

        None when another page is there, be it one of another seed that an action went back to.
        """
        return self.browser.evaluate("url => location.href === url ? state() : null", self.url)


class Apps(PageBenchmark):
    """Seeds of the three tasks, each named after its page."""

    name, version = "apps", "1"

    def environment(self, task: Task) -> AppEnvironment:
        return AppEnvironment(self.browser(), task.id, task.seed or 0)

    def score(self, task: Task, trajectory: Trajectory, env: Any) -> Score:
        """Success: the page is in the one state that was asked for, and the model said that it was done."""
        state = env.state()
        success = state == env.wanted and trajectory.status == "done"
        return Score(success, float(success), reason=f"{state} where {env.wanted} was asked, {trajectory.status}")


def make(*, tasks: Sequence[str] = (), seeds: Sequence[int] = (), headless: bool = True) -> Apps:
    """See `Apps`: all three tasks and seeds 0 to 49 unless named. Raises EvalError for a task that is none of them."""
    chosen = match_names(tasks, list(SCRIPTS), "apps") if tasks else list(SCRIPTS)
    return Apps([Task(name, seed=seed, max_steps=STEPS) for name in chosen for seed in seeds or range(50)], headless)
