"""Where words or a control stand on a screenshot of any size: `glimpse find`.

A general checkpoint is asked once about the whole screenshot. The embedded model sees a small part at a time: overlapping windows of the
size it was trained on, and then once more the one around the best answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from agent.prompts.compact import find_text
from environments.browser import BrowserEnvironment
from evals.base import EvalError
from evals.grounding import ask
from evals.grounding.answers import read_answer
from evals.grounding.items import Item, Refusal, load_image
from evals.grounding.scorer import Position
from evals.pages import SCALE
from model.base import Completion, Message, Model
from tools.base import ParseError

OVERLAP = (100, 40)
"""CSS pixels that neighbouring windows share across and down: a word that one of them cuts is whole in the other."""
_INK = (220, 0, 60)


@dataclass(frozen=True, slots=True)
class Found:
    """x, y: pixels of the screenshot. confidence: the probability, from 0 to 1, that the model gave to there being an answer and to this
    point within a small button's size."""

    x: int
    y: int
    confidence: float


def find(model: Model, words: str, image: Image.Image, own: dict[str, Any], scale: float = 1.0) -> Found | None:
    """Where words stand; None when the model says that they do not.

    own: what the checkpoint says of its use (`evals.recipe.own`). scale: pixels of the screenshot for one CSS pixel. Raises ModelError.
    """
    if own.get("prompt") != "compact":
        return _asked(model, image, words, "grounding")
    by = own["scale"] / scale
    scaled = image.resize((max(1, round(image.width * by)), max(1, round(image.height * by))), Image.Resampling.BICUBIC)
    width, height = (round(side * own["scale"]) for side in own["region"])
    shared = [round(side * own["scale"]) for side in OVERLAP]
    corners = [(x, y) for y in _starts(scaled.height, height, shared[1]) for x in _starts(scaled.width, width, shared[0])]
    best = _best(model, words, scaled, corners, (width, height))
    if best is None:
        return None
    around = _clamped(best.x - width // 2, scaled.width - width), _clamped(best.y - height // 2, scaled.height - height)
    best = _best(model, words, scaled, [around], (width, height)) or best
    return Found(min(image.width - 1, round(best.x / by)), min(image.height - 1, round(best.y / by)), best.confidence)


def _starts(whole: int, window: int, shared: int) -> list[int]:
    """Where windows begin that cover a side, spread evenly, each sharing at least so many pixels with the next."""
    if whole <= window:
        return [0]
    steps = math.ceil((whole - window) / (window - shared))
    return [round(i * (whole - window) / steps) for i in range(steps + 1)]


def _clamped(start: int, most: int) -> int:
    return max(0, min(start, most))


def _best(model: Model, words: str, image: Image.Image, corners: Iterable[tuple[int, int]], size: tuple[int, int]) -> Found | None:
    """The surest answer among the windows with these corners. A screenshot smaller than a window is continued in white."""
    found = list[Found]()
    for left, top in corners:
        window = Image.new("RGB", size, "white")
        window.paste(image.crop((left, top, min(image.width, left + size[0]), min(image.height, top + size[1]))))
        answer = _asked(model, window, words, "compact")
        if answer is not None and left + answer.x < image.width and top + answer.y < image.height:
            found.append(Found(left + answer.x, top + answer.y, answer.confidence))
    return max(found, key=lambda one: one.confidence, default=None)


def _asked(model: Model, image: Image.Image, words: str, asked: ask.Question) -> Found | None:
    messages = [Message("user", (image, find_text(words)))] if asked == "compact" else ask.messages(asked, words, image)
    completion = model.generate(messages, replace(ask.generation(asked), logprobs=True))
    try:
        answer = read_answer(completion.content)
    except ParseError:
        return None
    if not isinstance(answer, Position):
        return None
    return Found(min(image.width - 1, int(answer.x * image.width)), min(image.height - 1, int(answer.y * image.height)), _sure(completion))


def _sure(completion: Completion) -> float:
    """That there is an answer (its first token), times that it is this point (its first two coordinates)."""
    first = math.exp(completion.logprobs[0]) if completion.logprobs else 1.0
    return first * math.prod(coordinate.probability for coordinate in completion.coordinates[:2])


def screenshot(where: str, viewport: tuple[int, int], scale: float) -> tuple[Image.Image, float]:
    """A file's picture and the scale it is given, or a page as a browser shows it at 1.5 device pixels for a CSS pixel.

    Raises EvalError when there is neither; EnvironmentFault when the page cannot be opened.
    """
    if Path(where).is_file():
        return load_image(Item(where, Path(where), None, "", Refusal())), scale
    if "://" not in where and not where.startswith(("data:", "about:")):
        raise EvalError(f"{where} is neither the file of a screenshot nor an address: an address begins with http:// or file://.")
    with BrowserEnvironment(where, viewport=viewport, scale=SCALE) as browser:
        return browser.reset().screenshot, SCALE


def draw(image: Image.Image, found: Found) -> Image.Image:
    """The screenshot with a ring and a cross hair where the words were found."""
    drawn = image.copy()
    pen, (x, y), radius = ImageDraw.Draw(drawn), (found.x, found.y), max(8, min(image.size) // 30)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_INK, width=3)
    for ends in (((x - 2 * radius, y), (x - radius, y)), ((x + radius, y), (x + 2 * radius, y)), ((x, y - 2 * radius), (x, y - radius)),
                 ((x, y + radius), (x, y + 2 * radius))):  # fmt: skip
        pen.line(ends, fill=_INK, width=3)
    return drawn
