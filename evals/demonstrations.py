"""Demonstrations: experts' runs through the real loop, recorded as trajectories, and recorded trajectories as examples to train on.

A data set is a folder: `dataset.json` (what was recorded, with every seed), and a trajectory a demonstration in <task>/<seed>/, with
`labels.json` beside it when the expert knew the targets and the words on the screen. Trajectories without labels are examples, too.
"""

from __future__ import annotations

import json
import random
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.policy import Limits
from agent.prompts.compact import CompactPrompt, compact_text, find_text
from agent.trajectory import Trajectory
from evals.base import Benchmark, EvalError, Task, format_seeds, make_benchmark
from evals.oracles import ORACLES
from evals.oracles.base import Label, Oracle
from evals.pages import REGION, SCALE, VIEWPORT, PageEnvironment
from evals.word_pages import PAGES, PIXELS, record_pages
from evals.words import bare, held_out
from model.examples import Example, Question, Rectangle, Word
from tools import compact_actions
from tools.base import Thousandths, Tool
from tools.computer import Click, Drag, Hover, Scroll, Type
from tools.control import Done

TEST_SEEDS = 10_000
"""Seeds below this one are for testing: nothing is ever recorded from them, nothing trained on."""
DATASET, LABELS, WORDS = "dataset.json", "labels.json", "words"
ACTIONS = compact_actions()


@dataclass(frozen=True, slots=True)
class Recorded:
    task: str
    seed: int
    reward: float
    success: bool


def record_all(
    name: str, out: Path, tasks: Sequence[str], seeds: Sequence[int], stray: float, workers: int, tell: Callable[[str], None]
) -> int:
    """Record a benchmark by name, its seeds shared among processes; "words" are pages to learn reading on. Returns how many were kept.

    Raises EvalError as `record` does.
    """
    if tested := [seed for seed in seeds if seed < TEST_SEEDS]:
        raise EvalError(f"Seed {tested[0]} is for testing: demonstrations take seeds from {TEST_SEEDS} on.")
    shares = [seeds[i::workers] for i in range(min(workers, len(seeds)))]
    if workers == 1:
        kept = _share(name, out, tasks, seeds, stray, tell)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            kept = sum(pool.map(partial(_share, name, out, tasks, stray=stray, tell=None), shares))
    _describe(out, {"benchmark": name, "stray": stray})
    return kept


def _share(name: str, out: Path, tasks: Sequence[str], seeds: Sequence[int], stray: float, tell: Callable[[str], None] | None) -> int:
    if name == WORDS:
        return record_pages(seeds, out / WORDS)
    options: dict[str, Any] = (
        {"tasks": tasks or tuple(ORACLES), "reload": False} if name == "miniwob" else {"tasks": tasks} if tasks else {}
    )
    benchmark = make_benchmark(name, seeds=seeds, **options)
    try:
        return record(benchmark, out, stray=stray, done=lambda one: tell(f"{one.task} {one.seed} {one.reward}") if tell else None)
    finally:
        benchmark.close()


def record(benchmark: Benchmark, out: Path, *, stray: float = 0.1, done: Callable[[Recorded], None] | None = None) -> int:
    """Let an oracle go through a benchmark of pages and keep what was a success; what `out` already holds is not done again.

    stray: the share of demonstrations that begin with a click on a bare place, so that a model sees what follows a miss.
    Returns how many were kept. Raises EvalError for pages no oracle knows, before anything is recorded.
    """
    tasks = list(benchmark.tasks())
    for task in {task.id: task for task in tasks}.values():
        if getattr(benchmark.environment(task), "script", None) is None:
            raise EvalError(f"{benchmark.name}: there is no oracle for {task.id!r}.")
    out.mkdir(parents=True, exist_ok=True)
    kept = 0
    for task in tasks:
        folder = out / task.id / str(task.seed)
        if not (folder / LABELS).exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted recording left
            recorded = _demonstrate(benchmark, task, folder, stray)
            kept += recorded.success
            if done is not None:
                done(recorded)
    return kept


def _demonstrate(benchmark: Benchmark, task: Task, folder: Path, stray: float) -> Recorded:
    with benchmark.environment(task) as env:
        assert isinstance(env, PageEnvironment)
        assert env.script is not None
        oracle = Oracle(env, env.script, f"{task.id}-{task.seed}", stray, words=True)
        instruction = benchmark.instruction(task, env)
        limits = Limits(max_steps=1 + (task.max_steps or 10))  # one more for a stray click
        trajectory = Agent(oracle, env, prompt=CompactPrompt(), limits=limits).run(instruction, out=folder)
        score = benchmark.score(task, trajectory, env)
    labels: list[Label | None] = [*oracle.labels] if score.success else [None] * len(trajectory.steps)
    half = folder / f"{LABELS}.part"
    half.write_text(json.dumps([label and asdict(label) for label in labels]))
    half.replace(folder / LABELS)
    return Recorded(task.id, task.seed or 0, score.reward, score.success)


def _describe(out: Path, recorded: dict[str, Any]) -> None:
    """Write what the data set holds; what other benchmarks recorded there stays in it."""
    seeds = {task.name: format_seeds(_seeds(task)) for task in sorted(out.iterdir()) if task.is_dir()}
    before = json.loads((out / DATASET).read_text())["sources"] if (out / DATASET).exists() else []
    sources = [*(source for source in before if source["benchmark"] != recorded["benchmark"]), recorded]
    screen = {"viewport": VIEWPORT, "region": REGION, "scale": SCALE}
    (out / DATASET).write_text(json.dumps({"sources": sources, **screen, "seeds": seeds}) + "\n")


def _seeds(folder: Path) -> list[int]:
    if (folder / PAGES).exists():
        return sorted(json.loads(line)["seed"] for line in (folder / PAGES).read_text().splitlines())
    return sorted(int(seed.name) for seed in folder.iterdir())


def about(data: Path) -> dict[str, Any]:
    """What a checkpoint trained on a data set should say of its own use: the prompt, and the screen it is used to."""
    file = data / DATASET
    recorded = json.loads(file.read_text()) if file.exists() else {}
    return {"prompt": CompactPrompt.name, **{key: recorded[key] for key in ("viewport", "region", "scale") if key in recorded}}


def examples(data: Path) -> Iterator[Example]:
    """An example for each recorded step that was rewarded and not a stray click, and for each page of words.

    Each also asks for some words of other screens, which are to be told from those that are there. Raises EvalError when there are none in
    the folder.
    """
    rng, elsewhere = random.Random(0), list[str]()
    for example in _recorded(data):
        here = {bare(word.text) for word in example.words}
        absent = [word for word in rng.sample(elsewhere, min(len(elsewhere), 1 + len(example.readings) // 6)) if word not in here]
        elsewhere = [*elsewhere, *(word for word in here if len(word) > 1 and not held_out(word))][-400:]
        negative = (Question(find_text(word), ACTIONS.render(Done()), (), "absent") for word in absent)
        yield replace(example, readings=(*example.readings, *negative))


def _recorded(data: Path) -> Iterator[Example]:
    found = False
    for meta in sorted(data.glob("**/meta.json"), key=lambda path: (len(path.parent.name), path.parent.name, path.parent.parent.name)):
        for example in _of_trajectory(meta.parent):
            found = True
            yield example
    for file in sorted(data.glob(f"**/{WORDS}/{PAGES}")):
        for line in file.read_text().splitlines():
            page = json.loads(line)
            found = True
            yield Example(file.parent / f"{page['seed']}.png", (), readings(page["words"], PIXELS), letters(page["words"]))
    if not found:
        raise EvalError(f"{data} holds no demonstrations: record some with `glimpse demos miniwob --seeds 10000-10999 --out {data}`.")


def split(found: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """To train on, and held out in an order of chance: every twentieth seed, the same ones of every task. Words that are kept from training
    are asked for in what is held out alone."""
    train, held = list[Example](), list[Example]()
    for example in found:
        seed = example.image.stem if example.image.parent.name == WORDS else example.image.parent.name
        if zlib.crc32(seed.encode()) % 20 == 0:
            held.append(example)
        else:
            train.append(replace(example, readings=tuple(q for q in example.readings if q.tag != "unseen")))
    random.Random(0).shuffle(held)
    return train, held


def _of_trajectory(folder: Path) -> Iterator[Example]:
    trajectory = Trajectory.load(folder)
    labels: list[dict[str, Any] | None]
    labels = json.loads((folder / LABELS).read_text()) if (folder / LABELS).exists() else [{}] * len(trajectory.steps)
    if trajectory.status != "done":
        return
    once = sum(label is not None and label.get("kind") not in (None, "stray", "end") for label in labels) == 1
    history: list[str] = []
    for step, label in zip(trajectory.steps, labels, strict=False):
        call = "" if step.action is None else ACTIONS.render(step.action)
        if label is not None and step.action is not None and label.get("kind") != "stray":
            size, words = step.seen.screenshot.size, label.get("words", [])
            targets = (tuple(label["target"]),) if label.get("target") else tuple(_around(step.action, size))
            question = Question(compact_text(trajectory.task, history), call, targets, folder.parent.name)
            after = tuple(_afterwards(trajectory.task, targets[0], size, f"{folder.name}{step.index}")) if once and targets else ()
            yield Example(folder / f"{step.index:03d}.png", (question, *after), readings(words, size), letters(words))
        history.append(call)


def _afterwards(task: str, target: Rectangle, size: tuple[int, int], seed: str) -> Iterator[Question]:
    """What follows on a page that looks the same after a click: on the target, the end; anywhere else, the click that was meant."""
    rng = random.Random(seed)
    left, top, right, bottom = target
    hit = rng.uniform(left + 1, right - 1), rng.uniform(top + 1, bottom - 1)
    yield Question(compact_text(task, [_click(hit, size)]), ACTIONS.render(Done()), tag="done")
    miss = rng.uniform(0, size[0]), rng.uniform(0, size[1])
    if not (left - 8 <= miss[0] <= right + 8 and top - 8 <= miss[1] <= bottom + 8):
        yield Question(
            compact_text(task, [_click(miss, size)]), _click(((left + right) / 2, (top + bottom) / 2), size), (target,), "missed"
        )


def _click(place: tuple[float, float], size: tuple[int, int]) -> str:
    return ACTIONS.render(Click(point=Thousandths.of((int(place[0]), int(place[1])), size)))


def _around(action: Tool, size: tuple[int, int]) -> Iterator[Rectangle]:
    """A small rectangle around each point of an action, for what knows no more than the point."""
    points: Sequence[Thousandths] = ()
    if isinstance(action, Click | Hover | Scroll):
        points = (action.point,)
    elif isinstance(action, Drag):
        points = action.path
    for point in points:
        (x, y), by = point.on(size), ROOM[type(action)]
        yield x - by, y - by, x + by, y + by


ROOM: dict[type[Tool], float] = {Click: 4, Hover: 4, Drag: 5, Scroll: 25}
"""Pixels to each side of a recorded point that are as good as the point."""


def letters(words: Sequence[Any]) -> tuple[Word, ...]:
    """Words as labels have them, as what can be read."""
    return tuple(Word(text, tuple(columns), (box[1] + box[3]) / 2) for text, box, columns in words)


def readings(words: Sequence[Any], size: tuple[int, int]) -> tuple[Question, ...]:
    """`find "word"` for every word that stands on the screen once, `read [x,y]` for every word that is not too long to be typed."""
    found = list[Question]()
    bares = [bare(text) for text, _, _ in words]
    times = Counter(word.lower() for word in bares)
    for word, (_, box, _) in zip(bares, words, strict=True):
        place = Click(point=Thousandths.of((int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)), size))
        call = ACTIONS.render(place)
        if len(word) > 1 and times[word.lower()] == 1:
            found.append(Question(find_text(word), call, (tuple(box),), "unseen" if held_out(word) else "find"))
        if 1 < len(word) <= 16:
            x, y = place.point.x, place.point.y
            found.append(Question(f"read [{x},{y}]", ACTIONS.render(Type(text=word)), (), "read"))
    return (*found, *_phrases(words, size))


def _phrases(words: Sequence[Any], size: tuple[int, int]) -> Iterator[Question]:
    """`find "two words"` for neighbours on a line, now and then."""
    for (first, a, _), (second, b, _) in list(pairwise(words))[::3]:
        beside = abs(a[1] - b[1]) < 3 and 0 < b[0] - a[2] < 12
        if beside and not held_out(first) and not held_out(second):
            box = a[0], min(a[1], b[1]), b[2], max(a[3], b[3])
            place = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            call = ACTIONS.render(Click(point=Thousandths.of(place, size)))
            yield Question(find_text(f"{first} {bare(second)}"), call, (box,), "phrase")
