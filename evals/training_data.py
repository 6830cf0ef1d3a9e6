"""Recorded trajectories and pages of words as examples to train on. Runs nothing."""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.prompts.base import make_prompt
from agent.prompts.compact import CompactPrompt, compact_text, find_text
from agent.trajectory import Trajectory
from evals.base import EvalError, format_seeds, parse_seeds
from evals.demonstrations import DATASET, LABELS, TEST_SEEDS, WORDS
from evals.episode import read_episode
from evals.folder import EPISODES, RESULT, RUN
from evals.word_pages import PAGES, PIXELS, training_word, word
from evals.words import bare, held_out
from model.examples import Example, Lesson, Question, Rectangle, Word
from tools import compact_actions
from tools.base import Thousandths, Tool
from tools.computer import Click, Drag, Hover, Scroll, Type
from tools.control import Done

ACTIONS = compact_actions()


def about(folders: Sequence[Path]) -> dict[str, Any]:
    """What a checkpoint trained on these folders should say of its own use: the prompt, and the screen it is used to."""
    recorded: dict[str, Any] = next((json.loads((f / DATASET).read_text()) for f in folders if (f / DATASET).exists()), {})
    return {"prompt": CompactPrompt.name, **{key: recorded[key] for key in ("viewport", "region", "scale") if key in recorded}}


def provenance(folders: Sequence[Path]) -> dict[str, Any]:
    """What these folders hold, with every seed: of data sets, and of checkpoints trained on some, as their dataset.json says it, of
    benchmark runs those of the successes."""
    sources, seeds = list[Any](), dict[str, set[int]]()
    for folder in folders:
        if (folder / DATASET).exists():
            recorded = json.loads((folder / DATASET).read_text())
            sources += recorded["sources"]
            for task, listed in recorded["seeds"].items():
                seeds.setdefault(task, set()).update(parse_seeds(listed))
        if (folder / RUN).exists():
            run = json.loads((folder / RUN).read_text())
            sources.append({"benchmark": run["benchmark"], "model": run.get("model")})
            for result in folder.glob(f"{EPISODES}/*/{RESULT}"):
                episode = read_episode(result.read_bytes(), str(result))
                if episode.success and episode.seed is not None:
                    seeds.setdefault(episode.task, set()).add(episode.seed)
    sources = [source for at, source in enumerate(sources) if source not in sources[:at]]
    return {"sources": sources, "seeds": {task: format_seeds(sorted(seeds[task])) for task in sorted(seeds)}}


def examples(*folders: Path) -> Iterator[Example]:
    """An example for each step of the trajectories in some folders, and for each page of words.

    Of demonstrations only those that were rewarded, without stray clicks; of a benchmark's run only the successes; of other recordings only
    those that ended as done. Each example also asks for some words of other screens, to be told from those that are there, and every other
    one has something to copy from a made-up instruction.
    Raises EvalError when a folder holds none, and for episodes of test seeds.
    """
    rng, elsewhere = random.Random(0), list[str]()
    for example in (example for folder in folders for example in _recorded(folder)):
        here = {bare(word.text) for word in example.words}
        absent = [word for word in rng.sample(elsewhere, min(len(elsewhere), 1 + len(example.readings) // 6)) if word not in here]
        elsewhere = [*elsewhere, *(word for word in here if len(word) > 1 and not held_out(word))][-400:]
        negative = (Question(find_text(shown), ACTIONS.render(Done()), (), "absent", sought=shown) for shown in absent if here)
        copy = (copying(rng),) if rng.random() < COPIES else ()
        yield replace(example, questions=(*example.questions, *copy), readings=(*example.readings, *negative))


def _recorded(data: Path) -> Iterator[Example]:
    found = False
    for folder in _trajectories(data):
        for example in _of_trajectory(folder):
            found = True
            yield example
    for file in sorted(data.glob(f"**/{WORDS}/{PAGES}")):
        for line in file.read_text().splitlines():
            page = json.loads(line)
            found = True
            asked = readings(page["words"], PIXELS, "find on pages")
            yield Example(file.parent / f"{page['seed']}.png", (), asked, letters(page["words"]))
    if not found:
        raise EvalError(f"{data} holds no demonstrations: record some with `glimpse demos miniwob --seeds 10000-10999 --out {data}`.")


def _trajectories(data: Path) -> list[Path]:
    """Folders of recorded runs, all tasks of a seed together."""
    found = (meta.parent for meta in data.glob("**/meta.json"))
    return sorted(found, key=lambda folder: (len(folder.name), folder.name, folder.parent.name))


def _taught(folder: Path) -> tuple[str, Trajectory, list[dict[str, Any] | None]] | None:
    """The task's name, the trajectory, and what is known of each step, None where it is not to be learned; None for a run that is not."""
    task = folder.parent.name
    if (folder / RESULT).exists():  # an episode of a benchmark's run
        episode = read_episode((folder / RESULT).read_bytes(), str(folder / RESULT))
        if episode.seed is not None and episode.seed < TEST_SEEDS:
            raise EvalError(f"{folder} is an episode of seed {episode.seed}, which is for testing: train on seeds from {TEST_SEEDS} on.")
        if not episode.success:
            return None
        task = episode.task
    trajectory = Trajectory.load(folder)
    if trajectory.status != "done":
        return None
    labels: list[dict[str, Any] | None]
    labels = json.loads((folder / LABELS).read_text()) if (folder / LABELS).exists() else [{}] * len(trajectory.steps)
    return task, trajectory, [None if label is None or label.get("kind") == "stray" else label for label in labels]


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
    if (taught := _taught(folder)) is None:
        return
    task, trajectory, labels = taught
    once = sum(label is not None and label.get("kind") not in (None, "end") for label in labels) == 1
    history: list[str] = []
    for step, label in zip(trajectory.steps, labels, strict=False):
        call = "" if step.action is None else ACTIONS.render(step.action)
        if label is not None and step.action is not None:
            size, words = step.seen.screenshot.size, label.get("words", [])
            targets = (tuple(label["target"]),) if label.get("target") else tuple(_around(step.action, size))
            read = standing(step.action.text, words) if isinstance(step.action, Type) else None
            sought = named(trajectory.task, targets[0], words) if targets else ""
            question = Question(compact_text(trajectory.task, history), call, targets, task, read, sought)
            after = tuple(_afterwards(trajectory.task, targets[0], size, f"{folder.name}{step.index}")) if once and targets else ()
            yield Example(folder / f"{step.index:03d}.png", (question, *after), readings(words, size), letters(words), task)
        history.append(call)


def named(task: str, target: Rectangle, words: Sequence[Any]) -> str:
    """What of an instruction names a target, as it stands there: the longest run of words that stands on the target too, or else in its
    row."""
    left, top, right, bottom = target
    on = [text for text, (x, y, x2, y2), _ in words if x < right and x2 > left and top <= (y + y2) / 2 <= bottom]
    row = [text for text, (_, y, _, y2), _ in words if top - 4 <= (y + y2) / 2 <= bottom + 4]
    return _common_run(task.split(), on) or _common_run(task.split(), row)


_SMALL = frozenset(("a", "an", "and", "by", "click", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"))
"""Words that name nothing, unless they are in quotes."""


def _common_run(told: Sequence[str], shown: Sequence[str]) -> str:
    """The longest run of words of an instruction that stands among others in the same order, whatever the signs around the words; no run of
    small words alone."""
    a, b = ([bare(word).lower() for word in words] for words in (told, shown))
    best = range(0)
    for start in range(len(a)):
        for other in range(len(b)):
            length = next((n for n, (x, y) in enumerate(zip(a[start:], b[other:], strict=False)) if x != y or not x), None)
            run = range(start, start + (min(len(a) - start, len(b) - other) if length is None else length))
            if len(run) > len(best) and any(a[i] not in _SMALL or told[i] != bare(told[i]) for i in run):
                best = run
    return " ".join(told[i] for i in best)


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


def standing(text: str, words: Sequence[Any]) -> Word | None:
    """Where a text of one or more words stands, on one line and once; None when it does not."""
    parts, places = text.split(" "), list[Word]()
    for start in range(len(words) - len(parts) + 1):
        chosen = words[start : start + len(parts)]
        if all(part and part in word and bare(part) == bare(word) for part, (word, _, _) in zip(parts, chosen, strict=True)):
            columns, rows = list[float](), {round((box[1] + box[3]) / 2) for _, box, _ in chosen}
            for part, (word, _, of_letters) in zip(parts, chosen, strict=True):
                at = word.index(part)
                columns += [*([columns[-1] + 4] if columns else []), *of_letters[at : at + len(part)]]  # 4: into the space
            if max(rows) - min(rows) <= 2:
                places.append(Word(text, tuple(columns), min(rows)))
    return places[0] if len(places) == 1 else None


COPIES = 0.5
"""The share of examples with something to copy from an instruction: what is typed in most tasks, and learned from these soonest."""


def copying(rng: random.Random) -> Question:
    """A made-up instruction that names what is to be typed, the clicks and texts up to one of its fields, and the text of that field."""
    values = [_value(rng) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    mark = rng.choice(('"', '"', "'", ""))
    named = [f"{_field(rng)} {mark}{value}{mark}" for value in values]
    before = f"{rng.choice(('Enter', 'Type', 'Write', 'Fill in', 'Search for'))} the" if rng.random() < 0.7 else _some(rng)
    after = f"{rng.choice((' ', ', ')) if mark else '. '}{_some(rng)}" if rng.random() < 0.6 else ""
    chosen, history = rng.randrange(len(values)), list[str]()
    for value in values[: chosen + 1]:
        history += [_click((rng.uniform(0, 999), rng.uniform(0, 999)), (1000, 1000)), ACTIONS.render(Type(text=value))]
    return Question(compact_text(f"{before} {' and the '.join(named)}{after}.", history[:-1]), history[-1], tag="copy")


def _some(rng: random.Random, most: int = 5) -> str:
    return " ".join(word(rng, training_word) for _ in range(rng.randint(1, most)))


def _field(rng: random.Random) -> str:
    return rng.choice(("name", "username", "password", "city", "date", "text", "word")) if rng.random() < 0.5 else _some(rng, 1)


def _value(rng: random.Random) -> str:
    """One to three words, a date, a time, a name of a file, or digits."""
    if rng.random() < 0.75:
        return _some(rng, rng.choice((1, 1, 3)))
    one, two, three = (rng.randint(0, 99) for _ in range(3))
    made = (f"{one:02}/{two:02}/20{three:02}", f"{one % 12 + 1}:{two:02} PM", f"{one}-{two}", f".{_some(rng, 1)}", f"{_some(rng, 1)}.{one}")
    return rng.choice(made)


def readings(words: Sequence[Any], size: tuple[int, int], tag: str = "find") -> tuple[Question, ...]:
    """`find "word"` for every word that stands on the screen once, `read [x,y]` for every fourth word that is not too long to be typed."""
    found = list[Question]()
    bares = [bare(text) for text, _, _ in words]
    times = Counter(shown.lower() for shown in bares)
    for number, (shown, (text, box, columns)) in enumerate(zip(bares, words, strict=True)):
        place = Click(point=Thousandths.of((int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)), size))
        call = ACTIONS.render(place)
        if len(shown) > 1 and times[shown.lower()] == 1:
            found.append(Question(find_text(shown), call, (tuple(box),), "unseen" if held_out(shown) else tag, sought=shown))
        if number % 4 == 0 and 1 < len(shown) <= 16:
            x, y = place.point.x, place.point.y
            first = text.index(shown)
            letter = Word(shown, tuple(columns[first : first + len(shown)]), (box[1] + box[3]) / 2)
            found.append(Question(f"read [{x},{y}]", ACTIONS.render(Type(text=shown)), (), "read", letter))
    return (*found, *_phrases(words, size))


def _phrases(words: Sequence[Any], size: tuple[int, int]) -> Iterator[Question]:
    """`find "two words"` for neighbours on a line, now and then."""
    for (first, a, _), (second, b, _) in list(pairwise(words))[::3]:
        beside = abs(a[1] - b[1]) < 3 and 0 < b[0] - a[2] < 12
        if beside and not held_out(first) and not held_out(second):
            box = a[0], min(a[1], b[1]), b[2], max(a[3], b[3])
            place = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            call = ACTIONS.render(Click(point=Thousandths.of(place, size)))
            asked = f"{first} {bare(second)}"
            yield Question(find_text(asked), call, (box,), "phrase", sought=asked)


def lessons(folders: Sequence[Path], protocol: str) -> Iterator[Lesson]:
    """The steps of the same trajectories as a protocol puts them to a model, with the action as the reply.

    Where the protocol has the model think first, the reply begins with the recorded thought, or an empty one. Raises EvalError as
    `examples` does.
    """
    found = False
    for folder in (place for data in folders for place in _trajectories(data)):
        _, trajectory, labels = _taught(folder) or ("", None, [])
        for step, label in zip(trajectory.steps if trajectory else (), labels, strict=False):
            if label is not None and step.action is not None and trajectory is not None:
                prompt = make_prompt(protocol, "desktop" if step.seen.url is None else "browser")
                found, config = True, prompt.generation()
                thought = f"<think>{step.completion.reasoning}</think>\n" if config.thinking else ""
                messages = tuple(prompt.render(trajectory.task, trajectory.steps[: step.index], step.seen))
                yield Lesson(messages, config, thought + prompt.actions.render(step.action))
    if not found:
        raise EvalError(f"{', '.join(map(str, folders))}: there are no demonstrations to learn from.")
