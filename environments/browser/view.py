"""What of a page is seen, and the one conversion between pixels of the screenshot and CSS pixels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from environments.base import Point, check_inside
from environments.browser.tab import Tab

Spot = tuple[float, float]
"""CSS pixels from the top-left corner of the viewport."""


@dataclass(frozen=True, slots=True)
class View:
    """The top-left `region` (width, height in CSS pixels) of a viewport, at `scale` screenshot pixels for each CSS pixel."""

    region: tuple[int, int]
    scale: float
    whole: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screenshot in pixels."""
        width, height = self.region
        return round(width * self.scale), round(height * self.scale)

    def spot(self, point: Point) -> Spot:
        """Where a pixel of the screenshot lies. Raises ActionError when it lies outside."""
        check_inside(point, self.size)
        return point.x / self.scale, point.y / self.scale

    async def capture(self, tab: Tab) -> bytes:
        """PNG (RGB) of what a person sees in the view.

        Without a clip Chromium gives one pixel for a CSS pixel, whatever the device scale; a clip counts from the top of the page.
        """
        devtools = await tab.devtools()
        asked: dict[str, Any] = {"format": "png", "optimizeForSpeed": True}
        if not self.whole or self.scale != 1:
            seen = (await devtools.send("Page.getLayoutMetrics"))["cssVisualViewport"]
            width, height = self.region
            asked["clip"] = {"x": seen["pageX"], "y": seen["pageY"], "width": width, "height": height, "scale": self.scale}
        return base64.b64decode((await devtools.send("Page.captureScreenshot", asked))["data"])
