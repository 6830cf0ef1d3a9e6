"""How an item is put to a model: one screenshot, one question. Knows no item list and no file of responses."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from agent.prompts.compact import CompactPrompt, find_text
from evals.base import EvalError
from model.base import GenerationConfig, Message

Protocol = Literal["grounding", "compact"]
"""grounding: a question for general checkpoints, in grounding.txt. compact: the embedded model's own protocol."""
_TEXT = Path(__file__).with_name("grounding.txt")
_REFUSAL = "If nothing on the screenshot fits, the point is [-1,-1]."


def question(prompt: str | None) -> Protocol:
    """The question of that name; None is "grounding". Raises EvalError, listing those there are, when there is none."""
    for name in get_args(Protocol):
        if name == (prompt or "grounding"):
            return name  # type: ignore[no-any-return]  # get_args gives the literal's own values
    raise EvalError(f"A grounding benchmark is not asked in the prompt {prompt!r}; there are: {', '.join(get_args(Protocol))}.")


def messages(asked: Protocol, instruction: str, image: Image.Image, *, refuses: bool = False) -> list[Message]:
    """The messages for one item. refuses: whether to say how to answer that nothing fits."""
    if asked == "compact":
        return [Message("user", (image, find_text(instruction)))]
    return [Message("user", (image, text(instruction, refuses=refuses)))]


def text(instruction: str, *, refuses: bool = False) -> str:
    """The question in words: grounding.txt with the instruction on one line, with or without the sentence on refusing."""
    asked = _TEXT.read_text(encoding="utf-8").rstrip("\n")
    return asked.replace("{refusal}", f" {_REFUSAL}" if refuses else "").replace("{instruction}", " ".join(instruction.split()))


def generation(asked: Protocol) -> GenerationConfig:
    """Greedy; the compact protocol with its grammar."""
    return CompactPrompt().generation() if asked == "compact" else GenerationConfig(max_tokens=512)
