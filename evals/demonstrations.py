"""Demonstrations: experts' runs through the real loop, recorded as trajectories.

A data set is a folder: `dataset.json` (what was recorded, with every seed); a trajectory a demonstration in <task>/<seed>/, with
`labels.json` beside it: what the expert knew of the targets and the words on the screen; and pages of words in words/.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.policy import Limits
from agent.prompts.compact import CompactPrompt
from evals.base import Benchmark, EvalError, Task, format_seeds, make_benchmark
from evals.folder import write_text
from evals.oracles import ORACLES
from evals.oracles.base import STUDENT_STEPS, Label, Oracle
from evals.pages import REGION, SCALE, VIEWPORT, PageEnvironment
from evals.recipe import load
from evals.word_pages import PAGES, cut_unfinished, page_group, read_pages, record_pages
from model.base import Model

TEST_SEEDS = 10_000
"""Seeds below this one are for testing: nothing is ever recorded from them, nothing trained on."""
DATASET, LABELS, WORD_PAGES = "dataset.json", "labels.json", "words"


@dataclass(frozen=True, slots=True)
class Recorded:
    task: str
    seed: int
    reward: float
    success: bool


@dataclass(frozen=True, slots=True)
class Strays:
    """How many demonstrations do not begin as the expert would, so that a model sees what follows a miss: share of them, and who begins
    instead: a checkpoint (a folder or a name, with prompt compact), or for "" a click on a bare place."""

    share: float = 0.1
    student: str = ""


def record_all(
    name: str, out: Path, tasks: Sequence[str], seeds: Sequence[int], strays: Strays, workers: int, tell: Callable[[str], None]
) -> int:
    """Record a benchmark by name, its seeds shared among processes; "words" are pages to learn reading on. Returns how many were kept.

    Raises EvalError as `record` does, ModelError when the student cannot be loaded.
    """
    _refuse_test_seeds(seeds)
    given = {"--tasks": tasks, "--student": strays.student, "--stray": strays.share != Strays().share}
    if name == WORD_PAGES and any(given.values()):
        raise EvalError(f"There is nothing to do on pages of words: leave {', '.join(option for option in given if given[option])} out.")
    together = [list(some) for _, some in groupby(seeds, page_group if name == WORD_PAGES else None)]
    shares = [[seed for some in together[i::workers] for seed in some] for i in range(min(workers, len(together)))]
    if name == WORD_PAGES:
        cut_unfinished(out / WORD_PAGES / PAGES)
    before = _recorded_seeds(out)
    try:
        if workers == 1:
            return _share(name, out, tasks, seeds, strays, tell)
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            return sum(pool.map(partial(_share, name, out, tasks, strays=strays, tell=None), shares))
    finally:  # an interrupted recording is described as far as it came, a request that recorded nothing leaves things as they were
        seeds_now = _recorded_seeds(out)
        if seeds_now != before or (seeds_now and not (out / DATASET).exists()):
            student = {"student": strays.student} if strays.student else {}
            _describe(out, seeds_now, {"benchmark": name, "stray": strays.share, **student})


def _refuse_test_seeds(seeds: Sequence[int | None]) -> None:
    if tested := [seed for seed in seeds if seed is None or seed < TEST_SEEDS]:
        raise EvalError(f"Seed {tested[0]} is for testing: demonstrations take seeds from {TEST_SEEDS} on.")


def _share(name: str, out: Path, tasks: Sequence[str], seeds: Sequence[int], strays: Strays, tell: Callable[[str], None] | None) -> int:
    if name == WORD_PAGES:
        return record_pages(seeds, out / WORD_PAGES)
    options: dict[str, Any] = (
        {"tasks": tasks or tuple(ORACLES), "reload": False} if name == "miniwob" else {"tasks": tasks} if tasks else {}
    )
    benchmark = make_benchmark(name, seeds=seeds, **options)
    try:
        return record(benchmark, out, strays, done=lambda one: tell(f"{one.task} {one.seed} {one.reward}") if tell else None)
    finally:
        benchmark.close()


def record(benchmark: Benchmark, out: Path, strays: Strays = Strays(), *, done: Callable[[Recorded], None] | None = None) -> int:
    """Let an oracle go through a benchmark of pages and keep what was a success; what `out` already holds is not done again.

    Returns how many were kept. Raises EvalError for test seeds and for pages no oracle knows, before anything is recorded.
    """
    tasks = list(benchmark.tasks())
    _refuse_test_seeds([task.seed for task in tasks])
    for task in {task.id: task for task in tasks}.values():
        if getattr(benchmark.environment(task), "script", None) is None:
            raise EvalError(f"{benchmark.name}: there is no oracle for {task.id!r}.")
    out.mkdir(parents=True, exist_ok=True)
    student = load(strays.student, CompactPrompt.name) if strays.student else None
    kept = 0
    for task in tasks:
        folder = out / task.id / str(task.seed)
        if not (folder / LABELS).exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted recording left
            recorded = _demonstrate(benchmark, task, folder, strays.share, student)
            kept += recorded.success
            if done is not None:
                done(recorded)
    return kept


def _demonstrate(benchmark: Benchmark, task: Task, folder: Path, stray: float, student: Model | None) -> Recorded:
    with benchmark.environment(task) as env:
        assert isinstance(env, PageEnvironment)
        assert env.script is not None
        oracle = Oracle(env, env.script, f"{task.id}-{task.seed}", stray, full=True, student=student)
        instruction = benchmark.instruction(task, env)
        limits = Limits(max_steps=(STUDENT_STEPS if student else 1) + (task.max_steps or 10))  # more for a stray beginning
        trajectory = Agent(oracle, env, prompt=CompactPrompt(), limits=limits).run(instruction, out=folder)
        score = benchmark.score(task, trajectory, env)
    labels: list[Label | None] = [*oracle.labels] if score.success else [None] * len(trajectory.steps)
    half = folder / f"{LABELS}.part"
    half.write_text(json.dumps([label and asdict(label) for label in labels]))
    half.replace(folder / LABELS)
    return Recorded(task.id, task.seed or 0, score.reward, score.success)


def _describe(out: Path, seeds: dict[str, list[int]], source: dict[str, Any]) -> None:
    """Write what the data set holds; what was recorded there before, with whatever options, stays in it."""
    sources = json.loads((out / DATASET).read_text())["sources"] if (out / DATASET).exists() else []
    if source not in sources:
        sources.append(source)
    about = {"sources": sources, "viewport": VIEWPORT, "region": REGION, "scale": SCALE}
    listed = {task: format_seeds(seeds[task]) for task in seeds}
    write_text(out / DATASET, json.dumps({**about, "seeds": listed}) + "\n")


def _recorded_seeds(out: Path) -> dict[str, list[int]]:
    """The seeds of each task that are recorded whole, and those of the pages of words. Other files and folders are passed over."""
    found = dict[str, list[int]]()
    for task in sorted(one for one in out.iterdir() if one.is_dir()) if out.is_dir() else ():
        if (task / PAGES).exists():
            seeds = [page["seed"] for page in read_pages(task / PAGES)]
        else:
            names = (file.parent.name for file in task.glob(f"*/{LABELS}"))
            seeds = [int(name) for name in names if name.isdecimal()]
        if seeds:
            found[task.name] = sorted(seeds)
    return found
