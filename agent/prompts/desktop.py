"""GLM-4.5V's desktop protocol: every step is one user message that tells the history in text, with the last few screenshots at half size.

Layout: zai-org/GLM-V, examples/gui-agent/glm-45v/agent.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from PIL import Image

from agent.base import Step
from agent.prompts.base import Reply, called, prose_of, reasoned, unboxed, wording
from environments.base import Observation
from model.base import Completion, GenerationConfig, Message
from tools import desktop_actions
from tools.base import Surface
from tools.grammar import Bounds, action_rules, free_text

_MEMORY = re.compile(r"^[ \t*#]*+Memory[ \t*]*+(?::[ \t*]*+|$)", re.MULTILINE)
_LIST = re.compile(r"\s*+(?:```\w*+\s*+)?(\[.*\]|\{.*\})", re.DOTALL)
_LABELS = re.compile(r"\A(?:[ \t*#]*+Thought[ \t*]*+:[ \t*]*+)+|^[ \t*#]*+Action[ \t*]*+:[ \t*]*+\Z", re.MULTILINE)
_FACT = r'"([^"\\\x00-\x1f<]|\\(["\\\/bfnrt]|u[0-9a-f]{4})|<{1,9}([^"\\\x00-\x1f<|]|\\["\\\/bfnrt])){0,%(most)d}<{0,9}"'
_FIGURE = r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?"
_REPLY = rf"""start: PROSE? <|begin_of_box|> action <|end_of_box|> "\nMemory:\n[" (memory (", " memory){{0,%(more)d}})? "]"
memory: "{{" FACT ": " fact (", " FACT ": " fact){{0,%(more)d}} "}}"
fact: FACT | FIGURE | "true" | "false" | "null" | "[" (FACT (", " FACT){{0,%(more)d}})? "]"
FACT: /{_FACT}/
FIGURE: /{_FIGURE}/
"""
"""A reply in llguidance's Lark: what is seen and why, the action in its box, the memory as a JSON list of objects."""
_PAIR = rf"{_FACT}: ({_FACT}|{_FIGURE}|true|false|null|\[({_FACT}(, {_FACT}){{0,%(more)d}})?\])"
_OBJECT = rf"\{{{_PAIR}(, {_PAIR}){{0,%(more)d}}\}}"
_FACTS = rf"\[({_OBJECT}(, {_OBJECT}){{0,%(more)d}})?\]"
"""The memory of that grammar alone, as a regular expression."""
_PLATFORMS: dict[Surface, str] = {"desktop": "Ubuntu", "browser": "A web browser: the screenshot shows its page"}


class DesktopPrompt:
    """One message: task, actions, history, memory, notes, and last the screenshot at full size.

    notes: what a user wants to say about the machine. platform: what the model is told it works at. window: so many past screenshots are
    shown, at half their width and height; older ones are left out. bounds: of a reply's grammar. An image that an action gave is shown at
    full size in the next message and left out of later ones: what was read there is for the memory to keep.
    """

    name = "desktop"

    def __init__(
        self,
        surface: Surface,
        *,
        notes: str = "",
        platform: str = "",
        window: int = 4,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.actions, self.bounds = desktop_actions(surface), bounds
        self.notes, self.window = notes, window
        self._sizes = {"most": bounds.item, "more": bounds.items - 1}
        self.platform = platform or _PLATFORMS[surface]
        self._words = wording(self.name)

    def render(self, task: str, steps: Sequence[Step], seen: Observation) -> list[Message]:
        parts: list[str | Image.Image] = [self._words.head(task, self.platform, self.actions.describe())]
        for step in steps:
            shown = step.index >= len(steps) - self.window
            parts += self._words.before(step.index + 1), step.seen.screenshot.reduce(2) if shown else self._words.omitted()
            parts.append(self._words.after(step, self.actions.render(step.action) if step.action else "").rstrip("\n"))
            if step.result.image is not None:
                parts += self._words.image(), step.result.image if step is steps[-1] else self._words.omitted()
        memory = next((step.memory for step in reversed(steps) if step.memory), "[]")
        parts += self._words.tail(memory, self.notes, seen), seen.screenshot
        return [Message("user", _joined(parts))]

    def read(self, completion: Completion, seen: Observation) -> Reply:
        text = completion.content
        action, (start, end) = self.actions.find(text)
        after, memory = split_memory(unboxed(text[end:]))
        before = _LABELS.sub("", unboxed(text[:start]).strip()).strip()
        return Reply(action, f"{before}\n{after}".strip(), memory)

    def reply(self, step: Step) -> str:
        call = f"<|begin_of_box|>{called(self.actions, step)}<|end_of_box|>"
        return reasoned(step, f"{prose_of(step, self.bounds.prose)}{call}\nMemory:\n{self._memory(step)}")

    def _memory(self, step: Step) -> str:
        """A step's memory as the grammar has it, where it says none an empty one. Raises ValueError when it is no list of facts."""
        told = json.dumps(json.loads(step.memory or "[]"), ensure_ascii=False).replace("<|", r"\u003c|")
        if not re.fullmatch(_FACTS % self._sizes, told):
            raise ValueError(f"Step {step.index} has a memory that is no list of facts: leave it out.")
        return told

    def generation(self) -> GenerationConfig:
        grammar = f"{_REPLY % self._sizes}{free_text('PROSE', self.bounds.prose)}{action_rules(self.actions, self.bounds)}"
        return GenerationConfig(max_tokens=8192, thinking=True, grammar=grammar)


def make(surface: Surface) -> DesktopPrompt:
    """The protocol for a surface, without notes."""
    return DesktopPrompt(surface)


def split_memory(text: str) -> tuple[str, str]:
    """What follows an action, parted at the first line "Memory:": the text before it, and the memory, "" when there is none.

    The memory is the list there, without a fence around it or words after it, or in want of a list whatever is there: it is the
    model's to read again, and need be no JSON.
    """
    found = _MEMORY.search(text)
    if found is None:
        return text.strip(), ""
    listed = _LIST.match(text, found.end())
    return text[: found.start()].strip(), (listed[1] if listed else text[found.end() :]).strip()


def _joined(parts: Sequence[str | Image.Image]) -> tuple[str | Image.Image, ...]:
    """The same with neighbouring texts as one."""
    joined: list[str | Image.Image] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)
