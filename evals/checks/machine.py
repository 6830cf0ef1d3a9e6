"""The machine a task is done on, beside its screen: commands, files, windows. A virtual display of this computer, or an OSWorld server."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from environments.base import ActionError, EnvironmentFault
from environments.desktop import DesktopEnvironment
from environments.desktop.waiting import wait_until
from environments.osworld import OsworldEnvironment

Command = str | Sequence[str]
THEIR_HOME = "/home/user"
"""The home folder that OSWorld's task files name."""
BOUND = 120.0
"""Seconds a command may take, as on OSWorld's server."""
WINDOW_BOUND = 60.0
"""Seconds a window that is to be activated has to appear: the first start of an office suite takes a while."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command."""

    output: str
    error: str
    returncode: int


class Machine(Protocol):
    """Raises EnvironmentFault where something cannot be done that a setup or a judgement needs."""

    @property
    def size(self) -> tuple[int, int]:
        """The screen's width and height in pixels."""
        ...

    def run(self, command: Command, *, shell: bool = False) -> Ran: ...

    def launch(self, command: Command, *, shell: bool = False) -> None:
        """Start a program and do not wait for its end."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file; None when there is none."""
        ...

    def write(self, path: str, data: bytes) -> None: ...

    def activate(self, window: str) -> None:
        """Bring a window to the front, once it is there."""
        ...

    def close(self, window: str) -> None: ...


class LocalMachine:
    """A virtual display of this computer. Its programs see a home folder of their own, which also stands for /home/user."""

    def __init__(self, env: DesktopEnvironment) -> None:
        if env.virtual is None:
            raise EnvironmentFault('Tasks that set a machine up run on a display of their own: DesktopEnvironment(display="virtual").')
        self._env, self._display = env, env.virtual

    @property
    def size(self) -> tuple[int, int]:
        return self._display.size

    def run(self, command: Command, *, shell: bool = False) -> Ran:
        words = self._words(command, shell)
        if words[0] in ("pkill", "killall"):
            return self._end(words)
        try:
            done = subprocess.run(
                words, env=self._variables(), cwd=self._display.home, stdin=subprocess.DEVNULL, capture_output=True, timeout=BOUND
            )
        except subprocess.TimeoutExpired:
            return Ran("", f"{words[0]} took longer than {BOUND:g} s", 124)
        except OSError as error:
            return Ran("", f"{words[0]}: {error.strerror}", 127)
        return Ran(self._theirs(done.stdout).decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode)

    def launch(self, command: Command, *, shell: bool = False) -> None:
        words = self._words(command, shell)
        if words[0] in ("pkill", "killall"):
            self._end(words)
            return
        try:
            self._display.launch(words, self._variables())
        except ActionError as error:
            raise EnvironmentFault(f"The task's program {error}") from error

    def read(self, path: str) -> bytes | None:
        try:
            data = self._place(path).read_bytes()
        except OSError:
            return None
        return data if b"\0" in data else self._theirs(data)

    def _theirs(self, text: bytes) -> bytes:
        """Text that names the home folder as task files do: settings and outputs are compared with what stands there."""
        return text.replace(str(self._display.home).encode(), THEIR_HOME.encode())

    def write(self, path: str, data: bytes) -> None:
        place = self._place(path)
        home = self._display.home.resolve()
        if not place.resolve().is_relative_to(home):
            raise EnvironmentFault(f"The task would write {path}, which lies outside the home folder of its display.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def activate(self, window: str) -> None:
        def there() -> bool:
            return any(window.lower() in f"{seen.title} {seen.program}".lower() for seen in self._env.windows())

        if not wait_until(there, WINDOW_BOUND):
            raise EnvironmentFault(f"No window {window!r} appeared within {WINDOW_BOUND:g} s.")
        self._env.observe()  # a program that has just shown its window may still be busy drawing it
        self._told(self._env.focus_window, window)

    def close(self, window: str) -> None:
        self._told(self._env.close_window, window)

    def _told(self, act: Callable[[str], None], window: str) -> None:
        try:
            act(window)
        except ActionError as error:
            raise EnvironmentFault(f"The task cannot be set up: {error}") from error

    def _words(self, command: Command, shell: bool) -> list[str]:
        text = command if isinstance(command, str) else shlex.join(command) if shell else ""
        if shell and any(killer in text for killer in ("pkill", "killall")):
            raise EnvironmentFault(
                "The task would end programs by name from a shell, beyond its own display: run it on an OSWorld machine."
            )
        words = ["/bin/sh", "-c", text] if shell else shlex.split(command) if isinstance(command, str) else list(command)
        return [self._located(word) for word in words]

    def _located(self, word: str) -> str:
        home = str(self._display.home)
        return (home + word[1:] if word.startswith("~/") else word).replace(THEIR_HOME, home)

    def _place(self, path: str) -> Path:
        return self._display.home / self._located(path)

    def _variables(self) -> dict[str, str]:
        """Its own Python first, which has pyautogui: task files run `python -c "import pyautogui …"`."""
        env = self._display.env
        return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"}

    def _end(self, words: Sequence[str]) -> Ran:
        """What pkill does, for the programs of this display only: other people's programs have the same names."""
        names = [word for word in words[1:] if not word.startswith("-")]
        ended = []
        for process in self._display.processes():
            with suppress(psutil.Error):
                if any(name in process.name() for name in names):
                    process.terminate()
                    ended.append(process)
        psutil.wait_procs(ended, 3.0)
        return Ran("", "", 0 if ended else 1)


class RemoteMachine:
    """A machine with OSWorld's server."""

    def __init__(self, env: OsworldEnvironment) -> None:
        self._env = env

    @property
    def size(self) -> tuple[int, int]:
        return self._env.size

    def run(self, command: Command, *, shell: bool = False) -> Ran:
        return Ran(*self._env.execute(command, shell=shell))

    def launch(self, command: Command, *, shell: bool = False) -> None:
        self._env.post("/setup/launch", {"command": command if isinstance(command, str) else list(command), "shell": shell})

    def read(self, path: str) -> bytes | None:
        return self._env.read_file(self._absolute(path))

    def write(self, path: str, data: bytes) -> None:
        self._env.write_file(self._absolute(path), data)

    def activate(self, window: str) -> None:
        self._env.post("/setup/activate_window", {"window_name": window, "strict": False, "by_class": False})

    def close(self, window: str) -> None:
        self._env.post("/setup/close_window", {"window_name": window, "strict": False, "by_class": False})

    def _absolute(self, path: str) -> str:
        return THEIR_HOME + path[1:] if path.startswith("~/") else path
