"""The gates of MiniWoB++: what knows how succeeds, what does nothing fails, and luck comes out the same twice."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.agent import Agent
from agent.policy import Limits
from evals.base import EvalError
from evals.demonstrations import TEST_SEEDS, Strays, record
from evals.miniwob import Miniwob, make, task_names
from evals.miniwob_tasks import CLASSES, threshold
from evals.oracles import ORACLES, PARTLY, UNSOLVED
from evals.oracles.base import OTHERS_AT_MOST, Oracle
from evals.oracles.others import OTHERS
from evals.oracles.page import Page
from evals.plan import Plan
from evals.runner import run
from evals.scripts import RandomClick, StandIn, stand_in
from evals.training_data import examples
from model.labels import Rectangle
from model.scripted import ScriptedModel
from tools import compact_actions
from tools.base import Thousandths
from tools.computer import Click, Drag

SAMPLE = ("login-user", "click-tab-2", "choose-date", "use-slider", "drag-box", "scroll-text-2", "email-inbox-delete", "enter-time")


@pytest.fixture(scope="module")
def smoke() -> Iterator[Miniwob]:
    benchmark = make(suite="smoke")
    yield benchmark
    benchmark.close()


@pytest.mark.parametrize(("agent", "rate"), [("oracle", 1.0), ("null", 0.0)])
def test_the_oracle_solves_all_of_the_smoke_suite_and_doing_nothing_none(tmp_path: Path, agent: StandIn, rate: float) -> None:
    actor, prompt = stand_in(agent, partial(make, suite="smoke"))
    summary = run(partial(make, suite="smoke"), actor, tmp_path / agent, Plan(prompt))
    assert summary.errors == 0
    assert summary.success_rate == rate, {task: found.successes for task, found in summary.tasks.items()}
    if agent == "oracle":
        assert summary.mean_steps == 1.0, "a task of the smoke suite is done with one click"


@pytest.mark.parametrize("name", SAMPLE)
def test_an_oracle_solves_its_task_whatever_the_seed(smoke: Miniwob, name: str) -> None:
    for task in make(tasks=[name], seeds=range(5)).tasks():
        with smoke.environment(task) as env:
            instruction = smoke.instruction(task, env)
            trajectory = Agent(smoke.oracle(task, env), env, prompt="compact", limits=Limits(task.max_steps or 10)).run(instruction)
            score = smoke.score(task, trajectory, env)
        assert score.success, (task.seed, instruction, trajectory.reason, score.reason)
        assert (score.raw or 0) >= threshold(name)


def test_every_task_has_an_oracle_or_the_reason_why_not(smoke: Miniwob) -> None:
    assert sorted([*ORACLES, *UNSOLVED]) == task_names()
    assert {*PARTLY} < {*UNSOLVED}
    assert all(any(task in ORACLES for task in tasks) for name, tasks in CLASSES.items() if name != "reaction")
    task = make(tasks=["chase-circle"]).tasks()[0]
    with pytest.raises(EvalError, match="no oracle for 'chase-circle'"):
        smoke.oracle(task, smoke.environment(task))


@pytest.mark.parametrize(("name", "parts"), [("click-collapsible-2", "#area h3"), ("click-tab-2-hard", "#area ul a")])
def test_what_is_nowhere_to_be_read_is_looked_for_in_order(smoke: Miniwob, name: str, parts: str) -> None:
    opened = []
    for task in make(tasks=[name], seeds=range(4)).tasks():
        with smoke.environment(task) as env:
            page = Page(env)
            instruction = smoke.instruction(task, env)
            link, places = page.said('"(.*)"'), len(page.texts(parts))
            there = page.has(".alink", link)
            oracle = Oracle(env, ORACLES[name])
            steps = Agent(oracle, env, prompt="compact", limits=Limits(max_steps=10)).run(instruction).steps
            opened.append(len(steps) - 1)
            assert opened[-1] <= places
            assert there == (opened[-1] == 0)
    assert len({*opened}) > 1, opened


@pytest.mark.parametrize("name", ["drag-single-shape", "drag-circle", "drag-items", "resize-textarea", "drag-shapes"])
@pytest.mark.parametrize("corner", [0.2, 0.8])
def test_a_drag_may_begin_and_end_anywhere_that_its_label_says(smoke: Miniwob, name: str, corner: float) -> None:
    for task in make(tasks=[name], seeds=range(4)).tasks():
        with smoke.environment(task) as env:
            seen, page = env.reset(), Page(env)
            for action in ORACLES[name](page):
                if isinstance(action, Drag):
                    assert page.target
                    assert page.goal
                    path = tuple(_within(box, corner, seen.screenshot.size) for box in (page.target, page.goal))
                    action = action.model_copy(update={"path": path})
                action.run(env, env.observe())
            env.observe()
            assert env.raw == 1.0, (task.seed, env.instruction)


def _within(box: Rectangle, part: float, size: tuple[int, int]) -> Thousandths:
    left, top, right, bottom = box
    return Thousandths.of((int(left + part * (right - left)), int(top + part * (bottom - top))), size)


def test_what_tells_an_action_is_labelled_where_it_stands(smoke: Miniwob) -> None:
    (task,) = make(tasks=["odd-or-even"], seeds=[1]).tasks()
    with smoke.environment(task) as env:
        instruction = smoke.instruction(task, env)
        oracle = Oracle(env, ORACLES["odd-or-even"], full=True)
        steps = Agent(oracle, env, prompt="compact", limits=Limits(max_steps=10)).run(instruction).steps
    numbers = 0
    for step, label in zip(steps, oracle.labels, strict=True):
        if label.evidence:
            left, top, right, bottom = label.evidence
            (number,) = [text for text, box, _ in label.words if left <= box[0] and box[2] <= right and top <= box[1] and box[3] <= bottom]
            assert isinstance(step.action, Click)
            assert (int(number) % 2 == 1) == (step.action.point.x < 500), "odd is on the left"
            numbers += 1
    assert numbers == len(steps) - 1


@pytest.mark.parametrize("name", ["choose-date-medium", "buy-ticket", "use-spinner", "phone-book", "find-greatest", "generate-number"])
def test_what_is_thought_of_as_seen_stands_where_the_label_says(smoke: Miniwob, name: str) -> None:
    (task,) = make(tasks=[name], seeds=[1]).tasks()
    with smoke.environment(task) as env:
        instruction = smoke.instruction(task, env)
        oracle = Oracle(env, ORACLES[name], full=True)
        trajectory = Agent(oracle, env, prompt="compact", limits=Limits(max_steps=30)).run(instruction)
    read = 0
    for step, label in zip(trajectory.steps, oracle.labels, strict=True):
        assert step.thought == " ".join(words for words, _ in label.thought)
        for words, box in label.thought:
            if box:
                left, top, right, bottom = box
                inside = [text for text, (x, y, *_), _ in label.words if left - 1 <= x <= right and top - 1 <= y <= bottom]
                assert words in " ".join(inside), (words, inside)
                read += 1
    assert read


def test_a_thought_holds_only_as_long_as_what_it_is_of_can_be_seen(smoke: Miniwob) -> None:
    (task,) = make(tasks=["choose-date-nodelay"], seeds=[1]).tasks()
    with smoke.environment(task) as env:
        smoke.instruction(task, env)
        page = Page(env)
        page.js("$('#datepicker').datepicker('show')")
        page.think(page.seen(".ui-datepicker-month"), "it is")
        assert page.still()
        page.js("document.querySelector('.ui-datepicker-prev').click()")
        assert not page.still()


@pytest.mark.parametrize(
    ("name", "seed", "clicked", "kinds"),
    [
        # it opens a pop-up over the field that was to be clicked
        ("login-user-popup", 10001, ("#password", 0), "stray stray act act act act act act"),
        # the first tab, without the link, told that the second is to be opened: the fourth is open now
        ("click-tab-2-hard", 27003, ("#area ul a", 3), "stray stray act"),
        # it changes nothing that matters
        ("login-user", 10001, ("#password", 0), "stray act act act act act"),
        ("click-tab-2-hard", 27003, ("#area ul a", 0), "stray act act"),
    ],
)
def test_what_a_stray_covered_or_told_otherwise_is_done_and_not_learned_and_what_follows_is(
    smoke: Miniwob, name: str, seed: int, clicked: tuple[str, int], kinds: str
) -> None:
    (task,) = make(tasks=[name], seeds=[seed]).tasks()
    with smoke.environment(task) as env:
        instruction = smoke.instruction(task, env)
        student = ScriptedModel([compact_actions().render(next(Page(env).click(clicked[0], nth=clicked[1]))), "DONE()"])
        oracle = Oracle(env, ORACLES[name], stray=1.0, student=student)
        trajectory = Agent(oracle, env, prompt="compact", limits=Limits(max_steps=13)).run(instruction)
        assert smoke.score(task, trajectory, env).success
    assert [label.kind for label in oracle.labels] == kinds.split()


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_instructions_are_answered_as_the_script_answers_them(smoke: Miniwob, name: str) -> None:
    found, actions = 0, compact_actions()
    for task in make(tasks=[name], seeds=(0, 3)).tasks():
        with smoke.environment(task) as env:
            instruction = smoke.instruction(task, env)
            oracle = Oracle(env, ORACLES.get(name) or PARTLY[name], full=True)
            Agent(oracle, env, prompt="compact", limits=Limits(max_steps=task.max_steps or 10)).run(instruction)
        assert env.raw == 1.0, "asking otherwise changes nothing"
        for label in oracle.labels:
            assert len(label.others) <= OTHERS_AT_MOST
            for other in label.others:
                actions.parse(other.call)
                assert other.label.kind == "act"
                found += other.instruction != instruction
    assert found


def test_random_clicks_are_the_same_for_the_same_seed_and_episode(smoke: Miniwob) -> None:
    task = next(task for task in smoke.tasks() if task.id == "count-sides")
    clicks = []
    for seed in (1, 1, 2):
        with smoke.environment(task) as env:
            trajectory = Agent(RandomClick(seed), env, limits=Limits(max_steps=3)).run(smoke.instruction(task, env))
            clicks.append([step.action for step in trajectory.steps])
            assert trajectory.status in ("max_steps", "done")
    assert clicks[0] == clicks[1] != clicks[2]
    assert len(set(map(str, clicks[0]))) == len(clicks[0]), "no place twice"


def test_demonstrations_of_several_steps_are_examples_each_with_its_history(tmp_path: Path) -> None:
    benchmark = make(tasks=["login-user"], seeds=[TEST_SEEDS])
    assert record(benchmark, tmp_path, Strays(0.0)) == 1
    benchmark.close()
    found = list(examples(tmp_path))
    calls = [example.questions[0].reply for example in found]
    assert [call.partition("(")[0] for call in calls] == ["left_click", "type", "left_click", "type", "left_click"]
    assert [not example.questions[0].targets for example in found] == [False, True, False, True, False]
    asked = [[question for question in example.questions if question.tag not in ("copy", "drill")] for example in found]
    assert all(len(questions) == 1 for questions in asked), "only where one click is all may what follows it be made up"
    assert calls[3] in found[4].questions[0].text
