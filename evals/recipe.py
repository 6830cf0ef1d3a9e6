"""What is run, in plain values: enough to build it here, in another process, or on another day. Knows no folder and runs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from evals.base import Benchmark, EvalError, make_benchmark
from evals.scripts import StandIn, stand_in
from evals.worker import PerEpisode
from model.base import Model

Actor = Literal["model"] | StandIn


@dataclass(frozen=True, slots=True)
class Recipe:
    """A benchmark and who acts in it.

    options: the benchmark's own, as keywords of its `make`. agent: a model, or who stands in for one. model: "tiny", a checkpoint folder or
    a hub id; loading: keywords of `model.load_model`. prompt: None is the checkpoint's own, else tool_call. replay: a run's folder, whose
    episodes are done again.
    """

    benchmark: str
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    agent: Actor = "model"
    model: str = "tiny"
    loading: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    replay: Path | None = None

    def make(self) -> Benchmark:
        """Raises EvalError for a benchmark, a task or an option that does not exist."""
        try:
            return make_benchmark(self.benchmark, tasks=self.tasks, seeds=self.seeds, **self.options)
        except TypeError as error:
            unknown = re.search(r"(?:unexpected keyword|multiple values for( keyword)?) argument ('\w+')", str(error))
            if not unknown:
                raise
            flag = ": it has a flag of its own" if "multiple" in unknown[0] else ""
            raise EvalError(f"{self.benchmark} has no option {unknown[2].replace('_', '-')}{flag}.") from None

    def actor(self) -> tuple[Model | PerEpisode, str]:
        """Who acts, and the protocol it writes in. Raises EvalError or ModelError when there is none such."""
        if self.agent == "model":
            loaded = load(self.model, self.prompt, **self.loading)
            return cast("Model", loaded), self.prompt or own_prompt(loaded)
        return stand_in(self.agent, self.make, self.replay)

    def about(self) -> dict[str, Any]:
        """For run.json; JSON only. Under "options" what episodes depend on: a type of numbers that was asked for, too."""
        plain = json.loads(json.dumps(asdict(self), default=str))
        dtype = {} if self.loading.get("dtype", "auto") == "auto" else {"dtype": plain["loading"]["dtype"]}
        return {"recipe": plain, "agent": self.agent, "options": {"tasks": plain["tasks"], **plain["options"], **dtype}}


def load(model: str, prompt: str | None = None, *, tensor_parallel: int | None = None, **loading: Any) -> Any:
    """A checkpoint, loaded. Raises EvalError for a prompt that does not exist, before the weights are read; ModelError as `load_model`."""
    from agent.prompts.base import prompts
    from model import load_model
    from model.parallel import led

    if prompt not in (None, *prompts()):
        raise EvalError(f"There is no prompt {prompt!r}; there are: {', '.join(prompts())}.")
    loaded = load_model(model, tensor_parallel=tensor_parallel, **loading)
    return led(loaded) if tensor_parallel else loaded


def own(model: Any) -> dict[str, Any]:
    """What a checkpoint says of its own use, under "glimpse" in its config.json: prompt, viewport, region, scale."""
    return dict(model.settings)


def own_prompt(model: Any) -> str:
    """The protocol a checkpoint was trained with, else tool_call."""
    return str(own(model).get("prompt", "tool_call"))
