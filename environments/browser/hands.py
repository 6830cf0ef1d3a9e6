"""Mouse and keyboard of one page. Knows CSS pixels and canonical keys, nothing of screenshots."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Page

from environments.base import Button
from environments.browser.keys import pieces, playwright_key
from environments.browser.view import Spot

NOTCH = 100
"""CSS pixels that one notch of the wheel scrolls, as on most desktops."""
STEPS = 5
"""Mouse moves between two points of a drag; pages that follow the mouse need some."""


@asynccontextmanager
async def held(page: Page, names: Sequence[str]) -> AsyncIterator[None]:
    """Keys down in order, and up in the opposite order whatever happens."""
    keys = [playwright_key(name) for name in names]
    try:
        for key in keys:
            await page.keyboard.down(key)
        yield
    finally:
        for key in reversed(keys):
            await page.keyboard.up(key)


async def click(page: Page, spot: Spot, button: Button, count: int, hold: Sequence[str]) -> None:
    async with held(page, hold):
        await page.mouse.click(*spot, button=button, click_count=count)


async def drag(page: Page, path: Sequence[Spot], button: Button, hold: Sequence[str]) -> None:
    """Press at the first spot, pass through the others, release at the last."""
    async with held(page, hold):
        await page.mouse.move(*path[0])
        await page.mouse.down(button=button)
        try:
            for spot in path[1:]:
                await page.mouse.move(*spot, steps=STEPS)
        finally:
            await page.mouse.up(button=button)


async def scroll(page: Page, spot: Spot, dx: int, dy: int) -> None:
    await page.mouse.move(*spot)
    await page.mouse.wheel(dx * NOTCH, dy * NOTCH)


async def type_text(page: Page, text: str) -> None:
    """Character by character, so that a dialog in the middle ends it there."""
    for way, piece in pieces(text):
        if way == "insert":
            await page.keyboard.insert_text(piece)
        elif way == "keys":
            for character in piece:
                await page.keyboard.type(character)
        else:
            await page.keyboard.press("Enter" if way == "enter" else "Tab")


async def press(page: Page, names: Sequence[str]) -> None:
    async with held(page, names):
        pass


async def mouse_down(page: Page, spot: Spot, button: Button) -> None:
    await page.mouse.move(*spot)
    await page.mouse.down(button=button)


async def mouse_up(page: Page, spot: Spot, button: Button) -> None:
    await page.mouse.move(*spot)
    await page.mouse.up(button=button)
