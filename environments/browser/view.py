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
    """The top-left `region` of a viewport (width and height of both in CSS pixels), at `scale` screenshot pixels for a CSS pixel."""

    viewport: tuple[int, int]
    region: tuple[int, int]
    scale: float

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
        """PNG (RGB) of what a person sees in the view. A clip counts from the top of the page, not from that of the viewport."""
        devtools = await tab.devtools()
        if not tab.measured:
            await devtools.send("Emulation.setDeviceMetricsOverride", self._metrics())
            tab.measured = True
        asked: dict[str, Any] = {"format": "png", "optimizeForSpeed": True}
        if self.region != self.viewport:
            seen = (await devtools.send("Page.getLayoutMetrics"))["cssVisualViewport"]
            width, height = self.region
            asked["clip"] = {"x": seen["pageX"], "y": seen["pageY"], "width": width, "height": height, "scale": 1}
        return base64.b64decode((await devtools.send("Page.captureScreenshot", asked))["data"])

    def _metrics(self) -> dict[str, Any]:
        """The context's own, said again: a capture puts back what its own session has set, and would else set the scale to 1."""
        width, height = self.viewport
        screen = {"screenWidth": width, "screenHeight": height}
        return {"width": width, "height": height, "deviceScaleFactor": self.scale, "mobile": False, **screen}
