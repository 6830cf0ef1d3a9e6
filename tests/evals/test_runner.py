"""The runner over a small real benchmark: a picture whose left half is to be clicked, and a model that says what it is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from rich.text import Text

from agent.base import Step
from agent.trajectory import Trajectory
from environments.base import Environment, EnvironmentFault, Observation
from environments.static import StaticEnvironment
from evals.base import EvalError, Score, Task
from evals.report import Narrator, step_line, table
from evals.runner import ERRORS_IN_A_ROW, Plan, Watch, check_out, run
from evals.summary import Episode, summarise
from model.base import Completion, GenerationConfig, Message, ModelError
from model.scripted import ScriptedModel

LEFT, RIGHT, DONE = "left_click(start_box='[100,500]')", "left_click(start_box='[900,500]')", "DONE()"


class Broken(StaticEnvironment):
    """A screen that goes dark as soon as it is looked at."""

    def reset(self) -> Observation:
        raise EnvironmentFault("The screen went dark: switch it on.")


@dataclass
class LeftHalf:
    """Success is a click in the left half."""

    asked: Sequence[Task] = (Task("left", "Click left.", seed=0, max_steps=3), Task("left", "Click left.", seed=1, max_steps=3))
    dark: Sequence[int] = ()
    name: str = "left-half"
    version: str = "1"
    skipped: Mapping[str, str] = field(default_factory=dict)
    closed: list[int | None] = field(default_factory=list)

    def tasks(self) -> Sequence[Task]:
        return self.asked

    def environment(self, task: Task) -> Environment:
        return (Broken if task.seed in self.dark else StaticEnvironment)(Image.new("RGB", (100, 100), "white"))

    def instruction(self, task: Task, env: Environment) -> str:
        return task.instruction

    def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
        assert isinstance(env, StaticEnvironment)
        hit = any(name == "click" and point.x < 50 for name, point, _ in env.actions)
        return Score(hit, float(hit), raw=1.0 if hit else -1.0, reason="" if hit else "the left half was never clicked")

    def close(self) -> None:
        """Nothing is held."""


class Interrupted(ScriptedModel):
    """At the end of its script the user presses Ctrl-C."""

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        try:
            return super().generate(messages, config)
        except ModelError:
            raise KeyboardInterrupt from None


PLAN = Plan("compact")


def result(out: Path, name: str) -> dict[str, object]:
    return dict(json.loads((out / "episodes" / name / "result.json").read_text()))


def test_a_run_leaves_its_settings_every_trajectory_every_result_and_a_summary(tmp_path: Path) -> None:
    summary = run(LeftHalf(), ScriptedModel([LEFT, DONE, RIGHT, DONE]), tmp_path / "run", PLAN)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["benchmark"], about["model"], about["prompt"], about["episodes"]) == (
        "left-half", "scripted", "compact", [["left", 0], ["left", 1]],
    )  # fmt: skip
    assert {"glimpse", "python", "torch", "transformers", "playwright"} <= about["versions"].keys()
    assert result(tmp_path / "run", "left-0") | {
        "success": True,
        "status": "done",
        "reward": 1.0,
        "steps": 2,
        "screenshot": [100, 100],
    } == (result(tmp_path / "run", "left-0"))
    assert result(tmp_path / "run", "left-1")["reason"] == "the left half was never clicked"
    assert len(Trajectory.load(tmp_path / "run" / "episodes" / "left-0").steps) == 2
    on_disk = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (
        on_disk["tasks"]["left"] | {"episodes": 2, "successes": 1, "success_rate": 0.5, "statuses": {"done": 2}} == on_disk["tasks"]["left"]
    )
    assert (
        (on_disk["success_rate"], on_disk["complete"], on_disk["errors"]) == (0.5, True, 0) == (summary.success_rate, summary.complete, 0)
    )
    assert not list(tmp_path.rglob("*.part"))


def test_success_is_the_benchmarks_to_say_not_the_models(tmp_path: Path) -> None:
    summary = run(LeftHalf(), ScriptedModel([RIGHT, DONE, LEFT, LEFT, RIGHT]), tmp_path, PLAN)
    assert [result(tmp_path, f"left-{seed}")["success"] for seed in (0, 1)] == [False, True]
    assert summary.tasks["left"].statuses == {"done": 1, "max_steps": 1}


def test_an_error_is_no_failure_and_the_run_goes_on(tmp_path: Path) -> None:
    summary = run(LeftHalf(dark=[0]), ScriptedModel([LEFT, DONE]), tmp_path, PLAN)
    assert (summary.episodes, summary.successes, summary.errors, summary.complete) == (2, 1, 1, True)
    assert result(tmp_path, "left-0") | {"status": "error", "reason": "The screen went dark: switch it on."} == result(tmp_path, "left-0")


def test_errors_in_a_row_stop_the_run_and_say_why(tmp_path: Path) -> None:
    tasks = [Task("left", "Click left.", seed=seed) for seed in range(10)]
    summary = run(LeftHalf(tasks), ScriptedModel([]), tmp_path, PLAN)
    assert (summary.episodes, summary.errors, summary.complete) == (ERRORS_IN_A_ROW, ERRORS_IN_A_ROW, False)
    assert "The script has ended" in summary.stopped


def test_ctrl_c_keeps_what_is_done_and_marks_the_summary_incomplete(tmp_path: Path) -> None:
    summary = run(LeftHalf(), Interrupted([LEFT, DONE, RIGHT]), tmp_path, PLAN)
    assert (summary.planned, summary.episodes, summary.successes, summary.complete) == (2, 1, 1, False)
    assert json.loads((tmp_path / "summary.json").read_text())["stopped"] == "stopped by hand"
    assert not (tmp_path / "episodes" / "left-1" / "result.json").exists()


def test_a_folder_that_holds_a_run_is_never_written_over(tmp_path: Path) -> None:
    run(LeftHalf(), ScriptedModel([LEFT, DONE, LEFT, DONE]), tmp_path, PLAN)
    before = (tmp_path / "summary.json").read_bytes()
    with pytest.raises(EvalError, match="already holds a run"):
        run(LeftHalf(), ScriptedModel([RIGHT, DONE]), tmp_path, PLAN)
    assert (tmp_path / "summary.json").read_bytes() == before


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvalError, match="no folder"):
        check_out(tmp_path / "file" / "run")
    with pytest.raises(EvalError, match="no folder"):
        run(LeftHalf(), ScriptedModel([]), tmp_path / "file", PLAN)
    check_out(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_nothing_to_run_and_the_same_episode_twice_are_refused(tmp_path: Path) -> None:
    twice = [Task("a", seed=1), Task("a", seed=1)]
    for tasks, message in (twice[:0], "no episode"), (twice, "asked for twice"):
        with pytest.raises(EvalError, match=message):
            run(LeftHalf(tasks), ScriptedModel([]), tmp_path / "run", PLAN)
    assert not (tmp_path / "run").exists()


def test_a_budget_asked_for_comes_before_the_tasks_own(tmp_path: Path) -> None:
    run(LeftHalf(), ScriptedModel([RIGHT]), tmp_path, Plan("compact", max_steps=1, limit=1))
    assert result(tmp_path, "left-0") | {"status": "max_steps", "steps": 1} == result(tmp_path, "left-0")
    assert len(list((tmp_path / "episodes").iterdir())) == 1


def test_a_fault_of_a_benchmark_is_seen_and_what_was_done_is_kept(tmp_path: Path) -> None:
    class Wrong(LeftHalf):
        def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
            raise ZeroDivisionError("in the scorer")

    with pytest.raises(ZeroDivisionError):
        run(Wrong(), ScriptedModel([LEFT, DONE]), tmp_path, PLAN)
    assert json.loads((tmp_path / "summary.json").read_text())["stopped"] == "ZeroDivisionError: in the scorer"


def test_every_step_is_told_with_its_task_its_action_and_its_reward(tmp_path: Path) -> None:
    lines: list[Text] = []
    narrator = Narrator(lines.append)
    run(LeftHalf(), ScriptedModel([LEFT, DONE, RIGHT, DONE]), tmp_path, PLAN, Watch(narrator.step, narrator.episode))
    told = [line.plain for line in lines]
    assert "left" in told[0]
    assert "click(point=[100, 500])" in told[0]
    assert "reward 1.00" in told[1]
    assert told[2].startswith("left seed 0: success")
    assert told[5].startswith("left seed 1: failure")


def test_what_a_page_or_a_model_says_is_shown_and_never_read_as_markup(tmp_path: Path) -> None:
    steps: list[Step] = []
    model = ScriptedModel(["[bold red]I am markup[/] [/nothing] \x1b[31m\n" + LEFT, DONE])
    run(LeftHalf(), model, tmp_path, Plan("desktop", limit=1), Watch(step=lambda task, step: steps.append(step)))
    assert "[bold red]I am markup[/] [/nothing]" in step_line(steps[0]).plain
    assert "\x1b" not in step_line(steps[0]).plain


def test_the_table_has_a_row_a_task_with_its_interval_and_one_for_all(tmp_path: Path) -> None:
    episodes = [Episode("a", seed, "", "done", success=seed > 0) for seed in range(4)] + [Episode("b", 0, "", "error")]
    console = Console(width=160, record=True, file=(tmp_path / "shown").open("w"))
    console.print(table(summarise(("small", "1"), episodes, planned=6)))
    shown = console.export_text()
    assert "3/4" in shown
    assert "0.30–0.95" in shown
    assert "1 not run" in shown
