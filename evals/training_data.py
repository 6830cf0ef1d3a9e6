"""Recorded trajectories and pages of words as examples to train on. Runs nothing."""

from __future__ import annotations

import json
import os
import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.prompts.base import make_prompt
from agent.prompts.compact import CompactPrompt, compact_reply, compact_text, find_text, is_thought
from agent.trajectory import META, Trajectory
from evals.base import EvalError, format_seeds, parse_seeds
from evals.demonstrations import DATASET, LABELS, TEST_SEEDS, WORD_PAGES
from evals.drawings import things_asked
from evals.drills import drill
from evals.episode import read_episode
from evals.folder import EPISODES, RESULT, RETRIED, RUN
from evals.instructions import clicking
from evals.oracles.page import TOP
from evals.pages import SCALE
from evals.screen_words import centre, finds, letters, miss, named, readings, standing
from evals.word_pages import PAGES, PIXELS, read_pages
from evals.words import bare, held_out
from model.checkpoint import read_json
from model.examples import Example, Lesson, Question, Touched
from model.labels import Rectangle, Word
from tools.base import Thousandths, Tool
from tools.computer import Click, Drag, Hover, Scroll, Type
from tools.control import Done

PROTOCOL = CompactPrompt()
ACTIONS = PROTOCOL.actions
RECORDED = 3.0
"""How much more than a reading or a made-up instruction a recorded action counts: one question of about eight, and what all is for."""
BAR = TOP * SCALE
"""Pixels at the top of a MiniWoB++ screenshot, where the instruction stands: it means its words where they stand below."""
DRILLS, DRILLS_ON_PAGES = 2, 3
"""Made-up sights and texts, for each example of a task and for each page of words: no screen has a part in them, any will do."""


def about(folders: Sequence[Path], *before: Path | None) -> dict[str, Any]:
    """What a checkpoint trained on these folders should say of its own use: the prompt, and the screen it is used to. Where no data set in
    them says that, it is the screen of what it goes on from: of those before it, the last that there is. Raises ModelError when that one's
    config.json is damaged."""
    described = (json.loads(file.read_text()) for folder in folders for file in _below(folder, DATASET))
    recorded: dict[str, Any] = next((one for one in described if "viewport" in one), {})
    saved = [config for folder in before if folder and (config := folder / "config.json").exists()]
    if not recorded and saved:
        recorded = read_json(saved[-1]).get("glimpse", {})
    return {"prompt": CompactPrompt.name, **{key: recorded[key] for key in ("viewport", "region", "scale") if key in recorded}}


def provenance(folders: Sequence[Path], *before: Path | None) -> dict[str, Any]:
    """What is trained on, with every seed: of the checkpoints before this one, and of the data sets in these folders, as their dataset.json
    says it; of the benchmark runs in them the seeds of the successes."""
    sources, seeds = list[Any](), dict[str, set[int]]()
    earlier = [file for folder in before if folder and (file := folder / DATASET).exists()]
    for file in (*earlier, *(file for folder in folders for file in _below(folder, DATASET, RUN))):
        recorded = json.loads(file.read_text())
        if file.name == DATASET:
            sources += recorded["sources"]
            for task, listed in recorded["seeds"].items():
                seeds.setdefault(task, set()).update(parse_seeds(listed))
        else:
            sources.append({"benchmark": recorded["benchmark"], "model": recorded.get("model")})
            for result in file.parent.glob(f"{EPISODES}/*/{RESULT}"):
                episode = read_episode(result.read_bytes(), str(result))
                if episode.success and episode.seed is not None:
                    seeds.setdefault(episode.task, set()).add(episode.seed)
    sources = [source for at, source in enumerate(sources) if source not in sources[:at]]
    return {"sources": sources, "seeds": {task: format_seeds(sorted(seeds[task])) for task in sorted(seeds)}}


def _below(folder: Path, *names: str) -> list[Path]:
    """The files of these names in a folder and in those below it, in order of their paths; found in one walk, for there may be many."""
    return sorted(Path(place, name) for place, _, files in os.walk(folder) for name in names if name in files)


def examples(*folders: Path) -> Iterator[Example]:
    """An example for each step of the trajectories in some folders, and for each page of words.

    Of demonstrations only those that were rewarded, without stray clicks; of a benchmark's run only the successes; of other recordings only
    those that ended as done; of all only what the compact protocol can say. Each example also asks for some words of other screens, to be
    told from those that are there, and has DRILLS or DRILLS_ON_PAGES; made-up instructions name what is to be clicked.
    Raises EvalError when a folder holds none, for a damaged line of pages, and for episodes of test seeds.
    """
    rng, elsewhere = random.Random(0), list[str]()
    for example in (example for folder in folders for example in _recorded(folder)):
        here = {bare(word.text) for word in example.words or ()}  # where it is not known what is written, nothing is said to be absent
        some = rng.sample(elsewhere, min(len(elsewhere), 1 + len(example.readings) // 12))
        absent = [word for word in some if word.lower() not in {one.lower() for one in here}]
        elsewhere = [*elsewhere, *sorted(word for word in here if len(word) > 1 and not held_out(word))][-400:]
        negative = (Question(find_text(shown), ACTIONS.render(Done()), (), "absent", sought=shown) for shown in absent if here)
        drills = (drill(rng) for _ in range(DRILLS if example.task else DRILLS_ON_PAGES))
        questions = (*example.questions[:1], *drills, *example.questions[1:])
        yield replace(example, questions=questions, readings=(*example.readings, *negative))


def _recorded(data: Path) -> Iterator[Example]:
    found, there = False, _below(data, META, PAGES)
    for folder in _trajectories(there):
        for example in _of_trajectory(folder):
            found = True
            yield example
    for file in (file for file in there if file.name == PAGES and file.parent.name == WORD_PAGES):
        for page in read_pages(file):
            _refuse_test_seed(page["seed"], f"{file} holds a page")
            found = True
            things = tuple(things_asked(random.Random(page["seed"]), page["things"], PIXELS))
            told = _told([*finds(page["words"], PIXELS), *things], page["seed"], PIXELS)
            asked = (*readings(page["words"], PIXELS, "find on pages"), *things, *told)
            yield Example(file.parent / f"{page['seed']}.png", (), asked, letters(page["words"]))
    if not found:
        raise EvalError(f"{data} holds no demonstrations: record some with `glimpse demos miniwob --seeds 10000-10999 --out {data}`.")


def _trajectories(files: Sequence[Path]) -> list[Path]:
    """The folders of recorded runs among these files', all tasks of a seed together; of a benchmark's run none that was set aside, nor an
    episode without a result."""
    folders = (file.parent for file in files if file.name == META and file.parent.parent.name != RETRIED)
    found = (folder for folder in folders if folder.parent.name != EPISODES or (folder / RESULT).exists())
    return sorted(found, key=lambda folder: (len(folder.name), folder.name, folder.parent.name))


def _taught(folder: Path) -> tuple[str, Trajectory, list[dict[str, Any] | None]] | None:
    """The task's name, the trajectory, and what is known of each step, None where it is not to be learned; None for a run that is not."""
    task = folder.parent.name
    if (folder / RESULT).exists():  # an episode of a benchmark's run
        episode = read_episode((folder / RESULT).read_bytes(), str(folder / RESULT))
        _refuse_test_seed(episode.seed, f"{folder} is an episode")
        if not episode.success:
            return None
        task = episode.task
    elif (folder / LABELS).exists() and folder.name.isdecimal():
        _refuse_test_seed(int(folder.name), f"{folder} is a demonstration")
    trajectory = Trajectory.load(folder)
    if trajectory.status != "done":
        return None
    labels: list[dict[str, Any] | None]
    labels = json.loads((folder / LABELS).read_text()) if (folder / LABELS).exists() else [{}] * len(trajectory.steps)
    return task, trajectory, [None if label is None or label.get("kind") == "stray" else label for label in labels]


def _refuse_test_seed(seed: int | None, what: str) -> None:
    if seed is not None and seed < TEST_SEEDS:
        raise EvalError(f"{what} of seed {seed}, which is for testing: train on seeds from {TEST_SEEDS} on.")


def split(found: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """To train on, and held out in an order of chance: every twentieth seed, the same ones of every task. Words that are kept from training
    are asked for in what is held out alone."""
    train, held = list[Example](), list[Example]()
    for example in found:
        name = example.image.stem if example.image.parent.name == WORD_PAGES else example.image.parent.name
        seed = re.sub(r".*-(\d+)(-r\d+)?$", r"\1", name)  # an episode of a benchmark's run is called by its task, too
        if zlib.crc32(seed.encode()) % 20 == 0:
            held.append(example)
        else:
            train.append(replace(example, readings=tuple(q for q in example.readings if q.tag != "unseen")))
    random.Random(0).shuffle(held)
    return train, held


def _of_trajectory(folder: Path) -> Iterator[Example]:
    if (taught := _taught(folder)) is None:
        return
    task, trajectory, labels = taught
    once = sum(label is not None and label.get("kind") not in (None, "end") for label in labels) == 1
    history, past = list[str](), list[Touched]()
    for step, label in zip(trajectory.steps, labels, strict=False):
        try:
            said = PROTOCOL.reply(step)
        except ValueError:
            continue  # nor is it in the history: the agent's own has no such line
        assert step.action is not None
        thought = step.thought if is_thought(step.thought) else ""
        touched = [Touched() for _ in _points(step.action)]
        if label is not None:
            size, words = step.seen.screenshot.size, label.get("words", ())
            known = label if "thought" in label or not thought else {**label, "thought": [[thought, None]]}
            question = _question(trajectory.task, history, past, step.action, known, words, size, task)
            others = [
                _question(other["instruction"], history, past, ACTIONS.parse(other["call"]), other["label"], words, size, "other")
                for other in label.get("others", ())
            ]
            touched = [Touched("" if at else question.sought, target) for at, target in enumerate(question.targets)]
            seed = f"{folder.name}{step.index}"
            plain = once and isinstance(step.action, Click) and not question.thought
            after = tuple(_afterwards(trajectory.task, question, size, seed, words)) if plain else ()
            clicks = _told(finds([word for word in words if word[1][1] >= BAR], size), seed, size)
            asked = (*readings(words, size), *clicks)
            shown = letters(words) if "words" in label else None
            yield Example(folder / f"{step.index:03d}.png", (question, *others, *after), asked, shown, task)
        history.append(said)
        past += touched


def _question(
    task: str, history: Sequence[str], past: Sequence[Touched], action: Tool, label: Mapping[str, Any], words: Sequence[Any],
    size: tuple[int, int], tag: str,
) -> Question:  # fmt: skip
    """What is asked by an instruction after a history, and answered by an action that a label tells more of."""
    targets = tuple(tuple(label[key]) for key in ("target", "goal") if label.get(key)) or tuple(_around(action, size))
    read = standing(action.text, words) if isinstance(action, Type) else None
    said = label.get("named", "")  # by the script
    named_by = said or ("" if isinstance(action, Scroll) else task)
    sought, beside = named(named_by, targets[0], words) if targets else ("", None)
    parts = label.get("thought", ())
    thought = compact_reply(" ".join(part for part, _ in parts), "")
    return Question(
        compact_text(task, history), thought + ACTIONS.render(action), targets, tag, read, said or sought, tuple(past), beside,
        label.get("evidence") and tuple(label["evidence"]), RECORDED, thought, tuple(_noted(thought, parts, words)),
    )  # fmt: skip


def _noted(thought: str, parts: Sequence[Any], words: Sequence[Any]) -> Iterator[tuple[int, Word]]:
    """What of a thought is read off the screen, and from which of its letters on: of its parts, as labels have them, those with a box."""
    at = 0
    for part, box in parts:
        at = thought.index(part, at)
        if box and (word := standing(part, [word for word in words if _inside(word[1], box)])):
            yield at, word
        at += len(part)


def _inside(box: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the middle of a box is in another."""
    return other[0] <= (box[0] + box[2]) / 2 <= other[2] and other[1] <= (box[1] + box[3]) / 2 <= other[3]


def _told(found: Sequence[Question], seed: int | str, size: tuple[int, int]) -> Iterator[Question]:
    """Made-up instructions to click some of what is found, as many as words that training may ask for, sixteen at most."""
    rng, asked = random.Random(seed), [question for question in found if question.tag != "unseen"]
    for _ in range(min(16, len(asked))):
        yield clicking(rng, asked, size)


def _afterwards(task: str, asked: Question, size: tuple[int, int], seed: str, words: Sequence[Any]) -> Iterator[Question]:
    """What follows on a page that looks the same after a click: on the target, the end; anywhere else, the click that was meant."""
    rng, target, sought = random.Random(seed), asked.targets[0], asked.sought
    meant = ACTIONS.render(centre(target, size))  # in a history its point is drawn anew (Touched)
    yield Question(compact_text(task, [meant]), ACTIONS.render(Done()), tag="done", past=(Touched(sought, target),))
    if missed := miss(rng, [target], size, [tuple(box) for _, box, _ in words]):
        yield Question(compact_text(task, [missed]), meant, (target,), "missed", sought=sought, past=(Touched(),), beside=asked.beside)


def _points(action: Tool) -> Sequence[Thousandths]:
    if isinstance(action, Click | Hover | Scroll):
        return (action.point,)
    return action.path if isinstance(action, Drag) else ()


def _around(action: Tool, size: tuple[int, int]) -> Iterator[Rectangle]:
    """A small rectangle around each point of an action, for what knows no more than the point."""
    for point in _points(action):
        (x, y), by = point.on(size), ROOM[type(action)]
        yield x - by, y - by, x + by, y + by


ROOM: dict[type[Tool], float] = {Click: 4, Hover: 4, Drag: 5, Scroll: 25}
"""Pixels to each side of a recorded point that are as good as the point."""


def lessons(folders: Sequence[Path], protocol: str) -> Iterator[Lesson]:
    """The steps of the same trajectories as a protocol puts them to a model, with what it has the model say for them as the reply.

    What a label has as the thought is said in its place; a memory that was not said anew stays as it was. A reply begins with the recorded
    reasoning, or an empty one, where the protocol has the model reason first. Steps that the protocol cannot say are left out. Raises
    EvalError as `examples` does.
    """
    found = False
    for folder in (place for data in folders for place in _trajectories(_below(data, META))):
        if (taught := _taught(folder)) is None:
            continue
        (_, trajectory, labels), memory = taught, ""
        for step, label in zip(trajectory.steps, labels, strict=False):
            memory = step.memory or memory
            if label is None:
                continue
            prompt = make_prompt(protocol, "desktop" if step.seen.url is None else "browser")
            thought = " ".join(part for part, _ in label["thought"]) if "thought" in label else step.thought
            try:
                reply = prompt.reply(replace(step, thought=thought, memory=memory))
            except ValueError:
                continue
            found, messages = True, tuple(prompt.render(trajectory.task, trajectory.steps[: step.index], step.seen))
            yield Lesson(messages, prompt.generation(), reply)
    if not found:
        raise EvalError(f"{', '.join(map(str, folders))}: there are no demonstrations to learn from.")
