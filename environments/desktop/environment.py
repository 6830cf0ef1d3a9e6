"""A desktop as an environment: a screen seen by mss, a mouse moved by pyautogui, any text typed, in pixels of the screenshot."""

from __future__ import annotations

import builtins
import os
import shlex
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from environments.base import ActionError, Box, Button, EnvironmentFault, Observation, Point, Stopped
from environments.desktop.display import VirtualDisplay
from environments.desktop.session import Session
from environments.desktop.waiting import wait_until
from environments.desktop.windows import Window

LONGEST = 200_000
"""Characters that are typed in one action."""
REACTION = 0.02
"""Seconds a program is given, after an action, to show anything at all."""
GONE = "The display has ended or does not answer any more; reset() opens one anew."
START_BOUND = 30.0
"""Seconds the programs named by `start` have to show a window."""


@dataclass(frozen=True, slots=True)
class DesktopOptions:
    """The rarely used choices of a desktop environment.

    settle_timeout: seconds a screen may take to come to rest before it is looked at. start: programs a reset of a virtual display starts,
    each as a command line; their windows are waited for. scale, home, env: of a virtual display (see VirtualDisplay). hot_key: whether
    ctrl+alt+escape stops a run; by default on real displays.
    """

    settle_timeout: float = 2.0
    start: tuple[str, ...] = ()
    scale: float = 1.0
    home: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    hot_key: bool | None = None


class DesktopEnvironment:
    """One screen, with the verbs of `environments.base.Desktop` and `HeldInput`."""

    def __init__(
        self,
        *,
        display: str | None = None,
        size: tuple[int, int] = (1280, 800),
        monitor: int = 1,
        region: Box | tuple[float, float, float, float] | None = None,
        options: DesktopOptions | None = None,
    ) -> None:
        """display: "virtual" starts one of its own, of `size` pixels, and ends it; an X display's name; None is the screen of this session.

        monitor: 1 is the first, 0 all of them side by side. region: the part of the monitor that is seen, in the system's own units.
        """
        self._options = options or DesktopOptions()
        self._virtual = VirtualDisplay(size, self._options.scale, self._options.home, self._options.env) if display == "virtual" else None
        self._named, self._monitor, self._region = display, monitor, None if region is None else Box(*region)
        self._session: Session | None = None
        self._begun = False
        self._acted = True
        self._timings: dict[str, float] = {}
        self._end: Callable[[], object] = lambda: None

    # looking

    def reset(self) -> Observation:
        """Look at the screen; a virtual display is started over if an episode has begun on it. Raises EnvironmentFault without a screen."""
        here = self._session
        if here is not None and not here.gone and (self._virtual is None or (self._virtual.alive and not self._begun)):
            here.release()
        else:
            self._open()
        self._begun = True
        here = self._here()
        here.switch.arm()
        if self._virtual is not None and self._options.start:
            known = {window.id for window in here.windows.opened()}
            for command in self._options.start:
                self._virtual.launch(shlex.split(command))
            if not wait_until(lambda: len({w.id for w in here.windows.opened()} - known) >= len(self._options.start), START_BOUND):
                raise EnvironmentFault(f"No window of {', '.join(self._options.start)} appeared within {START_BOUND:g} s.")
        self._acted = True
        return self.observe()

    def _open(self) -> None:
        self.close()
        if self._virtual is not None:
            self._virtual.start()
            self._end = weakref.finalize(self, VirtualDisplay.close, self._virtual)
        display = self._virtual.name if self._virtual else self._named or os.environ.get("DISPLAY")
        if sys.platform == "linux" and not display:
            wayland = (
                " Wayland alone shows its screen to no other program: log in to an X11 session,"
                if os.environ.get("WAYLAND_DISPLAY")
                else ""
            )
            raise EnvironmentFault(f'There is no DISPLAY.{wayland or " Set it,"} or use display="virtual".')
        hot_key = self._virtual is None if self._options.hot_key is None else self._options.hot_key
        try:
            env = self._virtual.env if self._virtual else os.environ | {"DISPLAY": display} if display else None
            self._session = Session(display, self._monitor, self._region, env, hot_key, alone=self._virtual is not None)
        except BaseException:
            self.close()
            raise

    def observe(self) -> Observation:
        """Look once the screen rests, or the bound for that has passed, which a notice then says."""
        here, notices = self._here(), []
        began = time.perf_counter()
        with self._guarded():
            if not here.eyes.settle(self._options.settle_timeout, REACTION if self._acted else 0.0):
                notices.append("The screen has not come to rest yet.")
            settled = time.perf_counter()
            screenshot = here.eyes.look()
            captured = time.perf_counter()
            png = here.eyes.png(screenshot)
        self._timings = {"settle": settled - began, "capture": captured - settled, "encode": time.perf_counter() - captured}
        self._acted = False
        if screenshot.getbbox() is None:
            notices.append("The screen is all black: it may be locked or switched off.")
        return Observation(screenshot, notices=tuple(notices), png=png)

    @property
    def timings(self) -> dict[str, float]:
        """Seconds the last look took to settle, to capture and to encode."""
        return dict(self._timings)

    def zoom(self, box: Box) -> Image.Image:
        """A part of what is seen, at the screen's full resolution. Raises ActionError when a corner lies outside."""
        with self._guarded() as here:
            return here.eyes.part(here.eyes.screen.part(box))

    # mouse and keyboard

    def move(self, point: Point) -> None:
        with self._acting(point) as (here, [spot]):
            here.mouse.move(spot)

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
        with self._acting(point) as (here, [spot]), here.keyboard.holding(hold):
            here.mouse.click(spot, button, count)

    def drag(self, path: Sequence[Point], *, button: Button = "left", hold: Sequence[str] = ()) -> None:
        """Press at the first point of the path, pass through the others, release at the last."""
        with self._acting(*path) as (here, spots), here.keyboard.holding(hold):
            here.mouse.drag(spots, button)

    def scroll(self, point: Point, *, dx: int = 0, dy: int = 0) -> None:
        with self._acting(point) as (here, [spot]):
            here.mouse.scroll(spot, dx, dy)

    def type(self, text: str) -> None:
        """Any text, whatever the keyboard's layout; a newline is Enter, a tab is Tab. Raises ActionError for what cannot be typed."""
        if len(text) > LONGEST:
            raise ActionError(f"{len(text):,} characters are too many to type at once; at most {LONGEST:,}.")
        with self._acting() as (here, _):
            here.keyboard.type(text)

    def press(self, *keys: str) -> None:
        with self._acting() as (here, _):
            here.keyboard.press(keys)

    def mouse_down(self, point: Point, *, button: Button = "left") -> None:
        with self._acting(point) as (here, [spot]):
            here.mouse.down(spot, button)

    def mouse_up(self, point: Point, *, button: Button = "left") -> None:
        with self._acting(point) as (here, [spot]):
            here.mouse.up(spot, button)

    def key_down(self, key: str) -> None:
        with self._acting() as (here, _):
            here.keyboard.down(key)

    def key_up(self, key: str) -> None:
        with self._acting() as (here, _):
            here.keyboard.up(key)

    # the desktop

    def open_app(self, command: str) -> None:
        """Start a program by its command line. Raises ActionError when there is none of that name."""
        words = _split(command)
        with self._acting():
            if self._virtual is not None:
                self._virtual.launch(words)
                return
            try:
                subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                raise ActionError(f"{words[0]} cannot be started: {error.strerror or error}.") from error

    def windows(self) -> tuple[Window, ...]:
        """The open windows, the topmost last."""
        with self._guarded() as here:
            return here.windows.opened()

    def focus_window(self, name: str) -> None:
        """Bring the window whose title or program holds the name to the front. Raises ActionError when there is none."""
        with self._acting() as (here, _):
            here.windows.focus(name)

    def close_window(self, name: str) -> None:
        """Ask it to close; it may ask back. Raises ActionError when there is none of that name."""
        with self._acting() as (here, _):
            here.windows.close_window(name)

    def read_clipboard(self) -> str:
        with self._guarded() as here:
            return here.clipboard.read()

    def write_clipboard(self, text: str) -> None:
        with self._acting() as (here, _):
            here.clipboard.write(text)

    @property
    def virtual(self) -> VirtualDisplay | None:
        """The display of its own, if it has one."""
        return self._virtual

    # underneath

    def _here(self) -> Session:
        if self._session is None:
            if self._virtual is None or self._begun:
                raise EnvironmentFault("The desktop is not open: call reset() first.")
            self._open()  # a virtual display may be prepared before its first reset
        assert self._session is not None
        return self._session

    @contextmanager
    def _guarded(self) -> Iterator[Session]:
        """Errors of a display that has gone as ours; what is held is released whatever goes wrong."""
        here = self._here()
        if here.gone or (self._virtual is not None and not self._virtual.alive):
            here.gone = True
            raise EnvironmentFault(GONE)
        try:
            yield here
        except ActionError:
            raise
        except Exception as error:
            here.gone = not (isinstance(error, Stopped) or here.answers())
            here.release()
            if here.gone:
                raise EnvironmentFault(GONE) from error
            raise

    @contextmanager
    def _acting(self, *points: Point) -> Iterator[tuple[Session, list[tuple[int, int]]]]:
        with self._guarded() as here:
            spots = [here.eyes.screen.place(point) for point in points]
            here.switch.check()
            self._acted = True
            yield here, spots

    def close(self) -> None:
        """Release what is held; end a virtual display and its programs."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._begun = False
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ActionError(f"{command!r} is no command line: {error}.") from None
    if not words:
        raise ActionError("Name a program to open.")
    return words
