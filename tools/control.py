"""What an agent does without touching the screen: wait, remember, ask, and end the episode."""

from __future__ import annotations

import time
from typing import ClassVar

from pydantic import Field

from environments.base import Environment, Observation
from tools.base import Tool, ToolResult


class Wait(Tool):
    """Wait for something on the screen to finish."""

    name: ClassVar[str] = "wait"
    seconds: float = Field(default=5, ge=0, le=60, allow_inf_nan=False)

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        time.sleep(self.seconds)
        return ToolResult()


class Remember(Tool):
    """Note something that will be needed later."""

    name: ClassVar[str] = "remember"
    text: str

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        return ToolResult(output=f"Noted: {self.text}")


class AskUser(Tool):
    """Ask the person whose task this is, when only they can know or decide."""

    name: ClassVar[str] = "ask_user"
    question: str

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        """Does nothing: whoever runs the agent answers."""
        return ToolResult()


class Done(Tool):
    """End: the task is done. Give the answer if the task asks for one."""

    name: ClassVar[str] = "done"
    answer: str = ""

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        return ToolResult(output=self.answer, status="done")


class Fail(Tool):
    """End: the task cannot be done. Say why."""

    name: ClassVar[str] = "fail"
    reason: str = ""

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        return ToolResult(output=self.reason, status="failed")
