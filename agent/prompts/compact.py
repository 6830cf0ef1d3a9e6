"""The protocol of the small embedded model: one screenshot, one short text, one call back, behind a thought where there is one.

The text is the instruction and, below it, what was done last, each kept to its room in characters. A thought is one line that begins with
`# `; it stays in the history, so that what was seen on one screen is still known on the next. The model is trained on exactly this form,
`compact_text` and `compact_reply` are where both meet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.base import Step
from agent.prompts.base import Reply, called
from environments.base import Observation
from model.base import Completion, GenerationConfig, Message
from tools import compact_actions
from tools.base import Surface
from tools.grammar import Bounds, action_rules

TASK_ROOM = 240
HISTORY_ROOM = 480
THOUGHT_ROOM = 80
TEXT_ROOM = 64
"""Characters: of the instruction, of what was done, of what is thought before a call, of a text in it."""
_MARK = "# "
_THOUGHT = rf"[^<\x00-\x1f]{{1,{THOUGHT_ROOM}}}"
_BOUNDS = Bounds(text=TEXT_ROOM, items=4)
"""Even a model that was never trained ends within these; what the embedded one was trained to write is far shorter."""


def compact_text(task: str, history: Sequence[str]) -> str:
    """The instruction on one line, then the last of the history (replies, oldest first) that fits, one line each.

    Both are cut to their room in characters; the newest line of the history is always there, if need be cut.
    """
    lines = [_cut(task, TASK_ROOM)]
    room = HISTORY_ROOM
    for call in map(_one_line, reversed(history)):
        if room < HISTORY_ROOM and len(call) > room:
            break
        lines.insert(1, _cut(call, HISTORY_ROOM))
        room -= len(call) + 1
    return "\n".join(lines)


def compact_reply(thought: str, call: str) -> str:
    """A call behind what was thought, on a line of its own."""
    return f"{_MARK}{thought}\n{call}" if thought else call


def is_thought(text: str) -> bool:
    """Whether it can stand before a call: one line that is not too long."""
    return re.fullmatch(_THOUGHT, text) is not None


def find_text(words: str) -> str:
    """Asks where words stand: answered with a click on them, or with DONE when they are not there."""
    return f'find "{_cut(words, TASK_ROOM)}"'


class CompactPrompt:
    """One user message: the screenshot, then `compact_text`. A last error is told after the history, as far as there is room.

    An image that an action gave is not shown: none of this protocol's actions gives one, and its model was trained on one image.
    """

    name = "compact"

    def __init__(self) -> None:
        self.actions = compact_actions()

    def render(self, task: str, steps: Sequence[Step], seen: Observation) -> list[Message]:
        history = [_said(step, self.actions.render(step.action)) for step in steps if step.action is not None]
        text = compact_text(task, history)
        if steps and steps[-1].result.error:
            text = f"{text}\n{_one_line(steps[-1].result.error)}"[: max(len(text), TASK_ROOM + HISTORY_ROOM)]
        return [Message("user", (seen.screenshot, text.rstrip()))]

    def read(self, completion: Completion, seen: Observation) -> Reply:
        thought, call = "", completion.content
        if call.startswith(_MARK):
            thought, _, call = call.removeprefix(_MARK).partition("\n")
        return Reply(self.actions.parse(call), thought)

    def reply(self, step: Step) -> str:
        """Raises ValueError for a text longer than TEXT_ROOM, too."""
        said = _said(step, called(self.actions, step))
        if step.action and any(isinstance(value, str) and len(value) > TEXT_ROOM for value in step.action.arguments().values()):
            raise ValueError(f"Step {step.index} has a text of more than {TEXT_ROOM} characters: leave it out.")
        return said

    def generation(self) -> GenerationConfig:
        grammar = f"start: THOUGHT? action\nTHOUGHT: /{_MARK}{_THOUGHT}\\n/\n{action_rules(self.actions, _BOUNDS)}"
        return GenerationConfig(max_tokens=256, grammar=grammar)


def make(surface: Surface) -> CompactPrompt:
    """The same for both surfaces: mouse, keyboard and an end are all it names."""
    return CompactPrompt()


def _said(step: Step, call: str) -> str:
    """A call behind the step's thought, where that is one this protocol has."""
    return compact_reply(step.thought if is_thought(step.thought) else "", call)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, room: int) -> str:
    line = _one_line(text)
    return line if len(line) <= room else f"{line[: room - 3]}..."
