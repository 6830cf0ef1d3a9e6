"""The table of a model card says what the run's episodes say, task by task, the best first."""

from functools import partial
from pathlib import Path

import pytest

from evals.base import EvalError
from evals.card import card
from evals.miniwob import make
from evals.plan import Plan
from evals.runner import run
from evals.scripts import stand_in
from evals.training_curve import draw, read_log
from model import embedded_path


def test_a_card_has_a_row_for_each_task_and_the_other_runs_beside_it(tmp_path: Path) -> None:
    tasks = partial(make, tasks=["click-test", "focus-text"], seeds=range(2))
    for agent in ("oracle", "null"):
        actor, prompt = stand_in(agent, tasks)
        run(tasks, actor, tmp_path / agent, Plan(prompt))
    text = card(tmp_path / "oracle", {"nothing": tmp_path / "null"})
    assert "4 episodes, 0 errors" in text
    assert "2 of 2 tasks at 0.8 or more" in text
    assert "| click-test | click | 2/2 | 0.34–1.00 | 1.0 | 0/2 |" in text
    with pytest.raises(EvalError):
        card(tmp_path / "missing", {})


def test_a_training_log_becomes_a_picture(tmp_path: Path) -> None:
    log = embedded_path() / "training.jsonl"
    assert len(read_log(log)) > 3
    draw(log, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
