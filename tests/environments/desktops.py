"""Virtual desktops and probes to test on. What they need is installed by `make test`; where it is not, tests are skipped and say so."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from environments.desktop import DesktopEnvironment, DesktopOptions
from environments.desktop.install import missing

PYTHON = "/usr/bin/python3"
PROBE = Path(__file__).with_name("programs") / "probe.py"
TOOLKITS = {"tk": ("tkinter", "python3-tk"), "gtk": ("gi", "python3-gi gir1.2-gtk-3.0"), "qt": ("PyQt5.QtWidgets", "python3-pyqt5")}


def need_display() -> None:
    if packages := missing():
        pytest.skip(f"a virtual display needs {' '.join(packages)}")


@cache
def _has(module: str) -> bool:
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0


def need_toolkit(toolkit: str) -> None:
    module, packages = TOOLKITS[toolkit]
    if not _has(module):
        pytest.skip(f"{PYTHON} has no {module}: apt-get install {packages}")


def need_program(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is missing: apt-get install {package}")


def desktop(size: tuple[int, int] = (800, 600), scale: float = 1.0) -> DesktopEnvironment:
    need_display()
    return DesktopEnvironment(display="virtual", size=size, options=DesktopOptions(scale=scale))


def probe(env: DesktopEnvironment, toolkit: str, kind: str, file: Path) -> None:
    """Start one and wait until it can be acted on."""
    need_toolkit(toolkit)
    env.open_app(shlex.join([PYTHON, str(PROBE), toolkit, kind, str(file)]))
    until(lambda: file.exists() and (kind == "cover" or any("probe" in w.title for w in env.windows())), "the probe is there", 60)
    if kind != "cover":
        env.focus_window("probe")
    env.observe()


def clicked(file: Path, count: int) -> list[float]:
    """Where a probe was pressed for the count-th time, in its logical pixels; waited for."""
    until(lambda: file.read_text().split()[2] == str(count), "the click arrives")
    return [float(value) for value in file.read_text().split()[:2]]


def until(true: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
