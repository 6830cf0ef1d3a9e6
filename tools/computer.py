"""Mouse and keyboard: what can be done on any screen. Points are thousandths of what was seen, keys those of environments.base.KEYS."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from environments.base import ActionError, Button, Environment, HeldInput, Observation, key_name
from tools.base import At, Thousandths, Tool, ToolResult, listed

MODIFIERS = frozenset(("ctrl", "alt", "shift", "meta"))


def split_keys(text: str) -> list[str]:
    """Canonical keys of a combination: "Ctrl+C" is ctrl and c; the plus key is "plus", or "+" as in "ctrl++". Raises ValueError."""
    return [_known(name) for name in re.sub(r"(^|\+)\+(?=\+|$)", r"\1plus", text).split("+")]


def join_keys(keys: Iterable[str]) -> str:
    """The inverse of `split_keys`."""
    return "+".join("plus" if key == "+" else key for key in keys)


def presses(keys: str) -> tuple[tuple[str, ...], ...]:
    """What is pressed together, in order. Keys that repeat follow one another: "down+down" is down twice, "ctrl+z+z" ctrl+z twice."""
    names = split_keys(keys)
    held = tuple(dict.fromkeys(name for name in names if name in MODIFIERS))
    others = [name for name in names if name not in MODIFIERS]
    if not others:
        return (held,) if len(held) == len(names) else tuple((name,) for name in names)
    if len(set(others)) < len(others):
        return tuple((*held, name) for name in others)
    return ((*held, *others),)


def _known(name: str) -> str:
    try:
        return key_name(name)
    except ActionError as error:
        raise ValueError(str(error)) from None


def _combination(value: Any) -> str:
    names = [_known(name) for name in listed(value)] if _is_list(value) else split_keys(str(value))
    return join_keys(names)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, str) and value.startswith(('["', "['")))


def _held(value: Any) -> tuple[str, ...]:
    if not value or (isinstance(value, str) and value.strip().lower() in ("", "none", "null", "[]")):
        return ()
    return tuple(dict.fromkeys(split_keys(_combination(value))))


Path = Annotated[
    tuple[Thousandths, ...],
    Field(min_length=2, description="points [x, y], from the first to the last", examples=["[[x,y],[x,y]]"]),
    BeforeValidator(listed),
]
Hold = Annotated[
    tuple[str, ...],
    BeforeValidator(_held),
    PlainSerializer(join_keys),
    WithJsonSchema({"type": "string", "format": "keys", "description": "keys held down meanwhile, joined by +"}),
]
Keys = Annotated[
    str,
    BeforeValidator(_combination),
    Field(description="keys joined by +", examples=["ctrl+c"], json_schema_extra={"format": "keys"}),
]
OneKey = Annotated[
    str, BeforeValidator(lambda value: join_keys([_known(str(value))])), Field(examples=["shift"], json_schema_extra={"format": "key"})
]
Notches = Annotated[int, Field(ge=-100, le=100, json_schema_extra={"not": {"const": 0}})]
"""Of the mouse wheel. None at all are left out."""


def _holding(env: Environment) -> HeldInput:
    if not isinstance(env, HeldInput):
        raise ActionError("Nothing can be held down over several steps here. Use click, drag or key instead.")
    return env


@contextmanager
def _held_down(env: Environment, keys: Sequence[str]) -> Iterator[None]:
    """Keys held down meanwhile; released whatever happens."""
    with ExitStack() as down:
        for key in keys:
            keyboard = _holding(env)
            down.callback(keyboard.key_up, key)
            keyboard.key_down(key)
        yield


class Click(Tool):
    """Click at a point. A double click opens things or selects a word, a triple click selects a line."""

    name: ClassVar[str] = "click"
    point: At
    button: Button = "left"
    count: int = Field(default=1, ge=1, le=3)
    hold: Hold = ()

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        env.click(self.point.on(seen), button=self.button, count=self.count, hold=self.hold)
        return ToolResult()


DWELL = 0.4
"""Seconds that a pointer rests where it hovers: menus and hints open only after some (in jQuery UI's menu.js 0.3)."""


class Hover(Tool):
    """Move the pointer to a point without pressing, to open a menu or see a hint."""

    name: ClassVar[str] = "hover"
    point: At

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        env.move(self.point.on(seen))
        time.sleep(DWELL)
        return ToolResult()


class Drag(Tool):
    """Press at the first point, move along the others, release at the last."""

    name: ClassVar[str] = "drag"
    path: Path
    button: Button = "left"
    hold: Hold = ()

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        env.drag([point.on(seen) for point in self.path], button=self.button, hold=self.hold)
        return ToolResult()


class Scroll(Tool):
    """Turn the mouse wheel over a point, to see what lies further down, up, left or right."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["dx"]}, {"required": ["dy"]}]})
    name: ClassVar[str] = "scroll"
    point: At
    dx: Notches = Field(default=0, description="notches to the right; negative: to the left")
    dy: Notches = Field(default=0, description="notches down; negative: up", examples=[5])
    hold: Hold = ()

    @model_validator(mode="after")
    def _turns(self) -> Self:
        if not (self.dx or self.dy):
            raise ValueError("a scroll needs a number of notches that is not 0")
        return self

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        with _held_down(env, self.hold):
            env.scroll(self.point.on(seen), dx=self.dx, dy=self.dy)
        return ToolResult()


class Type(Tool):
    """Type text where the keyboard focus is. It neither clicks nor clears: do that first. A newline presses Enter."""

    name: ClassVar[str] = "type"
    text: str = Field(examples=["…"])

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        env.type(self.text)
        return ToolResult()


class Key(Tool):
    """Press a key or a combination, such as enter or ctrl+c; down+down presses down twice, and plus is the + key."""

    name: ClassVar[str] = "key"
    keys: Keys

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        for together in presses(self.keys):
            env.press(*together)
        return ToolResult()


class MouseDown(Tool):
    """Press a mouse button at a point and keep it down until mouse_up."""

    name: ClassVar[str] = "mouse_down"
    point: At
    button: Button = "left"

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        _holding(env).mouse_down(self.point.on(seen), button=self.button)
        return ToolResult()


class MouseUp(Tool):
    """Release a mouse button at a point."""

    name: ClassVar[str] = "mouse_up"
    point: At
    button: Button = "left"

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        _holding(env).mouse_up(self.point.on(seen), button=self.button)
        return ToolResult()


class KeyDown(Tool):
    """Press a key and keep it down until key_up."""

    name: ClassVar[str] = "key_down"
    key: OneKey

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        for key in split_keys(self.key):
            _holding(env).key_down(key)
        return ToolResult()


class KeyUp(Tool):
    """Release a key that is held down."""

    name: ClassVar[str] = "key_up"
    key: OneKey

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        for key in split_keys(self.key):
            _holding(env).key_up(key)
        return ToolResult()
