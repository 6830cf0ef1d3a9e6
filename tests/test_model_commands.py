"""`glimpse model …` as a user meets it: a table, one JSON object, a folder; one line for what cannot be met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glimpse
from model.inspect import inspect
from model.machines import MACHINES
from tests.model import checkpoints

HARDWARE = (Path(__file__).parent.parent / "docs" / "hardware.md").read_text(encoding="utf-8")


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        glimpse.main(["model", *map(str, arguments)])
    return int(ended.value.code or 0), *capfd.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build(tmp_path_factory.mktemp("checkpoint"))


def test_inspect_tells_parameters_screenshots_and_machines(capfd: pytest.CaptureFixture[str]) -> None:
    code, told, _ = call(capfd, "inspect", "glm-4.5v")
    assert code == 0
    assert all(word in told for word in ("107.71 B", "2,691", "4 × 80 GB GPU", "here: "))


def test_inspect_json_is_one_object_of_what_was_asked_for(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, told, _ = call(capfd, "inspect", folder, "--json", "--size", "160x210", "--size", "640x360", "--screenshots", 3)
    facts = json.loads(told)
    assert (code, [shot["tokens"] for shot in facts["screenshots"]], facts["fits"]["screenshots"]) == (0, [48, 299], 3)


def test_convert_writes_a_folder_once(capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    assert call(capfd, "convert", folder, tmp_path / "out", "--dtype", "bfloat16")[:2] == (0, f"{tmp_path / 'out'}\n")
    code, _, err = call(capfd, "convert", folder, tmp_path / "out")
    assert (code, err.count("\n"), "holds something already" in err) == (3, 1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["inspect", "no-such-model"], 3, "no-such-model"),
        (["inspect", "glm-4.5v", "--size", "wide"], 2, "'wide' is no size"),
        (["convert", "no-such-model", "out"], 3, "no-such-model"),
        (["convert", "glm-4.5v"], 2, "'out'"),
    ],
)
def test_what_cannot_be_met_is_one_line(capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, named: str) -> None:
    ended, _, err = call(capfd, *arguments)
    assert (ended, err.count("\n"), named in err) == (code, 1, True), err


@pytest.mark.parametrize("name", ["glm-4.5v", "glm-4.6v"])
def test_the_hardware_document_says_what_the_code_computes(capfd: pytest.CaptureFixture[str], name: str) -> None:
    told = call(capfd, "inspect", name, "--markdown")[1]
    assert told == inspect(name, machines=MACHINES).markdown()
    assert told.strip() in HARDWARE
