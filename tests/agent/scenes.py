"""Small real things that agents are tested on: a board that counts its clicks, and steps made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from agent.base import Step
from environments.base import ActionError, Button, EnvironmentFault, Observation, Point
from environments.static import StaticEnvironment
from model.base import Completion
from tools.base import Tool, ToolResult
from tools.computer import Click


class Board(StaticEnvironment):
    """A screen whose colour is the number of clicks on its left half; clicks on the right half change nothing.

    Only the enter key can be pressed; typing breaks the board. It ends itself after `lasts` counted clicks.
    """

    def __init__(self, *, lasts: int = 1000) -> None:
        super().__init__(Image.new("RGB", (200, 100)))
        self.clicks, self.looks, self.lasts = 0, 0, lasts

    def reset(self) -> Observation:
        super().reset()
        self.clicks = 0
        return self.observe()

    def observe(self) -> Observation:
        self.looks += 1
        return Observation(Image.new("RGB", (200, 100), (self.clicks, 0, 0)), terminated=self.clicks >= self.lasts)

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
        super().click(point, button=button, count=count, hold=hold)
        self.clicks += point.x < 100

    def type(self, text: str) -> None:
        raise EnvironmentFault("The board broke while typing; make another one.")

    def press(self, *keys: str) -> None:
        if keys != ("enter",):
            raise ActionError("This board has only an enter key.")
        super().press(*keys)


def click(x: int, y: int = 500) -> Click:
    return Click.model_validate({"point": [x, y]})


def seen(colour: int = 0, notices: tuple[str, ...] = (), url: str | None = None, tabs: tuple[str, ...] = ()) -> Observation:
    return Observation(Image.new("RGB", (20, 10), (colour, 0, 0)), url, tabs, notices)


def did(index: int, action: Tool | None, colour: int = 0, *, text: str = "", tokens: int = 0, error: str = "") -> Step:
    """A step as the loop would have made it."""
    return Step(
        index, seen(colour), Completion(text, completion_tokens=tokens), action, ToolResult(error=error), thought=text if action else ""
    )
