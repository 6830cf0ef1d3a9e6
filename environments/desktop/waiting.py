"""Waiting for something that nobody announces, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 0.02


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again, at most for so many seconds; whether it was so in the end."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)
    return True
