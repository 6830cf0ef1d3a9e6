"""Demonstrations: experts' runs through the real loop, recorded as trajectories, and recorded trajectories as examples to train on.

A data set is a folder: `dataset.json` (what was recorded, with every seed), and a trajectory a demonstration in <task>/<seed>/, with
`labels.json` beside it when the expert knew the targets and the words on the screen. Trajectories without labels are examples, too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.policy import Limits
from agent.prompts.compact import CompactPrompt, compact_text
from agent.trajectory import Trajectory
from evals.base import EvalError, Task
from evals.miniwob import REGION, SCALE, VIEWPORT, Miniwob
from evals.oracles import ORACLE_TASKS, Label, Oracle
from model.examples import Example, Question, Word
from tools.base import Thousandths
from tools.computer import Click

TEST_SEEDS = 10_000
"""Seeds below this one are for testing: nothing is ever recorded from them, nothing trained on."""
DATASET, LABELS = "dataset.json", "labels.json"


@dataclass(frozen=True, slots=True)
class Recorded:
    task: str
    seed: int
    reward: float


def record(
    tasks: Sequence[str], seeds: Sequence[int], out: Path, *, stray: float = 0.1, done: Callable[[Recorded], None] | None = None
) -> int:
    """Let an oracle solve every task with every seed and keep what was rewarded in full; what `out` already holds is not done again.

    stray: the share of demonstrations that begin with a click on a bare place, so that a model sees what follows a miss.
    Returns how many were kept. Raises EvalError for a task without an oracle and for test seeds.
    """
    if unknown := [task for task in tasks if task not in ORACLE_TASKS]:
        raise EvalError(f"There is no oracle for {unknown[0]!r}; there are oracles for {', '.join(ORACLE_TASKS)}.")
    if tested := [seed for seed in seeds if seed < TEST_SEEDS]:
        raise EvalError(f"Seed {tested[0]} is for testing: demonstrations take seeds from {TEST_SEEDS} on.")
    out.mkdir(parents=True, exist_ok=True)
    benchmark = Miniwob(tasks, seeds, reload=False)
    kept = 0
    try:
        for task in benchmark.tasks():
            folder = out / task.id / str(task.seed)
            if not (folder / LABELS).exists():
                recorded = _demonstrate(benchmark, task, folder, stray)
                kept += recorded.reward >= 1.0
                if done is not None:
                    done(recorded)
    finally:
        benchmark.close()
        _describe(out, benchmark.version, stray)
    return kept


def _demonstrate(benchmark: Miniwob, task: Task, folder: Path, stray: float) -> Recorded:
    with benchmark.environment(task) as env:
        oracle = Oracle(env, task.id, stray)
        instruction = benchmark.instruction(task, env)
        trajectory = Agent(oracle, env, prompt=CompactPrompt(), limits=Limits(max_steps=4)).run(instruction, out=folder)
        score = benchmark.score(task, trajectory, env)
    labels: list[Label | None] = [*oracle.labels] if score.success else [None] * len(trajectory.steps)
    half = folder / f"{LABELS}.part"
    half.write_text(json.dumps([label and asdict(label) for label in labels]))
    half.replace(folder / LABELS)
    return Recorded(task.id, task.seed or 0, score.reward)


def _describe(out: Path, version: str, stray: float) -> None:
    seeds = {task.name: sorted(int(seed.name) for seed in task.iterdir()) for task in sorted(out.iterdir()) if task.is_dir()}
    about = {
        "benchmark": "miniwob",
        "version": version,
        "viewport": VIEWPORT,
        "region": REGION,
        "scale": SCALE,
        "stray": stray,
        "seeds": seeds,
    }
    (out / DATASET).write_text(json.dumps(about) + "\n")


def examples(data: Path) -> Iterator[Example]:
    """An example for each recorded step that was rewarded and not a stray click. Raises EvalError when there are none in the folder."""
    found = False
    for meta in sorted(data.glob("**/meta.json"), key=lambda path: (len(path.parent.name), path.parent.name, path.parent.parent.name)):
        for example in _of_trajectory(meta.parent):
            found = True
            yield example
    if not found:
        raise EvalError(f"{data} holds no demonstrations: record some with `glimpse demos miniwob --out {data}`.")


def _of_trajectory(folder: Path) -> Iterator[Example]:
    trajectory = Trajectory.load(folder)
    labels: list[dict[str, Any] | None]
    labels = json.loads((folder / LABELS).read_text()) if (folder / LABELS).exists() else [{}] * len(trajectory.steps)
    prompt, tag = CompactPrompt(), folder.parent.name
    if trajectory.status != "done":
        return
    for step, label in zip(trajectory.steps, labels, strict=False):
        if label is None or step.action is None or ("target" in label and label["target"] is None):
            continue
        history = [prompt.actions.render(s.action) for s in trajectory.steps[: step.index] if s.action is not None]
        target = label.get("target") or _around(step.action, step.seen.screenshot.size)
        question = Question(compact_text(trajectory.task, history), prompt.actions.render(step.action), target and tuple(target), tag)
        words = [Word(text, tuple(columns), (box[1] + box[3]) / 2) for text, box, columns in label.get("words", [])]
        readings = tuple(_readings(label.get("words", []), step.seen.screenshot.size, prompt))
        yield Example(folder / f"{step.index:03d}.png", (question,), readings, tuple(words))


def _around(action: Any, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """A small rectangle around a recorded click, for recordings that know no more."""
    if not isinstance(action, Click):
        return None
    x, y = action.point.on(size)
    return x - 4, y - 4, x + 4, y + 4


def _readings(words: Sequence[Any], size: tuple[int, int], prompt: CompactPrompt) -> Iterator[Question]:
    """`find "word"` for every word that stands on the screen once."""
    bare = [re.sub(r"^\W+|\W+$", "", text) for text, _, _ in words]
    times = Counter(word.lower() for word in bare)
    for word, (_, box, _) in zip(bare, words, strict=True):
        if len(word) > 1 and times[word.lower()] == 1:
            point = Thousandths.of((int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)), size)
            yield Question(f'find "{word}"', prompt.actions.render(Click(point=point)), tuple(box), "find")
