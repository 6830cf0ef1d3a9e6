"""The command line as a user meets it: exit codes, one line for every kind of bad input, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

import glimpse
from agent.trajectory import Trajectory
from tests.model import checkpoints
from tests.page_server import PageServer

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            glimpse.main([str(argument) for argument in arguments])
        return int(ended.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that loads and answers nonsense, and says how it wants to be used."""
    folder = checkpoints.build(tmp_path_factory.mktemp("model"))
    config = json.loads((folder / "config.json").read_text())
    own = {"prompt": "compact", "viewport": [340, 230], "region": [168, 224], "scale": 1.5}
    (folder / "config.json").write_text(json.dumps(config | {"glimpse": own}))
    return folder


def said_in_one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("glimpse: ")
    return lines[0]


def as_user(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with these environment variables; an empty one is taken away."""
    kept = {name: value for name, value in {**os.environ, **environment}.items() if value or name not in environment}
    command = [sys.executable, "-m", "glimpse", *map(str, arguments)]
    return subprocess.run(command, cwd=Path(__file__).parent.parent, env=kept, capture_output=True, text=True, timeout=100)


def test_every_public_name_is_there() -> None:
    for name in glimpse.__all__:
        assert getattr(glimpse, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        glimpse.Agnet  # noqa: B018


def test_help_and_version_are_for_asking(call: Call) -> None:
    assert call()[0] == 0
    assert "Commands:" in call("--help")[1]
    assert call("--version")[:2] == (0, f"glimpse {glimpse.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "Click."], "--url"),
        (["walk"], "walk"),
        (["run", "Click.", "--url", "about:blank", "--viewport", "wide"], "'wide' is no size"),
        (["run", "Click.", "--url", "about:blank", "--max-steps", "0"], "--max-steps"),
        (["run", "Click.", "--url", "about:blank", "--prompt", "haiku"], "There is no prompt 'haiku'; there are: compact"),
        (["eval", "minwob"], "There is no benchmark 'minwob'; there are: agentnetbench, apps, buttons"),
        (["eval", "miniwob", "--tasks", "click-tset"], "no task 'click-tset'"),
        (["eval", "miniwob", "--tasks", "click-test", "--seeds", "zero"], "'zero' is no seed"),
        (["train", "no-such-folder"], "no-such-folder"),
        (["train", "no-such-folder", "--deepen", "2"], "--from"),
        (
            ["train", "no-such-folder", "--lora", "2", "--often", "search"],
            "--often: for training a small model whole: leave it out with --lora",
        ),
        (["train", "no-such-folder", "--lora", "2", "--no-compile", "--minutes", "60"], "--minutes, --compile: for training"),
        (["train", "no-such-folder", "--epochs", "2"], "--epochs: for adapters, which --lora RANK trains"),
        (["demos", "miniwob", "--seeds", "0-4"], "Seed 0 is for testing"),
        (["run", "Click.", "--url", "about:blank", "--start", "xterm", "--monitor", "2"], "--start, --monitor: not with --url"),
        (["run", "Click.", "--desktop", "virtual", "--headed"], "--headed: not with --desktop"),
        (["run", "Click.", "--desktop", "current", "--scale", "2"], "--scale: of a page"),
        (["eval", "screenspot_v2", "--shard", "1/2", "--repeats", "3"], "--repeats, --shard: for benchmarks of episodes"),
        (["eval", "buttons", "--coordinates", "pixels"], "--coordinates: for grounding benchmarks"),
        (["eval", "buttons", "--replay", "runs/x"], "--replay: the run that --agent replay does again"),
        (["eval", "buttons", "--gpus", "1"], "--gpus: of each worker on a --cluster"),
        (["eval", "buttons", "--option", "tasks=x"], "buttons has no option 'tasks': it has a flag of its own"),
        (["demos", "words", "--seeds", "10000", "--tasks", "x", "--stray", "0.5"], "leave --tasks, --stray out"),
    ],
)
def test_a_request_that_cannot_be_met_is_named_and_nothing_is_written(call: Call, tmp_path: Path, arguments: list[str], named: str) -> None:
    takes_out = arguments[0] != "walk"
    code, _, err = call(*arguments, *(["--out", tmp_path / "out"] if takes_out else []))
    assert (code, named in said_in_one_line(err)) == (2, True), err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["run", "Click.", "--url", "about:blank"], ["eval", "miniwob", "--tasks", "click-test"]])
def test_a_place_that_cannot_be_written_is_told_before_the_model_is_loaded(call: Call, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").touch()
    code, _, err = call(*command, "--model", "no/such/model", "--out", tmp_path / "file" / "run")
    assert (code, "cannot be written" in said_in_one_line(err)) == (2, True)


def test_a_folder_that_holds_a_run_is_refused(call: Call, tmp_path: Path) -> None:
    Trajectory.start("an older one", tmp_path / "old")
    code, _, err = call("run", "Click.", "--url", "about:blank", "--out", tmp_path / "old")
    assert (code, "already holds a run" in said_in_one_line(err)) == (2, True)
    assert Trajectory.load(tmp_path / "old").task == "an older one"


def test_a_run_is_written_as_a_page_and_what_is_no_run_is_one_line(call: Call, tmp_path: Path) -> None:
    Trajectory.start("an older one", tmp_path / "old")
    assert call("report", tmp_path / "old") == (0, f"{tmp_path / 'old' / 'report.html'}\n", "")
    assert "an older one" in (tmp_path / "old" / "report.html").read_text("utf-8")
    (tmp_path / "run.json").write_text("{}")
    for folder, said in ((tmp_path, "written in format None"), (tmp_path / "none", "holds no run")):
        code, _, err = call("report", folder)
        assert (code, said in said_in_one_line(err)) == (2, True), err
    assert not (tmp_path / "report.html").exists()


def test_what_is_no_checkpoint_is_named(call: Call, tmp_path: Path) -> None:
    for model in (tmp_path, tmp_path / "missing"):
        code, _, err = call("run", "Click.", "--url", "about:blank", "--out", tmp_path / "out", "--model", model)
        assert (code, str(model) in said_in_one_line(err)) == (3, True)
    assert not (tmp_path / "out").exists()


def test_a_cut_weight_file_is_named(call: Call, tmp_path: Path, random_model: Path) -> None:
    weights = Path(copytree(random_model, tmp_path / "cut")) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    code, _, err = call("eval", "miniwob", "--tasks", "click-test", "--out", tmp_path / "out", "--model", weights.parent)
    assert (code, str(weights) in said_in_one_line(err)) == (3, True)
    assert not (tmp_path / "out").exists()


def test_an_unreachable_address_is_named_and_nothing_is_left_behind(call: Call, tmp_path: Path, random_model: Path) -> None:
    code, _, err = call("run", "Click.", "--url", "http://127.0.0.1:9/", "--out", tmp_path / "out", "--model", random_model)
    assert (code, "http://127.0.0.1:9/" in said_in_one_line(err)) == (3, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command", [["run", "Click.", "--url", "about:blank"], ["eval", "miniwob", "--tasks", "click-test", "--seeds", "0"]]
)
def test_a_missing_browser_is_named_and_nothing_is_left_behind(tmp_path: Path, random_model: Path, command: list[str]) -> None:
    ended = as_user(*command, "--out", tmp_path / "out", "--model", random_model, GLIMPSE_CHROMIUM="/no/such/browser")
    assert (ended.returncode, "/no/such/browser" in said_in_one_line(ended.stderr)) == (3, True)
    assert not (tmp_path / "out").exists()


def test_an_absent_display_is_named(tmp_path: Path, random_model: Path) -> None:
    command = ["run", "Click.", "--url", "about:blank", "--headed", "--out", tmp_path / "out", "--model", random_model]
    ended = as_user(*command, DISPLAY="", WAYLAND_DISPLAY="")
    assert (ended.returncode, "display" in said_in_one_line(ended.stderr).lower()) == (3, True)
    assert not (tmp_path / "out").exists()


def test_a_run_that_does_not_get_there_is_recorded_and_ends_with_1(
    call: Call, tmp_path: Path, random_model: Path, pages: PageServer
) -> None:
    out = tmp_path / "out"
    code, told, _ = call(
        "run",
        "Click button ONE.",
        "--url",
        pages.url("app.html"),
        "--out",
        out,
        "--model",
        random_model,
        "--max-steps",
        2,
        "--grammar",
        "off",
    )
    assert code == 1
    assert f"Run folder: {out}" in told
    trajectory = Trajectory.load(out)
    assert trajectory.task == "Click button ONE."
    assert len(trajectory.steps) == 2
    assert trajectory.steps[0].seen.screenshot.size == (252, 336)  # as the checkpoint asks to be shown pages
    assert trajectory.meta["prompt"] == "compact"


def test_a_benchmark_prints_its_table_and_its_folder(call: Call, tmp_path: Path, random_model: Path) -> None:
    command = ("eval", "miniwob", "--tasks", "click-test,click-tab", "--seeds", "0-1", "--max-steps", 1)
    code, told, _ = call(*command, "--out", tmp_path / "out", "--model", random_model)
    assert code == 0
    assert f"Run folder: {tmp_path / 'out'}" in told
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {name: task["episodes"] for name, task in summary["tasks"].items()} == {"click-test": 2, "click-tab": 2}
    assert {"successes", "success_rate", "interval"} <= summary["tasks"]["click-tab"].keys()


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    ended = as_user("run", "Click.", "--url", "about:blank", "--out", tmp_path / "out", "--model", tmp_path, "--debug")
    assert "Traceback" in ended.stderr
    assert "ModelError" in ended.stderr


def test_the_doctor_names_every_part_and_how_to_get_what_is_missing(call: Call) -> None:
    code, told, _ = call("doctor")
    states = {part: state for state, part in (line.split()[:2] for line in told.splitlines())}
    assert {"Python", "torch", "browser", "fonts", "display", "embedded"} <= states.keys()
    assert code == (3 if "missing" in states.values() else 0)
    assert all("to get it: " in line for line in told.splitlines() if not line.startswith("ok"))


def test_setup_has_nothing_to_say_where_all_is_there(call: Call) -> None:
    assert call("setup") == (0, "", "")


def test_a_benchmarks_tasks_can_be_listed(call: Call) -> None:
    assert "miniwob" in call("benchmarks")[1].split()
    assert {"click-test", "login-user"} <= set(call("benchmarks", "miniwob")[1].split())
