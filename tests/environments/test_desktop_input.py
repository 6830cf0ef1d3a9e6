"""What arrives in real programs on a virtual display: clicks at their pixel, any text, keys; nothing stays held."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

import pytest

from environments.base import ActionError, Point
from environments.desktop import DesktopEnvironment
from tests.environments.corpus import strings
from tests.environments.desktops import clicked, desktop, need_program, probe, until


@pytest.fixture(scope="module")
def env() -> Iterator[DesktopEnvironment]:
    with desktop() as made:
        made.reset()
        yield made


def typed(env: DesktopEnvironment, toolkit: str, text: str, file: Path) -> str:
    probe(env, toolkit, "text", file)
    env.type(text)
    end = time.monotonic() + 8
    while (found := file.read_text(encoding="utf-8")) != text and time.monotonic() < end:
        time.sleep(0.05)
    env.close_window("probe")
    until(lambda: not any("probe" in window.title for window in env.windows()), "the probe is closed")
    return found


def lost(wanted: str, found: str) -> list[tuple[str, str]]:
    return [pair for pair in zip_longest(wanted.split("\n"), found.split("\n"), fillvalue="") if pair[0] != pair[1]]


@pytest.mark.parametrize("toolkit", ["gtk", "qt", "tk"])
def test_two_hundred_strings_of_all_kinds_arrive_as_they_were_typed(env: DesktopEnvironment, toolkit: str, tmp_path: Path) -> None:
    """Tk 8.6 keeps no character beyond the basic plane (TCL_UTF_MAX is 3), so it is not asked for them."""
    chosen = [text for text in strings() if toolkit != "tk" or max(text) <= "\uffff"]
    assert len(chosen) > 150
    text = "\n".join(["a\tb", *chosen])
    assert lost(text, typed(env, toolkit, text, tmp_path / "text")) == []


def test_two_hundred_strings_of_all_kinds_arrive_in_a_terminal(env: DesktopEnvironment, tmp_path: Path) -> None:
    need_program("xterm", "xterm")
    file, text = tmp_path / "text", "\n".join(strings())
    env.open_app(f"xterm -u8 -T probe -e sh -c 'stty -icanon -echo min 1; cat > {file}'")
    until(lambda: any("probe" in window.title for window in env.windows()) and file.exists(), "the terminal is there")
    env.focus_window("probe")
    env.type(text)
    with suppress(AssertionError):
        until(lambda: file.read_text(encoding="utf-8", errors="replace") == text, "the text arrives")
    assert lost(text, file.read_text(encoding="utf-8", errors="replace")) == []
    env.close_window("probe")


def test_characters_of_more_kinds_than_there_are_spare_keys_arrive_in_order(env: DesktopEnvironment, tmp_path: Path) -> None:
    text = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 600))
    assert typed(env, "gtk", text, tmp_path / "text") == text


def test_a_layout_without_latin_letters_types_them_all_the_same(tmp_path: Path) -> None:
    need_program("setxkbmap", "x11-xkb-utils")
    with desktop() as env:
        env.reset()
        assert env.virtual is not None
        for layout in ("ru", "de", "fr"):
            subprocess.run(["setxkbmap", "-display", env.virtual.name, layout], check=True, env=env.virtual.env)
            text = "az AZ 12 <>|@{} жф ß é"
            assert typed(env, "tk", text, tmp_path / layout) == text


def test_caps_lock_turns_no_letter_round(env: DesktopEnvironment, tmp_path: Path) -> None:
    env.press("capslock")
    try:
        assert typed(env, "tk", "Hello World", tmp_path / "text") == "Hello World"
    finally:
        env.press("capslock")


def test_what_is_no_text_is_refused_before_anything_is_typed(env: DesktopEnvironment) -> None:
    for text in ("a\x07b", "\x1b[A", "\udc80"):
        with pytest.raises(ActionError, match="cannot be typed"):
            env.type(text)
    with pytest.raises(ActionError, match="too many"):
        env.type("x" * 1_000_000)


@pytest.mark.parametrize(("toolkit", "scale"), [("tk", 1.0), ("gtk", 2.0), ("qt", 1.5)])
def test_a_click_lands_on_its_pixel(toolkit: str, scale: float, tmp_path: Path) -> None:
    """Exactly where a pixel is one; within one where a program counts in larger ones."""
    with desktop((800, 600), scale=scale) as env:
        env.reset()
        file, source = tmp_path / "clicks", random.Random(0)
        probe(env, toolkit, "clicks", file)
        until(lambda: all(abs(a - b) < 4 for a, b in zip(env.windows()[-1].box[2:], (799, 599), strict=True)), "the probe fills the screen")
        for count in range(1, 201):
            point = Point(source.randrange(800), source.randrange(600))
            env.click(point)
            x, y = clicked(file, count)
            assert max(abs(x * scale - point.x), abs(y * scale - point.y)) <= (0 if scale == 1 else 1), (x, y, point)


def test_a_click_in_a_corner_is_a_click(env: DesktopEnvironment, tmp_path: Path) -> None:
    file = tmp_path / "clicks"
    probe(env, "tk", "clicks", file)
    for count, corner in enumerate((Point(0, 0), Point(799, 0), Point(0, 599), Point(799, 599)), 1):
        env.click(corner)
        assert clicked(file, count) == list(corner)
    env.press("alt", "f4")


@pytest.mark.parametrize("monitor", [1, 2, 0])
def test_a_click_on_a_second_monitor_or_in_a_region_lands_on_its_pixel(monitor: int, tmp_path: Path) -> None:
    need_program("xrandr", "x11-xserver-utils")
    with desktop((1000, 500)) as whole:
        whole.reset()
        assert whole.virtual is not None
        for name, place, output in (("left", "600/160x500/130+0+0", "screen"), ("right", "400/105x400/105+600+50", "none")):
            subprocess.run(["xrandr", "--setmonitor", name, place, output], check=True, env=whole.virtual.env)
        file, source, origin = tmp_path / "clicks", random.Random(monitor), {0: (0, 0), 1: (0, 0), 2: (600, 50)}[monitor]
        probe(whole, "tk", "cover", file)
        with DesktopEnvironment(display=whole.virtual.name, monitor=monitor, region=(10, 20, 209, 219)) as env:
            assert env.reset().screenshot.size == (200, 200)
            for count in range(1, 101):
                point = Point(source.randrange(200), source.randrange(200))
                env.click(point)
                assert clicked(file, count) == [origin[0] + 10 + point.x, origin[1] + 20 + point.y]
