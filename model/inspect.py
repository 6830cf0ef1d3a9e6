"""What a checkpoint is and what it needs, before a weight is read: from config.json, the headers of its safetensors, and arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.checkpoint import INDEX, Weights, find, read_config, read_json
from model.machines import MACHINES, Fit, Machine, Screenshots, fits, here
from model.released import PIXELS, RELEASED
from model.sizes import Architecture

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from model.vision import Preprocessor

Size = tuple[int, int]
SIZES: tuple[Size, ...] = ((1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
FITTED: Size = (1920, 1080)
"""The screenshots that what fits where is told with, unless others are asked for."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A screenshot of width × height pixels. features, cache: bytes of its vision features and of its keys and values in bfloat16;
    in_context: how many of them the model's context takes, each with its text."""

    width: int
    height: int
    tokens: int
    features: int
    cache: int
    in_context: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people: the first column is text, the others are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out. source: where from; stored: bytes by type as its files' headers tell; count: of the screenshots in `fits`."""

    name: str
    source: str
    architecture: Architecture
    stored: Mapping[str, int]
    shots: tuple[Shot, ...]
    count: int
    fitted: Size
    fits: tuple[Fit, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        architecture = self.architecture
        return {
            "name": self.name,
            "source": self.source,
            "architecture": asdict(architecture),
            "parameters": {"total": architecture.parameters, "active_per_token": architecture.active, "parts": architecture.parts},
            "stored_bytes": dict(self.stored),
            "kv_bytes_per_token": {"bf16/fp16": architecture.cache("bf16/fp16"), "fp32": architecture.cache("fp32")},
            "context": architecture.text.max_position_embeddings,
            "screenshots": [asdict(shot) for shot in self.shots],
            "fits": {
                "screenshots": self.count,
                "size": list(self.fitted),
                "machines": [{**asdict(fit), "needed": fit.needed, "fits": fit.fits} for fit in self.fits],
            },
            "notes": list(self.notes),
        }

    def tables(self) -> list[Table]:
        return [self._model(), self._screens(), self._machines()]

    def markdown(self) -> str:
        """The tables as Markdown, each under its title."""
        return "\n\n".join(_markdown(table) for table in self.tables()) + "".join(f"\n\n{note}" for note in self.notes) + "\n"

    def _model(self) -> Table:
        architecture, total = self.architecture, self.architecture.parameters
        rows = [(part, _count(number), f"{number / total:.1%}") for part, number in architecture.parts.items()]
        rows += [
            ("total", _count(total), "100.0%"),
            ("active per token", _count(architecture.active), f"{architecture.active / total:.1%}"),
        ]
        rows += [(f"stored as {kind}", _bytes(size), "") for kind, size in self.stored.items()]
        return Table(f"{self.name}: parameters", ("part", "parameters", "share"), tuple(rows))

    def _screens(self) -> Table:
        cache, context = self.architecture.cache("bf16/fp16"), self.architecture.text.max_position_embeddings
        title = f"{self.name}: screenshots ({_binary(cache)} of keys and values a token in bf16, context {context:,} tokens)"
        rows = [
            (f"{one.width}×{one.height}", f"{one.tokens:,}", _bytes(one.features), _bytes(one.cache), str(one.in_context))
            for one in self.shots
        ]
        return Table(title, ("screenshot", "tokens", "vision features", "keys and values", "in the context"), tuple(rows))

    def _machines(self) -> Table:
        width, height = self.fitted
        title = f"{self.name}: what fits where, in GB a device, with {self.count} screenshots of {width}×{height}"
        columns = ("machine", "numbers", "weights", "KV", "working", "needs", "has", "fits", "most")
        rows = [
            (
                f"{fit.machine}, by layers" if fit.split == "device_map" else fit.machine,
                fit.numbers,
                *map(_gigabytes, (fit.weights, fit.context, fit.activations, fit.needed, fit.usable)),
                "yes" if fit.fits else "no",
                str(fit.most) if fit.most else "–",
            )
            for fit in self.fits
        ]
        return Table(title, columns, tuple(rows))


def inspect(
    path_or_id: str | Path, sizes: Sequence[Size] = (), count: int = 10, machines: Sequence[Machine] | None = None, offline: bool = False
) -> Inspection:
    """Look at a folder, a hub id (its JSON files are downloaded, no weights) or a released model by name ("glm-4.5v", "glm-4.6v").

    sizes: of screenshots; the first, if given, is the one that what fits where is told with, `count` of them. machines: by default the
    usual ones and this one. Raises ModelError, one line.
    """
    name, source, config, preprocessor, stored = _read(path_or_id, offline)
    architecture = Architecture.of(config)
    shots = [_shot(architecture, preprocessor, size) for size in sizes or SIZES]
    fitted = sizes[0] if sizes else FITTED
    tokens = preprocessor.tokens(*fitted)
    one = Screenshots(tokens, tokens * preprocessor.merge**2, 1)
    held = min(count, architecture.text.max_position_embeddings // one.step)
    places = [*MACHINES, *here()] if machines is None else machines
    found = [fit for machine in places for fit in fits(architecture, machine, replace(one, count=held))]
    notes = _notes(config, architecture, stored)
    if held < count:
        notes.append(f"Its context takes {held} of the {count} screenshots.")
    return Inspection(name, source, architecture, stored.sizes, tuple(shots), held, fitted, tuple(found), tuple(notes))


def rich_table(table: Table) -> RichTable:
    """A table for the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if index else "left")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _read(path_or_id: str | Path, offline: bool) -> tuple[str, str, Mapping[str, Any], Preprocessor, Weights]:
    from model.vision import Preprocessor  # needs torch

    released = RELEASED.get(str(path_or_id).lower())
    if released is not None and not Path(path_or_id).exists():
        return released.name, released.source, released.config, Preprocessor(*PIXELS, mean=(0.5,) * 3, std=(0.5,) * 3), Weights(0, "")
    folder = find(path_or_id, offline, ["*.json"])
    config = read_config(folder)
    return str(path_or_id), str(folder), config, Preprocessor.load(folder), _stored(folder, config)


def _stored(folder: Path, config: Mapping[str, Any]) -> Weights:
    """By the files' headers; where only the index is there, by what it says; else nothing is known."""
    index = folder / INDEX
    if any(folder.glob("*.safetensors")):
        return Weights.inspect(folder)
    if not index.is_file():
        return Weights(0, "")
    total = (read_json(index).get("metadata") or {}).get("total_size")
    kind = str(config.get("dtype") or config.get("torch_dtype") or "unknown type")
    return Weights(0, kind, {kind: int(total)} if isinstance(total, int | float) else {})


def _shot(architecture: Architecture, preprocessor: Preprocessor, size: Size) -> Shot:
    tokens = preprocessor.tokens(*size)
    step = Screenshots(tokens, 0, 1).step
    features = 2 * tokens * architecture.text.hidden_size
    in_context = architecture.text.max_position_embeddings // step
    return Shot(*size, tokens, features, tokens * architecture.cache("bf16/fp16"), in_context)


def _notes(config: Mapping[str, Any], architecture: Architecture, stored: Weights) -> list[str]:
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method") if isinstance(quantization, Mapping) else None
    if method == "compressed-tensors":
        return ["Its weights are stored as compressed-tensors and become bfloat16 when they are loaded: count with bf16."]
    if method is not None:
        return [f"Its weights are quantized ({method}); without a GPU that computes with them they become bfloat16: count with bf16 then."]
    expected = architecture.parameters + architecture.buffers
    if stored.parameters and stored.parameters != expected:
        return [f"Its files hold {stored.parameters:,} numbers, and by its config.json they should be {expected:,}: it may not load."]
    return []


def _markdown(table: Table) -> str:
    rows = [table.columns, ("---", *["---:"] * (len(table.columns) - 1)), *table.rows]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _count(number: int) -> str:
    return f"{number / 1e9:,.2f} B" if number >= 10**9 else f"{number / 1e6:,.2f} M"


def _bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 10**9 else f"{size / 1e6:,.1f} MB"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f}" if size >= 10**9 else f"{size / 1e9:.3f}"


def _binary(size: int) -> str:
    return f"{size / 1024:,.0f} KiB"
