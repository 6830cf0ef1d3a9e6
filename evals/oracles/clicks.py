"""Scripts for MiniWoB++'s pages that clicks alone solve, on elements that are named, listed or drawn."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from environments.base import Point
from evals.oracles.page import ORDINAL, SUBMIT, TOP, Actions, Page, Script, chosen, compared, extreme, middle, ordinal, parity
from tools.computer import Click


def one(selector: str) -> Script:
    """A click on the only thing there is."""

    def script(page: Page) -> Actions:
        yield from page.click(selector)

    return script


def quoted(selector: str, pattern: str = '"(.*)"') -> Script:
    """A click on the element whose text the instruction says."""

    def script(page: Page) -> Actions:
        yield from page.click(selector, page.said(pattern))

    return script


def buy_ticket(page: Page) -> Actions:
    what, of = page.told("with the (.*) (cost|duration)")
    best = extreme(page, ".buy-ticket" if of == "cost" else ".time-duration", least=what in ("cheapest", "shortest"))
    yield from page.click(".buy-ticket", nth=best.nth, named=best.words)


def button_sequence(page: Page) -> Actions:
    yield from page.click(SUBMIT)
    yield from page.click("#subbtn2")


def color(page: Page) -> Actions:
    named = page.said("Click on the (.*) colored box")
    yield from page.click(f'#area [data-color="{named}"]', named=named)


def dialog(page: Page) -> Actions:
    label = page.said('"(.*)"')
    if label == "x":
        yield from page.click(".ui-dialog-titlebar button")
    else:
        yield from page.click(".ui-dialog-buttonset button", label)


def widget(page: Page) -> Actions:
    kind = page.said('"(.*)"')
    yield from page.click(f'#area [data-type="{kind}"]', named=f'"{kind}"')


def focus_nth(page: Page) -> Actions:
    nth = page.said(ORDINAL)
    yield from page.click("#area input", nth=ordinal(nth) - 1, named=nth)


def grid_coordinate(page: Page) -> Actions:
    place = page.said(r"(\(.*\))")
    yield from page.click(f'circle[id="{place}"]', named=place)


# shapes

_SHAPES = """all('#area_svg > *').map(e => {
  const letters = e.tagName === 'text', size = letters ? parseFloat(e.getAttribute('font-size')) : e.getBBox().width;
  return {place: place(e), size: size > 15 ? 'large' : 'small', color: e.getAttribute('fill'), text: text(e),
          kind: letters ? (/[0-9]/.test(text(e)) ? 'digit' : 'letter') : {rect: 'rectangle', polygon: 'triangle'}[e.tagName] || e.tagName};
})"""


def matching(page: Page, description: str) -> list[int]:
    """Which shapes are what is described, in reading order: "large red circle", "small item", "blue 7". A shape's name is exact, letter by
    letter."""
    *adjectives, kind = description.split()

    def fits(shape: dict[str, str]) -> bool:
        if kind == "shape":
            return shape["kind"] not in ("letter", "digit")
        return kind in ("item", shape["kind"], shape["text"])

    shapes = page.js(_SHAPES)
    found = (i for i, s in enumerate(shapes) if fits(s) and all(word in (s["size"], s["color"]) for word in adjectives))
    return sorted(found, key=lambda i: shapes[i]["place"])


def click_shape(page: Page) -> Actions:
    description = page.said("Click on a (.*)")
    yield from page.click("#area_svg > *", nth=matching(page, description)[0], named=description)


def count_shape(page: Page) -> Actions:
    description = page.said("How many (.*)s are there")
    count = str(len(matching(page, description)))
    page.think(count)
    yield from page.click("#count-buttons button", count, named=count)


def identify_shape(page: Page) -> Actions:
    kind = page.js(f"{_SHAPES}[0].kind")
    page.look("#area_svg > *")
    page.think(kind)
    yield from page.click(f'#area-buttons [data-type="{kind}"]', named=kind)


_INNER_RADIUS = """(canvas => {
  const {width, height} = canvas, seen = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let least = width;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++)
    if (seen[(y * width + x) * 4 + 3] > 127) least = Math.min(least, Math.hypot(x + 0.5 - 75, y + 0.5 - 50));
  return least;
})(document.querySelector('#c'))"""


def count_sides(page: Page) -> Actions:
    """A regular polygon whose corners are 35 pixels from its centre: the nearest its outline comes to the centre tells the sides."""
    inner = page.js(_INNER_RADIUS) + 1.5  # half the width of the outline
    sides = min(range(3, 8), key=lambda n: abs(35 * math.cos(math.pi / n) - inner))
    page.look("#c")
    page.think(str(sides))
    yield from page.click("#form button", str(sides), named=str(sides))


# several clicks


def ascending_numbers(page: Page) -> Actions:
    yield from page.click("#area_svg text", "1")
    for number in range(2, 6):
        yield from page.click(f'#area_svg rect[data-index="{number}"]')


def checkboxes(page: Page) -> Actions:
    for name in page.said("Select (.*) and click Submit").split(", "):
        if name != "nothing":
            yield from page.click("label", name)
    yield from page.click(SUBMIT)


def similar_checkboxes(page: Page) -> Actions:
    words = page.said("Select words similar to (.*) and click Submit").split(", ")
    groups = [set(group) for group in page.js("SYNONYMS")]
    for label in page.texts("label"):
        if any(label in group and group.intersection(words) for group in groups):
            yield from page.click("label", label)
    yield from page.click(SUBMIT)


def number_checkboxes(page: Page) -> Actions:
    digit = page.said(r'("\d")')
    for i, ticked in enumerate(page.js("PATTERNS[given[0]].flat()", int(digit[1]))):
        if ticked:
            yield from page.click("#checkboxes input", nth=i, named=digit)
    yield from page.click(SUBMIT)


def collapsible(page: Page) -> Actions:
    yield from page.click("#area h3")
    yield from page.click(SUBMIT)


def collapsible_link(page: Page) -> Actions:
    """Open one section after the other until the link is there: one cannot know which."""
    link, sections = page.said('"(.*)"'), len(page.texts("#area h3"))
    while not page.has(".alink", link):
        opened = page.js("all('#area h3').findIndex(e => e.matches('.ui-accordion-header-active'))")
        if opened >= 0:
            page.look("#area h3", nth=opened)
        yield from page.click("#area h3", nth=(opened + 1) % sections)
        page.js("Promise.resolve($(':animated').promise()).then(() => true)")  # it slides open
    yield from page.click(".alink", link)


def tab_link(page: Page) -> Actions:
    """Look at one tab after the other until the link is there. One that is on no tab (click-tab-2-medium) asks for the second tab alone."""
    link, tabs = page.said('"(.*)"'), len(page.texts("#area ul a"))
    while not page.has(".alink", link):
        here = page.js("all('#area ul li').findIndex(e => e.matches('.ui-tabs-active'))")
        page.look("#area ul a", nth=here)
        yield from page.click("#area ul a", nth=(here + 1) % tabs)
    yield from page.click(".alink", link)


def _down_to(page: Page, levels: list[str]) -> Actions:
    """Hover from one level of a menu to the next, which a click on a level would end."""
    for parent, child in pairwise(levels):
        while not page.has(".ui-menu-item > div", child):
            yield from page.hover(".ui-menu-item > div", parent, named=parent)


def menu(page: Page) -> Actions:
    levels = page.said("Select (.*)").split(">")
    yield from _down_to(page, levels)
    yield from page.click(".ui-menu-item > div", levels[-1], named=levels[-1])


def icon_menu(page: Page) -> Actions:
    icon = page.js("(e => e && e.classList[1])(document.querySelector('#query .ui-icon'))")
    label = page.js("$('#menu .' + given[0]).parent().text()", icon) if icon else page.said('"Menu" .* "(.*)"')
    yield from page.click("#open-menu")
    while not page.has(".ui-menu-item > div", label):
        _name_icon(page, icon, label, chosen("Playback"))
        yield from page.hover(".ui-menu-item > div", "Playback", named="Playback")
    _name_icon(page, icon, label)
    yield from page.click(".ui-menu-item > div", label, named=label)


def _name_icon(page: Page, icon: str | None, label: str, *then: str) -> None:
    if icon:
        page.look("#query .ui-icon")
    page.think(*((label, *then) if icon else then))


def option(page: Page) -> Actions:
    yield from page.click("label", page.said("Select (.*) and click Submit"))
    yield from page.click(SUBMIT)


def pie(page: Page) -> Actions:
    yield from page.click("#divWheel [id$=spreader]")
    yield from slice_of_pie(page)


def slice_of_pie(page: Page) -> Actions:
    yield from page.click("#divWheel [id*=-title-]", page.said('"(.*)"'))


def shades(page: Page) -> Actions:
    color = page.said("shades of (.*) and")
    selector = f'#area span[data-color="{color}"]'
    for i in range(len(page.texts(selector))):
        yield from page.click(selector, nth=i, named=color)
    yield from page.click("#submit")


def greatest_card(page: Page) -> Actions:
    """Turn one card after the other, of which only the last stays open, and go back to the greatest."""
    best = page.seen(".card", 0)
    for nth in range(3):
        yield from page.click(".card", nth=nth, named=_PLACES[nth] if nth else "")
        shown = page.seen(".card", nth)
        best = max(best, shown, key=lambda one: int(one.words))
        page.think(shown, card(nth, best.nth, best.words))
    if not page.has(".card:not(.hidden)", best.words):
        yield from page.click(".card", nth=best.nth, named=_PLACES[best.nth])
        page.think(page.seen(".card", best.nth), card(best.nth, best.nth, best.words, again=True))
    yield from page.click("#submit", named="submit")


_PLACES = "left", "middle", "right"


def card(nth: int, best: int, greatest: str, *, again: bool = False) -> str:
    """What is thought of a card: where it is, which is the greatest so far, and what comes next; again: all have been seen."""
    turned = nth + 1 if nth < 2 else best
    next_one = "submit" if again or turned == nth else _PLACES[turned]
    return f"{_PLACES[nth]}, most {greatest} {_PLACES[best]} {chosen(next_one)}"


def generate_number(page: Page) -> Actions:
    while True:
        shown = page.seen("#display-number")
        thought, right = judged(page.instruction, shown.words)
        page.think(shown, thought)
        if right:
            break
        yield from page.click("#generate", named="generate")
    yield from page.click("#submit", named="submit")


def judged(asked: str, shown: str) -> tuple[str, bool]:
    """What is thought of the number that is shown, and whether it is such as is asked for; "-" stands where none is shown yet."""
    if shown == "-":
        thought, right = "none", False
    elif "than" in asked:
        number, limit = int(shown), int(re.findall(r"\d+", asked)[0])
        thought, right = compared(number, limit), number < limit if "less" in asked else number > limit
    else:
        thought = parity(int(shown))
        right = thought in asked
    return f"{thought} {chosen('submit' if right else 'generate')}", right


def folder_tree(page: Page) -> Actions:
    """Open the first folder that is closed until the name is there."""
    name = page.said('"(.*)"')
    while not page.has("#tree span", name):
        yield from page.click("#tree .expandable > .folder")
    yield from page.click("#tree span", name)


def odd_or_even(page: Page) -> Actions:
    for row, number in enumerate(page.texts(".display-number")):
        page.think(page.seen(".display-number", row), parity(int(number)))
        yield from page.click(".odd" if int(number) % 2 else ".even", nth=row)
    yield from page.click("#submit")


# points in a drawing


def _place(page: Page, x: float, y: float) -> Actions:
    """A click that makes these pages draw a point there, in CSS pixels, then Submit.

    They take the drawing to begin at the left edge and 50 pixels from the top, which it does not quite.
    """
    left, top, _, _ = page.box("#svg-grid")
    yield Click(point=page.at(x - left, y - top + TOP))
    yield from page.click(SUBMIT)


def circle_center(page: Page) -> Actions:
    yield from _place(page, *middle(page.box("#svg-grid circle")))


def midpoint(page: Page) -> Actions:
    (ax, ay), (bx, by) = (middle(page.box("#svg-grid circle", nth=i)) for i in (0, 1))
    yield from _place(page, (ax + bx) / 2, (ay + by) / 2)


def _away(page: Page, vertex: tuple[float, float], angle: float) -> Point:
    """The pixel of the drawing, far from a vertex, whose direction is nearest to an angle in radians."""
    left, top, right, bottom = page.box("#svg-grid")
    inside = [Point(x, y) for x in range(int(left) + 3, int(right) - 3) for y in range(int(top) + 3, int(bottom) - 3)]
    far = [p for p in inside if math.dist(p, vertex) >= 40]
    return min(far, key=lambda p: abs(math.remainder(math.atan2(p.y - vertex[1], p.x - vertex[0]) - angle, math.tau)))


def bisect_angle(page: Page) -> Actions:
    vertex, a, b = (middle(page.box(s, nth=n)) for s, n in ((".init-blue", 0), (".init-black", 0), (".init-black", 1)))
    first, second = (math.atan2(y - vertex[1], x - vertex[0]) for x, y in (a, b))
    yield from _place(page, *_away(page, vertex, first + math.remainder(second - first, math.tau) / 2))


def right_angle(page: Page) -> Actions:
    vertex, other = middle(page.box("#init-blue")), middle(page.box("#init-black"))
    along = math.atan2(other[1] - vertex[1], other[0] - vertex[0])
    points = [_away(page, vertex, along + turn) for turn in (math.pi / 2, -math.pi / 2)]
    yield from _place(
        page, *min(points, key=lambda p: abs((p.x - vertex[0]) * (other[0] - vertex[0]) + (p.y - vertex[1]) * (other[1] - vertex[1])))
    )


SCRIPTS: dict[str, Script] = {
    "ascending-numbers": ascending_numbers,
    "bisect-angle": bisect_angle,
    "buy-ticket": buy_ticket,
    "circle-center": circle_center,
    "click-button": quoted("#area button"),
    "click-button-sequence": button_sequence,
    "click-checkboxes": checkboxes,
    "click-checkboxes-large": checkboxes,
    "click-checkboxes-soft": similar_checkboxes,
    "click-checkboxes-transfer": checkboxes,
    "click-collapsible": collapsible,
    "click-collapsible-2": collapsible_link,
    "click-collapsible-2-nodelay": collapsible_link,
    "click-collapsible-nodelay": collapsible,
    "click-color": color,
    "click-dialog": one("button.ui-button"),
    "click-dialog-2": dialog,
    "click-link": quoted(".alink"),
    "click-menu": menu,
    "click-menu-2": icon_menu,
    "click-option": option,
    "click-pie": pie,
    "click-shades": shades,
    "click-shape": click_shape,
    "click-tab": quoted("#area ul a", r"(Tab #\d)"),
    "click-tab-2": tab_link,
    "click-tab-2-easy": tab_link,
    "click-tab-2-hard": tab_link,
    "click-tab-2-medium": tab_link,
    "click-test": one(SUBMIT),
    "click-test-2": one(SUBMIT),
    "click-test-transfer": quoted("#area button", r"Click button (\w+)"),
    "click-widget": widget,
    "count-shape": count_shape,
    "count-sides": count_sides,
    "find-greatest": greatest_card,
    "find-midpoint": midpoint,
    "focus-text": one("#tt"),
    "focus-text-2": focus_nth,
    "generate-number": generate_number,
    "grid-coordinate": grid_coordinate,
    "identify-shape": identify_shape,
    "navigate-tree": folder_tree,
    "number-checkboxes": number_checkboxes,
    "odd-or-even": odd_or_even,
    "right-angle": right_angle,
    "unicode-test": quoted("#area button"),
}
