"""Typing on an X display, whatever its layout: characters that no key gives are put on spare keys first (XTEST; XK_* of X11/keysymdef.h).

A character outside Latin-1 has the keysym 0x01000000 + its code point (X Window System Protocol, appendix A).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from environments.base import ActionError, EnvironmentFault
from environments.desktop.holding import HeldKeys

NAMES = {
    "ctrl": "Control_L", "alt": "Alt_L", "shift": "Shift_L", "meta": "Super_L", "enter": "Return", "tab": "Tab", "escape": "Escape",
    "backspace": "BackSpace", "delete": "Delete", "insert": "Insert", "space": "space", "up": "Up", "down": "Down", "left": "Left",
    "right": "Right", "home": "Home", "end": "End", "pageup": "Page_Up", "pagedown": "Page_Down", "capslock": "Caps_Lock",
    "numlock": "Num_Lock", "scrolllock": "Scroll_Lock", "printscreen": "Print", "pause": "Pause", "contextmenu": "Menu",
    **{f"f{n}": f"F{n}" for n in range(1, 25)},
}  # fmt: skip
"""Canonical keys (environments.base.KEYS) by their names in X; a printable character is its own."""
BATCH = 40
"""Characters sent before the display is waited for and a person's stop is heard."""
REUSE = 0.25
"""Seconds before a spare key gets another character: programs must have read what it was pressed for."""
SPREAD = 0.02
"""Seconds programs are given to hear of new keys."""
NO_SYMBOL = 0
UNICODE = 0x01000000
MEDIA = 0x10080000
"""Keysyms from here on are those of XF86keysym.h: volume, brightness, mail."""
LOCK = 1 << 1


def keysym(character: str) -> int:
    code = ord(character)
    return code if 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xFF else UNICODE + code


class Keyboard(HeldKeys):
    """Keys of one display.

    connection: an open Xlib display. check: raises when a person wants all this to stop. alone: nobody has a keyboard there, so that keys
    for volume, brightness and the like are spare as well.
    """

    def __init__(self, connection: Any, check: Callable[[], None], alone: bool = False) -> None:
        from Xlib import XK
        from Xlib.ext import xtest

        super().__init__()
        self._display, self._check, self._fake, self._named = connection, check, xtest.fake_input, XK.string_to_keysym
        if not connection.has_extension("XTEST"):
            raise EnvironmentFault("The display has no XTEST extension, so nothing can be typed or clicked there.")
        info = connection.display.info
        self._first, self._count = info.min_keycode, info.max_keycode - info.min_keycode + 1
        self._keys: dict[int, tuple[int, bool]] = {}
        self._alone = alone
        self._before: dict[int, list[int]] = {}  # keycode → what it gave before it was used as a spare one
        self._own: dict[int, int] = {}  # keysym → spare keycode that this put it on, the one pressed longest ago first
        self._pressed: dict[int, float] = {}  # when each of those was pressed last
        self._spare: list[int] = []
        self._rows: list[list[int]] = []

    def _read(self) -> None:
        """The layout as it is now: which key gives which keysym, alone or with Shift; keys that give nothing."""
        self._keys, self._spare = {}, []
        self._rows = [list(symbols) for symbols in self._display.get_keyboard_mapping(self._first, self._count)]
        for offset, symbols in enumerate(self._rows):
            code, used = self._first + offset, [symbol for symbol in symbols if symbol != NO_SYMBOL]
            if all(symbol >= MEDIA for symbol in used) if self._alone else not used:
                self._spare.append(code)
            for level in (0, 1):
                if level < len(symbols) and symbols[level] != NO_SYMBOL:
                    self._keys.setdefault(symbols[level], (code, bool(level)))
            if len(symbols) > 1 and symbols[0] != NO_SYMBOL and symbols[1] == NO_SYMBOL and 0x61 <= symbols[0] <= 0x7A:
                self._keys.setdefault(symbols[0] - 0x20, (code, True))
        self._own = {symbol: code for symbol, code in self._own.items() if self._keys.get(symbol, (0, False))[0] == code}

    def type(self, text: str) -> None:
        """Raises ActionError, before anything is typed, for what is no text."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        odd = next((c for c in text if (ord(c) < 0x20 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000), None)
        if odd is not None:
            raise ActionError(f"The character {odd!r} (U+{ord(odd):04X}) cannot be typed: leave it out, or press a key instead.")
        self._read()
        with self._plain():
            for batch in self._batches([self._symbol(character) for character in text]):
                self._check()
                self._have(set(batch))
                for symbol in batch:
                    self._stroke(*self._keys[symbol])
                self._display.sync()
                for symbol in batch:
                    if symbol in self._own:
                        self._own[symbol] = self._own.pop(symbol)
                        self._pressed[symbol] = time.monotonic()

    def _batches(self, symbols: Sequence[int]) -> Iterator[list[int]]:
        """In order, no more in one than there are spare keys for. Asked for anew when the one before has been typed."""
        room, batch = len(self._spare) + len(self._own), list[int]()
        rare: set[int] = set()  # of this batch: what stands on a spare key, or has yet to
        for symbol in symbols:
            is_rare = symbol in self._own or symbol not in self._keys
            if batch and (len(batch) == BATCH or (is_rare and symbol not in rare and len(rare) == room)):
                yield batch
                batch, rare = [], set()
            batch.append(symbol)
            if is_rare:
                rare.add(symbol)
        if batch:
            yield batch

    def _symbol(self, character: str) -> int:
        return int(self._named({"\n": "Return", "\t": "Tab"}[character])) if character in "\n\t" else keysym(character)

    def _have(self, symbols: set[int]) -> None:
        """Put on spare keys what no key gives. Raises ActionError when there are no spare keys at all."""
        missing = sorted(symbol for symbol in symbols if symbol not in self._keys)
        if not missing:
            return
        if not self._spare and not self._own:
            raise ActionError("The keyboard has no spare key for characters its layout lacks: paste the text instead.")
        changed, free = [], 0.0
        for symbol in missing:
            if self._spare:
                code = self._spare.pop()
            else:
                oldest = next(known for known in self._own if known not in symbols)
                code = self._own.pop(oldest)
                self._keys.pop(oldest, None)
                free = max(free, self._pressed.pop(oldest, 0.0) + REUSE)
            row = self._rows[code - self._first]
            self._before.setdefault(code, list(row))
            row[:] = [symbol] * min(2, len(row)) + [NO_SYMBOL] * (len(row) - 2)
            self._own[symbol], self._keys[symbol] = code, (code, False)
            changed.append(code)
        time.sleep(max(0.0, free - time.monotonic()))
        self._rewrite(changed)
        time.sleep(SPREAD)

    def _rewrite(self, codes: Sequence[int]) -> None:
        """Tell the display about keys: all in one request, since every program reads its keyboard anew after each."""
        first, last = min(codes), max(codes)
        self._display.change_keyboard_mapping(first, self._rows[first - self._first : last - self._first + 1])
        self._display.sync()

    def _stroke(self, code: int, shifted: bool) -> None:
        from Xlib import X

        shift = self._keys[self._named("Shift_L")][0]
        if shifted:
            self._fake(self._display, X.KeyPress, shift)
        self._fake(self._display, X.KeyPress, code)
        self._fake(self._display, X.KeyRelease, code)
        if shifted:
            self._fake(self._display, X.KeyRelease, shift)

    @contextmanager
    def _plain(self) -> Iterator[None]:
        """Caps Lock, which would turn letters round, is off meanwhile."""
        locked = bool(self._display.screen().root.query_pointer().mask & LOCK)
        caps = self._keys.get(self._named("Caps_Lock"))
        if locked and caps:
            self._stroke(caps[0], False)
        try:
            yield
        finally:
            if locked and caps:
                self._stroke(caps[0], False)
            self._display.sync()

    def _down(self, key: str) -> None:
        self._turn(key, True)

    def _up(self, key: str) -> None:
        self._turn(key, False)

    def _turn(self, key: str, down: bool) -> None:
        from Xlib import X

        self._read()
        symbol = int(self._named(NAMES[key])) if key in NAMES else keysym(key)
        self._have({symbol})
        code, shifted = self._keys[symbol]
        shift = self._keys[self._named("Shift_L")][0] if shifted and "shift" not in self.held else None
        if down and shift:
            self._fake(self._display, X.KeyPress, shift)
        self._fake(self._display, X.KeyPress if down else X.KeyRelease, code)
        if not down and shift:
            self._fake(self._display, X.KeyRelease, shift)
        self._display.sync()

    def restore(self) -> None:
        """Give the spare keys back as they were."""
        if self._before:
            self._read()
            for code, row in self._before.items():
                self._rows[code - self._first] = row
            self._rewrite(list(self._before))
            self._before, self._own = {}, {}
