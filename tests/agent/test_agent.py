"""The loop: how runs end, what is told to the model, what is kept."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.agent import Agent
from agent.base import Step
from agent.policy import Limits
from agent.prompts.base import Constraint
from agent.trajectory import Trajectory
from environments.base import Button, Observation, Point
from model.base import Completion, GenerationConfig, Message
from model.scripted import ScriptedModel
from tests.agent.scenes import Board, click
from tools import native_actions

SPACE = native_actions("desktop")
LEFT, RIGHT = (SPACE.render(click(x)) for x in (100, 900))


def call(name: str, **arguments: str) -> str:
    lines = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in arguments.items())
    return f"<tool_call>{name}\n{lines}</tool_call>"


def play(replies: Sequence[str | Completion], board: Board | None = None, out: Path | None = None, **limits: Any) -> Trajectory:
    return Agent(ScriptedModel(replies), board or Board(), limits=replace(Limits(), **limits)).run("Do it.", out=out)


def text_of(messages: Sequence[Message]) -> str:
    return "\n".join(part for message in messages for part in message.content if isinstance(part, str))


class Scribe:
    """Clicks left for ever and keeps how it was asked to answer."""

    name = "scribe"

    def __init__(self) -> None:
        self.asked: list[GenerationConfig] = []

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        self.asked.append(config)
        return Completion(LEFT, completion_tokens=10)


def test_a_run_acts_until_the_model_says_it_is_done() -> None:
    board = Board()
    run = play([f"I click.\n{LEFT}", LEFT, call("done", answer="42")], board)
    assert (run.status, run.answer, board.clicks) == ("done", "42", 2)
    assert [step.action and step.action.name for step in run.steps] == ["click", "click", "done"]
    assert run.steps[0].thought == "I click."
    assert [step.seen.screenshot.getpixel((0, 0)) for step in run.steps] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]


def test_a_model_that_gives_up_has_failed_with_its_reason() -> None:
    run = play([call("fail", reason="There is no door.")])
    assert (run.status, run.reason) == ("failed", "There is no door.")


def test_an_environment_that_ends_itself_is_done_without_another_question() -> None:
    run = play([LEFT, LEFT, RIGHT], Board(lasts=2))
    assert (run.status, len(run.steps)) == ("done", 2)
    assert play([LEFT, LEFT], Board(lasts=2), max_steps=2).status == "done"


def test_budgets_end_a_run() -> None:
    assert play([LEFT] * 5, max_steps=3).status == "max_steps"
    assert play([Completion(LEFT, completion_tokens=40)] * 5, max_tokens=100).status == "max_tokens"
    assert play([LEFT, call("wait", seconds="0.2"), LEFT], max_seconds=0.2).status == "timeout"


def test_the_model_is_given_what_is_left_of_the_budgets() -> None:
    scribe = Scribe()
    usual = GenerationConfig(max_tokens=50, temperature=0.5)
    Agent(scribe, Board(), generation=usual, limits=Limits(max_tokens=65, max_seconds=100)).run("t")
    assert [config.max_tokens for config in scribe.asked] == [50, 50, 45, 35, 25, 15, 5]
    left = [config.max_seconds or 0.0 for config in scribe.asked]
    assert left == sorted(left, reverse=True)
    assert 90 < left[-1] < left[0] < 100
    assert {config.temperature for config in scribe.asked} == {0.5}
    assert {tool["name"] for tool in scribe.asked[0].tools} >= {"click", "done"}


def test_a_reply_without_an_action_is_told_to_the_model_which_mends_it() -> None:
    model = ScriptedModel(["I see a board.", LEFT, call("done")])
    run = Agent(model, Board()).run("t")
    assert run.status == "done"
    assert run.steps[0].action is None
    assert "No action could be read" in text_of(model.seen[1])
    assert run.steps[0].result.error.split(":")[0] in text_of(model.seen[1])


def test_a_reply_that_was_cut_off_is_told_to_be_too_long() -> None:
    thought = Completion("", reasoning="And then", completion_tokens=4096, stop_reason="length")
    model = ScriptedModel([thought, Completion(LEFT, stop_reason="length"), call("done")])
    run = Agent(model, Board()).run("t")
    assert run.steps[0].result.error.startswith("The reply was cut off after 4096 tokens: think and say less. No action was found")
    assert "cut off after 4096 tokens" in text_of(model.seen[1])
    assert (run.steps[1].result.error, run.status) == ("", "done")


def test_replies_without_an_action_end_as_a_parse_error_and_never_as_done() -> None:
    run = play([LEFT, "done", "Done!", "<tool_call>done"], parse_retries=3)
    assert (run.status, run.answer, len(run.steps)) == ("parse_error", "", 4)
    assert "\n" not in run.reason


def test_an_action_that_fails_is_told_to_the_model_and_the_run_goes_on() -> None:
    model = ScriptedModel([call("key", keys="f5"), LEFT, call("done")])
    run = Agent(model, Board()).run("t")
    assert run.steps[0].result.error == "This board has only an enter key."
    assert "only an enter key" in text_of(model.seen[1])
    assert run.status == "done"


def test_a_run_that_repeats_itself_is_warned_and_then_ended() -> None:
    model = ScriptedModel([RIGHT] * 9)
    run = Agent(model, Board()).run("t")
    assert (run.status, len(run.steps)) == ("stuck", 4)
    assert [bool(step.note) for step in run.steps] == [False, False, True, False]
    assert run.steps[2].note in text_of(model.seen[3])


def test_a_repeat_that_changes_the_screen_at_last_ends_no_run() -> None:
    class Late(Board):
        def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
            super().click(point, button=button, count=count, hold=hold)
            self.clicks += len(self.actions) == 4

    assert play([RIGHT] * 4 + [call("done")], Late()).status == "done"


def test_a_fault_of_the_environment_is_an_error_and_its_step_is_kept(tmp_path: Path) -> None:
    run = play([LEFT, call("type", text="x"), LEFT], out=tmp_path / "run")
    back = Trajectory.load(tmp_path / "run")
    assert (run.status, run.reason) == ("error", "The board broke while typing; make another one.")
    assert "EnvironmentFault" in back.meta["fault"]
    assert [step.action and step.action.name for step in back.steps] == ["click", "type"]
    assert (back.status, back.steps[1].result.error) == ("error", run.reason)


def test_a_model_that_cannot_answer_is_an_error() -> None:
    run = play([LEFT])
    assert (run.status, len(run.steps)) == ("error", 1)
    assert run.reason.startswith("The script has ended")


def test_a_fault_of_our_own_stays_visible() -> None:
    def broken(step: Step) -> None:
        raise ZeroDivisionError("by zero")

    run = Agent(ScriptedModel([LEFT]), Board(), on_step=broken).run("t")
    assert (run.status, run.reason) == ("error", "ZeroDivisionError: by zero")
    assert "in broken" in run.meta["fault"]
    assert len(run.steps) == 1


def ask(answer: Callable[[str], str] | None) -> tuple[Trajectory, str]:
    model = ScriptedModel([call("ask_user", question="Which?"), call("done")])
    return Agent(model, Board(), ask=answer).run("t"), text_of(model.seen[1])


def test_a_question_is_answered_by_whoever_is_there() -> None:
    run, told = ask(lambda question: f"{question} The left one.")
    assert run.steps[0].result.output == "Which? The left one."
    assert "Which? The left one." in told


def test_a_question_nobody_can_answer_is_told_and_the_run_goes_on() -> None:
    run, told = ask(None)
    assert "Nobody is there" in told
    assert run.status == "done"


def test_every_step_is_on_disk_before_the_next_look(tmp_path: Path) -> None:
    class Watched(Board):
        def observe(self) -> Observation:
            recorded.append(len(Trajectory.load(tmp_path / "run").steps))
            return super().observe()

    recorded: list[int] = []
    play([LEFT, "?", LEFT, call("done")], Watched(), tmp_path / "run")
    assert recorded == [0, 1, 2, 3]


def test_a_recorded_run_says_what_made_it(tmp_path: Path) -> None:
    play([call("done", answer="ä")], out=tmp_path / "run")
    back = Trajectory.load(tmp_path / "run")
    assert (back.status, back.answer, back.task) == ("done", "ä", "Do it.")
    assert {key: back.meta[key] for key in ("model", "environment", "prompt")} == {
        "model": "scripted",
        "environment": "Board",
        "prompt": "tool_call",
    }
    assert back.meta["limits"]["max_steps"] == 30
    assert set(back.steps[0].timings) == {"observe", "render", "generate", "read", "act"}


@pytest.mark.parametrize(
    ("generation", "constraint", "told"),
    [
        (None, "actions", "actions"), (None, "off", "off"), (GenerationConfig(temperature=0.7), "actions", "actions"),
        (GenerationConfig(temperature=0.7), "off", "off"), (GenerationConfig(grammar='start: "x"'), "actions", "own"),
    ],
)  # fmt: skip
def test_an_agent_answers_within_the_protocol_s_grammar_unless_another_or_none_is_named_and_says_which(
    generation: GenerationConfig | None, constraint: Constraint, told: str
) -> None:
    agent = Agent(ScriptedModel([call("done")]), Board(), generation=generation, grammar=constraint)
    usual = agent.prompt.generation().grammar
    assert agent.generation.grammar == {"actions": usual, "off": "off", "own": 'start: "x"'}[told]
    assert agent.run("Do it.").meta["generation"]["grammar"] == told


def test_a_folder_with_a_run_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    play([call("done")], out=tmp_path / "run")
    board = Board()
    with pytest.raises(FileExistsError, match="already holds a run"):
        play([LEFT], board, tmp_path / "run")
    assert board.looks == 0


def test_a_full_disk_ends_the_run_as_an_error_and_keeps_what_is_there(tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, usual[1]))
    try:
        run = play([LEFT, f"{'long ' * 2000}{LEFT}", LEFT], out=tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert (run.status, len(run.steps)) == ("error", 1)
    assert "File too large" in run.reason
    back = Trajectory.load(tmp_path / "run")
    assert (back.status, len(back.steps)) == ("error", 1)


def test_an_end_that_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    def vanish(step: Step) -> None:
        for path in (tmp_path / "run").iterdir():
            path.unlink()
        (tmp_path / "run").rmdir()

    run = Agent(ScriptedModel([call("done")]), Board(), on_step=vanish).run("t", out=tmp_path / "run")
    assert run.status == "error"
    assert "could not be recorded" in run.reason


def test_a_key_interrupt_stops_a_run_and_saves_it(tmp_path: Path) -> None:
    def interrupt(step: Step) -> None:
        if step.index == 1:
            os.kill(os.getpid(), signal.SIGINT)

    run = Agent(ScriptedModel([LEFT] * 9), Board(), on_step=interrupt).run("t", out=tmp_path / "run")
    assert (run.status, len(run.steps)) == ("stopped", 2)
    assert Trajectory.load(tmp_path / "run").status == "stopped"


def test_an_action_that_is_interrupted_is_remembered(tmp_path: Path) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    run = play([LEFT, call("wait", seconds="30")], out=tmp_path / "run")
    assert time.monotonic() - began < 10
    assert (run.status, len(run.steps)) == ("stopped", 2)
    assert run.steps[1].result.error == "KeyboardInterrupt"


def test_a_stop_from_another_thread_comes_before_the_next_action() -> None:
    class Slow(Scribe):
        def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
            if len(self.asked) == 1:
                thread = threading.Thread(target=agent.stop)
                thread.start()
                thread.join()
            return super().generate(messages, config)

    board = Board()
    agent = Agent(Slow(), board)
    run = agent.run("t")
    assert (run.status, len(run.steps), board.clicks) == ("stopped", 2, 1)
    assert "stopped" in run.steps[1].result.error


def test_a_wait_ends_with_the_time_or_on_request() -> None:
    began = time.monotonic()
    assert play([call("wait", seconds="30"), LEFT], max_seconds=0.3).status == "timeout"
    agent = Agent(ScriptedModel([call("wait", seconds="30"), LEFT]), Board())
    timer = threading.Timer(0.3, agent.stop)
    timer.start()
    assert agent.run("t").status == "stopped"
    assert time.monotonic() - began < 10


def test_an_agent_can_be_led_step_by_step_and_used_again() -> None:
    board = Board()
    agent = Agent(ScriptedModel([LEFT, call("done"), LEFT, call("done")]), board)
    assert agent.step() is None
    agent.start("one")
    first = agent.step()
    assert first is not None
    assert first.action == click(100)
    assert agent.step() is not None
    assert agent.step() is None
    assert agent.trajectory.status == "done"
    assert [step.index for step in agent.run("two").steps] == [0, 1]
