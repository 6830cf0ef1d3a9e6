"""Installing Debian's packages, where that can be done: as root with apt-get. No environment: what environments need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_MINUTES = 60


def has_apt() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def is_debian() -> bool:
    """Ubuntu's packages of the same name may be stubs for snaps, which containers cannot run."""
    release = Path("/etc/os-release")
    return release.is_file() and "\nID=debian\n" in f"\n{release.read_text()}\n"


def apt(packages: Sequence[str]) -> str:
    """What went wrong, "" when nothing did. A failed update is no reason to give up: the lists there may do."""
    run(["apt-get", "update", "-qq"])
    return run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])


def run(command: Sequence[str]) -> str:
    """Run a command and return "", or the last line it said when it failed."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MINUTES * 60, env=quiet, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {type(error).__name__}"
    return "" if done.returncode == 0 else f"{Path(command[0]).name}: {telling_line(done.stderr or done.stdout)}"


def telling_line(text: str) -> str:
    """The first line that calls itself an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(E|Error|ERROR|error)\b.*:", line)]
    return (errors or lines[-1:] or ["it said nothing"])[0]
