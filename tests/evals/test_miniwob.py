import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.agent import Agent
from agent.policy import Limits
from agent.trajectory import Trajectory
from environments.base import Point
from evals.base import EvalError, Task, parse_seeds
from evals.commands import tune
from evals.demonstrations import DATASET, LABELS, TEST_SEEDS, Strays, record, record_all
from evals.miniwob import Miniwob, MiniwobEnvironment, make, task_names
from evals.miniwob_tasks import LONG_STEPS, STEPS
from evals.pages import REGION, SCALE
from evals.plan import Plan
from evals.training_data import examples
from evals.word_pages import PIXELS
from model import embedded_path
from model.lora import LoraConfig
from model.scripted import ScriptedModel
from tools.base import Thousandths
from tools.computer import Click

TASKS = ["click-test", "click-test-2", "click-tab", "click-dialog"]
MISS = "left_click(start_box='[990,990]')"
BUTTON = "() => { const b = subbtn.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }"


@pytest.fixture(scope="module")
def miniwob() -> Iterator[Miniwob]:
    benchmark = make(tasks=TASKS, seeds=range(2))
    yield benchmark
    benchmark.close()


def environment(miniwob: Miniwob, name: str, seed: int) -> MiniwobEnvironment:
    return miniwob.environment(Task(name, seed=seed, tags=("click",)))


def test_every_task_and_seed_asked_for_is_an_episode(miniwob: Miniwob) -> None:
    assert [(task.id, task.seed) for task in miniwob.tasks()][:3] == [(TASKS[0], 0), (TASKS[0], 1), (TASKS[1], 0)]
    assert len(task_names()) >= 125


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvalError, match="no task 'click-tset'; it has 130, such as click-test"):
        make(tasks=["click-tset"])


def test_a_pattern_names_all_that_fit_it_and_one_that_fits_none_is_told() -> None:
    assert {task.id for task in make(tasks=["choose-*"]).tasks()} == {
        "choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay", "choose-list",
    }  # fmt: skip
    assert [task.id for task in make(tasks=["use-sl*", "click-test", "use-slider"], seeds=[3]).tasks()] == [
        "use-slider",
        "use-slider-2",
        "click-test",
    ]
    with pytest.raises(EvalError, match="no task 'drag-x\\*'"):
        make(tasks=["drag-x*"])


def test_the_suites_are_those_of_the_field() -> None:
    smoke, core, full = (make(suite=suite).tasks() for suite in ("smoke", "core", "full"))
    assert len(smoke) == 19 * 2
    assert all("click" in task.tags for task in smoke)
    assert (len({task.id for task in core}), len(core)) == (123, 123 * 5)
    assert {task.id for task in full} - {task.id for task in core} == {"stock-market", "drag-cube"}
    assert {task.max_steps for task in full} == {STEPS}
    assert {task.max_steps for task in core} == {STEPS, LONG_STEPS}
    assert all(task.tags for task in make().tasks())


def test_the_full_suite_is_browsergyms_list_of_episodes() -> None:
    """The first seeds of RandomState(42) below 34, and what RandomState(seed) makes of them below a million; 35 of 625 come twice."""
    full = make(suite="full").tasks()
    assert [(task.id, task.seed) for task in full][:6] == [
        *(("ascending-numbers", seed) for seed in (28, 14, 7, 20, 18)),
        ("bisect-angle", 22),
    ]
    assert [task.metadata["page_seed"] for task in full][:2] == [42241, 117355]
    assert (len(full), sum(task.times for task in full)) == (590, 625)
    assert len(Plan("compact").slots(full)) == 625
    assert make(suite="full", tasks=["bisect-angle"]).tasks()[0].seed == 22


def test_requests_a_suite_cannot_meet_are_told() -> None:
    with pytest.raises(EvalError, match="no suite 'huge'; it has smoke, core, full, oracles"):
        make(suite="huge")
    with pytest.raises(EvalError, match="BrowserGym's own seeds"):
        make(suite="full", seeds=[1])
    with pytest.raises(EvalError, match=r"suite core.* no task 'drag-cube'"):
        make(suite="core", tasks=["drag-cube"])


def test_a_number_seeds_a_page_as_browsergym_does_and_differs_from_the_text_of_it(miniwob: Miniwob) -> None:
    full = make(suite="full", tasks=["click-test-2"]).tasks()[0]
    as_number, as_text = miniwob.environment(full), environment(miniwob, "click-test-2", full.metadata["page_seed"])
    assert as_number.seed == full.metadata["page_seed"]
    assert (np.asarray(as_number.reset().screenshot) != np.asarray(as_text.reset().screenshot)).any()


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
        again = MiniwobEnvironment(fresh.browser, fresh.page, "5", reload=False)
        assert (np.asarray(again.reset().screenshot) == screen).all()


def test_the_start_cover_is_gone_and_the_instruction_is_known(miniwob: Miniwob) -> None:
    env = environment(miniwob, "click-tab", 1)
    seen = env.reset()
    assert env.instruction.startswith("Click on Tab")
    assert np.asarray(seen.screenshot).mean() > 100
    assert not seen.terminated


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


def test_what_a_student_does_as_the_expert_would_is_a_lesson_and_from_the_rest_the_expert_goes_on(tmp_path: Path) -> None:
    tasks, seeds = ("click-test", "click-scroll-list"), range(TEST_SEEDS, TEST_SEEDS + 3)
    assert record_all("miniwob", tmp_path, tasks, seeds, Strays(1.0, "tiny"), workers=1, tell=print) >= 4
    for file in sorted(tmp_path.glob(f"click-test/*/{LABELS}")):
        (label,) = json.loads(file.read_text())
        left, top, right, bottom = label["target"]
        action = Trajectory.load(file.parent).steps[0].action
        assert isinstance(action, Click)
        assert label["kind"] == "act", "the embedded model knows this task"
        assert left <= action.point.on(PIXELS)[0] <= right
        assert top <= action.point.on(PIXELS)[1] <= bottom
        assert action.point != Thousandths.of((int((left + right) / 2), int((top + bottom) / 2)), PIXELS), "and does not click as an expert"
    kinds = [[label and label["kind"] for label in json.loads(file.read_text())] for file in sorted(tmp_path.glob(f"*/*/{LABELS}"))]
    rewarded = [steps for steps in kinds if None not in steps]
    assert any("stray" in steps for steps in rewarded)
    assert all(steps.count("stray") <= 3 for steps in rewarded)
    assert len(list(examples(tmp_path))) == sum(len(steps) - steps.count("stray") for steps in rewarded)
    assert json.loads((tmp_path / DATASET).read_text())["sources"] == [{"benchmark": "miniwob", "stray": 1.0, "student": "tiny"}]


def test_demonstrations_are_rewarded_runs_that_know_their_targets_and_test_seeds_are_refused(tmp_path: Path) -> None:
    seeds, two = range(TEST_SEEDS, TEST_SEEDS + 3), ("click-test", "click-tab")
    assert record_all("miniwob", tmp_path, two, seeds, Strays(1.0), workers=2, tell=print) == 6
    assert record_all("miniwob", tmp_path, two, seeds, Strays(1.0), workers=1, tell=print) == 0
    (tmp_path / "click-tab" / str(TEST_SEEDS) / LABELS).unlink()  # as if interrupted there
    assert record_all("miniwob", tmp_path, two, seeds, Strays(1.0), workers=1, tell=print) == 1
    made = list(examples(tmp_path))
    assert len(made) == 6
    for example in made:
        question, *afterwards = (question for question in example.questions if question.tag not in ("copy", "drill"))
        assert len(question.targets) == 1
        assert question.text.count("\n") <= 1  # a stray click is history, not a lesson
        assert afterwards[0].reply == "DONE()"
        assert all(after.targets == question.targets for after in afterwards[1:])
        assert example.words
        assert all(word.text and len(word.columns) == len(word.text) for word in example.words)
    assert any("\n" in example.questions[0].text for example in made)
    about = json.loads((tmp_path / DATASET).read_text())
    assert about["seeds"] == dict.fromkeys(("click-tab", "click-test"), f"{TEST_SEEDS}-{TEST_SEEDS + 2}")
    assert (tmp_path / "click-test" / str(TEST_SEEDS) / LABELS).exists()
    with pytest.raises(EvalError, match="Seed 9999 is for testing"):
        record_all("miniwob", tmp_path, ["click-test"], [TEST_SEEDS - 1], Strays(), workers=1, tell=print)
    unknown = make(tasks=["chase-circle"], seeds=seeds)
    with pytest.raises(EvalError, match="no oracle for 'chase-circle'"):
        record(unknown, tmp_path)
    unknown.close()


def test_adapters_tell_the_seeds_of_their_base_with_their_own(tmp_path: Path) -> None:
    data, adapter = tmp_path / "data", tmp_path / "adapter"
    assert record_all("miniwob", data, ("click-test",), [99_999], Strays(0.0), workers=1, tell=print) == 1
    tune([data], adapter, "tiny", LoraConfig(rank=2), "compact")
    seeds = json.loads((adapter / DATASET).read_text())["seeds"]
    of_base = json.loads((embedded_path() / DATASET).read_text())["seeds"]
    assert {**seeds, "click-test": ""} == {**of_base, "click-test": ""}
    assert set(parse_seeds(seeds["click-test"])) == {*parse_seeds(of_base["click-test"]), 99_999}


def test_a_folder_without_demonstrations_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="holds no demonstrations"):
        list(examples(tmp_path))
