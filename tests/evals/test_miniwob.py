import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.agent import Agent
from agent.policy import Limits
from environments.base import Point
from evals.base import EvalError, Task
from evals.demonstrations import DATASET, LABELS, TEST_SEEDS, examples, record
from evals.miniwob import TARGETS, Miniwob, MiniwobEnvironment, make, task_names
from evals.oracles import Oracle
from evals.pages import REGION, SCALE
from model.scripted import ScriptedModel

TASKS = list(TARGETS)
MISS = "left_click(start_box='[990,990]')"
BUTTON = "() => { const b = subbtn.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }"


@pytest.fixture(scope="module")
def miniwob() -> Iterator[Miniwob]:
    benchmark = make(tasks=TASKS, seeds=range(2))
    yield benchmark
    benchmark.close()


def environment(miniwob: Miniwob, name: str, seed: int) -> MiniwobEnvironment:
    return miniwob.environment(Task(name, seed=seed))


def test_every_task_and_seed_asked_for_is_an_episode(miniwob: Miniwob) -> None:
    assert [(task.id, task.seed) for task in miniwob.tasks()][:3] == [(TASKS[0], 0), (TASKS[0], 1), (TASKS[1], 0)]
    assert len(task_names()) >= 125


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvalError, match="click-tset"):
        make(tasks=["click-tset"])


def test_the_same_seed_gives_the_same_pixels_and_another_one_does_not(miniwob: Miniwob) -> None:
    screens = [np.asarray(environment(miniwob, "click-test-2", seed).reset().screenshot) for seed in (3, 3, 4)]
    assert screens[0].shape == (round(REGION[1] * SCALE), round(REGION[0] * SCALE), 3)
    assert (screens[0] == screens[1]).all()
    assert (screens[0] != screens[2]).any()


def test_starting_over_in_place_shows_what_a_fresh_page_shows(miniwob: Miniwob) -> None:
    for name in TASKS:
        fresh = environment(miniwob, name, 5)
        screen = np.asarray(fresh.reset().screenshot)
        fresh.click(Point(100, 200))
        again = MiniwobEnvironment(fresh.browser, fresh.page, 5, reload=False)
        assert (np.asarray(again.reset().screenshot) == screen).all()


def test_the_start_cover_is_gone_and_the_instruction_is_known(miniwob: Miniwob) -> None:
    env = environment(miniwob, "click-tab", 1)
    seen = env.reset()
    assert env.instruction.startswith("Click on Tab")
    assert np.asarray(seen.screenshot).mean() > 100
    assert not seen.terminated


@pytest.mark.parametrize("name", TASKS)
def test_the_oracle_solves_its_tasks(miniwob: Miniwob, name: str) -> None:
    for seed in (0, 1):
        env = environment(miniwob, name, seed)
        task = Task(name, seed=seed)
        trajectory = Agent(Oracle(env), env, prompt="compact").run(miniwob.instruction(task, env))
        score = miniwob.score(task, trajectory, env)
        assert (score.success, score.raw, trajectory.status, len(trajectory.steps)) == (True, 1.0, "done", 1)


def test_clicking_nothing_is_no_success(miniwob: Miniwob) -> None:
    env = environment(miniwob, "click-test", 0)
    task = Task("click-test", seed=0)
    trajectory = Agent(ScriptedModel([MISS, MISS]), env, prompt="compact", limits=Limits(max_steps=2)).run(miniwob.instruction(task, env))
    assert trajectory.status == "max_steps"
    assert not miniwob.score(task, trajectory, env).success


def test_the_first_end_of_an_episode_counts_and_a_later_click_changes_nothing(miniwob: Miniwob) -> None:
    env = environment(miniwob, "click-test", 0)
    env.reset()
    left, top, right, bottom = env.browser.evaluate(BUTTON)
    button = Point(int((left + right) / 2 * SCALE), int((top + bottom) / 2 * SCALE))
    env.click(button)
    assert env.observe().terminated
    env.click(button)
    env.observe()
    assert (env.done, env.raw) == (True, 1.0)


def test_demonstrations_are_rewarded_runs_that_know_their_targets_and_test_seeds_are_refused(tmp_path: Path) -> None:
    seeds = range(TEST_SEEDS, TEST_SEEDS + 3)
    two = make(tasks=["click-test", "click-tab"], seeds=seeds, reload=False)
    assert record(two, tmp_path, stray=1.0) == 6
    assert record(two, tmp_path) == 0
    (tmp_path / "click-tab" / str(TEST_SEEDS) / LABELS).unlink()  # as if interrupted there
    assert record(two, tmp_path) == 1
    two.close()
    made = list(examples(tmp_path))
    assert len(made) == 6
    for example in made:
        question, *afterwards = example.questions
        assert question.target is not None
        assert question.text.count("\n") <= 1  # a stray click is history, not a lesson
        assert afterwards[0].reply == "DONE()"
        assert all(after.target == question.target for after in afterwards[1:])
        assert example.words
        assert all(word.text and len(word.columns) == len(word.text) for word in example.words)
    assert any("\n" in example.questions[0].text for example in made)
    about = json.loads((tmp_path / DATASET).read_text())
    assert about["seeds"] == dict.fromkeys(("click-tab", "click-test"), f"{TEST_SEEDS}-{TEST_SEEDS + 2}")
    assert (tmp_path / "click-test" / str(TEST_SEEDS) / LABELS).exists()
    with pytest.raises(EvalError, match="Seed 9999 is for testing"):
        record(make(tasks=["click-test"], seeds=[TEST_SEEDS - 1]), tmp_path)
    unknown = make(tasks=["login-user"], seeds=seeds)
    with pytest.raises(EvalError, match="no oracle for 'login-user'"):
        record(unknown, tmp_path)
    unknown.close()


def test_a_folder_without_demonstrations_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="holds no demonstrations"):
        list(examples(tmp_path))
