"""`glimpse find`: on a screenshot of any size the windows cover everything, and the surest answer counts, in pixels of the screenshot."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, ImageDraw

from evals.base import EvalError
from evals.grounding.find import Found, _starts, draw, find, screenshot
from model.base import Completion, Coordinate, GenerationConfig, Message, ModelError
from model.scripted import ScriptedModel

OWN = {"prompt": "compact", "region": [168, 224], "scale": 1.5}


class SeesRed:
    """Answers with the middle of what is red on the screenshot, the surer the more of it there is; else that it is not there."""

    name = "sees red"

    def __init__(self) -> None:
        self.sizes = list[tuple[int, int]]()

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        image, text = messages[0].content
        assert isinstance(image, Image.Image)
        self.sizes.append(image.size)
        drawn = Image.eval(image.getchannel("B"), lambda value: 255 * (value < 60))
        box = drawn.getbbox() if text == 'find "red"' else None
        if box is None:
            return Completion("DONE()", logprobs=(-0.1,))
        x, y = (box[0] + box[2]) * 500 // image.width, (box[1] + box[3]) * 500 // image.height
        share = min(1.0, (box[2] - box[0]) * (box[3] - box[1]) / 900)
        return Completion(
            f"left_click(start_box='[{x},{y}]')", logprobs=(0.0,), coordinates=(Coordinate(1, x, share), Coordinate(2, y, 1.0))
        )


@pytest.mark.parametrize(("size", "scale"), [((100, 60), 1.0), ((640, 480), 1.0), ((1280, 720), 2.0), ((252, 336), 1.5), ((30, 900), 1.0)])
def test_what_stands_anywhere_on_a_screenshot_of_any_size_is_found_where_it_stands(size: tuple[int, int], scale: float) -> None:
    image = Image.new("RGB", size, "white")
    left, top = int(size[0] * 0.6), int(size[1] * 0.8)
    ImageDraw.Draw(image).rectangle((left, top, left + 9, top + 9), fill="red")
    model = SeesRed()
    found = find(model, "red", image, OWN, scale)
    assert found is not None
    assert abs(found.x - left - 5) <= 3
    assert abs(found.y - top - 5) <= 3
    assert 0 < found.confidence <= 1
    assert set(model.sizes) == {(252, 336)}, "the model sees nothing but windows of the size it was trained on"


def test_what_is_not_there_is_not_found() -> None:
    assert find(SeesRed(), "blue", Image.new("RGB", (640, 480), "white"), OWN) is None


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (["[400,300]@0.9"], (100, 100)),
        (["[400,300]@0.3", "[428,321]@0.4", ""], (100, 100)),
        (["", "[428,321]@0.2", "[372,280]@0.6"], (100, 101)),
        (["", "[428,321]@0.9", ""], None),
        (["[400,300]@0.3", "", ""], None),
        (["", "[5,5]@0.9", "[5,5]@0.9"], None),  # the first beside the screenshot, so that nothing agrees with the second
        (["[400,300]@0.3", "[800,321]@0.4", "[100,800]@0.4"], None),
    ],
)
def test_an_unsure_answer_on_a_small_screenshot_counts_where_two_of_three_looks_agree(
    answers: list[str], found: tuple[int, int] | None
) -> None:
    model = ScriptedModel([_saying(answer) for answer in answers])
    seen = find(model, "Save", Image.new("RGB", (252, 336), "white"), OWN)
    assert (seen and (seen.x, seen.y)) == found
    assert len(model.seen) == len(answers)


def _saying(answer: str) -> Completion:
    point, _, sure = answer.partition("@")
    if not point:
        return Completion("DONE()", logprobs=(-0.1,))
    x, y = (int(value) for value in point.strip("[]").split(","))
    return Completion(
        f"left_click(start_box='{point}')", logprobs=(0.0,), coordinates=(Coordinate(1, x, float(sure)), Coordinate(2, y, 1.0))
    )


def test_a_checkpoint_that_does_not_say_how_large_its_screenshots_are_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"sees red does not say how large its screenshots are.*region, scale"):
        find(SeesRed(), "red", Image.new("RGB", (252, 336)), {"prompt": "compact"})


def test_a_general_model_is_asked_once_about_the_whole_screenshot() -> None:
    class Points:
        name = "points"
        asked = 0

        def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
            self.asked += 1
            return Completion("The button is at [500,250].")

    model = Points()
    assert find(model, "Save", Image.new("RGB", (1000, 800), "white"), {}) == Found(500, 200, 1.0)
    assert model.asked == 1


@given(some.integers(1, 9000), some.integers(30, 400), some.integers(0, 20))
def test_windows_cover_a_side_and_share_what_they_must(whole: int, window: int, shared: int) -> None:
    starts = _starts(whole, window, shared)
    assert starts[0] == 0
    assert starts[-1] + window >= whole
    assert starts[-1] + window == whole or whole <= window
    assert all(b - a <= window - shared for a, b in pairwise(starts))


def test_a_place_that_is_no_screenshot_and_no_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"nowhere\.png is neither the file of a screenshot nor an address"):
        screenshot(str(tmp_path / "nowhere.png"), (640, 480), 1.0)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(EvalError, match="cannot be read"):
        screenshot(str(tmp_path / "text.png"), (640, 480), 1.0)


def test_the_mark_is_drawn_around_the_place() -> None:
    drawn = draw(Image.new("RGB", (200, 200), "white"), Found(100, 100, 1.0))
    assert drawn.getpixel((100, 100)) == (255, 255, 255), "what was found stays to be seen"
    assert drawn.getpixel((108, 100)) != (255, 255, 255)
