"""What tells that two runs were made with the same prompt."""

import shutil
from pathlib import Path

import pytest

from agent.prompts.base import FOLDER, prompts
from evals.provenance import prompt_hash

SHARED = {"compact": [], "desktop": ["screen.jinja2"], "tool_call": ["screen.jinja2"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "prompts"))


def changed(file: Path) -> None:
    file.write_text(f"{file.read_text('utf-8')}\n", "utf-8")


@pytest.mark.parametrize("name", prompts())
def test_a_prompts_hash_depends_on_all_it_is_made_of_and_on_nothing_else(folder: Path, name: str) -> None:
    seen = [prompt_hash(name, folder)]
    assert seen == [prompt_hash(name)]
    own = [file.name for file in FOLDER.glob(f"{name}.*")]
    for part in [*own, "base.py", *SHARED[name]]:
        changed(folder / part)
        seen.append(prompt_hash(name, folder))
    assert len(set(seen)) == len(seen)
    for file in folder.iterdir():
        if file.is_file() and file.name not in [*own, "base.py", *SHARED[name]]:
            changed(file)
    assert prompt_hash(name, folder) == seen[-1]


def test_a_template_that_a_shared_one_takes_in_is_shared_too(folder: Path) -> None:
    (folder / "words.jinja2").write_text("One.")
    (folder / "screen.jinja2").write_text("{% include 'words.jinja2' %}{% include 'screen.jinja2' %}")
    before = prompt_hash("desktop", folder)
    changed(folder / "words.jinja2")
    assert prompt_hash("desktop", folder) != before
