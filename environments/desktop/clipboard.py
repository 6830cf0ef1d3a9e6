"""The clipboard: pyperclip on the systems that have one of their own; xclip on an X display, which may be any."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping

from environments.base import ActionError
from environments.desktop.waiting import wait_until

BOUND = 5.0
TAKEN = 1.0
"""Seconds in which what was written is to be read; a manager of clipboards may also make something else of it."""


class Clipboard:
    """env: the variables, DISPLAY above all, of the programs that hold it; None is this process's own."""

    def __init__(self, env: Mapping[str, str] | None) -> None:
        self._env = env

    def read(self) -> str:
        """Its text; empty when it holds none. Raises ActionError when it cannot be asked."""
        if sys.platform != "linux":
            import pyperclip

            return str(pyperclip.paste())
        done = self._run(["-o"], b"")
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""

    def write(self, text: str) -> None:
        """Raises ActionError when it cannot be set."""
        if sys.platform != "linux":
            import pyperclip

            pyperclip.copy(text)
            return
        done = self._run(["-i"], text.encode())
        if done.returncode:
            raise ActionError("The clipboard could not be set.")
        wait_until(lambda: self.read() == text, TAKEN)  # xclip has ended before what it left behind holds the selection

    def _run(self, options: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
        program = shutil.which("xclip")
        if program is None:
            raise ActionError("The clipboard cannot be reached: xclip is not installed.")
        output = (
            subprocess.PIPE if options == ["-o"] else subprocess.DEVNULL
        )  # what holds the clipboard stays, and must not keep a pipe open
        try:
            return subprocess.run(
                [program, "-selection", "clipboard", *options],
                input=given, stdout=output, stderr=subprocess.DEVNULL, timeout=BOUND, env=self._env,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ActionError("The program that holds the clipboard does not answer.") from error
