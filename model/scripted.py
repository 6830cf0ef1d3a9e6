"""A model that says what it is told: for demonstrations, replays and tests."""

from __future__ import annotations

from collections.abc import Sequence

from model.base import Completion, GenerationConfig, Message, ModelError


class ScriptedModel:
    """Gives its replies in order. seen: the messages of every call, as they came."""

    def __init__(self, replies: Sequence[str | Completion]) -> None:
        self._replies = [Completion(reply) if isinstance(reply, str) else reply for reply in replies]
        self.seen: list[tuple[Message, ...]] = []

    @property
    def name(self) -> str:
        return "scripted"

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        """The next reply. Raises ModelError when there is none left."""
        if len(self.seen) >= len(self._replies):
            raise ModelError(f"The script has ended: all of its {len(self._replies)} replies are used; give it as many as there are steps.")
        self.seen.append(tuple(messages))
        return self._replies[len(self.seen) - 1]
