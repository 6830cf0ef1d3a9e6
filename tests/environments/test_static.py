"""The screenshot that never changes."""

from __future__ import annotations

from PIL import Image

from environments.base import Point
from environments.static import StaticEnvironment


def test_what_is_done_is_recorded_in_order_and_forgotten_at_reset() -> None:
    environment = StaticEnvironment(Image.new("RGB", (100, 50), "white"))
    environment.click(Point(1, 2), button="right", count=2, hold=("Control",))
    environment.drag((Point(0, 0), Point(99, 49)))
    environment.scroll(Point(5, 5), dy=3)
    environment.type("hé")
    environment.press("Return")
    assert environment.actions == [
        ("click", Point(1, 2), {"button": "right", "count": 2, "hold": ("ctrl",)}),
        ("drag", (Point(0, 0), Point(99, 49)), {"button": "left", "hold": ()}),
        ("scroll", Point(5, 5), {"dx": 0, "dy": 3}),
        ("type", "hé"),
        ("press", "enter"),
    ]
    environment.reset()
    assert environment.actions == []


def test_nothing_that_is_done_changes_what_is_seen() -> None:
    environment = StaticEnvironment(Image.radial_gradient("L"))
    before = environment.reset().screenshot.tobytes()
    environment.type("text")
    assert environment.observe().screenshot.tobytes() == before
