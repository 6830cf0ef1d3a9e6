"""What is driven and timed. Each side is a function of a plan that gives plain numbers, so that it can run in a process of its own."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoint
from benchmarks.trajectory import NEW_TOKENS, Episode, screenshot
from model.base import GenerationConfig, Model, ScreenshotWindow

PARTS = ("steps", "batch", "grammar", "long")
BATCH, BATCH_STEPS, DECODED = 4, 5, 64
LONG_STEPS, WINDOW = 50, ScreenshotWindow(keep=4, drop=4)
REPLIES = 12
SHORT = {"prose": 40, "text": 20, "item": 20, "items": 2}
"""Characters of free text, and items of a list, in a reply: those of a short sentence. A random model would never end one by itself."""
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. parts: which of PARTS; steps of a trajectory and how many trajectories; peer: "vllm" or nothing."""

    model: str
    folder: Path
    parts: tuple[str, ...] = PARTS
    steps: int = 12
    repeat: int = 3
    peer: str = ""

    @property
    def checkpoint(self) -> Path:
        return checkpoint(self.model, self.folder)


def note(text: str) -> None:
    """Progress, which is no part of the result."""
    print(text, file=sys.stderr, flush=True)


def ours(plan: Plan) -> Figures:
    """All parts with the engine of this project."""
    from model import load_model

    model = load_model(plan.checkpoint)
    model.name = "glimpse"
    parts: dict[str, Callable[[Model], Figures]] = {"batch": batch, "grammar": grammar, "long": long_run}
    return {"steps": trajectories(model, plan)} | {name: part(model) for name, part in parts.items() if name in plan.parts}


def plain(plan: Plan) -> Figures:
    """The trajectories with the library's generate."""
    from benchmarks.plain import PlainTransformers

    return {"steps": trajectories(PlainTransformers(plan.checkpoint), plan)}


def peer(plan: Plan) -> Figures:
    """The trajectories, and four at once, with vLLM's server."""
    from benchmarks.vllm_server import serve

    with serve(plan.checkpoint, plan.folder) as model:
        steps = trajectories(model, plan) | {"rss": model.memory()}
        return {"steps": steps} | ({"batch": batch(model)} if "batch" in plan.parts else {})


def trajectories(model: Model, plan: Plan) -> Figures:
    """Seconds of each step (medians), and of each trajectory its replies and the lengths of its prompts, after a short one to warm up."""
    Episode(0).run(model, 2, note=lambda text: note(f"{model.name}: warm-up, {text}"))
    runs = [Episode(1 + i).run(model, plan.steps, note=lambda text: note(f"{model.name}: {text}")) for i in range(plan.repeat)]
    return {
        "name": model.name,
        "seconds": [statistics.median(run[step].seconds for run in runs) for step in range(plan.steps)],
        "total": statistics.median(sum(turn.seconds for turn in run) for run in runs),
        "replies": [[turn.completion.content for turn in run] for run in runs],
        "prompts": [[turn.completion.prompt_tokens for turn in run] for run in runs],
        "cached": [[turn.completion.cached_tokens for turn in run] for run in runs],
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def batch(model: Model, seed: int = 100) -> Figures:
    """Tokens a second of one trajectory and of four at once: over whole steps 2 to 6, and decoding alone behind prompts that are known."""
    found: Figures = {}
    for count in (1, BATCH):
        episodes = [Episode(seed + count + i) for i in range(count)]
        _at_once(lambda episode: episode.run(model, 1), episodes)
        steps = _at_once(lambda episode: episode.run(model, BATCH_STEPS), episodes)
        _decode(model, episodes, 1)  # now the last observations are known, too
        decode = _decode(model, episodes, 1 + DECODED) - _decode(model, episodes, 1)
        found[f"steps_{count}"], found[f"decode_{count}"] = count * NEW_TOKENS * BATCH_STEPS / steps, count * DECODED / decode
        found["prompts"] = [turn.completion.prompt_tokens for turn in episodes[0].turns]
        note(f"{model.name}: {count} at once, {found[f'steps_{count}']:.1f} tokens/s; decoding alone {found[f'decode_{count}']:.1f}")
    return found


def _decode(model: Model, episodes: Sequence[Episode], tokens: int) -> float:
    return _at_once(lambda episode: model.generate(episode.messages, GenerationConfig(max_tokens=tokens)), episodes)


def _at_once(run: Callable[[Episode], object], episodes: Sequence[Episode]) -> float:
    """Seconds until all are through, one thread each."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(episodes)) as pool:
        list(pool.map(run, episodes))
    return time.perf_counter() - began


def grammar(model: Model) -> Figures:
    """Replies drawn at random under the desktop protocol's grammar: how many of their tokens were forced, how many of them can be read."""
    from agent.prompts.desktop import DesktopPrompt
    from environments.base import Observation
    from tools.base import ParseError
    from tools.grammar import Bounds

    prompt = DesktopPrompt("desktop", bounds=Bounds(**SHORT))
    config = replace(prompt.generation(), thinking=False, max_tokens=2048, temperature=1.0)
    found: Figures = {"forced": 0, "written": 0, "read": 0, "replies": REPLIES, "bounds": SHORT}
    for reply in range(REPLIES):
        seen = Observation(screenshot(200, reply))
        completion = model.generate(prompt.render("Write a letter.", [], seen), replace(config, seed=reply))
        found["forced"] += completion.forced_tokens
        found["written"] += completion.completion_tokens
        note(f"{model.name}: grammar, {completion.forced_tokens} of {completion.completion_tokens} tokens forced")
        try:
            found["read"] += bool(prompt.read(completion, seen))
        except ParseError as error:
            note(f"  cannot be read: {error}")
    return found


def long_run(model: Model) -> Figures:
    """Fifty steps with old screenshots dropped in blocks."""
    config = GenerationConfig(max_tokens=NEW_TOKENS, window=WINDOW)
    turns = Episode(300).run(model, LONG_STEPS, config, lambda text: note(f"{model.name}: long, {text}"))
    prompts, cached = zip(*((turn.completion.prompt_tokens, turn.completion.cached_tokens) for turn in turns), strict=True)
    return {"seconds": [turn.seconds for turn in turns], "prompts": prompts, "cached": cached}
