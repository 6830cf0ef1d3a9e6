"""A real Chromium, driven through playwright. Importing this is cheap: playwright is loaded with the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from environments.browser.chromium import find_chromium
from environments.browser.options import BrowserOptions

if TYPE_CHECKING:
    from environments.browser.environment import BrowserEnvironment

__all__ = ["BrowserEnvironment", "BrowserOptions", "find_chromium"]


def __getattr__(name: str) -> Any:
    if name == "BrowserEnvironment":
        from environments.browser.environment import BrowserEnvironment

        return BrowserEnvironment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
