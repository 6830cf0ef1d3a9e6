"""What this machine has for the main job: each part ok, missing, or how to get it. Loads none of the heavy libraries it asks about."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

from environments.base import EnvironmentFault
from environments.browser.chromium import find_chromium, has_display
from environments.browser.install import missing_fonts, version
from model import embedded_path

_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Check:
    """One part. needed: the main job (a browser, a model, a click) cannot do without. found: what is there, or what is not.
    remedy: how to get it, "" when it is there."""

    part: str
    ok: bool
    needed: bool
    found: str
    remedy: str = ""


def checks() -> list[Check]:
    """Every part, in the order they depend on each other."""
    return [
        _python(),
        *(_package(name, needed=True) for name in ("torch", "transformers", "playwright")),
        _browser(),
        _fonts(),
        _display(),
        _model_files(),
        _package("miniwob", needed=False),
        _package("pyautogui", needed=False),
    ]


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("Python", ok, True, f"{platform.python_version()} at {sys.executable}", "" if ok else "install Python 3.11 or newer")


def _package(name: str, *, needed: bool) -> Check:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, False, needed, "not installed", f"pip install {name}")
    return Check(name, True, needed, found)


def _browser() -> Check:
    try:
        browser = find_chromium()
        return Check("browser", True, True, f"{version(browser)} at {browser}")
    except EnvironmentFault as fault:
        return Check("browser", False, True, str(fault), "glimpse setup")


def _fonts() -> Check:
    if missing := missing_fonts():
        return Check("fonts", False, False, f"without {', '.join(missing)}", f"apt-get install {' '.join(missing)}")
    return Check("fonts", True, False, "Liberation, DejaVu, Noto Color Emoji")


def _display() -> Check:
    if has_display():
        shown = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or "the system's own"
        return Check("display", True, False, shown)
    return Check("display", False, False, "none: --headed and desktops need one", "xvfb-run glimpse …")


def _model_files() -> Check:
    folder = embedded_path()
    missing = [name for name in _MODEL_FILES if not (folder / name).is_file()]
    if missing:
        return Check("embedded model", False, True, f"{folder} lacks {', '.join(missing)}", "install Glimpse again")
    size = (folder / "model.safetensors").stat().st_size / 2**20
    return Check("embedded model", True, True, f"{size:.1f} MiB at {folder}")
