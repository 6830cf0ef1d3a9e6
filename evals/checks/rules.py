"""The rules of task files, as metrics read them."""

from __future__ import annotations

from typing import Any

from environments.base import EnvironmentFault

_NONE = object()


def of_rule(rules: Any, name: str, default: Any = _NONE) -> Any:
    """A value of a rule. Raises EnvironmentFault, naming what is missing: an episode that cannot be judged gets no score."""
    if isinstance(rules, dict) and name in rules:
        return rules[name]
    if isinstance(rules, dict) and default is not _NONE:
        return default
    raise EnvironmentFault(f"The episode cannot be judged: its rule has no {name!r}.")
