"""Mouse and keyboard of one tab, in CSS pixels."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.async_api import Page

from environments.base import Button
from environments.browser.keys import pieces, playwright_key

NOTCH = 100
"""CSS pixels that one notch of the wheel scrolls, as on most desktops."""

Spot = tuple[float, float]


async def click(page: Page, spot: Spot, button: Button, count: int, hold: Sequence[str]) -> None:
    keys = [playwright_key(name) for name in hold]
    try:
        for key in keys:
            await page.keyboard.down(key)
        await page.mouse.click(*spot, button=button, click_count=count)
    finally:
        for key in reversed(keys):
            await page.keyboard.up(key)


async def drag(page: Page, path: Sequence[Spot], button: Button, hold: Sequence[str]) -> None:
    """Press at the first spot, pass through the others, release at the last."""
    keys = [playwright_key(name) for name in hold]
    try:
        for key in keys:
            await page.keyboard.down(key)
        await page.mouse.move(*path[0])
        await page.mouse.down(button=button)
        for spot in path[1:]:
            await page.mouse.move(*spot, steps=5)
    finally:
        await page.mouse.up(button=button)
        for key in reversed(keys):
            await page.keyboard.up(key)


async def scroll(page: Page, spot: Spot, dx: int, dy: int) -> None:
    await page.mouse.move(*spot)
    await page.mouse.wheel(dx * NOTCH, dy * NOTCH)


async def type_text(page: Page, text: str) -> None:
    for way, piece in pieces(text):
        if way == "insert":
            await page.keyboard.insert_text(piece)
        elif way == "keys":
            await page.keyboard.type(piece)
        else:
            await page.keyboard.press("Enter" if way == "enter" else "Tab")


async def press(page: Page, names: Sequence[str]) -> None:
    """Press keys together, in order, and release them in the opposite order."""
    keys = [playwright_key(name) for name in names]
    try:
        for key in keys:
            await page.keyboard.down(key)
    finally:
        for key in reversed(keys):
            await page.keyboard.up(key)
