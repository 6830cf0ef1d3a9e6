"""Getting a browser: what is named by the user is used or refused, and what does not run says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from environments.base import EnvironmentFault
from environments.browser.chromium import find_chromium
from environments.browser.install import FONTS, install, missing_fonts, version


def program(folder: Path, script: str) -> Path:
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_where_a_browser_and_fonts_are_there_is_nothing_to_do() -> None:
    said: list[str] = []
    assert install(said.append) == find_chromium()
    assert said == [] or missing_fonts()


def test_a_browser_says_what_it_is(tmp_path: Path) -> None:
    assert version(program(tmp_path, "echo Chromium 1.2.3")) == "Chromium 1.2.3"


def test_a_browser_that_does_not_run_says_why(tmp_path: Path) -> None:
    script = 'echo starting >&2; echo "error while loading shared libraries: libnss3.so" >&2; echo bye >&2; exit 127'
    with pytest.raises(EnvironmentFault, match=r"browser does not run \(error while loading shared libraries: libnss3\.so\)"):
        version(program(tmp_path, script))
    with pytest.raises(EnvironmentFault, match="does not run"):
        version(tmp_path / "missing")


def test_the_browser_a_user_names_is_never_replaced_by_another(tmp_path: Path) -> None:
    broken = program(tmp_path, "exit 1")
    command = [sys.executable, "-c", "from environments.browser.install import install; install(print)"]
    ended = subprocess.run(command, env={**os.environ, "GLIMPSE_CHROMIUM": str(broken)}, capture_output=True, text=True, timeout=60)
    assert f"EnvironmentFault: {broken} does not run" in ended.stderr
    assert ended.stdout == ""


def test_missing_fonts_are_named_by_their_packages() -> None:
    assert set(missing_fonts()) <= set(FONTS.values())
