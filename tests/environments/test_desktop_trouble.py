"""What happens on a desktop when something is not there, dies, or is to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.agent import Agent
from agent.trajectory import Trajectory
from environments.base import ActionError, EnvironmentFault, Point, Stopped
from environments.desktop import DesktopEnvironment
from environments.desktop.display import MARK
from environments.desktop.stop import pull
from model.scripted import ScriptedModel
from tests.environments.desktops import desktop, need_display, probe, until
from tools import native_actions
from tools.base import Thousandths, ThousandthsBox
from tools.computer import Click, KeyDown, Type
from tools.control import Done
from tools.desktop import Zoom


@pytest.fixture(autouse=True)
def own_stop_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_STOP_FILE", str(tmp_path / "stop"))


def test_without_a_display_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("displays have names on Linux only")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(EnvironmentFault, match=r'no DISPLAY.*display="virtual"'):
        DesktopEnvironment().reset()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(EnvironmentFault, match=r"Wayland.*X11 session"):
        DesktopEnvironment().reset()
    with pytest.raises(EnvironmentFault, match=r":4999.*display=\"virtual\""):
        DesktopEnvironment(display=":4999").reset()


def test_a_monitor_or_region_that_is_not_there_is_a_fault_that_says_so() -> None:
    need_display()
    options: dict[str, Any]
    for options in ({"monitor": 7}, {"region": (0, 0, 5000, 100)}, {"region": (10, 10, 10, 20)}):
        env = DesktopEnvironment(display="virtual", size=(320, 240), **options)
        with pytest.raises(EnvironmentFault, match="monitor"):
            env.reset()
        env.close()


def test_a_display_that_dies_is_a_fault_and_reset_starts_another(tmp_path: Path) -> None:
    with desktop((320, 240)) as env:
        env.reset()
        assert env.virtual is not None
        for act in (lambda: env.click(Point(5, 5)), env.observe, lambda: env.type("a"), env.windows):
            servers = (p for p in psutil.process_iter(["name"]) if p.info["name"] == "Xvfb")
            server = next(p for p in servers if f"{env.virtual.name}" in _listening(p))
            server.kill()
            server.wait(5)
            with pytest.raises(EnvironmentFault, match="display"):
                act()
            assert env.reset().screenshot.size == (320, 240)


def _listening(process: psutil.Process) -> list[str]:
    return [f":{str(c.laddr).rpartition('X')[2]}" for c in process.net_connections("unix") if "X11-unix" in str(c.laddr)]


def test_a_run_is_saved_when_the_display_dies_in_the_middle(tmp_path: Path) -> None:
    with desktop((320, 240)) as env:
        assert not env.windows()
        assert env.virtual is not None
        actions = native_actions("desktop")
        model = ScriptedModel([actions.render(Click(point=Thousandths(x=500, y=500)))] * 5)

        def end(_: object) -> None:
            for process in psutil.process_iter(["name"]):
                if process.info["name"] == "Xvfb" and process.ppid() == os.getpid():
                    process.kill()
                    process.wait(5)

        trajectory = Agent(model, env, on_step=end).run("Click.", out=tmp_path / "run")
        assert trajectory.status == "error"
        assert "display" in trajectory.reason
        assert len(Trajectory.load(tmp_path / "run").steps) >= 1


def test_nothing_is_left_when_a_desktop_is_closed() -> None:
    before = {p.pid for p in psutil.process_iter()}
    with desktop((320, 240)) as env:
        env.reset()
        env.open_app("sh -c 'sleep 1000 & exec sleep 1000'")
        assert env.virtual is not None
        home = env.virtual.home
        assert len(env.virtual.processes()) >= 3
    left = []
    for process in psutil.process_iter():
        if process.pid not in before:
            try:
                left += [process] if MARK in process.environ() or process.name() == "Xvfb" else []
            except psutil.Error:
                continue
    assert not left
    assert not home.exists()


def test_several_desktops_stand_side_by_side(tmp_path: Path) -> None:
    with desktop((300, 200)) as one, desktop((400, 300)) as other:
        assert (one.reset().screenshot.size, other.reset().screenshot.size) == ((300, 200), (400, 300))
        for env, name in ((one, "one"), (other, "other")):
            probe(env, "tk", "text", tmp_path / name)
        threads = [threading.Thread(target=env.type, args=(text * 20,)) for env, text in ((one, "ab "), (other, "ÄÖ "))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: (tmp_path / "one").read_text(encoding="utf-8") == "ab " * 20, "one has its text")
        until(lambda: (tmp_path / "other").read_text(encoding="utf-8") == "ÄÖ " * 20, "the other has its text")


def test_the_kill_switch_ends_a_run_before_its_next_action_and_lets_go_of_what_is_held(tmp_path: Path) -> None:
    with desktop((320, 240)) as env:
        actions = native_actions("desktop")
        model = ScriptedModel([actions.render(KeyDown(key="shift")), *[actions.render(Click(point=Thousandths(x=500, y=500)))] * 5])
        steps: list[int] = []

        def one_done(_: object) -> None:
            steps.append(1)
            if len(steps) == 2:
                time.sleep(0.02)  # a file's time is coarse
                subprocess.run([sys.executable, "-m", "glimpse", "stop"], check=True, capture_output=True)

        trajectory = Agent(model, env, on_step=one_done).run("Click.", out=tmp_path / "run")
        assert (trajectory.status, len(trajectory.steps)) == ("stopped", 3)
        assert "glimpse stop" in trajectory.reason
        assert env._here().keyboard.held == []
        state = env._here()._connection.query_keymap()
        assert not any(state)


def test_the_kill_switch_ends_a_long_text(tmp_path: Path) -> None:
    with desktop((320, 240)) as env:
        env.reset()
        threading.Timer(0.5, pull).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            env.type("x" * 150_000)
        assert time.monotonic() - began < 5
        env.reset()
        env.press("a")


def test_the_hot_key_stops_it() -> None:
    need_display()
    with desktop((320, 240)) as host:
        host.reset()
        assert host.virtual is not None
        with DesktopEnvironment(display=host.virtual.name) as env:
            env.reset()
            host.press("ctrl", "alt", "escape")
            until(env._here().switch._pulled.is_set, "the hot key is heard")
            with pytest.raises(Stopped, match=r"ctrl\+alt\+escape"):
                env.click(Point(1, 1))


def test_windows_are_listed_brought_forward_and_closed(tmp_path: Path) -> None:
    with desktop((640, 480)) as env:
        env.reset()
        assert env.windows() == ()
        probe(env, "tk", "text", tmp_path / "first")
        env.open_app("xterm -T second")
        until(lambda: len(env.windows()) == 2, "both are there")
        env.focus_window("PROBE")
        assert [window.focused for window in env.windows() if "probe" in window.title] == [True]
        with pytest.raises(ActionError, match=r"no window 'nosuch'.*'second'"):
            env.focus_window("nosuch")
        env.close_window("second")
        until(lambda: [window.title for window in env.windows()] == ["probe"], "it is closed")
        with pytest.raises(ActionError, match="no window"):
            env.close_window("second")


def test_the_clipboard_holds_any_text() -> None:
    with desktop((320, 240)) as env:
        env.reset()
        assert env.read_clipboard() == ""
        for text in ("plain", "Ünï 你好 😀\n\ttwo lines", ""):
            env.write_clipboard(text)
            assert env.read_clipboard() == text


def test_a_part_of_the_screen_is_seen_at_full_resolution(tmp_path: Path) -> None:
    from environments.base import Box

    with desktop((320, 240)) as env:
        seen = env.reset()
        assert env.zoom(Box(10, 20, 59, 49)).tobytes() == seen.screenshot.crop((10, 20, 60, 50)).tobytes()
        with pytest.raises(ActionError, match="320 by 240"):
            env.zoom(Box(10, 20, 400, 49))


def test_a_model_looks_closer_at_a_part_and_points_at_the_whole_afterwards(tmp_path: Path) -> None:
    """On a part of the display, whose own pixels the boxes and points are counted in; what is recorded is what was shown."""
    with desktop((640, 480)) as host:
        host.reset()
        assert host.virtual is not None
        host.open_app("xterm -geometry 40x10+200+150 -e sh -c 'seq 40; sleep 100'")
        until(lambda: bool(host.windows()), "the window is there")
        with DesktopEnvironment(display=host.virtual.name, region=(100, 50, 599, 449)) as env:
            actions = native_actions("desktop")
            given = [Zoom(box=ThousandthsBox(200, 250, 599, 749)), Click(point=Thousandths(500, 500)), Done()]
            model = ScriptedModel([actions.render(action) for action in given])
            run = Agent(model, env).run("Read it.", out=tmp_path / "run")
            assert run.status == "done", run.reason
            assert host._here().mouse.position() == (100 + 250, 50 + 200)
        seen, part = run.steps[1].seen.screenshot, run.steps[0].result.image
        assert part is not None
        assert (part.size, part.tobytes()) == ((200, 200), seen.crop((100, 100, 300, 300)).tobytes())
        assert len(part.getcolors(maxcolors=1 << 20) or ()) > 1
        kept = Trajectory.load(tmp_path / "run").steps[0].result.image
        assert kept is not None
        assert kept.tobytes() == part.tobytes()
        assert [image is part for message in model.seen[1] for image in message.content if not isinstance(image, str)] == [
            False,
            True,
            False,
        ]


def test_an_unknown_program_and_a_line_that_cannot_be_read_are_errors() -> None:
    with desktop((320, 240)) as env:
        env.reset()
        for command, said in (
            ("nosuchprogram --now", "nosuchprogram cannot be started"),
            ("'half", "no command line"),
            ("  ", "Name a program"),
        ):
            with pytest.raises(ActionError, match=said):
                env.open_app(command)


def test_a_black_screen_is_told() -> None:
    with desktop((320, 240)) as env:
        env.reset()
        assert env.virtual is not None
        env.open_app("xterm -fullscreen -bg black -fg black -cr black +sb")
        until(lambda: bool(env.windows()), "the window is there")
        until(lambda: any("black" in notice for notice in env.observe().notices), "it is told")


def test_typing_that_fails_leaves_no_key_down(tmp_path: Path) -> None:
    with desktop((320, 240)) as env:
        env.reset()
        with pytest.raises(ActionError):
            env.click(Point(5, 5), hold=("shift", "ctrl", "hyper"))
        with pytest.raises(ActionError):
            env.press("ctrl", "alt", "nosuchkey")
        assert env._here().keyboard.held == []
        assert not any(env._here()._connection.query_keymap())


def test_ctrl_c_in_a_script_ends_what_it_started(tmp_path: Path) -> None:
    need_display()
    script = (
        "import time\nfrom environments.desktop import DesktopEnvironment\n"
        "with DesktopEnvironment(display='virtual', size=(320, 240)) as env:\n"
        "    env.reset()\n    print(env.virtual.home, flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    home = Path(process.stdout.readline().strip())
    assert home.is_dir()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert not home.exists()


def test_text_of_an_action_is_typed_by_the_loop_as_well(tmp_path: Path) -> None:
    with desktop() as env:
        probe(env, "tk", "text", tmp_path / "text")
        actions = native_actions("desktop")
        model = ScriptedModel([actions.render(Type(text="Grüße"))])
        Agent(model, env).run("Type it.")
        until(lambda: (tmp_path / "text").read_text(encoding="utf-8") == "Grüße", "the text is there")
