"""What an agent's packages share: a step, and how a run can end. Knows no disk, no prompt, no loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from environments.base import Observation
from model.base import Completion
from tools.base import Tool, ToolResult

Status = Literal["running", "done", "failed", "max_steps", "max_tokens", "timeout", "parse_error", "stuck", "stopped", "error"]
"""How a run stands: an error is never a failure, a reply that could not be read never a success. A run that was killed stays "running"."""


@dataclass(frozen=True, slots=True)
class Step:
    """One look, one thought, one act.

    action: None when the reply held none that could be read; result.error then says why. thought: the reply's visible text without its
    call. memory: what the reply asked to be told again, "" when it said nothing of it. note: what the loop tells the model after the step.
    timings: seconds spent on each phase (observe, render, generate, read, act, and record, which is known in memory only).
    """

    index: int
    seen: Observation
    completion: Completion
    action: Tool | None
    result: ToolResult
    thought: str = ""
    memory: str = ""
    note: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
