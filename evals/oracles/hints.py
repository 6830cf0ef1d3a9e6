"""A script for the page of MiniWoB++ whose goal is nowhere to be read: a place that is told by hints alone."""

from __future__ import annotations

from collections import Counter

from evals.oracles.page import TOP, Actions, Page, Script
from tools.computer import Click, Hover

_HINTS = ((5, "HOT"), (10, "WARM"), (40, "COLD"), (1000, "ICE COLD"))


def _hint(a: tuple[int, int], b: tuple[int, int]) -> str:
    return next(text for limit, text in _HINTS if (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 < limit**2)


def hot_cold(page: Page) -> Actions:
    """Feel where the hints of what may still be the place differ most, until it is HOT there."""
    left = [(x, y) for x in range(5, 155) for y in range(5, 120)]
    feel = [(x, y) for x in range(6, 150, 6) for y in range(6, 120, 6)]
    felt: list[tuple[int, int]] = []
    while True:
        some = left[:: max(1, len(left) // 300)]
        spot = min((s for s in feel if s not in felt), key=lambda s: max(Counter(_hint(s, place) for place in some).values()))
        if len(left) < 40:
            spot = left[len(left) // 2]
        felt.append(spot)
        yield Hover(point=page.at(spot[0] + 0.4, spot[1] + TOP + 0.4))
        told = page.texts("#display")[0]
        if told == "HOT":
            yield Click(point=page.at(spot[0] + 0.4, spot[1] + TOP + 0.4))
        near = [(spot[0] + dx, spot[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        left = [place for place in left if any(_hint(n, place) == told for n in near)] or left


SCRIPTS: dict[str, Script] = {"hot-cold": hot_cold}
