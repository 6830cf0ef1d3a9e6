"""What is learned of which recordings, what is held out, and what a checkpoint says of its own use."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import glimpse
from agent.prompts.compact import compact_text
from agent.trajectory import Trajectory
from evals.base import EvalError
from evals.demonstrations import DATASET, LABELS, WORD_PAGES
from evals.episode import Episode
from evals.folder import EPISODES, RETRIED
from evals.training_data import about, examples, lessons, provenance, split
from evals.word_pages import PAGES, PIXELS
from model import embedded_path
from model.examples import Example
from tests.agent.scenes import click, did
from tests.evals.run_folders import write_run
from tools.base import Tool
from tools.computer import Type
from tools.control import Done, Fail, Remember, Wait


@pytest.mark.parametrize("seed", range(10_000, 10_060))
def test_a_seed_is_held_out_in_demonstrations_and_in_benchmark_runs_alike(seed: int) -> None:
    folders = f"click-test-2/{seed}", f"episodes/click-test-2-{seed}", f"episodes/click-test-2-{seed}-r1"
    held = [bool(split([Example(Path(folder) / "000.png", ())])[1]) for folder in folders]
    assert len(set(held)) == 1


def test_a_checkpoint_trained_on_runs_of_ones_own_keeps_the_screen_of_the_one_it_began_with(tmp_path: Path) -> None:
    mine, recorded = tmp_path / "mine", tmp_path / "recorded"
    mine.mkdir()
    recorded.mkdir()
    (recorded / DATASET).write_text(json.dumps({"viewport": [9, 9], "scale": 2.0}))
    own = json.loads((embedded_path() / "config.json").read_text())["glimpse"]
    screen = {key: own[key] for key in ("viewport", "region", "scale")}
    assert about([mine], embedded_path()) == {"prompt": "compact", **screen}
    assert about([mine, recorded], embedded_path()) == {"prompt": "compact", "viewport": [9, 9], "scale": 2.0}
    assert about([mine], embedded_path(), mine) == about([mine], embedded_path()), "of a run that has saved nothing yet"
    assert about([mine], None, embedded_path()) == about([mine], embedded_path()), "of one that goes on"
    assert about([mine]) == about([mine], mine) == {"prompt": "compact"}


def test_of_data_sets_and_runs_that_stand_together_in_a_folder_all_are_told(tmp_path: Path) -> None:
    words, tabs, screen = {"benchmark": "words", "stray": 0.1}, {"benchmark": "miniwob", "stray": 0.1}, {"viewport": [9, 9], "scale": 2.0}
    told = {
        "all/words": {"sources": [words], **screen, "seeds": {"words": "10000"}},
        "all/tabs": {"sources": [tabs], **screen, "seeds": {"click-tab": "10001-10002"}},
        "all/old/t0": {"sources": [tabs], "seeds": {"click-tab": "10007"}},  # of a checkpoint: it knows no screen
        "t1": {"sources": [words], "seeds": {"words": "10001"}},
    }
    for name, recorded in told.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / DATASET).write_text(json.dumps(recorded))
    write_run(tmp_path / "all" / "run", [Episode("lamp", 10_005, "success", success=True), Episode("lamp", 10_006, "failure")])
    write_run(tmp_path / "t1" / "core", [Episode("lamp", 3, "success", success=True)])  # how a checkpoint did is no part of what it learned
    assert about([tmp_path / "all"]) == {"prompt": "compact", **screen}
    found = provenance([tmp_path / "all"], tmp_path / "t1", None, tmp_path / "none")
    assert found["sources"] == [words, tabs, {"benchmark": "miniwob", "model": "scripted"}]
    assert found["seeds"] == {"click-tab": "10001-10002,10007", "lamp": "10005", "words": "10000-10001"}


def test_of_a_run_of_ones_own_it_is_not_known_what_is_written_and_nothing_is_said_to_be_absent(tmp_path: Path) -> None:
    write_page(tmp_path / "pages", 10_001)
    record(tmp_path / "mine" / "1", [click(20), Done()])
    page, *own = examples(tmp_path / "pages", tmp_path / "mine")
    assert page.words
    assert [example.words for example in own] == [None, None]
    assert not any(example.readings for example in own)


def test_of_a_benchmarks_run_nothing_is_learned_that_was_set_aside_or_has_no_result(tmp_path: Path) -> None:
    success = Episode("lamp", 10_001, "success", success=True)
    write_run(tmp_path / "run", [success])
    record(tmp_path / "run" / EPISODES / success.key, [click(20)])
    record(tmp_path / "run" / EPISODES / "lamp-3", [click(30)])
    record(tmp_path / "run" / RETRIED / "lamp-10001-1", [click(40)])
    assert [example.image.parent.name for example in examples(tmp_path)] == [success.key]
    assert len(list(lessons([tmp_path], "tool_call"))) == 1


def test_a_training_that_cannot_begin_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "mine" / "1", [click(20), Done()])
    with pytest.raises(SystemExit):
        glimpse.main(["train", str(tmp_path / "mine"), "--often", "shrt", "--from", "tiny", "--out", str(tmp_path / "out")])
    assert "There is no example of shrt" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_test_seeds_are_refused_in_every_kind_of_data(tmp_path: Path) -> None:
    episode = Episode("lamp", 9_999, "success", success=True)
    write_run(tmp_path / "run", [episode])
    record(tmp_path / "run" / EPISODES / episode.key, [click(20)])
    (record(tmp_path / "demos" / "lamp" / "9999", [click(20)]) / LABELS).write_text("[{}]")
    write_page(tmp_path / "pages", 9_999)
    for data, what in (("run", "lamp-9999 is an episode"), ("demos", "9999 is a demonstration"), ("pages", r"pages.jsonl.* a page")):
        with pytest.raises(EvalError, match=rf"{what} of seed 9999, which is for testing: train on seeds from 10000 on"):
            list(examples(tmp_path / data))
    record(tmp_path / "mine" / "9999", [click(20)])
    assert len(list(examples(tmp_path / "mine"))) == 1, "a run of one's own has no seed, whatever its name"


@pytest.mark.parametrize(
    ("thought", "kept"), [("", ""), ("The field is empty.", "# The field is empty.\n"), ("It is.\nSo I type.", ""), ("a" * 81, "")]
)
def test_of_another_protocols_run_all_that_is_learned_can_be_said_in_the_compact_one(tmp_path: Path, thought: str, kept: str) -> None:
    record(tmp_path, [click(20), Wait(), Remember(text="17"), Type(text="a" * 65), Type(text="ok"), Fail(), Done()], thought)
    clicked, typed, done = (example.questions[0] for example in examples(tmp_path))
    calls = "left_click(start_box='[20,500]')", "type(content='ok')", "DONE()"
    assert [question.reply for question in (clicked, typed, done)] == [f"{kept}{call}" for call in calls]
    assert done.text == compact_text("Tick it.", [f"{kept}{call}" for call in calls[:2]]), "what cannot be said was never said"
    assert len(done.past) == 1


def record(folder: Path, actions: Sequence[Tool], thought: str = "") -> Path:
    """A run that ended as done, of 20×10 pixels."""
    trajectory = Trajectory.start("Tick it.", folder)
    for index, action in enumerate(actions):
        trajectory.add(replace(did(index, action), thought=thought))
    trajectory.finish("done")
    return folder


def write_page(data: Path, seed: int) -> None:
    """A page of the word "lamp", as `glimpse demos words` records one."""
    (data / WORD_PAGES).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", PIXELS, "white").save(data / WORD_PAGES / f"{seed}.png")
    with (data / WORD_PAGES / PAGES).open("a") as lines:
        lines.write(json.dumps({"seed": seed, "words": [["lamp", [10, 10, 50, 20], [15, 25, 35, 45]]], "things": []}) + "\n")
