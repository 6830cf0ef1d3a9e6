"""From what the sides measured to the figures that are asked for. Runs nothing; knows no engine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.limit import Machine, Work
from benchmarks.sides import BATCH
from benchmarks.trajectory import NEW_TOKENS, PATCHES

Figures = dict[str, Any]


def compare(found: Mapping[str, Figures], work: Work, machine: Machine) -> Figures:
    """found: what the sides "ours", "plain" and "peer" gave, as far as they were run."""
    steps = found["ours"]["steps"]
    limit = _limits(work, machine, _typical(steps["prompts"]))
    over = [seconds / least["total"] for seconds, least in zip(steps["seconds"], limit, strict=True)]
    last = len(over)
    figures = {
        "parameters": work.parameters, "active": work.active, "kv_bytes": (_typical(steps["prompts"])[-1] + NEW_TOKENS) * work.kv_token,
        "flops": machine.flops, "bandwidth": machine.bandwidth, "products": machine.products, "reads": machine.reads,
        "ours": steps, "limit": limit, "times_limit": over, f"times_limit_step{last}": over[-1], "growth_over_limit": over[-1] / over[1],
    }  # fmt: skip
    if "plain" in found:
        theirs = found["plain"]["steps"]
        figures |= {"plain": theirs, f"speedup_step{last}": theirs["seconds"][-1] / steps["seconds"][-1]}
        figures |= {"token_identical": _identical(theirs, steps)}
    return figures | _batch(found["ours"].get("batch"), work, machine) | _replies(found["ours"], work, machine) | _peer(found)


def _limits(work: Work, machine: Machine, prompts: Sequence[int]) -> list[dict[str, float]]:
    """The least time of each step of a trajectory whose prompts are so long."""
    known = [0, *(length + NEW_TOKENS - 1 for length in prompts[:-1])]
    return [
        machine.step(work, patches=PATCHES, new=length - before, context=before, decoded=NEW_TOKENS)
        for length, before in zip(prompts, known, strict=True)
    ]


def _typical(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The median length of each step's prompt."""
    return [round(statistics.median(lengths)) for lengths in zip(*prompts, strict=True)]


def _identical(theirs: Figures, ours: Figures) -> bool:
    """Whether every prompt was as long and every reply the same."""
    return bool(theirs["replies"] == ours["replies"] and theirs["prompts"] == ours["prompts"])


def _batch(batch: Figures | None, work: Work, machine: Machine) -> Figures:
    if batch is None:
        return {}
    return {
        "batch": batch,
        "batch4_throughput_ratio": batch["steps_4"] / batch["steps_1"],
        "batch4_decode_ratio": batch["decode_4"] / batch["decode_1"],
        "batch4_limit_ratio": _batch_limit(work, machine, batch["prompts"]),
    }


def _batch_limit(work: Work, machine: Machine, prompts: Sequence[int]) -> float:
    """What four trajectories at once would gain if every one of their steps took the limit's time: reading weights is all they share."""
    one = four = 0.0
    for before, length in pairwise(prompts):
        known = before + NEW_TOKENS - 1
        for together in (1, BATCH):
            least = machine.step(work, patches=PATCHES, new=length - known, context=known, decoded=NEW_TOKENS, together=together)["total"]
            one, four = (one + least, four) if together == 1 else (one, four + least)
    return BATCH * one / four


def _replies(ours: Figures, work: Work, machine: Machine) -> Figures:
    found: Figures = {}
    if grammar := ours.get("grammar"):
        found |= {"forced_token_share": grammar["forced"] / grammar["written"], "replies_read": grammar["read"] / grammar["replies"]}
        found |= {"grammar": grammar}
    if long := ours.get("long"):
        seconds = long["seconds"]
        found |= {"long_run_growth": _growth(seconds), "long_run_limit_growth": _growth(_long_limits(long, work, machine)), "long": long}
    return found


def _growth(seconds: Sequence[float]) -> float:
    """Of fifty steps: the median of the last ten over that of the second ten."""
    return statistics.median(seconds[40:50]) / statistics.median(seconds[10:20])


def _long_limits(long: Figures, work: Work, machine: Machine) -> list[float]:
    """The least time of each step of the long run: what it had to read anew, behind what was known."""
    return [
        machine.step(work, patches=PATCHES, new=prompt - cached, context=cached, decoded=NEW_TOKENS)["total"]
        for prompt, cached in zip(long["prompts"], long["cached"], strict=True)
    ]


def _peer(found: Mapping[str, Figures]) -> Figures:
    if "peer" not in found:
        return {}
    theirs, ours = found["peer"], found["ours"]
    ratios = {"peer_ratio": theirs["steps"]["total"] / ours["steps"]["total"]}
    if "batch" in theirs and "batch" in ours:
        ratios |= {"peer_batch4_ratio": ours["batch"]["steps_4"] / theirs["batch"]["steps_4"]}
    return {"peer": theirs["steps"], "peer_token_identical": _identical(theirs["steps"], ours["steps"]), **ratios} | (
        {"peer_batch": theirs["batch"]} if "batch" in theirs else {}
    )
