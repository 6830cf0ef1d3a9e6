"""The screen as an agent meets it: what is seen, the ways to act, one unit (pixels of the screenshot), one vocabulary of keys.

Knows nothing of models, actions or tasks; imports no browser and no display.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

from PIL import Image

Button = Literal["left", "right", "middle"]


class Point(NamedTuple):
    """A pixel of the screenshot; the origin is its top-left corner."""

    x: int
    y: int


class Box(NamedTuple):
    """A rectangle in pixels of the screenshot; all four edges belong to it."""

    left: float
    top: float
    right: float
    bottom: float

    def __contains__(self, point: object) -> bool:
        if not isinstance(point, tuple) or len(point) != 2:
            return False
        return bool(self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom)

    @property
    def center(self) -> Point:
        return Point(int((self.left + self.right) / 2), int((self.top + self.bottom) / 2))


class ActionError(Exception):
    """An action that could not be done; the environment goes on. Its text is written for the model: what happened, what to do next."""


class EnvironmentFault(RuntimeError):
    """An environment that cannot start or cannot go on. Its text is one line for a person: what happened, to what, and the way out."""


class Stopped(RuntimeError):
    """A person has pulled the kill switch: nothing more may be done on the screen. Its text says how, in one line."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the agent sees at one moment.

    screenshot: RGB. png: the same pixels as they were captured, encoded, so that recording them costs nothing.
    notices: what a screenshot cannot show ("a dialog says …", "downloaded report.pdf"), each told once.
    terminated: the environment's own end of the episode was reached (gymnasium's word); no further action may follow.
    """

    screenshot: Image.Image
    url: str | None = None
    tabs: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    png: bytes | None = None
    terminated: bool = False


@runtime_checkable
class Environment(Protocol):
    """Two ways to look, six ways to act, in screenshot pixels.

    Acting raises ActionError when the action could not be done and the environment can go on, EnvironmentFault when it cannot.
    """

    def reset(self) -> Observation:
        """Start anew and look."""
        ...

    def observe(self) -> Observation:
        """Look, once the screen has settled or the bound for that has passed."""
        ...

    def move(self, point: Point) -> None: ...

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None: ...

    def drag(self, path: Sequence[Point], *, button: Button = "left", hold: Sequence[str] = ()) -> None: ...

    def scroll(self, point: Point, *, dx: int = 0, dy: int = 0) -> None:
        """Turn the wheel over a point: notches, positive dy towards the end of the page, positive dx to the right."""
        ...

    def type(self, text: str) -> None: ...

    def press(self, *keys: str) -> None:
        """Press canonical keys (see `key_name`) together, in order, and release them."""
        ...

    def close(self) -> None:
        """Give everything back; may be called any number of times."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class HeldInput(Protocol):
    """Environments in which a button or key can stay down over several steps; `close` and `reset` release what is held."""

    def mouse_down(self, point: Point, *, button: Button = "left") -> None: ...

    def mouse_up(self, point: Point, *, button: Button = "left") -> None: ...

    def key_down(self, key: str) -> None: ...

    def key_up(self, key: str) -> None: ...


@runtime_checkable
class Browser(Environment, Protocol):
    """What only a browser can do. Tabs are counted from 0, in the order of `Observation.tabs`."""

    def goto(self, url: str) -> None: ...

    def back(self) -> None: ...

    def forward(self) -> None: ...

    def reload(self) -> None: ...

    def new_tab(self, url: str = "") -> None: ...

    def switch_tab(self, index: int) -> None: ...

    def close_tab(self, index: int | None = None) -> None:
        """Close a tab; the current one when no index is given."""
        ...

    def select_option(self, point: Point, option: str) -> None:
        """Choose an option, by its visible text or value, of the <select> at a point."""
        ...

    def upload(self, paths: Sequence[str]) -> None:
        """Give files to the file chooser that is open."""
        ...

    def answer_dialog(self, accept: bool, text: str = "") -> None:
        """Accept or dismiss the JavaScript dialog that is open; text answers a prompt."""
        ...


@runtime_checkable
class Desktop(Environment, Protocol):
    """What only a desktop can do. A window is named by a part of its title or of its program's name, in any case of letters."""

    def open_app(self, command: str) -> None: ...

    def windows(self) -> Sequence[NamedWindow]:
        """The open windows, the topmost last."""
        ...

    def focus_window(self, name: str) -> None: ...

    def close_window(self, name: str) -> None: ...

    def read_clipboard(self) -> str: ...

    def write_clipboard(self, text: str) -> None: ...

    def zoom(self, box: Box) -> Image.Image:
        """A part of what is seen, at the screen's full resolution."""
        ...


class NamedWindow(Protocol):
    """A window as a list of windows shows it."""

    @property
    def title(self) -> str: ...

    @property
    def program(self) -> str: ...

    @property
    def focused(self) -> bool: ...


def check_inside(point: Point, size: tuple[int, int]) -> None:
    """Raise ActionError, naming the size, when a point lies outside a screenshot of that width and height in pixels."""
    if not (0 <= point.x < size[0] and 0 <= point.y < size[1]):
        raise ActionError(f"({point.x}, {point.y}) lies outside the screenshot, which is {size[0]} by {size[1]} pixels.")


_NAMED = (
    "ctrl alt shift meta enter tab escape backspace delete insert space up down left right home end pageup pagedown "
    "capslock numlock scrolllock printscreen pause contextmenu"
)
KEYS: frozenset[str] = frozenset(
    [*_NAMED.split(), *(f"f{n}" for n in range(1, 25)), *(chr(c) for c in range(33, 127) if not chr(c).isupper())]
)
"""The canonical keys: names in lower case, and printable ASCII characters as themselves (letters in lower case)."""

_ALIASES = {
    "control": "ctrl", "controlleft": "ctrl", "controlright": "ctrl", "ctrlleft": "ctrl", "ctrlright": "ctrl", "option": "alt",
    "altleft": "alt", "altright": "alt", "shiftleft": "shift", "shiftright": "shift", "cmd": "meta", "command": "meta",
    "win": "meta", "windows": "meta", "super": "meta", "winleft": "meta", "winright": "meta", "metaleft": "meta",
    "metaright": "meta", "return": "enter", "kpenter": "enter", "esc": "escape", "back": "backspace", "del": "delete",
    "ins": "insert", "spacebar": "space", " ": "space", "arrowup": "up", "arrowdown": "down", "arrowleft": "left",
    "arrowright": "right", "uparrow": "up", "downarrow": "down", "leftarrow": "left", "rightarrow": "right", "pgup": "pageup",
    "pgdn": "pagedown", "pgdown": "pagedown", "prior": "pageup", "next": "pagedown", "caps": "capslock", "menu": "contextmenu",
    "apps": "contextmenu", "prtsc": "printscreen", "prtscr": "printscreen", "print": "printscreen", "plus": "+", "minus": "-",
}  # fmt: skip
_PUNCTUATION = (
    "exclam quotedbl numbersign dollar percent ampersand apostrophe parenleft parenright asterisk comma period slash colon semicolon less "
    "equal greater question at bracketleft backslash bracketright asciicircum underscore grave braceleft bar braceright asciitilde"
)
_ALIASES |= zip(_PUNCTUATION.split(), "!\"#$%&'()*,./:;<=>?@[\\]^_`{|}~", strict=True)  # X's names (keysymdef.h)
_ALIASES |= {"quote": "'", "backquote": "`"}  # the DOM's


def key_name(name: str) -> str:
    """The canonical name of a key as models, playwright, pyautogui and xdotool spell it ("Control_L", "Return", "PageDown", "a").

    Raises ActionError, naming the key, when there is no such key.
    """
    folded = name.strip().lower() if name.strip() else name[:1]
    bare = folded if len(folded) == 1 else folded.replace("_", "").replace("-", "").replace(" ", "")
    for candidate in (bare, _ALIASES.get(bare, ""), bare[:-1] if len(bare) > 2 and bare.endswith(("l", "r")) else ""):
        if candidate in KEYS:
            return candidate
        if candidate in _ALIASES:
            return _ALIASES[candidate]
    raise ActionError(f"There is no key {name!r}. Use ctrl, alt, shift, enter, tab, escape, up, pagedown, f5 …, or one character.")
