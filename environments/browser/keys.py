"""Keys as playwright spells them, and text split into what is typed key by key and what is inserted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from environments.base import ActionError, key_name

_SPELLINGS = {
    "ctrl": "Control", "alt": "Alt", "shift": "Shift", "meta": "Meta", "enter": "Enter", "tab": "Tab", "escape": "Escape",
    "backspace": "Backspace", "delete": "Delete", "insert": "Insert", "space": " ", "up": "ArrowUp", "down": "ArrowDown",
    "left": "ArrowLeft", "right": "ArrowRight", "home": "Home", "end": "End", "pageup": "PageUp", "pagedown": "PageDown",
    "capslock": "CapsLock", "numlock": "NumLock", "scrolllock": "ScrollLock", "printscreen": "PrintScreen", "pause": "Pause",
    "contextmenu": "ContextMenu", **{f"f{n}": f"F{n}" for n in range(1, 13)},
}  # fmt: skip
KEYED_LIMIT = 300
"""Characters; a longer text is inserted line by line, as pasting does, since each key costs about 10 ms."""
_PIECES = re.compile(r"(?P<enter>\r\n|\n|\r)|(?P<tab>\t)|(?P<keys>[ -~]+)|(?P<insert>[^ -~\n\r\t]+)")
_LONG_PIECES = re.compile(r"(?P<enter>\r\n|\n|\r)|(?P<tab>\t)|(?P<insert>[^\n\r\t]+)")


class Piece(NamedTuple):
    """A stretch of text and the way it is entered."""

    way: Literal["enter", "tab", "keys", "insert"]
    text: str


def playwright_key(name: str) -> str:
    """A key of any spelling, as playwright spells it. Raises ActionError when there is no such key."""
    canonical = key_name(name)
    if canonical in _SPELLINGS or len(canonical) == 1:
        return _SPELLINGS.get(canonical, canonical)
    raise ActionError(f"The browser has no key {name!r}.")


def pieces(text: str) -> Iterator[Piece]:
    """The text in order: keys of a US keyboard are pressed, every other character is inserted as an input method does."""
    for match in (_PIECES if len(text) <= KEYED_LIMIT else _LONG_PIECES).finditer(text):
        yield Piece(match.lastgroup, match[0])  # type: ignore[arg-type]
