"""Pages of shapes, colours, months and controls: everything is where it is said to be, and what is asked for is there."""

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import ImageColor

from evals.demonstrations import TEST_SEEDS
from evals.drawings import COLORS, things_asked
from evals.oracles.page import ORDINAL
from evals.training_data import examples
from evals.word_pages import PAGES, PIXELS, Drawn, draw, open_browser, record_pages, training_word


@pytest.fixture(scope="module")
def drawings() -> list[Drawn]:
    with open_browser() as browser:
        return [page for at in (0, 32) for page in draw(browser, range(at, at + 32), training_word, kind="drawing")]


def test_shapes_and_boxes_are_of_their_colour_and_size_where_they_are_said_to_be(drawings: list[Drawn]) -> None:
    kinds = set[str]()
    for page in drawings:
        for (size, color, kind, *_), (left, top, right, bottom) in page.things:
            kinds.add(kind)
            if kind in ("circle", "rectangle", "triangle", "box"):
                here = page.image.getpixel((round((left + right) / 2), round((top + 2 * bottom) / 3)))
                assert here == ImageColor.getrgb(color), (page.seed, color, kind)
            if kind in ("circle", "rectangle"):
                assert (right - left > 18) == (size == "large")
    drawn = {"letter", "digit", "circle", "rectangle", "triangle", "box", "1", "31", "month", "next month"}
    assert kinds >= drawn | {"checkbox", "radio", "text", "textarea", "button", "dropdown", "slider"}


def test_what_is_asked_for_is_there_and_the_first_of_its_kind_in_reading_order(drawings: list[Drawn]) -> None:
    asked = 0
    for page in drawings:
        for question in things_asked(random.Random(page.seed), page.things, PIXELS):
            (target,), words, nth = question.targets, question.sought.split(), 1
            if re.fullmatch(ORDINAL, words[0]):
                nth, words = int(words[0][0]), words[1:]
            fitting = [box for thing, box in page.things if _is_called(thing, words)]
            assert tuple(fitting[nth - 1]) == target, question.sought
            assert all(_before(one, other) for one, other in pairwise(fitting)), page.seed
            asked += 1
    assert asked > 200


def _is_called(thing: list[str], words: list[str]) -> bool:
    """Whether words name a thing: its size, its colour, and one of its names whole."""
    size, color, *names = thing
    rest = list(words)
    if size and rest[0] == size:
        rest = rest[1:]
    if color and len(rest) > 1 and rest[0] in COLORS[color]:
        rest = rest[1:]
    return " ".join(rest) in names


def _before(one: list[float], other: list[float]) -> bool:
    return (one[1] + one[3]) / 2 < other[1] or one[0] < other[0]


def test_recorded_drawings_are_asked_for_in_training(tmp_path: Path) -> None:
    record_pages(range(TEST_SEEDS, TEST_SEEDS + 192), tmp_path / "words")
    assert len((tmp_path / "words" / PAGES).read_text().splitlines()) == 192
    tags = [question.tag for example in examples(tmp_path) for question in example.readings]
    assert tags.count("drawn") > 100
