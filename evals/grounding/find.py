"""Where words or a control stand on a screenshot of any size: `glimpse find`.

A general checkpoint is asked once about the whole screenshot. The embedded model sees a small part at a time: overlapping windows of the
size it was trained on, and then once more those around the best answers; of a single window, when it is unsure, two more looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from environments.browser import BrowserEnvironment
from evals.base import EvalError
from evals.grounding import ask
from evals.grounding.answers import read_answer
from evals.grounding.items import Item, Refusal, load_image
from evals.grounding.scorer import Position
from evals.pages import SCALE
from model.base import Completion, GenerationConfig, Message, Model, ModelError
from model.labels import CELL
from tools import compact_actions
from tools.base import ParseError, Thousandths
from tools.computer import Click
from tools.control import Done

OVERLAP = (100, 40)
"""CSS pixels that neighbouring windows share across and down: a word that one of them cuts is whole in the other."""
UNSURE, MOVED = 0.5, ((-CELL // 4, -CELL // 4), (CELL // 4, CELL // 4))
"""A screenshot of one window whose answer is less sure is shown twice more, moved by a quarter of a cell: two of three must agree."""
ASKED_AGAIN = 3
"""So many of the surest answers are asked for again, each in the middle of a window of its own."""
ACTIONS = compact_actions()
_INK = (220, 0, 60)


@dataclass(frozen=True, slots=True)
class Found:
    """x, y: pixels of the screenshot. confidence: the probability, from 0 to 1, that the model gave to there being an answer and to this
    point within a small button's size."""

    x: int
    y: int
    confidence: float


class Finder:
    """A model that answers for a small one, on screenshots of any size: it looks through windows. What it is asked is `find_text`."""

    def __init__(self, model: Model, own: dict[str, Any], scale: float = 1.0) -> None:
        """own: what the checkpoint says of its use (`evals.recipe.own`). scale: pixels of a screenshot for one CSS pixel, unless the
        screenshot is just as large as a window: then it is one, and taken as it is. Raises ModelError when the checkpoint does not say
        how large its screenshots are."""
        if missing := [key for key in ("region", "scale") if key not in own]:
            told = 'its config.json lacks "{}" under "glimpse", which training on a data set with a dataset.json writes'
            raise ModelError(f"{model.name} does not say how large its screenshots are: {told.format(', '.join(missing))}.")
        self.name, self._model, self._scale, self._own_scale = model.name, model, scale, float(own["scale"])
        self._window = round(own["region"][0] * self._own_scale), round(own["region"][1] * self._own_scale)

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        """The surest answer where the surest of the windows are asked again, in the middle of one; DONE when none has any."""
        image, text = messages[-1].content
        assert isinstance(image, Image.Image)
        assert isinstance(text, str)
        by = 1.0 if image.size == self._window else self._own_scale / self._scale
        scaled = image.resize((max(1, round(image.width * by)), max(1, round(image.height * by))), Image.Resampling.BICUBIC)
        (width, height), shared = self._window, [round(side * self._own_scale) for side in OVERLAP]
        corners = [(x, y) for y in _starts(scaled.height, height, shared[1]) for x in _starts(scaled.width, width, shared[0])]
        found = self._found(scaled, text, corners, config)
        if len(corners) == 1 and (not found or _sure(found[0][1]) < UNSURE):
            found = _agreed([*found, *self._found(scaled, text, MOVED, config)])
        if not found:
            return Completion(ACTIONS.render(Done()))
        if len(corners) > 1:
            around = dict.fromkeys(
                (_clamped(x - width // 2, scaled.width - width), _clamped(y - height // 2, scaled.height - height))
                for (x, y), _ in found[:ASKED_AGAIN]
            )
            found = self._found(scaled, text, [*around], config) or found
        (x, y), said = found[0]
        point = min(image.width - 1, int((x + 0.5) / by)), min(image.height - 1, int((y + 0.5) / by))
        return replace(said, content=ACTIONS.render(Click(point=Thousandths.of(point, image.size))))

    def _found(
        self, image: Image.Image, text: str, corners: Iterable[tuple[int, int]], config: GenerationConfig
    ) -> list[tuple[tuple[int, int], Completion]]:
        """The points in the windows with these corners, the surest first. A screenshot smaller than a window is continued in white."""
        found = list[tuple[float, tuple[int, int], Completion]]()
        for left, top in corners:
            window, (width, height) = Image.new("RGB", self._window, "white"), self._window
            shown = image.crop((max(0, left), max(0, top), min(image.width, left + width), min(image.height, top + height)))
            window.paste(shown, (max(0, -left), max(0, -top)))
            said = self._model.generate([Message("user", (window, text))], replace(config, logprobs=True))
            if point := _point(said.content, self._window):
                x, y = left + point[0], top + point[1]
                if 0 <= x < image.width and 0 <= y < image.height:
                    found.append((_sure(said), (x, y), said))
        return [one[1:] for one in sorted(found, key=lambda one: -one[0])]


def _agreed(found: Sequence[tuple[tuple[int, int], Completion]]) -> list[tuple[tuple[int, int], Completion]]:
    """Those that another is within a cell of, the surest first."""
    near = [one for one in found if any(one is not other and math.dist(one[0], other[0]) < CELL for other in found)]
    return sorted(near, key=lambda one: -_sure(one[1]))


def find(model: Model, words: str, image: Image.Image, own: dict[str, Any], scale: float = 1.0) -> Found | None:
    """Where words stand; None when the model says that they do not. own, scale: see `Finder`. Raises ModelError."""
    asked: ask.Protocol = "compact" if own.get("prompt") == "compact" else "grounding"
    asking = Finder(model, own, scale) if asked == "compact" else model
    said = asking.generate(ask.messages(asked, words, image), replace(ask.generation(asked), logprobs=True))
    point = _point(said.content, image.size)
    return point and Found(*point, _sure(said))


def _point(content: str, size: tuple[int, int]) -> tuple[int, int] | None:
    """The pixel that a reply points at."""
    try:
        answer = read_answer(content)
    except ParseError:
        return None
    if not isinstance(answer, Position):
        return None
    return min(size[0] - 1, int(answer.x * size[0])), min(size[1] - 1, int(answer.y * size[1]))


def _sure(said: Completion) -> float:
    """That there is an answer (its first token), times that it is this point (its first two coordinates)."""
    first = math.exp(said.logprobs[0]) if said.logprobs else 1.0
    return first * math.prod(coordinate.probability for coordinate in said.coordinates[:2])


def _starts(whole: int, window: int, shared: int) -> list[int]:
    """Where windows begin that cover a side, spread evenly, each sharing at least so many pixels with the next."""
    if whole <= window:
        return [0]
    steps = math.ceil((whole - window) / (window - shared))
    return [round(i * (whole - window) / steps) for i in range(steps + 1)]


def _clamped(start: int, most: int) -> int:
    return max(0, min(start, most))


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
