"""`glimpse eval`, `glimpse demo` and `glimpse benchmarks`: from options to a run."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from rich.console import Console

from agent.policy import Limits
from evals import options as o
from evals.base import EvalError, benchmarks, make_benchmark, parse_names, parse_seeds
from evals.catalogue import catalogue
from evals.folder import check_out, new_folder, read_about, write_summary
from evals.plan import STALL, Plan, parse_shard
from evals.recipe import Recipe, load, own, own_prompt
from evals.report import table
from evals.runner import BY_HAND, Again

if TYPE_CHECKING:
    from evals.grounding.items import Grounding
    from model.base import Model

commands = typer.Typer(rich_markup_mode=None)


@commands.command("eval")
def evaluate(
    context: typer.Context,
    benchmark: Annotated[str, typer.Argument(help="Its name; `glimpse eval list` lists them.")],
    tasks: o.TasksOption = "",
    seeds: o.SeedsOption = "",
    out: o.OutOption = None,
    model: o.ModelOption = "tiny",
    prompt: o.PromptOption = None,
    grammar: o.GrammarOption = "actions",
    max_steps: o.StepsOption = None,
    seconds: o.SecondsOption = None,
    limit: o.LimitOption = None,
    repeats: o.RepeatsOption = 1,
    shard: o.ShardOption = None,
    workers: o.WorkersOption = 1,
    retries: o.RetriesOption = 2,
    stall: o.StallOption = STALL,
    resume: o.ResumeOption = False,
    retry_errors: o.RetryErrorsOption = False,
    failed_only: o.FailedOnlyOption = False,
    headed: o.HeadedOption = False,
    environment: o.EnvironmentOption = None,
    suite: o.SuiteOption = None,
    assets: o.AssetsOption = None,
    data: o.DataOption = None,
    responses: o.ResponsesOption = None,
    coordinates: o.CoordinatesOption = "thousandths",
    option: o.BenchmarkOption = None,
    agent: o.AgentOption = "model",
    replay: o.ReplayOption = None,
    cluster: o.ClusterOption = None,
    gpus: o.GpusOption = 0.0,
    device_map: o.DeviceOption = None,
    offload_folder: o.OffloadOption = None,
    tensor_parallel: o.ParallelOption = None,
    dtype: o.DtypeOption = "auto",
) -> None:
    """Run a benchmark and report success rates. `glimpse eval list` lists them."""
    if benchmark == "list":
        Console().print(catalogue())
        return
    _refuse_idle(context, benchmark, agent, cluster)
    again, out = _folder(benchmark, out, resume, retry_errors, failed_only)
    given = {"headless": not headed, "environment": environment, "suite": suite, "assets": assets, "data": data, **_named(option)}
    options = _known(benchmark, given)
    loading = {"dtype": dtype, "device_map": device_map, "offload_folder": offload_folder, "tensor_parallel": tensor_parallel}
    recipe = Recipe(benchmark, parse_names(tasks), parse_seeds(seeds), options, agent, model, loading, prompt, replay)
    if is_grounding(benchmark):
        ground(recipe, out, responses=responses, coordinates=coordinates, limit=limit, resume=again != "no", workers=workers)
    part = None if shard is None else parse_shard(shard)
    plan = Plan(prompt or "", Limits(max_seconds=seconds), grammar, max_steps, limit, repeats, part, workers, retries, stall)
    run_recipe(recipe, out, plan, again=again, cluster=cluster, gpus=gpus)


@commands.command()
def demo() -> None:
    """Run the embedded model on MiniWoB++: 24 real episodes in a real browser."""
    tasks = ("click-test-2", "click-tab", "click-dialog-2", "enter-text")
    run_recipe(Recipe("miniwob", tasks, tuple(range(6))), new_folder("demo"), Plan(""))


@commands.command("benchmarks")
def list_benchmarks(benchmark: Annotated[str | None, typer.Argument(help="List this one's tasks.")] = None) -> None:
    """List the benchmarks, or the tasks of one."""
    names = benchmarks() if benchmark is None else dict.fromkeys(task.id for task in make_benchmark(benchmark).tasks())
    print("\n".join(names))


@commands.command()
def rejudge(
    folder: Annotated[Path, typer.Argument(help="Folder of a run of webvoyager or online_mind2web.")],
    judge: Annotated[str, typer.Option(help="A .json of verdicts, or a model.")],
) -> None:
    """Judge a recorded run without running it again; what was said before is kept."""
    from evals.html import write_report
    from evals.judge import Judge, judge_of
    from evals.judge import rejudge as judge_again
    from evals.summary import summarise

    about = read_about(folder)
    kind = getattr(importlib.import_module(f"evals.{about['benchmark']}"), "JUDGE", None) if about["benchmark"] in benchmarks() else None
    if kind is None:
        raise EvalError(f"{folder} holds a run of {about['benchmark']}, which is not scored by a judge.")
    episodes = judge_again(folder, judge_of(judge, cast("Callable[[Model], Judge]", kind)))
    asked = [tuple(episode) for episode in about["episodes"]]
    summary = summarise((about["benchmark"], about["version"]), episodes, len(asked), asked=asked)
    write_summary(folder, summary, episodes)
    Console().print(table(summary))
    print(f"Report: {write_report(folder)}")


def run_recipe(recipe: Recipe, out: Path, plan: Plan, *, again: Again = "no", cluster: str | None = None, gpus: float = 0.0) -> None:
    """Run it, tell it on the terminal, and end the process with the exit code: 0 when every episode ran, 130 when stopped, else 3.

    The plan's prompt is filled in: it is known once the model is.
    """
    from evals.telling import run_and_tell

    recipe.make().close()  # what does not exist is told before a model is loaded
    if cluster is None:
        actor, protocol = recipe.actor()
        summary = run_and_tell(recipe.make, actor, out, replace(plan, prompt=protocol), again=again, about=recipe.about())
    else:
        from evals.cluster import on_cluster

        with on_cluster(cluster, recipe, plan, gpus) as (hire, named, protocol):
            summary = run_and_tell(recipe.make, named, out, replace(plan, prompt=protocol), again=again, about=recipe.about(), hire=hire)
    raise typer.Exit(130 if summary.stopped == BY_HAND else 3 if summary.stopped or not summary.complete else 0)


_OF_EPISODES = ["grammar", "max_steps", "seconds", "repeats", "shard", "retries", "stall", "retry_errors", "failed_only"]
_OF_EPISODES += ["replay", "cluster"]
_OF_ITEMS = ("responses", "coordinates")
"""Parameters of `eval` for benchmarks of episodes, and for grounding benchmarks."""


def _refuse_idle(context: typer.Context, benchmark: str, agent: str, cluster: str | None) -> None:
    """Raise EvalError for options that would do nothing here."""
    if benchmark in benchmarks() and is_grounding(benchmark):
        o.refuse(context, _OF_EPISODES, f"for benchmarks of episodes; {benchmark} asks a question about each screenshot")
    else:
        o.refuse(context, _OF_ITEMS, f"for grounding benchmarks; {benchmark} has episodes")
    if agent != "replay":
        o.refuse(context, ["replay"], "the run that --agent replay does again")
    if cluster is None:
        o.refuse(context, ["gpus"], "of each worker on a --cluster")


def is_grounding(benchmark: str) -> bool:
    """Whether a benchmark is made of single questions about screenshots (see evals/grounding)."""
    return bool(importlib.import_module(f"evals.{benchmark}").make.__annotations__.get("return") == "Grounding")


def ground(recipe: Recipe, out: Path, *, responses: Path | None, **settings: Any) -> NoReturn:
    """Judge a file of responses, or ask the recipe's model, and end the process with the exit code of `evals.grounding.run.evaluate`."""
    from evals.grounding import ask
    from evals.grounding.find import Finder
    from evals.grounding.run import evaluate

    if recipe.agent != "model":
        raise EvalError("A grounding benchmark is answered by a model or by --responses, not by a stand-in.")
    chosen, prompt = cast("Grounding", recipe.make()), recipe.prompt
    ask.question(prompt)  # what does not exist is told before a model is loaded
    model = None if responses is not None else load(recipe.model, **recipe.loading)
    if model is not None and own_prompt(model) == "compact" and prompt in (None, "compact"):
        model, prompt = Finder(model, own(model)), "compact"
    raise typer.Exit(evaluate(chosen, out, model=model, prompt=prompt, responses=responses, **settings))


def _folder(benchmark: str, out: Path | None, resume: bool, errors: bool, failed: bool) -> tuple[Again, Path]:
    """Where to record, and what is to be done with what may lie there."""
    if (resume or errors or failed) and out is None:
        raise typer.BadParameter("--resume, --retry-errors and --failed-only go on with a run: name its folder with --out.")
    again: Again = "failed" if failed else "errors" if errors else "resume" if resume else "no"
    out = out or new_folder(benchmark)
    if again == "no":
        check_out(out)
    return again, out


def _named(texts: list[str] | None) -> dict[str, Any]:
    """{"name": value} of "name=value"; numbers and truth values as such."""
    found: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{text!r} is no option of a benchmark: write name=value.")
        found[name] = value
        with suppress(ValueError):
            found[name] = json.loads(value)
    return found


def _known(benchmark: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; without `headless` where a benchmark has no browser to show."""
    if benchmark not in benchmarks():
        raise EvalError(f"There is no benchmark {benchmark!r}; there are: {', '.join(benchmarks())}.")
    takes = inspect.signature(importlib.import_module(f"evals.{benchmark}").make).parameters
    shown = "headless" in takes or any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    return {name: value for name, value in given.items() if value is not None and (shown or name != "headless")}
