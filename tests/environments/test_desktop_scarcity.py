"""What happens on a desktop when a library is missing, the display takes no more programs, or a window vanishes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from Xlib.display import Display

from agent.agent import Agent
from agent.trajectory import Trajectory
from environments.base import ActionError, EnvironmentFault, Point
from environments.desktop import DesktopEnvironment
from environments.desktop.connection import DisplayFull, open_display
from model.scripted import ScriptedModel
from tests.environments.desktops import desktop, need_display, need_program, until
from tools import native_actions
from tools.base import Thousandths, Tool
from tools.computer import Click, KeyDown
from tools.desktop import ListWindows

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
sys.modules[{module!r}] = None  # an import of it fails from now on
from agent.agent import Agent
from environments.desktop import DesktopEnvironment
from model.scripted import ScriptedModel
with DesktopEnvironment(display="virtual", size=(320, 240)) as env:
    run = Agent(ScriptedModel([]), env).run("Click.", out={out!r})
print(run.status, run.reason, sep="\\n")
"""


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("Xlib", r"The desktop needs Xlib: pip install 'glimpse\[desktop\]'"),
        ("mss", r"The desktop needs mss: pip install 'glimpse\[desktop\]'"),
        ("pyautogui", r"The desktop needs pyautogui .*: pip install 'glimpse\[desktop\]'"),
        ("tkinter", r"pyautogui cannot be used: .*install tkinter.* python3-tk.*"),
    ],
)
def test_a_missing_library_is_one_line_that_says_how_to_get_it_and_the_run_is_saved(module: str, said: str, tmp_path: Path) -> None:
    need_display()
    code = WITHOUT.format(module=module, out=str(tmp_path / "run"))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    status, reason = done.stdout.splitlines()
    assert status == "error"
    assert re.fullmatch(said, reason), reason
    saved = Trajectory.load(tmp_path / "run")
    assert (saved.status, saved.reason) == ("error", reason)
    assert done.stderr == ""


@pytest.fixture
def small_display() -> Iterator[str]:
    """A display that takes 64 programs, the least that Xvfb can be told."""
    need_display()
    readable, writable = os.pipe()
    command = ["Xvfb", "-displayfd", str(writable), "-screen", "0", "320x240x24", "-maxclients", "64", "-ac", "-noreset"]
    server = subprocess.Popen(command, pass_fds=(writable,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writable)
    with os.fdopen(readable, "rb") as told:
        name = f":{told.readline().strip().decode()}"
    yield name
    server.terminate()
    server.wait(10)


def test_a_display_with_the_name_of_one_that_has_ended_is_another() -> None:
    need_display()
    with DesktopEnvironment(display="virtual", size=(320, 240)) as env:
        env.reset()
        assert env.virtual is not None
        name = env.virtual.name
    with subprocess.Popen(["Xvfb", name, "-screen", "0", "320x240x24", "-ac", "-noreset"], stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: opens(name), "no display")
        finally:
            server.terminate()


def opens(name: str) -> bool:
    """Whether a display takes a connection; its socket is there a moment before it does."""
    with suppress(EnvironmentFault):
        open_display(name).close()
        return True
    return False


def filled(name: str) -> list[Display]:
    """Connections until the display takes no more."""
    taken: list[Display] = []
    with suppress(DisplayFull):
        while True:
            taken.append(open_display(name))
    assert len(taken) > 30
    return taken


def test_a_display_that_takes_no_more_programs_is_a_fault_that_says_so(small_display: str) -> None:
    taken = filled(small_display)
    said = opened(small_display)
    assert said == f"The display {small_display} takes no more programs: close some, or start another display."
    tries = 1
    while said:
        taken.pop().close()
        tries, again = tries + 1, opened(small_display)
        assert again in ("", said)
        said = again
    assert tries < 10  # it needs a few connections, and those of an attempt that failed are given back
    for connection in taken:
        connection.close()


def opened(display: str) -> str:
    """Look and click there; what went wrong."""
    with DesktopEnvironment(display=display) as env:
        try:
            env.reset()
            env.click(Point(5, 5))
        except EnvironmentFault as fault:
            return str(fault)
    return ""


def test_a_display_that_fills_up_in_the_middle_holds_no_key_and_the_run_is_saved(small_display: str, tmp_path: Path) -> None:
    actions = native_actions("desktop")
    taken: list[Display] = []
    given: list[Tool] = [KeyDown(key="shift"), Click(point=Thousandths(500, 500)), ListWindows(), Click(point=Thousandths(500, 500))]
    model = ScriptedModel([actions.render(action) for action in given])
    with DesktopEnvironment(display=small_display) as env:
        agent = Agent(model, env, on_step=lambda step: taken.extend(() if step.index else filled(small_display)))
        run = agent.run("Go.", out=tmp_path)
        assert (run.status, len(run.steps)) == ("error", 3)  # the click after it was full has been done
        assert "takes no more programs" in run.reason
        assert not any(taken[0].query_keymap())
        assert Trajectory.load(tmp_path).reason == run.reason
        for connection in taken:
            connection.close()
        assert env.windows() == ()  # it is there as before


def test_windows_that_vanish_while_they_are_asked_for_are_left_out_or_an_error_of_the_action() -> None:
    need_program("xterm", "xterm")
    with desktop((320, 240)) as env:
        env.reset()
        env.open_app("sh -c 'for n in 1 2 3 4 5 6 7 8 9 10 11 12; do xterm -T brief -e true & sleep 0.1; done; exec xterm -T last'")
        met: set[str] = set()
        acts: list[Any] = [env.windows, lambda: env.focus_window("brief"), lambda: env.close_window("brief")]
        while "last" not in {window.title for window in env.windows()}:
            for act in acts:
                try:
                    act()
                except ActionError as error:
                    met.add(str(error).split(";")[0])
        assert met <= {"There is no window 'brief'", "'brief' does not come forward."}
        env.close_window("last")


def test_a_window_that_vanishes_while_it_is_typed_into_leaves_no_key_down() -> None:
    need_program("xterm", "xterm")
    with desktop((320, 240)) as env:
        env.reset()
        env.open_app("xterm -T brief -e sh -c 'head -c 40 > /dev/null'")
        until(lambda: any(window.title == "brief" for window in env.windows()), "the terminal is there")
        env.focus_window("brief")
        env.type("A line of text.\n" * 200)
        until(lambda: not env.windows(), "the terminal has ended")
        assert env._here().keyboard.held == []
        assert not any(env._here()._connection.query_keymap())
        assert env.observe().screenshot.size == (320, 240)
