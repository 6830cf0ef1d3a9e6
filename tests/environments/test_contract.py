"""What every environment must keep, whatever it shows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

from environments import make, names
from environments.base import ActionError, Environment, EnvironmentFault, Observation, Point
from tests.environments.desktops import desktop
from tests.evals.osworld_server import OsworldServer

OPTIONS: dict[str, dict[str, Any]] = {
    "static": {"image": Image.new("RGBA", (320, 200), "teal")},
    "desktop": {"display": "virtual", "size": (640, 480)},
}
NEEDS_A_SCREEN = {"desktop"}


@pytest.fixture(scope="module")
def machine() -> Iterator[OsworldServer]:
    """OSWorld's server, which one of them needs."""
    with desktop((640, 480)) as env:
        env.reset()
        with OsworldServer(env) as server:
            yield server


@pytest.fixture(scope="module", params=names())
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    name = request.param
    options = OPTIONS.get(name, {}) if name != "osworld" else {"url": request.getfixturevalue("machine").url}
    try:
        made = make(name, **options)
        made.reset()
    except EnvironmentFault as fault:
        if name in NEEDS_A_SCREEN:
            pytest.skip(str(fault))
        raise
    with made:
        yield made
    made.close()


def same_pixels(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other.convert("RGB")).getbbox() is None


def middle(seen: Observation) -> Point:
    return Point(seen.screenshot.width // 2, seen.screenshot.height // 2)


def test_it_is_an_environment(environment: Environment) -> None:
    assert isinstance(environment, Environment)


def test_an_observation_is_rgb_and_its_png_holds_the_same_pixels(environment: Environment) -> None:
    for seen in (environment.reset(), environment.observe()):
        assert seen.screenshot.mode == "RGB"
        if seen.png is not None:
            assert same_pixels(seen.screenshot, Image.open(io.BytesIO(seen.png)))


def test_every_verb_can_be_done_in_the_middle_of_the_screen(environment: Environment) -> None:
    point = middle(environment.reset())
    environment.move(point)
    environment.click(point, button="left", count=2, hold=("shift",))
    environment.drag((point, Point(point.x + 20, point.y + 20)), hold=("ctrl",))
    environment.scroll(point, dx=1, dy=-2)
    environment.type("a")
    environment.press("ctrl", "a")
    assert environment.observe().screenshot.size == environment.reset().screenshot.size


@pytest.mark.parametrize("corner", ["right", "below", "negative"])
def test_a_point_outside_the_screenshot_is_an_error_that_names_its_size(environment: Environment, corner: str) -> None:
    width, height = environment.reset().screenshot.size
    point = {"right": Point(width, 0), "below": Point(0, height), "negative": Point(-1, 0)}[corner]
    for verb in (environment.move, environment.click, environment.scroll, lambda outside: environment.drag((outside, outside))):
        with pytest.raises(ActionError, match=f"{width} by {height}"):
            verb(point)


def test_an_unknown_key_is_an_error_that_names_it(environment: Environment) -> None:
    point = middle(environment.reset())
    with pytest.raises(ActionError, match="hyper"):
        environment.press("ctrl", "hyper")
    with pytest.raises(ActionError, match="hyper"):
        environment.click(point, hold=("hyper",))


def test_an_environment_that_does_not_exist_is_a_fault_that_names_those_that_do() -> None:
    for name in ("nosuch", "base", "../browser"):
        with pytest.raises(EnvironmentFault, match=r"browser, .*static"):
            make(name)
