"""Runs of one configuration as one: the shards of several machines put together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.base import EvalError
from evals.episode import episode_key
from evals.folder import EPISODES, RESULT, RUN, check_out, locked, read_about, read_episodes, write_json, write_summary
from evals.summary import Summary, summarise


def merge(parts: Sequence[Path], out: Path) -> Summary:
    """Copy the episodes of several runs into one new folder, and count them together.

    Raises EvalError when two are of different configurations or plan the same episode, or `out` holds a run already.
    """
    check_out(out)
    abouts = [read_about(part) for part in parts]
    first = abouts[0]
    if whole := next((part for part, about in zip(parts, abouts, strict=True) if "config_hash" not in about), None):
        raise EvalError(f"{whole} is a run of a grounding benchmark, which has no shards to be merged: run it whole, with --workers.")
    planned: dict[str, tuple[Path, list[Any]]] = {}
    for part, about in zip(parts, abouts, strict=True):
        if about["config_hash"] != first["config_hash"]:
            raise EvalError(f"{part} and {parts[0]} are runs of different configurations; glimpse compare says how they differ.")
        for task, seed, repeat in about["episodes"]:
            key = episode_key(task, seed, repeat)
            if key in planned:
                raise EvalError(f"The episode {key} is in {planned[key][0]} and in {part}: an episode counts once.")
            planned[key] = part, [task, seed, repeat]
    shards = [tuple(about["shard"]) for about in abouts if about["shard"]]
    if missing := [f"{i}/{of}" for of in {of for _, of in shards} for i in range(1, of + 1) if (i, of) not in shards]:
        raise EvalError(f"The shards are not all here: {', '.join(missing)} missing.")
    with locked(out):
        (out / EPISODES).mkdir(exist_ok=True)
        for key, (part, _) in planned.items():
            if (part / EPISODES / key / RESULT).exists():
                shutil.copytree(part / EPISODES / key, out / EPISODES / key, dirs_exist_ok=True)
        sittings = [sitting for about in abouts for sitting in about.get("sittings", [])]
        merged = {
            **first,
            "shard": None,
            "sittings": sittings,
            "episodes": [episode for _, episode in planned.values()],
            "parts": [str(part) for part in parts],
        }
        write_json(out / RUN, merged)
        summary = summarise(
            (first["benchmark"], first["version"]),
            read_episodes(out),
            len(planned),
            asked=[tuple(episode) for _, episode in planned.values()],
        )
        write_summary(out, summary, read_episodes(out))
    return summary
