from collections.abc import Iterator
from typing import Any

import pytest

from agent.agent import Agent
from agent.trajectory import Trajectory
from evals.apps import Apps, make
from evals.base import EvalError, Task
from evals.demonstrations import record
from model.base import Model
from model.scripted import ScriptedModel

TASKS = ("search", "todo", "settings")


@pytest.fixture(scope="module")
def apps() -> Iterator[Apps]:
    benchmark = make(seeds=range(5))
    yield benchmark
    benchmark.close()


def run(apps: Apps, task: Task, env: Any, model: Model) -> Trajectory:
    return Agent(model, env, prompt="compact").run(apps.instruction(task, env))


def test_the_oracles_succeed_and_say_so(apps: Apps) -> None:
    assert {task.id for task in apps.tasks()} == set(TASKS)
    for task in apps.tasks():
        with apps.environment(task) as env:
            trajectory = run(apps, task, env, apps.oracle(task, env))
            assert apps.score(task, trajectory, env).success, (task, trajectory.reason, env.state(), env.wanted)
            assert 1 <= len(trajectory.steps) - 1 <= 9  # the last one says that it is done


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("replies", [["DONE()"], ["left_click(start_box='[990,990]')", "DONE()"], ["FAIL()"]])
def test_saying_that_it_is_done_is_no_success(apps: Apps, name: str, replies: list[str]) -> None:
    task = Task(name, seed=0)
    with apps.environment(task) as env:
        trajectory = run(apps, task, env, ScriptedModel(replies))
        assert not apps.score(task, trajectory, env).success


def test_another_text_in_the_list_is_no_success(apps: Apps) -> None:
    for seed in range(50):
        task = Task("todo", seed=seed)
        with apps.environment(task) as env:
            apps.instruction(task, env)
            steps = env.browser.evaluate("task.steps")
            if [what for what, _ in steps] != ["add"]:
                continue
            left, top, right, bottom = env.browser.evaluate(
                "(b => [b.left, b.top, b.right, b.bottom])(document.querySelector('#new').getBoundingClientRect())"
            )
            point = f"[{int((left + right) / 2 / 168 * 1000)},{int((top + bottom) / 2 / 224 * 1000)}]"
            for text, success in ((steps[0][1], True), (steps[0][1] + "s", False)):
                env.open()
                typed = [f"left_click(start_box='{point}')", f"type(content='{text}')", "key(keys='enter')", "DONE()"]
                trajectory = run(apps, task, env, ScriptedModel(typed))
                assert apps.score(task, trajectory, env).success == success, (seed, text, env.state())
            return
    raise AssertionError("no seed asks for one new item")


def test_what_another_page_holds_is_no_success(apps: Apps) -> None:
    with apps.environment(Task("todo", seed=0)) as env:
        apps.instruction(Task("todo", seed=0), env)
        done = env.url
        for seed in range(1, 4):
            other = Task("todo", seed=seed)
            with apps.environment(other) as there:
                apps.instruction(other, there)
                there.browser.goto(done)  # of another seed
                assert there.state() is None
                there.browser.goto("about:blank")
                trajectory = Agent(ScriptedModel(["DONE()"]), there.browser, prompt="compact").run(there.instruction)
                assert not apps.score(other, trajectory, there).success


def test_a_seed_is_a_page_and_a_task(apps: Apps) -> None:
    for name in TASKS:
        told = []
        for seed in (3, 3, 4):
            task = Task(name, seed=seed)
            with apps.environment(task) as env:
                instruction = apps.instruction(task, env)
                told.append((instruction, env.wanted, env.observe().screenshot.tobytes()))
        assert told[0] == told[1]
        assert told[0] != told[2]


def test_seeds_for_testing_are_not_recorded(apps: Apps, tmp_path: Any) -> None:
    with pytest.raises(EvalError, match="for testing"):
        record(apps, tmp_path)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvalError, match="no task 'mail'"):
        make(tasks=["mail"])
