"""What the README says is so: its Python runs, its commands exist, its tree is the tree."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import glimpse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```([^\n]+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [(language, line[2:]) for language, code in BLOCKS if language.startswith("console") for line in code.splitlines()]
GLIMPSE = ".venv/bin/glimpse "
PACKAGES = ("agent", "benchmarks", "environments", "evals", "model", "tools")


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_its_python_runs_as_it_stands(tmp_path: Path, code: str) -> None:
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    ended = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("line", [line for language, line in COMMANDS if language == "console run"])
def test_its_commands_that_are_marked_to_run_do_so(line: str) -> None:
    command = [sys.executable, "-m", "glimpse", *shlex.split(line.removeprefix(GLIMPSE))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("line", [line for _, line in COMMANDS if line.startswith(GLIMPSE)])
def test_its_commands_have_the_options_it_shows(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:  # an unknown command or option is told before help is given
        glimpse.main([*shlex.split(line.removeprefix(GLIMPSE)), "--help"])
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("target", [line.split()[1] for _, line in COMMANDS if line.startswith("make ")])
def test_its_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_its_tree_has_one_line_for_every_file() -> None:
    listed, trail = set(), list[str]()
    tree = next(code for language, code in BLOCKS if language == "text")
    for line in tree.splitlines():
        name = line.split()[0]
        trail = [*trail[: (len(line) - len(line.lstrip())) // 2], name]
        listed.add("".join(trail))
    files = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.stat().st_size}
    files = {path for path in files if not path.endswith("__init__.py")}
    assert files - listed == set()
    assert {path for path in listed if path.endswith(".py")} - files == {"glimpse.py"}


def test_what_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
