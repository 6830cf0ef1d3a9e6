"""The grammar of each protocol's replies: held to it, a model that knows nothing is understood; what a good model says is admitted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from agent.agent import Agent
from agent.base import Step
from agent.prompts.base import Prompt, Reply, make_prompt, prompts
from agent.prompts.desktop import DesktopPrompt
from agent.prompts.tool_call import ToolCallPrompt
from environments.base import Observation
from environments.static import StaticEnvironment
from model.base import Completion, GenerationConfig
from model.scripted import ScriptedModel
from tests.agent.scenes import click, did, seen
from tests.model.walks import allowed, grammars, stops, tokens, walk
from tools.base import Thousandths, Tool, ToolResult
from tools.browser import Goto
from tools.computer import Click, Drag, Type
from tools.control import Done
from tools.grammar import Bounds

SHORT = Bounds(prose=40, text=40, item=40, items=3)
PROTOCOLS: dict[str, Prompt] = {
    "compact": make_prompt("compact", "browser"),
    "desktop": DesktopPrompt("desktop", bounds=SHORT),
    "tool_call": ToolCallPrompt("browser", bounds=SHORT),
}
NOW = seen()
CALL = "<tool_call>click\n<arg_key>point</arg_key>\n<arg_value>[5, 6]</arg_value>\n</tool_call>"


def boxed(call: str, memory: str = "[]") -> str:
    return f"<|begin_of_box|>{call}<|end_of_box|>\nMemory:\n{memory}"


BOXED = boxed("left_click(start_box='[5,6]')", "")


def test_every_protocol_has_its_grammar() -> None:
    assert set(PROTOCOLS) == set(prompts())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_model_that_knows_nothing_always_acts(name: str) -> None:
    prompt = PROTOCOLS[name]
    for seed in range(25):
        reply = prompt.read(Completion(walk(prompt.generation().grammar, seed, 4000).strip()), NOW)
        assert isinstance(reply.action, Tool)
        assert "_of_box|>" not in reply.thought
        if name == "desktop":
            assert all(isinstance(entry, dict) for entry in json.loads(reply.memory))


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("surface", ["browser", "desktop"])
def test_a_reply_of_a_model_that_knows_nothing_is_no_longer_than_is_asked_for(name: str, surface: str) -> None:
    """With the protocol's own bounds. Half of the tokens are for the thought, where there is one; a memory may be cut off."""
    prompt = make_prompt(name, "browser" if surface == "browser" else "desktop")
    config = prompt.generation()
    most = config.max_tokens // 2 if config.thinking else config.max_tokens
    for seed in range(3):
        walk(config.grammar, seed, most)


def admitted(prompt: Prompt, text: str) -> bool:
    """Whether this may be a whole reply; names of control tokens in it are control tokens."""
    matcher, known = grammars().matcher(prompt.generation().grammar), tokens()
    parts = re.split(r"(</?(?:tool_call|arg_key|arg_value)>|<\|(?:begin|end)_of_box\|>)", text)
    for n, part in enumerate(parts):
        for token in [known.control[part]] if n % 2 else known.encode(part):
            if token not in allowed(matcher):
                return False
            matcher.accept(token)
    return set(stops()) <= set(allowed(matcher))


@pytest.mark.parametrize(
    ("name", "reply", "action"),
    [
        ("compact", "left_click(start_box='[5,6]')", click(5, 6)),
        ("compact", "type(content='it\\'s')", Type(text="it's")),
        ("compact", "# $259 $1881 so $259\nleft_click(start_box='[5,6]')", click(5, 6)),
        ("desktop", f"I see <b>it</b>.\nSo I click.\n{BOXED}[]", click(5, 6)),
        ("desktop", f'{BOXED}[{{"code": "<42>", "n": 4.5, "ok": true, "all": ["a", "b"]}}, {{"b": null}}]', click(5, 6)),
        ("desktop", boxed("left_click(start_box='[5,6]', element_info='a 'b'')"), None),
        (
            "desktop",
            boxed("left_click(start_box='[5,6]', element_info='a \"b\" \\'c\\'', hold_keys='ctrl+\\'')"),
            Click(point=Thousandths(5, 6), hold=("ctrl", "'")),
        ),
        (
            "desktop",
            boxed("left_drag(start_box='[1,2]', via='[[3,4]]', end_box='[5,6]')"),
            Drag(path=(Thousandths(1, 2), Thousandths(3, 4), Thousandths(5, 6))),
        ),
        ("desktop", f"{BOXED}[1]", None),
        ("desktop", "I see it.", None),
        ("tool_call", f"\nI see a < b.\n{CALL}", click(5, 6)),
        ("tool_call", CALL, click(5, 6)),
        ("tool_call", f"{CALL}\n", None),
        ("tool_call", CALL.replace("[5, 6]", "[5, 1000]"), None),
        ("tool_call", CALL.replace("point", "place"), None),
        ("tool_call", CALL.replace("click", "press"), None),
    ],
)
def test_a_reply_in_the_protocols_form_is_admitted_and_no_other(name: str, reply: str, action: Tool | None) -> None:
    prompt = make_prompt(name, "desktop")
    assert admitted(prompt, reply) is (action is not None)
    if action is not None:
        assert prompt.read(Completion(reply), NOW).action == action


def test_a_memory_that_was_written_is_read_back() -> None:
    text = f'{BOXED}[{{"code": "<42> \\"x\\"", "n": -4.5}}]'
    assert admitted(make_prompt("desktop", "desktop"), text)
    assert json.loads(make_prompt("desktop", "desktop").read(Completion(text), NOW).memory) == [{"code": '<42> "x"', "n": -4.5}]


MEMORY = '[{"code": "<42> \\"x\\"", "n": -4.5, "all": ["a", "ü"]}, {"b": null}]'


def said(name: str, **changed: Any) -> tuple[Reply, str, bool]:
    """What a protocol reads of its reply for a step, the reasoning of that reply, and whether the grammar admits the rest of it."""
    step = Step(3, NOW, Completion("", "I reason."), click(5, 6), ToolResult())
    prompt = make_prompt(name, "desktop")
    thought, _, answer = prompt.reply(replace(step, **changed)).rpartition("</think>\n")
    return prompt.read(Completion(answer), NOW), thought, admitted(prompt, answer)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("action", [click(5, 6), Type(text="it's <b>(me)</b>\n[1]"), Done()])
@pytest.mark.parametrize("thought", ["", "$4 under $5 so “$4”"])
def test_what_a_protocol_has_the_model_say_for_a_step_is_admitted_and_read_back(name: str, action: Tool, thought: str) -> None:
    reply, reasoning, whole = said(name, action=action, thought=thought)
    assert whole
    assert (reply.action, reply.thought) == (action, thought)
    assert reply.memory == ("[]" if name == "desktop" else "")
    assert reasoning == ("" if name == "compact" else "<think>I reason.")


def test_a_memory_is_said_as_the_grammar_has_it() -> None:
    for memory in ("[]", MEMORY, MEMORY.replace(", ", ",").replace("ü", "\\u00fc"), '[{"a": "<|user|>"}]'):
        reply, _, whole = said("desktop", memory=memory)
        assert whole
        assert json.loads(reply.memory) == json.loads(memory)


@pytest.mark.parametrize("memory", ["The code is 42.", "[1]", "[{}]", '[{"a": {"b": 1}}]', '[{"a": 1e-9}]', f'[{{"a": "{"x" * 301}"}}]'])
def test_a_memory_that_is_no_list_of_facts_is_refused(memory: str) -> None:
    with pytest.raises(ValueError, match=r"Step 3 has a memory that is no list of facts|Expecting value"):
        said("desktop", memory=memory)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("thought", ["x" * 601, "I call <tool_call>.", "I end: <|user|>", " \n "])
def test_a_thought_that_the_grammar_does_not_admit_is_left_out(name: str, thought: str) -> None:
    reply, _, whole = said(name, thought=thought)
    assert whole
    assert (reply.action, reply.thought) == (click(5, 6), "")


@pytest.mark.parametrize("thought", ["x" * 81, "two\nlines"])
def test_the_small_model_says_no_thought_that_is_longer_than_its_line_and_is_told_of_none(thought: str) -> None:
    prompt, step = make_prompt("compact", "desktop"), replace(did(0, click(5, 6)), thought=thought)
    assert said("compact", thought=thought)[0] == Reply(click(5, 6))
    assert prompt.render("Go.", [step], NOW)[0].content[1] == f"Go.\n{prompt.actions.render(click(5, 6))}"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_there_is_no_reply_for_an_action_that_a_protocol_does_not_have(name: str) -> None:
    for action in (None, Goto(url="http://example.org/")):
        with pytest.raises(ValueError, match="Step 3 has no action of this protocol"):
            said(name, action=action)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_agent_can_let_the_model_write_what_it_likes(name: str) -> None:
    env = StaticEnvironment(Image.new("RGB", (20, 10)))
    held = Agent(ScriptedModel([]), env, prompt=name)
    free = Agent(ScriptedModel([]), env, prompt=name, grammar="off")
    assert held.generation.grammar == held.prompt.generation().grammar != "off"
    assert free.generation.grammar == "off"
    own = GenerationConfig(temperature=0.5)
    assert Agent(ScriptedModel([]), env, prompt=name, generation=own).generation.grammar == held.generation.grammar
    assert Agent(ScriptedModel([]), env, prompt=name, generation=own, grammar="off").generation.grammar == "off"


def test_a_run_says_whether_it_was_held_to_a_grammar() -> None:
    screen = Observation(Image.new("RGB", (20, 10))).screenshot
    for grammar in ("actions", "off"):
        agent = Agent(
            ScriptedModel(["DONE()"]), StaticEnvironment(screen), prompt="compact", grammar="off" if grammar == "off" else "actions"
        )
        assert agent.run("Nothing.").meta["generation"]["grammar"] == grammar
