"""A display of the environment's own: Xvfb, a light window manager, a D-Bus session and a home folder, and an end of all that was started.

Knows nothing of looking or acting.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from environments.base import ActionError, EnvironmentFault
from environments.desktop.connection import authorise
from environments.desktop.waiting import wait_until

MARK = "GLIMPSE_DISPLAY"
"""An environment variable that every process on a virtual display inherits: that is how they are found when it ends."""
START_BOUND = 15.0
"""Seconds for the display, and then its window manager, to be there."""
MANAGERS = ("openbox", "xfwm4", "metacity", "icewm", "matchbox-window-manager")
END_BOUND = 0.5
"""Seconds that programs have to end by themselves."""


def install_hint(*packages: str) -> str:
    return f"install {' '.join(packages)} (Debian, Ubuntu: apt-get install {' '.join(packages)})"


class VirtualDisplay:
    """An X display that nobody sees, with programs of its own; several may stand side by side.

    size: pixels. scale: what programs are told one logical pixel takes, as GTK (whole numbers), Qt and the Xft settings understand it.
    home: a folder that becomes HOME; None is a fresh one, removed in the end. env: further variables for its programs.
    """

    def __init__(self, size: tuple[int, int], scale: float = 1.0, home: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.size, self.scale = size, scale
        self.name = ""
        self._home, self._own_home = home, home is None
        self._extra = dict(env or {})
        self._mark = uuid.uuid4().hex
        self._folder: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Raises EnvironmentFault before `start`."""
        if self._home is None:
            raise EnvironmentFault("The virtual display has not been started: call reset() first.")
        return self._home

    @property
    def alive(self) -> bool:
        return self._server is not None and self._server.poll() is None

    @property
    def env(self) -> dict[str, str]:
        """The variables of its programs."""
        assert self._folder is not None
        kept = {key: value for key, value in os.environ.items() if key not in ("WAYLAND_DISPLAY", "SESSION_MANAGER")}
        own = {
            "DISPLAY": self.name,
            "XAUTHORITY": str(self._folder / "authority"),
            MARK: self._mark,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self._folder / "runtime"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_SESSION_TYPE": "x11",
            "XDG_CURRENT_DESKTOP": "X-Generic",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self._folder}/bus",
            "NO_AT_BRIDGE": "1",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "XMODIFIERS": "",
            "GTK_IM_MODULE": "gtk-im-context-simple",
            "QT_IM_MODULE": "simple",
            "QT_QPA_PLATFORM": "xcb",
        }
        if self.scale != 1:
            own |= {"GDK_SCALE": str(max(1, int(self.scale))), "QT_SCALE_FACTOR": f"{self.scale:g}", "QT_AUTO_SCREEN_SCALE_FACTOR": "0"}
        return kept | own | self._extra

    def start(self) -> None:
        """Raises EnvironmentFault when a program it needs is missing or does not come up."""
        if sys.platform != "linux":
            raise EnvironmentFault('A virtual display needs Linux and Xvfb; elsewhere leave out display="virtual" to use the real screen.')
        if shutil.which("Xvfb") is None:
            raise EnvironmentFault(f"There is no Xvfb for a virtual display: {install_hint('xvfb', 'openbox', 'dbus')}.")
        self._folder = Path(tempfile.mkdtemp(prefix="glimpse-display-"))
        (self._folder / "runtime").mkdir(mode=0o700)
        if self._own_home:
            self._home = self._folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._serve()
            self._start_bus()
            self._manage()
        except BaseException:
            self.close()
            raise

    def _serve(self) -> None:
        readable, writable = os.pipe()
        assert self._folder is not None
        (width, height), authority, secret = self.size, self._folder / "authority", os.urandom(16)
        authorise(authority, "", secret)
        command = ["Xvfb", "-auth", str(authority), "-displayfd", str(writable), "-screen", "0", f"{width}x{height}x24"]
        command += ["-nolisten", "tcp", "-noreset", "-dpi", f"{96 * self.scale:g}", "-maxclients", "2048"]
        with (self._folder / "xvfb.log").open("wb") as log:
            self._server = subprocess.Popen(command, pass_fds=(writable,), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)  # fmt: skip
        os.close(writable)
        with os.fdopen(readable, "rb") as told:
            number = told.readline().strip().decode()
        if not number:
            said = (self._folder / "xvfb.log").read_text(errors="replace").strip().splitlines()
            raise EnvironmentFault(f"Xvfb did not start a display of {width}×{height} pixels: {said[-1] if said else 'it said nothing'}")
        self.name = f":{number}"
        authorise(authority, self.name, secret)

    def _start_bus(self) -> None:
        """Programs that find no session bus start slowly or not at all; without dbus-daemon they have to do without."""
        if shutil.which("dbus-daemon"):
            address = self.env["DBUS_SESSION_BUS_ADDRESS"]
            self._spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}"])
            self._wait(Path(address.removeprefix("unix:path=")).exists, "dbus-daemon")

    def _manage(self) -> None:
        manager = next((name for name in MANAGERS if shutil.which(name)), None)
        if manager is None:
            raise EnvironmentFault(f"There is no window manager for a virtual display: {install_hint('openbox')}.")
        self._spawn([manager])
        from environments.desktop.windows import Windows

        windows = Windows(self.name)
        try:
            self._wait(windows.managed, manager)
        finally:
            windows.close()

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        if not wait_until(ready, START_BOUND):
            raise EnvironmentFault(f"{what} was not ready within {START_BOUND:g} s on the virtual display {self.name}.")

    def _spawn(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=env or self.env, cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def launch(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program in the home folder; env: instead of the display's own. Raises ActionError when there is none of that name."""
        try:
            return self._spawn(command, env)
        except OSError as error:
            raise ActionError(f"{command[0]} cannot be started: {error.strerror or error}.") from error

    def processes(self) -> list[psutil.Process]:
        """All that runs on it, whoever started it, without the display itself."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def close(self) -> None:
        """End every program on it, the display, and remove what was its own. May be called any number of times."""
        if self._folder is None:
            return
        running = self.processes()
        for process in running:
            with suppress(psutil.Error):
                process.terminate()
        _, left = psutil.wait_procs(running, END_BOUND)
        for process in {*left, *self.processes()}:
            with suppress(psutil.Error):
                process.kill()
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(END_BOUND)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._own_home:
            self._home = None
        self._folder = self._server = None
        self.name = ""
