"""What adapters learn to say: what a protocol has a model say for a recorded step, and nothing it cannot."""

import json
from pathlib import Path

import pytest

from agent.base import Step
from agent.prompts.base import make_prompt, prompts
from agent.trajectory import Trajectory
from evals.base import EvalError
from evals.demonstrations import LABELS
from evals.training_data import lessons
from model.base import Completion
from tests.agent.scenes import click, did, seen
from tools.base import Tool, ToolResult
from tools.browser import Goto
from tools.control import Done


def recorded(folder: Path, steps: list[Step]) -> Path:
    trajectory = Trajectory.start("Buy milk.", folder / "shop" / "10000")
    for step in steps:
        trajectory.add(step)
    trajectory.finish("done")
    return folder


def thought(index: int, action: Tool, words: str, memory: str = "") -> Step:
    return Step(index, seen(index), Completion("", f"Reason {index}."), action, ToolResult(), words, memory)


@pytest.mark.parametrize("name", prompts())
def test_a_lesson_has_the_model_say_what_the_step_did_thought_and_kept_in_mind(tmp_path: Path, name: str) -> None:
    steps = [thought(0, click(1), "first", '[{"a": 1}]'), thought(1, click(2), ""), thought(2, Done(), "so done")]
    prompt, found = make_prompt(name, "desktop"), list(lessons([recorded(tmp_path, steps)], name))
    for step, lesson in zip(steps, found, strict=True):
        reasoning, _, answer = lesson.reply.rpartition("</think>\n")
        reply = prompt.read(Completion(answer), step.seen)
        assert (reply.action, reply.thought) == (step.action, step.thought)
        assert reply.memory == ('[{"a": 1}]' if name == "desktop" else ""), "what is not said anew stays as it was"
        assert reasoning == (f"<think>Reason {step.index}." if lesson.config.thinking else "")


def test_a_lesson_has_the_thought_of_its_label_and_none_is_made_of_what_is_not_to_be_learned(tmp_path: Path) -> None:
    recorded(tmp_path, [did(n, click(n)) for n in range(3)])
    labels = [{"kind": "act", "thought": [["4", [1, 2, 3, 4]], ["is even", None]]}, {"kind": "stray"}, None]
    (tmp_path / "shop" / "10000" / LABELS).write_text(json.dumps(labels))
    assert [lesson.reply for lesson in lessons([tmp_path], "compact")] == ["# 4 is even\nleft_click(start_box='[0,500]')"]


def test_steps_that_a_protocol_cannot_say_are_no_lessons(tmp_path: Path) -> None:
    recorded(tmp_path, [did(0, Goto(url="http://example.org/")), did(1, None), did(2, click(2))])
    assert [lesson.reply for lesson in lessons([tmp_path], "compact")] == ["left_click(start_box='[2,500]')"]
    recorded(tmp_path / "other", [did(0, Goto(url="http://example.org/"))])
    with pytest.raises(EvalError, match="no demonstrations to learn from"):
        list(lessons([tmp_path / "other"], "compact"))
