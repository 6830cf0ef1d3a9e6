"""Getting a Chromium, and the fonts pages are drawn with, onto this machine. Fonts are part of what the model sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from environments.base import EnvironmentFault
from environments.browser.chromium import find_chromium
from environments.debian import apt, has_apt, is_debian, run, telling_line

FONTS = {
    "LiberationSans-Regular.ttf": "fonts-liberation",
    "DejaVuSans.ttf": "fonts-dejavu-core",
    "NotoColorEmoji.ttf": "fonts-noto-color-emoji",
}
"""A file that shows that a family is there, and Debian's package of it: Arial's and Times' metrics, wide Unicode coverage, emoji."""
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/Library/Fonts", "~/Library/Fonts")


def missing_fonts() -> tuple[str, ...]:
    """Debian's packages of the fonts that are not on this machine."""
    folders = [Path(folder).expanduser() for folder in _FONT_FOLDERS]
    present = {file.name for folder in folders for file in folder.rglob("*.ttf")}
    return tuple(package for file, package in FONTS.items() if file not in present)


def version(browser: Path) -> str:
    """What a browser says it is ("Chromium 156.0.8078.79 …"). Raises EnvironmentFault when it does not run."""
    try:
        said = subprocess.run([str(browser), "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"{browser} does not run ({type(error).__name__}): name another browser in $GLIMPSE_CHROMIUM.") from error
    if said.returncode != 0:
        raise EnvironmentFault(f"{browser} does not run ({telling_line(said.stderr or said.stdout)}): name another in $GLIMPSE_CHROMIUM.")
    return said.stdout.strip()


def install(say: Callable[[str], None]) -> Path:
    """The browser to use, with one and its fonts installed when they are missing; `say` is told what is being done.

    As root on Debian: Debian's packages; else the Chromium that playwright downloads. Raises EnvironmentFault when none can be had, or
    when $GLIMPSE_CHROMIUM names none.
    """
    browser = _usable()
    if browser is None and os.environ.get("GLIMPSE_CHROMIUM"):
        version(find_chromium())  # what the user names is used or refused, never replaced; one of the two raises
    if browser is None:
        browser = _install_browser(say)
    if fonts := missing_fonts():
        if has_apt():
            say(f"Installing {' '.join(fonts)} …")
            apt(fonts)
        if fonts := missing_fonts():
            say(f"Fonts are missing, so pages will look different from those the model knows: apt-get install {' '.join(fonts)}")
    return browser


def _usable() -> Path | None:
    try:
        browser = find_chromium()
        version(browser)
    except EnvironmentFault:
        return None
    return browser


def _install_browser(say: Callable[[str], None]) -> Path:
    trouble = ""
    if is_debian() and has_apt():
        say("Installing chromium and fonts with apt-get …")
        trouble = apt(("chromium", *FONTS.values()))
    if (browser := _usable()) is None:
        say("Downloading playwright's chromium …")
        with_libraries = ["--with-deps"] if has_apt() else []
        trouble = run([sys.executable, "-m", "playwright", "install", *with_libraries, "chromium"]) or trouble
        browser = _usable()
    if browser is None:
        packages = " ".join(("chromium", *FONTS.values()))
        raise EnvironmentFault(
            f"No browser could be had ({trouble or 'the one downloaded does not run'}): as root run `apt-get install {packages}`, "
            "or name a Chromium or Chrome in $GLIMPSE_CHROMIUM."
        )
    return browser
