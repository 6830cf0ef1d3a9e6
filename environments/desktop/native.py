"""Typing where there is no X display (macOS, Windows): keys through pyautogui, any other text pasted, the clipboard restored."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from environments.base import ActionError
from environments.desktop.clipboard import Clipboard
from environments.desktop.holding import HeldKeys

NAMES = {"meta": "command" if sys.platform == "darwin" else "win", "alt": "option" if sys.platform == "darwin" else "alt",
         "contextmenu": "apps", "escape": "esc"}  # fmt: skip
PASTED = 0.2
"""Seconds a program is given to take what is pasted before the clipboard is restored."""


class NativeKeyboard(HeldKeys):
    """The same as Keyboard, over pyautogui's module."""

    def __init__(self, gui: Any, check: Callable[[], None]) -> None:
        super().__init__()
        self._gui, self._check, self._clipboard = gui, check, Clipboard(None)

    def type(self, text: str) -> None:
        if all(" " <= character <= "~" or character in "\n\t" for character in text):
            for character in text:
                self._check()
                self._gui.write(character, _pause=False)
            return
        before = self._clipboard.read()
        try:
            self._clipboard.write(text)
            self.press(["meta" if sys.platform == "darwin" else "ctrl", "v"])
            time.sleep(PASTED)
        finally:
            self._clipboard.write(before)

    def _down(self, key: str) -> None:
        self._gui.keyDown(self._name(key), _pause=False)

    def _up(self, key: str) -> None:
        self._gui.keyUp(self._name(key), _pause=False)

    def _name(self, key: str) -> str:
        found = NAMES.get(key, key)
        if not self._gui.isValidKey(found):
            raise ActionError(f"This system has no key {key!r}.")
        return found

    def restore(self) -> None:
        """Nothing was changed."""
