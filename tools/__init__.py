"""The actions a model may choose. A file of this folder that holds tools adds them; nothing is registered."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from tools.base import ActionSpace, ParseError, Plain, Surface, Tool, made, unknown
from tools.codec import CallText, ToolCallXml
from tools.glm import Glm

COMPACT = ("click", "hover", "drag", "scroll", "type", "key", "done")


@cache
def all_tools() -> tuple[type[Tool], ...]:
    """Every tool there is: in the order of its file, mouse and keyboard first, since most actions are theirs."""
    names = sorted((module.name for module in pkgutil.iter_modules(__path__)), key=lambda name: (name != "computer", name))
    values = (value for name in names for value in vars(import_module(f"{__name__}.{name}")).values())
    tools = (value for value in values if isinstance(value, type) and issubclass(value, Tool) and "name" in vars(value))
    return tuple(dict.fromkeys(tools))


def make_tool(name: str, arguments: Mapping[str, Any]) -> Tool:
    """The action that `Tool.name` and `Tool.arguments()` were taken from. Raises ParseError."""
    tool = next((tool for tool in all_tools() if tool.name == name), None)
    if tool is None:
        raise ParseError(unknown(name, [tool.name for tool in all_tools()])[0])
    return made(tool, arguments)


def desktop_actions(surface: Surface) -> ActionSpace:
    """All actions of a surface, as call text under the names of GLM-4.5V's desktop protocol."""
    return ActionSpace(_on(surface), CallText(), Glm())


def native_actions(surface: Surface) -> ActionSpace:
    """All actions of a surface, as native tool calls under our own names."""
    return ActionSpace(_on(surface), ToolCallXml(), Plain())


def compact_actions() -> ActionSpace:
    """Mouse, keyboard and DONE as call text, told to no one: for a model that was trained on them."""
    return ActionSpace(tuple(tool for tool in all_tools() if tool.name in COMPACT), CallText(), Glm(), told=False)


def _on(surface: Surface) -> tuple[type[Tool], ...]:
    return tuple(tool for tool in all_tools() if surface in tool.surfaces)
