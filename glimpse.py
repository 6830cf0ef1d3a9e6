"""Glimpse's front door: the command line and the public names. Knows everyone, holds no logic.

The names are looked up when they are first used, so importing this loads no model and no browser.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evals import options as o
from evals.commands import data, models, read_size
from evals.eval_command import commands

if TYPE_CHECKING:
    from agent.agent import Agent
    from agent.base import Step
    from agent.policy import Limits
    from agent.record import RecordError
    from agent.trajectory import Trajectory
    from environments.base import ActionError, Box, Environment, EnvironmentFault, Observation, Point
    from environments.browser import BrowserEnvironment, BrowserOptions
    from environments.desktop import DesktopEnvironment, DesktopOptions
    from environments.static import StaticEnvironment
    from evals.base import Benchmark, EvalError, Score, Task, make_benchmark
    from model import load_model
    from model.base import Completion, GenerationConfig, Message, Model, ModelError
    from model.scripted import ScriptedModel
    from tools.base import ActionSpace, ParseError, Tool, ToolResult

__all__ = [
    "ActionError", "ActionSpace", "Agent", "Benchmark", "Box", "BrowserEnvironment", "BrowserOptions", "Completion", "DesktopEnvironment",
    "DesktopOptions", "Environment",
    "EnvironmentFault", "EvalError", "GenerationConfig", "Limits", "Message", "Model", "ModelError", "Observation", "ParseError", "Point",
    "RecordError", "Score", "ScriptedModel", "StaticEnvironment", "Step", "Task", "Tool", "ToolResult", "Trajectory", "load_model",
    "main", "make_benchmark",
]  # fmt: skip

_HOMES = {
    "agent.agent": "Agent",
    "agent.base": "Step",
    "agent.policy": "Limits",
    "agent.record": "RecordError",
    "agent.trajectory": "Trajectory",
    "environments.base": "ActionError Box Environment EnvironmentFault Observation Point",
    "environments.browser": "BrowserEnvironment BrowserOptions",
    "environments.desktop": "DesktopEnvironment DesktopOptions",
    "environments.static": "StaticEnvironment",
    "evals.base": "Benchmark EvalError Score Task make_benchmark",
    "model": "load_model",
    "model.base": "Completion GenerationConfig Message Model ModelError",
    "model.scripted": "ScriptedModel",
    "tools.base": "ActionSpace ParseError Tool ToolResult",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("glimpse")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


app = typer.Typer(
    help="A GUI agent around Glm4vMoe: it looks at a screenshot and clicks.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 environment or model error, 130 stopped by Ctrl-C. --debug shows a stack trace.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(commands)
app.add_typer(data)
app.add_typer(models, name="model")


@app.callback(invoke_without_command=True)
def front(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error; may stand anywhere.")] = False,
) -> None:
    if version:
        print(f"glimpse {metadata.version('glimpse')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def run(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="What to do, in plain words.")],
    url: Annotated[str | None, typer.Option(help="The page to start at, in a browser.")] = None,
    desktop: o.DesktopOption = None,
    start: Annotated[list[str] | None, typer.Option(help="A program to start on a virtual desktop; may be given again.")] = None,
    monitor: Annotated[int, typer.Option(min=0, help="Of the desktop: 1 is the first, 0 all together.")] = 1,
    out: o.OutOption = None,
    model: o.ModelOption = "tiny",
    prompt: o.PromptOption = None,
    grammar: o.GrammarOption = "actions",
    max_steps: Annotated[int, typer.Option(min=1)] = 30,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long.")] = None,
    viewport: o.ViewportOption = None,
    scale: o.ScaleOption = None,
    headed: o.HeadedOption = False,
    profile: Annotated[Path | None, typer.Option(help="Folder that keeps cookies and logins between runs.")] = None,
    device_map: o.DeviceOption = None,
    offload_folder: o.OffloadOption = None,
    tensor_parallel: o.ParallelOption = None,
    dtype: o.DtypeOption = "auto",
) -> None:
    """Do a task in a browser, or on a desktop."""
    from agent.agent import Agent
    from agent.policy import Limits
    from agent.trajectory import META
    from evals.folder import check_out, new_folder
    from evals.recipe import load, own, own_prompt
    from evals.report import Terminal, step_line

    _check_place(context, url, desktop)
    console, out, size = Terminal(), out or new_folder(task), read_size(viewport)
    check_out(out, META)
    fresh = not out.exists()
    placed: dict[str, Any] = {
        "dtype": dtype,
        "device_map": device_map,
        "offload_folder": offload_folder,
        "tensor_parallel": tensor_parallel,
    }
    loaded = load(model, prompt, **placed)
    place: Environment
    if url is None:
        place = _desktop(str(desktop), size, monitor, scale, tuple(start or ()))
    else:
        place = _browser(url, size, scale, own(loaded), headed, profile, out / "downloads")
    with place as env:
        agent = Agent(
            loaded,
            env,
            prompt=prompt or own_prompt(loaded),
            limits=Limits(max_steps=max_steps, max_seconds=seconds),
            grammar=grammar,
            ask=_asked if sys.stdin.isatty() else None,
            on_step=lambda step: console.print(step_line(step), soft_wrap=True),
        )
        trajectory = agent.run(task, out=out)
    _ended(trajectory, out, fresh)


def _check_place(context: typer.Context, url: str | None, desktop: str | None) -> None:
    """Raise BadParameter unless there is one place to act in, EvalError for options that would do nothing there."""
    if (url is None) == (desktop is None):
        raise typer.BadParameter("Give either --url, for a browser, or --desktop.")
    o.refuse(context, ["start", "monitor"] if desktop is None else ["headed", "profile"], f"not with --{'url' if url else 'desktop'}")
    if desktop not in (None, "virtual"):
        o.refuse(context, ["viewport", "scale"], "of a page or of --desktop virtual: this screen is as it is")


def _asked(question: str) -> str:
    """A person's answer. Raises KeyboardInterrupt at Ctrl-C and Ctrl-D: that stops the run."""
    try:
        return str(typer.prompt(question))
    except typer.Abort:
        raise KeyboardInterrupt from None


def _ended(trajectory: Trajectory, out: Path, fresh: bool) -> None:
    """Say how a run ended. fresh: its folder was made for it."""
    from environments.base import EnvironmentFault

    if fresh and trajectory.status == "error" and not trajectory.steps:
        rmtree(out)  # nothing was seen, so nothing is left behind
    else:
        print(f"{trajectory.status}: {trajectory.answer or trajectory.reason}\nRun folder: {out}")
    if trajectory.status == "error":
        fault = EnvironmentFault(trajectory.reason)
        fault.add_note(str(trajectory.meta["fault"]))
        raise fault
    raise typer.Exit({"done": 0, "stopped": 130}.get(trajectory.status, 1))


def _browser(
    url: str, size: tuple[int, int] | None, scale: float | None, own: dict[str, Any], headed: bool, profile: Path | None, downloads: Path
) -> Environment:
    from environments.browser import BrowserEnvironment, BrowserOptions

    view: dict[str, Any] = {"viewport": size} if size else {key: own[key] for key in ("viewport", "region") if key in own}
    options = BrowserOptions(profile=profile, downloads=downloads)
    return BrowserEnvironment(url, **view, scale=scale or own.get("scale", 1.0), headless=not headed, options=options)


def _desktop(display: str, size: tuple[int, int] | None, monitor: int, scale: float | None, start: tuple[str, ...]) -> Environment:
    from environments.desktop import DesktopEnvironment, DesktopOptions

    if start and display != "virtual":
        raise typer.BadParameter("--start needs --desktop virtual: on your own screen start programs yourself.")
    options = DesktopOptions(start=start, scale=scale or 1.0)
    return DesktopEnvironment(display=None if display == "current" else display, size=size or (1280, 720), monitor=monitor, options=options)


@app.command()
def stop() -> None:
    """Stop everything that acts on a desktop for this user: before its next action, keys and buttons released."""
    from environments.desktop.stop import pull

    print(f"Stopping what acts on a desktop ({pull()}).")


@app.command()
def setup(
    desktop: Annotated[bool, typer.Option("--desktop", help="And what a virtual desktop needs.")] = False,
    desktop_suite: Annotated[bool, typer.Option("--desktop-suite", help="And the programs of the benchmark desktop.")] = False,
) -> None:
    """Get a browser and its fonts, if they are missing."""
    from environments.browser.install import install
    from environments.desktop.install import install as install_desktop
    from evals.checks.apps import SUITE, missing

    def say(line: str) -> None:
        print(line, flush=True)

    install(say)
    if desktop or desktop_suite:
        install_desktop(say, missing(SUITE) if desktop_suite else ())


@app.command()
def doctor() -> None:
    """Say what this machine has for the job, and how to get what is missing."""
    from evals.doctor import checks

    found = checks()
    for check in found:
        state = "ok" if check.ok else "missing" if check.needed else "optional"
        print(f"{state:9} {check.part:15} {check.found}{f' – to get it: {check.remedy}' if check.remedy else ''}")
    raise typer.Exit(0 if all(check.ok or not check.needed for check in found) else 3)


def _told(fault: Exception) -> tuple[str, int]:
    """One line for a person, and the exit code: 2 for a request that cannot be met, 3 for what failed although the request was right."""
    from agent.record import RecordError
    from environments.base import EnvironmentFault
    from evals.base import EvalError
    from model.base import ModelError

    usage = typer.BadParameter.mro()[1]  # click's UsageError, which typer keeps under changing names
    code = 2 if isinstance(fault, EvalError | RecordError | OSError | usage) else 3
    text = " ".join(str(getattr(fault, "format_message", fault.__str__)()).split())
    if code == 3 and not isinstance(fault, EnvironmentFault | ModelError):
        text = f"{type(fault).__name__}: {text} (--debug shows where)"
    return text, code


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ends the process with its exit code. An error is one line, and a stack trace with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app([argument for argument in given if argument != "--debug"], standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as fault:  # the border of the process: whatever it is, the user gets one line and an exit code
        if "--debug" in given:
            raise
        text, code = _told(fault)
        print(f"glimpse: {text}", file=sys.stderr)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
