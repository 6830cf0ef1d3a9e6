"""Commands that load no model to act with: recording and training, what came of runs, a look at checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from evals import options as o

data = typer.Typer(rich_markup_mode=None)
models = typer.Typer(help="Look at checkpoints and convert them.", rich_markup_mode=None)


@data.command()
def demos(
    benchmark: Annotated[str, typer.Argument(help="miniwob, buttons, apps; or words: little pages to learn reading on.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; what it holds already is not recorded again.")],
    seeds: Annotated[str, typer.Option(help="Such as 10000-10999; seeds below 10000 are for testing and are refused.")],
    tasks: o.TasksOption = "",
    stray: Annotated[float, typer.Option(min=0, max=1, help="Share of demonstrations that begin with a miss.")] = 0.1,
    student: Annotated[str, typer.Option(help="A checkpoint: a miss is what it does in up to three steps, not a stray click.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with a browser of its own.")] = 1,
) -> None:
    """Record demonstrations to train on: scripted oracles solve tasks through the real environment."""
    from evals.base import parse_names, parse_seeds
    from evals.demonstrations import Strays, record_all

    strays = Strays(stray, student)
    kept = record_all(benchmark, out, parse_names(tasks), parse_seeds(seeds), strays, workers, lambda line: print(line, flush=True))
    print(f"{kept} kept in {out}")


@data.command()
def find(
    words: Annotated[str, typer.Argument(help="The words, or what is written on the control.")],
    where: Annotated[str, typer.Argument(metavar="IMAGE|URL", help="A screenshot's file, or the address of a page.")],
    model: o.ModelOption = "tiny",
    scale: Annotated[
        float, typer.Option(min=0.1, help="Of a screenshot's file: its pixels for one CSS pixel; 2 on most HiDPI screens.")
    ] = 1.0,
    viewport: o.ViewportOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    draw: Annotated[Path | None, typer.Option(help="Write the screenshot with the place marked on it, as a PNG.")] = None,
    device_map: o.DeviceOption = None,
    dtype: o.DtypeOption = "auto",
) -> None:
    """Say where words or a control stand on a screenshot: a point in its pixels, and how sure the model is."""
    import json
    from dataclasses import asdict

    from evals.grounding.find import draw as mark
    from evals.grounding.find import find as search
    from evals.grounding.find import screenshot
    from evals.recipe import load, own

    image, scale = screenshot(where, read_size(viewport) or (1280, 720), scale)
    loaded = load(model, device_map=device_map, dtype=dtype)
    found = search(loaded, words, image, own(loaded), scale)
    if found is not None and draw is not None:
        mark(image, found).save(draw, "PNG")
    if as_json:
        print(json.dumps({"found": found is not None, **(asdict(found) if found else {})}))
    else:
        print(f"{found.x},{found.y}  confidence {found.confidence:.2f}" if found else f"{words!r} was not found.")
    raise typer.Exit(0 if found else 1)


_WHOLE = ["minutes", "reading_minutes", "deepen", "often", "save_minutes", "compiled"]
_ADAPTERS = ["prompt", "epochs", "device_map", "dtype"]
"""Options of `train` for a small model that is trained whole, and for adapters."""


@data.command()
def train(
    context: typer.Context,
    data: Annotated[list[Path], typer.Argument(help="Folders of demonstrations, recorded runs, or runs of a benchmark.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder; an unfinished training there is carried on.")],
    start: Annotated[Path | None, typer.Option("--from", help="Begin with this checkpoint's weights; tiny is the embedded one.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="How long to train, over all sittings.")] = 60.0,
    rate: Annotated[float | None, typer.Option(min=0, help="Peak learning rate; default 1e-3, with --lora 2e-4.")] = None,
    reading_minutes: Annotated[float, typer.Option(min=0, help="The first of them train the vision tower alone to name letters.")] = 0.0,
    deepen: Annotated[int, typer.Option(min=0, help="With --from: put so many new layers in front of the text model's.")] = 0,
    often: Annotated[str, typer.Option(help="Tasks, with commas, that are drawn four times as often as others.")] = "",
    save_minutes: Annotated[float, typer.Option(min=0.1, help="Between checkpoints, each with a validation.")] = 5.0,
    seed: int = 0,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="Use torch.compile where there is a C++ compiler.")] = True,
    lora: Annotated[int, typer.Option(min=0, help="Train adapters of this rank on any Glm4vMoe, named with --from, instead.")] = 0,
    prompt: Annotated[str, typer.Option(help="With --lora: the protocol to train in.")] = "tool_call",
    epochs: Annotated[int, typer.Option(min=1, help="With --lora: how often each step is read.")] = 1,
    device_map: o.DeviceOption = None,
    dtype: o.DtypeOption = "auto",
) -> None:
    """Train a small Glm4vMoe on demonstrations, every twentieth seed held out to validate on; or adapters for a large one."""
    import json

    from evals.base import EvalError, parse_names
    from evals.demonstrations import DATASET
    from evals.report import progress_line
    from evals.training_data import about, examples, provenance, split
    from model import embedded_path
    from model.batched import can_compile
    from model.lora import LoraConfig
    from model.train import fit
    from model.trainer import TrainConfig

    if lora:
        o.refuse(context, _WHOLE, "for training a small model whole: leave it out with --lora")
        tune(
            data,
            out,
            str(start or "tiny"),
            LoraConfig(lora, 2e-4 if rate is None else rate, epochs=epochs, seed=seed),
            prompt,
            device_map=device_map,
            dtype=dtype,
        )
        return
    o.refuse(context, _ADAPTERS, "for adapters, which --lora RANK trains")
    if deepen and start is None:
        raise EvalError("--deepen puts layers before those of a checkpoint: name one with --from.")
    config = TrainConfig(
        minutes=minutes, reading_minutes=reading_minutes, rate=1e-3 if rate is None else rate, save_minutes=save_minutes, seed=seed,
        compiled=compiled and can_compile(), deepen=deepen, often=parse_names(often),
    )  # fmt: skip
    began = embedded_path() if start == Path("tiny") else start
    found = split(list(examples(*data)))
    trained_on = json.dumps(provenance(data, began, out)) + "\n"

    def begun() -> None:  # what a checkpoint is trained on goes with it
        out.mkdir(parents=True, exist_ok=True)
        (out / DATASET).write_text(trained_on)

    fit(found, out, config, lambda progress: print(progress_line(progress), flush=True), about(data, began, out), began, begun)


def tune(data: list[Path], out: Path, base: str, config: Any, prompt: str, **placement: Any) -> None:
    """Adapters for a checkpoint, trained on recorded runs, into a folder that is loaded like a checkpoint."""
    import json

    from evals.demonstrations import DATASET
    from evals.recipe import load
    from evals.report import progress_line
    from evals.training_data import lessons, provenance
    from model import embedded_path
    from model.lora import LoraTrainer, fit_lora

    found = list(lessons(data, prompt))
    loaded = load(base, prompt, **placement)
    trainer = LoraTrainer(loaded.model, loaded.tokens, loaded.preprocessor, config)
    fit_lora(trainer, found, lambda progress: print(progress_line(progress), flush=True))
    trainer.save(out, str(Path(base).resolve()) if Path(base).is_dir() else base, {**loaded.settings, "prompt": prompt})
    folder = embedded_path() if base == "tiny" else Path(base)
    (out / DATASET).write_text(json.dumps(provenance(data, folder)) + "\n")


@data.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders of benchmark runs, or of single recorded runs.")],
    out: Annotated[
        Path | None, typer.Option(help="A page with the benchmark runs side by side; default for several: leaderboard.html.")
    ] = None,
) -> None:
    """Write a run as one HTML page, report.html in its folder, with one for each episode; several benchmark runs side by side."""
    from agent.report import write_report as write_one
    from agent.trajectory import META
    from evals.base import EvalError
    from evals.folder import EPISODES, RUN
    from evals.html import write_report
    from evals.leaderboard import write_leaderboard

    runs = [folder for folder in folders if (folder / RUN).exists()]
    if out is not None and not runs:
        raise EvalError("--out: for benchmark runs side by side; the page of a single recorded run lies in its folder.")
    for folder in folders:
        if folder not in runs and not (folder / META).exists():
            raise EvalError(f"{folder} holds no run: there is neither {RUN} nor {META}.")
    for folder in folders:
        if folder not in runs:
            print(write_one(folder))
    if len(runs) == 1 and out is None:
        for meta in sorted((runs[0] / EPISODES).glob(f"*/{META}")):
            write_one(meta.parent)
        print(write_report(runs[0]))
    elif runs:
        print(write_leaderboard(runs, out or Path("leaderboard.html")))


@data.command()
def card(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    beside: Annotated[list[str] | None, typer.Option(help="Another run to stand beside it, as heading=FOLDER; may be given again.")] = None,
) -> None:
    """Print a run task by task as a Markdown table, for a model card."""
    from evals.base import EvalError
    from evals.card import card as table

    named = [text.partition("=") for text in beside or ()]
    if unnamed := next((name for name, equals, _ in named if not equals), None):
        raise EvalError(f"{unnamed!r} names no heading: write --beside heading=FOLDER.")
    print(table(folder, {name: Path(path) for name, _, path in named}), end="")


@data.command()
def curve(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint that was trained here.")],
    out: Annotated[Path, typer.Argument(help="PNG to write.")],
) -> None:
    """Draw how a training went: what is found, read and done right on held-out seeds, by task and time."""
    from evals.training_curve import draw

    draw(folder / "training.jsonl", out)
    print(out)


@data.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Argument(help="File to write, ending in .eval or .json; or a folder of logs.")],
    to: Annotated[Literal["inspect"], typer.Option(help="inspect: a log that `inspect view` opens.")] = "inspect",
) -> None:
    """Write a run as another framework's log."""
    from evals.inspect_log import export

    print(export(folder, out))


@data.command("merge")
def merge_runs(
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    parts: Annotated[list[Path], typer.Argument(help="Runs of one configuration, such as the shards of several machines.")],
) -> None:
    """Put the shards of a run together."""
    from rich.console import Console

    from evals.merge import merge
    from evals.report import table

    Console().print(table(merge(parts, out)))


@data.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a run: what is compared with.")],
    b: Annotated[Path, typer.Argument(help="Folder of another run of the same benchmark.")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Also when versions, step budgets or screens differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare two runs episode by episode: the difference of their success rates, how sure it is, and what was won and lost."""
    import json
    from dataclasses import asdict

    from rich.console import Console

    from evals.compare import compare
    from evals.report import comparison_table, discordant_table

    found = compare(a, b, anyway)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    console = Console()
    for table in filter(None, (comparison_table(found), discordant_table(found))):
        console.print(table)


@models.command("inspect")
def inspect_model(
    model: Annotated[str, typer.Argument(help="A checkpoint folder, a hub id, tiny, or a released one by name: glm-4.5v, glm-4.6v.")],
    size: Annotated[
        list[str] | None, typer.Option(help="Of screenshots, such as 1920x1080; several are told, the first is fitted.")
    ] = None,
    screenshots: Annotated[int, typer.Option(min=0, help="How many a conversation holds, for what fits where.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables in Markdown, without this machine.")] = False,
) -> None:
    """Say what a model is and what it needs: parameters, bytes, screenshots, what fits where. Weights are neither read nor downloaded."""
    import json

    from rich.console import Console

    from model import embedded_path
    from model.inspect import inspect, rich_table
    from model.machines import MACHINES

    sizes = [found for text in size or () if (found := read_size(text))]
    seen = inspect(embedded_path() if model == "tiny" else model, sizes, screenshots, MACHINES if markdown else None)
    if as_json or markdown:
        print(json.dumps(seen.facts(), indent=2, ensure_ascii=False) if as_json else seen.markdown(), end="\n" if as_json else "")
        return
    console = Console()
    for table in seen.tables():
        console.print(rich_table(table))
    print(*seen.notes, f"Sizes are those of {seen.source}.", sep="\n")


@models.command("convert")
def convert_model(
    model: Annotated[str, typer.Argument(help="A checkpoint folder, a hub id, or tiny.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; empty or not there yet.")],
    dtype: Annotated[str, typer.Option(help="stored (as it is), float32, bfloat16 or float16.")] = "stored",
    shard_gb: Annotated[float, typer.Option(min=0.001, help="Gigabytes of one file of weights.")] = 5.0,
) -> None:
    """Rewrite a checkpoint so that it loads fast: experts fused, as the library holds them. For glimpse and transformers only."""
    from model import embedded_path
    from model.convert import convert

    source = embedded_path() if model == "tiny" else model
    print(convert(source, out, dtype=dtype, shard_bytes=int(shard_gb * 1e9)))  # type: ignore[arg-type]  # convert checks the name


def read_size(text: str | None) -> tuple[int, int] | None:
    """(width, height) in "1280x720". Raises BadParameter for what is no size."""
    width, _, height = (text or "").lower().partition("x")
    if text is not None and not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is no size: write WIDTHxHEIGHT, such as 1280x720.")
    return (int(width), int(height)) if text else None
