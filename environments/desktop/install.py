"""Getting what a virtual display and its tools need onto this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from environments.base import EnvironmentFault
from environments.debian import apt, has_apt

PROGRAMS = {"Xvfb": "xvfb", "openbox": "openbox", "dbus-daemon": "dbus", "xclip": "xclip"}
"""What is run, and Debian's package of it."""


def missing() -> tuple[str, ...]:
    """Debian's packages of the programs that are not on this machine."""
    return tuple(package for program, package in PROGRAMS.items() if shutil.which(program) is None)


def install(say: Callable[[str], None], further: tuple[str, ...] = ()) -> None:
    """Install what is missing, and further packages; `say` is told. Raises EnvironmentFault where that cannot be done."""
    packages = (*missing(), *further)
    if not packages:
        return
    command = f"apt-get install {' '.join(packages)}"
    if not has_apt():
        raise EnvironmentFault(f"A virtual display needs programs that only an administrator can install: {command}")
    say(f"Installing {' '.join(packages)} with apt-get …")
    if trouble := apt(packages):
        raise EnvironmentFault(f"{command} failed ({trouble}).")
