"""The example scripts do what they say, by their own actions, where their programs are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments.desktops import need_display, need_program

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("example", "program", "package"),
    [("fill_form", "zenity", "zenity"), ("move_files", "pcmanfm", "pcmanfm"), ("chart", "localc", "libreoffice-calc")],
)
def test_an_example_does_what_it_says(example: str, program: str, package: str, tmp_path: Path) -> None:
    need_display()
    need_program(program, package)
    script, env = ROOT / "docs" / "examples" / f"{example}.py", {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-2000:]}"
    assert (tmp_path / "runs" / example / "steps.jsonl").is_file()
