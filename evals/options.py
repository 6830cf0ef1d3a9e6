"""Options of the command line that several commands have, or that `glimpse eval` has many of. Knows no command."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import typer

from evals.base import EvalError

ModelOption = Annotated[
    str, typer.Option("--model", help="tiny (the embedded one), a checkpoint folder, or a hub id such as zai-org/GLM-4.5V.")
]
PromptOption = Annotated[
    str | None, typer.Option(help="compact, tool_call, desktop, or grounding. Default: the checkpoint's own, else tool_call.")
]
GrammarOption = Annotated[
    Literal["actions", "off"],
    typer.Option("--grammar", help="actions: a reply always holds an action. off: the model writes what it likes."),
]
OutOption = Annotated[Path | None, typer.Option(help="Folder to record in; default: a new one under runs/.")]
HeadedOption = Annotated[bool, typer.Option("--headed", help="Show the browser; needs a display.")]

ViewportOption = Annotated[
    str | None,
    typer.Option(help="Of the page, in CSS pixels, or of a virtual desktop; default: the checkpoint's own, else 1280x720."),
]
ScaleOption = Annotated[float | None, typer.Option(min=0.25, max=8, help="Screenshot pixels for one CSS pixel; default as above, else 1.")]
DesktopOption = Annotated[
    str | None, typer.Option(help="On a desktop instead: current (this session's screen), virtual, or the name of an X display.")
]

DeviceOption = Annotated[str | None, typer.Option("--device-map", help="Where the weights go: auto, cpu, cuda:0 …")]
OffloadOption = Annotated[Path | None, typer.Option("--offload-folder", help="Where weights go that device-map puts on the disk.")]
ParallelOption = Annotated[int | None, typer.Option("--tensor-parallel", min=2, help="Processes that torchrun started to share the model.")]
DtypeOption = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]

TasksOption = Annotated[str, typer.Option(help="Task names or patterns such as click-*, separated by commas; default: all.")]
SeedsOption = Annotated[str, typer.Option(help="Such as 0-49,60; default: the benchmark's own.")]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Instead of the tasks' own budgets.")]
SecondsOption = Annotated[float | None, typer.Option(min=0.1, help="An episode's time.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only the first so many episodes.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="How often each task and seed is run.")]
ShardOption = Annotated[str | None, typer.Option(help="i/n: only each n-th episode from the i-th on, for one of n machines.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Episodes at a time, each in an environment of its own; one model answers all.")]
RetriesOption = Annotated[int, typer.Option(min=0, help="How often an episode that ends in an error not the agent's is run again.")]
StallOption = Annotated[float, typer.Option(min=1, help="Seconds without a sign of life after which an environment is replaced.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
RetryErrorsOption = Annotated[bool, typer.Option("--retry-errors", help="The same, and run again what ended in an error.")]
FailedOnlyOption = Annotated[bool, typer.Option("--failed-only", help="The same, and run again all that was no success.")]
EnvironmentOption = Annotated[str | None, typer.Option(help="Of pages: browser, or desktop (a window seen by mss, a real mouse).")]
SuiteOption = Annotated[str | None, typer.Option(help="One of the benchmark's own selections, such as miniwob's smoke, core, full.")]
AssetsOption = Annotated[Path | None, typer.Option(help="Folder of what the benchmark runs, where that does not come with Glimpse.")]
DataOption = Annotated[str | None, typer.Option(help="Folder of the benchmark's records, or hub.")]
ResponsesOption = Annotated[Path | None, typer.Option(help="Of a grounding benchmark: judge this file of responses, ask no model.")]
CoordinatesOption = Annotated[
    Literal["thousandths", "pixels", "shares"], typer.Option(help="Of a grounding benchmark: what the responses are written in.")
]
BenchmarkOption = Annotated[list[str] | None, typer.Option("--option", help="name=value: another of the benchmark's; may be given again.")]
AgentOption = Annotated[
    Literal["model", "oracle", "null", "random", "replay"],
    typer.Option(
        help="model; oracle: scripts that know how; null: says it is done; random: clicks anywhere; replay: a recorded run again."
    ),
]
ReplayOption = Annotated[Path | None, typer.Option(help="Folder of the run that --agent replay does again.")]
ClusterOption = Annotated[str | None, typer.Option(help="local, or ray://host:port: run the episodes on a Ray cluster.")]
GpusOption = Annotated[float, typer.Option(min=0, help="GPUs of each worker on the cluster.")]


def refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise EvalError for those of these parameters that were given on the command line: nothing that is given is ignored in silence."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise EvalError(f"{', '.join(option.opts[0] for option in context.command.params if option.name in given)}: {why}.")
