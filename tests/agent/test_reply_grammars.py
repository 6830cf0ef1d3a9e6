"""The grammar of each protocol's replies: held to it, a model that knows nothing is understood; what a good model says is admitted."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from agent.agent import Agent
from agent.prompts.base import Prompt, make_prompt, prompts
from agent.prompts.desktop import DesktopPrompt
from agent.prompts.tool_call import ToolCallPrompt
from environments.base import Observation
from environments.static import StaticEnvironment
from model.base import Completion, GenerationConfig
from model.scripted import ScriptedModel
from tests.agent.scenes import click, seen
from tests.model.walks import allowed, grammars, stops, tokens, walk
from tools.base import Thousandths, Tool
from tools.computer import Click, Drag, Type
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


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_agent_can_let_the_model_write_what_it_likes(name: str) -> None:
    env = StaticEnvironment(Image.new("RGB", (20, 10)))
    held = Agent(ScriptedModel([]), env, prompt=name)
    free = Agent(ScriptedModel([]), env, prompt=name, grammar="off")
    assert held.generation.grammar == held.prompt.generation().grammar != "off"
    assert free.generation.grammar == "off"
    assert Agent(ScriptedModel([]), env, prompt=name, generation=GenerationConfig()).generation.grammar == "off"


def test_a_run_says_whether_it_was_held_to_a_grammar() -> None:
    screen = Observation(Image.new("RGB", (20, 10))).screenshot
    for grammar in ("actions", "off"):
        agent = Agent(
            ScriptedModel(["DONE()"]), StaticEnvironment(screen), prompt="compact", grammar="off" if grammar == "off" else "actions"
        )
        assert agent.run("Nothing.").meta["generation"]["grammar"] == grammar
