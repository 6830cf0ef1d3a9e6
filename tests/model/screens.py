"""Little screenshots to train on, and the sizes of a model that is quick to train."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

from model.examples import Example, Question
from model.labels import Word
from model.small import SmallConfig

SIZES = SmallConfig(hidden=64, layers=3, heads=4, kv_heads=2, experts=4, expert_width=32, vision_hidden=64, vision_depth=2)


def examples(folder: Path, count: int) -> list[Example]:
    """Screenshots of 112×84 pixels with one red box on them, and where it is."""
    made, rng = [], random.Random(1)
    for i in range(count):
        left, top = rng.randrange(0, 80), rng.randrange(0, 56)
        image = Image.new("RGB", (112, 84), "white")
        ImageDraw.Draw(image).rectangle((left, top, left + 28, top + 24), fill="red")
        image.save(folder / f"{i}.png")
        point = f"[{(left + 14) * 1000 // 112},{(top + 12) * 1000 // 84}]"
        question = Question("Click the box.", f"left_click(start_box='{point}')", ((left, top, left + 28, top + 24),), "box")
        readings = tuple(Question(f'find "{word}"', f"left_click(start_box='{point}')", question.targets, "find") for word in ("ok", "no"))
        made.append(Example(folder / f"{i}.png", (question,), readings, (Word("ok", (20.0, 30.0), 14.0),), "box"))
    return made
