"""A real or virtual desktop, seen by mss and driven by pyautogui. Importing this is cheap: both are loaded with the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from environments.desktop.environment import DesktopEnvironment, DesktopOptions

__all__ = ["DesktopEnvironment", "DesktopOptions"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from environments.desktop import environment

        return getattr(environment, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
