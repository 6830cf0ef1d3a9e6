"""Little pages of shapes, colours and controls, made from seeds, and what of them can be asked for: what cannot be read but has a name.

Shapes are circles, rectangles, triangles, letters and digits, small or large, in colours that CSS names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from html import escape
from string import ascii_letters, digits
from typing import Any

from agent.prompts.compact import find_text
from evals.screen_words import centre
from model.examples import Question
from tools import compact_actions

ACTIONS = compact_actions()
COLORS: dict[str, tuple[str, ...]] = {
    "red": ("red",), "green": ("green",), "blue": ("blue",), "aqua": ("aqua", "cyan"), "black": ("black",), "magenta": ("magenta",),
    "yellow": ("yellow",), "olive": ("olive",), "lime": ("lime",), "white": ("white",), "grey": ("grey", "gray"), "purple": ("purple",),
    "orange": ("orange",), "pink": ("pink",), "brown": ("brown",), "navy": ("navy",),
}  # fmt: skip
"""A colour of CSS, and what it is called."""
CONTROLS: dict[str, tuple[str, ...]] = {
    "checkbox": ("checkbox", "check box"), "radio": ("radio", "radio button"), "text": ("text", "textbox", "text field", "input textbox"),
    "textarea": ("textarea", "text area"), "button": ("button",), "select": ("dropdown", "list"), "range": ("slider",),
}  # fmt: skip
"""A control, and what it is called."""
THINGS = r"""
(root, [x, y, right, bottom]) => [...root.querySelectorAll('[data-thing]')].map(e => {
  const b = e.getBoundingClientRect(), top = document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2);
  const whole = b.left >= x && b.top >= y && b.right <= right && b.bottom <= bottom && top && (top === e || e.contains(top));
  return whole && [e.dataset.thing.split('|'), [b.left - x, b.top - y, b.right - x, b.bottom - y]];
}).filter(thing => thing)
"""
"""A function of an element and a rectangle (CSS pixels of the viewport): the things in it that can be seen whole, in reading order, as
[what it is, [left, top, right, bottom]]: its size and colour, of a control none, and every name that it has."""
_ORDINALS = "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th"


def drawing(rng: random.Random, text: str) -> str:
    """The HTML of a page without its instruction. text: some words, for labels."""
    return rng.choice((_shapes, _shapes, _boxes, _controls))(rng, escape(text).split())


def _shapes(rng: random.Random, _: Sequence[str]) -> str:
    step, columns, rows = rng.choice((18, 20, 20, 24)), 6, rng.randint(2, 6)
    background = rng.choice(("#fff", "#fff", "#eee", "#ffe"))
    places = sorted(rng.sample(range(columns * rows), rng.randint(3, min(20, columns * rows))))
    drawn = [_shape(rng, (place % columns + 0.5) * step, (place // columns + 0.5) * step, step) for place in places]
    left, top = rng.randint(0, 166 - columns * step), rng.randint(0, 20)
    size, font = f"width='{columns * step}' height='{rows * step}'", rng.choice(("Liberation Sans", "Liberation Sans", "Liberation Serif"))
    style = f"margin:{top}px 0 0 {left}px;background:{background};display:block;font-family:{font}"
    return f"<svg {size} style='{style}'>{''.join(drawn)}</svg>"


def _shape(rng: random.Random, x: float, y: float, step: int) -> str:
    """In the middle of a square of so many pixels, half of it large, or all."""
    color = rng.choice([color for color in COLORS if color != "white"])
    large, kind = rng.random() < 0.5, rng.choice(("letter", "digit", "circle", "rectangle", "triangle"))
    side, size = (step if large else step / 2) - 1, "large" if large else "small"
    r = side / 2
    if kind in ("letter", "digit"):
        sign = rng.choice(ascii_letters if kind == "letter" else digits)
        look = f"fill='{color}' {_thing(size, color, kind, sign, 'item')}"
        return f"<text x='{x}' y='{y}' text-anchor='middle' alignment-baseline='central' font-size='{side}px' {look}>{sign}</text>"
    look = f"fill='{color}' {_thing(size, color, kind, 'shape', 'item')}"
    if kind == "circle":
        return f"<circle cx='{x}' cy='{y}' r='{r}' {look}/>"
    if kind == "rectangle":
        return f"<rect x='{x - r}' y='{y - r}' width='{side}' height='{side}' {look}/>"
    return f"<polygon points='{x - r},{y + r} {x},{y - r} {x + r},{y + r}' {look}/>"


def _thing(size: str, color: str, *names: str) -> str:
    return f"data-thing='{'|'.join((size, color, *names))}'"


def _boxes(rng: random.Random, _: Sequence[str]) -> str:
    """Boxes of colour, no two alike."""
    side, margin = rng.randint(16, 44), rng.randint(2, 12)
    border = rng.choice(("1px solid #000", "0", "2px solid #888"))
    look = f"display:inline-block;width:{side}px;height:{side}px;margin:{margin}px;border:{border}"
    size = "large" if side > 30 else "small"
    things = ((color, _thing(size, color, "box", "colored box", "square")) for color in rng.sample(list(COLORS), rng.randint(2, 8)))
    return "".join(f"<div style='{look};background:{color}' {thing}></div>" for color, thing in things)


def _controls(rng: random.Random, words: Sequence[str]) -> str:
    """One below the other, or some in a row."""
    parts = list[str]()
    for name in rng.choices(list(CONTROLS), k=rng.randint(2, 9)):
        label, around = rng.choice(words), rng.choice(("div", "div", "span"))
        thing = f"{_thing('', '', *CONTROLS[name])} style='font:inherit;max-width:{rng.randint(60, 130)}px'"
        if name in ("checkbox", "radio"):
            control = f"<input type={name} {'checked' if rng.random() < 0.4 else ''} {thing}>{label if rng.random() < 0.7 else ''}"
        elif name == "text":
            control = f"<input {thing} value='{label if rng.random() < 0.4 else ''}'>"
        elif name == "textarea":
            control = f"<textarea rows={rng.randint(2, 3)} {thing}>{label if rng.random() < 0.5 else ''}</textarea>"
        elif name == "select":
            control = f"<select {thing}><option>{label}</option></select>"
        else:
            control = f"<button {thing}>{label}</button>" if name == "button" else f"<input type=range {thing}>"
        parts.append(f"<{around}>{control} </{around}>")
    return f"<div style='font:{rng.choice((8, 9, 10, 11))}pt Liberation Sans;padding:{rng.randint(0, 8)}px'>{''.join(parts)}</div>"


def things_asked(rng: random.Random, things: Sequence[Any], size: tuple[int, int], most: int = 12) -> Iterator[Question]:
    """`find "large red circle"`, `find "2nd checkbox"` for some of the things of a page; of several that are meant alike the first, in
    reading order. size: of the screenshot, pixels."""
    for (large, color, *names), _ in rng.sample(list(things), min(most, len(things))):
        name = rng.choice(names)
        alike = [thing for thing in things if name in thing[0]]
        told, nth = list[str](), 0
        if large and rng.random() < 0.4:
            alike, told = [thing for thing in alike if thing[0][0] == large], [large]
        if color and rng.random() < 0.6:
            alike, told = [thing for thing in alike if thing[0][1] == color], [*told, rng.choice(COLORS[color])]
        if not color and rng.random() < 0.6:
            nth = rng.randrange(min(len(alike), len(_ORDINALS)))
            told = [_ORDINALS[nth]]
        box, asked = alike[nth][1], " ".join((*told, name))
        yield Question(find_text(asked), ACTIONS.render(centre(box, size)), (tuple(box),), "drawn", sought=asked)
