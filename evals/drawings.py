"""Little pages of shapes, colours and months, made from seeds, and what of these and of controls can be asked for: what has a name.

Shapes are circles, rectangles, triangles, letters and digits, small or large, in colours that CSS names.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Iterator, Sequence
from string import ascii_letters, digits
from typing import Any

from agent.prompts.compact import find_text
from evals.screen_words import centre
from evals.words import held_out
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
ORDINALS = "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th"


def control(kind: str) -> str:
    """The attribute that says what an element is: one of CONTROLS."""
    return _thing("", "", *CONTROLS[kind])


def drawing(rng: random.Random) -> str:
    """The HTML of a page without its instruction."""
    return rng.choice((_shapes, _shapes, _boxes, _calendar))(rng)


def _shapes(rng: random.Random) -> str:
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


def _boxes(rng: random.Random) -> str:
    """Boxes of colour, no two alike."""
    side, margin = rng.randint(16, 44), rng.randint(2, 12)
    border = rng.choice(("1px solid #000", "0", "2px solid #888"))
    look = f"display:inline-block;width:{side}px;height:{side}px;margin:{margin}px;border:{border}"
    size = "large" if side > 30 else "small"
    things = ((color, _thing(size, color, "box", "colored box", "square")) for color in rng.sample(list(COLORS), rng.randint(2, 8)))
    return "".join(f"<div style='{look};background:{color}' {thing}></div>" for color, thing in things)


def _calendar(rng: random.Random) -> str:
    """A month, its days named by number and by date; and the ways to the months beside it."""
    year, month = rng.randint(1990, 2035), rng.randint(1, 12)
    weekday, length = calendar.monthrange(year, month)
    sunday_first, name = (weekday + 1) % 7, calendar.month_name[month]
    cell = f"border:{rng.choice(('1px solid #c5c5c5', '1px solid #888', '0'))};background:{rng.choice(('#f6f6f6', '#fff', '#eef'))};"
    cell += f"text-align:{rng.choice(('right', 'right', 'center'))};height:{rng.randint(12, 18)}px;min-width:{rng.randint(12, 18)}px"
    days = ["<td></td>"] * sunday_first
    for day in range(1, length + 1):
        told = _thing("", "", str(day), f"{month:02}/{day:02}/{year}", f"{day} {name}")
        days.append(f"<td style='{cell}' {told}>{day}</td>")
    weeks = "".join(f"<tr>{''.join(days[at : at + 7])}</tr>" for at in range(0, len(days), 7))
    back, on = (
        f"<span {_thing('', '', *names)} style='padding:0 4px'>{sign}</span>"
        for sign, names in zip(rng.choice(_ARROWS), _BESIDE, strict=True)
    )
    head = f"<span><b {_thing('', '', 'month', name)}>{name}</b> {year}</span>"
    title = f"<div style='display:flex;justify-content:space-between;background:{rng.choice(_HEADS)}'>{back}{head}{on}</div>"
    names = "".join(f"<th>{short}</th>" for short in ("Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"))
    font = f"{rng.choice((6, 6.5, 7, 7.5, 8))}pt {rng.choice(('Liberation Sans', 'Liberation Sans', 'DejaVu Sans'))}"
    place = f"margin:{rng.randint(0, 30)}px 0 0 {rng.randint(0, 8)}px;width:max-content;border:1px solid #aaa"
    table = f"<table style='font:inherit;border-spacing:{rng.choice((0, 1))}px'><tr>{names}</tr>{weeks}</table>"
    return f"<div style='font:{font};{place}'>{title}{table}</div>"


_ARROWS = ("◀", "▶"), ("&lt;", "&gt;"), ("«", "»"), ("⯇", "⯈")
_BESIDE = ("previous month", "month before"), ("next month", "month after")
_HEADS = "#e9e9e9", "#fff", "#ddd", "#cde"


def things_asked(rng: random.Random, things: Sequence[Any], size: tuple[int, int], most: int = 12) -> Iterator[Question]:
    """`find "large red circle"`, `find "2nd checkbox"` for some of the things of a page; of several that are meant alike the first, in
    reading order. No name has a word that is kept from training. size: of the screenshot, pixels."""
    for (large, color, *names), _ in rng.sample(list(things), min(most, len(things))):
        known = [name for name in names if not any(map(held_out, name.split()))]
        if not known:  # on pages recorded when they might still be asked for
            continue
        name = rng.choice(known)
        alike = [thing for thing in things if name in thing[0]]
        told, nth = list[str](), 0
        if large and rng.random() < 0.4:
            alike, told = [thing for thing in alike if thing[0][0] == large], [large]
        if color and rng.random() < 0.6:
            alike, told = [thing for thing in alike if thing[0][1] == color], [*told, rng.choice(COLORS[color])]
        if not color and len(alike) > 1 and rng.random() < 0.7:
            nth = rng.randrange(min(len(alike), len(ORDINALS)))
            told = [ORDINALS[nth]]
        box, asked = alike[nth][1], " ".join((*told, name))
        yield Question(find_text(asked), ACTIONS.render(centre(box, size)), (tuple(box),), "drawn", sought=asked)
