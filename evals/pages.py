"""A page as an environment: one episode in the current tab of a browser that other episodes use before and after.

Seen and acted on by the browser itself, or by a desktop: a window on a virtual display, seen by mss and driven by pyautogui.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from environments.base import Box, Button, Environment, Observation, Point
from environments.browser import BrowserEnvironment, BrowserOptions
from environments.desktop import DesktopEnvironment
from evals.base import EvalError, Task
from model.base import Model

if TYPE_CHECKING:
    from evals.oracles.page import Others, Script

VIEWPORT, REGION, SCALE = (340, 230), (168, 224), 1.5
"""CSS pixels a page lives in, the part of them that is seen, and device pixels for each: 252×336 pixels, a multiple of 28 both ways.

MiniWoB++'s pages are 160×210; their viewport is wider, since dialogs place themselves by it and native drop-downs need the room.
"""
KIOSK = (
    "--kiosk", "--window-position=0,0", f"--force-device-scale-factor={SCALE}", "--disable-lcd-text", "--disable-infobars",
    "--disable-background-networking", "--no-first-run", "--no-default-browser-check", "--hide-crash-restore-bubble",
)  # fmt: skip
"""A window that is nothing but its page, drawn as a page without a window is."""


def in_pixels(lengths: Sequence[float]) -> list[float]:
    """CSS pixels as pixels of the screenshot, two digits behind the point."""
    return [round(length * SCALE, 2) for length in lengths]


RENEWED = 50
"""So many episodes share a page: Chromium's process for it grows with every address it is led to, and grows slower (docs/log.md)."""
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


class PageEnvironment(ABC):
    """The six verbs, handed to the browser; a subclass knows how its page is opened and when it is over.

    instruction: known once the page is open. script: how an oracle goes through it, None when none knows. others: what else could
    be asked for on it, None when nothing is known.
    """

    instruction = ""
    script: Script | None = None
    others: Others | None = None

    def __init__(self, browser: BrowserEnvironment, screen: Environment | None = None) -> None:
        """screen: what is looked at and acted on, if not the browser itself."""
        self.browser, self.screen = browser, screen or browser
        self._start: Observation | None = None

    @abstractmethod
    def open(self) -> None:
        """Lead the browser to the start of the episode."""

    def reset(self) -> Observation:
        """Open the page; nothing to do when that has just been done."""
        if self._start is None:
            self.open()
            self._shown()
            self._start = self.observe()
        return self._start

    def _shown(self) -> None:
        """On a desktop: wait until the page is painted, the pointer out of the way, where the episode before has not left it."""
        if self.screen is not self.browser:
            self.browser.evaluate(_PAINTED)
            self.screen.move(Point(*(round(SCALE * side) - 1 for side in REGION)))

    def observe(self) -> Observation:
        return self.screen.observe()

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

    def _acting(self) -> Environment:
        self._start = None
        return self.screen

    def close(self) -> None:
        """Nothing but the end of the episode: the browser is the benchmark's."""
        self._start = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class PageBenchmark:
    """What benchmarks of pages share: one browser, started with the first episode and lent to all of them, and the tasks in order.

    environment: "browser", or "desktop" for a window on a virtual display.
    """

    oracle_prompt = "compact"
    skipped: Mapping[str, str] = {}

    def __init__(self, tasks: Sequence[Task], headless: bool, environment: str = "browser") -> None:
        if environment not in ("browser", "desktop"):
            raise EvalError(f"These pages can be seen in a browser or on a desktop, not in {environment!r}.")
        self._tasks, self._headless, self._surface = tasks, headless, environment
        self._browser: BrowserEnvironment | None = None
        self._desktop: DesktopEnvironment | None = None
        self._lent = 0

    def tasks(self) -> Sequence[Task]:
        return self._tasks

    def instruction(self, task: Task, env: Any) -> str:
        """What is asked, for which the page is opened."""
        env.reset()
        return str(env.instruction)

    def oracle(self, task: Task, env: Any) -> Model:
        """Raises EvalError for a page that no oracle knows."""
        from evals.oracles.base import Oracle

        if env.script is None:
            raise EvalError(f"There is no oracle for {task.id!r}.")
        return Oracle(env, env.script)

    def browser(self) -> BrowserEnvironment:
        """The browser, to be asked for once for each episode: every RENEWED episodes it gets a fresh page in a process of its own. Raises
        EnvironmentFault when none can be started."""
        self._lent += 1
        if self._browser is not None and self._desktop is None and self._lent % RENEWED == 0:
            self._browser.reset()
        if self._browser is None:
            headless, options = self._headless, BrowserOptions()
            if self._surface == "desktop":
                env = self._display()
                headless, options = False, BrowserOptions(flags=KIOSK, in_window=True, env=env, profile=Path(env["HOME"]) / "chromium")
            self._browser = BrowserEnvironment(
                "about:blank", viewport=VIEWPORT, scale=SCALE, region=REGION, headless=headless, options=options
            )
            self._browser.reset()
        return self._browser

    def screen(self) -> Environment:
        """What is looked at. Raises EnvironmentFault as `browser` does."""
        return self._desktop or self._browser or self.browser()

    def _display(self) -> dict[str, str]:
        """The variables of a virtual display as large as the pages' viewport."""
        width, height = (round(SCALE * side) for side in VIEWPORT)
        seen = Box(0, 0, *(round(SCALE * side) - 1 for side in REGION))
        self._desktop = DesktopEnvironment(display="virtual", size=(width, height), region=seen)
        self._desktop.reset()
        assert self._desktop.virtual is not None
        return self._desktop.virtual.env

    def close(self) -> None:
        for opened in (self._browser, self._desktop):
            if opened is not None:
                opened.close()
        self._browser = self._desktop = None
