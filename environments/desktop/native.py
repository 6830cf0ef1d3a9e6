"""Typing where there is no X display (macOS, Windows): keys through pyautogui, any other text pasted, the clipboard restored."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from environments.base import ActionError, key_name
from environments.desktop.clipboard import Clipboard

NAMES = {"meta": "command" if sys.platform == "darwin" else "win", "alt": "option" if sys.platform == "darwin" else "alt",
         "pageup": "pageup", "contextmenu": "apps", "printscreen": "printscreen", "escape": "esc"}  # fmt: skip
PASTED = 0.2
"""Seconds a program is given to take what is pasted before the clipboard is restored."""


class NativeKeyboard:
    """The same as Keyboard, over pyautogui's module."""

    def __init__(self, gui: Any, check: Callable[[], None]) -> None:
        self._gui, self._check, self._clipboard = gui, check, Clipboard(None)
        self.held: list[str] = []

    def type(self, text: str) -> None:
        if all(" " <= character <= "~" or character in "\n\t" for character in text):
            for character in text:
                self._check()
                self._gui.write(character, _pause=False)
            return
        before = self._clipboard.read()
        self._clipboard.write(text)
        self.press(["meta" if sys.platform == "darwin" else "ctrl", "v"])
        time.sleep(PASTED)
        self._clipboard.write(before)

    def press(self, keys: Sequence[str]) -> None:
        with self.holding([key_name(key) for key in keys]):
            pass

    @contextmanager
    def holding(self, keys: Sequence[str]) -> Iterator[None]:
        down: list[str] = []
        try:
            for key in keys:
                self.down(key)
                down.append(key)
            yield
        finally:
            for key in reversed(down):
                self.up(key)

    def down(self, key: str) -> None:
        self._gui.keyDown(self._name(key), _pause=False)
        self.held.append(key_name(key))

    def up(self, key: str) -> None:
        self._gui.keyUp(self._name(key), _pause=False)
        if key_name(key) in self.held:
            self.held.remove(key_name(key))

    def _name(self, key: str) -> str:
        name = key_name(key)
        found = NAMES.get(name, name)
        if not self._gui.isValidKey(found):
            raise ActionError(f"This system has no key {key!r}.")
        return found

    def release(self) -> None:
        while self.held:
            self.up(self.held[-1])

    def restore(self) -> None:
        """Nothing was changed."""
