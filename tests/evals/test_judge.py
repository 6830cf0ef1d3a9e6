"""Judges of live tasks: what a model is shown and how its reply is read, verdicts of people, and a recorded run judged again."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image

from agent.base import Status, Step
from agent.trajectory import Trajectory
from environments.base import Environment, Observation
from evals.base import EvalError, Score, ScoringError, Task, Unjudged
from evals.episode import Episode
from evals.folder import EPISODES, FORMAT, RESULT, RUN, SUMMARY, write_json
from evals.judge import AnswerJudge, Case, Nobody, TrajectoryJudge, Verdicts, case_of, judge_of, judged, rejudge
from evals.plan import Slot
from evals.worker import LocalWorker
from model.base import Completion
from model.scripted import ScriptedModel
from tests.evals.halves import PLAN, LeftHalf, asked, slow
from tools.base import ToolResult
from tools.computer import Click
from tools.control import Done
from tools.values import Thousandths

COLOURS = ("red", "green", "blue", "black")


def case(ended: str = "done", answer: str = "42", shots: Sequence[str] = COLOURS) -> Case:
    return Case("find", "Find the answer.", [Image.new("RGB", (8, 8), colour) for colour in shots], ["click", "done"], answer, ended)


def pictures(model: ScriptedModel, call: int = -1) -> list[tuple[int, ...] | float | None]:
    return [part.getpixel((0, 0)) for part in model.seen[call][1].content if isinstance(part, Image.Image)]


def words(model: ScriptedModel, call: int = -1) -> str:
    return "\n".join(part for message in model.seen[call] for part in message.content if isinstance(part, str))


def test_a_judge_of_answers_is_shown_the_task_the_answer_and_the_last_screenshots() -> None:
    model = ScriptedModel(["The page shows 42.\nSUCCESS"])
    verdict = AnswerJudge(model, last=2).judge(case())
    assert verdict.success
    assert pictures(model) == [(0, 0, 255), (0, 0, 0)]
    for said in ("Task: Find the answer.", "Answer: 42", "The last 2 screenshots", "SUCCESS or NOT SUCCESS"):
        assert said in words(model)


@pytest.mark.parametrize(
    ("reply", "success"),
    [
        ("SUCCESS", True),
        ("It did not successfully load at first. SUCCESS", True),
        ("**SUCCESS**", True),
        ("<|begin_of_box|>SUCCESS<|end_of_box|>", True),
        ("NOT SUCCESS", False),
        ("This is NOT A SUCCESS.", False),
        ("It would be a SUCCESS if … but NOT SUCCESS", False),
    ],
)
def test_a_verdict_is_read_as_the_benchmark_reads_it(reply: str, success: bool) -> None:
    assert AnswerJudge(ScriptedModel([reply])).judge(case()).success is success


@pytest.mark.parametrize("reply", ["", "I cannot tell.", "UNSUCCESSFUL", "success", Completion("SUCCESS", stop_reason="length")])
def test_a_reply_without_a_whole_verdict_is_an_error_of_the_evaluation(reply: str | Completion) -> None:
    with pytest.raises(ScoringError):
        AnswerJudge(ScriptedModel([reply])).judge(case())


def test_a_judge_that_cannot_answer_is_an_error_of_the_evaluation() -> None:
    with pytest.raises(ScoringError, match="could not answer"):
        AnswerJudge(ScriptedModel([])).judge(case())


def test_an_episode_without_an_answer_failed_and_no_model_is_asked() -> None:
    model = ScriptedModel([])
    assert not AnswerJudge(model).judge(case(ended="max_steps", answer="")).success
    assert model.seen == []


def test_a_judge_of_trajectories_asks_for_key_points_then_each_screenshot_then_the_outcome_with_those_that_matter() -> None:
    shots = ["Reasoning: a list\nScore: 2", "Reasoning: the filter is set\n**Score**: 5", "Reasoning: half of it\nScore: 3", "Score: 1"]
    model = ScriptedModel(["Key Points:\n1. Find it\n2. Sort by price", *shots, "Thoughts: all met.\nStatus: success"])
    verdict = TrajectoryJudge(model).judge(case())
    assert verdict.success
    assert verdict.details["scores"] == [2, 5, 3, 1]
    assert verdict.details["key_points"] == "1. Find it\n2. Sort by price"
    assert [pictures(model, call) for call in range(1, 5)] == [[(255, 0, 0)], [(0, 128, 0)], [(0, 0, 255)], [(0, 0, 0)]]
    assert pictures(model) == [(0, 128, 0), (0, 0, 255)]
    for said in ("2. Sort by price", "1. click", "2. done", "Its answer: 42", "1. the filter is set", "2. half of it"):
        assert said in words(model)


@pytest.mark.parametrize(
    ("replies", "complaint"),
    [
        ([""], "no key points"),
        (["Key Points:\n1. x", "It matters."], "no score"),
        (["Key Points:\n1. x", "Score: 10"], "no score"),
        (["Key Points:\n1. x", "Score: 4", "All good."], "no status"),
    ],
)
def test_a_stage_that_cannot_be_read_is_an_error_of_the_evaluation(replies: list[str], complaint: str) -> None:
    with pytest.raises(ScoringError, match=complaint):
        TrajectoryJudge(ScriptedModel(replies)).judge(case(shots=["red"]))


def test_a_status_of_failure_is_no_success() -> None:
    replies = ["Key Points:\n1. x", "Score: 1", 'Thoughts: no success.\nStatus: "failure"']
    assert not TrajectoryJudge(ScriptedModel(replies)).judge(case(shots=["red"])).success


def test_a_judge_that_thinks_long_is_no_environment_that_hangs(tmp_path: Path) -> None:
    class Thinking(LeftHalf):
        judge = Nobody()

        def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
            time.sleep(1.5)
            return super().score(task, trajectory, env)

    plan = replace(PLAN, stall=0.6)
    assert LocalWorker(lambda: Thinking(asked(1)), slow(), plan).run(Slot(asked(1)[0]), tmp_path / "one").success


def verdicts(folder: Path, **found: object) -> Path:
    (folder / "verdicts.json").write_text(json.dumps(found))
    return folder / "verdicts.json"


def test_a_persons_verdicts_are_read_from_a_file(tmp_path: Path) -> None:
    judge = judge_of(verdicts(tmp_path, find={"success": True, "reason": "seen it"}), AnswerJudge)
    assert judge.judge(case()).reason == "seen it"
    with pytest.raises(Unjudged, match="no verdict on find"):
        judge_of(str(verdicts(tmp_path, other=False)), AnswerJudge).judge(case())


@pytest.mark.parametrize("text", ["[]", "{", '{"find": "yes"}', '{"find": {"reason": "x"}}', '{"find": {"success": true, "reason": 1}}'])
def test_a_file_that_holds_no_verdicts_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(EvalError, match=r"v\.json"):
        Verdicts(tmp_path / "v.json")


def test_without_a_judge_there_is_no_verdict() -> None:
    with pytest.raises(Unjudged, match="no judge was given"):
        judge_of("", AnswerJudge).judge(case())
    assert isinstance(judge_of(None, AnswerJudge), Nobody)


def trajectory(folder: Path | None, status: Status = "done") -> Trajectory:
    found = Trajectory.start("Find the answer.", folder)
    seen = Observation(Image.new("RGB", (8, 8), "red"))
    for index, action in enumerate((Click(point=Thousandths(1, 2)), Done(answer="42"))):
        found.add(Step(index, seen, Completion("…"), action, ToolResult()))
    found.finish(status, answer="42")
    return found


def test_what_is_judged_is_what_was_recorded(tmp_path: Path) -> None:
    found = case_of("find", "Find the answer.", trajectory(tmp_path / "find"))
    assert (list(found.actions), found.answer, found.ended) == (['click {"point": [1, 2]}', 'done {"answer": "42"}'], "42", "done")
    assert case_of("find", "Find the answer.", Trajectory.load(tmp_path / "find")).actions == found.actions
    score = judged(Verdicts(verdicts(tmp_path, find=True)), Task("other"), trajectory(tmp_path / "again" / "find"))
    assert score.success
    assert score.details == {"judge": "verdicts in verdicts.json"}


def run_of(out: Path, *episodes: Episode) -> Path:
    for episode in episodes:
        trajectory(out / EPISODES / episode.key, episode.ended or "done")
        write_json(out / EPISODES / episode.key / RESULT, asdict(episode))
    write_json(out / RUN, {"format": FORMAT, "episodes": [[one.task, one.seed, one.repeat] for one in episodes]})
    write_json(out / SUMMARY, {"success_rate": 0.0})
    return out


def test_a_recorded_run_is_judged_again_and_what_was_said_before_is_kept(tmp_path: Path) -> None:
    out = run_of(
        tmp_path / "run",
        Episode("a", None, "eval_error", ended="done", reason="no judge was given"),
        Episode("b", None, "failure", ended="done", details={"judge": "x"}),
        Episode("c", None, "max_steps", ended="max_steps"),
        Episode("d", None, "env_error", ended="error", reason="the browser was gone"),
        Episode("e", None, "success", ended="done", success=True, reward=1.0),
    )
    found = {one.task: one for one in rejudge(out, Verdicts(verdicts(tmp_path, a=True, b=False, c=False, d=True)))}
    assert {task: one.status for task, one in found.items()} == {
        "a": "success", "b": "failure", "c": "max_steps", "d": "env_error", "e": "eval_error",
    }  # fmt: skip
    assert (found["a"].success, found["a"].reward, found["e"].success, found["e"].reward) == (True, 1.0, False, 0.0)
    assert found["b"].details["earlier"] == [{"status": "failure", "reason": "", "judge": "x"}]
    assert json.loads((out / EPISODES / "a" / RESULT).read_text())["status"] == "success"
    assert not (out / SUMMARY).exists(), "it was made from the old verdicts"


def test_what_holds_no_run_is_not_judged(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"run\.json is missing"):
        rejudge(tmp_path, Nobody())
