"""Scripts for MiniWoB++'s pages where something is dragged: shapes, sliders, list items, text that is selected, lines that are drawn."""

from __future__ import annotations

import math
import re

from evals.drawings import ORDINALS
from evals.oracles.page import ORDINAL, SUBMIT, TOP, Actions, Page, Script, chosen, middle, ordinal
from evals.pages import REGION
from model.labels import Rectangle
from tools.computer import Drag, Key, Type

_WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_TAGS = {"rectangles": "rect", "circles": "circle", "triangles": "polygon"}


def drag_box(page: Page) -> Actions:
    yield from page.reach("#draggableSmall")
    small, large, (x, y) = page.box("#draggableSmall"), page.box("#draggableLarge"), page.grasp()
    (sx, sy), (lx, ly) = middle(small), middle(large)
    yield page.drag((x, y), (x + lx - sx, y + ly - sy))
    yield from page.click(SUBMIT)


def drag_one_way(page: Page) -> Actions:
    yield from page.reach("#area svg [class^=black]")
    way = page.said("Drag the (?:circle|item) (.*) then")
    yield _drag_away(page, way, page.box("#area svg"), 12)
    yield from page.click(SUBMIT)


def _drag_away(page: Page, way: str, room: Rectangle, least: float) -> Drag:
    """25 pixels one way from what was reached; so many at least will do, to anywhere in the room there is on that side."""
    (x, y), (left, top, right, bottom), (across, down) = page.grasp(), room, _WAYS[way]
    goals = {"left": (left, top, x - least, bottom), "right": (x + least, top, right, bottom),
             "up": (left, top, right, y - least), "down": (left, y + least, right, bottom)}  # fmt: skip
    return page.drag((x, y), (x + 25 * across, y + 25 * down), goal=goals[way])


def _into(page: Page, shape: int, box: tuple[float, float, float, float], named: str) -> Actions:
    yield from page.reach("#area_svg > [style*=pointer]", nth=shape)
    left, top, right, bottom = box
    yield page.drag(page.grasp(), middle(box), goal=(left + 12, top + 12, right - 8, bottom - 8), named=named)


def _shapes(page: Page) -> list[tuple[int, str, str]]:
    """Which of those that can be dragged, tag and colour, in reading order."""
    found = page.js("all('#area_svg > [style*=pointer]').map((e, i) => [...place(e), i, e.tagName, e.getAttribute('fill')])")
    return [(i, tag, fill) for _, _, i, tag, fill in sorted(found)]


def drag_shapes(page: Page) -> Actions:
    kind = page.said("Drag all (.*) into")
    for i, tag, _ in _shapes(page):
        if tag == _TAGS[kind]:
            yield from _into(page, i, page.box("#shape-container"), kind)
    yield from page.click(SUBMIT)


def drag_shapes_apart(page: Page) -> Actions:
    kind = page.said("Drag all (.*?)(?: shapes)? into the left box")
    for i, tag, fill in _shapes(page):
        left = _TAGS.get(kind, kind) in (tag, fill)
        yield from _into(page, i, page.box("#area_svg #shape-container", nth=0 if left else 1), kind if left else "everything else")
    yield from page.click(SUBMIT)


# lists that are sorted by dragging


def _move(page: Page, old: int, new: int) -> Actions:
    """Drag one item of a sortable list onto another's place: across its middle, and back to it."""
    yield from page.reach("#sortable li", nth=old)
    (x, y), goal, item = page.grasp(), middle(page.box("#sortable li", nth=new)), middle(page.box("#sortable li", nth=old))
    dx, dy = goal[0] - item[0], goal[1] - item[1]
    length = math.hypot(dx, dy) or 1
    yield page.drag((x, y), (x + dx / 2, y + dy / 2), (x + dx + 4 * dx / length, y + dy + 4 * dy / length), (x + dx, y + dy))


def drag_items(page: Page) -> Actions:
    """An item of a list takes another's place when it is dragged past its middle."""
    name, goal = page.told(r"Drag (\S+) (.*)\.")
    names = page.texts("#sortable li")
    old = names.index(name)
    new = places(old, len(names))[goal]
    yield from page.reach("#sortable li", nth=old)
    (x, y), (left, _, right, _) = page.grasp(), page.box("#sortable li", nth=old)
    past = middle(page.box("#sortable li", nth=new))[1] + (6 if new > old else -6)
    yield page.drag((x, y), (x, past), start=(left, y - 4, right, y + 4), goal=(x - 40, past - 6, x + 40, past + 6), named=name)


def places(at: int, count: int) -> dict[str, int]:
    """How an instruction calls the places of a list of so many, seen from one of them."""
    told = {"to the top": 0, "to the bottom": count - 1, "down by one position": at + 1, "up by one position": at - 1}
    return told | {f"to the {ORDINALS[place]} position": place for place in range(count)}


def drag_items_in_grid(page: Page) -> Actions:
    name, goal = page.told(r"Drag (\S+) (.*)\.")
    old = page.texts("#sortable li").index(name)
    steps = {"up by one": -3, "down by one": 3, "left by one": -1, "right by one": 1}
    row = next((i for i, word in enumerate(("top", "center", "bottom")) if goal.startswith(f"to the {word}")), 1)
    column = next((i for i, word in enumerate(("left", "center", "right")) if goal.endswith(word)), 1)
    yield from _move(page, old, old + steps[goal] if goal in steps else row * 3 + column)


def drag_sort_numbers(page: Page) -> Actions:
    for place in range(3):
        numbers = [int(text) for text in page.texts("#sortable li")]
        least = numbers.index(min(numbers[place:]), place)
        if least != place:
            yield from _move(page, least, place)
    yield from page.click(SUBMIT)


# sliders


def _slide(page: Page, slider: str, value: int) -> Actions:
    """Drag the handle near a value, then set it with the arrow keys."""
    state = "(s => ({value: s.slider('value'), least: s.slider('option', 'min'), most: s.slider('option', 'max'), "
    state += "upright: s.slider('option', 'orientation') === 'vertical'}))($(given[0]))"
    now = page.js(state, slider)
    if now["value"] == value:
        return
    left, top, right, bottom = page.box(slider)
    part = (value - now["least"]) / (now["most"] - now["least"])
    yield from page.reach(f"{slider} .ui-slider-handle")
    x, y = page.grasp()
    yield page.drag((x, y), (x, bottom - part * (bottom - top)) if now["upright"] else (left + part * (right - left), y))
    if off := value - page.js(state, slider)["value"]:
        yield page.keys("right" if off > 0 else "left", abs(off))


def one_slider(page: Page) -> Actions:
    yield from _slide(page, "#slider", int(page.said(r"Select (-?\d+) with the slider")))
    yield from page.click(SUBMIT)


def three_sliders(page: Page) -> Actions:
    for i, value in enumerate(page.told(r"\[(\d+),(\d+),(\d+)\]")):
        yield from _slide(page, f"#slider-{i + 1}", int(value))
    yield from page.click(SUBMIT)


def slider_and_checkbox(page: Page) -> Actions:
    value, box = page.told(r"Select (-?\d+) with the slider, click the " + ORDINAL)
    yield from _slide(page, "#slider", int(value))
    yield from page.click(f"#checkbox-{ordinal(box)}", named=f"{box} checkbox")
    yield from page.click(SUBMIT)


# text and lines

_WORD = """
  ((line, word, range) => {
    const start = ` ${line.data} `.indexOf(` ${word} `);
    range.setStart(line, start);
    range.setEnd(line, start + word.length);
    return box(range);
  })(document.querySelector('#editor .ql-editor p').firstChild, given[0], document.createRange())
"""
"""Where a word of the editor stands, of those between spaces."""


def highlight_text(page: Page) -> Actions:
    """Three clicks select a paragraph."""
    yield from page.click("#randomText", count=3)
    yield from page.click(SUBMIT)


def highlight_paragraph(page: Page) -> Actions:
    nth = page.said(ORDINAL)
    yield from page.click("#randomText p", nth=ordinal(nth) - 1, count=3, named=nth)
    yield from page.click(SUBMIT)


def text_editor(page: Page) -> Actions:
    """Select by dragging from end to end, since punctuation belongs to the words; then style or colour what is selected."""
    words = re.search("give the text (.*) the (?:style|color)", page.instruction)
    if words is None:
        yield from page.click("#editor .ql-editor")
        yield Key(keys="ctrl+a")
    else:
        left, top, right, bottom = page.js(_WORD, words[1])
        yield page.drag((left + 1, (top + bottom) / 2), (right - 1, (top + bottom) / 2))
    style = page.said(r"(?:style|color) (\w+)")
    tool = {"bold": "bold", "italics": "italic", "underlined": "underline"}.get(style)
    if tool:
        yield from page.click(f".ql-{tool}")
    else:
        yield from page.click(".ql-color .ql-picker-label")
        yield from page.click(f'.ql-color .ql-picker-item[data-value="{_QUILL[style]}"]')
    yield from page.click(SUBMIT)


_QUILL = {"red": "#e60000", "orange": "#ff9900", "yellow": "#ffff00", "green": "#008a00", "blue": "#0066cc", "purple": "#9933ff"}
"""The first of the shades of each colour that the page accepts."""


def resize_textarea(page: Page) -> Actions:
    way, (width, height) = resizing(page.instruction), REGION
    yield from page.reach(".ui-resizable-se")
    page.think(chosen(way))
    yield _drag_away(page, way, (2, TOP, width - 8, height - 16), 8)
    yield from page.click("#submit")


def resizing(asked: str) -> str:
    """Which way a corner is to go."""
    ways = ("down", "up") if "height" in asked else ("right", "left")
    return ways["smaller" in asked]


def draw_circle(page: Page) -> Actions:
    x, y = middle(page.box("#circ"))
    yield page.drag(*((x + 20 * math.cos(turn * math.tau / 24), y + 20 * math.sin(turn * math.tau / 24)) for turn in range(25)))
    yield from page.click("#controls button")


def draw_line(page: Page) -> Actions:
    x, y = middle(page.box("#circ"))
    along = (25, 0) if "horizontal" in page.instruction else (0, 25)
    yield page.drag((x - along[0], y - along[1]), (x, y), (x + along[0], y + along[1]))
    yield from page.click("#controls button")


# a calendar

_BUSY = "all('.event').map(box)"


def daily_calendar(page: Page) -> Actions:
    length, name, start, end = page.told(r'Create a (.*) event named "(.*)", between (\d+[AP]M) and (\d+[AP]M)')
    number = float(length.split()[0])
    halves = round(number / 30 if "min" in length else number * 2)
    hours = [int(time[:-2]) % 12 + 12 * time.endswith("PM") for time in (start, end)]
    for first in range(hours[0] * 2, hours[1] * 2 - halves + 1):
        wanted = [page.box(f"#hh-{half}") for half in range(first, first + halves)]
        busy = page.js(_BUSY)
        if not any(box[1] < wanted[-1][3] and box[3] > wanted[0][1] for box in busy):
            break
    yield from page.reach(f"#hh-{first + halves - 1}")
    yield from page.reach(f"#hh-{first}")
    (x, y), bottom = middle(page.box(f"#hh-{first}")), page.box(f"#hh-{first + halves - 1}")[3]
    yield page.drag((x - 20, y - 6), (x - 20, y), (x - 20, bottom - 4))
    yield from page.click("#event-name")
    yield Type(text=name)
    yield from page.click("#controls .create")


SCRIPTS: dict[str, Script] = {
    "daily-calendar": daily_calendar,
    "drag-box": drag_box,
    "drag-circle": drag_one_way,
    "drag-items": drag_items,
    "drag-items-grid": drag_items_in_grid,
    "drag-shapes": drag_shapes,
    "drag-shapes-2": drag_shapes_apart,
    "drag-single-shape": drag_one_way,
    "drag-sort-numbers": drag_sort_numbers,
    "draw-circle": draw_circle,
    "draw-line": draw_line,
    "form-sequence": slider_and_checkbox,
    "highlight-text": highlight_text,
    "highlight-text-2": highlight_paragraph,
    "resize-textarea": resize_textarea,
    "text-editor": text_editor,
    "use-slider": one_slider,
    "use-slider-2": three_sliders,
}
