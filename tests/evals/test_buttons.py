from collections.abc import Iterator

import pytest

from agent.agent import Agent
from evals.base import EvalError, Task
from evals.buttons import TASK, Buttons, Page, make
from evals.pages import RENEWED
from model.scripted import ScriptedModel


@pytest.fixture(scope="module")
def buttons() -> Iterator[Buttons]:
    benchmark = make(seeds=range(8))
    yield benchmark
    benchmark.close()


def test_a_seed_is_a_page() -> None:
    assert Page(7).html == Page(7).html
    assert len({Page(seed).html for seed in range(200)}) == 200
    assert all(Page(seed).html.count("id=target") == 1 for seed in range(200))


def test_the_oracle_clicks_the_button_that_is_named_and_says_so(buttons: Buttons) -> None:
    for task in buttons.tasks():
        with buttons.environment(task) as env:
            trajectory = Agent(buttons.oracle(task, env), env, prompt="compact").run(buttons.instruction(task, env))
            assert buttons.score(task, trajectory, env).success, (task.seed, trajectory.reason)
            assert [step.action.name for step in trajectory.steps if step.action] == ["click", "done"]


@pytest.mark.parametrize("replies", [["DONE()"], ["left_click(start_box='[999,999]')", "DONE()"]])
def test_saying_that_it_is_done_is_no_success(buttons: Buttons, replies: list[str]) -> None:
    task = Task(TASK, seed=0)
    with buttons.environment(task) as env:
        trajectory = Agent(ScriptedModel(replies), env, prompt="compact").run(buttons.instruction(task, env))
        assert trajectory.status == "done"
        assert not buttons.score(task, trajectory, env).success


def test_two_clicks_on_the_button_are_no_success(buttons: Buttons) -> None:
    task = Task(TASK, seed=next(seed for seed in range(50) if "disabled" not in Page(seed).html))
    with buttons.environment(task) as env:
        trajectory = Agent(ScriptedModel(["DONE()"]), env, prompt="compact").run(buttons.instruction(task, env))
        env.browser.evaluate("target.click(), target.click()")
        assert env.clicked() == [True, True]
        assert not buttons.score(task, trajectory, env).success


def test_every_so_many_episodes_the_page_is_a_fresh_one_and_the_next_episode_goes_on_there(buttons: Buttons) -> None:
    task = Task(TASK, seed=1)
    buttons.environment(task).browser.evaluate("window.marked = true")
    marked = [buttons.environment(task).browser.evaluate("window.marked === true") for _ in range(RENEWED)]
    assert marked.count(True) in range(RENEWED)
    assert marked == sorted(marked, reverse=True), "once it is gone it does not come back"
    with buttons.environment(task) as env:
        assert Agent(buttons.oracle(task, env), env, prompt="compact").run(buttons.instruction(task, env)).status == "done"


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvalError, match="no task 'click'"):
        make(tasks=["click"])
