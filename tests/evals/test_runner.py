"""The runner over a small real benchmark: a picture whose left half is to be clicked, and models that say what they are told."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from agent.base import Step
from agent.trajectory import Trajectory
from environments.base import Environment
from evals.base import Benchmark, EvalError, Score, ScoringError, Task
from evals.episode import Episode
from evals.folder import RUN, check_out, locked, read_episodes
from evals.plan import Plan, Slot, parse_shard
from evals.report import step_line
from evals.runner import ERRORS_IN_A_ROW, Watch, run
from evals.scripts import stand_in
from evals.telling import Narrator, Pace
from model.base import Completion, GenerationConfig, Message, ModelError
from model.scripted import ScriptedModel
from tests.evals.halves import DONE, LEFT, PLAN, RIGHT, LeftHalf, asked, slow

ROOT = Path(__file__).parents[2]


class Interrupted(ScriptedModel):
    """At the end of its script the user presses Ctrl-C."""

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        try:
            return super().generate(messages, config)
        except ModelError:
            raise KeyboardInterrupt from None


def result(out: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((out / "episodes" / name / "result.json").read_text()))


def came_of(out: Path) -> dict[str, tuple[object, ...]]:
    """What came of each episode, without what differs from run to run: times and attempts."""
    return {e.key: (e.status, e.success, e.reward, e.raw, e.reason, e.steps, e.instruction, e.tags) for e in read_episodes(out)}


def test_a_run_leaves_its_settings_every_trajectory_every_result_and_a_summary(tmp_path: Path) -> None:
    summary = run(LeftHalf, ScriptedModel([LEFT, DONE, RIGHT, DONE]), tmp_path / "run", PLAN, about={"agent": "scripted"})
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["benchmark"], about["model"], about["prompt"], about["agent"]) == ("left-half", "scripted", "compact", "scripted")
    assert about["episodes"] == [["left", 0, 0], ["left", 1, 0]]
    assert {"glimpse", "python", "torch", "transformers", "playwright"} <= about["versions"].keys()
    first = result(tmp_path / "run", "left-0")
    assert first | {"success": True, "status": "success", "ended": "done", "reward": 1.0, "steps": 2} == first
    assert first | {"screenshot": [100, 100], "tags": ["click"]} == first
    assert result(tmp_path / "run", "left-1")["reason"] == "the left half was never clicked"
    assert len(Trajectory.load(tmp_path / "run" / "episodes" / "left-0").steps) == 2
    on_disk = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (on_disk["success_rate"], on_disk["complete"]) == (0.5, True) == (summary.success_rate, summary.complete)
    assert on_disk["tasks"]["left"]["successes"] == 1
    assert not list(tmp_path.rglob("*.part"))


def test_success_is_the_benchmarks_to_say_not_the_models(tmp_path: Path) -> None:
    run(LeftHalf, ScriptedModel([RIGHT, DONE, LEFT, LEFT, RIGHT]), tmp_path, PLAN)
    assert [(result(tmp_path, f"left-{seed}")["status"], result(tmp_path, f"left-{seed}")["ended"]) for seed in (0, 1)] == [
        ("failure", "done"), ("success", "max_steps"),
    ]  # fmt: skip


def test_an_error_of_the_environment_is_no_failure_is_tried_again_and_the_run_goes_on(tmp_path: Path) -> None:
    summary = run(lambda: LeftHalf(dark={0: 9}), ScriptedModel([LEFT, DONE]), tmp_path, replace(PLAN, retries=2))
    assert (summary.episodes, summary.successes, summary.errors, summary.complete) == (2, 1, 1, True)
    found = result(tmp_path, "left-0")
    assert found | {"status": "env_error", "reason": "The screen went dark: switch it on.", "attempts": 3} == found
    summary = run(lambda: LeftHalf(dark={0: 2}), slow(), tmp_path / "mended", replace(PLAN, retries=2))
    assert (summary.errors, result(tmp_path / "mended", "left-0")["attempts"]) == (0, 3)


def test_an_error_of_the_model_is_told_from_one_of_the_environment(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(1)), ScriptedModel([LEFT]), tmp_path, PLAN)
    assert result(tmp_path, "left-0")["status"] == "model_error"
    assert "The script has ended" in result(tmp_path, "left-0")["reason"]


def test_errors_in_a_row_stop_the_run_and_say_why(tmp_path: Path) -> None:
    summary = run(lambda: LeftHalf(asked(10)), ScriptedModel([]), tmp_path, PLAN)
    assert (summary.episodes, summary.errors, summary.complete) == (ERRORS_IN_A_ROW, ERRORS_IN_A_ROW, False)
    assert "The script has ended" in summary.stopped


@pytest.mark.parametrize(
    ("fault", "reason"), [(ZeroDivisionError("in the scorer"), "ZeroDivisionError: in the scorer"), (ScoringError("No file."), "No file.")]
)
def test_a_checker_that_fails_is_an_error_of_the_evaluation_with_its_traceback(tmp_path: Path, fault: Exception, reason: str) -> None:
    class Wrong(LeftHalf):
        def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
            raise fault

    run(lambda: Wrong(asked(1)), slow(), tmp_path, PLAN)
    found = result(tmp_path, "left-0")
    assert (found["status"], found["success"], found["reason"]) == ("eval_error", False, reason)
    assert "in score" in found["details"]["fault"]


def test_a_reward_that_is_none_is_an_error_of_the_evaluation(tmp_path: Path) -> None:
    class Wrong(LeftHalf):
        def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
            return Score(True, float("nan"))

    run(lambda: Wrong(asked(1)), slow(), tmp_path, PLAN)
    assert result(tmp_path, "left-0")["status"] == "eval_error"


def test_an_environment_that_hangs_is_replaced_and_its_episode_run_again(tmp_path: Path) -> None:
    made: list[LeftHalf] = []

    def make() -> LeftHalf:
        made.append(LeftHalf(asked(3), hanging={} if made else {1: 1}))
        return made[-1]

    summary = run(make, slow(), tmp_path, replace(PLAN, stall=0.6, retries=1))
    assert (summary.complete, summary.errors, len(made)) == (True, 0, 2)
    assert [result(tmp_path, f"left-{seed}")["attempts"] for seed in range(3)] == [1, 2, 1]
    assert made[0].closed


def test_a_model_that_thinks_long_is_no_environment_that_hangs(tmp_path: Path) -> None:
    summary = run(lambda: LeftHalf(asked(1)), slow(1.5), tmp_path, replace(PLAN, stall=0.6))
    assert (summary.errors, summary.successes) == (0, 1)


def test_a_terminal_that_has_gone_changes_no_result(tmp_path: Path) -> None:
    def gone(*told: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    summary = run(LeftHalf, slow(), tmp_path, PLAN, Watch(step=gone, episode=gone))
    assert (summary.complete, summary.successes, summary.errors) == (True, 1, 0)


def test_a_terminal_that_nobody_reads_ends_no_program(tmp_path: Path) -> None:
    code = "import pathlib, sys; from evals.report import Terminal; terminal = Terminal(); "
    code += "[terminal.print('x' * 9_000) for _ in range(50)]; print('the end'); pathlib.Path(sys.argv[1]).touch()"
    piped = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {shlex.quote(str(tmp_path / 'there'))} | head -1"
    ended = subprocess.run(piped, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.stderr, (tmp_path / "there").exists()) == ("", True)


def test_ctrl_c_keeps_what_is_done_and_marks_the_summary_incomplete(tmp_path: Path) -> None:
    summary = run(LeftHalf, Interrupted([LEFT, DONE, RIGHT]), tmp_path, PLAN)
    assert (summary.planned, summary.episodes, summary.successes, summary.complete) == (2, 1, 1, False)
    assert json.loads((tmp_path / "summary.json").read_text())["stopped"] == "stopped by hand"
    assert not (tmp_path / "episodes" / "left-1" / "result.json").exists()


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(4)), Interrupted([LEFT, DONE, RIGHT]), tmp_path, PLAN)
    ran: list[str] = []
    model = Interrupted([RIGHT, DONE] * 3)
    watch = Watch(episode=lambda episode: ran.append(episode.key))
    with pytest.raises(EvalError, match="another configuration: model is 'scripted' there, 'slow' here"):
        run(lambda: LeftHalf(asked(4)), slow(), tmp_path, PLAN, again="resume")
    summary = run(lambda: LeftHalf(asked(4)), model, tmp_path, PLAN, watch, again="resume")
    assert (ran, summary.complete, summary.successes) == (["left-1", "left-2", "left-3"], True, 1)
    assert (tmp_path / "retried" / "left-1-1" / "steps.jsonl").exists()  # what was under way is kept, too
    assert json.loads((tmp_path / RUN).read_text())["sittings"][0]["episodes"] == 3


def test_errors_alone_or_all_that_failed_are_run_again_when_asked(tmp_path: Path) -> None:
    def make() -> LeftHalf:
        return LeftHalf(asked(3), dark={2: 1})

    run(make, slow(), tmp_path, PLAN)
    assert [episode.status for episode in read_episodes(tmp_path)] == ["success", "failure", "env_error"]
    again: list[str] = []
    watch = Watch(episode=lambda episode: again.append(episode.key))
    run(lambda: LeftHalf(asked(3)), slow(), tmp_path, PLAN, watch, again="resume")
    assert again == []
    run(lambda: LeftHalf(asked(3)), slow(), tmp_path, PLAN, watch, again="errors")
    assert again == ["left-2"]
    run(lambda: LeftHalf(asked(3)), slow(), tmp_path, PLAN, watch, again="failed")
    assert again == ["left-2", "left-1"]
    assert json.loads((tmp_path / "retried" / "left-2-1" / "result.json").read_text())["status"] == "env_error"


def test_what_a_stopped_repetition_did_not_reach_still_counts(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(5)), slow(), tmp_path, PLAN)

    def stop(episode: Episode) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(lambda: LeftHalf(asked(5)), slow(), tmp_path, PLAN, Watch(episode=stop), again="failed")
    on_disk = json.loads((tmp_path / "summary.json").read_text())
    assert (on_disk["episodes"], on_disk["successes"], on_disk["statuses"]) == (5, 3, {"success": 3, "failure": 2})


def test_a_run_of_other_episodes_or_of_another_format_is_not_gone_on_with(tmp_path: Path) -> None:
    run(LeftHalf, slow(), tmp_path, PLAN)
    with pytest.raises(EvalError, match="other episodes"):
        run(lambda: LeftHalf(asked(3)), slow(), tmp_path, PLAN, again="resume")
    with pytest.raises(EvalError, match="max_steps is None there, 7 here"):
        run(LeftHalf, slow(), tmp_path, replace(PLAN, max_steps=7), again="resume")
    about = json.loads((tmp_path / RUN).read_text())
    (tmp_path / RUN).write_text(json.dumps({**about, "format": 1}))
    with pytest.raises(EvalError, match="written in format 1"):
        run(LeftHalf, slow(), tmp_path, PLAN, again="resume")
    with pytest.raises(EvalError, match="is missing"):
        run(LeftHalf, slow(), tmp_path / "nothing", PLAN, again="resume")


def test_a_result_that_cannot_be_read_is_named_and_never_counted(tmp_path: Path) -> None:
    run(LeftHalf, slow(), tmp_path, PLAN)
    file = tmp_path / "episodes" / "left-1" / "result.json"
    file.write_text(file.read_text().replace('"success"', '"succes"', 1))
    with pytest.raises(EvalError, match=r"left-1/result.json: .*"):
        run(LeftHalf, slow(), tmp_path, PLAN, again="resume")


def test_two_runs_never_write_to_one_folder(tmp_path: Path) -> None:
    run(LeftHalf, slow(), tmp_path, PLAN)
    with locked(tmp_path), pytest.raises(EvalError, match="is being written by another run"):
        run(LeftHalf, slow(), tmp_path, PLAN, again="resume")


def test_a_run_killed_at_ten_moments_and_gone_on_with_ends_as_one_that_was_not(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(30)), slow(), tmp_path / "whole", PLAN)
    rng, out = random.Random(7), tmp_path / "killed"
    command = [sys.executable, "-m", "tests.evals.halves", str(out), "30", "0.05", "2"]
    for _ in range(10):
        process = subprocess.Popen(command, cwd=ROOT)
        time.sleep(rng.uniform(0.8, 1.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert came_of(out) == came_of(tmp_path / "whole")
    assert json.loads((out / "summary.json").read_text())["complete"]


def test_many_workers_give_the_same_results_as_one_each_with_a_benchmark_of_its_own(tmp_path: Path) -> None:
    made: list[LeftHalf] = []

    def make() -> Benchmark:
        made.append(LeftHalf(asked(8)))
        return made[-1]

    run(lambda: LeftHalf(asked(8)), slow(), tmp_path / "one", PLAN)
    run(make, slow(0.05), tmp_path / "four", replace(PLAN, workers=4))
    assert came_of(tmp_path / "four") == came_of(tmp_path / "one")
    assert len(made) == 4
    assert all(benchmark.closed for benchmark in made)


def test_shards_together_are_the_whole_run_and_none_runs_twice(tmp_path: Path) -> None:
    slots = [slot.key for part in (1, 2, 3) for slot in replace(PLAN, shard=(part, 3), repeats=2).slots(asked(5))]
    assert sorted(slots) == sorted(slot.key for slot in replace(PLAN, repeats=2).slots(asked(5)))
    assert len(set(slots)) == 10
    assert parse_shard("2/3") == (2, 3)
    for wrong in ("0/3", "4/3", "2", "a/b"):
        with pytest.raises(EvalError, match="is no shard"):
            parse_shard(wrong)


def test_a_recorded_run_done_again_gives_the_same_results(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(4)), slow(), tmp_path / "first", PLAN)
    actor, prompt = stand_in("replay", LeftHalf, tmp_path / "first")
    assert prompt == "compact"
    run(lambda: LeftHalf(asked(4)), actor, tmp_path / "again", PLAN)
    assert came_of(tmp_path / "again") == came_of(tmp_path / "first")


def test_a_folder_that_holds_a_run_is_never_written_over(tmp_path: Path) -> None:
    run(LeftHalf, slow(), tmp_path, PLAN)
    before = (tmp_path / "summary.json").read_bytes()
    with pytest.raises(EvalError, match="already holds a run"):
        run(LeftHalf, slow(), tmp_path, PLAN)
    assert (tmp_path / "summary.json").read_bytes() == before


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvalError, match="no folder"):
        check_out(tmp_path / "file" / "run")
    with pytest.raises(EvalError, match="no folder"):
        run(LeftHalf, slow(), tmp_path / "file", PLAN)
    check_out(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_ends_the_run_in_one_line_and_what_was_done_is_kept(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises(EvalError, match=r"cannot be written: No space left on device\. What ended is kept there"):
            run(lambda: LeftHalf(asked(60)), slow(), disk / "run", PLAN)
        kept = read_episodes(disk / "run")
        assert kept
        assert all(episode.status in ("success", "failure") for episode in kept)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_nothing_to_run_and_the_same_episode_twice_are_refused(tmp_path: Path) -> None:
    twice = [Task("a", seed=1), Task("a", seed=1)]
    for tasks, message in (twice[:0], "no episode"), (twice, "asked for twice"):
        with pytest.raises(EvalError, match=message):
            run(lambda tasks=tasks: LeftHalf(tasks), ScriptedModel([]), tmp_path / "run", PLAN)  # type: ignore[misc]  # the loop's own
    assert not (tmp_path / "run").exists()


def test_a_budget_asked_for_comes_before_the_tasks_own(tmp_path: Path) -> None:
    run(LeftHalf, ScriptedModel([RIGHT]), tmp_path, Plan("compact", max_steps=1, limit=1))
    found = result(tmp_path, "left-0")
    assert found | {"status": "max_steps", "steps": 1} == found
    assert len(list((tmp_path / "episodes").iterdir())) == 1


def test_every_step_is_told_with_its_task_its_action_and_its_reward(tmp_path: Path) -> None:
    lines: list[Text] = []
    narrator = Narrator(lines.append)
    run(LeftHalf, ScriptedModel([LEFT, DONE, RIGHT, DONE]), tmp_path, PLAN, Watch(narrator.step, narrator.episode))
    told = [line.plain for line in lines]
    assert "left" in told[0]
    assert "click(point=[100, 500])" in told[0]
    assert "reward 1.00" in told[1]
    assert told[2].startswith("left seed 0: success")
    assert told[5].startswith("left seed 1: failure")


def test_how_far_a_run_is_and_how_long_the_rest_takes_are_told() -> None:
    pace = Pace()
    assert pace.told() == ""
    pace.begun(10, 4)
    time.sleep(0.02)
    pace.ended()
    assert pace.told().startswith("; 5/10, ")
    assert pace.told().endswith(" left")


def test_what_a_page_or_a_model_says_is_shown_and_never_read_as_markup(tmp_path: Path) -> None:
    steps: list[Step] = []

    def keep(slot: Slot, step: Step) -> None:
        steps.append(step)

    model = ScriptedModel(["[bold red]I am markup[/] [/nothing] \x1b[31m\n" + LEFT, DONE])
    run(LeftHalf, model, tmp_path, Plan("desktop", limit=1), Watch(step=keep))
    assert "[bold red]I am markup[/] [/nothing]" in step_line(steps[0]).plain
    assert "\x1b" not in step_line(steps[0]).plain


def test_an_episode_is_read_back_as_it_was_written_and_what_is_none_is_refused(tmp_path: Path) -> None:
    run(LeftHalf, slow(), tmp_path, PLAN)
    episodes = read_episodes(tmp_path)
    assert [type(episode) for episode in episodes] == [Episode, Episode]
    assert (episodes[0].tags, episodes[0].screenshot) == (("click",), (100, 100))
