"""Screens an agent can look at and act on: one file (or folder) each, found by its name."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from environments.base import Environment, EnvironmentFault

_SHARED = ("base", "debian")


def names() -> tuple[str, ...]:
    """The environments there are."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name not in _SHARED))


def make(name: str, **options: Any) -> Environment:
    """The environment called `name` (`browser` is BrowserEnvironment in environments/browser), made with its own options.

    Raises EnvironmentFault when there is none of that name.
    """
    if not name.isidentifier() or name in _SHARED or find_spec(f"environments.{name}") is None:
        raise EnvironmentFault(f"There is no environment {name!r}; there are: {', '.join(names())}.")
    made: Environment = getattr(import_module(f"environments.{name}"), f"{name.title()}Environment")(**options)
    return made
