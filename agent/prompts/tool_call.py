"""Native tool calls, append-only: the messages of a step are those of the step before and two more, so that nothing is computed twice.

Old screenshots leave the prompt in blocks, and what follows them is then read again.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.base import Step
from agent.prompts.base import Reply, called, prose_of, reasoned, unboxed, wording
from environments.base import Observation
from model.base import Completion, GenerationConfig, Message, ScreenshotWindow, ToolCall
from tools import native_actions
from tools.base import Surface
from tools.grammar import Bounds, action_rules, free_text


class ToolCallPrompt:
    """A system turn; the task with the first screenshot; for each step the reply, and a tool turn with its result and the next screenshot.

    An image that an action gave stands in the tool turn as well, before the screenshot, and counts as one in the window.
    A reply without a readable call stays as it was written, and its tool turn says what was wrong with it.
    window: which screenshots stay; None keeps all, and at 1080p some twenty fill the context of GLM-4.5V. bounds: of a reply's grammar.
    """

    name = "tool_call"

    def __init__(
        self,
        surface: Surface,
        *,
        window: ScreenshotWindow | None = ScreenshotWindow(keep=8, drop=4),
        bounds: Bounds = Bounds(),
    ) -> None:
        self.actions, self.window, self.bounds = native_actions(surface), window, bounds
        self._words = wording(self.name)

    def render(self, task: str, steps: Sequence[Step], seen: Observation) -> list[Message]:
        views = [*(step.seen for step in steps), seen]
        messages = [
            Message("system", (self._words.system().strip(),)),
            Message("user", (self._words.first(task, views[0]), views[0].screenshot)),
        ]
        for step, after in zip(steps, views[1:], strict=True):
            given = () if step.result.image is None else (self._words.image(), step.result.image)
            messages += self._said(step), Message("tool", (*given, self._words.next(step, after), after.screenshot))
        return messages

    def read(self, completion: Completion, seen: Observation) -> Reply:
        action = self.actions.parse(completion.content)
        return Reply(action, thought=unboxed(completion.content.partition("<tool_call>")[0]).strip())

    def reply(self, step: Step) -> str:
        return reasoned(step, prose_of(step, self.bounds.prose) + called(self.actions, step))

    def generation(self) -> GenerationConfig:
        grammar = f"start: PROSE? action\n{free_text('PROSE', self.bounds.prose)}{action_rules(self.actions, self.bounds)}"
        return GenerationConfig(max_tokens=8192, thinking=True, tools=self.actions.schemas(), grammar=grammar, window=self.window)

    def _said(self, step: Step) -> Message:
        reasoning, ids = step.completion.reasoning, step.completion.token_ids
        if step.action is None:
            return Message("assistant", (unboxed(step.completion.content),), reasoning, token_ids=ids)
        call = self.actions.call(step.action)
        return Message("assistant", (step.thought,) if step.thought else (), reasoning, (ToolCall(call.name, call.arguments),), ids)


def make(surface: Surface) -> ToolCallPrompt:
    """The protocol for a surface, whose actions it offers."""
    return ToolCallPrompt(surface)
