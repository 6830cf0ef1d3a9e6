"""Screenshots are what a person sees, and a click lands on the pixel that was meant, at every scale and scroll position."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from environments.base import Observation, Point
from environments.browser import BrowserEnvironment
from tests.page_server import PageServer

Colour = tuple[int, int, int]


@pytest.fixture(scope="module", params=[(1.0, None), (1.5, None), (2.0, (400, 300))], ids=["1x", "1.5x", "2x-region"])
def scaled(request: pytest.FixtureRequest, pages: PageServer) -> Iterator[BrowserEnvironment]:
    scale, region = request.param
    with BrowserEnvironment(pages.url("marks.html"), viewport=(640, 480), scale=scale, region=region) as environment:
        environment.reset()
        yield environment


def marks(screenshot: Image.Image) -> dict[Colour, list[Point]]:
    """Every pixel of a mark, by the mark's colour."""
    found: dict[Colour, list[Point]] = {}
    raw, width = screenshot.tobytes(), screenshot.width
    for start in range(0, len(raw), 3):
        red, green, blue = raw[start : start + 3]
        if blue == 77 and red % 10 == green % 10 == 0:
            found.setdefault((red, green, blue), []).append(Point(start // 3 % width, start // 3 // width))
    return found


def scrolled(environment: BrowserEnvironment, left: float, top: float) -> Observation:
    environment.evaluate(f"scrollTo({left}, {top}); record.length = 0")
    environment.move(Point(0, 0))
    return environment.observe()


@pytest.mark.parametrize(("left", "top"), [(0, 0), (137, 221), (5000, 5000)])
def test_a_click_lands_on_the_pixel_that_was_meant(scaled: BrowserEnvironment, left: int, top: int) -> None:
    seen = scrolled(scaled, left, top)
    there = {colour: pixels for colour, pixels in marks(seen.screenshot).items() if len(pixels) >= 7 * 5}
    assert len(there) >= 4
    for colour, pixels in list(there.items())[:6]:
        for point in (pixels[0], pixels[-1], pixels[len(pixels) // 2]):
            scaled.click(point)
            assert scaled.evaluate("record.pop()[0]") == f"rgb{colour}"


def test_the_screenshot_has_the_size_of_the_seen_region_times_the_scale(scaled: BrowserEnvironment) -> None:
    size = scaled.observe().screenshot.size
    assert size in {(640, 480), (960, 720), (800, 600)}


def test_every_pixel_is_the_css_pixel_under_it(scaled: BrowserEnvironment) -> None:
    seen = scrolled(scaled, 0, 0)
    scale = scaled.evaluate("devicePixelRatio")
    right, bottom = seen.screenshot.width - 40, seen.screenshot.height - 40  # short of the scroll bars
    for point in (Point(0, 0), Point(7, 11), Point(right, 101), Point(101, bottom)):
        scaled.click(point)
        assert scaled.evaluate("record.pop().slice(1)") == [int(point.x / scale), int(point.y / scale)]


def test_scroll_bars_are_seen_as_a_person_sees_them(browser: BrowserEnvironment, pages: PageServer) -> None:
    browser.goto(pages.url("marks.html"))
    seen = browser.observe().screenshot
    edge = [seen.getpixel((seen.width - 5, y)) for y in range(seen.height)]
    assert len(set(edge)) > 1
    assert browser.evaluate("innerWidth - document.documentElement.clientWidth") > 0


def test_the_page_is_not_resized_by_being_looked_at(scaled: BrowserEnvironment) -> None:
    ratio = scaled.evaluate("""() => {
      window.resizes = 0;
      addEventListener('resize', () => { resizes += 1; });
      matchMedia(`(resolution: ${devicePixelRatio}dppx)`).onchange = () => { resizes += 1; };
      scrollTo(0, 100);
      return devicePixelRatio;
    }""")
    for _ in range(3):
        scaled.observe()
    assert scaled.evaluate("[resizes, scrollY, devicePixelRatio]") == [0, 100, ratio]
