"""What a script sees of a page and says of it: elements in the page's own DOM, and the actions that reach them.

What to do on one kind of page is a script: a generator of actions, which looks at the page again after each of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evals.pages import REGION, SCALE, PageEnvironment, in_pixels
from model.base import ModelError
from model.labels import Rectangle
from tools.base import Thousandths, Tool
from tools.computer import Click, Drag, Hover, Key, Scroll, Type

Actions = Iterator[Tool]
"""What a script gives: an action, and once that is done and the page has come to rest, the next."""

SIZE = round(REGION[0] * SCALE), round(REGION[1] * SCALE)
"""Pixels of a screenshot."""
SUBMIT = "#subbtn"
"""The button of most of MiniWoB++'s pages."""
TOP = 50
"""CSS pixels of the instruction above MiniWoB++'s pages."""
_NOTCH = 100
"""CSS pixels that one notch of the wheel scrolls."""
_SCROLLS = 8
"""An element that so many turns of the wheel do not bring into view is not there."""

_TERMS = r"""
  const text = e => (e.textContent || e.value || '').replace(/\s+/g, ' ').trim();
  const shown = e => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
  const all = (selector, wanted) => [...document.querySelectorAll(selector)]
    .filter(e => shown(e) && (wanted == null || text(e) === wanted));
  const box = e => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
  const place = e => { const [left, top, , bottom] = box(e); return [Math.round((top + bottom) / 40), left]; };
"""
"""What scripts may say in JavaScript: `all` gives the rendered elements of a selector, those of one text if that is given; `place` puts
shapes that stand in rows of 20 pixels in reading order."""
ORDINAL = r"(\d+(?:st|nd|rd|th))"

_FREE = """
  const free = element => {
    const b = element.getBoundingClientRect(), n = 12, w = b.width / n, h = b.height / n;
    const bare = Array.from({length: n}, (_, j) => Array.from({length: n}, (_, i) => {
      const x = b.left + (i + 0.5) * w, y = b.top + (j + 0.5) * h;
      const top = x < WIDTH && y < HEIGHT ? document.elementFromPoint(x, y) : null;
      return top === element || element.contains(top);
    }));
    let best = [0, 0, 0, 0], area = 0;
    for (let top = 0; top < n; top++) for (let left = 0; left < n; left++) {
      let right = n;
      for (let bottom = top; bottom < n && right > left; bottom++) {
        let i = left;
        while (i < right && bare[bottom][i]) i++;
        right = i;
        if ((right - left) * (bottom + 1 - top) > area) {
          area = (right - left) * (bottom + 1 - top);
          best = [left, top, right, bottom + 1];
        }
      }
    }
    return area ? [b.left + best[0] * w, b.top + best[1] * h, b.left + best[2] * w, b.top + best[3] * h] : null;
  };
""".replace("WIDTH", str(REGION[0])).replace("HEIGHT", str(REGION[1]))
"""The largest rectangle of an element, in the part of the page that is seen, that nothing else covers."""

_FIND = """
  const element = all(given[0], given[1])[given[2]];
  if (!element) return null;
  const [left, top, right, bottom] = box(element), inside = free(element);
  let scroller = element.parentElement;
  while (scroller && !(/auto|scroll/.test(getComputedStyle(scroller).overflowY) && scroller.scrollHeight > scroller.clientHeight + 1))
    scroller = scroller.parentElement;
  const view = scroller && box(scroller);
  return {
    box: inside && inside[3] - inside[1] >= Math.min(4, (bottom - top) / 2) ? inside : null,
    view, away: view && (top + bottom) / 2 - (view[1] + view[3]) / 2,
  };
"""
"""Where an element can be clicked, or else the box that scrolls it and how many CSS pixels it is below that box's middle."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Words that stand in an element, and where that is, in pixels of the screenshot."""

    words: str
    selector: str
    nth: int
    box: Rectangle


class Page:
    """What a script sees of a page, in CSS pixels, and the actions it has to say for it. Looking changes nothing.

    An element is named by a selector, its whole text if that is given, and which of the rendered ones it is, from 0.
    Of the action under way, in pixels of the screenshot: target: where it may go, or where a drag may begin; None when no one place is
    meant. goal: where that drag may end, None where only its own end will do. evidence: what tells on the screen that it is this action and
    no other, where a script says so (a number that is odd, the month a calendar shows). thought: what is said before it, in parts. named:
    the words of the instruction or the thought that tell the target, where a script says so. again: aims once more, if it goes to an
    element. lost: after a stray, whether that finds no part of the element to go to, or what told the action looks otherwise.
    """

    def __init__(self, env: PageEnvironment, instruction: str = "") -> None:
        """instruction: another than the page's own."""
        self._env, self._instruction = env, instruction
        self.begin()

    def begin(self) -> None:
        """Forget the action before."""
        self.target: Rectangle | None = None
        self.goal: Rectangle | None = None
        self.evidence: Rectangle | None = None
        self.thought: tuple[str | Seen, ...] = ()
        self.named = ""
        self.again: Callable[[], Tool] | None = None
        self.lost = False

    @property
    def instruction(self) -> str:
        return self._instruction or self._env.instruction

    def js(self, expression: str, *given: object) -> Any:
        """The value of an expression in the terms `all`, `text`, `box` and `place`; what is given to it is `given[0]`, `given[1]` …"""
        return self._env.browser.evaluate(f"(given) => {{ {_TERMS} return ({expression}); }}", list(given))

    def texts(self, selector: str) -> list[str]:
        """Of all rendered elements of a selector."""
        return [str(text) for text in self.js("all(given[0]).map(text)", selector)]

    def has(self, selector: str, text: str | None = None) -> bool:
        return bool(self.js("all(given[0], given[1]).length", selector, text))

    def box(self, selector: str, text: str | None = None, nth: int = 0) -> Rectangle:
        """left, top, right, bottom of an element. Raises ModelError when there is none."""
        found = self.js("(e => e ? box(e) : null)(all(given[0], given[1])[given[2]])", selector, text, nth)
        if found is None:
            raise ModelError(f"The oracle does not find {_named(selector, text, nth)} on the page.")
        left, top, right, bottom = found
        return left, top, right, bottom

    def said(self, pattern: str) -> str:
        """What the group of a pattern holds in the instruction. Raises ModelError when it does not match."""
        return self.told(pattern)[0]

    def told(self, pattern: str) -> tuple[str, ...]:
        """What the groups of a pattern hold in the instruction. Raises ModelError when it does not match."""
        found = re.search(pattern, self.instruction)
        if found is None:
            raise ModelError(f"The oracle does not understand {self.instruction!r}.")
        return found.groups()

    def look(self, selector: str, text: str | None = None, nth: int = 0) -> None:
        """An element is the `evidence` for what is done next. Raises ModelError when there is none."""
        self.evidence = _pixels(self.box(selector, text, nth))

    def seen(self, selector: str, nth: int = 0, *, words: str = "") -> Seen:
        """An element's text, or some words of it, to think of. Raises ModelError when there is none."""
        return Seen(words or self._text(selector, nth), selector, nth, _pixels(self.box(selector, nth=nth)))

    def think(self, *parts: str | Seen) -> None:
        """What is said before what is done next; the last that is seen is its `evidence`."""
        self.thought = parts
        self.evidence = next((part.box for part in reversed(parts) if isinstance(part, Seen)), self.evidence)

    def told_at(self) -> tuple[Rectangle, ...]:
        """Where on the screen it stands that this is to be done: the evidence, and what was thought of."""
        return (*((self.evidence,) if self.evidence else ()), *(part.box for part in self.thought if isinstance(part, Seen)))

    def still(self) -> bool:
        """Whether all that was thought of can still be seen, and nothing is `lost`."""
        if self.lost:
            return False
        seen = (part for part in self.thought if isinstance(part, Seen))
        return all(re.search(rf"(?<![\w-]){re.escape(part.words)}(?!\w)", self._text(part.selector, part.nth)) for part in seen)

    def _text(self, selector: str, nth: int) -> str:
        return str(self.js("(e => e ? text(e) : '')(all(given[0])[given[1]])", selector, nth))

    # actions

    def at(self, x: float, y: float) -> Thousandths:
        """The point nearest to a place in CSS pixels."""
        return Thousandths.of((min(SIZE[0] - 1, max(0, int(x * SCALE))), min(SIZE[1] - 1, max(0, int(y * SCALE)))), SIZE)

    def reach(self, selector: str, text: str | None = None, nth: int = 0, *, named: str = "") -> Iterator[Tool]:
        """Turn the wheel, as far as is seen at once, until an element is in view; then `target` is the part of it that nothing covers.

        Raises ModelError.
        """
        for _ in range(_SCROLLS):
            found = self._seek(selector, text, nth)
            if found and found["box"]:
                return
            if not found or not found["view"]:
                break
            _, top, _, bottom = found["view"]
            notches = max(1, int((bottom - top) / _NOTCH))
            self.named = named or text or ""
            yield Scroll(point=self.at(*middle(found["view"])), dy=notches if found["away"] > 0 else -notches)
        raise ModelError(f"The oracle does not find {_named(selector, text, nth)} in what is seen of the page.")

    def _seek(self, selector: str, text: str | None, nth: int) -> Any:
        """What _FIND says of an element; where it can be clicked is the `target` then."""
        found = self._env.browser.evaluate(f"(given) => {{ {_TERMS} {_FREE} {_FIND} }}", [selector, text, nth])
        if found and found["box"]:
            self.target = _pixels(found["box"])
        return found

    def click(
        self, selector: str, text: str | None = None, nth: int = 0, *, count: int = 1, hold: str = "", named: str = ""
    ) -> Iterator[Tool]:
        yield from self._act(lambda: Click(point=self._aim(), count=count, hold=tuple(hold.split())), (selector, text, nth), named)

    def hover(self, selector: str, text: str | None = None, nth: int = 0, *, named: str = "") -> Iterator[Tool]:
        yield from self._act(lambda: Hover(point=self._aim()), (selector, text, nth), named)

    def _act(self, action: Callable[[], Tool], element: tuple[str, str | None, int], named: str) -> Iterator[Tool]:
        yield from self.reach(*element, named=named)

        def again() -> Tool:
            found = self._seek(*element)
            self.lost = not (found and found["box"])
            return action()

        self.named, self.again = named, again
        yield action()

    def fill(self, selector: str, text: str, nth: int = 0, *, named: str = "") -> Iterator[Tool]:
        """Click a field that is empty, and type."""
        yield from self.click(selector, nth=nth, named=named)
        yield Type(text=text)

    def drag(self, *path: tuple[float, float], start: Rectangle | None = None, goal: Rectangle | None = None, named: str = "") -> Drag:
        """Through places in CSS pixels. goal: as `goal`, but in CSS pixels; then it may begin anywhere in `start`, or else in what was
        reached."""
        self.target, self.goal, self.named = _pixels(start) if start else self.target, goal and _pixels(goal), named
        return Drag(path=tuple(self.at(*place) for place in path))

    def grasp(self) -> tuple[float, float]:
        """The middle of what `reach` has found, in CSS pixels."""
        assert self.target is not None
        x, y = middle(self.target)
        return x / SCALE, y / SCALE

    def keys(self, key: str, times: int = 1) -> Key:
        """A key, so many times in a row."""
        return Key(keys="+".join([key] * times))

    def _aim(self) -> Thousandths:
        assert self.target is not None
        x, y = middle(self.target)
        return Thousandths.of((int(x), int(y)), SIZE)


Script = Callable[[Page], Actions]
Others = Callable[[Page, random.Random], Iterator[tuple[str, Script]]]
"""Of a page as it is shown: other instructions that could have been given, and who answers them."""


def _pixels(box: Sequence[float]) -> Rectangle:
    left, top, right, bottom = in_pixels(box)
    return left, top, right, bottom


def ordinal(told: str) -> int:
    """3 for "3rd"."""
    return int(told[:-2])


def parity(number: int) -> str:
    return "odd" if number % 2 else "even"


def compared(number: int, other: int, shown: str = "") -> str:
    """What is thought of a number beside another, which may be shown otherwise."""
    how = "under" if number < other else "over" if number > other else "is"
    return f"{how} {shown or other}"


def chosen(words: str) -> str:
    return f"so {words}"


def extreme(page: Page, selector: str, *, least: bool) -> Seen:
    """The element with the least or the greatest of some prices or durations, all of which are thought of."""
    values = page.js("all(given[0]).map(e => Number(e.dataset.price ?? e.dataset.duration))", selector)
    seen = [page.seen(selector, nth, words=text.removeprefix("Book for ")) for nth, text in enumerate(page.texts(selector))]
    best: Seen = seen[values.index((min if least else max)(values))]
    page.think(*seen, chosen(best.words))
    page.evidence = best.box
    return best


def middle(box: Sequence[float]) -> tuple[float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2


def _named(selector: str, text: str | None, nth: int) -> str:
    return f"{selector!r}{'' if text is None else f' with the text {text!r}'}{f', number {nth + 1}' if nth else ''}"
