"""The kill switch: a file that any process can touch (`glimpse stop`) and a key combination; either ends what acts on a screen."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from environments.base import Stopped

KEYS = ("ctrl", "alt", "escape")


def stop_file() -> Path:
    """One for each user: GLIMPSE_STOP_FILE, or one in the folder of the session, or of temporary files."""
    named = os.environ.get("GLIMPSE_STOP_FILE")
    if named:
        return Path(named)
    folder = os.environ.get("XDG_RUNTIME_DIR")
    return (
        Path(folder) / "glimpse-stop"
        if folder
        else Path(tempfile.gettempdir()) / f"glimpse-stop-{os.getuid() if hasattr(os, 'getuid') else ''}"
    )


def pull() -> Path:
    """Stop everything that acts on a screen as this user; the file that says so. Raises OSError when it cannot be written."""
    file = stop_file()
    file.write_text(f"{time.time():.3f}\n", encoding="utf-8")
    return file


class KillSwitch:
    """Pulled by a stop file newer than `arm`, or by `pull`. Looking costs one stat."""

    def __init__(self) -> None:
        self._armed, self._pulled = time.time(), threading.Event()

    def arm(self) -> None:
        self._armed = time.time()
        self._pulled.clear()

    def pull(self) -> None:
        self._pulled.set()

    def check(self) -> None:
        """Raises Stopped once it was pulled."""
        if self._pulled.is_set():
            raise Stopped(f"Stopped by {'+'.join(KEYS)}.")
        with suppress(OSError):
            if stop_file().stat().st_mtime > self._armed:
                raise Stopped("Stopped by glimpse stop.")


class HotKey:
    """Calls back when the keys are pressed on an X display, whatever has the focus. Silent where another program has them."""

    def __init__(self, connection: Any, pressed: Callable[[], None]) -> None:
        """connection: an Xlib display of its own; closed with this."""
        from Xlib import XK, X

        self._display, self._pressed, self._closing = connection, pressed, False
        root = connection.screen().root
        code = connection.keysym_to_keycode(XK.string_to_keysym("Escape"))
        modifiers = X.ControlMask | X.Mod1Mask
        connection.set_error_handler(lambda *_: None)  # taken by somebody else
        for locks in (0, X.LockMask, X.Mod2Mask, X.LockMask | X.Mod2Mask):
            root.grab_key(code, modifiers | locks, True, X.GrabModeAsync, X.GrabModeAsync)
        connection.sync()
        self._thread = threading.Thread(target=self._listen, name="glimpse-hot-key", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        from Xlib import X

        with suppress(Exception):  # the display has gone, or this was closed: there is nothing more to hear
            while not self._closing:
                if self._display.pending_events():
                    if self._display.next_event().type == X.KeyPress:
                        self._pressed()
                else:
                    time.sleep(0.05)

    def close(self) -> None:
        self._closing = True
        self._thread.join(1.0)
        with suppress(Exception):
            self._display.close()
