"""A real Chromium as an environment: screenshots equal to what a person sees, mouse and keyboard in pixels of the screenshot."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from PIL import Image
from playwright.async_api import Error

from environments.base import ActionError, Button, EnvironmentFault, Observation, Point
from environments.browser import hands
from environments.browser.chromium import Chromium, first_line
from environments.browser.loop import LoopThread
from environments.browser.options import BrowserOptions
from environments.browser.session import Session
from environments.browser.settle import settle
from environments.browser.tab import Tab

LAUNCH_BOUND = 60.0


class BrowserEnvironment:
    """One window of Chromium; see `environments.base.Browser` for the verbs."""

    def __init__(
        self,
        url: str = "about:blank",
        *,
        viewport: tuple[int, int] = (1280, 720),
        scale: float = 1.0,
        headless: bool = True,
        region: tuple[int, int] | None = None,
        options: BrowserOptions | None = None,
    ) -> None:
        """url: where reset goes. viewport: of the page, in CSS pixels. scale: screenshot pixels for one CSS pixel.

        region: width and height, in CSS pixels, of the top-left part of the viewport that is seen; None is all of it.
        """
        self._url, self._scale = url, scale
        self._seen = region or viewport
        self._clipped = scale != 1 or self._seen != viewport
        self._options = options or BrowserOptions()
        context = {
            "viewport": {"width": viewport[0], "height": viewport[1]},
            "device_scale_factor": scale,
            "permissions": list(self._options.permissions),
        }
        self._chromium = Chromium(headless, self._options, context)
        self._loop: LoopThread | None = None
        self._session: Session | None = None

    def reset(self) -> Observation:
        """Open the start address in a fresh page. Raises EnvironmentFault when there is no browser or the address cannot be opened."""
        if self._loop is None:
            self._loop = LoopThread("browser")
        return self._loop.run(self._begin(), LAUNCH_BOUND)

    async def _begin(self) -> Observation:
        self._session = Session(await self._chromium.fresh(), self._options)
        await self._session.open()
        tab = await self._session.current()
        try:
            await tab.page.goto(self._url, wait_until="commit", timeout=self._options.navigation_timeout * 1000)
        except Error as error:
            raise EnvironmentFault(f"{self._url} cannot be opened: {first_line(error)}") from error
        return await self._look()

    def observe(self) -> Observation:
        return self._run(self._look(), 30)

    async def _look(self) -> Observation:
        session = self._here()
        tab = await session.current()
        await settle(tab, session.acted, self._options.navigation_timeout, self._options.settle_timeout)
        png = await self._capture(tab)
        screenshot = Image.open(io.BytesIO(png)).convert("RGB")
        return Observation(screenshot, tab.page.url, (), session.take_notices(), png)

    async def _capture(self, tab: Tab) -> bytes:
        """PNG of the viewport. Without a clip, Chromium captures one pixel for a CSS pixel whatever the scale; a clip counts from the page's top."""
        asked: dict[str, Any] = {"format": "png", "optimizeForSpeed": True}
        if self._clipped:
            view = (await tab.cdp.send("Page.getLayoutMetrics"))["cssVisualViewport"]
            width, height = self._seen
            asked["clip"] = {"x": view["pageX"], "y": view["pageY"], "width": width, "height": height, "scale": self._scale}
        return base64.b64decode((await tab.cdp.send("Page.captureScreenshot", asked))["data"])

    def move(self, point: Point) -> None:
        self._act(lambda tab: tab.page.mouse.move(*self._spot(point)))

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
        self._act(lambda tab: hands.click(tab.page, self._spot(point), button, count, hold))

    def drag(self, path: Sequence[Point], *, button: Button = "left", hold: Sequence[str] = ()) -> None:
        spots = [self._spot(point) for point in path]
        self._act(lambda tab: hands.drag(tab.page, spots, button, hold))

    def scroll(self, point: Point, *, dx: int = 0, dy: int = 0) -> None:
        self._act(lambda tab: hands.scroll(tab.page, self._spot(point), dx, dy))

    def type(self, text: str) -> None:
        self._act(lambda tab: hands.type_text(tab.page, text))

    def press(self, *keys: str) -> None:
        self._act(lambda tab: hands.press(tab.page, keys))

    def evaluate(self, script: str, argument: object = None) -> Any:
        """The value of JavaScript in the current page (an expression, or a function given the argument), within the action bound."""
        return self._run(self._evaluate(script, argument), self._options.action_timeout)

    async def _evaluate(self, script: str, argument: object) -> Any:
        return await (await self._here().current()).page.evaluate(script, argument)

    def _spot(self, point: Point) -> tuple[float, float]:
        """A pixel of the screenshot in CSS pixels; the only conversion."""
        width, height = (round(side * self._scale) for side in self._seen)
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise ActionError(f"({point.x}, {point.y}) lies outside the screenshot, which is {width} by {height} pixels.")
        return point.x / self._scale, point.y / self._scale

    def _act(self, verb: Any) -> None:
        self._run(self._do(verb), self._options.action_timeout + 5)

    async def _do(self, verb: Any) -> None:
        session = self._here()
        await session.act(verb(await session.current()), self._options.action_timeout)

    def _here(self) -> Session:
        if self._session is None:
            raise EnvironmentFault("The browser is not open: call reset() first.")
        return self._session

    def _run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        if self._loop is None:
            work.close()
            raise EnvironmentFault("The browser is not open: call reset() first.")
        return self._loop.run(work, seconds)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run(self._chromium.close(), 15)
            self._loop.close()
        self._loop = self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
